"""Makes a cache, fails one over, enlarges and deletes it; what it says is looked at through its endpoints' names."""

import redis
from cloud import client, quick, refused, until

elasticache = client("elasticache")
available = elasticache.get_waiter("replication_group_available")


def group(name):
    (found,) = elasticache.describe_replication_groups(ReplicationGroupId=name)["ReplicationGroups"]
    return found


def primary(name):
    """The node that the API calls the primary."""
    (nodes,) = group(name)["NodeGroups"]
    (member,) = [it["CacheClusterId"] for it in nodes["NodeGroupMembers"] if it["CurrentRole"] == "primary"]
    return member


def at(name):
    """A connection to whoever the primary endpoint's name stands for now."""
    endpoint = group(name)["NodeGroups"][0]["PrimaryEndpoint"]
    return redis.Redis(host=endpoint["Address"], port=endpoint["Port"], socket_timeout=5, decode_responses=True)


def writes(name, key, value):
    try:
        with at(name) as connection:
            return connection.set(key, value)
    except redis.RedisError:
        return None


def replicas(name):
    with at(name) as connection:
        return connection.info("replication")["connected_slaves"]


# A failover: another node takes writes under the same name, and has what was there.
with at("sessions") as connection:
    assert connection.set("before", "1")
    # Asked on the connection that wrote: WAIT counts who has the writes of its own.
    assert connection.wait(1, 5000) == 1
old = primary("sessions")
with refused("NodeGroupNotFoundFault"):
    elasticache.test_failover(ReplicationGroupId="sessions", NodeGroupId="0002")
assert elasticache.test_failover(ReplicationGroupId="sessions", NodeGroupId="0001")["ReplicationGroup"]["Status"] == "modifying"
with refused("InvalidReplicationGroupState"):
    elasticache.test_failover(ReplicationGroupId="sessions", NodeGroupId="0001")
quick(available, ReplicationGroupId="sessions")
assert primary("sessions") != old
until("writes are taken", lambda: writes("sessions", "after", "2"))
with at("sessions") as connection:
    assert connection.role()[0] == "master"
    assert connection.get("before") == "1"
until("the old primary follows", lambda: replicas("sessions") == 1)


def told():
    events = elasticache.describe_events(Duration=60)["Events"]
    return [(event["SourceType"], event["SourceIdentifier"], event["Message"]) for event in events]


completed = f"Failover from primary node {old} to replica node {primary('sessions')} completed"
story = [
    ("replication-group", "sessions", "Test Failover API called for node group 0001"),
    ("cache-cluster", old, completed),
    ("replication-group", "sessions", completed),
    ("cache-cluster", old, f"Recovering cache nodes {old}"),
    ("cache-cluster", old, f"Finished recovery for cache nodes {old}"),
]
until("the story is whole", lambda: [it for it in told() if it in story] == story)

# Creation, one replica more, deletion.
elasticache.create_replication_group(
    ReplicationGroupId="Carts",
    ReplicationGroupDescription="what is in carts",
    NumCacheClusters=2,
    AutomaticFailoverEnabled=True,
    MultiAZEnabled=True,
    CacheNodeType="cache.t3.small",
    Tags=[{"Key": "team", "Value": "checkout"}],
)
with refused("ReplicationGroupAlreadyExists"):
    elasticache.create_replication_group(ReplicationGroupId="carts", ReplicationGroupDescription="again")
quick(available, ReplicationGroupId="carts")
carts = group("carts")
assert (carts["Description"], carts["CacheNodeType"]) == ("what is in carts", "cache.t3.small"), carts
assert (carts["AutomaticFailover"], carts["MultiAZ"]) == ("enabled", "enabled"), carts
assert writes("carts", "a", "1")
elasticache.increase_replica_count(ReplicationGroupId="carts", NewReplicaCount=2, ApplyImmediately=True)
quick(elasticache.get_waiter("cache_cluster_available"), CacheClusterId="carts-003")
until("two replicas follow", lambda: replicas("carts") == 2)
elasticache.modify_replication_group(ReplicationGroupId="carts", ReplicationGroupDescription="carts", ApplyImmediately=True)
assert group("carts")["Description"] == "carts"
tags = elasticache.list_tags_for_resource(ResourceName=carts["ARN"])["TagList"]
assert tags == [{"Key": "team", "Value": "checkout"}], tags
elasticache.delete_replication_group(ReplicationGroupId="carts")
quick(elasticache.get_waiter("replication_group_deleted"), ReplicationGroupId="carts")
clusters = elasticache.get_paginator("describe_cache_clusters").paginate()
assert [it["CacheClusterId"] for page in clusters for it in page["CacheClusters"]] == ["sessions-001", "sessions-002"]

for call, code in [
    (lambda: elasticache.test_failover(ReplicationGroupId="nobody", NodeGroupId="0001"), "ReplicationGroupNotFoundFault"),
    (lambda: elasticache.describe_cache_clusters(CacheClusterId="nobody"), "CacheClusterNotFound"),
    (
        lambda: elasticache.create_replication_group(
            ReplicationGroupId="one", ReplicationGroupDescription="alone", NumCacheClusters=1, AutomaticFailoverEnabled=True
        ),
        "InvalidParameterCombination",
    ),
    (
        lambda: elasticache.create_replication_group(
            ReplicationGroupId="tls", ReplicationGroupDescription="secret", TransitEncryptionEnabled=True
        ),
        "NotImplemented",
    ),
]:
    with refused(code):
        call()
