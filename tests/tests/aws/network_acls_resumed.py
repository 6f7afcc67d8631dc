"""The second subnet is still denied everything, and the first one nothing."""

from outages import connects, ec2, subnets, zones

asked = [{"Name": "association.subnet-id", "Values": [subnets[1]["SubnetId"]]}]
(acl,) = ec2.describe_network_acls(Filters=asked)["NetworkAcls"]
assert not acl["IsDefault"] and {it["RuleNumber"] for it in acl["Entries"]} == {32767}, acl
assert connects(zones[0]) and not connects(zones[1])
