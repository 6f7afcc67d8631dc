#!/usr/bin/env python3
"""Differential fuzz: real boto3 on one side, the crate `wire` on the other, no socket between them.

    fuzz.py [--seed N] [--rounds N] [--echo PROGRAM] [--models FOLDER] [--verbose] [service ...]

For every operation of every model a random valid input goes through boto3; what wire understood of it has to be equal. A random
valid output comes back through boto3 and has to be equal, and so does a random error of the operation. Every request's signature is
verified. Equal means: by value, without empty structures and lists (they have no form in forms and XML) and without tokens that
boto3 makes up. Exit codes: 0 all equal but those listed in LEFT_OVER, 1 others differ, 3 no boto3.
"""

import argparse
import base64
import datetime
import json
import pathlib
import random
import subprocess
import sys
import time

try:
    import boto3
    import botocore.awsrequest
    import botocore.config
    import botocore.exceptions
    import botocore.model
except ImportError:
    print("boto3 is not installed: pip install boto3", file=sys.stderr)
    sys.exit(3)

ROOT = pathlib.Path(__file__).resolve().parent.parent
KEY, SECRET, TOKEN = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "token/with+signs="
UTC = datetime.timezone.utc
# Operations that are known to differ, with the reason. None.
LEFT_OVER = {}
ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./ ,;:@&=+$%<>\"'äß€🧀"


class Echo:
    """The program that understands and renders."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.reply, self.understood = {}, None

    def send(self, request):
        split = request.url.split("://", 1)[1]
        slash = split.find("/")
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else bytes(body.read() if hasattr(body, "read") else body)
        text = lambda value: value.decode() if isinstance(value, bytes) else str(value)
        headers = [[text(name), text(value)] for name, value in request.headers.items()]
        headers.append(["Host", split[:slash]])
        asked = {
            "method": request.method, "uri": split[slash:], "headers": headers, "body": base64.b64encode(body).decode(),
            "now": int(time.time() * 1000), "secret": SECRET, "token": TOKEN, **self.reply,
        }  # fmt: skip
        self.process.stdin.write(json.dumps(asked).encode() + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.understood = answer["understood"]
        response = answer["response"]
        raw = Raw(base64.b64decode(response["body"]))
        headers = botocore.awsrequest.HeadersDict()
        for name, value in response["headers"]:
            headers[name] = value
        return botocore.awsrequest.AWSResponse(request.url, response["status"], headers, raw)


class Raw:
    """A body as urllib3 gives it."""

    def __init__(self, content):
        self.content = content

    def stream(self, **_):
        yield self.content

    def read(self, *_, **__):
        content, self.content = self.content, b""
        return content


class Maker:
    """Random valid values."""

    def __init__(self, rng, for_output):
        self.rng, self.for_output = rng, for_output

    def value(self, shape, depth=0, location=None):
        return getattr(self, shape.type_name, self.string)(shape, depth, location)

    def structure(self, shape, depth, _):
        made, members = {}, list(shape.members.items())
        if getattr(shape, "is_tagged_union", False):
            members = [self.rng.choice(members)]
        for name, member in members:
            required = name in shape.required_members or getattr(shape, "is_tagged_union", False)
            if not required and (depth > 3 or self.rng.random() < (0.3 if depth else 0.15)):
                continue
            if getattr(member, "event_stream_name", None) or depth > 12:
                continue
            made[name] = self.member(name, member, required, depth)
        return made

    def member(self, name, member, required, depth):
        for turn in range(50):
            made = self.value(member, depth + 1 if turn < 5 else 1, member.serialization.get("location"))
            # What is empty has no form in forms and XML: a required member that is empty is a missing one.
            if not required or plain(made) not in ({}, []):
                break
        if member.type_name == "string" and not getattr(member, "enum", None) and rewritten(name, member):
            made = "x" + "".join(self.rng.choice(ALPHABET[:62]) for _ in range(max(7, int(member.metadata.get("min", 0)))))
            made = made[: int(member.metadata.get("max", 99))]
        return made

    def list(self, shape, depth, location):
        low, high = int(shape.metadata.get("min", 0)), shape.metadata.get("max", 3)
        count = self.rng.randint(min(low, 4), max(low, min(int(high), 3 if depth < 4 else 1)))
        return [self.value(shape.member, depth + 1, location) for _ in range(max(low, count))]

    def map(self, shape, depth, location):
        count = self.rng.randint(max(1, int(shape.metadata.get("min", 0))), 2)
        keys = [self.value(shape.key, depth + 1, location) for _ in range(count)]
        return {key: self.value(shape.value, depth + 1, location) for key in keys if key}

    def string(self, shape, _=0, location=None):
        if getattr(shape, "enum", None):
            return self.rng.choice(shape.enum)
        low, high = int(shape.metadata.get("min", 0)), int(shape.metadata.get("max", 12))
        count = max(low, min(high, self.rng.randint(1, 12)))
        letters = ALPHABET[:62] if location in ("header", "headers") else ALPHABET
        made = "".join(self.rng.choice(letters) for _ in range(count))
        return made.strip().ljust(low or 1, "x")[: max(high, 1)]

    def blob(self, shape, *_):
        return self.rng.randbytes(max(1, int(shape.metadata.get("min", 0)), self.rng.randint(1, 9)))

    def boolean(self, *_):
        return self.rng.random() < 0.5

    def integer(self, shape, *_):
        low, high = int(shape.metadata.get("min", -5)), int(shape.metadata.get("max", 1000))
        return self.rng.randint(low, max(low, min(high, 2**31 - 1)))

    def long(self, shape, *_):
        if "max" in shape.metadata or "min" in shape.metadata:
            return self.integer(shape)
        return self.rng.choice([0, -1, 2**53 + 1, 2**63 - 1, 1234567890123])

    def double(self, shape, *_):
        low, high = float(shape.metadata.get("min", -10)), float(shape.metadata.get("max", 1000))
        return round(self.rng.uniform(low, max(low, high)), 3)

    float = double

    def timestamp(self, *_):
        return datetime.datetime.fromtimestamp(self.rng.randint(10**9, 2 * 10**9), UTC)


def rewritten(name, member):
    """boto3 strips Route 53's ids of their paths, and decodes policies that look like JSON or an escape."""
    return name.endswith(("Id", "IdMarker")) or member.name in ("policyDocumentType", "TemplateBody")


