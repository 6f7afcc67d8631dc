"""Shifts load balancers away from a zone, as one does when it looks sick; looks at DNS answers and at who serves."""

import http.client
import urllib.request

from cloud import client, quick, refused, until
from outages import account, fis, resolves, servers, site, subnets, zones

arc, ec2, elbv2 = (client(name) for name in ("arc-zonal-shift", "ec2", "elbv2"))
ids = [it["AvailabilityZoneId"] for it in subnets]
near, far = zones
alb = site["LoadBalancerArn"]


def allow(arn, value="true"):
    elbv2.modify_load_balancer_attributes(
        LoadBalancerArn=arn, Attributes=[{"Key": "zonal_shift.config.enabled", "Value": value}]
    )


def start(arn, away_from, expires_in="1h"):
    return arc.start_zonal_shift(resourceIdentifier=arn, awayFrom=away_from, expiresIn=expires_in, comment="it looks sick")


def shown(id):
    pages = arc.get_paginator("list_zonal_shifts").paginate(PaginationConfig={"PageSize": 1})
    (found,) = [it for page in pages for it in page["items"] if it["zonalShiftId"] == id]
    return found


def answers(name, *nodes):
    """Waits until a load balancer's name stands for its nodes in these zones."""
    wanted = set().union(*(resolves(f"{zone}.{name}") for zone in nodes))
    until(f"{name} is {wanted}, not {resolves(name)}", lambda: resolves(name) == wanted)


# Only what was opened for it can be shifted.
assert arc.list_managed_resources()["items"] == []
with refused("ResourceNotFoundException"):
    start(alb, ids[1])
attributes = {it["Key"]: it["Value"] for it in elbv2.describe_load_balancer_attributes(LoadBalancerArn=alb)["Attributes"]}
assert attributes["zonal_shift.config.enabled"] == "false", attributes
allow(alb)
(managed,) = arc.list_managed_resources()["items"]
assert (managed["arn"], managed["name"], sorted(managed["availabilityZones"])) == (alb, "site", ids), managed
got = arc.get_managed_resource(resourceIdentifier=alb)
assert got["appliedWeights"] == {ids[0]: 1.0, ids[1]: 1.0} and got["zonalShifts"] == [], got
for away_from, expires_in, reason in [
    (ids[1], "73h", "InvalidExpiresIn"),
    (ids[1], "4321m", "InvalidExpiresIn"),
    (far, "1h", "InvalidAz"),
    ("use1-az9", "1h", "InvalidAz"),
]:
    try:
        start(alb, away_from, expires_in)
    except arc.exceptions.ValidationException as error:
        assert error.response["reason"] == reason, error.response
    else:
        raise AssertionError(f"{away_from} for {expires_in} is not refused")
with refused("ValidationException"):
    start(alb, ids[1], "90s")
with refused("ResourceNotFoundException"):
    arc.cancel_zonal_shift(zonalShiftId="00000000-0000-4000-8000-000000000000")

# An ALB: the zone's node leaves the answer, its instance gets nothing, and who is connected stays so.
answers(site["DNSName"], near, far)
until("both serve", lambda: len(servers(site["DNSName"])) == 2)
kept = http.client.HTTPConnection(f"{far}.{site['DNSName']}", timeout=5)
kept.request("GET", "/whoami")
assert kept.getresponse().read()
short = start(alb, ids[1], "1m")
assert short["status"] == "ACTIVE" and short["awayFrom"] == ids[1], short
answers(site["DNSName"], near)
until("one serves, wherever one asks", lambda: servers(site["DNSName"]) == servers(f"{far}.{site['DNSName']}") and len(servers(site["DNSName"])) == 1)
kept.request("GET", "/whoami")
assert "web-" in kept.getresponse().read().decode()
kept.close()
got = arc.get_managed_resource(resourceIdentifier=alb)
assert got["appliedWeights"] == {ids[0]: 1.0, ids[1]: 0.0}, got
(applied,) = got["zonalShifts"]
assert (applied["appliedStatus"], applied["zonalShiftId"]) == ("APPLIED", short["zonalShiftId"]), applied
try:
    start(alb, ids[0])
except arc.exceptions.ConflictException as error:
    assert (error.response["reason"], error.response["zonalShiftId"]) == ("ZonalShiftAlreadyExists", short["zonalShiftId"])
else:
    raise AssertionError("two shifts of one resource")

