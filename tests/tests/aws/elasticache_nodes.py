"""Reboots cache nodes and takes replicas away; looks at processes, data and who is primary."""

import redis
from cloud import client, quick, refused, until

elasticache = client("elasticache")
available = elasticache.get_waiter("replication_group_available")


def group():
    (found,) = elasticache.describe_replication_groups(ReplicationGroupId="sessions")["ReplicationGroups"]
    return found


def primary():
    members = group()["NodeGroups"][0]["NodeGroupMembers"]
    (member,) = [it["CacheClusterId"] for it in members if it["CurrentRole"] == "primary"]
    return member


def cluster(name):
    (found,) = elasticache.describe_cache_clusters(CacheClusterId=name, ShowCacheNodeInfo=True)["CacheClusters"]
    return found


def at(name):
    endpoint = cluster(name)["CacheNodes"][0]["Endpoint"]
    return redis.Redis(host=endpoint["Address"], port=endpoint["Port"], socket_timeout=5, decode_responses=True)


def ask(name, question):
    """What a node answers; None if it does not."""
    try:
        with at(name) as connection:
            return question(connection)
    except redis.RedisError:
        return None


def process(name):
    return ask(name, lambda it: it.info("server")["run_id"])


def reboot(name):
    before = process(name)
    assert elasticache.reboot_cache_cluster(CacheClusterId=name, CacheNodeIdsToReboot=["0001"])["CacheCluster"]["CacheClusterStatus"] == "rebooting cluster nodes"
    quick(elasticache.get_waiter("cache_cluster_available"), CacheClusterId=name)
    until("another process answers", lambda: process(name) not in (None, before))


def told():
    events = elasticache.describe_events(Duration=60)["Events"]
    return [(event["SourceIdentifier"], event["Message"]) for event in events]


first, second = "sessions-001", "sessions-002"
assert primary() == first
with at(first) as connection:
    connection.set("kept", "1")
    assert connection.wait(1, 5000) == 1

# A replica that reboots comes back with what its primary has.
reboot(second)
until("it has synchronized", lambda: ask(second, lambda it: it.get("kept")) == "1")
assert (second, f"Cache node {second} restarted") in told(), told()

# A primary that reboots stays primary, and is empty: so are its replicas then.
reboot(first)
assert primary() == first
assert until("it answers", lambda: ask(first, lambda it: it.role()[0])) == "master"
assert ask(first, lambda it: it.get("kept")) is None, "its data outlived its process"
until("its replica follows", lambda: ask(first, lambda it: it.info("replication")["connected_slaves"]) == 1)
until("its replica is empty, too", lambda: ask(second, lambda it: it.exists("kept")) == 0)
messages = [message for source, message in told() if source == first]
assert messages == [f"Cache node {first} shutdown", f"Cache node {first} restarted"], messages
assert not any("Failover" in message for _, message in told()), told()

# Three replicas, then some go: the one that is named, then the last; data stay.
elasticache.increase_replica_count(ReplicationGroupId="sessions", NewReplicaCount=3, ApplyImmediately=True)
until("three replicas follow", lambda: ask(first, lambda it: it.info("replication")["connected_slaves"]) == 3)
quick(available, ReplicationGroupId="sessions")
with at(first) as connection:
    connection.set("kept", "2")
with refused("InvalidParameterValue"):
    elasticache.decrease_replica_count(ReplicationGroupId="sessions", NewReplicaCount=3, ApplyImmediately=True)
with refused("InvalidParameterValue"):
    elasticache.decrease_replica_count(ReplicationGroupId="sessions", ReplicasToRemove=[first], ApplyImmediately=True)
with refused("InvalidParameterCombination"):
    elasticache.decrease_replica_count(ReplicationGroupId="sessions", NewReplicaCount=0, ApplyImmediately=True)
asked = elasticache.decrease_replica_count(ReplicationGroupId="sessions", ReplicasToRemove=[second], ApplyImmediately=True)
assert asked["ReplicationGroup"]["Status"] == "modifying", asked
quick(elasticache.get_waiter("cache_cluster_deleted"), CacheClusterId=second)
quick(available, ReplicationGroupId="sessions")
assert group()["MemberClusters"] == [first, "sessions-003", "sessions-004"], group()
assert ask(first, lambda it: it.info("replication")["connected_slaves"]) == 2
elasticache.decrease_replica_count(ReplicationGroupId="sessions", NewReplicaCount=1, ApplyImmediately=True)
quick(elasticache.get_waiter("cache_cluster_deleted"), CacheClusterId="sessions-004")
quick(available, ReplicationGroupId="sessions")
assert group()["MemberClusters"] == [first, "sessions-003"], group()
assert ask(first, lambda it: it.get("kept")) == "2"

# The one that is left takes over, and the next new one has the number that is free.
elasticache.test_failover(ReplicationGroupId="sessions", NodeGroupId="0001")
quick(available, ReplicationGroupId="sessions")
assert primary() == "sessions-003"
assert until("it has what was written", lambda: ask("sessions-003", lambda it: it.get("kept"))) == "2"
elasticache.increase_replica_count(ReplicationGroupId="sessions", NewReplicaCount=2, ApplyImmediately=True)
quick(elasticache.get_waiter("cache_cluster_available"), CacheClusterId=second)
until("it has it, too", lambda: ask(second, lambda it: it.get("kept")) == "2")
quick(available, ReplicationGroupId="sessions")
elasticache.decrease_replica_count(ReplicationGroupId="sessions", NewReplicaCount=1, ApplyImmediately=True)
quick(available, ReplicationGroupId="sessions")
assert primary() == "sessions-003" and len(group()["MemberClusters"]) == 2, group()

for call, code in [
    (lambda: elasticache.reboot_cache_cluster(CacheClusterId="nobody", CacheNodeIdsToReboot=["0001"]), "CacheClusterNotFound"),
    (lambda: elasticache.reboot_cache_cluster(CacheClusterId=first, CacheNodeIdsToReboot=["0002"]), "InvalidParameterValue"),
]:
    with refused(code):
        call()