def as_sent(operation, given):
    """What boto3's handlers make of an input on its way."""
    given = dict(given)
    if operation in ("RunInstances", "CreateLaunchConfiguration") and given.get("UserData"):
        given["UserData"] = base64.b64encode(given["UserData"].encode()).decode()
    if operation in ("CopyDBSnapshot", "CopyDBClusterSnapshot", "CreateDBInstanceReadReplica", "CreateDBCluster",
                     "StartDBInstanceAutomatedBackupsReplication"):  # fmt: skip
        # It is not sent, but used to sign a URL of the other region.
        given.pop("SourceRegion", None)
        given.setdefault("PreSignedUrl", ...)
    return given


def as_received(operation, output):
    """What boto3's handlers make of an output on its way."""
    if operation == "GetConsoleOutput" and "Output" in output:
        try:
            text = base64.b64decode(output["Output"].encode("latin-1")).decode("utf-8", "replace")
            return {**output, "Output": text}
        except ValueError:
            pass
    return output


def plain(value):
    """As wire has it: blobs as base64, timestamps as seconds; nothing that is empty."""
    if isinstance(value, dict):
        made = {key: plain(part) for key, part in value.items() if key != "ResponseMetadata"}
        return {key: part for key, part in made.items() if part not in (None, {}, [])}
    if isinstance(value, (list, tuple)):
        return [part for part in (plain(part) for part in value) if part not in (None, {}, [])]
    if isinstance(value, datetime.datetime):
        seconds = value.timestamp()
        return int(seconds) if seconds == int(seconds) else seconds
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if hasattr(value, "read"):
        return base64.b64encode(value.read()).decode()
    if isinstance(value, float) and value == int(value):
        return int(value)
    return value


