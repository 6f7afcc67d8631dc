"""What the scripts share: clients as they come, errors that are expected, things that are waited for."""

import contextlib
import time

import boto3
from botocore.exceptions import ClientError

PATIENCE = 90


def client(service):
    return boto3.client(service)


@contextlib.contextmanager
def refused(code):
    """What is done in it must be refused with this code."""
    try:
        yield
    except ClientError as error:
        got = error.response["Error"]["Code"]
        assert got == code, f"{got}, not {code}: {error}"
    else:
        raise AssertionError(f"not refused with {code}")


def until(what, so):
    """Waits until it is so; its value then."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = so()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {PATIENCE} s")


def quick(waiter, **arguments):
    """A waiter of boto3 that looks more often than it does by itself."""
    waiter.wait(WaiterConfig={"Delay": 1, "MaxAttempts": PATIENCE}, **arguments)
