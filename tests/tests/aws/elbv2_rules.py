"""Rules in full: who asks, for what and with which headers decides; clients are sent elsewhere, or to one of several target groups."""

import http.client

from cloud import client, quick, refused, until

elbv2, ec2 = client("elbv2"), client("ec2")
site = elbv2.describe_load_balancers(Names=["site"])["LoadBalancers"][0]
http_listener = elbv2.describe_listeners(LoadBalancerArn=site["LoadBalancerArn"])["Listeners"][0]
web = http_listener["DefaultActions"][0]["TargetGroupArn"]
listener = http_listener["ListenerArn"]
vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]


def ask(path, method="GET", headers=None):
    connection = http.client.HTTPConnection(site["DNSName"], 80, timeout=5)
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def fixed(word):
    config = {"StatusCode": "418", "ContentType": "text/plain", "MessageBody": word}
    return [{"Type": "fixed-response", "FixedResponseConfig": config}]


def rule(priority, conditions, actions):
    made = elbv2.create_rule(ListenerArn=listener, Priority=priority, Conditions=conditions, Actions=actions)
    return made["Rules"][0]


path = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/x/*"]}}
kinds = {
    "header": {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Env", "Values": ["can*"]}},
    "method": {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["PURGE"]}},
    "query": {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "v", "Value": "2"}, {"Value": "beta"}]}},
    "source": {"Field": "source-ip", "SourceIpConfig": {"Values": ["127.0.0.0/8"]}},
}
for priority, (word, condition) in enumerate(kinds.items(), start=1):
    shown = rule(priority, [path, condition], fixed(word))
    assert condition in shown["Conditions"], shown
until("the last rule is there", lambda: ask("/x/")[2] == "source")
assert ask("/x/", headers={"x-env": "CANARY"})[2] == "header"
assert ask("/x/", "PURGE")[2] == "method"
assert ask("/x/?a=1&V=2")[2] == "query" and ask("/x/?anything=BETA")[2] == "query"
assert ask("/y/", "PURGE")[2] != "method"

# Where clients are sent.
to = {"Protocol": "HTTPS", "Port": "443", "Path": "/new/#{path}", "StatusCode": "HTTP_301"}
there = [{"Field": "path-pattern", "Values": ["/old/*"]}]
shown = rule(10, there, [{"Type": "redirect", "RedirectConfig": to}])
assert shown["Actions"][0]["RedirectConfig"]["Host"] == "#{host}", shown
until("it is sent away", lambda: ask("/old/a?b=c")[0] == 301)
status, headers, body = ask("/old/a?b=c")
assert headers["Location"] == f"https://{site['DNSName']}:443/new/old/a?b=c", headers
assert headers["Server"] == "awselb/2.0" and "301 Moved Permanently" in body, (headers, body)
with refused("InvalidLoadBalancerAction"):
    rule(11, there, [{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_302"}}])

# Several target groups. No group steps in for another: the share of an empty one is answered with 503.
empty = elbv2.create_target_group(Name="empty", Protocol="HTTP", Port=8080, VpcId=vpc)["TargetGroups"][0]["TargetGroupArn"]


def split(web_weight, empty_weight, stickiness=None):
    groups = [{"TargetGroupArn": web, "Weight": web_weight}, {"TargetGroupArn": empty, "Weight": empty_weight}]
    config = {"TargetGroups": groups}
    if stickiness:
        config["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": stickiness}
    return [{"Type": "forward", "ForwardConfig": config}]


both = rule(20, [{"Field": "path-pattern", "Values": ["/whoami"]}], split(1, 1, stickiness=60))
assert both["Actions"][0]["ForwardConfig"]["TargetGroupStickinessConfig"]["DurationSeconds"] == 60, both
until("both get a share", lambda: {ask("/whoami")[0] for _ in range(20)} == {200, 503})
status, headers, _ = until("a share", lambda: [it for it in [ask("/whoami")] if it[0] == 200])[0]
cookies = [it.split(";")[0] for it in headers.get_all("Set-Cookie")]
assert [it.split("=")[0] for it in cookies] == ["AWSALBTG", "AWSALBTGCORS"], cookies
assert {ask("/whoami", headers={"Cookie": "; ".join(cookies)})[0] for _ in range(20)} == {200}
elbv2.modify_rule(RuleArn=both["RuleArn"], Actions=split(0, 5))
until("all of it goes to the empty group", lambda: {ask("/whoami")[0] for _ in range(10)} == {503})
elbv2.modify_rule(RuleArn=both["RuleArn"], Actions=split(999, 0))
until("none of it does", lambda: {ask("/whoami")[0] for _ in range(10)} == {200})
with refused("ResourceInUse"):
    elbv2.delete_target_group(TargetGroupArn=empty)

# What AWS does not take.
with refused("InvalidLoadBalancerAction"):
    rule(30, [path], split(1, 1, stickiness=700_000))
with refused("ValidationError"):
    rule(30, [path, path], fixed("twice"))
with refused("ValidationError"):
    rule(30, [{"Field": "path-pattern", "Values": ["/*/*/*/*/*/*"]}], fixed("wild"))
with refused("ValidationError"):
    rule(30, [{"Field": "source-ip", "SourceIpConfig": {"Values": ["nowhere"]}}], fixed("lost"))
with refused("NotImplemented"):
    rule(30, [{"Field": "path-pattern", "PathPatternConfig": {"RegexValues": ["^/x$"]}}], fixed("regex"))
elbv2.delete_rule(RuleArn=both["RuleArn"])
elbv2.delete_target_group(TargetGroupArn=empty)


# Stickiness to a target, whose cookie comes with every answer.
def attribute(**pairs):
    pairs = [{"Key": key.replace("__", "."), "Value": value} for key, value in pairs.items()]
    answer = elbv2.modify_target_group_attributes(TargetGroupArn=web, Attributes=pairs)
    return {it["Key"]: it["Value"] for it in answer["Attributes"]}


shown = attribute(stickiness__enabled="true", stickiness__type="lb_cookie", stickiness__lb_cookie__duration_seconds="60")
assert (shown["stickiness.enabled"], shown["stickiness.lb_cookie.duration_seconds"]) == ("true", "60"), shown
_, headers, first = until("a cookie", lambda: [it for it in [ask("/whoami")] if it[1].get_all("Set-Cookie")])[0]
cookies = [it.split(";")[0] for it in headers.get_all("Set-Cookie")]
assert [it.split("=")[0] for it in cookies] == ["AWSALB", "AWSALBCORS"], cookies
assert len({ask("/whoami")[2] for _ in range(10)}) == 2, "others take turns"
assert {ask("/whoami", headers={"Cookie": cookies[0]})[2] for _ in range(10)} == {first}
with refused("InvalidConfigurationRequest"):
    attribute(load_balancing__algorithm__type="weighted_random")
attribute(stickiness__enabled="false")
until("no cookie", lambda: not ask("/whoami")[1].get_all("Set-Cookie"))
shown = attribute(load_balancing__algorithm__type="least_outstanding_requests")
assert shown["load_balancing.algorithm.type"] == "least_outstanding_requests", shown
assert {ask("/whoami")[0] for _ in range(10)} == {200}

# What is kept, and what does not go together.
with refused("InvalidConfigurationRequest"):
    attribute(stickiness__enabled="true", stickiness__type="app_cookie")
with refused("InvalidConfigurationRequest"):
    attribute(stickiness__app_cookie__cookie_name="AWSALBAPP-0")
least = "target_group_health.dns_failover.minimum_healthy_targets"
health = [{"Key": f"{least}.count", "Value": "2"}, {"Key": f"{least}.percentage", "Value": "50"}]
answer = elbv2.modify_target_group_attributes(TargetGroupArn=web, Attributes=health)["Attributes"]
assert all(it in answer for it in health), answer
with refused("InvalidConfigurationRequest"):
    low = {"Key": "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "Value": "3"}
    elbv2.modify_target_group_attributes(TargetGroupArn=web, Attributes=[low])
headers = [
    {"Key": "routing.http.xff_header_processing.mode", "Value": "remove"},
    {"Key": "routing.http.xff_client_port.enabled", "Value": "true"},
    {"Key": "routing.http.preserve_host_header.enabled", "Value": "true"},
    {"Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "true"},
]
arn = site["LoadBalancerArn"]
elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=headers)
answer = elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
assert all(it in answer for it in headers), answer
for key, value, code in (
    ("routing.http.xff_header_processing.mode", "nonsense", "InvalidConfigurationRequest"),
    ("routing.http.desync_mitigation_mode", "strictest", "NotImplemented"),
):
    with refused(code):
        elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[{"Key": key, "Value": value}])
assert {ask("/whoami")[0] for _ in range(5)} == {200}
