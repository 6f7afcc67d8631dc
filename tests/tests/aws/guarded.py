"""What scripts about security groups share: groups, rules, who gets through, and what is open."""

import os
import socket
import urllib.parse

from cloud import client
from outages import ec2, elbv2, instances, site, subnets, zones

rds, elasticache = client("rds"), client("elasticache")
vpc = subnets[0]["VpcId"]
database, cache = (urllib.parse.urlsplit(os.environ[name]) for name in ("ORDERS_URL", "SESSIONS_URL"))
OUTSIDE = "127.0.0.1/32"
EVERYBODY = "0.0.0.0/0"


def made(name, **tags):
    """A new security group's id."""
    tags = [{"Key": key, "Value": value} for key, value in tags.items()]
    specified = [{"ResourceType": "security-group", "Tags": tags}] if tags else []
    made = ec2.create_security_group(GroupName=name, Description=f"{name} of a test", VpcId=vpc, TagSpecifications=specified)
    return made["GroupId"]


def tcp(port, peer):
    """A permission for a port and a group or block of addresses."""
    peers = {"UserIdGroupPairs": [{"GroupId": peer}]} if peer.startswith("sg-") else {"IpRanges": [{"CidrIp": peer}]}
    return [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **peers}]


def allow(group, port, peer):
    permitted = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=tcp(port, peer))
    return permitted["SecurityGroupRules"][0]["SecurityGroupRuleId"]


def revoke(group, port, peer):
    revoked = ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=tcp(port, peer))
    assert len(revoked["RevokedSecurityGroupRules"]) == 1, revoked


def give_database(group):
    given = rds.modify_db_instance(DBInstanceIdentifier="orders", VpcSecurityGroupIds=[group], ApplyImmediately=True)
    assert given["DBInstance"]["VpcSecurityGroups"] == [{"VpcSecurityGroupId": group, "Status": "active"}], given


def seen_from(zone, host):
    """The address of a host as somebody in a zone dials it."""
    one, slot, own, number = socket.gethostbyname(host).split(".")
    return f"{one}.{slot}.{16 * (1 + zones.index(zone)) + int(own)}.{number}"


def connects(host, port):
    """Whether a connection is answered; one that is kept out is not even refused."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except TimeoutError:
        return False
    return True


def answers(connection, patience=2):
    """Whether a cache or a site answers to what was sent; what was sent into the dark is sent again ever more seldom."""
    connection.settimeout(patience)
    try:
        return connection.recv(4096) != b""
    except TimeoutError:
        return False


def pings(connection):
    """Whether a cache answers now."""
    connection.sendall(b"PING\r\n")
    return answers(connection)


def opened(url):
    """A connection to what a URL names."""
    return socket.create_connection((url.hostname, url.port), timeout=2)


def health():
    """What is told of the site's targets, by their zones."""
    (group,) = elbv2.describe_target_groups(LoadBalancerArn=site["LoadBalancerArn"])["TargetGroups"]
    described = elbv2.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    states = {it["Target"]["Id"]: it["TargetHealth"] for it in described}
    return {(states[id]["State"], states[id].get("Reason")) for id in instances.values()}
