"""What scripts about alarms share: one alarm on a metric of one's own, its state, and values for it."""

from cloud import client, until

cloudwatch = client("cloudwatch")


def put(name, **otherwise):
    """An alarm that goes off when the pulse is above five in ten seconds, or otherwise."""
    asked = {
        "Namespace": "Shop",
        "MetricName": "pulse",
        "Statistic": "Maximum",
        "Period": 10,
        "EvaluationPeriods": 1,
        "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold",
        **otherwise,
    }
    cloudwatch.put_metric_alarm(AlarmName=name, **{key: value for key, value in asked.items() if value is not None})


def alarm(name):
    return cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]


def arn(name):
    return alarm(name)["AlarmArn"]


def is_in(name, state):
    until(f"{name} is {state}", lambda: alarm(name)["StateValue"] == state)


def tell(value):
    cloudwatch.put_metric_data(Namespace="Shop", MetricData=[{"MetricName": "pulse", "Value": value, "StorageResolution": 1}])
