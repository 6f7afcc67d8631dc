"""Locks up a database, a cache, an application and its load balancer with security groups; looks at who gets through, and at what was open."""

import json
import socket
import urllib.error
import urllib.request

from cloud import refused, until
from guarded import (
    EVERYBODY,
    OUTSIDE,
    allow,
    answers,
    cache,
    connects,
    database,
    elasticache,
    give_database,
    health,
    made,
    opened,
    pings,
    rds,
    revoke,
    seen_from,
    tcp,
    vpc,
)
from outages import ec2, elbv2, get, instances, servers, site, subnets, zones

near, far = zones
HEALTHY = {("healthy", None)}


def told(**filters):
    wanted = [{"Name": name.replace("__", ".").replace("_", "-"), "Values": [value]} for name, value in filters.items()]
    pages = ec2.get_paginator("describe_security_groups").paginate(Filters=wanted, PaginationConfig={"PageSize": 5})
    return [it["GroupName"] for page in pages for it in page["SecurityGroups"]]


def order(item, at=site["DNSName"]):
    """Has the application write to its database; whether it did."""
    body = json.dumps({"item": item, "quantity": 1}).encode()
    asked = urllib.request.Request(f"http://{at}/orders", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.load(answer)["item"] == item
    except urllib.error.HTTPError as error:
        assert error.code == 503, error
        return False


def described(id):
    return ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"][0]


# Everything has the default one, in which everybody is let in.
(default,) = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
assert site["SecurityGroups"] == [default["GroupId"]], site
(orders,) = rds.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"]
assert orders["VpcSecurityGroups"] == [{"VpcSecurityGroupId": default["GroupId"], "Status": "active"}], orders
assert described(instances[near])["SecurityGroups"] == [{"GroupId": default["GroupId"], "GroupName": "default"}]
assert sum(len(it["UserIdGroupPairs"]) + len(it["IpRanges"]) for it in default["IpPermissions"]) == 2, default

# One for each tier, the next of which it lets in.
lb, web, db, sessions = made("lb"), made("web", tier="web"), made("db"), made("sessions")
with refused("InvalidGroup.Duplicate"):
    made("web")
with refused("DryRunOperation"):
    ec2.delete_security_group(GroupId=db, DryRun=True)
allow(lb, 80, EVERYBODY)
to_web = allow(web, 8080, lb)
allow(db, database.port, web)
allow(sessions, cache.port, web)
with refused("InvalidPermission.Duplicate"):
    allow(db, database.port, web)
assert sorted(told(ip_permission__group_id=web)) == ["db", "sessions"]
assert told(tag_key="tier") == ["web"]
assert len(told()) == 5
rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [web]}])["SecurityGroupRules"]
assert {it["IsEgress"]: it.get("ReferencedGroupInfo", {}).get("GroupId") for it in rules} == {True: None, False: lb}, rules

until("both targets are healthy", lambda: health() == HEALTHY)
assert connects(database.hostname, database.port) and order("before")
untracked = opened(cache)
assert pings(untracked)
visitor = socket.create_connection((site["DNSName"], 80), timeout=2)
VISIT = b"GET /whoami HTTP/1.1\r\nHost: site\r\n\r\n"
visitor.sendall(VISIT)
assert answers(visitor)

given = elbv2.set_security_groups(LoadBalancerArn=site["LoadBalancerArn"], SecurityGroups=[lb])
assert given["SecurityGroupIds"] == [lb], given
for instance in instances.values():
    ec2.modify_instance_attribute(InstanceId=instance, Groups=[web])
give_database(db)
elasticache.modify_replication_group(ReplicationGroupId="sessions", SecurityGroupIds=[sessions], ApplyImmediately=True)
for node in elasticache.describe_cache_clusters()["CacheClusters"]:
    assert node["SecurityGroups"] == [{"SecurityGroupId": sessions, "Status": "active"}], node
