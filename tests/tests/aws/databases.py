"""What the scripts about DB instances share: one is found, connected to, asked, and its events read."""

import pg8000.native
from cloud import client, until

rds = client("rds")
available = rds.get_waiter("db_instance_available")
PASSWORD = "a-secret-of-8"


def instance(name):
    (found,) = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    return found


def connect(name, password=PASSWORD):
    endpoint = instance(name)["Endpoint"]
    try:
        return pg8000.native.Connection(
            "app", host=endpoint["Address"], port=endpoint["Port"], database="users", password=password, timeout=5
        )
    except (pg8000.exceptions.InterfaceError, pg8000.exceptions.DatabaseError, OSError):
        return None


def query(name, sql, password=PASSWORD):
    connection = until(f"{name} takes connections", lambda: connect(name, password))
    try:
        return connection.run(sql)
    finally:
        connection.close()


def events(name):
    published = rds.describe_events(SourceIdentifier=name, SourceType="db-instance")["Events"]
    return [event["Message"] for event in published]
