"""Makes a hosted zone with records, aliases and a failover pair; the stack's resolver answers with them."""

import socket

from cloud import client, quick, refused, until

route53, elbv2 = client("route53"), client("elbv2")


def resolves(name):
    try:
        return sorted({info[4][0] for info in socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)})
    except socket.gaierror:
        return []


def answers(name, *addresses):
    until(f"{name} is {addresses}, not {resolves(name)}", lambda: resolves(name) == sorted(addresses))


zone = route53.create_hosted_zone(
    Name="Store.internal", CallerReference="first", HostedZoneConfig={"Comment": "the store", "PrivateZone": False}
)
quick(route53.get_waiter("resource_record_sets_changed"), Id=zone["ChangeInfo"]["Id"])
assert len(zone["DelegationSet"]["NameServers"]) == 4, zone
zone_id = zone["HostedZone"]["Id"]
with refused("HostedZoneAlreadyExists"):
    route53.create_hosted_zone(Name="other.internal", CallerReference="first")
with refused("ConflictingDomainExists"):
    route53.create_hosted_zone(Name="store.internal", CallerReference="second")
for n in range(3):
    route53.create_hosted_zone(Name=f"z{n}.internal", CallerReference=f"z{n}")
zones = route53.get_paginator("list_hosted_zones").paginate(PaginationConfig={"PageSize": 2})
names = {it["Name"] for page in zones for it in page["HostedZones"]}
assert names == {"store.internal.", "z0.internal.", "z1.internal.", "z2.internal."}, names
by_name = route53.list_hosted_zones_by_name(DNSName="z1.internal", MaxItems="1")
assert [it["Name"] for it in by_name["HostedZones"]] == ["z1.internal."], by_name
assert by_name["IsTruncated"] and by_name["NextDNSName"] == "z2.internal.", by_name


def change(*changes):
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record} for action, record in changes]}
    info = route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=batch)["ChangeInfo"]
    assert info["Status"] == "PENDING", info
    quick(route53.get_waiter("resource_record_sets_changed"), Id=info["Id"])


def record(name, kind, *values, ttl=60, **more):
    return {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": value} for value in values], **more}


site = elbv2.describe_load_balancers(Names=["site"])["LoadBalancers"][0]
www = {
    "Name": "www.store.internal",
    "Type": "A",
    "AliasTarget": {
        "HostedZoneId": site["CanonicalHostedZoneId"],
        "DNSName": "dualstack." + site["DNSName"],
        "EvaluateTargetHealth": True,
    },
}
apex = {**www, "Name": "store.internal", "AliasTarget": {**www["AliasTarget"], "HostedZoneId": zone_id}}
apex["AliasTarget"]["DNSName"] = "www.store.internal."
change(
    ("CREATE", record("origin.store.internal", "A", "192.0.2.1", "192.0.2.2")),
    ("CREATE", record("text.store.internal", "TXT", '"v=1 \\"quoted\\""', '"second"')),
    ("CREATE", record("api.store.internal", "CNAME", "origin.store.internal")),
    ("CREATE", www),
    ("UPSERT", apex),
)
answers("origin.store.internal", "192.0.2.1", "192.0.2.2")
answers("api.store.internal", "192.0.2.1", "192.0.2.2")
site_addresses = until("the site resolves", lambda: resolves(site["DNSName"]))
answers("www.store.internal", *site_addresses)
answers("store.internal", *site_addresses)

pages = list(
    route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id, PaginationConfig={"PageSize": 3})
)
listed = [(it["Name"], it["Type"]) for page in pages for it in page["ResourceRecordSets"]]
assert listed == [
    ("store.internal.", "A"),
    ("store.internal.", "NS"),
    ("store.internal.", "SOA"),
    ("api.store.internal.", "CNAME"),
    ("origin.store.internal.", "A"),
    ("text.store.internal.", "TXT"),
    ("www.store.internal.", "A"),
], listed
assert len(pages) == 3, len(pages)
(text,) = [it for page in pages for it in page["ResourceRecordSets"] if it["Type"] == "TXT"]
assert [value["Value"] for value in text["ResourceRecords"]] == ['"v=1 \\"quoted\\""', '"second"'], text
assert route53.get_hosted_zone(Id=zone_id)["HostedZone"]["ResourceRecordSetCount"] == 7

# All or nothing.
with refused("InvalidChangeBatch"):
    change(
        ("CREATE", record("new.store.internal", "A", "192.0.2.9")),
        ("CREATE", record("origin.store.internal", "A", "192.0.2.9")),
    )
