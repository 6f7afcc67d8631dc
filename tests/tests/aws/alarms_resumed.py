"""A daemon later: alarms are there as they were put, and go off."""

from alarmed import alarm, cloudwatch, is_in, tell

names = [it["AlarmName"] for it in cloudwatch.describe_alarms()["MetricAlarms"]]
assert names == ["hosts", "pulse", "silent"], names
assert not alarm("silent")["ActionsEnabled"] and alarm("silent")["StateValue"] == "ALARM", alarm("silent")
history = cloudwatch.describe_alarm_history(AlarmName="math", ScanBy="TimestampAscending")["AlarmHistoryItems"]
assert history[0]["HistorySummary"] == 'Alarm "math" created' and history[-1]["HistorySummary"] == 'Alarm "math" deleted', history
is_in("hosts", "OK")
tell(9)
is_in("pulse", "ALARM")
tell(1)
is_in("pulse", "OK")
