"""Who am I, and who am I in another role?"""

import base64
import json
import time

import boto3
from cloud import client, refused

ROLE = "arn:aws:iam::123456789012:role/teams/ops"


def identity(given):
    session = boto3.Session(
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    return session.client("sts"), session.client("sts").get_caller_identity()


sts = client("sts")
me = sts.get_caller_identity()
assert me["Account"] == "123456789012", me
assert me["Arn"] == "arn:aws:iam::123456789012:root", me
assert sts.get_access_key_info(AccessKeyId="AKIAIOSFODNN7EXAMPLE")["Account"] == me["Account"]

assumed = sts.assume_role(RoleArn=ROLE, RoleSessionName="drill", DurationSeconds=900)
lasts = assumed["Credentials"]["Expiration"].timestamp() - time.time()
assert 800 < lasts <= 900, lasts
assert assumed["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/ops/drill", assumed
ops, in_role = identity(assumed["Credentials"])
assert in_role["Arn"] == assumed["AssumedRoleUser"]["Arn"], in_role
assert in_role["UserId"] == assumed["AssumedRoleUser"]["AssumedRoleId"], in_role
with refused("AccessDenied"):
    ops.get_session_token()
with refused("ValidationError"):
    ops.assume_role(RoleArn=ROLE, RoleSessionName="chained", DurationSeconds=7200)
with refused("AccessDenied"):
    sts.assume_role(RoleArn="arn:aws:iam::999999999999:role/ops", RoleSessionName="drill")
with refused("ValidationError"):
    sts.assume_role(RoleArn="arn:aws:iam::123456789012:user/me", RoleSessionName="drill")

_, own = identity(sts.get_session_token()["Credentials"])
assert own["Arn"] == me["Arn"], own


def token(**claims):
    parts = [json.dumps(part).encode() for part in ({"alg": "RS256"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + ".seal"


web = sts.assume_role_with_web_identity(
    RoleArn=ROLE,
    RoleSessionName="pod",
    WebIdentityToken=token(sub="system:serviceaccount:shop:web", aud=["sts.amazonaws.com"], iss="https://oidc.example"),
)
assert web["SubjectFromWebIdentityToken"] == "system:serviceaccount:shop:web", web
assert (web["Audience"], web["Provider"]) == ("sts.amazonaws.com", "https://oidc.example"), web
with refused("InvalidIdentityToken"):
    sts.assume_role_with_web_identity(RoleArn=ROLE, RoleSessionName="pod", WebIdentityToken="none.of.these")
with refused("ExpiredTokenException"):
    sts.assume_role_with_web_identity(RoleArn=ROLE, RoleSessionName="pod", WebIdentityToken=token(exp=1))

iam = client("iam")
assert iam.get_user()["User"]["Arn"] == me["Arn"]
assert list(iam.get_paginator("list_users").paginate().search("Users[]")) == []
assert iam.list_account_aliases()["AccountAliases"] == []
with refused("NoSuchEntity"):
    iam.get_user(UserName="somebody")
with refused("NotImplemented"):
    iam.create_user(UserName="somebody")
