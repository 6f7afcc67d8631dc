//! Faults in force: taken up, healed, and made true again after a daemon that was killed.
//!
//! Three tell of a fault: the file of faults in force, which is the will; the runtime, which is what was done to hosts; the
//! timeline, which is what users read. The file is written first. A fault is recorded before it is done, for its consequences
//! follow; its end is recorded once it has come about, and a fault whose end fails stays in force and can be healed again.

use std::collections::BTreeSet;

use chaos::active::{ActiveFault, Change};
use chaos::blast_radius::blast_radius;
use chaos::fault::Fault;
use chaos::presence::Presence;
use tokio::sync::oneshot;
use topologies::event::EventKind;
use topologies::experiment::ActionOf;
use topologies::id::{FaultId, InstanceId};
use topologies::runtime::Affliction;

use super::{Driver, State};
use crate::control::Stimulus;
use crate::harm::{Failures, Orders, perform, reconciled};
use crate::stack::{Injected, presence};

type Answer<T> = oneshot::Sender<Result<T, String>>;
type Refusal<T> = (Answer<T>, String);

/// What a change of harm was for, and who waits for it.
pub enum Purpose {
    /// A fault was taken up.
    Inject(Injected, Answer<Injected>),
    /// Faults were ended, unless their end fails.
    Heal(Vec<ActiveFault>, Answer<Vec<FaultId>>),
}

impl Driver {
    /// Brings the runtime to what the faults in force say.
    pub(super) async fn reconcile_hosts(&self) {
        let want = self.faults.conditions(&self.plan()).afflictions;
        let orders = reconciled(&self.runtime.afflictions(), &want);
        for (harm, cause) in perform(&*self.runtime, &orders).await {
            tracing::error!(?harm, cause, "hosts are not as the faults in force say");
        }
    }

    /// Brings the timeline to what the faults in force say.
    pub(super) fn reconcile_timeline(&mut self, state: &mut State) {
        let known: BTreeSet<FaultId> = self.control.world().faults.keys().cloned().collect();
        let active = self.faults.active().to_vec();
        let present = self.runtime.afflictions();
        let presence = self.presence(state);
        for ActiveFault { id, fault, by, .. } in &active {
            if !known.contains(id) {
                self.record_fault(state, (id, fault, by.clone()), &presence);
            }
            if let Some(freeze) = fault.affliction()
                && let Affliction::Freeze(instance) = &freeze
                && !present.contains(&freeze)
            {
                self.end_freeze(state, instance);
            }
        }
        for id in known {
            if active.iter().all(|active| active.id != id) {
                self.record_end(state, id);
            }
        }
    }

    pub(super) fn inject(
        &mut self,
        state: &mut State,
        fault: &Fault,
        by: Option<ActionOf>,
        answer: Answer<Injected>,
    ) -> Result<(), Refusal<Injected>> {
        let presence = self.presence(state);
        let fault = match fault.resolve(&self.plan(), &presence) {
            Ok(fault) => fault,
            Err(mistakes) => {
                let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                return Err((answer, mistakes.join("; ")));
            }
        };
        let now = self.clock.now();
        let down = &presence.down;
        let plan = self.plan();
        let injected = self
            .faults
            .inject(by.clone(), fault.clone(), now, &plan, down);
        let (id, change) = match injected {
            Ok(injected) => injected,
            Err(cause) => return Err((answer, cause.to_string())),
        };
        let consequences = self.record_fault(state, (&id, &fault, by), &presence);
        if !fault.lasting() {
            self.record_end(state, id.clone());
        }
        let injected = Injected {
            fault: id,
            consequences,
        };
        self.bring_about(state, change, Purpose::Inject(injected, answer));
        Ok(())
    }

    pub(super) fn heal(
        &mut self,
        state: &mut State,
        fault: Option<&FaultId>,
        answer: Answer<Vec<FaultId>>,
    ) -> Result<(), Refusal<Vec<FaultId>>> {
        let (healed, change) = match fault.map(|id| self.faults.heal(id, &self.plan())) {
            Some(Ok((healed, change))) => (vec![healed], change),
            Some(Err(cause)) => return Err((answer, cause.to_string())),
            None => self.faults.heal_all(&self.plan()),
        };
        self.bring_about(state, change, Purpose::Heal(healed, answer));
        Ok(())
    }

