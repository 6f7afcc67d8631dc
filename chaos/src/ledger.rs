//! What a drill's clients did through one endpoint: every operation with its times and its outcome, in 24 bytes.
//!
//! A ledger keeps as many operations as it is told at first and counts those beyond. From an incomplete ledger nothing is
//! concluded that the missing part could refute.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use topologies::time::Time;

/// The name of a write, unique in its ledger: a client's number and the client's count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Key(u64);

impl Key {
    const COUNT_BITS: u32 = 48;

    /// The `count`th write of a client; the count is taken modulo 2^48.
    pub fn new(client: u16, count: u64) -> Self {
        Self(u64::from(client) << Self::COUNT_BITS | count & ((1 << Self::COUNT_BITS) - 1))
    }

    /// The client's number.
    pub fn client(self) -> u16 {
        u16::try_from(self.0 >> Self::COUNT_BITS).expect("16 bits are left")
    }

    /// The client's count.
    pub fn count(self) -> u64 {
        self.0 & ((1 << Self::COUNT_BITS) - 1)
    }

    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (client, count) = text.split_once('-')?;
        let key = Self::new(client.parse().ok()?, count.parse().ok()?);
        // Only one text per key: no leading zeros or signs, no count beyond 48 bits.
        (key.to_string() == text).then_some(key)
    }
}

/// `3-1741`, fit to be stored beside the value that it names.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.client(), self.count())
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for Key {
    type Error = NoKey;

    fn try_from(text: String) -> Result<Self, NoKey> {
        Self::parse(&text).ok_or(NoKey { text })
    }
}

/// A text that is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no key of a ledger")]
pub struct NoKey {
    text: String,
}

/// How an operation ended, as its client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It definitely did not happen: connecting failed, or the server refused it.
    Failed,
    /// It was sent and no answer came: nobody knows.
    Unknown,
    /// It was answered: it happened, and has to last.
    Acknowledged,
}

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name; who reads only may use any.
    pub key: Key,
    /// When the client began.
    pub started: Time,
    /// When the client knew, or gave up.
    pub ended: Time,
    /// How it ended.
    pub outcome: Outcome,
}

/// As kept: 24 bytes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    started: Time,
    took_micros: u32,
    reason: u8,
    outcome: Outcome,
}

/// How many operations ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Answered.
    pub acknowledged: u64,
    /// Definitely not done.
    pub failed: u64,
    /// Done or not.
    pub unknown: u64,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Acknowledged => self.acknowledged += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Unknown => self.unknown += 1,
        }
    }

    /// All of them.
    pub fn total(self) -> u64 {
        self.acknowledged + self.failed + self.unknown
    }

    /// The share that was answered, 0 to 1; none without any operation.
    pub fn availability(self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        (self.total() > 0).then(|| self.acknowledged as f64 / self.total() as f64)
    }
}

/// The operations of one endpoint, in the order in which they ended.
#[derive(Clone, Debug)]
pub struct Ledger {
    entries: Vec<Entry>,
    limit: usize,
    counts: Counts,
    overflow: Counts,
    reasons: Vec<(String, u64)>,
}

impl Ledger {
    /// What a drill's endpoint gets unless told otherwise: 24 MB at most, 17 minutes at 1,000 operations a second.
    pub const LIMIT: usize = 1_000_000;
    /// The most different reasons that are told apart.
    pub const REASONS_MAX: usize = 32;

    /// An empty ledger for at most `limit` operations. Memory is taken as they come.
    pub fn new(limit: usize) -> Self {
        Self {
            entries: Vec::new(),
            limit,
            counts: Counts::default(),
            overflow: Counts::default(),
            reasons: Vec::new(),
        }
    }

    /// Enters an operation that was acknowledged.
    pub fn acknowledged(&mut self, key: Key, started: Time, ended: Time) {
        self.enter(key, started, ended, Outcome::Acknowledged, 0);
    }

    /// Enters an operation that definitely did not happen; `reason` in a few words without numbers.
    pub fn failed(&mut self, key: Key, started: Time, ended: Time, reason: &str) {
        let reason = self.reason(reason);
        self.enter(key, started, ended, Outcome::Failed, reason);
    }

    /// Enters an operation that may have happened, also one that is under way when the drill ends.
    pub fn unknown(&mut self, key: Key, started: Time, ended: Time, reason: &str) {
        let reason = self.reason(reason);
        self.enter(key, started, ended, Outcome::Unknown, reason);
    }

