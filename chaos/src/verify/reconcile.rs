//! Compares what clients were told with what was found afterwards. Sorts and merges; every key is looked at once.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use topologies::time::Time;

use crate::budget::Window;
use crate::ledger::{Key, Ledger, Operation, Outcome};

/// What became of the writes of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reconciliation {
    /// Keys acknowledged.
    pub acknowledged: u64,
    /// Acknowledged and not found, by the time of their acknowledgement.
    pub lost: Vec<LostWrite>,
    /// Since when writes are lost: when the last one that survived before them was acknowledged, or the first of all was begun.
    /// None if nothing is lost.
    pub lost_since: Option<Time>,
    /// Reported as definitely failed, and found all the same.
    pub phantoms: Vec<Key>,
    /// Found more than once.
    pub duplicates: Vec<Key>,
    /// Found though nobody is known to have written them.
    pub strangers: Vec<Key>,
    /// Of unknown outcome, and found.
    pub unknown_found: u64,
    /// Of unknown outcome, and not found.
    pub unknown_missing: u64,
    /// Whether every operation was in the ledger. Without that strangers prove nothing, and more may be lost.
    pub complete: bool,
}

/// A write that was acknowledged and is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LostWrite {
    /// When it was acknowledged.
    pub acknowledged: Time,
    /// Its key.
    pub key: Key,
}

impl Reconciliation {
    /// The recovery point (RPO) that was seen: the stretch of acknowledged work that is gone. It begins with what survived, so
    /// that a single lost write has one too; zero if and only if nothing is lost.
    pub fn rpo(&self) -> Duration {
        let last = self.lost.last().map(|lost| lost.acknowledged);
        let lost = last.zip(self.lost_since);
        lost.map_or(Duration::ZERO, |(to, from)| to - from)
    }

    /// The stretch from the first to the last lost acknowledgement.
    pub fn lost_window(&self) -> Option<Window> {
        Some(Window {
            from: self.lost.first()?.acknowledged,
            to: self.lost.last()?.acknowledged,
        })
    }
}

/// Compares a ledger with the keys found afterwards, in any order.
pub fn reconcile(ledger: &Ledger, found: &[Key]) -> Reconciliation {
    let mut operations: Vec<Operation> = ledger.operations().collect();
    operations.sort_unstable_by_key(|operation| operation.key);
    let mut found = found.to_vec();
    found.sort_unstable();

    let mut result = Reconciliation {
        complete: ledger.complete(),
        ..Reconciliation::default()
    };
    let mut survived = Vec::new();
    let mut rest = found.as_slice();
    for attempts in operations.chunk_by(|left, right| left.key == right.key) {
        let key = attempts[0].key;
        let before = rest.partition_point(|found| *found < key);
        result.strangers.extend(distinct(&rest[..before]));
        rest = &rest[before..];
        let times = rest.partition_point(|found| *found == key);
        rest = &rest[times..];
        if times > 1 {
            result.duplicates.push(key);
        }
        survived.extend(judge(attempts, times > 0, &mut result));
    }
    result.strangers.extend(distinct(rest));
    result.lost.sort_unstable();
    result.lost_since = result.lost.first().and_then(|first| {
        let before = survived.iter().filter(|at| **at < first.acknowledged);
        let begun = || operations.iter().map(|operation| operation.started).min();
        before.max().copied().or_else(begun)
    });
    result
}

/// Judges one key: when it was acknowledged, if it survived. Of several attempts the strongest outcome counts, and of several
/// acknowledgements the first.
fn judge(attempts: &[Operation], found: bool, result: &mut Reconciliation) -> Option<Time> {
    let key = attempts[0].key;
    let outcomes = attempts.iter().map(|attempt| attempt.outcome);
    match outcomes.max() {
        Some(Outcome::Acknowledged) => {
            result.acknowledged += 1;
            let told = attempts
                .iter()
                .filter(|attempt| attempt.outcome == Outcome::Acknowledged);
            let acknowledged = told.map(|attempt| attempt.ended).min()?;
            if found {
                return Some(acknowledged);
            }
            result.lost.push(LostWrite { acknowledged, key });
        }
        Some(Outcome::Unknown) if found => result.unknown_found += 1,
        Some(Outcome::Unknown) => result.unknown_missing += 1,
        Some(Outcome::Failed) if found => result.phantoms.push(key),
        Some(Outcome::Failed) | None => (),
    }
    None
}

fn distinct(sorted: &[Key]) -> impl Iterator<Item = Key> + '_ {
    sorted
        .chunk_by(|left, right| left == right)
        .map(|same| same[0])
}

#[cfg(test)]
mod tests;
