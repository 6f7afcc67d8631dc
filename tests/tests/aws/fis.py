"""Writes experiment templates, runs experiments and looks at what becomes of the stack: who answers, who is primary, who may call."""

import http.client
import os
import socket
import urllib.parse
import urllib.request

import boto3
import pg8000.native
from botocore.config import Config
from cloud import client, quick, refused, until

fis, ec2, elbv2, rds, sts = (client(name) for name in ("fis", "ec2", "elbv2", "rds", "sts"))
account = sts.get_caller_identity()["Account"]
role = f"arn:aws:iam::{account}:role/chaos"
site = elbv2.describe_load_balancers(Names=["site"])["LoadBalancers"][0]
web = sorted(
    it["InstanceId"] for group in ec2.describe_instances()["Reservations"] for it in group["Instances"]
)
ec2.create_tags(Resources=web, Tags=[{"Key": "tier", "Value": "web"}])


def template(description, actions, targets=None, **more):
    asked = {
        "description": description,
        "roleArn": role,
        "stopConditions": [{"source": "none"}],
        "actions": actions,
        "targets": targets or {},
        **more,
    }
    return fis.create_experiment_template(**asked)["experimentTemplate"]


def start(template, **more):
    return fis.start_experiment(experimentTemplateId=template["id"], **more)["experiment"]


def experiment(begun):
    return fis.get_experiment(id=begun["id"])["experiment"]


def status(begun):
    return experiment(begun)["state"]["status"]


def action(begun, name):
    return experiment(begun)["actions"][name]["state"]["status"]


def ends(begun, wanted):
    """Waits until the experiment is over, and says how it has to be."""
    over = ("completed", "stopped", "failed")
    ended = until(f"{begun['id']} is over", lambda: [it for it in [experiment(begun)] if it["state"]["status"] in over])[0]
    assert ended["state"]["status"] == wanted, ended
    assert ended["endTime"] >= ended["startTime"] >= ended["creationTime"], ended
    return ended


def query(sql):
    """The rows that the database gives under its endpoint's name; nothing while it can not be reached."""
    url = urllib.parse.urlsplit(os.environ["ORDERS_URL"])
    try:
        place = {"host": url.hostname, "port": url.port, "database": url.path[1:], "timeout": 5}
        connection = pg8000.native.Connection(url.username, password=url.password, **place)
    except (pg8000.exceptions.InterfaceError, pg8000.exceptions.DatabaseError, OSError):
        return None
    try:
        return connection.run(sql) or []
    except (pg8000.exceptions.InterfaceError, pg8000.exceptions.DatabaseError, OSError):
        return None
    finally:
        connection.close()


def database():
    return rds.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"][0]


def wait(duration="PT1M", **more):
    return {"actionId": "aws:fis:wait", "parameters": {"duration": duration}, **more}


def whoami():
    try:
        with urllib.request.urlopen(f"http://{site['DNSName']}/whoami", timeout=5) as answer:
            return answer.read().decode()
    except OSError as error:
        return str(error)


def servers():
    """Who answers through the load balancer."""
    return sorted({whoami() for _ in range(8)})


def served_by(count):
    """So many instances answer, and nothing else does."""
    until(f"{count} serve, not {servers()}", lambda: [len(servers()), *map(is_instance, servers())] == [count] + [True] * count)


def is_instance(answer):
    return "web-" in answer


# What there is to choose from.
actions = []
page = fis.list_actions(maxResults=5)
while True:
    actions += page["actions"]
    if "nextToken" not in page:
        break
    page = fis.list_actions(maxResults=5, nextToken=page["nextToken"])
named = {it["id"]: it for it in actions}
assert len(named) == len(actions) > 5, actions
assert named["aws:ec2:stop-instances"]["targets"] == {"Instances": {"resourceType": "aws:ec2:instance"}}, named
stop_action = fis.get_action(id="aws:ec2:stop-instances")["action"]
assert not stop_action["parameters"]["startInstancesAfterDuration"]["required"], stop_action
types = fis.list_target_resource_types()["targetResourceTypes"]
assert "aws:ec2:subnet" in {it["resourceType"] for it in types}, types
assert fis.get_target_resource_type(resourceType="aws:elasticache:replicationgroup")["targetResourceType"]["parameters"]
with refused("ResourceNotFoundException"):
    fis.get_action(id="aws:ebs:pause-volume-io")

# Templates.
some_web = {"resourceType": "aws:ec2:instance", "resourceTags": {"tier": "web"}, "selectionMode": "COUNT(1)"}
stop_one = {
    "actionId": "aws:ec2:stop-instances",
    "parameters": {"startInstancesAfterDuration": "PT10M"},
    "targets": {"Instances": "some"},
}
asked = {
    "clientToken": "once",
    "targets": {"some": some_web},
    "actions": {"stop": stop_one, "rest": wait(startAfter=["stop"])},
    "tags": {"team": "shop"},
}
one_down = template("one down", **asked)
assert template("one down", **asked)["id"] == one_down["id"]
with refused("ConflictException"):
    template("another", **asked)
