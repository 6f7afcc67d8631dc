"""Launches a server beside those of the stack, stops, starts and terminates it; looks at the network it is in."""

from cloud import client, quick, refused

ec2 = client("ec2")

assert [region["RegionName"] for region in ec2.describe_regions()["Regions"]] == ["ap-northeast-2"]
vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]
subnets = ec2.get_paginator("describe_subnets").paginate(
    Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}], PaginationConfig={"PageSize": 5}
)
subnets = {subnet["AvailabilityZone"]: subnet for page in subnets for subnet in page["Subnets"]}
assert sorted(subnets) == ["ap-northeast-2a", "ap-northeast-2b"], subnets
image = ec2.describe_images(Owners=["self"])["Images"][0]

run = ec2.run_instances(
    ImageId=image["ImageId"],
    MinCount=6,
    MaxCount=6,
    SubnetId=subnets["ap-northeast-2b"]["SubnetId"],
    TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "shop"}]}],
)
ids = sorted(instance["InstanceId"] for instance in run["Instances"])
assert len(ids) == 6, run
quick(ec2.get_waiter("instance_exists"), InstanceIds=ids)
quick(ec2.get_waiter("instance_running"), InstanceIds=ids)
quick(ec2.get_waiter("instance_status_ok"), InstanceIds=ids)

pages = list(
    ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "tag:team", "Values": ["sho?"]}, {"Name": "instance-state-name", "Values": ["running"]}],
        PaginationConfig={"PageSize": 5},
    )
)
assert len(pages) == 2, pages
found = [instance for page in pages for it in page["Reservations"] for instance in it["Instances"]]
assert sorted(instance["InstanceId"] for instance in found) == ids, found
assert {instance["Placement"]["AvailabilityZone"] for instance in found} == {"ap-northeast-2b"}

one = [ids[0]]
stopping = ec2.stop_instances(InstanceIds=one)["StoppingInstances"][0]
assert stopping["PreviousState"]["Name"] == "running", stopping
quick(ec2.get_waiter("instance_stopped"), InstanceIds=one)
ec2.start_instances(InstanceIds=one)
quick(ec2.get_waiter("instance_running"), InstanceIds=one)
ec2.terminate_instances(InstanceIds=ids)
quick(ec2.get_waiter("instance_terminated"), InstanceIds=ids)

with refused("InvalidInstanceID.NotFound"):
    ec2.describe_instances(InstanceIds=["i-00000000000000000"])
for wrong in ("web-1", "i-1234", "i-0123456789abcdefg"):
    with refused("InvalidInstanceID.Malformed"):
        ec2.describe_instances(InstanceIds=[wrong])
with refused("InvalidParameterValue"):
    ec2.describe_instances(Filters=[{"Name": "nonsense", "Values": ["1"]}])
with refused("DryRunOperation"):
    ec2.describe_regions(DryRun=True)
with refused("NotImplemented"):
    ec2.create_transit_gateway()

zones = ec2.describe_availability_zones()["AvailabilityZones"]
assert [(zone["ZoneName"], zone["ZoneId"], zone["State"]) for zone in zones] == [
    ("ap-northeast-2a", "apne2-az1", "available"),
    ("ap-northeast-2b", "apne2-az2", "available"),
], zones
(zone,) = ec2.describe_availability_zones(ZoneIds=["apne2-az2"])["AvailabilityZones"]
assert zone["ZoneName"] == "ap-northeast-2b"
with refused("InvalidParameterValue"):
    ec2.describe_availability_zones(ZoneNames=["ap-northeast-2z"])
attributes = ec2.describe_account_attributes(AttributeNames=["default-vpc"])["AccountAttributes"]
assert attributes[0]["AttributeValues"] == [{"AttributeValue": vpc["VpcId"]}], attributes
(group,) = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["SecurityGroups"]
assert group["GroupName"] == "default", group

# An instance of the topology's file: its name, other tags, a reboot.
(web,) = [
    instance
    for it in ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["web-1"]}])["Reservations"]
    for instance in it["Instances"]
]
one = [web["InstanceId"]]
ec2.create_tags(Resources=one + [vpc["VpcId"]], Tags=[{"Key": "team", "Value": "shop"}, {"Key": "tier", "Value": "web"}])


def tags(**filters):
    wanted = [{"Name": name.replace("_", "-"), "Values": values} for name, values in filters.items()]
    pages = ec2.get_paginator("describe_tags").paginate(Filters=wanted)
    return [(tag["ResourceType"], tag["Key"], tag["Value"]) for page in pages for tag in page["Tags"]]


assert tags(resource_id=one) == [("instance", "Name", "web-1"), ("instance", "team", "shop"), ("instance", "tier", "web")]
assert tags(key=["team"], resource_type=["vpc"]) == [("vpc", "team", "shop")]
ec2.delete_tags(Resources=one, Tags=[{"Key": "Name"}, {"Key": "tier", "Value": "other"}])
assert [tag[1] for tag in tags(resource_id=one)] == ["team", "tier"]
ec2.delete_tags(Resources=one)
assert tags(resource_id=one) == []
with refused("InvalidParameterValue"):
    ec2.create_tags(Resources=one, Tags=[{"Key": "aws:own", "Value": "1"}])
with refused("InvalidInstanceID.NotFound"):
    ec2.create_tags(Resources=["i-00000000000000000"], Tags=[{"Key": "a", "Value": "b"}])

ec2.stop_instances(InstanceIds=one)
quick(ec2.get_waiter("instance_stopped"), InstanceIds=one)
with refused("IncorrectInstanceState"):
    ec2.reboot_instances(InstanceIds=one)
ec2.start_instances(InstanceIds=one)
quick(ec2.get_waiter("instance_running"), InstanceIds=one)
