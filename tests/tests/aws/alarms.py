"""Alarms on the stack's metrics and on one's own, and experiments that they stop: what was broken is whole again where clients see it."""

from alarmed import alarm, arn, cloudwatch, is_in, put, tell
from cloud import client, quick, refused, until
from outages import account, begin, connects, ec2, elbv2, fis, instances, servers, site, zones

# Nothing is known at first; then the values of whole periods count.
put("pulse", Tags=[{"Key": "team", "Value": "shop"}])
quick(cloudwatch.get_waiter("alarm_exists"), AlarmNames=["pulse"])
told = alarm("pulse")
assert told["StateValue"] == "INSUFFICIENT_DATA" and told["ActionsEnabled"], told
tell(1)
is_in("pulse", "OK")
assert "was not greater than the threshold (5.0)" in alarm("pulse")["StateReason"], alarm("pulse")

# A zone is cut off, the alarm goes off: the experiment is stopped before its minute is over, and the zone is back.
near, far = zones
cut = begin("cut", zone=1, alarm=arn("pulse"))
until("the zone is cut off", cut.runs)
assert connects(near) and not connects(far)
tell(9)
ended = cut.is_over("stopped")
assert ended["state"]["reason"] == "Experiment halted by stop condition.", ended
assert ended["actions"]["harm"]["state"]["status"] == "stopped", ended
assert (ended["endTime"] - ended["startTime"]).total_seconds() < 60, ended
until("the zone is back", lambda: connects(far))
until("both instances serve", lambda: len(servers(site["DNSName"])) == 2)
history = cloudwatch.describe_alarm_history(AlarmName="pulse", HistoryItemType="StateUpdate", ScanBy="TimestampAscending")
became = [it["HistorySummary"].split(" to ")[1] for it in history["AlarmHistoryItems"]]
assert became[0] == "OK" and "ALARM" in became, history

# One whose alarm is in ALARM already does nothing.
put("silent", MetricName="nobody", TreatMissingData="breaching")
is_in("silent", "ALARM")
assert "1 missing datapoint was treated as [Breaching]" in alarm("silent")["StateReason"], alarm("silent")
never = begin("cut", zone=1, alarm=arn("silent")).is_over("stopped")
assert never["state"]["reason"] == "Experiment halted by stop condition.", never
assert never["actions"]["harm"]["state"]["status"] == "cancelled", never
assert connects(far)

# An alarm on what the stack really has: an instance is stopped for hours, its load balancer misses it, and it runs again.
def path(arn):
    return arn.split(":", 5)[5].removeprefix("loadbalancer/")


group = elbv2.describe_target_groups(LoadBalancerArn=site["LoadBalancerArn"])["TargetGroups"][0]["TargetGroupArn"]
where = {"LoadBalancer": path(site["LoadBalancerArn"]), "TargetGroup": path(group)}
put(
    "hosts",
    Namespace="AWS/ApplicationELB",
    MetricName="HealthyHostCount",
    Dimensions=[{"Name": name, "Value": value} for name, value in where.items()],
    Statistic="Minimum",
    ComparisonOperator="LessThanThreshold",
    Threshold=2,
)
is_in("hosts", "OK")
stopped = begin("stop", zone=0, alarm=arn("hosts"))
until("it runs", stopped.runs)
quick(ec2.get_waiter("instance_stopped"), InstanceIds=[instances[near]])
ended = stopped.is_over("stopped")
assert ended["state"]["reason"] == "Experiment halted by stop condition.", ended
quick(ec2.get_waiter("instance_running"), InstanceIds=[instances[near]])
until("both instances serve", lambda: len(servers(site["DNSName"])) == 2)
is_in("hosts", "OK")

# Metric math, percentiles, a state that is set: as they are asked for.
metric = {"Namespace": "Shop", "MetricName": "pulse"}
put(
    "math",
    **dict.fromkeys(["Namespace", "MetricName", "Statistic", "Period"]),
    Metrics=[
        {"Id": "pulse", "MetricStat": {"Metric": metric, "Period": 10, "Stat": "Sum"}, "ReturnData": False},
        {"Id": "filled", "Expression": "FILL(pulse, 0) * 2", "Label": "twice"},
    ],
    Threshold=-1,
)
is_in("math", "ALARM")
put("slow", Statistic=None, ExtendedStatistic="p99.9", Period=60, EvaluationPeriods=3, DatapointsToAlarm=2, TreatMissingData="ignore")
told = alarm("slow")
assert (told["ExtendedStatistic"], told["DatapointsToAlarm"], told["EvaluationPeriods"]) == ("p99.9", 2, 3), told
cloudwatch.set_alarm_state(AlarmName="slow", StateValue="ALARM", StateReason="a test", StateReasonData='{"by": "hand"}')
(set_so,) = cloudwatch.describe_alarm_history(AlarmName="slow", HistoryItemType="StateUpdate", MaxRecords=1)["AlarmHistoryItems"]
assert set_so["HistorySummary"] == "Alarm updated from INSUFFICIENT_DATA to ALARM", set_so

# Found by what is asked for.
pages = cloudwatch.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 2})
names = [it["AlarmName"] for page in pages for it in page["MetricAlarms"]]
assert names == ["hosts", "math", "pulse", "silent", "slow"], names
of_metric = cloudwatch.describe_alarms_for_metric(Namespace="Shop", MetricName="pulse")["MetricAlarms"]
assert [it["AlarmName"] for it in of_metric] == ["math", "pulse", "slow"], of_metric
of_state = cloudwatch.describe_alarms(StateValue="ALARM", AlarmNamePrefix="si")["MetricAlarms"]
assert [it["AlarmName"] for it in of_state] == ["silent"], of_state

# Tags, here and where all of them are.
tagging = client("resourcegroupstaggingapi")
tagging.tag_resources(ResourceARNList=[arn("pulse")], Tags={"owner": "me"})
assert {it["Key"] for it in cloudwatch.list_tags_for_resource(ResourceARN=arn("pulse"))["Tags"]} == {"owner", "team"}
(found,) = tagging.get_resources(TagFilters=[{"Key": "team"}], ResourceTypeFilters=["cloudwatch:alarm"])["ResourceTagMappingList"]
assert found["ResourceARN"] == arn("pulse"), found

# What is not there, or no alarm.
for call, arguments in [
    (cloudwatch.delete_alarms, {"AlarmNames": ["nobody"]}),
    (cloudwatch.set_alarm_state, {"AlarmName": "nobody", "StateValue": "OK", "StateReason": "none"}),
]:
    with refused("ResourceNotFound"):
        call(**arguments)
with refused("ValidationError"):
    put("odd", Period=7)
with refused("ValidationException"):
    begin("cut", zone=1, alarm=f"{arn('pulse')}s")
cloudwatch.delete_alarms(AlarmNames=["math", "slow"])
cloudwatch.disable_alarm_actions(AlarmNames=["silent"])
