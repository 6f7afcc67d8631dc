"""Health checks of texts, of alarms and of each other, inverted and disabled; a failover pair follows each of them."""

import socket

from alarmed import cloudwatch, is_in, put, tell
from cloud import client, refused, until
from packets import data

route53, elbv2 = client("route53"), client("elbv2")
zone_id = route53.create_hosted_zone(Name="store.internal", CallerReference="store")["HostedZone"]["Id"]
site = elbv2.describe_load_balancers(Names=["site"])["LoadBalancers"][0]
node = until("the site resolves", lambda: data(site["DNSName"]))[0]
port = socket.getservbyname("http", "tcp")
try:
    socket.create_connection((node, port), 5).close()
except ConnectionRefusedError:
    port += 10000
names = []


def check(name, **config):
    if config["Type"] not in ("CALCULATED", "CLOUDWATCH_METRIC"):
        config = {"RequestInterval": 10, "FailureThreshold": 1, **config}
    made = route53.create_health_check(CallerReference=name, HealthCheckConfig=config)["HealthCheck"]
    told = made["HealthCheckConfig"]
    assert all(told[key] == value for key, value in config.items()), (told, config)
    names.append(made["Id"])
    pair(name, made["Id"])
    return made["Id"]


def pair(name, id):
    """The primary is answered while the health check is healthy."""

    def record(value, role, **more):
        return {
            "Name": f"{name}.store.internal",
            "Type": "A",
            "TTL": 1,
            "ResourceRecords": [{"Value": value}],
            "SetIdentifier": role,
            "Failover": role,
            **more,
        }

    records = [record("192.0.2.1", "PRIMARY", HealthCheckId=id), record("192.0.2.2", "SECONDARY")]
    changes = [{"Action": "CREATE", "ResourceRecordSet": it} for it in records]
    route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch={"Changes": changes})


def healthy(name):
    until(f"{name} is healthy", lambda: data(f"{name}.store.internal") == ["192.0.2.1"])


def sick(name):
    until(f"{name} is not healthy", lambda: data(f"{name}.store.internal") == ["192.0.2.2"])


def change(id, **settings):
    return route53.update_health_check(HealthCheckId=id, **settings)["HealthCheck"]


# An address of the stack, by a name for the Host header or without one, and what the answer has to say.
up = check("up", Type="HTTP", IPAddress=node, ResourcePath="/health")
text = check("text", Type="HTTP_STR_MATCH", IPAddress=node, ResourcePath="/whoami", SearchString="web-")
down = check("down", Type="HTTP_STR_MATCH", FullyQualifiedDomainName=site["DNSName"], ResourcePath="/whoami", SearchString="nobody")
nobody = check("nobody", Type="TCP", IPAddress="192.0.2.1", Port=80)
for name in ("up", "text"):
    healthy(name)
for name in ("down", "nobody"):
    sick(name)
change(down, SearchString="web-")
healthy("down")
change(down, SearchString="nobody")
sick("down")

# Others are counted; what is inverted is the opposite, what is disabled is healthy.
some = check("some", Type="CALCULATED", ChildHealthChecks=[up, down], HealthThreshold=1)
both = check("both", Type="CALCULATED", ChildHealthChecks=[some, down], HealthThreshold=2)
healthy("some")
sick("both")
change(both, HealthThreshold=1)
healthy("both")
change(both, HealthThreshold=2, Inverted=True)
healthy("both")
change(both, Inverted=False)
sick("both")
change(down, Disabled=True)
for name in ("down", "both"):
    healthy(name)
change(down, Inverted=True)
for name in ("down", "both"):
    sick(name)
for wrong in [
    dict(Type="CALCULATED", ChildHealthChecks=["00000000-0000-4000-8000-000000000000"], HealthThreshold=1),
    dict(Type="TCP", IPAddress="10.0.0.1", Port=80),
    dict(Type="TCP", IPAddress=node, Port=80, ResourcePath="/"),
    dict(Type="HTTP", IPAddress=node, SearchString="x"),
    dict(Type="HTTP_STR_MATCH", IPAddress=node),
    dict(Type="HTTP", ResourcePath="/"),
    dict(Type="CLOUDWATCH_METRIC", AlarmIdentifier={"Region": "ap-northeast-2", "Name": "nobody"}),
]:
    with refused("InvalidInput"):
        route53.create_health_check(CallerReference=str(wrong), HealthCheckConfig=wrong)
with refused("InvalidInput"):
    change(some, ChildHealthChecks=[both])
with refused("NotImplemented"):
    route53.create_health_check(CallerReference="tls", HealthCheckConfig={"Type": "HTTPS", "IPAddress": node})
with refused("InvalidInput"):
    route53.get_health_check_status(HealthCheckId=some)
with refused("HealthCheckInUse"):
    route53.delete_health_check(HealthCheckId=up)

# What an alarm's data say, not what somebody sets.
put("pulse")
alarm = {"Region": "ap-northeast-2", "Name": "pulse"}
for name, unsure in [("last", "LastKnownStatus"), ("yes", "Healthy"), ("no", "Unhealthy")]:
    check(name, Type="CLOUDWATCH_METRIC", AlarmIdentifier=alarm, InsufficientDataHealthStatus=unsure)
healthy("last")
healthy("yes")
sick("no")
cloudwatch.set_alarm_state(AlarmName="pulse", StateValue="ALARM", StateReason="to see")
healthy("last")
tell(1)
is_in("pulse", "OK")
for name in ("last", "yes", "no"):
    healthy(name)
tell(9)
is_in("pulse", "ALARM")
for name in ("last", "yes", "no"):
    sick(name)
