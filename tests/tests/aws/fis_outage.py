"""Cuts subnets off and takes a cache's zone its power, through experiments; looks at who can be reached from where, and who is primary."""

import os

import redis
from cloud import client, until
from outages import account, connects, fis, get, resolves, servers, site, subnets, zones

elasticache = client("elasticache")
near, far = zones


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


def cache(do):
    """Does something with whoever the primary endpoint's name stands for; nothing while that can not be reached."""
    try:
        with redis.Redis.from_url(os.environ["SESSIONS_URL"], socket_timeout=2, decode_responses=True) as connection:
            return do(connection)
    except redis.RedisError:
        return None


# Cut off from everything: who connects waits in vain, and the resolver answers with the other zone's node alone.
both = resolves(site["DNSName"])
assert both == resolves(node(near)) | resolves(node(far)) and len(both) == 2, both
dark = run("zone off the network", "aws:network:disrupt-connectivity", subnet(1), scope="all")
is_running(dark)
assert not connects(far) and connects(near)
until("the far node leaves the answer", lambda: resolves(site["DNSName"]) == resolves(node(near)))
until("the near instance serves alone", lambda: len(servers(site["DNSName"])) == 1 and "web-" in get(site["DNSName"]))

# Stopped before its time, it is healed.
fis.stop_experiment(id=dark)
is_over(dark, "stopped")
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

# So are these two.
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
