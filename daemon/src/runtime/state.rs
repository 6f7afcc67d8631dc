//! What the runtime knows of its instances, tools and faults. Data behind one lock that is never held across a wait; what
//! is decided under it is who may start, who is told of a change, and who is hit by a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use futures_util::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use topologies::affliction::Afflictions;
use topologies::id::{InstanceId, ZoneId};
use topologies::runtime::{InstancePlan, InstanceStatus, Observation, RuntimeError};

use super::processes::Body;
use super::watch::{Audience, Watchers};

/// A process that has been started, and the way to learn that nothing of it is left.
#[derive(Clone, Debug)]
pub(super) struct Life {
    /// How its processes are found.
    pub(super) body: Body,
    /// Cancelled when all of them are gone and that was recorded.
    pub(super) gone: CancellationToken,
}

/// An instance that exists.
#[derive(Debug)]
struct Instance {
    plan: InstancePlan,
    status: InstanceStatus,
    life: Option<Life>,
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct State {
    instances: BTreeMap<InstanceId, Instance>,
    tools: BTreeMap<String, (Option<ZoneId>, Life)>,
    afflictions: Afflictions,
    clearing: bool,
    watchers: Watchers,
}

impl State {
    /// Puts in what an earlier daemon left, before anyone watches.
    pub(super) fn adopt(&mut self, plan: InstancePlan, status: InstanceStatus, life: Option<Life>) {
        let instance = Instance { plan, status, life };
        self.instances.insert(instance.plan.id.clone(), instance);
    }

    /// Where instances keep their files.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        let instances = self.instances.values();
        instances.map(|it| it.plan.directory.clone()).collect()
    }

    /// Whether orders reach `instance`; those for one that does not exist do.
    pub(super) fn check_order(&self, instance: &InstanceId) -> Result<(), RuntimeError> {
        match self.instances.get(instance) {
            Some(entry) => self.afflictions.may_order(&entry.plan.zone),
            None => Ok(()),
        }
    }

    /// Whether `instance` may be started in `zone`.
    pub(super) fn check_start(
        &self,
        instance: &InstanceId,
        zone: &ZoneId,
    ) -> Result<(), RuntimeError> {
        self.afflictions.may_start(instance, zone)?;
        self.check_open(&format!("start instance {instance}"))
    }

    /// Whether an instance that is found running may go on: what isolation hides does.
    pub(super) fn check_adoption(&self, instance: &InstanceId, zone: &ZoneId) -> bool {
        !self.afflictions.dark(zone) && !self.afflictions.holds(instance)
    }

    /// Whether the stack is not about to be cleared.
    pub(super) fn check_open(&self, action: &str) -> Result<(), RuntimeError> {
        if self.clearing {
            return Err(RuntimeError::Failed {
                action: action.to_owned(),
                cause: "the stack is being removed".to_owned(),
            });
        }
        Ok(())
    }

    /// Enters an instance that is about to be started, so that faults find it from now on.
    pub(super) fn enter(&mut self, plan: &InstancePlan, life: Life) -> Result<(), RuntimeError> {
        self.check_start(&plan.id, &plan.zone)?;
        let status = match self.instances.remove(&plan.id) {
            Some(former) => former.status,
            None => InstanceStatus::Absent,
        };
        self.adopt(plan.clone(), status, Some(life));
        Ok(())
    }

    /// Takes back [`State::enter`] of an instance that could not be started.
    pub(super) fn withdraw(&mut self, instance: &InstanceId) {
        if let Some(entry) = self.instances.get_mut(instance) {
            entry.life = None;
            if entry.status == InstanceStatus::Absent {
                self.instances.remove(instance);
            }
        }
    }

    /// Enters a tool that is about to be started.
    pub(super) fn enter_tool(
        &mut self,
        name: &str,
        zone: Option<&ZoneId>,
        life: Life,
    ) -> Result<(), RuntimeError> {
        self.check_open("start a tool")?;
        if let Some(zone) = zone {
            self.afflictions.may_order(zone)?;
        }
        self.tools.insert(name.to_owned(), (zone.cloned(), life));
        Ok(())
    }

    /// Takes out a tool that has ended.
    pub(super) fn leave_tool(&mut self, name: &str) {
        self.tools.remove(name);
    }