got = fis.get_experiment_template(id=one_down["id"])["experimentTemplate"]
assert got == one_down, (got, one_down)
assert got["tags"] == {"team": "shop"} and got["actions"]["rest"]["startAfter"] == ["stop"], got
changed = fis.update_experiment_template(id=one_down["id"], description="one goes down", actions={"stop": stop_one})
assert set(changed["experimentTemplate"]["actions"]) == {"stop"}, changed
fis.tag_resource(resourceArn=one_down["arn"], tags={"owner": "me"})
fis.untag_resource(resourceArn=one_down["arn"], tagKeys=["team"])
assert fis.list_tags_for_resource(resourceArn=one_down["arn"])["tags"] == {"owner": "me"}
(listed,) = fis.list_experiment_templates()["experimentTemplates"]
assert (listed["id"], listed["description"]) == (one_down["id"], "one goes down"), listed
for wrong in [
    {"a": {"actionId": "aws:ebs:pause-volume-io", "parameters": {"duration": "PT1M"}}},
    {"a": {"actionId": "aws:rds:failover-db-cluster"}},
    {"a": wait("PT1S")},
    {"a": wait(startAfter=["b"])},
    {"a": {**stop_one, "targets": {"Instances": "none"}}},
]:
    with refused("ValidationException"):
        template("wrong", wrong, {"some": some_web})
with refused("ValidationException"):
    alarm = {"source": "aws:cloudwatch:alarm", "value": f"arn:aws:cloudwatch:eu-west-1:{account}:alarm:sick"}
    template("alarmed", {"a": wait()}, stopConditions=[alarm])
with refused("ResourceNotFoundException"):
    fis.get_experiment_template(id="EXT0")

# A preview does nothing and tells what would be hit; a target that is nothing fails the experiment.
preview = start(one_down, experimentOptions={"actionsMode": "skip-all"}, tags={"kind": "preview"})
assert preview["tags"] == {"kind": "preview"} and preview["actions"]["stop"]["state"]["status"] == "pending", preview
ended = ends(preview, "completed")
assert ended["actions"]["stop"]["state"]["status"] == "skipped", ended
(resolved,) = fis.list_experiment_resolved_targets(experimentId=preview["id"])["resolvedTargets"]
assert resolved["targetName"] == "some" and resolved["targetInformation"]["arn"].split("/")[1] in web, resolved
nobody = {"some": {**some_web, "filters": [{"path": "Placement.AvailabilityZone", "values": ["nowhere"]}]}}
lost = ends(start(template("nobody", {"stop": stop_one}, nobody)), "failed")
assert "empty" in lost["state"]["reason"] and lost["actions"]["stop"]["state"]["status"] == "cancelled", lost
skipping = template("nobody, skipped", {"stop": stop_one}, nobody, experimentOptions={"emptyTargetResolutionMode": "skip"})
skipped = ends(start(skipping), "completed")
assert skipped["actions"]["stop"]["state"]["status"] == "skipped", skipped

# One of two instances is stopped; the site is served by the other. To stop the experiment starts it again.
served_by(2)
down = start(one_down, clientToken="down")
assert start(one_down, clientToken="down")["id"] == down["id"]
until("one is stopped", lambda: action(down, "stop") == "running")
served_by(1)
(hit,) = fis.list_experiment_resolved_targets(experimentId=down["id"])["resolvedTargets"]
hit = hit["targetInformation"]["arn"].split("/")[1]
quick(ec2.get_waiter("instance_stopped"), InstanceIds=[hit])
# Deleting its template leaves it.
fis.delete_experiment_template(id=one_down["id"])
assert status(down) == "running"
assert fis.stop_experiment(id=down["id"])["experiment"]["state"]["status"] == "stopping"
assert ends(down, "stopped")["actions"]["stop"]["state"]["status"] == "stopped"
quick(ec2.get_waiter("instance_running"), InstanceIds=[hit])
served_by(2)
assert fis.stop_experiment(id=down["id"])["experiment"]["state"]["status"] == "stopped"

# Another instance is rebooted and comes back with the same address; then it is terminated, and nobody answers there.
image = ec2.describe_images()["Images"][0]["ImageId"]
(extra,) = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=[
    {"ResourceType": "instance", "Tags": [{"Key": "tier", "Value": "extra"}]}
])["Instances"]
quick(ec2.get_waiter("instance_running"), InstanceIds=[extra["InstanceId"]])
(extra,) = ec2.describe_instances(InstanceIds=[extra["InstanceId"]])["Reservations"][0]["Instances"]


def connect():
    return socket.create_connection((extra["PrivateIpAddress"], 8080), timeout=20)


