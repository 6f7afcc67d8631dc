"""Tags resources of every service in one place, finds them by their tags, and takes the tags off again."""

import boto3
from cloud import client, refused

tagging, elbv2, rds, elasticache, ec2, route53 = (
    client(it) for it in ("resourcegroupstaggingapi", "elbv2", "rds", "elasticache", "ec2", "route53")
)


def found(by=tagging, **asked):
    pages = by.get_paginator("get_resources").paginate(**asked)
    return {it["ResourceARN"]: {tag["Key"]: tag["Value"] for tag in it["Tags"]} for page in pages for it in page["ResourceTagMappingList"]}


def keys(by=tagging):
    return by.get_paginator("get_tag_keys").paginate().build_full_result()["TagKeys"]


# Instances of the topology file have names, and nothing else is tagged.
named = found()
assert sorted(it["Name"] for it in named.values()) == ["web-1", "web-2"], named
assert keys() == ["Name"], keys()

db = rds.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"][0]["DBInstanceArn"]
cache = elasticache.describe_replication_groups()["ReplicationGroups"][0]["ARN"]
site = elbv2.describe_load_balancers(Names=["site"])["LoadBalancers"][0]["LoadBalancerArn"]
group = elbv2.describe_target_groups()["TargetGroups"][0]["TargetGroupArn"]
instance = sorted(named)[0]
five = [db, cache, site, group, instance]
assert tagging.tag_resources(ResourceARNList=five, Tags={"team": "shop", "env": "test"})["FailedResourcesMap"] == {}
assert tagging.tag_resources(ResourceARNList=[db], Tags={"env": "prod"})["FailedResourcesMap"] == {}

# Every service shows them as its own, and keeps what it knew.
assert {"Key": "env", "Value": "prod"} in rds.list_tags_for_resource(ResourceName=db)["TagList"]
assert {"Key": "team", "Value": "shop"} in elasticache.list_tags_for_resource(ResourceName=cache)["TagList"]
shown = elbv2.describe_tags(ResourceArns=[site, group])["TagDescriptions"]
assert all({"Key": "team", "Value": "shop"} in it["Tags"] for it in shown), shown
described = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [instance.rsplit("/")[-1]]}])["Tags"]
assert {it["Key"] for it in described} == {"Name", "team", "env"}, described
# And what a service tags by itself is found here.
elbv2.add_tags(ResourceArns=[site], Tags=[{"Key": "tier", "Value": "edge"}])
assert keys() == ["Name", "env", "team", "tier"], keys()

# Found by tags: all of the filters, one of the values.
team = {"Key": "team", "Values": ["shop"]}
assert set(found(TagFilters=[team])) == set(five)
assert set(found(TagFilters=[team, {"Key": "env", "Values": ["prod", "stage"]}])) == {db}
assert set(found(TagFilters=[{"Key": "tier"}])) == {site}
assert found(TagFilters=[{"Key": "team", "Values": ["Shop"]}]) == {}
assert set(found(ResourceTypeFilters=["rds"])) == {db}
assert set(found(ResourceTypeFilters=["elasticloadbalancing:targetgroup", "ec2:instance"], TagFilters=[team])) == {group, instance}
assert found(ResourceTypeFilters=["ec2:volume"]) == {}
(only,) = tagging.get_resources(ResourceARNList=[db])["ResourceTagMappingList"]
assert only["ResourceARN"] == db, only
pages = [page["ResourceTagMappingList"] for page in tagging.get_paginator("get_resources").paginate(ResourcesPerPage=2)]
assert [len(it) for it in pages] == [2, 2, 2], pages
assert tagging.get_paginator("get_tag_values").paginate(Key="env").build_full_result()["TagValues"] == ["prod", "test"]

# Zones and health checks belong to no region; they are found in one.
zone = route53.create_hosted_zone(Name="tags.internal", CallerReference="here", VPC={"VPCRegion": "ap-northeast-2", "VPCId": ec2.describe_vpcs()["Vpcs"][0]["VpcId"]})
zone = "arn:aws:route53:::hostedzone/" + zone["HostedZone"]["Id"].rsplit("/")[-1]
virginia = boto3.client("resourcegroupstaggingapi", region_name="us-east-1")
assert virginia.tag_resources(ResourceARNList=[zone], Tags={"team": "names"})["FailedResourcesMap"] == {}
assert found(virginia) == {zone: {"team": "names"}}
assert set(tagging.tag_resources(ResourceARNList=[zone], Tags={"a": "b"})["FailedResourcesMap"]) == {zone}

# What can not be tagged is told, and the others are.
lost = db.replace("orders", "nobody")
foreign = db.replace("123456789012", "210987654321")
failed = tagging.tag_resources(ResourceARNList=[lost, foreign, "nonsense", cache], Tags={"seen": "yes"})["FailedResourcesMap"]
assert set(failed) == {lost, foreign, "nonsense"}, failed
assert failed[lost]["ErrorCode"] == "InvalidParameterException" and failed[lost]["StatusCode"] == 400, failed
assert set(found(TagFilters=[{"Key": "seen"}])) == {cache}
many = {f"key-{number}": "" for number in range(49)}
assert set(tagging.tag_resources(ResourceARNList=[db], Tags=many)["FailedResourcesMap"]) == {db}
for call in [
    lambda: tagging.tag_resources(ResourceARNList=[db], Tags={"aws:mine": "no"}),
    lambda: tagging.get_resources(ResourceARNList=[db], ResourcesPerPage=5),
    lambda: tagging.get_resources(ResourcesPerPage=101),
    lambda: tagging.get_resources(TagsPerPage=150),
    lambda: tagging.get_resources(PaginationToken="nonsense"),
]:
    with refused("InvalidParameterException"):
        call()

# Off again; keys that are not there are none of anybody's business.
assert tagging.untag_resources(ResourceARNList=five, TagKeys=["team", "env", "other"])["FailedResourcesMap"] == {}
assert found(TagFilters=[{"Key": "team"}]) == {} and rds.list_tags_for_resource(ResourceName=db)["TagList"] == []
assert found()[instance] == named[instance]
