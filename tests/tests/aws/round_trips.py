"""What was asked for is what is told: resources with attributes drawn at random are created, described, changed and deleted.

Of each resource it must hold that what is described has everything that was asked for; that asking for the same again makes nothing new; that a
change changes what it names and nothing else; that what is deleted is not described any more. The seed is told; SEED draws the same again.
"""

import os
import random
import string
import time

from cloud import client, quick, refused, until

elbv2, ec2, route53, rds, elasticache, fis = (
    client(name) for name in ("elbv2", "ec2", "route53", "rds", "elasticache", "fis")
)
seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
draw = random.Random(seed)
print(f"SEED={seed}", flush=True)

subnets = sorted(it["SubnetId"] for it in ec2.describe_subnets()["Subnets"])
vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
count = iter(range(1, 1_000))


def name(kind):
    letters = "".join(draw.choices(string.ascii_lowercase + string.digits, k=draw.randint(1, 12)))
    return f"{kind}{next(count)}-{letters}"


def text(longest=40):
    """A text as people write it, with what an encoding may lose."""
    alphabet = string.ascii_letters + string.digits + " äß東+=._:/@-"
    return "".join(draw.choices(alphabet, k=draw.randint(1, longest))).strip() or "text"


def tags():
    return [{"Key": f"key{n}", "Value": draw.choice(["", text()])} for n in range(draw.randint(0, 4))]


def some(**choices):
    """Some of the attributes, each with one of its values."""
    return {key: draw.choice(values) for key, values in choices.items() if draw.random() < 0.6}


def has(told, asked, but=()):
    """Whether all that was asked for is told, as deep as it was asked."""
    for key, value in asked.items():
        if key in but:
            continue
        assert key in told, f"{key} of {asked} is not told: {told}"
        if isinstance(value, dict):
            has(told[key], value)
        else:
            assert told[key] == value, f"{key}: asked {value!r}, told {told[key]!r}"


def same(before, after, but=()):
    """Whether nothing changed but these."""
    def rest(it):
        return {key: value for key, value in it.items() if key not in but}

    assert rest(before) == rest(after), f"changed: {before} {after}"


def by_key(pairs):
    return {it["Key"]: it["Value"] for it in pairs}


def tagged(arn, asked):
    (told,) = elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"]
    assert by_key(told["Tags"]) == by_key(asked), (told, asked)


def target_group():
    http = draw.random() < 0.5
    asked = {
        "Name": name("group"),
        "Protocol": "HTTP" if http else "TCP",
        "Port": draw.randint(1, 65535),
        "VpcId": vpc,
        **some(
            HealthCheckIntervalSeconds=[10, 30, 60],
            HealthyThresholdCount=[2, 5, 10],
            UnhealthyThresholdCount=[2, 3, 10],
            HealthCheckPort=["traffic-port"],
        ),
    }
    if http:
        asked |= some(HealthCheckPath=["/", "/health?deep=1"], Matcher=[{"HttpCode": "200"}, {"HttpCode": "200-299,301"}])
        asked |= some(HealthCheckTimeoutSeconds=[2, 5, 9])
    worn = tags()
    create = {**asked, **({"Tags": worn} if worn else {})}
    made = elbv2.create_target_group(**create)["TargetGroups"][0]
    arn = made["TargetGroupArn"]

    def told():
        return elbv2.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0]

    same(made, told())
    has(told(), {**asked, "TargetGroupName": asked["Name"]}, ["Name"])
    tagged(arn, worn)
    assert elbv2.create_target_group(**create)["TargetGroups"][0]["TargetGroupArn"] == arn
    before, change = told(), {"HealthyThresholdCount": draw.randint(2, 10), "HealthCheckIntervalSeconds": draw.choice([10, 15, 120])}
    elbv2.modify_target_group(TargetGroupArn=arn, **change)
    has(told(), change)
    same(before, told(), change)
    delay = str(draw.randint(0, 3600))
    elbv2.modify_target_group_attributes(
        TargetGroupArn=arn, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": delay}]
    )
    attributes = by_key(elbv2.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"])
    assert attributes["deregistration_delay.timeout_seconds"] == delay, attributes
    elbv2.delete_target_group(TargetGroupArn=arn)
    with refused("TargetGroupNotFound"):
        told()


def load_balancer():
    kind = draw.choice(["application", "network"])
    asked = {"Name": name("lb"), "Type": kind, **some(Scheme=["internal", "internet-facing"])}
    worn = tags()
    create = {**asked, "Subnets": subnets, **({"Tags": worn} if worn else {})}
    made = elbv2.create_load_balancer(**create)["LoadBalancers"][0]
    arn = made["LoadBalancerArn"]
    quick(elbv2.get_waiter("load_balancer_available"), LoadBalancerArns=[arn])

    def told():
        return elbv2.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]

    has(told(), {**asked, "LoadBalancerName": asked["Name"]}, ["Name"])
    same(made, told(), ["State"])
    assert sorted(zone["SubnetId"] for zone in told()["AvailabilityZones"]) == subnets, told()
    tagged(arn, worn)
    assert elbv2.create_load_balancer(**create)["LoadBalancers"][0]["LoadBalancerArn"] == arn
    key, value = draw.choice(
        [("deletion_protection.enabled", "false"), ("load_balancing.cross_zone.enabled", "true")]
        + ([("idle_timeout.timeout_seconds", str(draw.randint(1, 4000)))] if kind == "application" else [])
    )

    def attributes():
        return by_key(elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"])

    before = attributes()
    elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[{"Key": key, "Value": value}])
    assert attributes()[key] == value, attributes()
    same(before, attributes(), [key])
    listeners(arn, kind)
    elbv2.add_tags(ResourceArns=[arn], Tags=[{"Key": "added", "Value": "ü"}])
    tagged(arn, [*worn, {"Key": "added", "Value": "ü"}])
    elbv2.remove_tags(ResourceArns=[arn], TagKeys=["added"])
    tagged(arn, worn)
    elbv2.delete_load_balancer(LoadBalancerArn=arn)
    with refused("LoadBalancerNotFound"):
        told()


