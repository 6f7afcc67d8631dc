//! Whether the promises of a drill held. Judged from the history alone; too little evidence is no verdict.

mod court;
mod opinion;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use topologies::plan::Plan;

use crate::budget::Window;
use crate::drill::check::TIMEOUT;
use crate::drill::{Drill, Expectation};
use crate::history::{EndpointHistory, History, Survivors};
use crate::ledger::{Counts, Key};
use crate::verify::outages::{Outage, outages};
use crate::verify::reconcile::{Reconciliation, reconcile};
use crate::verify::recovery::{Recovery, recoveries};

/// With fewer operations no error rate is told.
pub const OPERATIONS_MIN: u64 = 20;
/// The most keys that a finding names.
pub const KEYS_MAX: usize = 20;

/// Whether a promise held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It held.
    Held,
    /// The evidence does not suffice.
    Unknown,
    /// It was broken.
    Broken,
}

impl Verdict {
    /// The command's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Broken => 1,
            Self::Unknown => 4,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Held => "held",
            Self::Unknown => "unknown",
            Self::Broken => "broken",
        })
    }
}

/// What was found about a promise.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The promise.
    pub expectation: Expectation,
    /// Whether it held.
    pub verdict: Verdict,
    /// Why, with figures.
    pub because: String,
    /// What shows it; never empty when broken.
    pub evidence: Vec<Evidence>,
}

impl Finding {
    /// Nothing is found: the drill did not come to its end.
    fn none(expectation: &Expectation, why: &str) -> Self {
        Self {
            expectation: expectation.clone(),
            verdict: Verdict::Unknown,
            because: why.to_owned(),
            evidence: Vec::new(),
        }
    }
}

/// Where to look for the proof of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Evidence {
    /// A stretch of time.
    Times(Window),
    /// Keys of writes: the first [`KEYS_MAX`], and how many there are.
    Keys {
        /// The first.
        first: Vec<Key>,
        /// All.
        count: u64,
    },
    /// The timeline's events from one number to another.
    Timeline {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// How operations ended.
    Operations(Counts),
}

/// What was measured at an endpoint.
#[derive(Clone, Debug)]
pub struct Measures {
    /// The endpoint.
    pub endpoint: String,
    /// How its operations ended.
    pub counts: Counts,
    /// How those begun outside of its outages ended.
    pub outside_outages: Counts,
    /// When nothing was accepted.
    pub outages: Vec<Outage>,
    /// What was seen after each disturbance.
    pub recoveries: Vec<Recovery>,
    /// What became of its writes: none without writes; an error when they could not be read.
    pub reconciliation: Option<Result<Reconciliation, String>>,
    /// Why operations were not acknowledged, most frequent first.
    pub reasons: Vec<(String, u64)>,
    /// Whether every operation was kept; all but `counts` and `reasons` are of those kept.
    pub complete: bool,
}

impl Measures {
    /// The longest wait after any disturbance: the recovery time (RTO) that was seen.
    pub fn rto(&self) -> Option<Duration> {
        let waits = self.recoveries.iter().filter_map(Recovery::longest);
        waits.map(|wait| wait.length()).max()
    }
}

/// The judgement of a drill.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Broken if any promise was, else unknown if any is, else held.
    pub verdict: Verdict,
    /// One per promise, in the drill's order.
    pub findings: Vec<Finding>,
    /// One per endpoint, in the history's order.
    pub measures: Vec<Measures>,
    /// When more was broken than the budget allows; nothing was owed then.
    pub exceeded: Vec<Window>,
}

/// Judges a drill.
pub fn judge(drill: &Drill, history: &History, plan: &Plan) -> Judgement {
    let exceeded = drill.budget.exceeded(&history.faults, plan, history.ended);
    let measures: Vec<Measures> = history
        .endpoints
        .iter()
        .map(|endpoint| measure(drill, endpoint, history, &exceeded))
        .collect();
    let court = court::Court {
        history,
        measures: &measures,
        exceeded: &exceeded,
    };
    let find = |expectation| match &history.cut_short {
        Some(why) => Finding::none(expectation, why),
        None => court.find(expectation),
    };
    let findings: Vec<Finding> = drill.expect.iter().map(find).collect();
    let worst = findings.iter().map(|finding| finding.verdict).max();
    Judgement {
        verdict: worst.unwrap_or(Verdict::Unknown),
        findings,
        measures,
        exceeded,
    }
}

fn measure(
    drill: &Drill,
    endpoint: &EndpointHistory,
    history: &History,
    exceeded: &[Window],
) -> Measures {
    let ledger = &endpoint.ledger;
    let mut clients = drill.workload.iter();
    let clients = clients.find(|clients| clients.name == endpoint.endpoint);
    // Who waits for ever is not served by an answer that others would have given up.
    let patience = clients.and_then(|clients| clients.timeout);
    let outages = outages(ledger, patience.unwrap_or(TIMEOUT));
    let windows: Vec<Window> = outages.iter().map(|outage| outage.window).collect();
    Measures {
        endpoint: endpoint.endpoint.clone(),
        counts: ledger.counts(),
        outside_outages: count_outside(endpoint, &windows),
        recoveries: recoveries(history, ledger, &outages, exceeded),
        outages,
        reconciliation: match &endpoint.survivors {
            Survivors::NothingWritten => None,
            Survivors::Found(found) => Some(Ok(reconcile(ledger, found))),
            Survivors::Unreadable(why) => Some(Err(why.clone())),
        },
        complete: ledger.complete(),
        reasons: ledger
            .reasons()
            .into_iter()
            .map(|(reason, count)| (reason.to_owned(), count))
            .collect(),
    }
}

fn count_outside(endpoint: &EndpointHistory, windows: &[Window]) -> Counts {
    let mut counts = Counts::default();
    for operation in endpoint.ledger.operations() {
        if !windows
            .iter()
            .any(|window| window.contains(operation.started))
        {
            counts.add(operation.outcome);
        }
    }
    counts
}

#[cfg(test)]
mod tests;
