"""Denies what a subnet's network ACL can deny and allows it again; looks at who is reached, at targets, connections and databases."""

import os
import socket
import urllib.parse

import pg8000.native
from cloud import client, refused, until
from outages import connects, ec2, elbv2, instances, servers, site, subnets, zones

rds = client("rds")
near, far = zones
(group,) = elbv2.describe_target_groups(LoadBalancerArn=site["LoadBalancerArn"])["TargetGroups"]
EVERYTHING = {"Protocol": "-1", "CidrBlock": "0.0.0.0/0", "RuleAction": "allow"}


def told(**filters):
    wanted = [{"Name": name.replace("__", ":").replace("_", "-"), "Values": [value]} for name, value in filters.items()]
    pages = ec2.get_paginator("describe_network_acls").paginate(Filters=wanted, PaginationConfig={"PageSize": 5})
    return [acl for page in pages for acl in page["NetworkAcls"]]


def give(subnet, acl):
    """Gives a subnet a network ACL."""
    asked = [{"Name": "association.subnet-id", "Values": [subnet["SubnetId"]]}]
    (now,) = ec2.describe_network_acls(Filters=asked)["NetworkAcls"]
    (association,) = [it for it in now["Associations"] if it["SubnetId"] == subnet["SubnetId"]]
    id = association["NetworkAclAssociationId"]
    return ec2.replace_network_acl_association(AssociationId=id, NetworkAclId=acl)["NewAssociationId"]


def health():
    """What is told of the targets, by their zones."""
    described = elbv2.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    states = {it["Target"]["Id"]: it["TargetHealth"] for it in described}
    return {zone: (states[id]["State"], states[id].get("Reason")) for zone, id in instances.items()}


def node(zone):
    """The name of the load balancer's node in a zone."""
    return f"{zone}.{site['DNSName']}"


def is_silent(connection):
    """Whether nothing comes for as long as its timeout."""
    try:
        connection.recv(4096)
    except TimeoutError:
        return True
    return False


def database():
    url = urllib.parse.urlsplit(os.environ["ORDERS_URL"])
    return pg8000.native.Connection(
        url.username, host=url.hostname, port=url.port, database=url.path[1:], password=url.password, timeout=10
    )


# The default network ACL has every subnet and lets everything pass.
vpc = subnets[0]["VpcId"]
(default,) = told(default="true", vpc_id=vpc)
assert default["IsDefault"] and len(default["Associations"]) == 2, default
assert sorted((it["RuleNumber"], it["Egress"], it["RuleAction"]) for it in default["Entries"]) == [
    (100, False, "allow"),
    (100, True, "allow"),
    (32767, False, "deny"),
    (32767, True, "deny"),
], default

# A new one denies everything to the subnet that gets it.
team = [{"ResourceType": "network-acl", "Tags": [{"Key": "team", "Value": "shop"}]}]
made = ec2.create_network_acl(VpcId=vpc, TagSpecifications=team)["NetworkAcl"]
acl = made["NetworkAclId"]
assert acl.startswith("acl-") and not made["IsDefault"] and not made["Associations"], made
assert {it["RuleNumber"] for it in made["Entries"]} == {32767}, made
ec2.create_tags(Resources=[acl], Tags=[{"Key": "tier", "Value": "web"}])
assert [it["NetworkAclId"] for it in told(tag__team="shop", tag__tier="web")] == [acl]
with refused("DryRunOperation"):
    ec2.delete_network_acl(NetworkAclId=acl, DryRun=True)

until("both targets are healthy", lambda: set(health().values()) == {("healthy", None)})
assert connects(far) and len(servers(node(near))) == 2
open_connection = socket.create_connection((node(far), 80), timeout=3)
open_connection.sendall(b"GET /whoami HTTP/1.1\r\nHost: site\r\n\r\n")
assert open_connection.recv(4096).startswith(b"HTTP/1.1 200")
orders = database()
orders.run("CREATE TABLE told (what text)")

association = give(subnets[1], acl)
assert association.startswith("aclassoc-"), association
(used,) = told(network_acl_id=acl)
assert [it["SubnetId"] for it in used["Associations"]] == [subnets[1]["SubnetId"]], used
with refused("DependencyViolation"):
    ec2.delete_network_acl(NetworkAclId=acl)
until("nobody gets into the subnet", lambda: not connects(far))
assert connects(near)
open_connection.sendall(b"GET /whoami HTTP/1.1\r\nHost: site\r\n\r\n")
assert is_silent(open_connection)
until("the far target is out of reach", lambda: health()[far] == ("unhealthy", "Target.Timeout"))
until("the near one serves alone", lambda: len(servers(node(near))) == 1)

# RDS replicates past it: commits that wait for the standby there go on, and nobody fails over.
orders.run("INSERT INTO told VALUES ('while denied')")
(status,) = rds.describe_db_instances(DBInstanceIdentifier="orders-replica-1")["DBInstances"][0]["StatusInfos"]
assert status["Status"] == "replicating", status

# Allowed again, by entries: what was sent into the dark is answered, and all is well.
for egress in (False, True):
    ec2.create_network_acl_entry(NetworkAclId=acl, RuleNumber=100, Egress=egress, **EVERYTHING)
with refused("NetworkAclEntryAlreadyExists"):
    ec2.create_network_acl_entry(NetworkAclId=acl, RuleNumber=100, Egress=True, **EVERYTHING)
until("the node is reached", lambda: connects(far))
open_connection.settimeout(30)
assert open_connection.recv(4096).startswith(b"HTTP/1.1 200")
until("both targets are healthy again", lambda: set(health().values()) == {("healthy", None)})
until("both serve", lambda: len(servers(node(near))) == 2)

# An entry denies what it names, and nothing else: the way of the near node's requests.
to_programs = {"NetworkAclId": acl, "RuleNumber": 90, "Egress": False}
deny = {"Protocol": "6", "RuleAction": "deny", "PortRange": {"From": group["Port"], "To": group["Port"]}}
ec2.create_network_acl_entry(**to_programs, **deny, CidrBlock=subnets[0]["CidrBlock"])
until("the near node times out", lambda: health() == {near: ("healthy", None), far: ("unhealthy", "Target.Timeout")})
assert connects(far)
until("the near node reaches its own alone", lambda: len(servers(node(near))) == 1)
until("the far node reaches both", lambda: len(servers(node(far))) == 2)
# That packets are answered is allowed by itself: without it nothing gets across either.
ec2.replace_network_acl_entry(**{**to_programs, "Egress": True, "RuleNumber": 100}, **{**EVERYTHING, "RuleAction": "deny"})
ec2.delete_network_acl_entry(**to_programs)
with refused("InvalidNetworkAclEntry.NotFound"):
    ec2.delete_network_acl_entry(**to_programs)
until("no answer leaves the subnet", lambda: not connects(far))

# The default one again.
give(subnets[1], default["NetworkAclId"])
ec2.delete_network_acl(NetworkAclId=acl)
with refused("InvalidNetworkAclID.NotFound"):
    ec2.describe_network_acls(NetworkAclIds=[acl])
until("all targets are healthy in the end", lambda: set(health().values()) == {("healthy", None)})
assert connects(far) and len(servers(node(far))) == 2
assert orders.run("SELECT count(*) FROM told") == [[1]]
