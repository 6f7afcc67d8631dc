"""Leaves a stack in disorder: something new, something gone, something stopped, something tagged."""

from cloud import client, quick

rds, elasticache, ec2 = client("rds"), client("elasticache"), client("ec2")
rds.create_db_instance(
    DBInstanceIdentifier="users",
    Engine="postgres",
    DBInstanceClass="db.t3.micro",
    MasterUsername="app",
    MasterUserPassword="a-secret-of-8",
    Tags=[{"Key": "team", "Value": "accounts"}],
)
rds.delete_db_instance(DBInstanceIdentifier="orders-replica-1", SkipFinalSnapshot=True)
elasticache.delete_replication_group(ReplicationGroupId="sessions")
elasticache.create_replication_group(ReplicationGroupId="carts", ReplicationGroupDescription="what is in carts")
reservations = ec2.describe_instances()["Reservations"]
one, other = [it["InstanceId"] for reservation in reservations for it in reservation["Instances"]]
ec2.terminate_instances(InstanceIds=[one])
ec2.stop_instances(InstanceIds=[other])
quick(ec2.get_waiter("instance_stopped"), InstanceIds=[other])
