//! How much trouble a stack is built to bear, and from this when service is owed.
//!
//! While more zones are in trouble than the budget allows nothing is owed, and whatever clock measures a recovery starts
//! again when the trouble is back within the budget. Durability is owed always.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use topologies::duration;
use topologies::id::ZoneId;
use topologies::plan::Plan;
use topologies::time::Time;
use topologies::yaml::values::Period;

use crate::fault::{Fault, OUTSIDE};
use crate::history::FaultSpan;

/// How much trouble at once a stack must serve through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Budget {
    /// Zones in trouble at once. Multi-AZ bears one.
    #[serde(default = "one_zone")]
    #[schemars(range(max = 14))]
    pub zones: usize,
    /// How long after its heal (for a kill: after it) a zone still counts as in trouble, since redundancy has to be rebuilt.
    #[serde(default = "recovery", with = "duration::text")]
    #[schemars(with = "Period")]
    pub recovery: Duration,
}

/// Multi-AZ is built for the loss of one zone.
pub const ONE_ZONE: Budget = Budget {
    zones: 1,
    recovery: Duration::from_secs(30),
};

fn one_zone() -> usize {
    ONE_ZONE.zones
}

fn recovery() -> Duration {
    ONE_ZONE.recovery
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its beginning.
    pub from: Time,
    /// Its end.
    pub to: Time,
}

impl Window {
    /// Its length.
    pub fn length(self) -> Duration {
        self.to - self.from
    }

    /// Whether a moment lies in it; both ends do.
    pub fn contains(self, at: Time) -> bool {
        self.from <= at && at <= self.to
    }

    /// Whether two stretches have a moment in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

impl Budget {
    /// The stretches, in order, in which more was broken than the budget allows. `end` ends a fault that was not healed.
    pub fn exceeded(&self, faults: &[FaultSpan], plan: &Plan, end: Time) -> Vec<Window> {
        let until = |span: &FaultSpan| span.to.map_or(end, |to| to + self.recovery);
        let mut moments: Vec<Time> = faults
            .iter()
            .flat_map(|span| [span.from, until(span)])
            .collect();
        moments.sort_unstable();
        moments.dedup();
        let mut windows: Vec<Window> = Vec::new();
        for pair in moments.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let standing = faults
                .iter()
                .filter(|span| span.from <= from && until(span) >= to);
            if zones_in_trouble(standing, plan) <= self.zones {
                continue;
            }
            match windows.last_mut() {
                Some(last) if last.to == from => last.to = to,
                _ => windows.push(Window { from, to }),
            }
        }
        windows
    }
}

/// How many zones have to be written off to explain the faults. A cut link counts as one of its ends, unless one is
/// written off already; a slow link writes off nothing, nor does what is done to calls of the AWS API.
fn zones_in_trouble<'a>(
    faults: impl Iterator<Item = &'a FaultSpan> + Clone,
    plan: &'a Plan,
) -> usize {
    let mut zones: BTreeSet<&ZoneId> = BTreeSet::new();
    for span in faults.clone() {
        match &span.fault {
            Fault::KillAz { zone, .. } => {
                zones.insert(zone);
            }
            Fault::Kill { instance } | Fault::Stop { instance } | Fault::Freeze { instance } => {
                zones.extend(plan.instance(instance).map(|instance| &instance.zone));
            }
            Fault::Partition { .. }
            | Fault::Slow { .. }
            | Fault::ThrottleApi { .. }
            | Fault::SlowApi { .. }
            | Fault::FailApi { .. } => (),
        }
    }
    for span in faults {
        if let Fault::Partition { from, to, .. } = &span.fault
            && !zones.contains(from)
            && !zones.contains(to)
        {
            zones.insert(if to.as_str() == OUTSIDE { from } else { to });
        }
    }
    zones.len()
}

/// The moment from which service is owed to someone who waits since `since`: when the budget is exceeded then or later before
/// `until`, the end of the last such stretch.
pub fn owed_since(since: Time, until: Time, exceeded: &[Window]) -> Time {
    let pause = Window {
        from: since,
        to: until.max(since),
    };
    let ends = exceeded
        .iter()
        .filter(|window| window.overlaps(pause))
        .map(|window| window.to);
    ends.max().unwrap_or(since).max(since)
}

#[cfg(test)]
mod tests;