def listeners(balancer, kind):
    """What belongs to a load balancer goes with it, so it is left there."""
    protocol = "HTTP" if kind == "application" else "TCP"
    group = elbv2.create_target_group(Name=name("of"), Protocol=protocol, Port=8080, VpcId=vpc)["TargetGroups"][0]
    forward = [{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}]
    actions = forward
    if kind == "application" and draw.random() < 0.5:
        config = {"StatusCode": str(draw.choice([200, 404, 503])), "ContentType": "text/plain", "MessageBody": text(200)}
        actions = [{"Type": "fixed-response", "FixedResponseConfig": config}]
    asked = {"Protocol": protocol, "Port": draw.randint(20_000, 30_000)}
    made = elbv2.create_listener(LoadBalancerArn=balancer, DefaultActions=actions, **asked)["Listeners"][0]
    arn = made["ListenerArn"]

    def told():
        return elbv2.describe_listeners(ListenerArns=[arn])["Listeners"][0]

    same(made, told())
    has(told(), asked)
    has(told()["DefaultActions"][0], actions[0])
    if kind == "application":
        rules(arn, forward)
    before = told()
    elbv2.modify_listener(ListenerArn=arn, Port=before["Port"] + 1)
    assert told()["Port"] == before["Port"] + 1
    same(before, told(), ["Port"])


def rules(listener, forward):
    chosen = {
        "path-pattern": lambda: {"PathPatternConfig": {"Values": draw.sample(["/a*", "/b/?", "/c"], draw.randint(1, 3))}},
        "host-header": lambda: {"HostHeaderConfig": {"Values": draw.sample(["a.internal", "*.b.internal"], draw.randint(1, 2))}},
    }
    made = {}
    for priority in draw.sample(range(1, 50_000), draw.randint(1, 3)):
        fields = draw.sample(sorted(chosen), draw.randint(1, 2))
        conditions = [{"Field": field, **chosen[field]()} for field in fields]
        asked = {"Conditions": conditions, "Priority": priority, "Actions": forward}
        made[elbv2.create_rule(ListenerArn=listener, **asked)["Rules"][0]["RuleArn"]] = asked
    told = {it["RuleArn"]: it for it in elbv2.describe_rules(ListenerArn=listener)["Rules"] if not it["IsDefault"]}
    assert set(told) == set(made), (told, made)
    for arn, asked in made.items():
        assert told[arn]["Priority"] == str(asked["Priority"]), told[arn]
        for condition in asked["Conditions"]:
            (one,) = [it for it in told[arn]["Conditions"] if it["Field"] == condition["Field"]]
            has(one, condition)
        elbv2.delete_rule(RuleArn=arn)
        with refused("RuleNotFound"):
            elbv2.describe_rules(RuleArns=[arn])


