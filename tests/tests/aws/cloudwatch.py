"""Sends requests through the load balancers and breaks things, and finds that in the metrics; puts metrics of its own."""

import datetime
import socket
import time
import urllib.error
import urllib.request

import boto3
from cloud import client, quick, refused, until

cloudwatch, elbv2, rds, elasticache = (client(it) for it in ("cloudwatch", "elbv2", "rds", "elasticache"))


def now():
    return datetime.datetime.now(datetime.timezone.utc)


BEGUN = now() - datetime.timedelta(minutes=1)


def path(arn):
    """What CloudWatch calls a load balancer or target group."""
    return arn.split(":", 5)[5].removeprefix("loadbalancer/")


def dimensions(**named):
    return [{"Name": name, "Value": value} for name, value in named.items()]


def points(namespace, metric, statistic, where, by=cloudwatch):
    """A metric's values by the minute, oldest first."""
    found = by.get_metric_statistics(
        Namespace=f"AWS/{namespace}",
        MetricName=metric,
        Dimensions=where,
        StartTime=BEGUN,
        EndTime=now(),
        Period=60,
        Statistics=[statistic],
    )
    ordered = sorted(found["Datapoints"], key=lambda it: it["Timestamp"])
    return [it[statistic] for it in ordered]


def total(metric, where):
    return sum(points("ApplicationELB", metric, "Sum", where))


def get(name, path, port=80):
    try:
        with urllib.request.urlopen(f"http://{name}:{port}{path}", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


site = elbv2.describe_load_balancers(Names=["site"])["LoadBalancers"][0]
group = elbv2.describe_target_groups(LoadBalancerArn=site["LoadBalancerArn"])["TargetGroups"][0]["TargetGroupArn"]
of_site, of_group = dimensions(LoadBalancer=path(site["LoadBalancerArn"])), dimensions(TargetGroup=path(group))
both = of_site + of_group

# Nobody has asked for anything yet: health checks are no requests, knocks no connections.
until("hosts are counted", lambda: points("ApplicationELB", "HealthyHostCount", "Minimum", both))
for metric in ["RequestCount", "HTTPCode_Target_2XX_Count", "HTTPCode_ELB_5XX_Count", "TargetResponseTime"]:
    assert points("ApplicationELB", metric, "Sum", of_site) == [], metric

# Requests, counted by node and target group, with the time that targets took.
for _ in range(20):
    assert get(site["DNSName"], "/whoami") == 200
for _ in range(5):
    assert get(site["DNSName"], "/no/such/page") == 404
until("requests are counted", lambda: total("RequestCount", of_site) == 25)
assert total("HTTPCode_Target_2XX_Count", both) == 20
assert total("HTTPCode_Target_4XX_Count", of_site) == 5
zones = [it["ZoneName"] for it in site["AvailabilityZones"]]
assert sum(total("RequestCount", of_site + dimensions(AvailabilityZone=zone)) for zone in zones) == 25
assert total("RequestCountPerTarget", of_group) == 12.5
assert total("NewConnectionCount", of_site) >= 25
took = cloudwatch.get_metric_statistics(
    Namespace="AWS/ApplicationELB",
    MetricName="TargetResponseTime",
    Dimensions=both,
    StartTime=BEGUN,
    EndTime=now(),
    Period=3600,
    ExtendedStatistics=["p50", "p99"],
    Unit="Seconds",
)["Datapoints"]
p50, p99 = took[0]["ExtendedStatistics"]["p50"], took[0]["ExtendedStatistics"]["p99"]
assert 0 < p50 <= p99 < 60, took
assert points("ApplicationELB", "HTTPCode_ELB_5XX_Count", "Sum", of_site) == [], "nothing failed"


# The share of errors, as an alarm would have it: none, then those of the load balancer when its last target is gone.
def query(name, metric, where, **more):
    stat = {"Metric": {"Namespace": "AWS/ApplicationELB", "MetricName": metric, "Dimensions": where}, "Period": 60, "Stat": "Sum"}
    return {"Id": name, "MetricStat": stat, **more}


def error_share():
    queries = [
        query("errors", "HTTPCode_ELB_5XX_Count", of_site, ReturnData=False),
        query("requests", "RequestCount", of_site, ReturnData=False),
        {"Id": "share", "Expression": "SUM(FILL(errors, 0)) / SUM(FILL(requests, 0)) + FILL(requests, 0) * 0", "Label": "errors"},
    ]
    pages = cloudwatch.get_paginator("get_metric_data").paginate(MetricDataQueries=queries, StartTime=BEGUN, EndTime=now())
    (result,) = pages.build_full_result()["MetricDataResults"]
    assert result["Label"] == "errors" and result["StatusCode"] == "Complete", result
    return result["Values"][0]


assert error_share() == 0
targets = [it["Target"] for it in elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]]
elbv2.deregister_targets(TargetGroupArn=group, Targets=targets)
until("nobody serves", lambda: get(site["DNSName"], "/whoami") == 503)
until("the failure is counted", lambda: error_share() > 0)
failed = total("HTTPCode_ELB_5XX_Count", of_site)
assert failed >= 1 and failed == total("HTTPCode_ELB_503_Count", of_site), failed
assert total("RequestCount", of_site) == 25, "there was no target to be chosen"
elbv2.register_targets(TargetGroupArn=group, Targets=targets)
quick(elbv2.get_waiter("target_in_service"), TargetGroupArn=group)
until("both are healthy again", lambda: points("ApplicationELB", "HealthyHostCount", "Maximum", both)[-1] == 2)