def without_tokens(shape, given, understood):
    """boto3 makes up idempotency tokens that were not given."""
    return {
        name: value
        for name, value in understood.items()
        if name in given or not (shape.members[name].metadata.get("idempotencyToken"))
    }


def wired(value):
    """An output as the program takes it."""
    if isinstance(value, dict):
        return {key: wired(part) for key, part in value.items()}
    if isinstance(value, list):
        return [wired(part) for part in value]
    return plain(value)


def difference(one, other, path=""):
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            found = difference(one.get(key), other.get(key), f"{path}.{key}")
            if found:
                return found
        return None
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other)):
            found = difference(left, right, f"{path}[{index}]")
            if found:
                return found
        return None
    return None if one == other else f"{path}: {str(one)[:90]!r} != {str(other)[:90]!r}"


def speak(service, protocol):
    """Makes boto3 speak another of a service's protocols than the one it prefers."""
    preferred = botocore.model.ServiceModel.resolved_protocol
    choose = lambda model: protocol if model.service_name == service else preferred.__get__(model)
    botocore.model.ServiceModel.resolved_protocol = property(choose)


def client(service, echo):
    config = botocore.config.Config(
        parameter_validation=True, retries={"total_max_attempts": 1}, inject_host_prefix=False,
        disable_request_compression=True,
    )  # fmt: skip
    made = boto3.client(
        service, region_name="eu-west-1", endpoint_url="http://127.0.0.1:4566", aws_access_key_id=KEY,
        aws_secret_access_key=SECRET, aws_session_token=TOKEN, config=config,
    )  # fmt: skip
    made._endpoint.http_session.send = echo.send
    return made


def call(made, operation, given):
    method = next(name for name, api in made.meta.method_to_api_mapping.items() if api == operation)
    return getattr(made, method)(**given)


def try_operation(service, made, operation, echo, rng):
    """The ways in which one operation differs."""
    model = made.meta.service_model.operation_model(operation)
    if model.has_event_stream_input or model.has_event_stream_output:
        return None
    given = Maker(rng, False).value(model.input_shape) if model.input_shape else {}
    output = Maker(rng, True).value(model.output_shape) if model.output_shape else {}
    echo.reply, echo.understood = {"output": wired(output)}, None
    found = []
    try:
        received = call(made, operation, given)
    except botocore.exceptions.ClientError as error:
        received = None
        found.append(f"output: {error}")
    except botocore.exceptions.ParamValidationError as error:
        return [f"not sent: {str(error)[:200]}"]
    except botocore.parsers.ResponseParserError as error:
        received = None
        found.append(f"output: {str(error)[:200]}")
    except (StopIteration, botocore.exceptions.BotoCoreError) as error:
        return [f"not sent: {error!r}"]
    understood = echo.understood or {}
    if understood.get("refused") or understood.get("misread"):
        return [f"input: {understood.get('refused') or understood.get('misread')}"]
    if (understood["service"], understood["operation"]) != (service, operation):
        found.append(f"taken for {understood['service']}.{understood['operation']}")
    if model.input_shape:
        sent = without_tokens(model.input_shape, given, understood["input"])
        wanted = as_sent(operation, given)
        if wanted.get("PreSignedUrl") is ...:
            wanted["PreSignedUrl"] = sent.get("PreSignedUrl")
        differs = difference(plain(wanted), plain(sent))
        if differs:
            found.append(f"input{differs}")
    if understood["signed"] != "yes":
        found.append(f"signature: {understood['signed']}")
    complaints = [part for part in understood["violations"].split("; Value")
                  if part and not part.startswith("0 ") and "regular expression" not in part]  # fmt: skip
    if complaints:
        found.append(f"violations: {complaints[0][:250]}")
    if understood["strays"]:
        found.append(f"strays: {understood['strays'][:3]}")
    if received is not None and model.output_shape:
        differs = difference(plain(as_received(operation, output)), plain(received))
        if differs:
            found.append(f"output{differs}")
    return found + try_presigned(made, model, given, echo, rng) + try_error(made, model, given, echo, rng)