def hosted_zone():
    domain, reference = f"{name('zone')}.internal", name("reference")
    asked = {"Name": domain, "CallerReference": reference, "HostedZoneConfig": {"Comment": text(), "PrivateZone": False}}
    made = route53.create_hosted_zone(**asked)["HostedZone"]
    id = made["Id"]
    got = route53.get_hosted_zone(Id=id)["HostedZone"]
    has(got, {"Name": domain + ".", "CallerReference": reference, "Config": asked["HostedZoneConfig"]})
    same(made, got)
    sets = []
    for n in range(draw.randint(1, 5)):
        kind = draw.choice(["A", "TXT", "CNAME"])
        values = {
            "A": lambda: [f"192.0.2.{draw.randint(1, 99)}", f"192.0.2.{draw.randint(100, 254)}"][: draw.randint(1, 2)],
            "TXT": lambda: [f'"{draw.choice(["v=1", "a b", "semi;colon"])}"'],
            "CNAME": lambda: [f"other{n}.internal"],
        }[kind]()
        record = {"Name": f"r{n}.{domain}.", "Type": kind, "TTL": draw.randint(0, 86_400)}
        sets.append({**record, "ResourceRecords": [{"Value": value} for value in values]})

    def change(action, records):
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": it} for it in records], "Comment": text()}
        info = route53.change_resource_record_sets(HostedZoneId=id, ChangeBatch=batch)["ChangeInfo"]
        quick(route53.get_waiter("resource_record_sets_changed"), Id=info["Id"])

    def told():
        pages = route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=id, PaginationConfig={"PageSize": 2})
        return [it for page in pages for it in page["ResourceRecordSets"] if it["Type"] not in ("NS", "SOA")]

    change("CREATE", sets)
    assert told() == sets, (told(), sets)
    sets[0]["TTL"] += 1
    change("UPSERT", sets)
    assert told() == sets, (told(), sets)
    change("DELETE", sets)
    assert told() == []
    route53.delete_hosted_zone(Id=id)
    with refused("NoSuchHostedZone"):
        route53.get_hosted_zone(Id=id)


def health_check():
    config = {
        "Type": draw.choice(["HTTP", "TCP"]),
        "FullyQualifiedDomainName": f"{name('check')}.internal",
        "Port": draw.randint(1, 65_535),
        **some(RequestInterval=[10, 30], FailureThreshold=[1, 3, 10]),
    }
    if config["Type"] == "HTTP":
        config |= some(ResourcePath=["/", "/health?x=1"])
    reference = name("reference")
    made = route53.create_health_check(CallerReference=reference, HealthCheckConfig=config)["HealthCheck"]
    id = made["Id"]

    def told():
        return route53.get_health_check(HealthCheckId=id)["HealthCheck"]

    same(made, told())
    has(told()["HealthCheckConfig"], config)
    assert route53.create_health_check(CallerReference=reference, HealthCheckConfig=config)["HealthCheck"]["Id"] == id
    before, port = told(), draw.randint(1, 65_535)
    route53.update_health_check(HealthCheckId=id, Port=port)
    has(told()["HealthCheckConfig"], {**config, "Port": port})
    same(before["HealthCheckConfig"], told()["HealthCheckConfig"], ["Port"])
    assert told()["HealthCheckVersion"] == before["HealthCheckVersion"] + 1
    route53.delete_health_check(HealthCheckId=id)
    with refused("NoSuchHealthCheck"):
        told()


def subnet_groups():
    called, description = name("subnets"), text()
    worn = tags()
    asked = {"DBSubnetGroupName": called, "DBSubnetGroupDescription": description}
    made = rds.create_db_subnet_group(SubnetIds=subnets, Tags=worn, **asked)["DBSubnetGroup"]

    def told():
        return rds.describe_db_subnet_groups(DBSubnetGroupName=called)["DBSubnetGroups"][0]

    same(made, told())
    has(told(), asked)
    assert sorted(it["SubnetIdentifier"] for it in told()["Subnets"]) == subnets
    assert by_key(rds.list_tags_for_resource(ResourceName=made["DBSubnetGroupArn"])["TagList"]) == by_key(worn)
    rds.delete_db_subnet_group(DBSubnetGroupName=called)
    with refused("DBSubnetGroupNotFoundFault"):
        told()


