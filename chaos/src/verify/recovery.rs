//! How long after each injection and each heal an endpoint served again. The clock runs only while service is owed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use topologies::id::FaultId;
use topologies::time::Time;

use super::outages::Outage;
use crate::budget::{Window, owed_since};
use crate::history::{Disturbance, DisturbanceKind, History};
use crate::ledger::Ledger;

/// An outage that begins up to this long after a disturbance is counted from the disturbance; a later one from its own beginning.
pub const ONSET: Duration = Duration::from_secs(1);

/// What an endpoint's clients saw after a disturbance, until the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Recovery {
    /// The fault that was injected or healed.
    pub fault: FaultId,
    /// Which of both.
    pub kind: DisturbanceKind,
    /// When.
    pub at: Time,
    /// What was seen.
    pub seen: Seen,
}

/// What clients saw after a disturbance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// Nobody asked, so nobody knows.
    Nothing,
    /// They were served all the time.
    NoOutage,
    /// They were not, at times.
    Outages(Vec<Wait>),
}

/// A wait for service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Wait {
    /// The outage.
    pub outage: Outage,
    /// From when it is counted: the disturbance, or the moment from which service was owed.
    pub counted_from: Time,
}

impl Wait {
    /// How long they waited.
    pub fn length(&self) -> Duration {
        self.outage.window.to - self.counted_from
    }
}

impl Recovery {
    /// The wait that was longest: the recovery time (RTO) that was seen, if service came back.
    pub fn longest(&self) -> Option<Wait> {
        match &self.seen {
            Seen::Outages(waits) => waits.iter().copied().max_by_key(Wait::length),
            Seen::Nothing | Seen::NoOutage => None,
        }
    }
}

/// One recovery per disturbance, in order. `exceeded` is when more was broken than the budget allows.
pub fn recoveries(
    history: &History,
    ledger: &Ledger,
    outages: &[Outage],
    exceeded: &[Window],
) -> Vec<Recovery> {
    let disturbances = history.disturbances();
    let ends = disturbances.iter().skip(1).map(|next| next.at);
    let ends = ends.chain([Time::from_micros(u64::MAX)]);
    disturbances
        .iter()
        .zip(ends)
        .map(|(disturbance, end)| recovery(disturbance, end, ledger, outages, exceeded))
        .collect()
}

fn recovery(
    disturbance: &Disturbance<'_>,
    end: Time,
    ledger: &Ledger,
    outages: &[Outage],
    exceeded: &[Window],
) -> Recovery {
    let at = disturbance.at;
    let phase = |moment: Time| at <= moment && moment < end;
    let waits: Vec<Wait> = outages
        .iter()
        .filter(|outage| {
            let Window { from, to } = outage.window;
            phase(from) || (from < at && to > at)
        })
        .map(|outage| {
            let Window { from, to } = outage.window;
            let since = if from <= at + ONSET { at } else { from };
            Wait {
                outage: *outage,
                counted_from: owed_since(since, to, exceeded).min(to),
            }
        })
        .collect();
    let asked = || {
        ledger
            .operations()
            .any(|operation| phase(operation.started))
    };
    let seen = if !waits.is_empty() {
        Seen::Outages(waits)
    } else if asked() {
        Seen::NoOutage
    } else {
        Seen::Nothing
    };
    Recovery {
        fault: disturbance.fault.id.clone(),
        kind: disturbance.kind,
        at,
        seen,
    }
}
