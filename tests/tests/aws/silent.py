"""Makes a load balancer without listeners, one whose targets are yet to come, and a target group that nothing uses."""

from cloud import client

elbv2, ec2 = client("elbv2"), client("ec2")
subnets = [it["SubnetId"] for it in ec2.describe_subnets()["Subnets"]]
vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
elbv2.create_load_balancer(Name="mute", Subnets=subnets)
idle = elbv2.create_load_balancer(Name="idle", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
(empty, unused) = [
    elbv2.create_target_group(Name=name, Protocol="HTTP", Port=8080, VpcId=vpc)["TargetGroups"][0]["TargetGroupArn"]
    for name in ("empty", "unused")
]
elbv2.create_listener(
    LoadBalancerArn=idle, Protocol="HTTP", Port=8484, DefaultActions=[{"Type": "forward", "TargetGroupArn": empty}]
)
web = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["web-1"]}])["Reservations"][0]["Instances"][0]
elbv2.register_targets(TargetGroupArn=unused, Targets=[{"Id": web["InstanceId"]}])