# Meanwhile an NLB, with cross-zone off: the name leaves the zone's node out; who still comes to that is served by its own zone.
vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
made = elbv2.create_load_balancer(Name="pass", Type="network", Subnets=[it["SubnetId"] for it in subnets])["LoadBalancers"][0]
nlb = made["LoadBalancerArn"]
quick(elbv2.get_waiter("load_balancer_available"), LoadBalancerArns=[nlb])
check = {"HealthCheckProtocol": "TCP", "HealthCheckIntervalSeconds": 5, "HealthyThresholdCount": 2}
group = elbv2.create_target_group(Name="pass", Protocol="TCP", Port=8080, VpcId=vpc, **check)["TargetGroups"][0]["TargetGroupArn"]
targets = [it["InstanceId"] for found in ec2.describe_instances()["Reservations"] for it in found["Instances"]]
elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": id} for id in targets])
to_group = [{"Type": "forward", "TargetGroupArn": group}]
elbv2.create_listener(LoadBalancerArn=nlb, Protocol="TCP", Port=80, DefaultActions=to_group)
quick(elbv2.get_waiter("target_in_service"), TargetGroupArn=group)
answers(made["DNSName"], near, far)
before = servers(f"{far}.{made['DNSName']}")
allow(nlb)
long = start(nlb, ids[1])
answers(made["DNSName"], near)
assert servers(f"{far}.{made['DNSName']}") == before and len(before) == 1, before
changed = arc.update_zonal_shift(zonalShiftId=long["zonalShiftId"], expiresIn="2h", comment="still sick")
assert (changed["expiryTime"] - long["expiryTime"]).total_seconds() > 3000 and changed["comment"] == "still sick", changed
assert arc.cancel_zonal_shift(zonalShiftId=long["zonalShiftId"])["status"] == "CANCELED"
answers(made["DNSName"], near, far)
with refused("ConflictException"):
    arc.cancel_zonal_shift(zonalShiftId=long["zonalShiftId"])
other = start(nlb, ids[0])
answers(made["DNSName"], far)
allow(nlb, "false")
answers(made["DNSName"], near, far)
assert shown(other["zonalShiftId"])["status"] == "CANCELED"

# The ALB's shift ends by itself when its minute is over.
until("it has expired", lambda: shown(short["zonalShiftId"])["status"] == "EXPIRED")
assert (shown(short["zonalShiftId"])["expiryTime"] - shown(short["zonalShiftId"])["startTime"]).total_seconds() == 60
answers(site["DNSName"], near, far)
until("both serve again", lambda: len(servers(site["DNSName"])) == 2)
listed = arc.list_zonal_shifts(status="CANCELED", resourceIdentifier=nlb)["items"]
assert {it["zonalShiftId"] for it in listed} == {long["zonalShiftId"], other["zonalShiftId"]}, listed

# An experiment's shift, which gives way to somebody's own.
recover = {
    "actionId": "aws:arc:start-zonal-autoshift",
    "parameters": {
        "duration": "PT10M",
        "availabilityZoneIdentifier": far,
        "managedResourceTypes": "ALB,NLB",
        "zonalAutoshiftStatus": "ANY",
    },
    "targets": {"ManagedResources": "site"},
}
template = fis.create_experiment_template(
    description="recover",
    roleArn=f"arn:aws:iam::{account}:role/chaos",
    stopConditions=[{"source": "none"}],
    targets={
        "site": {"resourceType": "aws:arc:zonal-shift-managed-resource", "resourceArns": [alb], "selectionMode": "ALL"}
    },
    actions={"recover": recover},
)["experimentTemplate"]


def experiment(wanted):
    begun = fis.start_experiment(experimentTemplateId=template["id"])["experiment"]["id"]
    status = lambda: fis.get_experiment(id=begun)["experiment"]["actions"]["recover"]["state"]["status"]
    until(f"{begun} is {wanted}, not {status()}", lambda: status() == wanted)
    return begun


first = experiment("running")
answers(site["DNSName"], near)
(shift,) = arc.list_zonal_shifts(status="ACTIVE")["items"]
assert shift["shiftType"] == "FIS_EXPERIMENT", shift
with refused("ValidationException"):
    arc.cancel_zonal_shift(zonalShiftId=shift["zonalShiftId"])
fis.stop_experiment(id=first)
answers(site["DNSName"], near, far)
second = experiment("running")
answers(site["DNSName"], near)
own = start(alb, ids[0])
answers(site["DNSName"], far)
state = lambda: fis.get_experiment(id=second)["experiment"]["state"]
until("the experiment is stopped", lambda: state()["status"] == "stopped")
experiment("failed")
arc.cancel_zonal_shift(zonalShiftId=own["zonalShiftId"])
answers(site["DNSName"], near, far)
with urllib.request.urlopen(f"http://{site['DNSName']}/whoami", timeout=5) as answer:
    assert answer.status == 200
