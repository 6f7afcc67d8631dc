//! When an endpoint accepted nothing.
//!
//! An outage is a gap between two acknowledgements that is longer than [`STALL`] and in which somebody was not served: an operation
//! begun in it failed, stayed without an answer, or was answered later than its client's patience. It begins with the first that had
//! to wait. Silence while nobody asks is no outage, nor is a pause after which everybody was answered in time; and an endpoint that
//! serves some and fails others has an error rate, not an outage.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use topologies::time::Time;

use crate::budget::Window;
use crate::ledger::{Ledger, Outcome};

/// A shorter gap is not told from the pauses of a busy machine.
pub const STALL: Duration = Duration::from_millis(50);

/// Outages with less than this between them are one: service that comes and goes is not back.
pub const FLAPPING: Duration = Duration::from_millis(250);

/// A stretch in which nothing was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outage {
    /// From the beginning of the first operation in trouble to the next acknowledgement; to the last operation's end when
    /// there is none.
    pub window: Window,
    /// Whether anything was accepted after it.
    pub ended: bool,
    /// The longest stretch of it without any acknowledgement.
    pub longest_gap: Duration,
    /// Operations begun in it that failed, or had no answer in time; at least one.
    pub unserved: u64,
}

/// The outages of an endpoint, in order. `patience` is how long its clients are content to wait for an answer.
pub fn outages(ledger: &Ledger, patience: Duration) -> Vec<Outage> {
    let mut acknowledged: Vec<Time> = Vec::new();
    let mut troubles: Vec<Window> = Vec::new();
    let mut unserved: Vec<Time> = Vec::new();
    let mut last = Time::ZERO;
    for operation in ledger.operations() {
        let span = Window {
            from: operation.started,
            to: operation.ended,
        };
        last = last.max(span.to);
        let answered = operation.outcome == Outcome::Acknowledged;
        if answered {
            acknowledged.push(span.to);
        }
        if !answered || span.length() > patience {
            unserved.push(span.from);
        }
        if !answered || span.length() > STALL {
            troubles.push(span);
        }
    }
    acknowledged.sort_unstable();
    unserved.sort_unstable();
    let count = |window: Window| {
        let before = unserved.partition_point(|begun| *begun < window.from);
        let until = unserved.partition_point(|begun| *begun <= window.to);
        until.saturating_sub(before) as u64
    };
    let mut outages = gaps(&acknowledged, &joined(troubles), last);
    outages.retain(|outage| count(outage.window) > 0);
    outages = without_flapping(outages);
    for outage in &mut outages {
        outage.unserved = count(outage.window);
    }
    outages
}

/// Overlapping stretches as one, in order.
fn joined(mut windows: Vec<Window>) -> Vec<Window> {
    windows.sort_unstable_by_key(|window| window.from);
    let mut joined: Vec<Window> = Vec::new();
    for window in windows {
        match joined.last_mut() {
            Some(last) if last.to >= window.from => last.to = last.to.max(window.to),
            _ => joined.push(window),
        }
    }
    joined
}

/// The gaps between acknowledgements that meet trouble.
fn gaps(acknowledged: &[Time], troubles: &[Window], last: Time) -> Vec<Outage> {
    let mut outages = Vec::new();
    let mut troubles = troubles.iter().peekable();
    let mut from = Time::ZERO;
    let ends = acknowledged.iter().map(|at| (*at, true));
    for (to, ended) in ends.chain([(last, false)]) {
        let gap = Window { from, to };
        from = to;
        if gap.length() <= STALL {
            continue;
        }
        // What ended before or just as the gap began was served by its first acknowledgement.
        while troubles.next_if(|trouble| trouble.to <= gap.from).is_some() {}
        let Some(trouble) = troubles.peek().filter(|trouble| trouble.from < gap.to) else {
            continue;
        };
        let window = Window {
            from: gap.from.max(trouble.from),
            to: gap.to,
        };
        if window.length() > STALL || !ended {
            outages.push(Outage {
                window,
                ended,
                longest_gap: window.length(),
                unserved: 0,
            });
        }
    }
    outages
}

fn without_flapping(outages: Vec<Outage>) -> Vec<Outage> {
    let mut joined: Vec<Outage> = Vec::new();
    for outage in outages {
        match joined.last_mut() {
            Some(last) if outage.window.from - last.window.to < FLAPPING => {
                last.window.to = outage.window.to;
                last.ended = outage.ended;
                last.longest_gap = last.longest_gap.max(outage.longest_gap);
            }
            _ => joined.push(outage),
        }
    }
    joined
}

#[cfg(test)]
mod tests;
