"""A client with boto3's retries: says in its home that it was throttled, and gets through once that is over."""

import pathlib

import boto3
from botocore.config import Config

ec2 = boto3.client("ec2", config=Config(retries={"mode": "standard", "total_max_attempts": 20}))


def tell(response, **_):
    if response and response[0].status_code == 503:
        (pathlib.Path.home() / "throttled").touch()


ec2.meta.events.register_first("needs-retry.ec2.DescribeInstances", tell)
answer = ec2.describe_instances()
assert answer["Reservations"], answer
assert answer["ResponseMetadata"]["RetryAttempts"] > 0, answer["ResponseMetadata"]
