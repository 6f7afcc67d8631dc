"""Record sets of every policy and type, asked for with packets at the stack's resolvers."""

import contextlib
from collections import Counter

from botocore.exceptions import ClientError
from cloud import client, refused, until
from packets import ask, data

route53 = client("route53")
zone_id = route53.create_hosted_zone(Name="store.internal", CallerReference="store")["HostedZone"]["Id"]


def change(*changes):
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record} for action, record in changes]}
    return route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=batch)["ChangeInfo"]


def record(name, kind, *values, ttl=60, **more):
    name = f"{name}.store.internal" if name else "store.internal"
    return {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": value} for value in values], **more}


def create(*records):
    change(*[("CREATE", record) for record in records])


def alias(name, target, kind="A", **more):
    target = {"HostedZoneId": zone_id, "DNSName": f"{target}.store.internal", "EvaluateTargetHealth": True}
    return {"Name": f"{name}.store.internal", "Type": kind, "AliasTarget": target, **more}


@contextlib.contextmanager
def told(code, *texts):
    """What is done in it must be refused with this code and these words."""
    try:
        yield
    except ClientError as error:
        got = error.response["Error"]
        assert got["Code"] == code and all(text in got["Message"] for text in texts), error
    else:
        raise AssertionError(f"not refused with {code}")


def shares(name, times=400, **how):
    return Counter(data(name, **how)[0] for _ in range(times))


def answered(name, expected, **how):
    until(f"{name}: {expected}", lambda: set(data(f"{name}.store.internal", **how)) == set(expected))


def broken(name, threshold=1):
    """A health check that fails as soon as it is looked at."""
    config = {
        "Type": "TCP", "IPAddress": "127.0.0.1", "Port": 1, "RequestInterval": 10, "FailureThreshold": threshold,
    }  # fmt: skip
    id = route53.create_health_check(CallerReference=name, HealthCheckConfig=config)["HealthCheck"]["Id"]
    until(f"{name} fails", lambda: status(id) == "Failure")
    return id


def status(id):
    (seen,) = route53.get_health_check_status(HealthCheckId=id)["HealthCheckObservations"]
    return seen["StatusReport"]["Status"].split(":")[0]


def weighted(id, weight, value, **more):
    return record("w", "A", value, SetIdentifier=id, Weight=weight, **more)


# Weights are shares; weight 0 is for when every other is unhealthy.
create(weighted("a", 1, "192.0.2.1"), weighted("b", 3, "192.0.2.2"), weighted("c", 0, "192.0.2.3"))
until("the records are there", lambda: data("w.store.internal"))
counts = shares("w.store.internal")
assert set(counts) == {"192.0.2.1", "192.0.2.2"} and 60 <= counts["192.0.2.1"] <= 140, counts
sick = broken("sick")
change(
    ("UPSERT", weighted("a", 1, "192.0.2.1", HealthCheckId=sick)),
    ("UPSERT", weighted("b", 3, "192.0.2.2", HealthCheckId=sick)),
)
answered("w", ["192.0.2.3"])
assert set(shares("w.store.internal", 100)) == {"192.0.2.3"}
change(("UPSERT", weighted("c", 0, "192.0.2.3", HealthCheckId=sick)))
until("all count as healthy", lambda: set(shares("w.store.internal", 50)) == {"192.0.2.1", "192.0.2.2"})

# Up to eight healthy records in any order.
create(*[record("m", "A", f"192.0.2.{n}", SetIdentifier=str(n), MultiValueAnswer=True) for n in range(12)])
until("the records are there", lambda: data("m.store.internal"))
answers = [data("m.store.internal") for _ in range(40)]
assert all(len(set(it)) == 8 for it in answers) and len({tuple(it) for it in answers}) > 10, answers
change(
    *[
        ("UPSERT", record("m", "A", f"192.0.2.{n}", SetIdentifier=str(n), MultiValueAnswer=True, HealthCheckId=sick))
        for n in range(10)
    ]
)
answered("m", ["192.0.2.10", "192.0.2.11"])

# By region: the stack's own is ap-northeast-2.
create(
    record("l", "A", "192.0.2.1", SetIdentifier="us", Region="us-east-1"),
    record("l", "A", "192.0.2.2", SetIdentifier="jp", Region="ap-northeast-1"),
)
answered("l", ["192.0.2.2"], zone=1)
answered("l", ["192.0.2.2"])
change(("UPSERT", record("l", "A", "192.0.2.2", SetIdentifier="jp", Region="ap-northeast-1", HealthCheckId=sick)))
answered("l", ["192.0.2.1"], zone=1)

# By location: that of the zone's region, or of the subnet that a question tells of, as the topology has it.
create(
    record("g", "A", "192.0.2.1", SetIdentifier="kr", GeoLocation={"CountryCode": "KR"}),
    record("g", "A", "192.0.2.2", SetIdentifier="ca", GeoLocation={"CountryCode": "US", "SubdivisionCode": "CA"}),
    record("g", "A", "192.0.2.3", SetIdentifier="na", GeoLocation={"ContinentCode": "NA"}),
)
answered("g", ["192.0.2.1"], zone=1)
nobody = ask("g.store.internal")
assert (nobody.code, nobody.answers, len(nobody.authorities)) == ("NOERROR", [], 1), nobody
there = ask("g.store.internal", subnet="203.0.113.0/24")
assert ([it.data for it in there.answers], there.scope) == (["192.0.2.2"], 24), there
assert data("g.store.internal", subnet="198.51.100.0/24") == ["192.0.2.3"]
create(record("g", "A", "192.0.2.4", SetIdentifier="*", GeoLocation={"CountryCode": "*"}))
answered("g", ["192.0.2.4"])

# Nearest, with a bias: from Seoul it is nearer to Tokyo than to Virginia.
create(
    record("p", "A", "192.0.2.1", SetIdentifier="us", GeoProximityLocation={"AWSRegion": "us-east-1", "Bias": 0}),
    record(
        "p",
        "A",
        "192.0.2.2",
        SetIdentifier="jp",
        GeoProximityLocation={"Coordinates": {"Latitude": "35.68", "Longitude": "139.69"}},
    ),
)
answered("p", ["192.0.2.2"], zone=1)
far = {"AWSRegion": "us-east-1", "Bias": 99}
change(("UPSERT", record("p", "A", "192.0.2.1", SetIdentifier="us", GeoProximityLocation=far)))
answered("p", ["192.0.2.1"], zone=1)

# By address.
collection = route53.create_cidr_collection(Name="offices", CallerReference="offices")["Collection"]
with refused("CidrCollectionAlreadyExistsException"):
    route53.create_cidr_collection(Name="offices", CallerReference="again")


def located(name, *blocks, action="PUT", **more):
    changes = [{"LocationName": name, "Action": action, "CidrList": list(blocks)}]
    return route53.change_cidr_collection(Id=collection["Id"], Changes=changes, **more)


located("seoul", "203.0.113.0/24", "2001:db8::/32", CollectionVersion=1)
with refused("CidrCollectionVersionMismatchException"):
    located("seoul", "203.0.112.0/24", CollectionVersion=1)
with refused("CidrBlockInUseException"):
    located("busan", "203.0.113.0/24")
with refused("InvalidInput"):
    located("busan", "203.0.113.0/25")


def routed(value, location):
    config = {"CollectionId": collection["Id"], "LocationName": location}
    return record("c", "A", value, SetIdentifier=location, CidrRoutingConfig=config)


create(routed("192.0.2.1", "seoul"), routed("192.0.2.2", "*"))
answered("c", ["192.0.2.2"], zone=1)
assert data("c.store.internal", subnet="203.0.113.0/26") == ["192.0.2.1"]
assert data("c.store.internal", subnet="2001:db8:7::/48") == ["192.0.2.1"]
with told("InvalidChangeBatch", "does not exist"):
    create(record("c", "A", "192.0.2.3", SetIdentifier="x", CidrRoutingConfig=routed("", "x")["CidrRoutingConfig"]))
with refused("CidrCollectionInUseException"):
    route53.delete_cidr_collection(Id=collection["Id"])
blocks = route53.get_paginator("list_cidr_blocks").paginate(
    CollectionId=collection["Id"], PaginationConfig={"PageSize": 1}
)
blocks = [it["CidrBlock"] for page in blocks for it in page["CidrBlocks"]]
assert blocks == ["2001:db8::/32", "203.0.113.0/24"], blocks
locations = route53.list_cidr_locations(CollectionId=collection["Id"])["CidrLocations"]
assert locations == [{"LocationName": "seoul"}], locations
(listed,) = route53.list_cidr_collections()["CidrCollections"]
assert listed["Name"] == "offices" and listed["Version"] == 2, listed

# Policies chained by aliases: a region of weighted records.
create(
    weighted("green", 1, "192.0.2.8") | {"Name": "wg.store.internal"},
    alias("chain", "wg", SetIdentifier="kr", Region="ap-northeast-2"),
    record("chain", "A", "192.0.2.9", SetIdentifier="us", Region="us-east-1"),
)
answered("chain", ["192.0.2.8"], zone=1)
green = weighted("green", 1, "192.0.2.8", HealthCheckId=sick) | {"Name": "wg.store.internal"}
change(("UPSERT", green))
answered("chain", ["192.0.2.9"], zone=1)

# Every type.
digest = "ab" * 32
every = [
    record("all", "AAAA", "2001:db8::1"),
    record("", "CAA", '0 issue "ca.example.com"'),
    record("", "MX", "10 mail.store.internal", "20 mail2.store.internal"),
    record("", "TXT", '"one" "two"', '"\\101\\"b"'),
    record("", "SPF", '"v=spf1 -all"'),
    record("1", "PTR", "host.store.internal"),
    record("_xmpp._tcp", "SRV", "1 10 5269 xmpp.store.internal"),
    record("tel", "NAPTR", '100 10 "u" "sip" "!^.*$!sip:a@example.com!" .'),
    record("sub", "NS", "ns1.example.com", "ns2.example.com"),
    record("sub", "DS", f"12345 13 2 {digest}"),
    record("all", "HTTPS", '1 . alpn="h3,h2"'),
    record("all", "SVCB", "0 svc.store.internal"),
    record("all", "SSHFP", f"4 2 {digest}"),
    record("_443._tcp.all", "TLSA", f"3 1 1 {digest}"),
    record("*.wild", "A", "192.0.2.77"),
]
create(*every)
until("the records are there", lambda: data("all.store.internal", "AAAA") == ["2001:db8::1"])
for it in every:
    name = it["Name"].replace("*", "any")
    assert len(data(name, it["Type"])) == len(it["ResourceRecords"]), (it, ask(name, it["Type"]))
assert sorted(data("store.internal", "TXT")) == [b'\x03A"b', b"\x03one\x03two"], data("store.internal", "TXT")
listed = route53.list_resource_record_sets(HostedZoneId=zone_id, MaxItems="300")["ResourceRecordSets"]
assert any(it["Name"] == "\\052.wild.store.internal." for it in listed), listed
for it in every:
    key = (it["Name"].replace("*", "\\052") + ".", it["Type"])
    (found,) = [it for it in listed if (it["Name"], it["Type"]) == key]
    assert found["ResourceRecords"] == it["ResourceRecords"], found
# What is delegated is not ours to tell of.
assert ask("www.sub.store.internal").code == "SERVFAIL"

# What is wrong is told in AWS's words.
for wrong, words in [
    (record("x", "A", "1.2.3"), "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) encountered with '1.2.3'"),
    (record("x", "AAAA", "192.0.2.1"), "AAAARRDATAIllegalIPv6Address"),
    (record("x", "SRV", "1 2 3"), "SRVRRDATANotFourFields (SRV record doesn't have 4 fields)"),
    (record("x", "TXT", "bare"), "InvalidCharacterString (Value should be enclosed in quotation marks)"),
    (record("x", "TXT", '"' + "x" * 256 + '"'), "CharacterStringTooLong (Value is too long)"),
    (record("x", "A", "192.0.2.1", "192.0.2.1"), "Duplicate Resource Record: '192.0.2.1'"),
    (record("x", "SOA", "a b 1 2 3 4 5"), "only permitted at apex"),
    (record("w", "A", "192.0.2.1"), "cannot be created as other RRSets exist with the same name and type"),
    (weighted("d", 1, "192.0.2.9", TTL=5), "weighted sets must contain the same TTL"),
    (record("w", "A", "192.0.2.9", SetIdentifier="x", Region="us-east-1"), "cannot be created as a non-latency set exists"),
    (
        record("w", "A", "192.0.2.9", SetIdentifier="x", MultiValueAnswer=True),
        "cannot be created because a non multivalue answer rrset exists with the same name and type",
    ),
    (record("g", "A", "192.0.2.9", SetIdentifier="x", GeoLocation={"CountryCode": "KR"}), "geolocation set for the same"),
    (record("", "NS", "ns.example.com"), "but it already exists"),
    (alias("x", "nothing"), "but that target was not found"),
    (alias("x", "x"), "leads back"),
    (record("w", "CNAME", "example.com"), "is not permitted as it conflicts with other records"),
]:
    with told("InvalidChangeBatch", words):
        create(wrong)
for wrong, words in [
    (record("x", "A", "192.0.2.1", Weight=1), "Missing field 'SetIdentifier'"),
    (record("x", "A", "192.0.2.1", SetIdentifier="x"), "Expected exactly one of [Weight, Region, Failover"),
    (record("x", "A", "192.0.2.1", SetIdentifier="x", Weight=1, Region="us-east-1"), "but found more than one"),
    (record("x", "A", "192.0.2.1", SetIdentifier="x", GeoLocation={"CountryCode": "ZZ"}), "'ZZ'"),
    (alias("x", "w", SetIdentifier="x", MultiValueAnswer=True), "AliasTarget"),
]:
    with told("InvalidInput", words):
        create(wrong)
required = [it for it in listed if it["Type"] in ("NS", "SOA") and it["Name"] == "store.internal."]
with told("InvalidChangeBatch", "at least one NS record", "exactly one SOA record"):
    change(*[("DELETE", it) for it in required])

# Answers as name servers give them.
missing = ask("nothing.store.internal")
assert (missing.code, [it.kind for it in missing.authorities]) == ("NXDOMAIN", ["SOA"]), missing
assert missing.authorities[0].ttl <= 900
assert ask("sToRe.InTeRnAl", "SOA").question == "sToRe.InTeRnAl"
assert ask("sToRe.InTeRnAl", "SOA").answers[0].name == "sToRe.InTeRnAl"
assert ask("store.internal", "ANY").code == "REFUSED"
assert ask("example.com").code == "REFUSED"
create(record("big", "A", *[f"192.0.2.{n}" for n in range(200)]))
until("the record is there", lambda: ask("big.store.internal").truncated)
plain, large, whole = (ask("big.store.internal", **how) for how in ({}, {"size": 4096}, {"tcp": True}))
assert plain.truncated and plain.size <= 512 and large.truncated and large.size <= 1232, (plain, large)
assert not whole.truncated and len(whole.answers) == 200, whole
change(
    ("UPSERT", record("", "SOA", "ns.store.internal. admin.store.internal. 2 7200 900 1209600 7", ttl=300)),
    ("UPSERT", record("", "NS", "ns.store.internal.")),
)
until("negative answers last for 7 s", lambda: ask("nothing.store.internal").authorities[0].ttl == 7)
assert data("store.internal", "NS") == ["ns.store.internal"]

# All of it goes.
everything = route53.list_resource_record_sets(HostedZoneId=zone_id, MaxItems="300")["ResourceRecordSets"]
own = [it for it in everything if not (it["Type"] in ("NS", "SOA") and it["Name"] == "store.internal.")]
change(*[("DELETE", it) for it in own])
located("seoul", *blocks, action="DELETE_IF_EXISTS")
route53.delete_cidr_collection(Id=collection["Id"])
with refused("NoSuchCidrCollectionException"):
    route53.list_cidr_blocks(CollectionId=collection["Id"])
route53.delete_hosted_zone(Id=zone_id)
route53.delete_health_check(HealthCheckId=sick)
