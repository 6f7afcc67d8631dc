"""Finds the load balancer and what is behind it, takes a target out and puts it back."""

from cloud import client, quick, refused

elbv2 = client("elbv2")

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

with refused("LoadBalancerNotFound"):
    elbv2.describe_load_balancers(Names=["elsewhere"])
