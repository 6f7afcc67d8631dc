"""Gives a DB instance a standby and takes it away, another password, and makes a read replica one of its own; looks at the data."""

from cloud import quick, refused, until
from databases import available, connect, events, instance, query, rds


def modify(**wanted):
    return rds.modify_db_instance(DBInstanceIdentifier="users", ApplyImmediately=True, **wanted)["DBInstance"]


rds.create_db_instance(
    DBInstanceIdentifier="users",
    Engine="postgres",
    DBInstanceClass="db.t3.small",
    AllocatedStorage=20,
    MasterUsername="app",
    MasterUserPassword="a-secret-of-8",
    DBName="users",
    AvailabilityZone="ap-northeast-2b",
)
quick(available, DBInstanceIdentifier="users")
assert not instance("users")["MultiAZ"]
query("users", "CREATE TABLE people (name text)")
query("users", "INSERT INTO people VALUES ('ada')")

# A standby: what was written before is on it, and it takes over.
with refused("InvalidParameterCombination"):
    rds.reboot_db_instance(DBInstanceIdentifier="users", ForceFailover=True)
assert modify(MultiAZ=True)["DBInstanceStatus"] == "modifying"
query("users", "INSERT INTO people VALUES ('grace')")
quick(available, DBInstanceIdentifier="users")
users = instance("users")
assert users["MultiAZ"] and users["SecondaryAvailabilityZone"] == "ap-northeast-2a", users
told = events("users")
assert [it for it in told if "convert" in it] == [
    "Applying modification to convert to a Multi-AZ DB instance.",
    "Finished applying modification to convert to a Multi-AZ DB instance.",
], told
assert not any("Recovery of standby" in it for it in told), told
# The primary waits for it.
state = query("users", "SELECT setting FROM pg_settings WHERE name = 'synchronous_standby_names'")
assert state[0][0] != "", state
before = query("users", "SELECT inet_server_addr()")
rds.reboot_db_instance(DBInstanceIdentifier="users", ForceFailover=True)
quick(available, DBInstanceIdentifier="users")
assert query("users", "SELECT inet_server_addr()") != before
assert query("users", "SELECT count(*) FROM people") == [[2]]
assert instance("users")["AvailabilityZone"] == "ap-northeast-2a"


# The same as it is: nothing. Both at once: not here.
def settled():
    try:
        return modify(MultiAZ=True)
    except rds.exceptions.InvalidDBInstanceStateFault:
        return None


assert until("it can be modified", settled)["DBInstanceStatus"] == "available"
with refused("NotImplemented"):
    modify(MultiAZ=False, MasterUserPassword="another-secret")

# No standby any more: the primary stays where it is, waits for nobody, and nobody takes over.
host = query("users", "SELECT inet_server_addr()")
assert modify(MultiAZ=False)["DBInstanceStatus"] == "modifying"
quick(available, DBInstanceIdentifier="users")
users = instance("users")
assert not users["MultiAZ"] and "SecondaryAvailabilityZone" not in users, users
assert query("users", "SELECT inet_server_addr()") == host
assert query("users", "SELECT setting FROM pg_settings WHERE name = 'synchronous_standby_names'") == [[""]]
assert query("users", "SELECT count(*) FROM pg_stat_replication") == [[0]]
query("users", "INSERT INTO people VALUES ('alan')")
assert "Finished applying modification to convert to a standard (Single-AZ) DB instance." in events("users"), events("users")

# And one again, in the place of the first host.
modify(MultiAZ=True)
quick(available, DBInstanceIdentifier="users")
assert instance("users")["SecondaryAvailabilityZone"] == "ap-northeast-2b"

# Another password: the old one is not taken any more.
assert modify(MasterUserPassword="b-secret-of-8")["DBInstanceStatus"] == "resetting-master-credentials"
quick(available, DBInstanceIdentifier="users")
assert connect("users", "a-secret-of-8") is None, "the old password is taken"
assert query("users", "SELECT count(*) FROM people", "b-secret-of-8") == [[3]]
assert "Reset master credentials." in events("users")
with refused("InvalidParameterValue"):
    modify(MasterUserPassword="short")

# A read replica becomes a writer of its own, with what it has; its source goes on without it.
rds.create_db_instance_read_replica(DBInstanceIdentifier="users-ro", SourceDBInstanceIdentifier="users", AvailabilityZone="ap-northeast-2b")
quick(available, DBInstanceIdentifier="users-ro")
query("users", "INSERT INTO people VALUES ('edsger')", "b-secret-of-8")
until("the replica has it", lambda: query("users-ro", "SELECT count(*) FROM people", "b-secret-of-8") == [[4]])
with refused("InvalidDBInstanceState"):
    rds.promote_read_replica(DBInstanceIdentifier="users")
with refused("InvalidParameterCombination"):
    rds.modify_db_instance(DBInstanceIdentifier="users-ro", MasterUserPassword="c-secret-of-8")
address = query("users-ro", "SELECT inet_server_addr()", "b-secret-of-8")
assert rds.promote_read_replica(DBInstanceIdentifier="users-ro", BackupRetentionPeriod=1)["DBInstance"]["DBInstanceStatus"] == "modifying"
quick(available, DBInstanceIdentifier="users-ro")
own = instance("users-ro")
assert "ReadReplicaSourceDBInstanceIdentifier" not in own and own["BackupRetentionPeriod"] == 1, own
assert instance("users")["ReadReplicaDBInstanceIdentifiers"] == []
assert "Replication streaming has been terminated." in events("users-ro"), events("users-ro")
assert query("users-ro", "SELECT inet_server_addr()", "b-secret-of-8") == address
query("users-ro", "INSERT INTO people VALUES ('barbara')", "b-secret-of-8")
query("users", "INSERT INTO people VALUES ('donald')", "b-secret-of-8")
names = [it[0] for it in query("users-ro", "SELECT name FROM people ORDER BY name", "b-secret-of-8")]
assert names == ["ada", "alan", "barbara", "edsger", "grace"], names
assert query("users", "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'users-ro'", "b-secret-of-8") == [[0]]
# It reboots, gets a standby and a replica as any other.
rds.reboot_db_instance(DBInstanceIdentifier="users-ro")
quick(available, DBInstanceIdentifier="users-ro")
rds.modify_db_instance(DBInstanceIdentifier="users-ro", MultiAZ=True)
quick(available, DBInstanceIdentifier="users-ro")
assert instance("users-ro")["SecondaryAvailabilityZone"] == "ap-northeast-2a"
assert len(query("users-ro", "SELECT name FROM people", "b-secret-of-8")) == 5
