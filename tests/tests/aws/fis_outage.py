"""Cuts subnets off and takes a cache's zone its power, through experiments; looks at who can be reached from where, and who is primary."""

import os
import socket
import urllib.request

import redis
from cloud import client, until

fis, ec2, elbv2, elasticache, sts = (client(name) for name in ("fis", "ec2", "elbv2", "elasticache", "sts"))
account = sts.get_caller_identity()["Account"]
site = elbv2.describe_load_balancers(Names=["site"])["LoadBalancers"][0]
subnets = sorted(ec2.describe_subnets()["Subnets"], key=lambda it: it["AvailabilityZone"])
near, far = (it["AvailabilityZone"] for it in subnets)


def run(description, action, target, **parameters):
    """An experiment of one action for a minute."""
    kind, part, asked = target
    template = fis.create_experiment_template(
        description=description,
        roleArn=f"arn:aws:iam::{account}:role/chaos",
        stopConditions=[{"source": "none"}],
        targets={"it": {"resourceType": kind, "selectionMode": "ALL", **asked}},
        actions={
            "harm": {"actionId": action, "parameters": {"duration": "PT1M", **parameters}, "targets": {part: "it"}}
        },
    )["experimentTemplate"]
    return fis.start_experiment(experimentTemplateId=template["id"])["experiment"]["id"]


def shown(id):
    return fis.get_experiment(id=id)["experiment"]


def is_running(id):
    until(f"{id} runs", lambda: shown(id)["actions"]["harm"]["state"]["status"] == "running")


def is_over(id, status):
    ended = until(f"{id} is {status}", lambda: [it for it in [shown(id)] if it["state"]["status"] == status])[0]
    assert ended["actions"]["harm"]["state"]["status"] == status, ended
    return ended


def subnet(number):
    return "aws:ec2:subnet", "Subnets", {"resourceArns": [subnets[number]["SubnetArn"]]}


def node(zone):
    """The name of the load balancer's node in a zone."""
    return f"{zone}.{site['DNSName']}"


def get(host):
    try:
        with urllib.request.urlopen(f"http://{host}/whoami", timeout=2) as answer:
            return answer.read().decode()
    except OSError as error:
        return str(error)


def connects(zone):
    try:
        socket.create_connection((node(zone), 80), timeout=1).close()
    except TimeoutError:
        return False
    return True


def servers(host):
    return {it.split()[0] if "web-" in it else it for it in (get(host) for _ in range(6))}


def resolves(name):
    return {info[4][0] for info in socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)}


def cache(do):
    """Does something with whoever the primary endpoint's name stands for; nothing while that can not be reached."""
    try:
        with redis.Redis.from_url(os.environ["SESSIONS_URL"], socket_timeout=2, decode_responses=True) as connection:
            return do(connection)
    except redis.RedisError:
        return None


# Cut off from everything for a minute: who connects waits in vain, and the resolver answers with the other zone's node alone.
both = resolves(site["DNSName"])
assert both == resolves(node(near)) | resolves(node(far)) and len(both) == 2, both
dark = run("zone off the network", "aws:network:disrupt-connectivity", subnet(1), scope="all")
is_running(dark)
assert not connects(far) and connects(near)
until("the far node leaves the answer", lambda: resolves(site["DNSName"]) == resolves(node(near)))
until("the near instance serves alone", lambda: len(servers(site["DNSName"])) == 1 and "web-" in get(site["DNSName"]))

# It ends by itself.
ended = is_over(dark, "completed")
lasted = (ended["endTime"] - ended["startTime"]).total_seconds()
assert 60 <= lasted < 90, lasted
until("the far node answers", lambda: connects(far))
until("the far node is back in the answer", lambda: resolves(site["DNSName"]) == both)
until("both instances serve", lambda: len(servers(site["DNSName"])) == 2)

# A cache loses the zone of its primary: the replica takes over, and nothing starts there until the end.
(group,) = elasticache.describe_replication_groups(ReplicationGroupId="sessions")["ReplicationGroups"]
until("the replica follows", lambda: cache(lambda it: it.info("replication")["connected_slaves"]) == 1)
assert cache(lambda it: it.set("before", "1") and it.wait(1, 5000)) == 1
(host,) = resolves(group["NodeGroups"][0]["PrimaryEndpoint"]["Address"])
zone = {1: near, 2: far}[int(host.split(".")[2])]
groups = "aws:elasticache:replicationgroup", "ReplicationGroups"
asked = {"resourceArns": [group["ARN"]], "parameters": {"availabilityZoneIdentifier": zone}}
power = run("cache without power", "aws:elasticache:replicationgroup-interrupt-az-power", (*groups, asked))
is_running(power)
until("another node takes writes", lambda: resolves(group["NodeGroups"][0]["PrimaryEndpoint"]["Address"]) != {host})
until("writes are taken", lambda: cache(lambda it: it.set("after", "2")))
assert cache(lambda it: (it.get("before"), it.info("replication")["connected_slaves"])) == ("1", 0)

# Cut off from the other zone alone: each node serves from its own side, and both can be reached.
split = run("zones apart", "aws:network:disrupt-connectivity", subnet(0), scope="availability-zone")
is_running(split)
until("each side is on its own", lambda: [len(servers(node(zone))) for zone in (near, far)] == [1, 1])
assert servers(node(near)) != servers(node(far)) and connects(near) and connects(far)

# Stopped before their time, both are healed.
for it in (power, split):
    assert fis.stop_experiment(id=it)["experiment"]["state"]["status"] == "stopping"
for it in (power, split):
    is_over(it, "stopped")
until("the node is back as a replica", lambda: cache(lambda it: it.info("replication")["connected_slaves"]) == 1)
until("both nodes use both instances", lambda: [len(servers(node(zone))) for zone in (near, far)] == [2, 2])

# What can not be expressed is refused by its name.
for action, target, parameters in [
    ("aws:network:disrupt-connectivity", subnet(0), {"scope": "s3"}),
    ("aws:network:disrupt-connectivity", subnet(0), {"scope": "vpc"}),
    ("aws:network:disrupt-connectivity", (*groups, asked), {"scope": "all"}),
]:
    try:
        run("wrong", action, target, **parameters)
    except fis.exceptions.ValidationException as error:
        assert "scope" in str(error) or "target" in str(error), error
    else:
        raise AssertionError(f"{action} with {parameters} is not refused")
