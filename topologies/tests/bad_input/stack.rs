//! What is wrong with the whole stack: its places, names, account and timing.

use topologies::check::check;

use super::{base, notes, told};

#[test]
fn regions_and_zones() {
    let many: String = ('a'..='h').map(|zone| format!("{zone}, ")).collect();
    told(
        "zones",
        &[
            (
                "not a region",
                notes("region: seoul\navailability-zones: [a]\n"),
            ),
            (
                "not a zone",
                notes("region: us-east-1\navailability-zones: [a, A, us-west-2b, a]\n"),
            ),
            (
                "no zones",
                notes("region: us-east-1\navailability-zones: []\n"),
            ),
            (
                "too many zones",
                notes(&format!(
                    "regions:\n  us-east-1: [{many}]\n  us-west-2: [{many}]\n"
                )),
            ),
            (
                "region twice over",
                notes("region: us-east-1\navailability-zones: [a]\nregions: { us-west-2: [a] }\n"),
            ),
            (
                "unknown zone",
                base("db-instances: { orders: { availability-zone: us-east-1c } }\n"),
            ),
            (
                "letter with several regions",
                notes(
                    "regions: { us-east-1: [a], us-west-2: [a] }\ndb-instances: { orders: { availability-zone: a }, users: {} }\n",
                ),
            ),
            (
                "too many hosts",
                notes(
                    "region: us-east-1\navailability-zones: [a]\ninstances: { web: { program: app, port: 80, count: 400 } }\n",
                ),
            ),
            (
                "hosts beyond any topology",
                notes(
                    "region: us-east-1\navailability-zones: [a]\ninstances:\n  a: { program: x, port: 80, count: 1000 }\n  b: { program: x, port: 80, count: 1000 }\n  c: { program: x, port: 80, count: 1000 }\n  d: { program: x, port: 80, count: 1000 }\n",
                ),
            ),
        ],
    );
}

#[test]
fn names() {
    told(
        "names",
        &[
            (
                "refused by AWS",
                base(
                    "db-instances: { 1st: {}, Orders: {}, or--ders: {}, orders-: {} }\nload-balancers:\n  internal-site: { type: network, listeners: [{ port: 80, default-action: { forward: tcp } }] }\n",
                ),
            ),
            (
                "too long",
                base(&format!(
                    "replication-groups: {{ {}: {{}} }}\n",
                    "s".repeat(41)
                )),
            ),
            (
                "reserved",
                base("db-instances: { stack: {}, instance: {} }\n"),
            ),
            (
                "taken",
                base(
                    "db-instances: { web: {}, sessions: { read-replicas: { orders: {} } }, orders: {} }\nreplication-groups: { sessions: {} }\n",
                ),
            ),
            (
                "stack",
                notes("name: My Stack\nregion: us-east-1\navailability-zones: [a]\n"),
            ),
            (
                "suffix",
                notes("suffix: -x-\nregion: us-east-1\navailability-zones: [a]\n"),
            ),
        ],
    );
    let text = "region: us-east-1\navailability-zones: [a]\n";
    let (_, notes) = check(text, "/tmp/My Stack.yaml");
    assert!(notes[0].message.contains("My Stack"), "{notes:?}");
}

#[test]
fn accounts() {
    let account = |fields: &str| {
        notes(&format!(
            "region: us-east-1\navailability-zones: [a]\n{fields}\n"
        ))
    };
    let key = "access-key-id: AKIAIOSFODNN7EXAMPLE, secret-access-key: s3cret";
    told(
        "accounts",
        &[
            ("short", account("account-id: 12345")),
            ("no number", account("account-id: my-account")),
            ("no text", account("account-id: []")),
            ("no keys", account("credentials: []")),
            (
                "no secret",
                account("credentials: [{ access-key-id: AKIAIOSFODNN7EXAMPLE }]"),
            ),
            (
                "not a key",
                account("credentials: [{ access-key-id: A B, secret-access-key: \"\" }]"),
            ),
            (
                "a space",
                account(&format!("credentials: [{{ {key}, session-token: a b }}]")),
            ),
            (
                "twice",
                account(&format!("credentials: [{{ {key} }}, {{ {key} }}]")),
            ),
        ],
    );
}

#[test]
fn timing() {
    let timing = |fields: &str| {
        notes(&format!(
            "region: us-east-1\navailability-zones: [a]\ntiming: {fields}\n"
        ))
    };
    told(
        "timing",
        &[
            ("unknown profile", timing("fsat")),
            ("a range backwards", timing("{ db-failover: 2s-1s }")),
            (
                "ranges",
                timing(
                    "{ profile: aws, probe-interval: 1ms, rds-ttl: 1500ms, db-failover: 2s-1s, health-check-scale: 0 }",
                ),
            ),
        ],
    );
}
