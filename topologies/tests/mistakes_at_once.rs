//! Mistakes of shape and of meaning in one file are told together, and none because of another.

use topologies::check::check;

const FILE: &str = "\
region: us-east-1
availability-zones: [a, b]
credentials: [{ access-key-id: AKIAIOSFODNN7EXAMPLE }]
instances:
  web: { program: app, port: eighty, environment: { DB: '${orders.url}', CACHE: '${sesions.host}' } }
  api: { program: app, port: 80, environment: { DB: '${orders.url}', CACHE: '${sesions.host}' } }
target-groups:
  web: { targets: web }
  api: { targets: apo }
  odd: { protocol: TCP, targets: api }
load-balancers:
  site: { type: application, listeners: [{ port: 80, default-action: { forward: web, rewrites: x } }] }
  inner: { type: network, listeners: [{ port: 81, default-action: { forward: odd } }] }
db-instances:
  orders: { multi-az: yep }
  stock: { source-db-instance-identifier: orders }
  old: { source-db-instance-identifier: order }
replication-groups:
  sessions: { num-cache-clusters: 2, preferred-cache-cluster-azs: [a, z] }
hosted-zones:
  shop.example:
    records:
      - { name: www, type: A, alias: site }
      - { name: app, type: A, alias: sita }
";

#[test]
fn of_shape_and_of_meaning() {
    insta::assert_snapshot!(told(FILE), @"
    3:15: `credentials` has no `secret-access-key`
    5:30: expected a whole number, found `eighty`
    6:78: unknown reference `${sesions.host}`
    9:19: group of instances `apo` is not declared
    12:86: unknown field `rewrites` in `load-balancers.site.listeners.default-action`
    15:23: expected true or false, found `yep`
    17:41: DB instance `order` is not declared
    19:71: zone `z` is not declared
    24:38: alias `sita` leads to nothing
    ");
}

/// Without all of its zones nothing of a file can be told to be in a wrong one.
#[test]
fn a_region_with_a_mistake_is_the_only_one_told() {
    let file = "\
regions: { us-east-1: [a, b], us-west-2: a }
instances: { web: { program: app, port: 80, availability-zones: [us-west-2a] } }
";
    let (topology, notes) = check(file, "shop.yaml");
    assert!(topology.is_none());
    let messages: Vec<&str> = notes.iter().map(|note| &*note.message).collect();
    assert_eq!(messages, ["expected a list, found `a`"]);
}

/// What `check` says, a line each.
fn told(file: &str) -> String {
    let (topology, notes) = check(file, "shop.yaml");
    assert!(topology.is_none());
    let notes = notes.iter().map(|note| {
        let span = note.span;
        format!("{}:{}: {}\n", span.line, span.column, note.message)
    });
    notes.collect()
}

/// Fields of the file that may be absent, and numbers that no type holds.
#[test]
fn beside_a_field_of_another_shape_and_a_number_out_of_range() {
    let file = "\
region: us-east-1
availability-zones: [a, b]
timing: quick
instances:
  web: { program: app, port: 80, count: -2 }
  api: { program: app, port: 80, count: 70000 }
target-groups: { web: { targets: web }, api: { targets: apo } }
hosted-zones: { shop.example: { records: [{ name: www, type: A, alias: site }] } }
";
    insta::assert_snapshot!(told(file), @"
    3:9: unknown value `quick`
    5:41: -2 is out of range: allowed is 1 to 1000
    6:41: 70000 is out of range: allowed is 1 to 1000
    7:57: group of instances `apo` is not declared
    8:72: alias `site` leads to nothing
    ");
    // Nobody knows what this would have declared.
    let file = file.replace("target-groups: {", "load-balancers: up\ntarget-groups: {");
    insta::assert_snapshot!(told(&file), @"
    3:9: unknown value `quick`
    5:41: -2 is out of range: allowed is 1 to 1000
    6:41: 70000 is out of range: allowed is 1 to 1000
    7:17: expected a mapping, found `up`
    ");
}
