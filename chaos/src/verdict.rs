//! Whether the promises of a drill held. Judged from the history alone; too little evidence is no verdict.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use topologies::plan::Plan;
use topologies::time::Time;

use crate::budget::{Window, owed_since};
use crate::drill::{Drill, Expectation, Outside};
use crate::duration::rounded;
use crate::history::{Disturbance, DisturbanceKind, EndpointHistory, History, Survivors};
use crate::ledger::{Counts, Key, Outcome};
use crate::verify::outages::{Outage, outages};
use crate::verify::reconcile::{Reconciliation, reconcile};
use crate::verify::recovery::{Recovery, Seen, recoveries};

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
        .map(|endpoint| measure(endpoint, history, &exceeded))
        .collect();
    let court = Court {
        history,
        measures: &measures,
        exceeded: &exceeded,
    };
    let findings: Vec<Finding> = drill
        .expect
        .iter()
        .map(|expectation| court.find(expectation))
        .collect();
    let worst = findings.iter().map(|finding| finding.verdict).max();
    Judgement {
        verdict: worst.unwrap_or(Verdict::Unknown),
        findings,
        measures,
        exceeded,
    }
}

fn measure(endpoint: &EndpointHistory, history: &History, exceeded: &[Window]) -> Measures {
    let ledger = &endpoint.ledger;
    let outages = outages(ledger);
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

/// A verdict in the making.
struct Opinion {
    verdict: Verdict,
    because: String,
    evidence: Vec<Evidence>,
}

impl Opinion {
    fn held(because: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Held,
            because: because.into(),
            evidence: Vec::new(),
        }
    }

    fn unknown(because: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Unknown,
            ..Self::held(because)
        }
    }

    fn broken(because: impl Into<String>, evidence: Vec<Evidence>) -> Self {
        Self {
            verdict: Verdict::Broken,
            because: because.into(),
            evidence,
        }
    }
}

struct Court<'a> {
    history: &'a History,
    measures: &'a [Measures],
    exceeded: &'a [Window],
}

