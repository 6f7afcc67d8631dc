//! How each kind of promise is judged.
//!
//! Whatever is broken is told even from an incomplete record; nothing is said to hold that a missing part could refute.

use std::time::Duration;

use topologies::duration::rounded;
use topologies::time::Time;

use super::opinion::Opinion;
use super::{Evidence, Finding, KEYS_MAX, Measures, OPERATIONS_MIN, Verdict, count_outside};
use crate::budget::{Window, owed_since};
use crate::drill::{Expectation, Outside};
use crate::history::{Disturbance, DisturbanceKind, EndpointHistory, FaultSpan, History};
use crate::ledger::{Key, Outcome};
use crate::verify::reconcile::Reconciliation;
use crate::verify::recovery::{Recovery, Seen};

const LEDGER_FULL: &str = "the ledger was full before the drill's end";
const RESTARTED: &str =
    "the emulator itself was restarted meanwhile: its outage is not the stack's";

/// Judges promises by a history and what was measured in it.
pub(super) struct Court<'a> {
    pub(super) history: &'a History,
    pub(super) measures: &'a [Measures],
    pub(super) exceeded: &'a [Window],
}

impl Court<'_> {
    /// What is found about a promise.
    pub(super) fn find(&self, expectation: &Expectation) -> Finding {
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
        let opinion = self.unless_restarted(expectation, opinion);
        let mut evidence = opinion.evidence;
        let located = |one: &Evidence| matches!(one, Evidence::Timeline { .. });
        if opinion.verdict == Verdict::Broken && !evidence.iter().any(located) {
            evidence.extend(self.whole_timeline());
        }
        Finding {
            expectation: expectation.clone(),
            verdict: opinion.verdict,
            because: opinion.because,
            evidence,
        }
    }

    /// A promise that was broken while the emulator itself was gone is nobody's: that outage was its own. What is stored has to be
    /// there all the same.
    fn unless_restarted(&self, expectation: &Expectation, opinion: Opinion) -> Opinion {
        let durable = match expectation {
            Expectation::NoAcknowledgedWriteLost { .. }
            | Expectation::AcknowledgedWritesLostAtMost { .. }
            | Expectation::NoPhantomWrite { .. } => true,
            Expectation::WritesAcceptedAgain { .. }
            | Expectation::RequestsAnsweredAgain { .. }
            | Expectation::ErrorRateBelow { .. }
            | Expectation::RedundancyRestored { .. } => false,
        };
        let shown = opinion.evidence.iter().find_map(|one| match one {
            Evidence::Times(window) => Some(*window),
            Evidence::Keys { .. } | Evidence::Timeline { .. } | Evidence::Operations(_) => None,
        });
        let broken = opinion.verdict == Verdict::Broken && !durable;
        match shown.filter(|window| broken && self.restarted(*window)) {
            Some(_) => Opinion::unknown(format!("{}, but {RESTARTED}", opinion.because)),
            None => opinion,
        }
    }

    fn restarted(&self, meanwhile: Window) -> bool {
        let mut restarts = self.history.restarts.iter();
        restarts.any(|restart| restart.overlaps(meanwhile))
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
                    // Another outage may be the stack's own.
                    if self.restarted(wait.outage.window) {
                        doubt = doubt.or(Some(format!("{because}, but {RESTARTED}")));
                        continue;
                    }
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
        if !measures.complete {
            doubt = doubt.or(Some(LEDGER_FULL.to_owned()));
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

    /// The events from the first injection to the last heal.
    fn whole_timeline(&self) -> Option<Evidence> {
        let faults = &self.history.faults;
        let numbers = || {
            let both = |span: &FaultSpan| [span.injected_seq, span.healed_seq];
            faults.iter().flat_map(both).flatten()
        };
        let (from, to) = (numbers().min()?, numbers().max()?);
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
                _ if !found.complete => Opinion::unknown(format!("{of}, but {LEDGER_FULL}")),
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
            Opinion::unknown(format!("{because}, but {LEDGER_FULL}"))
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
        let because = format!("writes reported as failed and there: {count}");
        let keys = found.phantoms.iter().copied();
        return Opinion::broken(because, vec![some_keys(keys, count)]);
    }
    if found.complete {
        Opinion::held("no write reported as failed is there")
    } else {
        Opinion::unknown(LEDGER_FULL)
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
