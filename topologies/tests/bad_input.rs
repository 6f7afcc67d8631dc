//! Bad input: every mistake is told with its place and a way out.

use topologies::check::{MAX_BYTES, check};
use topologies::notes::{Style, has_errors, render};

/// The beginning of a sound file with two zones, a group of instances and a target group.
const BASE: &str = "\
region: us-east-1
availability-zones: [a, b]
instances: { web: { program: app, port: 80 } }
target-groups: { web: { targets: web }, tcp: { targets: web, protocol: TCP } }
";

fn notes(text: &str) -> String {
    let (topology, notes) = check(text, "shop.yaml");
    assert_eq!(topology.is_none(), has_errors(&notes), "{text}");
    render(&notes, text, "shop.yaml", Style::Plain)
}

/// The notes about [`BASE`] followed by `rest`, but not those about unused target groups.
fn base(rest: &str) -> String {
    let all = notes(&format!("{BASE}{rest}"));
    let notes = all
        .split("\n\n")
        .filter(|note| !note.contains("is used by no listener"));
    notes
        .map(|note| format!("{}\n\n", note.trim_end()))
        .collect()
}

/// One snapshot per family of mistakes: the inputs' titles and all their notes.
fn told(name: &str, cases: &[(&str, String)]) {
    let shown = cases.iter().map(|(title, notes)| {
        assert!(
            notes.contains("error") || notes.contains("warning"),
            "{title} was accepted"
        );
        format!("## {title}\n{}\n", notes.trim_end())
    });
    insta::assert_snapshot!(name, shown.collect::<Vec<_>>().join("\n"));
}

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
fn instances_and_target_groups() {
    let web = |fields: &str| {
        notes(&format!(
            "region: us-east-1\navailability-zones: [a, b]\ninstances:\n  web: {{ program: app, port: 80, {fields} }}\n"
        ))
    };
    let group = |fields: &str| {
        notes(&format!(
            "region: us-east-1\navailability-zones: [a, b]\ninstances: {{ web: {{ program: app, port: 80 }} }}\ntarget-groups:\n  web: {{ {fields} }}\n"
        ))
    };
    told(
        "instances",
        &[
            (
                "no program",
                notes(
                    "region: us-east-1\navailability-zones: [a]\ninstances: { web: { program: [], port: 80 } }\n",
                ),
            ),
            (
                "neither program nor image",
                notes(
                    "region: us-east-1\navailability-zones: [a]\ninstances: { web: { port: 80 } }\n",
                ),
            ),
            (
                "count and placement",
                web("count: 3, placement: [a, b], availability-zones: [a]"),
            ),
            ("zone twice", web("availability-zones: [a, a]")),
            ("no zone", web("placement: []")),
            (
                "environment",
                web("environment: { 1A: x, PORT: 8080, INSTANCE_ID: x }"),
            ),
            (
                "unknown reference",
                web(
                    "environment: { A: \"${order.url}\", B: \"x ${instance.name} y\", C: \"${\", D: \"$${fine}\" }",
                ),
            ),
            ("unknown instances", group("targets: wbe")),
            ("wrong port", group("targets: web, port: 8080")),
            (
                "TCP check with a path",
                group("targets: web, protocol: TCP, health-check: { path: /x, matcher: 200 }"),
            ),
            (
                "HTTP group with TCP check",
                group("targets: web, health-check: { protocol: TCP }"),
            ),
            (
                "ranges",
                group(
                    "targets: web, deregistration-delay: 2h, health-check: { interval: 500ms, timeout: 121s, matcher: 200-500, path: health }",
                ),
            ),
            (
                "timeout beyond interval",
                group("targets: web, health-check: { interval: 5s, timeout: 6s }"),
            ),
        ],
    );
}

