"""The stack was taken down and up again in the middle of experiments: they are over, and nothing of them is left."""

from cloud import quick
from outages import connects, ec2, fis, instances, zones

states = [it["state"] for it in fis.list_experiments()["experiments"]]
assert sorted(it["status"] for it in states) == ["completed", "stopped", "stopped", "stopped"], states
assert [it["reason"] for it in states].count("The stack was taken down.") == 2, states
assert all(connects(zone) for zone in zones)
quick(ec2.get_waiter("instance_running"), InstanceIds=list(instances.values()))