def serves():
    """Whether it answers. That somebody accepts says nothing yet: the network may before it knows that the program has ended."""
    try:
        with urllib.request.urlopen(f"http://{extra['PrivateIpAddress']}:8080/whoami", timeout=5) as answer:
            return answer.status == 200
    except (OSError, http.client.HTTPException):
        return False


def breaks(connection):
    """Waits until the other end lets go of a connection."""
    try:
        assert connection.recv(1) == b""
    except ConnectionResetError:
        pass


running = {"path": "State.Name", "values": ["running"]}
extras = {"it": {"resourceType": "aws:ec2:instance", "resourceTags": {"tier": "extra"}, "filters": [running], "selectionMode": "ALL"}}
until("it serves", serves)
for word in ("reboot", "terminate"):
    connection = connect()
    harm = {"actionId": f"aws:ec2:{word}-instances", "targets": {"Instances": "it"}}
    done = ends(start(template(word, {"harm": harm}, extras)), "completed")
    assert done["actions"]["harm"]["state"]["status"] == "completed", done
    breaks(connection)
    connection.close()
    if word == "reboot":
        until("it serves again", serves)
        quick(ec2.get_waiter("instance_running"), InstanceIds=[extra["InstanceId"]])
quick(ec2.get_waiter("instance_terminated"), InstanceIds=[extra["InstanceId"]])
until("nobody serves there", lambda: not serves())

# Calls with the role fail while the action is in effect; others do not.
victim = f"arn:aws:iam::{account}:role/victim"
session = sts.assume_role(RoleArn=victim, RoleSessionName="me")["Credentials"]
once = Config(retries={"total_max_attempts": 1})
as_victim = boto3.client(
    "ec2",
    config=once,
    aws_access_key_id=session["AccessKeyId"],
    aws_secret_access_key=session["SecretAccessKey"],
    aws_session_token=session["SessionToken"],
)
victims = {"victims": {"resourceType": "aws:iam:role", "resourceArns": [victim], "selectionMode": "ALL"}}
zone = ec2.describe_subnets()["Subnets"][0]


def injected(error, operation):
    parameters = {"duration": "PT1M", "service": "ec2", "operations": operation, "percentage": "100"}
    return {"actionId": f"aws:fis:inject-api-{error}-error", "parameters": parameters, "targets": {"Roles": "victims"}}


full = {
    "actionId": "aws:ec2:api-insufficient-instance-capacity-error",
    "parameters": {"duration": "PT1M", "availabilityZoneIdentifiers": zone["AvailabilityZoneId"], "percentage": "100"},
    "targets": {"Roles": "victims"},
}
failing = {
    "throttled": injected("throttle", "DescribeInstances"),
    "broken": injected("internal", "DescribeVpcs,DescribeImages"),
    "away": injected("unavailable", "DescribeSubnets"),
    "full": full,
}
calls = start(template("calls fail", failing, victims))
until("they fail", lambda: all(action(calls, name) == "running" for name in failing))
with refused("RequestLimitExceeded"):
    as_victim.describe_instances()
with refused("InternalError"):
    as_victim.describe_vpcs()
with refused("ServiceUnavailable"):
    as_victim.describe_subnets()
with refused("InsufficientInstanceCapacity"):
    as_victim.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=zone["SubnetId"])
as_victim.describe_regions()
for call in (ec2.describe_instances, ec2.describe_vpcs, ec2.describe_subnets):
    call()

# Meanwhile the standby takes over, and what was written is kept.
orders = until("orders is available", lambda: [it for it in [database()] if it["DBInstanceStatus"] == "available"])[0]
assert query("create table kept (word text)") is not None and query("insert into kept values ('before')") is not None
before = query("select inet_server_addr()")
databases = {"orders": {"resourceType": "aws:rds:db", "resourceArns": [orders["DBInstanceArn"]], "selectionMode": "ALL"}}
reboot = {
    "actionId": "aws:rds:reboot-db-instances",
    "parameters": {"forceFailover": "true"},
    "targets": {"DBInstances": "orders"},
}
ends(start(template("fail over", {"reboot": reboot}, databases)), "completed")
until("another server takes writes", lambda: query("select inet_server_addr()") not in (None, before))
until("it takes writes", lambda: query("insert into kept values ('after')") is not None)
assert query("select word from kept order by word") == [["after"], ["before"]]
assert database()["AvailabilityZone"] == orders["SecondaryAvailabilityZone"], database()

# Whose experiment is stopped calls as before.
assert status(calls) == "running"
fis.stop_experiment(id=calls["id"])
ends(calls, "stopped")
for call in (as_victim.describe_instances, as_victim.describe_vpcs, as_victim.describe_subnets):
    call()
ids = [it["id"] for it in fis.list_experiments()["experiments"]]
assert len(ids) == len(set(ids)) == 8, ids