# An NLB in front of the same instances: flows, bytes, resets; always told.
subnets = [it["SubnetId"] for it in client("ec2").describe_subnets()["Subnets"]]
flat = elbv2.create_load_balancer(Name="flat", Type="network", Scheme="internal", Subnets=subnets)["LoadBalancers"][0]
vpc = client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
flows = elbv2.create_target_group(Name="flows", Protocol="TCP", Port=8080, VpcId=vpc, HealthCheckIntervalSeconds=5)["TargetGroups"][0]
forward = [{"Type": "forward", "TargetGroupArn": flows["TargetGroupArn"]}]
elbv2.register_targets(TargetGroupArn=flows["TargetGroupArn"], Targets=targets)
elbv2.create_listener(LoadBalancerArn=flat["LoadBalancerArn"], Protocol="TCP", Port=9090, DefaultActions=forward)
quick(elbv2.get_waiter("target_in_service"), TargetGroupArn=flows["TargetGroupArn"])
of_flat = dimensions(LoadBalancer=path(flat["LoadBalancerArn"]))


def flat_points(metric, statistic="Sum"):
    return points("NetworkELB", metric, statistic, of_flat)


until("flows are told of", lambda: flat_points("NewFlowCount"))
assert sum(flat_points("NewFlowCount")) == 0, "a knock is no flow"
assert get(flat["DNSName"], "/whoami", 9090) == 200
kept = socket.create_connection((flat["DNSName"], 9090), timeout=5)
until("both flows are counted", lambda: sum(flat_points("NewFlowCount")) == 2)
until("one is open", lambda: flat_points("ActiveFlowCount", "Maximum")[-1] >= 1)
assert sum(flat_points("ProcessedBytes")) > 100
kept.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
kept.close()
until("the reset is counted", lambda: sum(flat_points("TCP_Client_Reset_Count")) == 1)

# Databases: the connections of clients, and how far replicas are behind.
of_orders, of_replica = (dimensions(DBInstanceIdentifier=it) for it in ("orders", "orders-replica-1"))


def connections():
    return points("RDS", "DatabaseConnections", "Maximum", of_orders)


until("connections are told of", connections)
until("the lag is told of", lambda: points("RDS", "ReplicaLag", "Maximum", of_replica))
assert points("RDS", "ReplicaLag", "Maximum", of_orders) == [], "a primary has none"
endpoint = rds.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"][0]["Endpoint"]
before = connections()[-1]
held = [socket.create_connection((endpoint["Address"], endpoint["Port"]), timeout=5) for _ in range(7)]
until("connections are counted", lambda: connections()[-1] >= before + 7)
for it in held:
    it.close()

# Cache nodes: who is primary, and that replicas follow.
nodes = [dimensions(CacheClusterId=f"sessions-00{number}") for number in (1, 2)]
until("nodes are told of", lambda: all(points("ElastiCache", "CurrConnections", "Average", it) for it in nodes))
assert [points("ElastiCache", "IsMaster", "Maximum", it)[-1] for it in nodes] == [1, 0]
until("the replica's lag is told of", lambda: points("ElastiCache", "ReplicationLag", "Average", nodes[1]))
elasticache.test_failover(ReplicationGroupId="sessions", NodeGroupId="0001")
quick(elasticache.get_waiter("replication_group_available"), ReplicationGroupId="sessions")
until("the other is primary", lambda: points("ElastiCache", "IsMaster", "Maximum", nodes[1])[-1] == 1)