assert described(instances[near])["SecurityGroups"] == [{"GroupId": web, "GroupName": "web"}]
with refused("DependencyViolation"):
    ec2.delete_security_group(GroupId=web)

# The application goes on writing; nobody else gets at what it uses, or at itself but through its load balancer.
until("the database is dark from outside", lambda: not connects(database.hostname, database.port))
assert connects(seen_from(far, database.hostname), database.port)
address = described(instances[near])["PrivateIpAddress"]
until("the application is dark from outside", lambda: not connects(address, 8080))
assert not connects(seen_from(far, address), 8080)
assert order("guarded") and len(servers(site["DNSName"])) == 2
assert health() == HEALTHY

# Of a zone's instances those get in whom a rule names, though they share their addresses with the others.
jobs = made("jobs")
allow(jobs, 8080, OUTSIDE)
asked = {"ImageId": described(instances[far])["ImageId"], "MinCount": 1, "MaxCount": 1}
(worker,) = ec2.run_instances(**asked, Placement={"AvailabilityZone": far}, SecurityGroupIds=[jobs])["Instances"]
assert worker["SecurityGroups"] == [{"GroupId": jobs, "GroupName": "jobs"}], worker
worker = worker["InstanceId"]
until("the worker runs", lambda: described(worker)["State"]["Name"] == "running")
at = f"{described(worker)['PrivateIpAddress']}:8080"
until("the worker serves", lambda: worker in get(at))
assert not order("by the worker", at)
assert all(order(f"beside the worker {n}") for n in range(4))
allow(db, database.port, jobs)
until("the worker writes, too", lambda: order("by the worker", at))
revoke(db, database.port, jobs)
ec2.terminate_instances(InstanceIds=[worker])
until("the worker is gone", lambda: described(worker)["State"]["Name"] == "terminated")
ec2.delete_security_group(GroupId=jobs)

# What is let in from everywhere, and answered to everywhere, is not kept in mind: it stalls, and goes on when it is let in again.
assert not pings(untracked)
everybody = allow(sessions, cache.port, EVERYBODY)
until("the cache is reached", lambda: connects(cache.hostname, cache.port))
assert answers(untracked, patience=30) and pings(untracked)
another = opened(cache)
ec2.revoke_security_group_ingress(GroupId=sessions, SecurityGroupRuleIds=[everybody])
until("the cache is dark again", lambda: not connects(cache.hostname, cache.port))
assert not pings(untracked) and not pings(another)
# What one address is let in by is, and goes on without its rule.
allow(sessions, cache.port, OUTSIDE)
until("the cache is reached by one", lambda: connects(cache.hostname, cache.port))
tracked = opened(cache)
assert pings(tracked)
revoke(sessions, cache.port, OUTSIDE)
until("the cache is dark once more", lambda: not connects(cache.hostname, cache.port))
assert pings(tracked) and not pings(untracked)

# A load balancer's connections go on, too; new ones do not come in.
revoke(lb, 80, EVERYBODY)
until("the site is dark", lambda: not connects(site["DNSName"], 80))
visitor.sendall(VISIT)
assert answers(visitor)
allow(lb, 80, EVERYBODY)
until("the site is there", lambda: connects(site["DNSName"], 80))

# Its health checks pass by the same rules: of the targets, and its own about what goes out.
ec2.revoke_security_group_ingress(GroupId=web, SecurityGroupRuleIds=[to_web])
until("no target is reached", lambda: health() == {("unhealthy", "Target.Timeout")})
allow(web, 8080, lb)
until("the targets are reached", lambda: health() == HEALTHY)
assert len(servers(site["DNSName"])) == 2
(out,) = [it for it in ec2.describe_security_groups(GroupIds=[lb])["SecurityGroups"][0]["IpPermissionsEgress"]]
out = {name: value for name, value in out.items() if value}
ec2.revoke_security_group_egress(GroupId=lb, IpPermissions=[out])
until("nothing leaves for a target", lambda: health() == {("unhealthy", "Target.Timeout")})
ec2.authorize_security_group_egress(GroupId=lb, IpPermissions=tcp(8080, web))
until("what leaves is for the targets", lambda: health() == HEALTHY)
assert order("again")