    /// The process that was frozen has ended. Relieved all the same: the order to freeze may still be under way, and would meet what
    /// is started in its place.
    pub(super) fn end_freeze(&mut self, state: &mut State, instance: &InstanceId) {
        if let Some(id) = self.faults.ending_with(instance).cloned() {
            let (answer, _nobody) = oneshot::channel();
            // It is in force, and that it is healed is what the timeline tells.
            let _told = self.heal(state, Some(&id), answer);
        }
    }

    /// Takes in how a change ended.
    pub(super) fn harmed(&mut self, state: &mut State, purpose: Purpose, failures: Failures) {
        let why: Vec<&str> = failures.iter().map(|(_, why)| why.as_str()).collect();
        let why = why.join("; ");
        match purpose {
            Purpose::Inject(injected, answer) => {
                let result = if failures.is_empty() {
                    Ok(injected)
                } else {
                    // Nobody knows how much of it was done, so it counts as in force until it is healed.
                    Err(format!(
                        "fault `{}` did not come about wholly: {why}",
                        injected.fault
                    ))
                };
                let _gone = answer.send(result);
            }
            Purpose::Heal(healed, answer) => {
                let (failed, ended): (Vec<_>, Vec<_>) = healed.into_iter().partition(|active| {
                    let harm = active.fault.affliction();
                    failures
                        .iter()
                        .any(|(failed, _)| Some(failed) == harm.as_ref())
                });
                let ids: Vec<FaultId> = ended.into_iter().map(|active| active.id).collect();
                for id in &ids {
                    self.record_end(state, id.clone());
                }
                let stays: Vec<String> = failed.iter().map(|it| format!("`{}`", it.id)).collect();
                for active in failed {
                    state.conditions = self.faults.reenter(active, &self.plan()).network;
                }
                // Who asked is told that it failed.
                let _applied = self.publish_network(state);
                let result = if stays.is_empty() {
                    Ok(ids)
                } else {
                    Err(format!("{} stays in force: {why}", stays.join(", ")))
                };
                let _gone = answer.send(result);
            }
        }
    }

    /// Makes a change of faults physical: the network at once, hosts by somebody else, for the driver does not wait.
    fn bring_about(&mut self, state: &mut State, change: Change, purpose: Purpose) {
        let Change {
            network,
            relieve,
            afflict,
        } = change;
        state.conditions = network;
        let network = self.publish_network(state);
        let orders = Orders { relieve, afflict };
        if let Err(purpose) = self.harm.bring_about(orders.clone(), network, purpose) {
            let why = "the stack is busy with other faults, or ending".to_owned();
            let all = orders.relieve.into_iter().chain(orders.afflict);
            self.harmed(
                state,
                purpose,
                all.map(|harm| (harm, why.clone())).collect(),
            );
        }
    }

    fn record_fault(
        &mut self,
        state: &mut State,
        (id, fault, by): (&FaultId, &Fault, Option<ActionOf>),
        presence: &Presence,
    ) -> Vec<String> {
        let hits = blast_radius(fault, &self.plan(), presence);
        let consequences: Vec<String> = hits.iter().map(ToString::to_string).collect();
        let injected = EventKind::FaultInjected {
            fault: id.clone(),
            fault_kind: fault.kind().to_owned(),
            target: fault.target(),
            consequences: consequences.clone(),
            by,
        };
        self.handle(state, Stimulus::Note(injected));
        consequences
    }

    fn record_end(&mut self, state: &mut State, fault: FaultId) {
        self.handle(state, Stimulus::Note(EventKind::FaultHealed { fault }));
    }

    pub(super) fn presence(&self, state: &State) -> Presence {
        presence(&self.plan(), self.control.world(), &state.closed)
    }
}