def try_presigned(made, model, given, echo, rng):
    """Of some operations, the same call as a presigned URL."""
    speaks_forms = made.meta.service_model.resolved_protocol in ("query", "ec2")
    if rng.random() > 0.1 or model.auth_type == "none" or not (speaks_forms or model.http["method"] == "GET"):
        return []
    method = next(name for name, api in made.meta.method_to_api_mapping.items() if api == model.name)
    url = made.generate_presigned_url(method, given, ExpiresIn=600, HttpMethod="GET")
    echo.send(botocore.awsrequest.AWSRequest("GET", url).prepare())
    understood = echo.understood
    if (understood.get("operation"), understood.get("signed")) != (model.name, "yes"):
        return [f"presigned: {str(understood)[:300]}"]
    return []


def try_error(made, model, given, echo, rng):
    """A declared error has to arrive with its code, status, message and members."""
    if not model.error_shapes:
        return []
    shape = rng.choice(model.error_shapes)
    members = {name: value for name, value in Maker(rng, True).value(shape).items() if name.lower() != "message"}
    echo.reply = {"fault": {"name": shape.name, "message": "it <is> so", "members": wired(members)}}
    try:
        call(made, model.name, given)
    except botocore.exceptions.ClientError as error:
        response, code = error.response, shape.metadata.get("error", {}).get("code", shape.name)
        status = shape.metadata.get("error", {}).get("httpStatusCode", 500 if shape._shape_model.get("fault") else 400)
        found = []
        if (response["Error"]["Code"], response["Error"]["Message"]) != (code, "it <is> so"):
            found.append(f"error {shape.name}: {response['Error']}")
        if response["ResponseMetadata"]["HTTPStatusCode"] != status:
            found.append(f"error {shape.name}: status {response['ResponseMetadata']['HTTPStatusCode']} is not {status}")
        if response["ResponseMetadata"].get("RequestId") != "request-1":
            found.append(f"error {shape.name}: request id {response['ResponseMetadata'].get('RequestId')}")
        got = {name: value for name, value in response.items() if name in members}
        differs = difference(plain(members), plain(got))
        if differs:
            found.append(f"error {shape.name}{differs}")
        return found
    return [f"error {shape.name}: not raised"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1, help="inputs and outputs per operation")
    parser.add_argument("--echo", default=str(ROOT.parent / "target/debug/examples/echo"))
    parser.add_argument("--models", help="a folder of models that strip.py --out wrote")
    parser.add_argument("--verbose", action="store_true", help="name every difference")
    parser.add_argument("services", nargs="*")
    options = parser.parse_args()

    folder = pathlib.Path(options.models) if options.models else ROOT / "models"
    index = json.loads((folder / "index.json").read_text())
    echo = Echo([options.echo] + ([options.models] if options.models else []))
    started, total, equal, unexpected = time.monotonic(), 0, 0, []
    other = [f"{name}:{protocol}" for name, service in index.items() for protocol in service.get("protocols", [])[1:]]
    for service in options.services or sorted(index) + other:
        service, _, protocol = service.partition(":")
        if protocol:
            speak(service, protocol)
        made = client(service, echo)
        tried, differing = 0, []
        for operation in made.meta.service_model.operation_names:
            for turn in range(options.rounds):
                rng = random.Random(f"{options.seed} {turn} {service} {operation}")
                found = try_operation(service, made, operation, echo, rng)
                if found is None:
                    continue
                tried += 1
                if found:
                    differing.append((operation, found))
        total, equal = total + tried, equal + tried - len(differing)
        print(f"{f'{service} {protocol}':26} {tried - len(differing):5} of {tried:5} equal")
        for operation, found in differing:
            if (service, operation) not in LEFT_OVER:
                unexpected.append((service, operation))
            if options.verbose or (service, operation) not in LEFT_OVER:
                print(f"    {operation}: {'; '.join(found)}")
    seconds = time.monotonic() - started
    print(f"{equal} of {total} equal ({100 * equal / max(total, 1):.2f} %), seed {options.seed}, {seconds:.1f} s")
    sys.exit(1 if unexpected else 0)


main()
