//! Databases and caches.

use super::{base, notes, told};

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table of inputs")]
fn databases_and_caches() {
    told(
        "databases",
        &[
            (
                "parameters that are only told",
                base(
                    "db-instances: { orders: { parameters: { block_size: 4096, server_version: 15, fsync: on } } }\n",
                ),
            ),
            (
                "standby beside its primary",
                base(
                    "db-instances:\n  orders: { multi-az: true, availability-zone: a, secondary-availability-zone: a }\n",
                ),
            ),
            (
                "standby without Multi-AZ",
                base("db-instances:\n  orders: { secondary-availability-zone: b }\n"),
            ),
            (
                "Multi-AZ in one zone",
                notes(
                    "region: us-east-1\navailability-zones: [a]\ndb-instances: { orders: { multi-az: true } }\n",
                ),
            ),
            (
                "standby elsewhere",
                notes(
                    "regions: { us-east-1: [a], us-west-2: [a] }\ndb-instances:\n  orders: { multi-az: true, availability-zone: us-east-1a, secondary-availability-zone: us-west-2a }\n",
                ),
            ),
            (
                "replica of nothing",
                base(
                    "db-instances:\n  orders: {}\n  copy: { source-db-instance-identifier: ordesr }\n",
                ),
            ),
            (
                "replica of a replica",
                base(
                    "db-instances:\n  orders: {}\n  copy: { source-db-instance-identifier: orders }\n  copy2: { source-db-instance-identifier: copy }\n",
                ),
            ),
            (
                "replica with fields of its source",
                base(
                    "db-instances:\n  orders: {}\n  copy: { source-db-instance-identifier: orders, port: 5432, multi-az: true }\n",
                ),
            ),
            (
                "engines",
                base("engines: { postgres: [], redis: [\"\", /opt/valkey/bin], valkey: [/opt] }\n"),
            ),
            (
                "account",
                base(
                    "db-instances:\n  orders: { master-username: rdsadmin, master-user-password: short, db-name: my-db, port: 80, engine-version: 9.6 }\n",
                ),
            ),
            (
                "parameters",
                base(
                    "db-instances:\n  orders: { parameters: { wal_level: minimal, Bad Name: 1 } }\n",
                ),
            ),
            (
                "commits that do not wait",
                base(
                    "db-instances:\n  orders: { multi-az: true, parameters: { synchronous_commit: local } }\n  stock: { parameters: { synchronous_commit: off } }\n",
                ),
            ),
            (
                "failover without a replica",
                base("replication-groups: { sessions: { automatic-failover-enabled: true } }\n"),
            ),
            (
                "Multi-AZ without failover",
                base(
                    "replication-groups: { sessions: { num-cache-clusters: 2, multi-az-enabled: true } }\n",
                ),
            ),
            (
                "zones for other nodes",
                base(
                    "replication-groups: { sessions: { num-cache-clusters: 3, preferred-cache-cluster-azs: [a, b] } }\n",
                ),
            ),
            (
                "cache fields",
                base(
                    "replication-groups: { sessions: { num-cache-clusters: 7, auth-token: short, engine-version: 5 } }\n",
                ),
            ),
        ],
    );
}
