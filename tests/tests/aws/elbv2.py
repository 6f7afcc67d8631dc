"""Finds the load balancer and what is behind it, takes a target out and puts it back; makes others, and asks through them."""

import urllib.error
import urllib.request

from cloud import client, quick, refused, until

elbv2, ec2 = client("elbv2"), client("ec2")


def fixed(word):
    config = {"StatusCode": "418", "ContentType": "text/plain", "MessageBody": word}
    return [{"Type": "fixed-response", "FixedResponseConfig": config}]


quick(elbv2.get_waiter("load_balancer_exists"), Names=["site"])
quick(elbv2.get_waiter("load_balancer_available"), Names=["site"])
site = elbv2.describe_load_balancers(Names=["site"])["LoadBalancers"][0]
assert site["Type"] == "application" and site["Scheme"] == "internet-facing", site
assert site["DNSName"].startswith("site-"), site
listeners = elbv2.get_paginator("describe_listeners").paginate(LoadBalancerArn=site["LoadBalancerArn"])
(listener,) = [it for page in listeners for it in page["Listeners"]]
assert (listener["Port"], listener["Protocol"]) == (80, "HTTP"), listener
group = listener["DefaultActions"][0]["TargetGroupArn"]
(rule,) = elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
assert rule["IsDefault"] and rule["Priority"] == "default", rule

health = elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
targets = [it["Target"] for it in health]
assert len(targets) == 2, health
quick(elbv2.get_waiter("target_in_service"), TargetGroupArn=group)
elbv2.deregister_targets(TargetGroupArn=group, Targets=targets[:1])
quick(elbv2.get_waiter("target_deregistered"), TargetGroupArn=group, Targets=targets[:1])
elbv2.register_targets(TargetGroupArn=group, Targets=targets[:1])
quick(elbv2.get_waiter("target_in_service"), TargetGroupArn=group, Targets=targets)

# What a check met is told.
elbv2.modify_target_group(TargetGroupArn=group, Matcher={"HttpCode": "204"})
met = {"State": "unhealthy", "Reason": "Target.ResponseCodeMismatch", "Description": "Health checks failed with these codes: [200]"}
def all_met():
    described = elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return all(it["TargetHealth"] == met for it in described)


until("the code is told", all_met)
elbv2.modify_target_group(TargetGroupArn=group, Matcher={"HttpCode": "200"})
quick(elbv2.get_waiter("target_in_service"), TargetGroupArn=group, Targets=targets)

with refused("LoadBalancerNotFound"):
    elbv2.describe_load_balancers(Names=["elsewhere"])

# A load balancer of one's own, with everything that belongs to it.
subnets = sorted(it["SubnetId"] for it in ec2.describe_subnets()["Subnets"])
made = {
    "Name": "canary",
    "Subnets": subnets,
    "Scheme": "internal",
    "Tags": [{"Key": "team", "Value": "shop"}],
}
canary = elbv2.create_load_balancer(**made)["LoadBalancers"][0]
assert canary["State"]["Code"] == "provisioning" and canary["Scheme"] == "internal", canary
arn = canary["LoadBalancerArn"]
quick(elbv2.get_waiter("load_balancer_available"), LoadBalancerArns=[arn])
assert elbv2.create_load_balancer(**made)["LoadBalancers"][0]["LoadBalancerArn"] == arn
with refused("DuplicateLoadBalancerName"):
    elbv2.create_load_balancer(**{**made, "Scheme": "internet-facing"})
with refused("ValidationError"):
    elbv2.create_load_balancer(Name="narrow", Subnets=subnets[:1])
with refused("SubnetNotFound"):
    elbv2.create_load_balancer(Name="lost", Subnets=["subnet-00000000000000000"])
with refused("NotImplemented"):
    elbv2.create_load_balancer(Name="gate", Subnets=subnets, Type="gateway")

vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
asked = {
    "Name": "canaries",
    "Protocol": "HTTP",
    "Port": 8080,
    "VpcId": vpc,
    "HealthCheckPath": "/health",
    "HealthCheckIntervalSeconds": 10,
    "HealthyThresholdCount": 2,
    "Matcher": {"HttpCode": "200-299"},
}
own = elbv2.create_target_group(**asked)["TargetGroups"][0]
assert (own["HealthCheckIntervalSeconds"], own["Matcher"]["HttpCode"]) == (10, "200-299"), own
assert elbv2.create_target_group(**asked)["TargetGroups"][0]["TargetGroupArn"] == own["TargetGroupArn"]
with refused("DuplicateTargetGroupName"):
    elbv2.create_target_group(**{**asked, "Port": 8081})
with refused("NotImplemented"):
    elbv2.create_target_group(**{**asked, "Name": "tls", "Protocol": "HTTPS"})
group = own["TargetGroupArn"]
to_group = [{"Type": "forward", "TargetGroupArn": group}]
listener = elbv2.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=8181, DefaultActions=to_group)["Listeners"][0]
with refused("DuplicateListener"):
    elbv2.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=8181, DefaultActions=fixed("other"))
with refused("TargetGroupAssociationLimit"):
    elbv2.create_listener(LoadBalancerArn=site["LoadBalancerArn"], Protocol="HTTP", Port=8182, DefaultActions=to_group)
with refused("UnsupportedProtocol"):
    elbv2.create_listener(LoadBalancerArn=arn, Protocol="TCP", Port=8183, DefaultActions=to_group)
with refused("NotImplemented"):
    elbv2.create_listener(LoadBalancerArn=arn, Protocol="HTTPS", Port=8443, DefaultActions=to_group)


