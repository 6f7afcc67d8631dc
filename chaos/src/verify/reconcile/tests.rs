use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn ledger(operations: &[(u64, Outcome)]) -> Ledger {
    let mut ledger = Ledger::new(Ledger::LIMIT);
    for (at, (count, outcome)) in operations.iter().enumerate() {
        enter(&mut ledger, Key::new(0, *count), at as u64, *outcome);
    }
    ledger
}

fn enter(ledger: &mut Ledger, key: Key, at: u64, outcome: Outcome) {
    let (started, ended) = (Time::from_millis(at), Time::from_millis(at + 1));
    match outcome {
        Outcome::Acknowledged => ledger.acknowledged(key, started, ended),
        Outcome::Failed => ledger.failed(key, started, ended, "refused"),
        Outcome::Unknown => ledger.unknown(key, started, ended, "timed out"),
    }
}

fn keys(counts: &[u64]) -> Vec<Key> {
    counts.iter().map(|count| Key::new(0, *count)).collect()
}

use Outcome::{Acknowledged, Failed, Unknown};

#[test]
fn every_kind_of_anomaly_is_found() {
    let ledger = ledger(&[
        (1, Acknowledged),
        (2, Acknowledged),
        (3, Failed),
        (4, Failed),
        (5, Unknown),
        (6, Unknown),
        (7, Acknowledged),
    ]);
    let result = reconcile(&ledger, &keys(&[7, 1, 3, 5, 9, 7, 9]));
    assert_eq!(result.acknowledged, 3);
    let lost: Vec<Key> = result.lost.iter().map(|lost| lost.key).collect();
    assert_eq!(lost, keys(&[2]));
    assert_eq!(result.phantoms, keys(&[3]));
    assert_eq!(result.duplicates, keys(&[7]));
    assert_eq!(result.strangers, keys(&[9]));
    assert_eq!((result.unknown_found, result.unknown_missing), (1, 1));
    let at = Time::from_millis(2);
    assert_eq!(result.lost_window(), Some(Window { from: at, to: at }));
}

/// The RPO of writes acknowledged at these milliseconds, of which those with these numbers are found.
fn check_rpo(found: &[u64], expected: u64) {
    let all: Vec<_> = (1..=5).map(|count| (count, Acknowledged)).collect();
    let result = reconcile(&ledger(&all), &keys(found));
    assert_eq!(result.rpo(), Duration::from_millis(expected), "{found:?}");
}

#[test]
fn the_recovery_point_is_the_last_write_that_survived_before_the_first_lost() {
    check_rpo(&[1, 2, 3, 4, 5], 0);
    // One lost write is lost work too.
    check_rpo(&[1, 2, 3, 5], 1);
    check_rpo(&[1, 2], 3);
    // Writes in between that survived do not make the loss shorter.
    check_rpo(&[1, 3, 5], 3);
    // Nothing survived before: since the first was begun.
    check_rpo(&[5], 4);
    check_rpo(&[], 5);
}

#[test]
fn of_several_attempts_the_strongest_counts() {
    let check = |attempts: &[Outcome], found: bool, lost: usize, phantoms: usize| {
        let attempts: Vec<(u64, Outcome)> = attempts.iter().map(|one| (1, *one)).collect();
        let found = if found { keys(&[1]) } else { Vec::new() };
        let result = reconcile(&ledger(&attempts), &found);
        assert_eq!(
            (result.lost.len(), result.phantoms.len()),
            (lost, phantoms),
            "{attempts:?}"
        );
    };
    check(&[Unknown, Acknowledged], false, 1, 0);
    check(&[Acknowledged, Failed], false, 1, 0);
    check(&[Failed, Unknown], true, 0, 0);
    check(&[Failed, Failed], true, 0, 1);
    check(&[Unknown, Failed], false, 0, 0);
}

#[test]
fn nothing_at_all_is_no_anomaly() {
    let empty = reconcile(&ledger(&[]), &[]);
    let complete = true;
    assert_eq!(
        empty,
        Reconciliation {
            complete,
            ..Reconciliation::default()
        }
    );
}

proptest! {
    /// Against a store that is right, whatever is planted is found, and nothing else.
    #[test]
    fn what_is_planted_is_found(
        operations in prop::collection::btree_map((0..4_u16, 0..500_u64), (0..3_u8, any::<bool>()), 0..300),
        lose in any::<prop::sample::Index>(),
        planted in any::<bool>(),
    ) {
        let mut ledger = Ledger::new(Ledger::LIMIT);
        let mut store: BTreeSet<Key> = BTreeSet::new();
        let mut outcomes: BTreeMap<Key, Outcome> = BTreeMap::new();
        for (at, ((client, count), (outcome, applied))) in operations.iter().enumerate() {
            let key = Key::new(*client, *count);
            let outcome = [Failed, Unknown, Acknowledged][usize::from(*outcome)];
            enter(&mut ledger, key, at as u64, outcome);
            outcomes.insert(key, outcome);
            if outcome == Acknowledged || (outcome == Unknown && *applied) {
                store.insert(key);
            }
        }
        let mut expected_lost = BTreeSet::new();
        let mut expected_phantoms = BTreeSet::new();
        if planted && !outcomes.is_empty() {
            let index = lose.index(outcomes.len());
            let (key, outcome) = outcomes.iter().nth(index).unwrap();
            match outcome {
                Acknowledged => { store.remove(key); expected_lost.insert(*key); }
                Failed => { store.insert(*key); expected_phantoms.insert(*key); }
                Unknown => (),
            }
        }
        let mut found: Vec<Key> = store.into_iter().collect();
        found.reverse();
        let result = reconcile(&ledger, &found);
        let lost: BTreeSet<Key> = result.lost.iter().map(|lost| lost.key).collect();
        prop_assert_eq!(lost, expected_lost);
        prop_assert_eq!(result.phantoms.into_iter().collect::<BTreeSet<_>>(), expected_phantoms);
        prop_assert!(result.duplicates.is_empty() && result.strangers.is_empty());
        let total = outcomes.values().filter(|outcome| **outcome == Unknown).count() as u64;
        prop_assert_eq!(result.unknown_found + result.unknown_missing, total);
    }
}
