//! The faults in force, and the physical conditions that follow from them.
//!
//! Conditions are always folded from the whole set, so that overlapping faults compose and healing one leaves what the
//! others do. What has to be done to get from one set to the next is the difference of two folds.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use topologies::experiment::ActionOf;
use topologies::id::{FaultId, InstanceId, ZoneId};
use topologies::network::Network;
use topologies::plan::Plan;
use topologies::runtime::Affliction;
use topologies::time::Time;

use crate::fault::{Fault, ZoneLoss};

/// A fault in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveFault {
    /// Its identifier.
    pub id: FaultId,
    /// The fault, resolved.
    pub fault: Fault,
    /// When it was injected.
    pub since: Time,
    /// The experiment's action that it is part of; none if somebody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ActionOf>,
}

/// The faults in force, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    active: Vec<ActiveFault>,
    issued: u32,
}

/// The state of hosts and of the network that a set of faults causes. Hosts that refuse connections because their process
/// ended are not in it: that follows from the processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// What lasts, on hosts.
    pub afflictions: BTreeSet<Affliction>,
    /// What lasts, on the network; `closed` is empty.
    pub network: Network,
}

/// What has to be done, first the network and then, in this order, on hosts.
///
/// The network goes first so that a zone without power is silent before its processes end: a reset that a dying process
/// sends would tell clients what a dead host can not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The network's state from now on; `closed` is empty.
    pub network: Network,
    /// For `Runtime::relieve`.
    pub relieve: Vec<Affliction>,
    /// For `Runtime::afflict`.
    pub afflict: Vec<Affliction>,
}

/// Why a fault was not injected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InjectError {
    /// The very same fault is in force.
    #[error("fault `{id}` does that already: {fault}")]
    AlreadyInForce {
        /// The fault in force.
        id: FaultId,
        /// What it is.
        fault: Fault,
    },
    /// The instance has no process that could be harmed.
    #[error("instance `{instance}` is down already")]
    AlreadyDown {
        /// The instance.
        instance: InstanceId,
    },
    /// The instance's zone has no power.
    #[error("instance `{instance}` is down already: zone `{zone}` has no power")]
    NoPower {
        /// The instance.
        instance: InstanceId,
        /// Its zone.
        zone: ZoneId,
    },
}

/// Why a fault was not healed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HealError {
    /// It was in force once.
    #[error("fault `{id}` is over already")]
    AlreadyOver {
        /// As asked for.
        id: FaultId,
    },
    /// There never was such a fault.
    #[error("fault `{id}` does not exist{}", in_force(active))]
    Unknown {
        /// As asked for.
        id: FaultId,
        /// Those in force.
        active: Vec<FaultId>,
    },
}

fn in_force(active: &[FaultId]) -> String {
    if active.is_empty() {
        return "; no fault is in force".to_owned();
    }
    let ids: Vec<&str> = active.iter().map(FaultId::as_str).collect();
    format!("; in force: {}", ids.join(", "))
}

impl Faults {
    /// Those in force, oldest first.
    pub fn active(&self) -> &[ActiveFault] {
        &self.active
    }

    /// Those that are about calls of the AWS API.
    pub fn of_calls(&self) -> Vec<ActiveFault> {
        let active = self.active.iter();
        let own = active.filter(|active| active.fault.calls().is_some());
        own.cloned().collect()
    }

    /// The fault in force that ends with this instance's process: what is started in its place is not frozen.
    pub fn ending_with(&self, instance: &InstanceId) -> Option<&FaultId> {
        let frozen = |active: &&ActiveFault| matches!(&active.fault, Fault::Freeze { instance: frozen } if frozen == instance);
        self.active.iter().find(frozen).map(|active| &active.id)
    }

    /// Takes up a fault that [`Fault::resolve`] made, and says what has to be done. `down` are the instances whose process does
    /// not run. A kill gets an identifier too, but is over at once.
    pub fn inject(
        &mut self,
        fault: Fault,
        now: Time,
        plan: &Plan,
        down: &BTreeSet<InstanceId>,
    ) -> Result<(FaultId, Change), InjectError> {
        self.inject_for(None, fault, now, plan, down)
    }

    /// The same for an action of an experiment, which ends it.
    pub fn inject_for(
        &mut self,
        by: Option<ActionOf>,
        fault: Fault,
        now: Time,
        plan: &Plan,
        down: &BTreeSet<InstanceId>,
    ) -> Result<(FaultId, Change), InjectError> {
        self.check(&fault, plan, down)?;
        let before = self.conditions(plan);
        self.issued += 1;
        let id = FaultId::from(format!("f{}", self.issued));
        let strike = fault.affliction().filter(|_| !fault.lasting());
        if fault.lasting() {
            self.active.push(ActiveFault {
                id: id.clone(),
                fault,
                since: now,
                by,
            });
        }
        let mut change = self.conditions(plan).after(&before);
        change.afflict.extend(strike);
        Ok((id, change))
    }