#[test]
fn references_to_databases_and_caches() {
    let text = "\
region: us-east-1
availability-zones: [a, b]
instances:
  web:
    program: app
    port: 80
    environment:
      A: ${order.url}
      B: ${orders.uri}
      C: ${sessions.url}
      D: \"redis://${sessions.primary.adress}:1\"
db-instances: { orders: {} }
replication-groups: { sessions: {} }
";
    told("references", &[("unknown parts", notes(text))]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table of inputs")]
fn load_balancers() {
    let alb = |listeners: &str| {
        base(&format!(
            "load-balancers:\n  site:\n    type: application\n    listeners:\n{listeners}"
        ))
    };
    let nlb = |listeners: &str| {
        base(&format!(
            "load-balancers:\n  edge:\n    type: network\n    listeners:\n{listeners}"
        ))
    };
    told(
        "load_balancers",
        &[
            (
                "ALB in one zone",
                base(
                    "load-balancers:\n  site:\n    type: application\n    availability-zones: [a]\n    listeners: [{ port: 80, default-action: { forward: web } }]\n",
                ),
            ),
            (
                "no listeners",
                base("load-balancers: { site: { type: application, listeners: [] } }\n"),
            ),
            (
                "NLB with rules",
                nlb(
                    "      - port: 80\n        default-action: { forward: tcp }\n        rules: [{ priority: 1, path-pattern: /x, action: { forward: tcp } }]\n",
                ),
            ),
            (
                "NLB with HTTP",
                nlb("      - { port: 80, protocol: HTTP, default-action: { forward: web } }\n"),
            ),
            (
                "NLB with an answer",
                nlb(
                    "      - { port: 80, default-action: { fixed-response: { status-code: 200 } } }\n",
                ),
            ),
            (
                "ALB with TCP",
                alb("      - { port: 80, protocol: TCP, default-action: { forward: tcp } }\n"),
            ),
            (
                "unknown target group",
                alb("      - { port: 80, default-action: { forward: wbe } }\n"),
            ),
            (
                "port twice",
                alb(
                    "      - { port: 80, default-action: { forward: web } }\n      - { port: 80, default-action: { forward: web } }\n",
                ),
            ),
            (
                "no action",
                alb("      - { port: 80, default-action: {} }\n"),
            ),
            (
                "bad answer",
                alb(
                    "      - { port: 80, default-action: { fixed-response: { status-code: 302, content-type: image/png } } }\n",
                ),
            ),
            (
                "rules",
                alb(
                    "      - port: 80\n        default-action: { forward: web }\n        rules:\n          - { priority: 1, path-pattern: [/a, /b, /c, /d], action: { forward: web } }\n          - { priority: 1, action: { forward: web } }\n          - { priority: 2, path-pattern: api, action: { forward: web } }\n          - { priority: 3, path-pattern: '/*/*/*/*/*/*', action: { forward: web } }\n",
                ),
            ),
            (
                "a group of two",
                base(
                    "load-balancers:\n  one: { type: network, listeners: [{ port: 80, default-action: { forward: tcp } }] }\n  two: { type: network, listeners: [{ port: 80, default-action: { forward: tcp } }] }\n",
                ),
            ),
            (
                "cross-zone and idle timeout",
                base(
                    "load-balancers:\n  site: { type: application, cross-zone: false, idle-timeout: 2h, listeners: [{ port: 80, default-action: { forward: web } }] }\n",
                ),
            ),
        ],
    );
}

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

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table of inputs")]
fn dns() {
    let zone = |records: &str| {
        base(&format!(
            "hosted-zones:\n  shop.internal:\n    records:\n{records}"
        ))
    };
    told(
        "dns",
        &[
            (
                "cyclic alias",
                zone(
                    "      - { name: a, alias: b }\n      - { name: b, alias: c }\n      - { name: c, alias: a }\n      - { name: d, alias: d }\n",
                ),
            ),
            (
                "cyclic CNAME",
                zone(
                    "      - { name: a, type: CNAME, values: b.shop.internal }\n      - { name: b, type: CNAME, values: a.shop.internal }\n      - { name: c, type: CNAME, values: c.shop.internal. }\n      - { name: d, type: CNAME, values: a.shop.internal }\n      - { name: e, type: CNAME, values: www.example.com }\n",
                ),
            ),
            (
                "cyclic CNAME over two hosted zones",
                base(
                    "hosted-zones:\n  a.internal: { records: [{ name: x, type: CNAME, values: x.b.internal }] }\n  b.internal: { records: [{ name: x, type: CNAME, values: x.a.internal }] }\n",
                ),
            ),
            (
                "alias to nothing",
                zone(
                    "      - { name: www, values: 192.0.2.1 }\n      - { name: a, alias: wwww }\n      - { name: b, alias: site }\n",
                ),
            ),
            (
                "neither or both",
                zone("      - { name: a }\n      - { name: b, alias: a, values: 192.0.2.1 }\n"),
            ),
            (
                "half a pair",
                zone("      - { name: www, values: 192.0.2.1, failover: PRIMARY }\n"),
            ),
            (
                "two primaries",
                zone(
                    "      - { name: www, values: 192.0.2.1, failover: PRIMARY, health-check: up }\n      - { name: www, values: 192.0.2.2, failover: PRIMARY, health-check: up }\nhealth-checks: { up: { fully-qualified-domain-name: example.com } }\n",
                ),
            ),
            (
                "duplicate",
                zone(
                    "      - { name: www, values: 192.0.2.1 }\n      - { name: www.shop.internal., values: 192.0.2.2 }\n",
                ),
            ),
            (
                "CNAME",
                zone(
                    "      - { name: '@', type: CNAME, values: example.com }\n      - { name: x, type: CNAME, values: [example.com, example.org] }\n      - { name: x, values: 192.0.2.1 }\n",
                ),
            ),
            (
                "values",
                zone(
                    "      - { name: a, values: [1.2.3, site] }\n      - { name: b, type: CNAME, values: 'not a name' }\n      - { name: c, type: CNAME, values: '${orders.url}' }\ndb-instances: { orders: {} }\n",
                ),
            ),
            (
                "names",
                zone(
                    "      - { name: 'a b', values: 192.0.2.1 }\n      - { name: www.example.com., values: 192.0.2.1 }\n",
                ),
            ),
            (
                "TTL",
                zone(
                    "      - { name: a, values: 192.0.2.1, ttl: 500ms }\n      - { name: b, alias: a, ttl: 5s }\n",
                ),
            ),
            (
                "unknown health check",
                zone("      - { name: a, values: 192.0.2.1, health-check: up }\n"),
            ),
            (
                "hosted zone",
                base(
                    "hosted-zones: { internal: {}, 'a b': {}, shop.example: {}, Shop.Example.: {} }\n",
                ),
            ),
            (
                "health check",
                base(
                    "health-checks:\n  up: { fully-qualified-domain-name: '${site.url}', request-interval: 15s, failure-threshold: 11 }\n  down: { type: TCP, resource-path: /, fully-qualified-domain-name: 'a b' }\n",
                ),
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

/// A chain of CNAMEs that ends, and a record that a longer zone's name hides, are no circle.
#[test]
fn cnames_that_lead_somewhere_are_accepted() {
    for zones in [
        "a.internal: { records: [{ name: x, type: CNAME, values: y.a.internal }, { name: y, type: CNAME, values: z.a.internal }, { name: z, values: 192.0.2.1 }] }",
        "example: { records: [{ name: x.a, type: CNAME, values: x.a.example }] }\n  a.example: { records: [{ name: x, values: 192.0.2.1 }] }",
    ] {
        let found = base(&format!("hosted-zones:\n  {zones}\n"));
        assert!(!found.contains("error"), "{found}");
    }
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

/// An image may have a program of its own.
#[test]
fn an_image_needs_no_program() {
    let text = "region: us-east-1\navailability-zones: [a]\ninstances: { web: { image: nginx, port: 80 } }\n";
    let (topology, notes) = topologies::check::check(text, "shop.yaml");
    let topology = topology.unwrap_or_else(|| panic!("{notes:?}"));
    let web = &topology.services[0];
    assert!(web.command.is_empty());
    assert_eq!(web.image.as_deref(), Some("nginx"));
    let again = topologies::explain::explain(&topology);
    assert_eq!(
        topologies::check::check(&again, "shop.yaml").0,
        Some(topology),
        "{again}"
    );
}
