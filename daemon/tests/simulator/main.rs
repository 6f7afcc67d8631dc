//! The control plane under the simulator: what it promises whatever breaks, and that the simulator can tell when it does not.

mod bench;
mod caches;
mod conversions;
mod failovers;
mod followers;
mod requests;
mod starts;
mod tier_10k;

use std::time::Duration;

use daemon::control::bugs::Bug;
use daemon::simulator::{Fault, Moment, Run, ScheduledFault, Settings, rehearse, simulate};
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
        .map(|event| serde_json::to_string(event).expect("events are JSON") + "\n")
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
    let fault = Fault::Power(ZoneNumber::zone(zone).expect("one of three zones"));
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
    for told in [
        "failing over from orders-1 (fenced) to orders-2",
        "orders-2 promoted to primary, timeline 2",
        "orders-1 joined as standby",
    ] {
        assert!(
            run.timeline
                .iter()
                .any(|event| event.to_string().contains(told)),
            "no {told} in {}",
            story(&run)
        );
    }
}

/// RDS user guide, Failing over a Multi-AZ DB instance: "typically 60-120 seconds".
#[test]
fn at_aws_pace_a_failover_takes_a_minute_or_two() {
    let faults = vec![ScheduledFault {
        at: Duration::from_secs(2),
        lasts: Duration::from_secs(240),
        fault: Fault::Power(ZoneNumber::zone(1).expect("one of three zones")),
    }];
    let settings = Settings {
        seed: 1,
        faults: Some(faults),
        planted: None,
    };
    let run = simulate(&tier_10k::plan_at_aws_pace(), settings);
    assert!(run.violation.is_none(), "{}", story(&run));
    let orders = run
        .recoveries
        .iter()
        .filter(|(endpoint, _)| *endpoint == "orders");
    let longest = orders.flat_map(|(_, times)| times).max().copied();
    let documented = Duration::from_secs(60)..=Duration::from_secs(130);
    assert!(
        longest.is_some_and(|time| documented.contains(&time)),
        "{longest:?}"
    );
}

/// A write is on its way at any moment, so that the last that a primary said is often that its standby is behind. That is no
/// stall of the standby when the primary has said nothing since: an observer that is slow to give a host up fails over as well.
#[test]
fn a_patient_observer_fails_over_as_well() {
    let mut plan = tier_10k::plan();
    let timing = &mut std::sync::Arc::make_mut(&mut plan).topology.timing;
    timing.probe_interval = Duration::from_secs(1);
    timing.probe_timeout = Duration::from_secs(1);
    for seed in 0..20 {
        let fault = Fault::Power(ZoneNumber::zone(1).expect("one of three zones"));
        let faults = vec![ScheduledFault {
            at: Duration::from_secs(2),
            lasts: Duration::from_secs(20),
            fault,
        }];
        let settings = Settings {
            seed,
            faults: Some(faults),
            planted: None,
        };
        let run = simulate(&plan, settings);
        assert!(run.violation.is_none(), "{}", story(&run));
        let told = "failing over from orders-1 (fenced) to orders-2";
        let failed_over = run
            .timeline
            .iter()
            .any(|event| event.to_string().contains(told));
        assert!(failed_over, "no {told} in {}", story(&run));
    }
}

/// aws-behaviour §1.1, failover reasons: a primary that hangs is not one that the network does not reach.
#[test]
fn a_failover_tells_a_primary_that_hangs_from_one_that_is_not_reached() {
    let isolated = Fault::Isolation(ZoneNumber::zone(1).expect("one of three zones"));
    for (fault, reason) in [
        (Fault::Freeze(host("orders-1")), "busy and unresponsive"),
        (isolated, "unreachable due to loss of network connectivity"),
        (Fault::Stop(host("orders-1")), "is unhealthy"),
    ] {
        let run = run(1, Some(vec![scheduled(2_000, 6_000, fault)]));
        assert!(run.violation.is_none(), "{}", story(&run));
        let mut events = run.timeline.iter().map(ToString::to_string);
        let told = events.find(|event| event.contains("failing over from orders-1"));
        assert!(
            told.is_some_and(|event| event.contains(reason)),
            "{}",
            story(&run)
        );
    }
}

