//! The control plane under the simulator: what it promises whatever breaks, and that the simulator can tell when it does not.

#[path = "simulator/tier_10k.rs"]
mod tier_10k;

use std::time::Duration;

use daemon::simulator::{Fault, Run, ScheduledFault, Settings, rehearse, simulate};
use topologies::address::ZoneNumber;

fn run(seed: u64, faults: Option<Vec<ScheduledFault>>) -> Run {
    simulate(
        &tier_10k::plan(),
        Settings {
            seed,
            faults,
            planted: None,
        },
    )
}

fn timeline(run: &Run) -> String {
    run.timeline
        .iter()
        .map(|event| serde_json::to_string(event).unwrap() + "\n")
        .collect()
}

fn story(run: &Run) -> String {
    let faults: Vec<String> = run.faults.iter().map(ToString::to_string).collect();
    let last = run.timeline.len().saturating_sub(40);
    let events: Vec<String> = run.timeline[last..]
        .iter()
        .map(ToString::to_string)
        .collect();
    let violation = run
        .violation
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    format!(
        "seed {}: {violation}\n{}\n{}",
        run.seed,
        faults.join("\n"),
        events.join("\n")
    )
}

fn zone_power(zone: usize) -> Vec<ScheduledFault> {
    let fault = Fault::Power(ZoneNumber::zone(zone).unwrap());
    vec![ScheduledFault {
        at: Duration::from_secs(2),
        lasts: Duration::from_secs(6),
        fault,
    }]
}

#[test]
fn the_primary_zone_loses_power_and_all_recovers() {
    let run = run(1, Some(zone_power(1)));
    assert!(run.violation.is_none(), "{}", story(&run));
    let story = story(&run);
    for told in [
        "failing over from orders-1 (fenced) to orders-2",
        "orders-2 promoted to primary, timeline 2",
        "orders-1 joined as standby",
    ] {
        assert!(
            run.timeline
                .iter()
                .any(|event| event.to_string().contains(told)),
            "no {told} in {story}"
        );
    }
}

#[test]
fn same_seed_same_timeline() {
    for seed in 0..3 {
        assert_eq!(
            timeline(&run(seed, None)),
            timeline(&run(seed, None)),
            "seed {seed}"
        );
    }
    assert_ne!(timeline(&run(1, None)), timeline(&run(2, None)));
}

/// `LOCALAWS_SEEDS=from..to` runs others than the first 200.
fn seeds() -> std::ops::Range<u64> {
    let Ok(range) = std::env::var("LOCALAWS_SEEDS") else {
        return 0..200;
    };
    let (from, to) = range.split_once("..").unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}

#[test]
fn whatever_breaks_the_promises_hold() {
    let report = rehearse(&tier_10k::plan(), seeds(), None, |_| true);
    assert!(report.violations.is_empty(), "{report}");
    println!("{report}");
}
