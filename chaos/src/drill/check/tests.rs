use super::*;

const DRILL: &str = "\
name: sample
workload:
  - sql-writes: {endpoint: orders}
  - http: {endpoint: site}
steps:
  - at: 1s
    inject: {kill-az: {zone: primary-of orders}}
    as: outage
  - at: 2s
    heal: outage
duration: 3s
expect:
  - writes-accepted-again: {endpoint: orders, within: 1s}
";

fn told(note: &Note) -> String {
    let Span { line, column, .. } = note.span;
    let hint = note.hint.as_ref();
    let hint = hint.map_or_else(String::new, |hint| format!(" (hint: {hint})"));
    format!("{line}:{column}: {}{hint}\n", note.message)
}

fn check(text: &str) -> String {
    match parse(text) {
        Ok(_) => "no mistake".to_owned(),
        Err(notes) => notes.iter().map(told).collect(),
    }
}

#[test]
fn the_drills_that_are_shipped_are_sound() {
    for (name, text) in [
        ("az-power", include_str!("../../../drills/az-power.yaml")),
        (
            "az-network",
            include_str!("../../../drills/az-network.yaml"),
        ),
        (
            "primary-crash",
            include_str!("../../../drills/primary-crash.yaml"),
        ),
    ] {
        let drill = parse(text).unwrap_or_else(|notes| panic!("{name}: {notes:?}"));
        assert_eq!(drill.name, name);
    }
}

#[test]
fn defaults_are_filled() {
    let drill = parse(DRILL).unwrap();
    assert_eq!(drill.budget, ONE_ZONE);
    assert_eq!(drill.settle, SETTLE);
    let clients = &drill.workload[1];
    assert_eq!(
        clients.traffic,
        Traffic::Http {
            path: "/".to_owned()
        }
    );
    assert_eq!(
        (clients.clients, clients.rate, clients.timeout),
        (CLIENTS, RATE, Some(TIMEOUT))
    );
}

