use topologies::yaml::{self, Language, Read};

use super::*;
use crate::sample::{plan, zone};

fn kill_az(zone: &str) -> Fault {
    Fault::KillAz {
        zone: zone.into(),
        mode: ZoneLoss::Power,
    }
}

fn slow(latency: u64, jitter: u64) -> Fault {
    Fault::Slow {
        from: "a".into(),
        to: OUTSIDE.into(),
        latency: Duration::from_millis(latency),
        jitter: Duration::from_millis(jitter),
        direction: Direction::BothWays,
    }
}

#[test]
fn targets_are_found_by_name_letter_and_role() {
    let (plan, presence) = (plan(), Presence::initial(&plan()));
    let check = |written: &str, letter: &str| {
        let resolved = kill_az(written).resolve(&plan, &presence);
        assert_eq!(resolved, Ok(kill_az(zone(letter).as_str())), "{written}");
    };
    check("ap-northeast-2b", "b");
    check("c", "c");
    check("primary-of orders", "a");
    check("standby-of orders", "b");
    check("primary-of sessions", "a");
    let kill = |instance: &str| Fault::Kill {
        instance: instance.into(),
    };
    assert_eq!(
        kill("standby-of orders").resolve(&plan, &presence),
        Ok(kill("orders-2"))
    );
}

#[test]
fn every_mistake_is_told_with_a_way_out() {
    let (plan, presence) = (plan(), Presence::initial(&plan()));
    let check = |fault: Fault, expected: &[&str]| {
        let errors = fault.resolve(&plan, &presence).unwrap_err();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors, expected);
    };
    let zones = "zones are ap-northeast-2a, ap-northeast-2b, ap-northeast-2c";
    check(
        kill_az("ap-northeast-1a"),
        &[&format!(
            "zone `ap-northeast-1a` does not exist (did you mean `ap-northeast-2a`?); {zones}"
        )],
    );
    check(
        kill_az("z"),
        &[&format!("zone `z` does not exist; {zones}")],
    );
    check(
        kill_az("standby-of sessions"),
        &["`sessions` has no standby at present"],
    );
    check(
        Fault::Stop {
            instance: "primary-of order".into(),
        },
        &["DB instance or replication group `order` does not exist (did you mean `orders`?)"],
    );
    check(
        Fault::Freeze {
            instance: "web4".into(),
        },
        &["instance `web4` does not exist (did you mean `web-1`?)"],
    );
    check(
        Fault::Partition {
            from: "x".into(),
            to: "y".into(),
            direction: Direction::BothWays,
        },
        &[
            &format!("zone `x` does not exist; {zones}"),
            &format!("zone `y` does not exist; {zones}"),
        ],
    );
    check(
        Fault::Partition {
            from: "a".into(),
            to: "primary-of orders".into(),
            direction: Direction::BothWays,
        },
        &[
            "zone `ap-northeast-2a` can not be parted from itself; `kill-az --mode network` cuts it off from all others",
        ],
    );
    check(slow(0, 0), &["a slow link needs a latency or a jitter"]);
    let slow_api = |latency| Fault::SlowApi {
        calls: ApiCalls::All,
        latency: Duration::from_millis(latency),
    };
    check(slow_api(0), &["a slow API needs a latency"]);
    check(slow_api(61_000), &["latency 1m1s is beyond 1m"]);
    check(
        slow(61_000, 90_000),
        &["latency 1m1s is beyond 1m", "jitter 1m30s is beyond 1m"],
    );
}

const FAULT: Language = Language {
    noun: "fault",
    beginning: "a fault is one of several",
};

#[test]
fn faults_are_written_like_this() {
    let check = |text: &str, shown: &str| {
        let Read { spec, notes, .. } = yaml::read::<Fault>(text, FAULT);
        let fault = spec.unwrap_or_else(|| panic!("{text}: {notes:?}"));
        assert_eq!(fault.to_string(), shown);
        let json = serde_json::to_string(&fault).unwrap();
        assert_eq!(
            serde_json::from_str::<Fault>(&json).unwrap(),
            fault,
            "{json}"
        );
    };
    check("kill-az: {zone: a}", "zone a loses power");
    check(
        "kill-az: {zone: a, mode: network}",
        "zone a is cut off from the network",
    );
    check("kill: {instance: web-1}", "instance web-1 is killed");
    check("partition: {from: a, to: b}", "link a <-> b is cut");
    check(
        "partition: {from: a, to: b, direction: one-way}",
        "link a -> b is cut",
    );
    check(
        "slow: {from: a, to: outside, latency: 200ms, jitter: 50ms}",
        "link a <-> outside is slowed by 200ms and up to 50ms more",
    );
    check(
        "throttle-api: {calls: rds, rate: 5}",
        "AWS API, rds: throttled to 5 calls a second",
    );
    check(
        "throttle-api: {rate: 5/s}",
        "AWS API, all: throttled to 5 calls a second",
    );
    check(
        "throttle-api: {rate: 0}",
        "AWS API, all: throttled to 0 calls a second",
    );
    check(
        "slow-api: {calls: rds:DescribeDBInstances, latency: 2s}",
        "AWS API, rds:DescribeDBInstances: answered 2s late",
    );
    check("fail-api: {}", "AWS API, all: unavailable");
    for refused in [
        "throttle-api: {calls: rds}",
        "throttle-api: {rate: 5/min}",
        "slow-api: {calls: rds}",
        "fail-api: {calls: \"rds:\"}",
        "fail-api: {calls: \"a:b:c\"}",
        "kill-az: {}",
        "kill-az: {zone: a, mode: water}",
        "explode: {}",
        "kill: {instance: a, x: b}",
        "kill: {instance: a}\nstop: {instance: a}",
        "kill",
    ] {
        let Read { notes, .. } = yaml::read::<Fault>(refused, FAULT);
        assert_eq!(notes.len(), 1, "{refused}: {notes:?}");
    }
}