def db_instance():
    asked = {
        "DBInstanceIdentifier": name("db"),
        "Engine": "postgres",
        "MasterUsername": draw.choice(["app", "owner"]),
        "MultiAZ": draw.random() < 0.5,
        "AllocatedStorage": draw.randint(20, 200),
        "DBInstanceClass": draw.choice(["db.t3.micro", "db.m5.large"]),
        **some(
            BackupRetentionPeriod=[0, 1, 35],
            CopyTagsToSnapshot=[True, False],
            PreferredMaintenanceWindow=["mon:03:00-mon:04:00"],
            AutoMinorVersionUpgrade=[True, False],
            DBName=["shop", "users"],
        ),
    }
    worn = tags()
    made = rds.create_db_instance(MasterUserPassword="a-secret-of-8", Tags=worn, **asked)["DBInstance"]
    id = asked["DBInstanceIdentifier"]
    has(made, asked)

    def told():
        return rds.describe_db_instances(DBInstanceIdentifier=id)["DBInstances"][0]

    quick(rds.get_waiter("db_instance_available"), DBInstanceIdentifier=id)
    has(told(), asked)
    assert by_key(told()["TagList"]) == by_key(worn), told()
    # Asking for what is so changes nothing.
    before = told()
    rds.modify_db_instance(
        DBInstanceIdentifier=id, AllocatedStorage=asked["AllocatedStorage"], MultiAZ=asked["MultiAZ"], ApplyImmediately=True
    )
    same(before, told())
    change = {"DBInstanceClass": "db.r5.large", "BackupRetentionPeriod": 7}
    rds.modify_db_instance(DBInstanceIdentifier=id, ApplyImmediately=True, **change)
    until(f"{id} is changed", lambda: {key: told()[key] for key in change} == change)
    same(before, told(), change)
    rds.delete_db_instance(DBInstanceIdentifier=id, SkipFinalSnapshot=True)
    quick(rds.get_waiter("db_instance_deleted"), DBInstanceIdentifier=id)
    with refused("DBInstanceNotFound"):
        told()


def replication_group():
    nodes = draw.randint(1, 3)
    failover = nodes > 1 and draw.random() < 0.5
    asked = {
        "ReplicationGroupId": name("cache"),
        "ReplicationGroupDescription": text(),
        "NumCacheClusters": nodes,
        "AutomaticFailoverEnabled": failover,
        "CacheNodeType": draw.choice(["cache.t3.micro", "cache.m5.large"]),
    }
    worn = tags()
    made = elasticache.create_replication_group(Tags=worn, **asked)["ReplicationGroup"]
    id = asked["ReplicationGroupId"]

    def told():
        return elasticache.describe_replication_groups(ReplicationGroupId=id)["ReplicationGroups"][0]

    quick(elasticache.get_waiter("replication_group_available"), ReplicationGroupId=id)
    expected = {
        "Description": asked["ReplicationGroupDescription"],
        "CacheNodeType": asked["CacheNodeType"],
        "AutomaticFailover": "enabled" if failover else "disabled",
    }
    has(told(), expected)
    has(made, {key: expected[key] for key in ("Description", "CacheNodeType")})
    assert len(told()["MemberClusters"]) == nodes, told()
    assert by_key(elasticache.list_tags_for_resource(ResourceName=told()["ARN"])["TagList"]) == by_key(worn)
    before, description = told(), text()
    elasticache.modify_replication_group(
        ReplicationGroupId=id, ReplicationGroupDescription=description, ApplyImmediately=True
    )
    assert told()["Description"] == description
    same(before, told(), ["Description"])
    elasticache.delete_replication_group(ReplicationGroupId=id)
    quick(elasticache.get_waiter("replication_group_deleted"), ReplicationGroupId=id)
    with refused("ReplicationGroupNotFoundFault"):
        told()


def experiment_template():
    targets = {"some": {"resourceType": "aws:ec2:instance", "selectionMode": draw.choice(["ALL", "COUNT(1)", "PERCENT(50)"])}}
    targets["some"]["resourceTags"] = {"tier": text(20)}
    stop = {"actionId": "aws:ec2:stop-instances", "targets": {"Instances": "some"}, "parameters": {}}
    if draw.random() < 0.5:
        stop["parameters"] = {"startInstancesAfterDuration": f"PT{draw.randint(1, 59)}M"}
    asked = {
        "description": text(),
        "roleArn": "arn:aws:iam::123456789012:role/chaos",
        "stopConditions": [{"source": "none"}],
        "actions": {"stop": {**stop, **some(description=[text()])}},
        "targets": targets,
        "tags": {f"key{n}": text() for n in range(draw.randint(0, 3))},
    }
    made = fis.create_experiment_template(**asked)["experimentTemplate"]

    def told():
        return fis.get_experiment_template(id=made["id"])["experimentTemplate"]

    same(made, told())
    has(told(), asked)
    before, description = told(), text()
    fis.update_experiment_template(id=made["id"], description=description)
    assert told()["description"] == description
    same(before, told(), ["description", "lastUpdateTime"])
    fis.delete_experiment_template(id=made["id"])
    with refused("ResourceNotFoundException"):
        told()


for kind, rounds in [
    (target_group, 12),
    (load_balancer, 4),
    (hosted_zone, 4),
    (health_check, 10),
    (subnet_groups, 6),
    (experiment_template, 10),
    (db_instance, 1),
    (replication_group, 2),
]:
    for round in range(rounds):
        try:
            kind()
        except Exception as error:
            raise AssertionError(f"{kind.__name__}, round {round}, SEED={seed}") from error
