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

fn check(text: &str) -> String {
    match parse(text) {
        Ok(_) => "no mistake".to_owned(),
        Err(notes) => notes.iter().map(|note| format!("{note}\n")).collect(),
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
        (CLIENTS, RATE, TIMEOUT)
    );
}

#[test]
fn every_mistake_of_meaning_is_told_at_once() {
    let text = "\
name: a b
workload:
  - sql-writes: {endpoint: orders, clients: 0, timeout: soon}
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
settle: 3 weeks
expect:
  - writes-accepted-again: {endpoint: order, within: 1s}
  - writes-accepted-again: {endpoint: site, within: 1s}
  - requests-answered-again: {endpoint: orders, within: 1s}
  - error-rate-below: {endpoint: site, percent: 0}
";
    insta::assert_snapshot!(check(text), @"
    1:7: name `a b` must be 1 to 64 letters, digits, `-` and `_`
    3:45: clients must be 1 to 1000
    3:57: `soon` is no duration (hint: write `250ms`, `3s` or `1m30s`)
    4:28: endpoint `orders` has clients already
    4:42: rate must be at least 1, and 100000 at most over all clients
    5:34: path `whoami` must begin with `/` and have no spaces
    10:9: steps must be in order of time
    11:11: no fault injected before and not healed yet is named `crush` (hint: write `heal: crash`)
    12:9: this step comes after the drill's end
    14:9: only an injected fault is named with `as`
    15:5: a step has either `inject` or `heal`
    15:9: this step comes after the drill's end
    17:9: `3 weeks` is no duration (hint: write `250ms`, `3s` or `1m30s`)
    19:5: endpoint `order` has no clients (hint: did you mean `orders`?)
    20:5: this speaks of writes, but the endpoint's clients only request
    21:5: this speaks of requests, but the endpoint's clients write (hint: write `writes-accepted-again`)
    22:5: percent must be more than 0 and at most 100
    ");
    let text = DRILL.replace("duration: 3s", "duration: 0s");
    assert_eq!(check(&text), "11:11: a drill needs some time\n");
    let text = DRILL.split("expect:").next().unwrap().to_owned() + "expect: []\n";
    insta::assert_snapshot!(check(&text), @"1:7: a drill without `expect` proves nothing");
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
    1:1: unknown field `nmae`, expected one of name, description, topology, workload, steps, duration, settle, budget, expect
    7:14: unknown variant `kil-az`, expected one of kill-az, kill, stop, freeze, partition, slow
    13:55: `1 sec` is no duration, write `250ms`, `3s` or `1m30s`
    11:1: missing field `duration`
    5:6: while parsing a flow mapping, did not find expected ',' or '}'
    1:1: expected mapping start
    1:1: unexpected end of input
    ");
}

#[test]
fn bombs_are_refused() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let alias = format!("*a{},", level - 1).repeat(10);
        laughs.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
    }
    for text in [laughs, "[".repeat(100_000), " ".repeat(BYTES_MAX + 1)] {
        assert_eq!(parse(&text).unwrap_err().len(), 1);
    }
}
