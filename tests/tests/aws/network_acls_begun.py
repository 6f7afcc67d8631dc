"""Gives the second subnet a network ACL that denies everything."""

from cloud import until
from outages import connects, ec2, subnets, zones

asked = [{"Name": "association.subnet-id", "Values": [subnets[1]["SubnetId"]]}]
(default,) = ec2.describe_network_acls(Filters=asked)["NetworkAcls"]
(association,) = [it for it in default["Associations"] if it["SubnetId"] == subnets[1]["SubnetId"]]
acl = ec2.create_network_acl(VpcId=subnets[1]["VpcId"])["NetworkAcl"]["NetworkAclId"]
ec2.replace_network_acl_association(AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl)
until("nobody gets into the subnet", lambda: not connects(zones[1]))
