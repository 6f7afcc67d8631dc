"""Makes a database, fails it over, reboots, stops, starts and deletes it; what it says is looked at through its endpoint's name."""

from cloud import client, quick, refused, until
from databases import available, connect, events, instance, query, rds

# What the topology file has.
orders = instance("orders")
assert orders["DBInstanceStatus"] == "available" and orders["MultiAZ"], orders
assert orders["ReadReplicaDBInstanceIdentifiers"] == ["orders-replica-1"], orders
(status,) = instance("orders-replica-1")["StatusInfos"]
assert status == {"StatusType": "read replication", "Normal": True, "Status": "replicating"}, status

# Creation.
wanted = {
    "DBInstanceIdentifier": "Users",
    "Engine": "postgres",
    "DBInstanceClass": "db.t3.small",
    "AllocatedStorage": 30,
    "MasterUsername": "app",
    "MasterUserPassword": "a-secret-of-8",
    "DBName": "users",
    "MultiAZ": True,
    "DeletionProtection": True,
    "Tags": [{"Key": "team", "Value": "accounts"}],
}
made = rds.create_db_instance(**wanted)["DBInstance"]
assert made["DBInstanceStatus"] == "creating" and "Endpoint" not in made, made
with refused("DBInstanceAlreadyExists"):
    rds.create_db_instance(**wanted)
quick(available, DBInstanceIdentifier="users")
users = instance("users")
assert (users["DBInstanceClass"], users["AllocatedStorage"]) == ("db.t3.small", 30), users
assert users["TagList"] == wanted["Tags"], users
assert {users["AvailabilityZone"], users["SecondaryAvailabilityZone"]} == {"ap-northeast-2a", "ap-northeast-2b"}, users
query("users", "CREATE TABLE people (name text)")
query("users", "INSERT INTO people VALUES ('ada')")
assert connect("users", password="another-one") is None, "any password is taken"

# A failover: another host answers, in the other zone, with what was written.
before = query("users", "SELECT inet_server_addr()")
with refused("InvalidParameterCombination"):
    rds.reboot_db_instance(DBInstanceIdentifier="orders-replica-1", ForceFailover=True)
assert rds.reboot_db_instance(DBInstanceIdentifier="users", ForceFailover=True)["DBInstance"]["DBInstanceStatus"] == "rebooting"
quick(available, DBInstanceIdentifier="users")
assert query("users", "SELECT name FROM people") == [["ada"]]
assert query("users", "SELECT inet_server_addr()") != before, "the same host answers"
moved = instance("users")
assert moved["AvailabilityZone"] == users["SecondaryAvailabilityZone"], moved
told = events("users")
for message in [
    "Multi-AZ instance failover started.",
    "Multi-AZ instance failover completed.",
    "The user requested a failover of the DB instance.",
    "DB instance restarted.",
]:
    assert message in told, told


def in_sync():
    try:
        return rds.reboot_db_instance(DBInstanceIdentifier="users")
    except rds.exceptions.InvalidDBInstanceStateFault:
        return None


# A reboot: the same host, another process.
host = query("users", "SELECT inet_server_addr()")
began = query("users", "SELECT pg_postmaster_start_time()")
until("users can be rebooted", in_sync)
quick(available, DBInstanceIdentifier="users")
assert query("users", "SELECT pg_postmaster_start_time()") != began, "the same process answers"
assert query("users", "SELECT inet_server_addr()") == host, "another host answers"

# A read replica follows, and refuses writes.
rds.create_db_instance_read_replica(DBInstanceIdentifier="users-ro", SourceDBInstanceIdentifier="users")
quick(available, DBInstanceIdentifier="users-ro")
query("users", "INSERT INTO people VALUES ('grace')")
until("the replica has it", lambda: len(query("users-ro", "SELECT name FROM people")) == 2)
with refused("InvalidDBInstanceState"):
    rds.stop_db_instance(DBInstanceIdentifier="users")
rds.delete_db_instance(DBInstanceIdentifier="users-ro", SkipFinalSnapshot=True)
quick(rds.get_waiter("db_instance_deleted"), DBInstanceIdentifier="users-ro")
assert instance("users")["ReadReplicaDBInstanceIdentifiers"] == []

# Stopped nobody answers; started all is there.
rds.stop_db_instance(DBInstanceIdentifier="users")
until("users is stopped", lambda: instance("users")["DBInstanceStatus"] == "stopped")
assert connect("users") is None, "a stopped database answers"
with refused("InvalidDBInstanceState"):
    rds.stop_db_instance(DBInstanceIdentifier="users")
rds.start_db_instance(DBInstanceIdentifier="users")
quick(available, DBInstanceIdentifier="users")
assert len(query("users", "SELECT name FROM people")) == 2
assert {"DB instance stopped.", "DB instance started."} <= set(events("users")), events("users")

# Changes, tags.
rds.modify_db_instance(DBInstanceIdentifier="users", DBInstanceClass="db.t3.medium", ApplyImmediately=True)
assert instance("users")["DBInstanceClass"] == "db.t3.medium"
arn = instance("users")["DBInstanceArn"]
rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "env", "Value": "test"}])
rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["team"])
assert rds.list_tags_for_resource(ResourceName=arn)["TagList"] == [{"Key": "env", "Value": "test"}]

# Deletion.
with refused("InvalidParameterCombination"):
    rds.delete_db_instance(DBInstanceIdentifier="users", SkipFinalSnapshot=True)
rds.modify_db_instance(DBInstanceIdentifier="users", DeletionProtection=False)
rds.delete_db_instance(DBInstanceIdentifier="users", SkipFinalSnapshot=True)
quick(rds.get_waiter("db_instance_deleted"), DBInstanceIdentifier="users")
pages = rds.get_paginator("describe_db_instances").paginate(PaginationConfig={"PageSize": 20})
assert [it["DBInstanceIdentifier"] for page in pages for it in page["DBInstances"]] == ["orders", "orders-replica-1"]

# Subnet groups.
ec2 = client("ec2")
subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]]
with refused("DBSubnetGroupDoesNotCoverEnoughAZs"):
    rds.create_db_subnet_group(DBSubnetGroupName="few", DBSubnetGroupDescription="too few", SubnetIds=subnets[:1])
rds.create_db_subnet_group(DBSubnetGroupName="both", DBSubnetGroupDescription="both", SubnetIds=subnets)
(group,) = rds.describe_db_subnet_groups(DBSubnetGroupName="both")["DBSubnetGroups"]
assert len(group["Subnets"]) == 2, group
rds.delete_db_subnet_group(DBSubnetGroupName="both")
with refused("DBSubnetGroupNotFoundFault"):
    rds.describe_db_subnet_groups(DBSubnetGroupName="both")
for call, code in [
    (lambda: rds.describe_db_instances(DBInstanceIdentifier="nobody"), "DBInstanceNotFound"),
    (lambda: rds.create_db_instance(**(wanted | {"DBInstanceIdentifier": "a--b"})), "InvalidParameterValue"),
    (lambda: rds.create_db_instance(**(wanted | {"DBInstanceIdentifier": "u", "MasterUserPassword": "short"})), "InvalidParameterValue"),
    (lambda: rds.create_db_instance(**(wanted | {"DBInstanceIdentifier": "u", "Engine": "oracle-ee"})), "NotImplemented"),
    (lambda: rds.create_db_instance(**(wanted | {"DBInstanceIdentifier": "u", "AvailabilityZone": "ap-northeast-2a"})), "InvalidParameterCombination"),
]:
    with refused(code):
        call()
