//! Files that are no topology, or not one in shape: texts, YAML, unknown words.

use topologies::check::{MAX_BYTES, check};

use super::{base, notes, told};

#[test]
fn texts_that_are_no_topology() {
    told(
        "texts",
        &[
            ("empty", notes("")),
            ("only a comment", notes("# nothing\n")),
            ("a word", notes("hello")),
            ("a list", notes("- a\n- b\n")),
            (
                "bad syntax",
                notes("region: us-east-1\navailability-zones: [a, b\ninstances: {}\n"),
            ),
            ("a tab", notes("region: us-east-1\ninstances:\n\tweb: {}\n")),
            (
                "two documents",
                notes("region: us-east-1\n---\nregion: us-east-1\n"),
            ),
            ("binary", notes("\u{0}\u{1}\u{2}ELF")),
            ("unknown alias", notes("region: *nowhere\n")),
            ("too deep", notes(&"[".repeat(3_000))),
            ("too large", notes(&"#".repeat(MAX_BYTES + 1))),
            ("only a region", notes("region: us-east-1\n")),
            ("only zones", notes("availability-zones: [a]\n")),
            ("only a name", notes("name: shop\n")),
        ],
    );
}

#[test]
fn mistakes_of_shape_are_told_together() {
    told(
        "shape",
        &[(
            "many at once",
            notes(
                "\
regoin: us-east-1
availability_zones: [a, b]
color: blue
timing: slow
instances:
  web: { program: app, port: 0, count: many }
  api: { program: app }
  web: { program: app, port: 80 }
target-groups:
  web:
    targets: web
    protocol: HTTPS
    health-check: { interval: 30, healthy-threshold: 1, matcher: 2xx, paht: /health }
load-balancers:
  site: { type: gateway, listeners: }
db-instances:
  orders: { multi-az: yes, engine: mysql, engine-version: latest, MasterUsername: shop, port: 70000 }
  users: []
",
            ),
        )],
    );
}

/// Words that AWS has, and fields that are called otherwise here.
#[test]
fn words_of_aws() {
    told(
        "words_of_aws",
        &[
            (
                "of no effect",
                base(
                    "vpc: main\ndb-instances: { orders: { instance-class: db.m6g.large, AllocatedStorage: 100 } }\nload-balancers: { site: { type: application, scheme: internal, listeners: [{ port: 80, default-action: { forward: web } }] } }\n",
                ),
            ),
            (
                "instances",
                notes(
                    "region: us-east-1\navailability-zones: [a]\ninstances: { web: { command: app, port: 80, ami: ami-1, instance-type: m6g.large } }\n",
                ),
            ),
            (
                "called otherwise",
                base(
                    "db-instances: { orders: { username: shop, password: short } }\nreplication-groups: { sessions: { cache-clusters: 9 } }\n",
                ),
            ),
            (
                "parameters that no server knows",
                base(
                    "db-instances: { orders: { parameters: { fsnyc: on, colour: red, fsync: on, pg_stat_statements.max: 5 } } }\n",
                ),
            ),
        ],
    );
}

/// Fields that begin with `x-` are the user's own, at the file's top only.
#[test]
fn fields_of_the_users_own_are_not_looked_at() {
    let text = "x-common: &common { program: app, port: 80 }\nx-: [1, { 2: 3 }]\nregion: us-east-1\navailability-zones: [a]\ninstances: { web: { <<: *common, port: 81 } }\n";
    let (topology, found) = check(text, "t.yaml");
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(topology.unwrap().services[0].port, 81);
    let below = notes(&text.replace("port: 81", "x-port: 81"));
    assert!(below.contains("unknown field `x-port`"), "{below}");
}

/// Aliases that would become millions of values.
#[test]
fn an_alias_bomb_is_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let alias = format!("*a{},", n - 1).repeat(10);
        text.push_str(&format!("a{n}: &a{n} [{alias}]\n"));
    }
    assert!(notes(&text).contains("not valid YAML"));
}

/// Small aliases are YAML as any other.
#[test]
fn anchors_and_merge_keys_may_be_used() {
    let text = "region: us-east-1\navailability-zones: &zones [a, b]\ninstances:\n  web: &web { program: app, port: 80, availability-zones: *zones }\n  api: { <<: *web, port: 81 }\n";
    let (topology, notes) = check(text, "t.yaml");
    assert_eq!(topology.unwrap().services.len(), 2, "{notes:?}");
}