assert resolves("new.store.internal") == []
for action, wrong in [
    ("DELETE", record("nothing.store.internal", "A", "192.0.2.9")),
    ("DELETE", record("origin.store.internal", "A", "192.0.2.9")),
    ("CREATE", record("www.elsewhere.internal", "A", "192.0.2.9")),
    ("CREATE", record("origin.store.internal", "CNAME", "www.store.internal")),
    ("CREATE", record("store.internal", "CNAME", "www.store.internal")),
    ("CREATE", record("bad.store.internal", "A", "not an address")),
    ("CREATE", record("bad.store.internal", "TXT", "no quotes")),
    ("CREATE", {**www, "Name": "a.store.internal", "AliasTarget": {**apex["AliasTarget"], "DNSName": "b.store.internal"}}),
]:
    with refused("InvalidChangeBatch"):
        change((action, wrong))
with refused("InvalidInput"):
    change(("CREATE", {"Name": "empty.store.internal", "Type": "A"}))
with refused("InvalidInput"):
    change(("CREATE", record("one.store.internal", "A", "192.0.2.9", Failover="PRIMARY")))
with refused("InvalidInput"):
    change(("CREATE", record("heavy.store.internal", "A", "192.0.2.9", Weight=1)))
with refused("NoSuchHealthCheck"):
    change(("CREATE", record("one.store.internal", "A", "192.0.2.9", HealthCheckId="00000000-0000-4000-8000-000000000000")))
with refused("NoSuchHostedZone"):
    route53.get_hosted_zone(Id="Z0000000000000000000")
with refused("NoSuchChange"):
    route53.get_change(Id="C0000000000000000000")

# A failover pair follows its health check.
config = {
    "Type": "TCP",
    "FullyQualifiedDomainName": site["DNSName"],
    "Port": 81,
    "RequestInterval": 10,
    "FailureThreshold": 1,
}
check = route53.create_health_check(CallerReference="site", HealthCheckConfig=config)["HealthCheck"]
again = route53.create_health_check(CallerReference="site", HealthCheckConfig=config)["HealthCheck"]
assert again["Id"] == check["Id"] and check["HealthCheckConfig"]["RequestInterval"] == 10, (again, check)
with refused("HealthCheckAlreadyExists"):
    route53.create_health_check(CallerReference="site", HealthCheckConfig={**config, "Port": 82})
with refused("NotImplemented"):
    route53.create_health_check(CallerReference="tls", HealthCheckConfig={**config, "Type": "HTTPS"})
primary = record("db.store.internal", "A", "192.0.2.11", SetIdentifier="p", Failover="PRIMARY", HealthCheckId=check["Id"])
secondary = record("db.store.internal", "A", "192.0.2.12", SetIdentifier="s", Failover="SECONDARY")
change(("CREATE", primary), ("CREATE", secondary))
answers("db.store.internal", "192.0.2.12")


def status():
    (seen,) = route53.get_health_check_status(HealthCheckId=check["Id"])["HealthCheckObservations"]
    return seen["StatusReport"]["Status"].split(":")[0]


assert status() == "Failure"
with refused("HealthCheckVersionMismatch"):
    route53.update_health_check(HealthCheckId=check["Id"], HealthCheckVersion=7, Port=80)
updated = route53.update_health_check(HealthCheckId=check["Id"], HealthCheckVersion=1, Port=80)["HealthCheck"]
assert updated["HealthCheckVersion"] == 2 and updated["HealthCheckConfig"]["Port"] == 80, updated
answers("db.store.internal", "192.0.2.11")
assert status() == "Success"
with refused("HealthCheckInUse"):
    route53.delete_health_check(HealthCheckId=check["Id"])

bare = zone_id.split("/")[-1]
route53.change_tags_for_resource(
    ResourceType="hostedzone", ResourceId=bare, AddTags=[{"Key": "team", "Value": "shop"}, {"Key": "old", "Value": "1"}]
)
route53.change_tags_for_resource(ResourceType="hostedzone", ResourceId=bare, RemoveTagKeys=["old"])
tags = route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=bare)["ResourceTagSet"]["Tags"]
assert tags == [{"Key": "team", "Value": "shop"}], tags

# All of it goes.
with refused("HostedZoneNotEmpty"):
    route53.delete_hosted_zone(Id=zone_id)
everything = route53.list_resource_record_sets(HostedZoneId=zone_id)["ResourceRecordSets"]
change(*[("DELETE", it) for it in everything if it["Type"] not in ("NS", "SOA")])
answers("db.store.internal")
route53.delete_health_check(HealthCheckId=check["Id"])
checks = route53.get_paginator("list_health_checks").paginate().search("HealthChecks[]")
assert list(checks) == []
route53.delete_hosted_zone(Id=zone_id)
with refused("NoSuchHostedZone"):
    route53.get_hosted_zone(Id=zone_id)
