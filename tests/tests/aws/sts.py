"""Who am I?"""

from cloud import client

sts = client("sts")
me = sts.get_caller_identity()
assert me["Account"] == "123456789012", me
assert me["Arn"] == "arn:aws:iam::123456789012:root", me
