"""A daemon later: both experiments go on. One ends when its time is over, the other when it is asked to; then others begin."""

from cloud import quick
from outages import begin, connects, ec2, fis, instances, known, until, zones

cut, stopped = known("cut"), known("stop")
assert cut.runs() and stopped.runs() and not connects(zones[1])
ended = cut.is_over("completed")
lasted = (ended["endTime"] - ended["startTime"]).total_seconds()
assert 60 <= lasted < 90, lasted
until("the zone is back", lambda: connects(zones[1]))
assert stopped.runs()
fis.stop_experiment(id=stopped.id)
stopped.is_over("stopped")
quick(ec2.get_waiter("instance_running"), InstanceIds=[instances[zones[0]]])

for id in (begin("cut", zone=0), begin("stop", zone=1)):
    until(f"{id} runs", lambda: id.runs())
