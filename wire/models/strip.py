#!/usr/bin/env python3
"""Makes the vendored models from a pinned botocore wheel, or checks that they are what the wheel gives.

    strip.py            write wire/models/*.json.gz and index.json
    strip.py --check    compare them with the wheel and change nothing

The wheel is downloaded with pip and its sha256 compared; `--wheel FILE` takes one that is at hand. Kept is what says how values
look on the wire and which values are valid; prose, examples, deprecations and shapes that no operation reaches are left out.
Exit codes: 0 same or written, 1 different, 2 the wheel cannot be had or is another.
"""

import argparse
import gzip
import hashlib
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

BOTOCORE = "1.43.11"
SHA256 = "0108b5604df5a26918936c845e1e761866ee9ea8d1c1f9358ed3c69afdc37436"
HERE = pathlib.Path(__file__).resolve().parent

# The newest version of a service's model is taken, except where it is named here.
SERVICES = [
    "arc-zonal-shift",
    "autoscaling",
    "cloudwatch",
    "ec2",
    "elasticache",
    "elbv2",
    "fis",
    "iam",
    "kms",
    "rds",
    "resourcegroupstaggingapi",
    "route53",
    "sts",
]

METADATA = [
    "apiVersion", "awsQueryCompatible", "endpointPrefix", "globalEndpoint", "jsonVersion", "protocol", "protocols",
    "serviceId", "signatureVersion", "signingName", "targetPrefix", "xmlNamespace",
]  # fmt: skip
OPERATION = ["name", "http", "input", "output", "errors", "authtype"]
REFERENCE = [
    "shape", "location", "locationName", "queryName", "flattened", "xmlAttribute", "xmlNamespace", "timestampFormat",
    "resultWrapper", "idempotencyToken", "jsonvalue", "streaming", "box",
]  # fmt: skip
SHAPE = [
    "type", "required", "enum", "min", "max", "pattern", "flattened", "payload", "locationName", "xmlNamespace",
    "timestampFormat", "error", "exception", "fault", "document", "union", "sensitive", "streaming", "eventstream",
    "jsonvalue", "wrapper", "xmlAttribute", "box",
]  # fmt: skip


def pick(source, names):
    return {name: source[name] for name in names if name in source}


def references(shape):
    yield from shape.get("members", {}).values()
    for part in ("member", "key", "value"):
        if part in shape:
            yield shape[part]


def strip_shape(shape):
    kept = pick(shape, SHAPE)
    if "members" in shape:
        kept["members"] = {name: pick(member, REFERENCE) for name, member in shape["members"].items()}
    for part in ("member", "key", "value"):
        if part in shape:
            kept[part] = pick(shape[part], REFERENCE)
    return kept


def strip_operation(operation):
    kept = pick(operation, OPERATION)
    kept["http"] = pick(operation["http"], ["method", "requestUri", "responseCode"])
    for part in ("input", "output"):
        if part in kept:
            kept[part] = pick(kept[part], REFERENCE)
    if "errors" in kept:
        kept["errors"] = [{"shape": error["shape"]} for error in kept["errors"]]
    return kept


def strip(model):
    shapes, reached = model["shapes"], {}
    waiting = []
    for operation in model["operations"].values():
        waiting += [operation[part]["shape"] for part in ("input", "output") if part in operation]
        waiting += [error["shape"] for error in operation.get("errors", [])]
    waiting += [name for name, shape in shapes.items() if shape.get("exception")]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached[name] = strip_shape(shapes[name])
            waiting += [reference["shape"] for reference in references(shapes[name])]
    return {
        "metadata": pick(model["metadata"], METADATA),
        "operations": {name: strip_operation(operation) for name, operation in model["operations"].items()},
        "shapes": {name: reached[name] for name in sorted(reached)},
    }


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def wheel(given):
    if given:
        return pathlib.Path(given).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check",
                   "--only-binary=:all:", "--dest", folder, f"botocore=={BOTOCORE}"]  # fmt: skip
        if subprocess.run(command, timeout=300).returncode != 0:
            sys.exit(2)
        return next(pathlib.Path(folder).glob("*.whl")).read_bytes()


def models(archive, services):
    names = archive.namelist()
    for service in services:
        prefix = f"botocore/data/{service}/"
        found = sorted(n for n in names if n.startswith(prefix) and n.rsplit("/", 1)[1].startswith("service-2.json"))
        content = archive.read(found[-1])
        yield service, strip(json.loads(gzip.decompress(content) if found[-1].endswith(".gz") else content))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare and change nothing")
    parser.add_argument("--wheel", help="a botocore wheel that is at hand")
    parser.add_argument("--out", default=HERE, type=pathlib.Path, help="the folder of the models (default: this one)")
    parser.add_argument("services", nargs="*", help="other services, for trials (default: those that are shipped)")
    options = parser.parse_args()

    content = wheel(options.wheel)
    if hashlib.sha256(content).hexdigest() != SHA256:
        print(f"error: the wheel is not botocore {BOTOCORE} as pinned by sha256 in {__file__}", file=sys.stderr)
        sys.exit(2)
    made, index = {}, {}
    for service, model in models(zipfile.ZipFile(io.BytesIO(content)), options.services or SERVICES):
        made[f"{service}.json.gz"] = compact(model)
        index[service] = {"operations": len(model["operations"]), **model["metadata"]}
    made["index.json"] = (json.dumps(index, indent=1) + "\n").encode()

    different = []
    for name, wanted in made.items():
        path = options.out / name
        if options.check:
            present = path.read_bytes() if path.exists() else b""
            if name.endswith(".gz") and present:
                present = gzip.decompress(present)
            if present != wanted:
                different.append(name)
        else:
            path.write_bytes(gzip.compress(wanted, 9, mtime=0) if name.endswith(".gz") else wanted)
    if different:
        print(f"error: not what botocore {BOTOCORE} gives: {', '.join(different)}", file=sys.stderr)
        print("hint: run wire/models/strip.py and commit what it writes", file=sys.stderr)
        sys.exit(1)
    print(f"botocore {BOTOCORE}: {len(made) - 1} models {'compared' if options.check else 'written'}")


main()