    /// Sets an instance's status and tells who may know.
    pub(super) fn observe(&mut self, instance: &InstanceId, status: InstanceStatus) {
        let Some(entry) = self.instances.get_mut(instance) else {
            return;
        };
        entry.status = status;
        let zone = entry.plan.zone.clone();
        let observation = Observation {
            instance: instance.clone(),
            status: entry.status.clone(),
        };
        self.watchers.tell(Audience::Network, &observation);
        if self.afflictions.reports(&zone) {
            self.watchers.tell(Audience::Control, &observation);
        }
    }

    /// Forgets the process of an instance, if it is the one of `life`.
    pub(super) fn end_life(&mut self, instance: &InstanceId, life: &Life) {
        if let Some(entry) = self.instances.get_mut(instance)
            && entry
                .life
                .as_ref()
                .is_some_and(|present| present.body.leader == life.body.leader)
        {
            entry.life = None;
        }
    }

    /// The plan and the process of an instance.
    pub(super) fn life_of(&self, instance: &InstanceId) -> Option<(&InstancePlan, &Life)> {
        let entry = self.instances.get(instance)?;
        Some((&entry.plan, entry.life.as_ref()?))
    }

    /// Whether an instance's process runs, so far as is known.
    pub(super) fn runs(&self, instance: &InstanceId) -> bool {
        self.instances.get(instance).is_some_and(|entry| {
            matches!(entry.status, InstanceStatus::Running { .. }) && entry.life.is_some()
        })
    }

    /// The directory of an instance that exists.
    pub(super) fn directory_of(&self, instance: &InstanceId) -> Option<PathBuf> {
        Some(self.instances.get(instance)?.plan.directory.clone())
    }

    /// Everything that runs in `zone`, or anywhere.
    pub(super) fn lives_in(&self, zone: Option<&ZoneId>) -> Vec<Life> {
        let instances = self
            .instances
            .values()
            .filter(|entry| zone.is_none_or(|zone| entry.plan.zone == *zone))
            .filter_map(|entry| entry.life.clone());
        let tools = self
            .tools
            .values()
            .filter(|(place, _)| zone.is_none() || place.as_ref() == zone)
            .map(|(_, life)| life.clone());
        instances.chain(tools).collect()
    }

    /// The present state of every instance.
    pub(super) fn observations(&self) -> Vec<Observation> {
        self.observations_of(|_| true)
    }

    /// The present first, then every change: both taken under the lock that the caller holds.
    pub(super) fn subscribe(
        &mut self,
        audience: Audience,
        closing: CancellationToken,
    ) -> BoxStream<'static, Observation> {
        let present = match audience {
            Audience::Control => self.observations_of(|zone| self.afflictions.reports(zone)),
            Audience::Network => self.observations(),
        };
        self.watchers.subscribe(audience, present, closing)
    }

    /// The faults that last.
    pub(super) fn afflictions(&self) -> &Afflictions {
        &self.afflictions
    }

    /// Replaces the faults that last. Of a zone that reports again, the present state is told.
    pub(super) fn set_afflictions(&mut self, afflictions: Afflictions) {
        let silent: BTreeSet<ZoneId> = self
            .instances
            .values()
            .map(|entry| entry.plan.zone.clone())
            .filter(|zone| !self.afflictions.reports(zone))
            .collect();
        self.afflictions = afflictions;
        let back =
            self.observations_of(|zone| silent.contains(zone) && self.afflictions.reports(zone));
        for observation in back {
            self.watchers.tell(Audience::Control, &observation);
        }
    }

    /// From now on nothing starts.
    pub(super) fn begin_clearing(&mut self) {
        self.clearing = true;
    }

    /// Removing it failed; what is left may be used.
    pub(super) fn stop_clearing(&mut self) {
        self.clearing = false;
    }

    /// Everything is gone; things may start again.
    pub(super) fn cleared(&mut self) {
        let instances: Vec<InstanceId> = self.instances.keys().cloned().collect();
        for instance in instances {
            self.observe(&instance, InstanceStatus::Absent);
        }
        self.instances.clear();
        self.tools.clear();
        self.afflictions = Afflictions::default();
        self.clearing = false;
    }

    fn observations_of(&self, zones: impl Fn(&ZoneId) -> bool) -> Vec<Observation> {
        self.instances
            .values()
            .filter(|entry| entry.status != InstanceStatus::Absent && zones(&entry.plan.zone))
            .map(|entry| Observation {
                instance: entry.plan.id.clone(),
                status: entry.status.clone(),
            })
            .collect()
    }
}