    /// Every operation kept, in the order in which they ended.
    pub fn operations(&self) -> impl DoubleEndedIterator<Item = Operation> + '_ {
        self.entries.iter().map(|entry| Operation {
            key: entry.key,
            started: entry.started,
            ended: entry.started + Duration::from_micros(u64::from(entry.took_micros)),
            outcome: entry.outcome,
        })
    }

    /// How all operations ended, also those not kept.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How those beyond the limit ended.
    pub fn overflow(&self) -> Counts {
        self.overflow
    }

    /// Whether every operation was kept.
    pub fn complete(&self) -> bool {
        self.overflow.total() == 0
    }

    /// Why operations were not acknowledged, and how often, most frequent first.
    pub fn reasons(&self) -> Vec<(&str, u64)> {
        let mut reasons: Vec<(&str, u64)> = self
            .reasons
            .iter()
            .map(|(reason, count)| (reason.as_str(), *count))
            .collect();
        reasons.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(right.0)));
        reasons
    }

    /// Why the first operation that was not acknowledged within a stretch was not.
    pub fn first_reason(&self, within: crate::budget::Window) -> Option<&str> {
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.reason > 0 && within.contains(entry.started))?;
        let (reason, _) = self.reasons.get(usize::from(entry.reason) - 1)?;
        Some(reason)
    }

    fn enter(&mut self, key: Key, started: Time, ended: Time, outcome: Outcome, reason: u8) {
        self.counts.add(outcome);
        if self.entries.len() >= self.limit {
            self.overflow.add(outcome);
            return;
        }
        self.entries.push(Entry {
            key,
            started,
            took_micros: u32::try_from((ended - started).as_micros()).unwrap_or(u32::MAX),
            reason,
            outcome,
        });
    }

    /// The reason's number from 1; what comes after [`Ledger::REASONS_MAX`] different ones counts as the last, `other`.
    fn reason(&mut self, text: &str) -> u8 {
        let known = self.reasons.iter().position(|(known, _)| known == text);
        let index = known.unwrap_or_else(|| {
            let next = self.reasons.len().min(Self::REASONS_MAX);
            if next == self.reasons.len() {
                let text = if next == Self::REASONS_MAX {
                    "other"
                } else {
                    text
                };
                self.reasons.push((text.to_owned(), 0));
            }
            next
        });
        self.reasons[index].1 += 1;
        u8::try_from(index + 1).expect("at most 33 reasons")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_takes_24_bytes() {
        assert_eq!(size_of::<Entry>(), 24);
    }

    #[test]
    fn a_key_has_one_text() {
        let check = |text: &str, expected: Option<Key>| assert_eq!(Key::parse(text), expected);
        check("3-1741", Some(Key::new(3, 1_741)));
        check("65535-281474976710655", Some(Key::new(u16::MAX, u64::MAX)));
        for refused in [
            "",
            "3",
            "3-",
            "-1",
            "03-1",
            "3-+1",
            "65536-1",
            "1-281474976710656",
        ] {
            check(refused, None);
        }
    }

    #[test]
    fn beyond_the_limit_operations_are_only_counted() {
        let mut ledger = Ledger::new(2);
        let at = Time::from_millis;
        ledger.acknowledged(Key::new(0, 0), at(0), at(1));
        ledger.failed(Key::new(0, 1), at(1), at(2), "refused");
        ledger.unknown(Key::new(0, 2), at(2), at(3), "timed out");
        assert!(!ledger.complete());
        assert_eq!(ledger.operations().count(), 2);
        assert_eq!((ledger.counts().total(), ledger.overflow().unknown), (3, 1));
    }

    #[test]
    fn reasons_are_counted_and_limited() {
        let mut ledger = Ledger::new(10_000);
        for number in 0..100 {
            ledger.failed(
                Key::new(0, number),
                Time::ZERO,
                Time::ZERO,
                &format!("e{number}"),
            );
        }
        ledger.failed(Key::new(0, 100), Time::ZERO, Time::ZERO, "e0");
        let reasons = ledger.reasons();
        assert_eq!(reasons.len(), Ledger::REASONS_MAX + 1);
        assert_eq!(reasons[0], ("other", 68));
        assert_eq!(reasons[1], ("e0", 2));
    }
}
