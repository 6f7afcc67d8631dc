use super::*;
use crate::sample::{plan, zone};

fn span(fault: Fault, from: u64, to: Option<u64>) -> FaultSpan {
    FaultSpan {
        id: "f1".into(),
        fault,
        from: Time::from_millis(from),
        to: to.map(Time::from_millis),
        consequences: Vec::new(),
        injected_seq: None,
        healed_seq: None,
    }
}

fn kill_az(letter: &str) -> Fault {
    Fault::KillAz {
        zone: zone(letter),
        mode: crate::fault::ZoneLoss::Power,
    }
}

fn kill(instance: &str) -> Fault {
    let instance = instance.into();
    Fault::Kill { instance }
}

fn partition(from: &str, to: &str) -> Fault {
    Fault::Partition {
        from: zone(from),
        to: zone(to),
        direction: crate::fault::Direction::BothWays,
    }
}

#[test]
fn more_than_the_budget_is_found_until_redundancy_is_rebuilt() {
    let budget = Budget {
        zones: 1,
        recovery: Duration::from_secs(1),
    };
    let check = |faults: &[FaultSpan], expected: &[(u64, u64)]| {
        let found = budget.exceeded(faults, &plan(), Time::from_millis(20_000));
        let found: Vec<(u64, u64)> = found
            .iter()
            .map(|window| {
                (
                    window.from.as_micros() / 1_000,
                    window.to.as_micros() / 1_000,
                )
            })
            .collect();
        assert_eq!(found, expected, "{faults:?}");
    };
    let a = || span(kill_az("a"), 1_000, Some(5_000));
    check(&[], &[]);
    check(&[a()], &[]);
    // Two faults of one zone are one zone in trouble.
    check(&[a(), span(kill("web-1"), 2_000, Some(2_000))], &[]);
    check(
        &[a(), span(kill_az("b"), 3_000, Some(4_000))],
        &[(3_000, 5_000)],
    );
    // Within the rebuilding of the first, and never healed.
    check(&[a(), span(kill_az("b"), 5_500, None)], &[(5_500, 6_000)]);
    check(&[a(), span(kill_az("b"), 6_001, None)], &[]);
    check(
        &[a(), span(kill("web-2"), 2_000, Some(2_000))],
        &[(2_000, 3_000)],
    );
    // A link to a zone written off is no further harm; any other is.
    check(&[a(), span(partition("a", "b"), 2_000, Some(3_000))], &[]);
    check(
        &[a(), span(partition("b", "c"), 2_000, Some(3_000))],
        &[(2_000, 4_000)],
    );
}

#[test]
fn the_clock_starts_again_when_the_budget_is_kept_again() {
    let at = Time::from_millis;
    let exceeded = [
        Window {
            from: at(2_000),
            to: at(3_000),
        },
        Window {
            from: at(9_000),
            to: at(9_500),
        },
    ];
    let check = |since, until, expected| {
        assert_eq!(owed_since(at(since), at(until), &exceeded), at(expected));
    };
    check(1_000, 1_500, 1_000);
    check(1_000, 4_000, 3_000);
    check(2_500, 2_600, 3_000);
    check(4_000, 8_000, 4_000);
    check(1_000, 10_000, 9_500);
}