#[test]
fn a_rate_is_written_as_the_command_line_writes_it() {
    let clients = "sql-writes: {endpoint: orders";
    let drill = |rate: &str| DRILL.replace(clients, &format!("{clients}, rate: {rate}"));
    for written in ["5/s", "5"] {
        assert_eq!(parse(&drill(written)).unwrap().workload[0].rate, 5);
    }
    let told = ["5/min", "0/s", "0", "-1", "5000000000"].map(|rate| check(&drill(rate)));
    insta::assert_snapshot!(told.concat(), @"
    3:42: can not read `5/min` (hint: write a rate as 5/s, in whole ones a second)
    3:42: clients that begin nothing see nothing
    3:42: 0 is out of range: allowed is 1 to 4294967295
    3:42: -1 is out of range: allowed is 1 to 4294967295
    3:42: 5000000000 is out of range: allowed is 1 to 4294967295
    ");
}

#[test]
fn every_mistake_of_meaning_is_told_at_once() {
    let text = "\
name: a b
workload:
  - sql-writes: {endpoint: orders, clients: 0, timeout: 0s}
  - sql-writes: {endpoint: orders, rate: 50000}
  - http: {endpoint: site, path: whoami}
steps:
  - at: 5s
    inject: {kill: {instance: web-1}}
    as: crash
  - at: 2s
    heal: crush
  - at: 2m
    heal: all
    as: nothing
  - at: 2m
duration: 1m
settle: 2h
expect:
  - writes-accepted-again: {endpoint: order, within: 1s}
  - writes-accepted-again: {endpoint: site, within: 1s}
  - requests-answered-again: {endpoint: orders, within: 1s}
  - error-rate-below: {endpoint: site, percent: 0}
";
    insta::assert_snapshot!(check(text), @"
    1:7: name `a b` must be 1 to 64 letters, digits, `-` and `_`
    3:45: 0 is out of range: allowed is 1 to 1000
    3:57: a client needs some time (hint: `none` waits for ever)
    4:28: `orders` has clients already (hint: give these another name: `as: impatient`)
    4:42: rate must be 100000 at most over all clients
    5:34: path `whoami` must begin with `/` and have no spaces
    10:9: steps must be in order of time
    11:11: no fault injected before and not healed yet is named `crush` (hint: write `heal: crash`)
    12:9: this step comes after the drill's end
    14:9: only an injected fault is named with `as`
    15:5: a step has either `inject` or `heal`
    15:9: this step comes after the drill's end
    17:9: settling takes at most 1h
    19:5: endpoint `order` has no clients (hint: did you mean `orders`?)
    20:5: this speaks of writes, but the endpoint's clients only request
    21:5: this speaks of requests, but the endpoint's clients write (hint: write `writes-accepted-again`)
    22:5: percent must be more than 0 and at most 100
    ");
    let text = DRILL.replace("duration: 3s", "duration: 0s");
    assert_eq!(check(&text), "11:11: a drill needs some time\n");
    let text = DRILL.split("expect:").next().unwrap().to_owned() + "expect: []\n";
    insta::assert_snapshot!(check(&text), @"12:9: a drill without `expect` proves nothing");
}

#[test]
fn clients_have_names_and_weaknesses() {
    let text = DRILL.replace(
        "  - http: {endpoint: site}",
        "  - sql-writes: {endpoint: orders, as: stubborn, timeout: none, dns-cache: forever}
  - http: {endpoint: site, dns-cache: ttl}",
    );
    let drill = parse(&text).unwrap();
    let traits: Vec<_> = drill.workload.iter().map(Workload::traits).collect();
    assert_eq!(
        traits,
        [
            None,
            Some("clients of orders, without timeout, names cached for ever".to_owned()),
            Some("names cached for their TTL".to_owned()),
        ]
    );
    let stubborn = &drill.workload[1];
    assert_eq!(
        (&*stubborn.name, &*stubborn.endpoint, stubborn.timeout),
        ("stubborn", "orders", None)
    );
}

/// A step and clients of another shape may be what heals and expectations mean.
#[test]
fn nothing_is_missed_that_stands_in_a_part_of_another_shape() {
    let text = "\
name: a
workload:
  - sql-writes: {endpoint: orders, clients: many}
  - http: {endpoint: site}
steps:
  - {at: 1s, inject: {kill: [web-1]}, as: crash}
  - {at: 2s, heal: crash, as: nothing}
duration: 1m
expect:
  - writes-accepted-again: {endpoint: orders, within: 1s}
  - writes-accepted-again: {endpoint: site, within: 1s}
";
    insta::assert_snapshot!(check(text), @"
    3:45: expected a whole number, found `many`
    6:29: expected a mapping, found a list
    7:31: only an injected fault is named with `as`
    11:5: this speaks of writes, but the endpoint's clients only request
    ");
}

#[test]
fn every_mistake_of_shape_is_told_at_once_and_with_those_of_meaning() {
    let text = "\
nmae: sample
workload:
  - sql-write: {endpoint: orders, tiemout: 1s}
  - http: {endpoint: site, dns-cache: sometimes, clients: many}
    sql-writes: {endpoint: orders}
  - site
  - {}
steps:
  - at: 1s
    inject: {kil-az: {zone: a, mode: water}}
    wehn: 2s
  - at: 1s
    inject: {explode: {zone: a}}
duration: 3 weeks
budget: {zone: 2}
expect:
  - writes-accepted-again: {endpoint: orders}
  - error-rate-below: {endpoint: site, percent: 0.5, outside: work}
";
    insta::assert_snapshot!(check(text), @"
    1:1: unknown field `nmae` (hint: did you mean `name`?)
    3:5: unknown field `sql-write` in `workload` (hint: did you mean `sql-writes`?)
    3:35: unknown field `tiemout` in `workload.sql-writes` (hint: did you mean `timeout`?)
    4:39: unknown value `sometimes` (hint: allowed: `none`, `ttl`, `forever`)
    4:59: expected a whole number, found `many`
    5:5: `workload` has `http`, `sql-writes`, and can be only one
    6:5: expected one of `sql-writes`, `redis-writes`, `http` and what belongs to it, found `site`
    7:5: `workload` is empty (hint: write one of `sql-writes`, `redis-writes`, `http`)
    10:14: unknown field `kil-az` in `steps.inject` (hint: did you mean `kill-az`?)
    10:38: unknown value `water` (hint: allowed: `power`, `network`)
    11:5: unknown field `wehn` in `steps` (hint: known fields: `at`, `inject`, `as`, `heal`)
    13:14: unknown field `explode` in `steps.inject` (hint: known fields: `kill-az`, `kill`, `stop`, `freeze`, `partition`, `slow`, `throttle-api`, `slow-api`, `fail-api`)
    14:11: can not read `3 weeks` (hint: a duration is written \"500ms\", \"30s\", \"5m\" or \"1h\")
    15:10: unknown field `zone` in `budget` (hint: did you mean `zones`?)
    17:28: `expect.writes-accepted-again` has no `within` (hint: `within`: How long it may take.)
    18:63: unknown value `work` (hint: allowed: `outage-windows`, `nothing`)
    ");
    let text = DRILL.replace(
        "{endpoint: site}",
        "{endpoint: site, colour: red, path: here}",
    );
    insta::assert_snapshot!(check(&text), @"
    4:28: unknown field `colour` in `workload.http` (hint: known fields: `endpoint`, `path`, `as`, `clients`, `rate`, `timeout`, `dns-cache`)
    4:47: path `here` must begin with `/` and have no spaces
    ");
}

#[test]
fn what_is_no_drill_is_told_with_its_place() {
    let mut all = String::new();
    for text in [
        DRILL.replace("name: sample", "nmae: sample"),
        DRILL.replace("kill-az", "kil-az"),
        DRILL.replace("within: 1s", "within: 1 sec"),
        DRILL.replace("duration: 3s\n", ""),
        DRILL.replace("{endpoint: site}", "{endpoint: site"),
        "- a\n- b\n".to_owned(),
        String::new(),
    ] {
        all.push_str(&check(&text));
    }
    insta::assert_snapshot!(all, @"
    1:1: unknown field `nmae` (hint: did you mean `name`?)
    7:14: unknown field `kil-az` in `steps.inject` (hint: did you mean `kill-az`?)
    13:55: can not read `1 sec` (hint: a duration is written \"500ms\", \"30s\", \"5m\" or \"1h\")
    1:1: the file has no `duration` (hint: `duration`: How long clients work.)
    5:6: not valid YAML: while parsing a flow mapping, did not find expected ',' or '}' (hint: a drill is a YAML mapping; check indentation, quotes and brackets around this place)
    1:1: expected a mapping, found a list (hint: a drill has `name`, `workload`, `steps`, `duration` and `expect`)
    1:1: this file is empty (hint: a drill has `name`, `workload`, `steps`, `duration` and `expect`)
    ");
}

#[test]
fn bombs_are_refused() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let alias = format!("*a{},", level - 1).repeat(10);
        laughs.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
    }
    for text in [
        laughs,
        "[".repeat(100_000),
        " ".repeat(topologies::yaml::MAX_BYTES + 1),
    ] {
        assert_eq!(parse(&text).unwrap_err().len(), 1);
    }
}