# Route 53 tells of its health checks in one region only.
config = {"Type": "TCP", "FullyQualifiedDomainName": flat["DNSName"], "Port": 9090, "RequestInterval": 10, "FailureThreshold": 1}
check = client("route53").create_health_check(CallerReference="here", HealthCheckConfig=config)["HealthCheck"]["Id"]
of_check = dimensions(HealthCheckId=check)
virginia = boto3.client("cloudwatch", region_name="us-east-1")
until("the check is told of", lambda: points("Route53", "HealthCheckStatus", "Minimum", of_check, virginia)[-1:] == [1])
assert points("Route53", "HealthCheckStatus", "Minimum", of_check) == []
elbv2.delete_load_balancer(LoadBalancerArn=flat["LoadBalancerArn"])
until("it fails", lambda: points("Route53", "HealthCheckStatus", "Minimum", of_check, virginia)[-1] == 0)

# What exists, by what is asked of it.
pages = cloudwatch.get_paginator("list_metrics")
listed = pages.paginate(Namespace="AWS/ApplicationELB", MetricName="RequestCount", RecentlyActive="PT3H").build_full_result()
assert len(listed["Metrics"]) == 2 * (1 + len(zones)), listed
named = pages.paginate(Dimensions=[{"Name": "DBInstanceIdentifier", "Value": "orders"}]).build_full_result()["Metrics"]
assert {it["MetricName"] for it in named} == {"DatabaseConnections"}, named

# Metrics of one's own, in a body so large that it comes packed.
minute = now().replace(second=0, microsecond=0) - datetime.timedelta(minutes=3)
data = [
    {"MetricName": "latency", "Dimensions": dimensions(Host=f"host-{number}"), "Value": number, "Unit": "Milliseconds", "Timestamp": minute}
    for number in range(500)
]
cloudwatch.put_metric_data(Namespace="Shop", MetricData=data)
listed = pages.paginate(Namespace="Shop").build_full_result()
assert len(listed["Metrics"]) == 500, len(listed["Metrics"])
values = {"MetricName": "basket", "Values": [1.0, 2.0, 100.0], "Counts": [50.0, 49.0, 1.0], "Timestamp": minute}
cloudwatch.put_metric_data(Namespace="Shop", MetricData=[values])
basket = {"Metric": {"Namespace": "Shop", "MetricName": "basket"}, "Period": 60}
queries = [{"Id": f"m{number}", "MetricStat": {**basket, "Stat": stat}} for number, stat in enumerate(["p50", "p99", "p99.5", "Sum"])]
told = cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=minute, EndTime=now())["MetricDataResults"]
assert [it["Values"] for it in told] == [[1.0], [2.0], [100.0], [248.0]], told
assert told[0]["Timestamps"] == [minute], told
with refused("InvalidParameterValue"):
    cloudwatch.put_metric_data(Namespace="AWS/EC2", MetricData=[{"MetricName": "mine", "Value": 1}])
with refused("InvalidParameterCombination"):
    cloudwatch.get_metric_statistics(
        Namespace="Shop", MetricName="basket", StartTime=minute, EndTime=now(), Period=60, Statistics=["Sum"], ExtendedStatistics=["p1"]
    )
with refused("NotImplemented"):
    cloudwatch.put_composite_alarm(AlarmName="both", AlarmRule="ALARM(one) AND ALARM(other)")

# High resolution: a second is a second.
second = now().replace(microsecond=0) - datetime.timedelta(seconds=30)
fine = [
    {"MetricName": "pulse", "Value": number, "Timestamp": second + datetime.timedelta(seconds=number), "StorageResolution": 1}
    for number in range(3)
]
cloudwatch.put_metric_data(Namespace="Shop", MetricData=fine)
pulse = {"Id": "p", "MetricStat": {"Metric": {"Namespace": "Shop", "MetricName": "pulse"}, "Period": 1, "Stat": "Average"}}
(told,) = cloudwatch.get_metric_data(
    MetricDataQueries=[pulse], StartTime=second, EndTime=now(), ScanBy="TimestampAscending"
)["MetricDataResults"]
assert told["Values"] == [0.0, 1.0, 2.0], told