/// The standby's zone is cut off while a promotion waits, and the primary's comes back.
#[test]
fn a_failover_whose_standby_is_lost_too_is_abandoned() {
    let mut plan = tier_10k::plan();
    let wait = Duration::from_secs(5);
    std::sync::Arc::make_mut(&mut plan)
        .topology
        .timing
        .db_failover = (wait, wait);
    let isolation = |zone| Fault::Isolation(ZoneNumber::zone(zone).expect("one of three zones"));
    for seed in 0..20 {
        let settings = Settings {
            seed,
            faults: Some(vec![
                scheduled(2_000, 4_000, isolation(1)),
                scheduled(4_000, 15_000, isolation(2)),
            ]),
            planted: None,
        };
        let run = simulate(&plan, settings);
        assert!(run.violation.is_none(), "{}", story(&run));
        let told = |words: &str| run.timeline.iter().any(|it| it.to_string().contains(words));
        assert!(
            told("failover from orders-1 to orders-2 abandoned"),
            "{}",
            story(&run)
        );
        assert!(!told("promoted to primary, timeline"), "{}", story(&run));
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

/// `LOCALAWS_SEEDS=from..to` runs others; an unoptimised build has time for a few only.
fn seeds() -> std::ops::Range<u64> {
    let Ok(range) = std::env::var("LOCALAWS_SEEDS") else {
        return if cfg!(debug_assertions) {
            0..60
        } else {
            0..2_000
        };
    };
    let (from, to) = range.split_once("..").expect("LOCALAWS_SEEDS is from..to");
    let seed = |text: &str| text.parse().expect("LOCALAWS_SEEDS is from..to");
    seed(from)..seed(to)
}

#[test]
fn whatever_breaks_the_promises_hold() {
    let report = rehearse(&tier_10k::plan(), seeds(), None, |_| true);
    assert!(report.violations.is_empty(), "{report}");
}

/// Where to begin looking; it saves time and nothing else.
fn first_seed(bug: Bug) -> u64 {
    let seldom = [
        (Bug::PromoteOutOfSync, 65),
        (Bug::TrustWithoutCatchUp, 940),
        (Bug::BelieveOldAccounts, 940),
        (Bug::RestartTornData, 190),
        (Bug::PromoteLowestOffset, 18),
        (Bug::BelieveStarts, 50),
        (Bug::TrustFailedOrders, 970),
    ];
    let known = seldom.iter().find(|(seldom, _)| *seldom == bug);
    known.map_or(0, |(_, seed)| *seed)
}

fn host(instance: &str) -> usize {
    let plan = tier_10k::plan();
    let mut instances = plan.instances.iter();
    let found = instances.position(|planned| planned.id.as_str() == instance);
    found.expect("it is planned")
}

fn scheduled(at: u64, lasts: u64, fault: Fault) -> ScheduledFault {
    let (at, lasts) = (Duration::from_millis(at), Duration::from_millis(lasts));
    ScheduledFault { at, lasts, fault }
}

/// The daemon dies when the standby has been promoted, before it hears of that, and the standby's process with it.
fn promoted_in_vain() -> Vec<ScheduledFault> {
    let demoted_and_promoted = Moment::DoneTogether(1);
    vec![
        scheduled(2_000, 2_000, Fault::KillDaemon(demoted_and_promoted)),
        scheduled(2_050, 12_000, Fault::Stop(host("orders-1"))),
    ]
}

/// A cache's primary dies while no daemon looks.
fn cache_lost_unseen() -> Vec<ScheduledFault> {
    vec![
        scheduled(2_000, 1_000, Fault::KillDaemon(Moment::Now)),
        scheduled(2_300, 200, Fault::Kill(host("sessions-001"))),
    ]
}

/// What only a seldom coincidence shows, brought about.
#[test]
fn coincidences_do_no_harm_and_show_the_bugs_that_they_are_for() {
    for (bug, faults) in [
        (Bug::ForgetPromotion, promoted_in_vain()),
        (Bug::RestartCacheUnasked, cache_lost_unseen()),
    ] {
        let broken = |planted| {
            let runs = (0..10).map(|seed| {
                let faults = Some(faults.clone());
                simulate(
                    &tier_10k::plan(),
                    Settings {
                        seed,
                        faults,
                        planted,
                    },
                )
            });
            let runs = runs.filter(|run| run.violation.is_some());
            runs.map(|run| story(&run)).collect::<Vec<_>>()
        };
        assert!(broken(None).is_empty(), "{}", broken(None).join("\n"));
        assert!(!broken(Some(bug)).is_empty(), "{bug:?} was not caught");
    }
}

fn breaks_unplanted(seed: u64) -> bool {
    let report = rehearse(&tier_10k::plan(), seed..seed + 1, None, |_| true);
    !report.violations.is_empty()
}

/// A simulator that can not fail proves nothing.
#[test]
fn every_planted_bug_is_caught() {
    const SEEDS_MAX: u64 = 400;
    let (mut caught, mut missed) = (Vec::new(), Vec::new());
    let coincidental = [Bug::ForgetPromotion, Bug::RestartCacheUnasked];
    for bug in Bug::ALL
        .into_iter()
        .filter(|bug| !coincidental.contains(bug))
    {
        let first = first_seed(bug);
        let report = rehearse(
            &tier_10k::plan(),
            first..first + SEEDS_MAX,
            Some(bug),
            |run| run.violation.is_none(),
        );
        match report.violations.first() {
            // What breaks without the bug too is not its doing.
            Some(broken) if breaks_unplanted(broken.seed) => missed.push(bug),
            Some(broken) => caught.push(format!(
                "{bug:?}, seed {}: {}",
                broken.seed, broken.violation
            )),
            None => missed.push(bug),
        }
    }
    let caught = caught.join("\n");
    assert!(
        missed.is_empty(),
        "not caught within {SEEDS_MAX} seeds: {missed:?}; caught:\n{caught}"
    );
    std::io::Write::write_all(&mut std::io::stdout(), caught.as_bytes())
        .expect("standard output is open");
}