    /// Ends a fault, and says what has to be done.
    pub fn heal(&mut self, id: &FaultId, plan: &Plan) -> Result<(ActiveFault, Change), HealError> {
        let Some(index) = self.active.iter().position(|active| active.id == *id) else {
            return Err(self.not_in_force(id));
        };
        let before = self.conditions(plan);
        let healed = self.active.remove(index);
        Ok((healed, self.conditions(plan).after(&before)))
    }

    /// Ends every fault; none in force is no error.
    pub fn heal_all(&mut self, plan: &Plan) -> (Vec<ActiveFault>, Change) {
        let before = self.conditions(plan);
        let healed = self.end_all();
        (healed, self.conditions(plan).after(&before))
    }

    /// Ends every fault of a stack that has no hosts any more.
    pub fn end_all(&mut self) -> Vec<ActiveFault> {
        std::mem::take(&mut self.active)
    }

    /// Takes back a [`Self::heal`] that could not be brought about; says what the network is like with it.
    pub fn reenter(&mut self, fault: ActiveFault, plan: &Plan) -> Conditions {
        let older = |active: &ActiveFault| active.since <= fault.since;
        let place = self.active.partition_point(older);
        self.active.insert(place, fault);
        self.conditions(plan)
    }

    /// The physical conditions that the faults in force cause.
    pub fn conditions(&self, plan: &Plan) -> Conditions {
        let mut conditions = Conditions::default();
        for active in &self.active {
            conditions.afflictions.extend(active.fault.affliction());
            active.fault.impair(&mut conditions.network, plan);
        }
        conditions
    }

    /// Whether a fault could be taken up: whether it is not in force already, and its target is there to be harmed.
    pub fn check(
        &self,
        fault: &Fault,
        plan: &Plan,
        down: &BTreeSet<InstanceId>,
    ) -> Result<(), InjectError> {
        if let Some(same) = self.active.iter().find(|active| active.fault == *fault) {
            return Err(InjectError::AlreadyInForce {
                id: same.id.clone(),
                fault: fault.clone(),
            });
        }
        match fault {
            Fault::Kill { instance } | Fault::Freeze { instance } => {
                self.check_alive(instance, plan, down)
            }
            // To keep a dead instance from starting again makes sense.
            Fault::Stop { .. }
            | Fault::KillAz { .. }
            | Fault::Partition { .. }
            | Fault::Slow { .. }
            | Fault::ThrottleApi { .. }
            | Fault::SlowApi { .. }
            | Fault::FailApi { .. } => Ok(()),
        }
    }

    fn check_alive(
        &self,
        instance: &InstanceId,
        plan: &Plan,
        down: &BTreeSet<InstanceId>,
    ) -> Result<(), InjectError> {
        let zone = plan.instance(instance).map(|instance| &instance.zone);
        let dark = |active: &&ActiveFault| matches!(&active.fault, Fault::KillAz { zone: dark, mode: ZoneLoss::Power } if Some(dark) == zone);
        if let (Some(zone), Some(_)) = (zone, self.active.iter().find(dark)) {
            return Err(InjectError::NoPower {
                instance: instance.clone(),
                zone: zone.clone(),
            });
        }
        let stopped = |active: &ActiveFault| matches!(&active.fault, Fault::Stop { instance: stopped } if stopped == instance);
        if down.contains(instance) || self.active.iter().any(stopped) {
            return Err(InjectError::AlreadyDown {
                instance: instance.clone(),
            });
        }
        Ok(())
    }

    fn not_in_force(&self, id: &FaultId) -> HealError {
        let number = id.as_str().strip_prefix('f').and_then(|n| n.parse().ok());
        if number.is_some_and(|number: u32| (1..=self.issued).contains(&number)) {
            return HealError::AlreadyOver { id: id.clone() };
        }
        HealError::Unknown {
            id: id.clone(),
            active: self.active.iter().map(|active| active.id.clone()).collect(),
        }
    }
}

impl Conditions {
    /// What has to be done to get here from `before`.
    pub fn after(&self, before: &Self) -> Change {
        let missing = |from: &BTreeSet<Affliction>, to: &BTreeSet<Affliction>| {
            from.difference(to).cloned().collect()
        };
        Change {
            network: self.network.clone(),
            relieve: missing(&before.afflictions, &self.afflictions),
            afflict: missing(&self.afflictions, &before.afflictions),
        }
    }
}

#[cfg(test)]
mod tests;