impl Court<'_> {
    fn find(&self, expectation: &Expectation) -> Finding {
        let opinion = match expectation {
            Expectation::WritesAcceptedAgain { endpoint, within }
            | Expectation::RequestsAnsweredAgain { endpoint, within } => {
                self.of(endpoint, |measures| self.served_again(measures, *within))
            }
            Expectation::NoAcknowledgedWriteLost { endpoint } => self.lost(endpoint, 0),
            Expectation::AcknowledgedWritesLostAtMost { endpoint, count } => {
                self.lost(endpoint, *count)
            }
            Expectation::NoPhantomWrite { endpoint } => self.reconciled(endpoint, phantoms),
            Expectation::ErrorRateBelow {
                endpoint,
                percent,
                outside,
                grace,
            } => self.of(endpoint, |measures| {
                self.error_rate(measures, *percent, *outside, *grace)
            }),
            Expectation::RedundancyRestored { of, within } => self.redundant_again(of, *within),
        };
        Finding {
            expectation: expectation.clone(),
            verdict: opinion.verdict,
            because: opinion.because,
            evidence: opinion.evidence,
        }
    }

    fn of(&self, endpoint: &str, judge: impl FnOnce(&Measures) -> Opinion) -> Opinion {
        let measures = self.measures.iter().find(|one| one.endpoint == endpoint);
        match measures {
            Some(measures) if measures.counts.total() > 0 => judge(measures),
            Some(_) | None => Opinion::unknown("no client did anything"),
        }
    }

    fn served_again(&self, measures: &Measures, within: Duration) -> Opinion {
        if measures.recoveries.is_empty() {
            return Opinion::unknown("nothing was injected");
        }
        let mut longest = None;
        let mut doubt = None;
        for recovery in &measures.recoveries {
            let what = self.name(recovery);
            let waits = match &recovery.seen {
                Seen::Nothing => {
                    doubt = doubt.or(Some(format!("nobody asked after {what}")));
                    continue;
                }
                Seen::NoOutage => continue,
                Seen::Outages(waits) => waits,
            };
            for wait in waits {
                let waited = rounded(wait.length());
                if wait.length() > within {
                    let because = if wait.outage.ended {
                        format!("served again {waited} after {what}")
                    } else {
                        format!("not served again in the {waited} after {what} that clients tried")
                    };
                    let mut evidence = vec![Evidence::Times(wait.outage.window)];
                    evidence.extend(self.timeline(recovery));
                    return Opinion::broken(because, evidence);
                }
                if !wait.outage.ended {
                    let text = format!("clients tried for only {waited} after {what}");
                    doubt = doubt.or(Some(text));
                }
                longest = longest.max(Some(wait.length()));
            }
        }
        match (doubt, longest) {
            (Some(doubt), _) => Opinion::unknown(doubt),
            (None, Some(longest)) => {
                Opinion::held(format!("served again after {} at most", rounded(longest)))
            }
            (None, None) => Opinion::held("no outage was seen"),
        }
    }

    fn name(&self, recovery: &Recovery) -> String {
        let faults = &self.history.faults;
        let span = faults.iter().find(|span| span.id == recovery.fault);
        let what = span.map_or_else(String::new, |span| span.fault.to_string());
        match recovery.kind {
            DisturbanceKind::Injected => format!("{} ({what})", recovery.fault),
            DisturbanceKind::Healed => format!("the heal of {} ({what})", recovery.fault),
        }
    }

    /// The events from a disturbance to the next.
    fn timeline(&self, recovery: &Recovery) -> Option<Evidence> {
        let disturbances = self.history.disturbances();
        let mut numbers = disturbances.iter().filter_map(|disturbance| {
            let span = disturbance.fault;
            let seq = match disturbance.kind {
                DisturbanceKind::Injected => span.injected_seq,
                DisturbanceKind::Healed => span.healed_seq,
            };
            seq.map(|seq| (disturbance.at, seq))
        });
        let (_, from) = numbers.find(|(at, _)| *at >= recovery.at)?;
        let to = numbers.next().map_or(from, |(_, seq)| seq.max(from));
        Some(Evidence::Timeline { from, to })
    }

    fn reconciled(
        &self,
        endpoint: &str,
        judge: impl FnOnce(&Reconciliation) -> Opinion,
    ) -> Opinion {
        self.of(endpoint, |measures| match &measures.reconciliation {
            Some(Ok(found)) if found.acknowledged == 0 => {
                Opinion::unknown("no write was acknowledged")
            }
            Some(Ok(found)) => judge(found),
            Some(Err(why)) => Opinion::unknown(format!("what survived could not be read: {why}")),
            None => Opinion::unknown("nothing was written"),
        })
    }

    fn lost(&self, endpoint: &str, allowed: u64) -> Opinion {
        self.reconciled(endpoint, |found| {
            let lost = found.lost.len() as u64;
            let of = format!(
                "{lost} of {} acknowledged writes are lost",
                found.acknowledged
            );
            match found.lost_window() {
                Some(window) if lost > allowed => {
                    let span = rounded(window.length());
                    let keys = found.lost.iter().map(|lost| lost.key);
                    let evidence = vec![Evidence::Times(window), some_keys(keys, lost)];
                    Opinion::broken(format!("{of}, acknowledged over {span}"), evidence)
                }
                _ if !found.complete => Opinion::unknown(format!(
                    "{of}, but the ledger was full before the drill's end"
                )),
                _ => Opinion::held(of),
            }
        })
    }

    fn error_rate(
        &self,
        measures: &Measures,
        percent: f64,
        outside: Outside,
        grace: Duration,
    ) -> Opinion {
        let mut spared = self.exceeded.to_vec();
        if outside == Outside::OutageWindows {
            spared.extend(measures.outages.iter().map(|outage| outage.window));
        }
        let disturbances = self.history.disturbances();
        spared.extend(disturbances.iter().filter(|_| !grace.is_zero()).map(
            |Disturbance { at, .. }| Window {
                from: *at,
                to: *at + grace,
            },
        ));
        let named = |endpoint: &&EndpointHistory| endpoint.endpoint == measures.endpoint;
        let Some(endpoint) = self.history.endpoints.iter().find(named) else {
            return Opinion::unknown("no client did anything");
        };
        let counts = count_outside(endpoint, &spared);
        let Some(availability) = counts
            .availability()
            .filter(|_| counts.total() >= OPERATIONS_MIN)
        else {
            let total = counts.total();
            return Opinion::unknown(format!("only {total} operations count"));
        };
        let failed = (1.0 - availability) * 100.0;
        let because = format!(
            "{failed:.2} % of {} operations failed ({} failed, {} without an answer)",
            counts.total(),
            counts.failed,
            counts.unknown
        );
        if failed >= percent {
            let mut evidence = vec![Evidence::Operations(counts)];
            evidence.extend(unserved(endpoint, &spared).map(Evidence::Times));
            Opinion::broken(because, evidence)
        } else if endpoint.ledger.complete() {
            Opinion::held(because)
        } else {
            Opinion::unknown(format!("{because}, but the ledger was full before the end"))
        }
    }

    fn redundant_again(&self, resource: &str, within: Duration) -> Opinion {
        let mut longest = None;
        if self
            .history
            .redundancy
            .iter()
            .all(|change| change.resource != resource)
        {
            return Opinion::unknown(format!("nothing is known of {resource}"));
        }
        for disturbance in self.history.disturbances() {
            if disturbance.kind != DisturbanceKind::Healed {
                continue;
            }
            let owed = owed_since(disturbance.at, disturbance.at, self.exceeded);
            let limit = owed + within;
            let Some((since, seq)) = self.redundant_since(resource, disturbance.at) else {
                return self.never_redundant(resource, disturbance, limit);
            };
            let waited = since.since(owed);
            if since > limit {
                let because = format!(
                    "redundant again {} after the heal of {}",
                    rounded(waited),
                    disturbance.fault.id
                );
                let mut evidence = vec![Evidence::Times(Window {
                    from: disturbance.at,
                    to: since,
                })];
                let from = disturbance.fault.healed_seq;
                evidence.extend(
                    from.zip(seq)
                        .map(|(from, to)| Evidence::Timeline { from, to }),
                );
                return Opinion::broken(because, evidence);
            }
            longest = longest.max(Some(waited));
        }
        match longest {
            Some(Duration::ZERO) => Opinion::held("it was redundant when healed"),
            Some(longest) => Opinion::held(format!(
                "redundant again after {} at most",
                rounded(longest)
            )),
            None => Opinion::unknown("nothing was healed"),
        }
    }

    /// When the resource was redundant, at the time of a heal or first after it. It is redundant until it is reported not to be.
    fn redundant_since(&self, resource: &str, healed: Time) -> Option<(Time, Option<u64>)> {
        let changes = || {
            let all = self.history.redundancy.iter();
            all.filter(|change| change.resource == resource)
        };
        let before = changes().rfind(|change| change.at <= healed);
        if before.is_none_or(|change| change.full) {
            return Some((healed, before.and_then(|change| change.seq)));
        }
        let after = changes().find(|change| change.at > healed && change.full)?;
        Some((after.at, after.seq))
    }

    fn never_redundant(
        &self,
        resource: &str,
        disturbance: Disturbance<'_>,
        limit: Time,
    ) -> Opinion {
        let watched = self.history.ended;
        let because = format!(
            "{resource} was not redundant in the {} after the heal of {}",
            rounded(watched.since(disturbance.at)),
            disturbance.fault.id
        );
        if watched <= limit {
            return Opinion::unknown(because);
        }
        let window = Window {
            from: disturbance.at,
            to: watched,
        };
        Opinion::broken(because, vec![Evidence::Times(window)])
    }
}

fn phantoms(found: &Reconciliation) -> Opinion {
    let count = found.phantoms.len() as u64;
    if count > 0 {
        let because = format!("{count} writes reported as failed are there");
        let keys = found.phantoms.iter().copied();
        return Opinion::broken(because, vec![some_keys(keys, count)]);
    }
    if found.complete {
        Opinion::held("no write reported as failed is there")
    } else {
        Opinion::unknown("the ledger was full before the drill's end")
    }
}

fn some_keys(keys: impl Iterator<Item = Key>, count: u64) -> Evidence {
    Evidence::Keys {
        first: keys.take(KEYS_MAX).collect(),
        count,
    }
}

/// From the first to the last operation that was not acknowledged and counts.
fn unserved(endpoint: &EndpointHistory, spared: &[Window]) -> Option<Window> {
    let counted = endpoint.ledger.operations().filter(|operation| {
        operation.outcome != Outcome::Acknowledged
            && !spared
                .iter()
                .any(|window| window.contains(operation.started))
    });
    counted
        .map(|operation| Window {
            from: operation.started,
            to: operation.started,
        })
        .reduce(|all, one| Window {
            from: all.from.min(one.from),
            to: all.to.max(one.to),
        })
}

#[cfg(test)]
mod tests;