# A rule that becomes another one, and one that nobody knows.
(rule,) = [it for it in ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [db]}])["SecurityGroupRules"] if not it["IsEgress"]]
other = {"IpProtocol": "tcp", "FromPort": database.port, "ToPort": database.port, "ReferencedGroupId": lb, "Description": "nobody"}
changed = [{"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": other}]
ec2.modify_security_group_rules(GroupId=db, SecurityGroupRules=changed)
until("not even the application", lambda: not connects(seen_from(far, database.hostname), database.port))
unknown = ec2.revoke_security_group_ingress(GroupId=db, IpPermissions=tcp(database.port, EVERYBODY))
assert unknown["UnknownIpPermissions"][0]["FromPort"] == database.port, unknown
# Databases replicate past it.
(status,) = rds.describe_db_instances(DBInstanceIdentifier="orders-replica-1")["DBInstances"][0]["StatusInfos"]
assert status["Status"] == "replicating", status

# An NLB has those that it was made with, or never any.
subnet_ids = [it["SubnetId"] for it in subnets]
for name, groups in (("bare", []), ("clad", [lb])):
    (nlb,) = elbv2.create_load_balancer(Name=name, Type="network", Subnets=subnet_ids, SecurityGroups=groups)["LoadBalancers"]
    (nlb,) = elbv2.describe_load_balancers(Names=[name])["LoadBalancers"]
    assert nlb.get("SecurityGroups", []) == groups, nlb
    if groups:
        elbv2.set_security_groups(LoadBalancerArn=nlb["LoadBalancerArn"], SecurityGroups=[web])
    else:
        with refused("InvalidConfigurationRequest"):
            elbv2.set_security_groups(LoadBalancerArn=nlb["LoadBalancerArn"], SecurityGroups=[web])
    elbv2.delete_load_balancer(LoadBalancerArn=nlb["LoadBalancerArn"])

# The default one again, which keeps everybody out once that is revoked.
give_database(default["GroupId"])
until("the database is reached", lambda: connects(database.hostname, database.port))
ec2.revoke_security_group_ingress(
    GroupId=default["GroupId"], IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": EVERYBODY}]}]
)
until("the database is dark by default", lambda: not connects(database.hostname, database.port))
with refused("CannotDelete"):
    ec2.delete_security_group(GroupId=default["GroupId"])
everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": EVERYBODY}]}]
ec2.authorize_security_group_ingress(GroupId=default["GroupId"], IpPermissions=everything)
for instance in instances.values():
    ec2.modify_instance_attribute(InstanceId=instance, Groups=[default["GroupId"]])
elbv2.set_security_groups(LoadBalancerArn=site["LoadBalancerArn"], SecurityGroups=[default["GroupId"]])
elasticache.modify_replication_group(ReplicationGroupId="sessions", SecurityGroupIds=[default["GroupId"]], ApplyImmediately=True)
# Two that name each other go one after the other once one does not any more.
for group in (db, sessions):
    ec2.delete_security_group(GroupId=group)
with refused("DependencyViolation"):
    ec2.delete_security_group(GroupId=web)
ec2.revoke_security_group_egress(GroupId=lb, IpPermissions=tcp(8080, web))
for group in (web, lb):
    ec2.delete_security_group(GroupId=group)
with refused("InvalidGroup.NotFound"):
    ec2.describe_security_groups(GroupIds=[web])
assert told(vpc_id=vpc) == ["default"]
until("all is well in the end", lambda: health() == HEALTHY and connects(address, 8080))
assert answers(untracked, patience=60) and pings(untracked)
assert len(servers(site["DNSName"])) == 2, servers(site["DNSName"])
assert order("after")