def get(path, port=8181):
    try:
        with urllib.request.urlopen(f"http://{canary['DNSName']}:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return None, str(error)


until("no target, 503", lambda: get("/whoami")[0] == 503)
elbv2.register_targets(TargetGroupArn=group, Targets=targets)
quick(elbv2.get_waiter("target_in_service"), TargetGroupArn=group)
status, body = until("it serves", lambda: [it for it in [get("/whoami")] if it[0] == 200])[0]
assert "web-" in body, body

# Rules, in an order that changes while their ARNs do not.
rules = {}
for priority, word in ((10, "first"), (20, "second")):
    rules[word] = elbv2.create_rule(
        ListenerArn=listener["ListenerArn"],
        Priority=priority,
        Conditions=[{"Field": "path-pattern", "Values": ["/beta/*"]}],
        Actions=fixed(word),
    )["Rules"][0]["RuleArn"]
until("the first rule answers", lambda: get("/beta/x") == (418, "first"))
with refused("PriorityInUse"):
    elbv2.set_rule_priorities(RulePriorities=[{"RuleArn": rules["first"], "Priority": 20}])
swapped = [{"RuleArn": rules["first"], "Priority": 20}, {"RuleArn": rules["second"], "Priority": 10}]
elbv2.set_rule_priorities(RulePriorities=swapped)
until("the second rule answers", lambda: get("/beta/x") == (418, "second"))
listed = elbv2.describe_rules(RuleArns=[rules["first"]])["Rules"][0]
assert listed["Priority"] == "20" and listed["Actions"][0]["FixedResponseConfig"]["MessageBody"] == "first", listed
elbv2.modify_rule(RuleArn=rules["second"], Actions=fixed("changed"))
until("the changed rule answers", lambda: get("/beta/x") == (418, "changed"))
elbv2.delete_rule(RuleArn=rules["second"])
until("the first rule is left", lambda: get("/beta/x") == (418, "first"))
with refused("RuleNotFound"):
    elbv2.describe_rules(RuleArns=[rules["second"]])

moved = elbv2.modify_listener(ListenerArn=listener["ListenerArn"], Port=8282)["Listeners"][0]
assert moved["ListenerArn"] == listener["ListenerArn"] and moved["Port"] == 8282, moved
until("it listens on the other port", lambda: get("/beta/x", 8282) == (418, "first"))
until("not on the old one", lambda: get("/whoami", 8181)[0] is None)
assert elbv2.describe_rules(RuleArns=[rules["first"]])["Rules"][0]["Priority"] == "20"


def attributes(answer):
    return {it["Key"]: it["Value"] for it in answer["Attributes"]}


idle = [{"Key": "idle_timeout.timeout_seconds", "Value": "30"}, {"Key": "deletion_protection.enabled", "Value": "true"}]
elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=idle)
kept = attributes(elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn))
assert kept["idle_timeout.timeout_seconds"] == "30" and kept["deletion_protection.enabled"] == "true", kept
with refused("InvalidConfigurationRequest"):
    elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[{"Key": "nonsense", "Value": "1"}])
delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}]
kept = attributes(elbv2.modify_target_group_attributes(TargetGroupArn=group, Attributes=delay))
assert kept["deregistration_delay.timeout_seconds"] == "5", kept
with refused("NotImplemented"):
    elbv2.modify_target_group_attributes(TargetGroupArn=group, Attributes=[{"Key": "slow_start.duration_seconds", "Value": "30"}])
checked = elbv2.modify_target_group(TargetGroupArn=group, HealthCheckIntervalSeconds=20)["TargetGroups"][0]
assert (checked["HealthCheckIntervalSeconds"], checked["HealthCheckPath"]) == (20, "/health"), checked

elbv2.add_tags(ResourceArns=[arn, group], Tags=[{"Key": "tier", "Value": "edge"}])
elbv2.remove_tags(ResourceArns=[arn], TagKeys=["team"])
tags = elbv2.describe_tags(ResourceArns=[arn, group])["TagDescriptions"]
assert [it["Tags"] for it in tags] == [[{"Key": "tier", "Value": "edge"}]] * 2, tags

# It goes, and what belongs to it.
with refused("ResourceInUse"):
    elbv2.delete_target_group(TargetGroupArn=group)
with refused("OperationNotPermitted"):
    elbv2.delete_load_balancer(LoadBalancerArn=arn)
elbv2.modify_load_balancer_attributes(
    LoadBalancerArn=arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}]
)
elbv2.delete_load_balancer(LoadBalancerArn=arn)
quick(elbv2.get_waiter("load_balancers_deleted"), LoadBalancerArns=[arn])
until("it answers no more", lambda: get("/whoami", 8282)[0] is None)
elbv2.delete_load_balancer(LoadBalancerArn=arn)
elbv2.delete_target_group(TargetGroupArn=group)
with refused("TargetGroupNotFound"):
    elbv2.describe_target_groups(TargetGroupArns=[group])

# A network load balancer.
edge = elbv2.create_load_balancer(Name="edge", Type="network", Subnets=subnets)["LoadBalancers"][0]
tcp = elbv2.create_target_group(Name="tcp", Protocol="TCP", Port=8080, VpcId=vpc)["TargetGroups"][0]["TargetGroupArn"]
elbv2.register_targets(TargetGroupArn=tcp, Targets=targets)
elbv2.create_listener(
    LoadBalancerArn=edge["LoadBalancerArn"],
    Protocol="TCP",
    Port=8383,
    DefaultActions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": tcp, "Weight": 1}]}}],
)
canary = edge
status, body = until("the NLB serves", lambda: [it for it in [get("/whoami", 8383)] if it[0] == 200])[0]
assert "web-" in body, body
