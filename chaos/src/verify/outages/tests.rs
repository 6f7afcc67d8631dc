use super::*;
use crate::ledger::Key;

const PATIENCE: Duration = Duration::from_secs(1);

/// Operations as `(started, ended, outcome)` in milliseconds.
fn check(operations: &[(u64, u64, Outcome)], expected: &[(u64, u64, bool)]) {
    let mut ledger = Ledger::new(Ledger::LIMIT);
    for (count, (started, ended, outcome)) in operations.iter().enumerate() {
        let key = Key::new(0, count as u64);
        let (started, ended) = (Time::from_millis(*started), Time::from_millis(*ended));
        match outcome {
            Outcome::Acknowledged => ledger.acknowledged(key, started, ended),
            Outcome::Failed => ledger.failed(key, started, ended, "refused"),
            Outcome::Unknown => ledger.unknown(key, started, ended, "timed out"),
        }
    }
    let found: Vec<(u64, u64, bool)> = outages(&ledger, PATIENCE)
        .iter()
        .map(|outage| {
            let millis = |at: Time| at.as_micros() / 1_000;
            (
                millis(outage.window.from),
                millis(outage.window.to),
                outage.ended,
            )
        })
        .collect();
    assert_eq!(found, expected, "{operations:?}");
}

use Outcome::{Acknowledged, Failed, Unknown};

fn steady(from: u64, to: u64) -> impl Iterator<Item = (u64, u64, Outcome)> {
    (from..to).step_by(10).map(|at| (at, at + 1, Acknowledged))
}

fn story(parts: &[(u64, u64)], troubles: &[(u64, u64, Outcome)]) -> Vec<(u64, u64, Outcome)> {
    let mut all: Vec<_> = parts
        .iter()
        .flat_map(|(from, to)| steady(*from, *to))
        .collect();
    all.extend(troubles);
    all.sort_by_key(|(_, ended, _)| *ended);
    all
}

#[test]
fn an_outage_lasts_from_the_first_trouble_to_the_next_acknowledgement() {
    check(&story(&[(0, 1_000)], &[]), &[]);
    let refused = [(1_005, 1_006, Failed), (1_100, 1_101, Failed)];
    check(
        &story(&[(0, 1_000), (1_400, 2_000)], &refused),
        &[(1_005, 1_401, true)],
    );
    // It begins with the first that had to wait, and one gave up meanwhile.
    check(
        &story(
            &[(0, 1_000), (1_500, 2_000)],
            &[(1_002, 1_480, Acknowledged), (1_100, 1_101, Failed)],
        ),
        &[(1_002, 1_480, true)],
    );
    // A client without a timeout waited for its answer, and got it long after it was of use.
    check(
        &story(
            &[(0, 1_000), (2_500, 3_000)],
            &[(1_002, 2_480, Acknowledged)],
        ),
        &[(1_002, 2_480, true)],
    );
    // It never came back.
    check(
        &story(
            &[(0, 1_000)],
            &[(1_001, 2_001, Unknown), (2_010, 3_010, Unknown)],
        ),
        &[(1_001, 3_010, false)],
    );
    // It never worked.
    check(&[(5, 1_005, Unknown)], &[(5, 1_005, false)]);
}

#[test]
fn silence_and_single_errors_are_no_outage() {
    // Nobody asked for two seconds.
    check(&story(&[(0, 1_000), (3_000, 4_000)], &[]), &[]);
    // A pause after which everybody was answered in time.
    let waited = [(1_002, 1_480, Acknowledged), (1_010, 1_481, Acknowledged)];
    check(&story(&[(0, 1_000), (1_500, 2_000)], &waited), &[]);
    // One client's error while others are served.
    check(&story(&[(0, 1_000)], &[(500, 503, Failed)]), &[]);
    // One client hangs for long while others are served.
    check(&story(&[(0, 2_000)], &[(500, 1_500, Unknown)]), &[]);
}

#[test]
fn service_that_comes_and_goes_is_not_back() {
    let refused = [
        (1_005, 1_006, Failed),
        (1_350, 1_351, Failed),
        (2_001, 2_002, Failed),
    ];
    check(
        &story(
            &[(0, 1_000), (1_300, 1_340), (1_600, 2_000), (2_900, 3_000)],
            &refused,
        ),
        &[(1_005, 1_601, true), (2_001, 2_901, true)],
    );
}

#[test]
fn the_unserved_are_counted() {
    let mut ledger = Ledger::new(Ledger::LIMIT);
    let at = Time::from_millis;
    ledger.acknowledged(Key::new(0, 0), at(0), at(1));
    for count in 1..=5 {
        ledger.failed(
            Key::new(0, count),
            at(count * 100),
            at(count * 100 + 1),
            "refused",
        );
    }
    ledger.acknowledged(Key::new(0, 6), at(600), at(601));
    let found = outages(&ledger, PATIENCE);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].unserved, 5);
    assert_eq!(found[0].longest_gap, Duration::from_millis(501));
}

proptest::proptest! {
    /// Wherever a gap is planted into steady traffic of several clients, it is found, and as long as it is.
    #[test]
    fn a_planted_gap_is_found(
        begins in 10..200_u64,
        lasts in 7..100_u64,
        clients in 1..6_u64,
        refused in proptest::prelude::any::<bool>(),
    ) {
        let (from, to) = (begins * 10, (begins + lasts) * 10);
        let mut operations = Vec::new();
        for client in 0..clients {
            for tick in 0..400 {
                let at = tick * 10 + client;
                let failing = (from..to).contains(&at);
                let outcome = match (failing, refused) {
                    (false, _) => Acknowledged,
                    (true, true) => Failed,
                    (true, false) => Unknown,
                };
                operations.push((at, at + 1, outcome));
            }
        }
        operations.sort_by_key(|(_, ended, _)| *ended);
        check(&operations, &[(from, to + 1, true)]);
    }
}
