"""The database still lets nobody in, and the site everybody."""

from guarded import connects, database, ec2, rds, site

(orders,) = rds.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"]
((group,),) = (it["SecurityGroups"] for it in [ec2.describe_security_groups(GroupNames=["nobody"])])
assert orders["VpcSecurityGroups"] == [{"VpcSecurityGroupId": group["GroupId"], "Status": "active"}], orders
assert not group["IpPermissions"], group
assert connects(site["DNSName"], 80) and not connects(database.hostname, database.port)
