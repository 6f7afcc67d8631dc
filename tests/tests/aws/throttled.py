"""While calls to EC2 are throttled and those of ELB answered late: what clients without retries meet."""

import time

import boto3
from botocore.config import Config
from cloud import refused

once = Config(retries={"total_max_attempts": 1})
with refused("RequestLimitExceeded"):
    boto3.client("ec2", config=once).describe_instances()
assert boto3.client("sts", config=once).get_caller_identity()

elbv2 = boto3.client("elbv2", config=once)
begun = time.monotonic()
elbv2.describe_load_balancers()
assert time.monotonic() - begun >= 0.5
elbv2.describe_target_groups()
with refused("ServiceUnavailable"):
    boto3.client("iam", config=once).get_user()
