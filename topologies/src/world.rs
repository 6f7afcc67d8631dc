//! The world: what the events so far add up to.
//!
//! `World::new(plan)` with every event of the timeline applied in order is the world; nothing else changes it. Status,
//! the API and the machines' decisions read it.

mod cache;
mod database;
pub mod health_check;
mod redundancy;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::edit::Edit;
use crate::event::{Event, EventKind, TargetHealth};
use crate::experiment::ActionOf;
use crate::id::{
    DbInstanceId, FaultId, HealthCheckId, InstanceId, LoadBalancerId, ReplicationGroupId,
    TargetGroupId, ZoneId,
};
use crate::plan::{InstanceKind, Plan, revise};
use crate::time::Time;

pub use cache::Cache;
pub use database::{Database, Replica, Standby};

/// The state of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct World {
    /// The last event applied; 0 before the first.
    pub seq: u64,
    /// What is planned: at first what the topology file says, then what edits have made of it.
    pub plan: Arc<Plan>,
    /// Whether every endpoint has answered once.
    pub phase: StackPhase,
    /// Instances.
    pub instances: BTreeMap<InstanceId, InstanceState>,
    /// DB instances that have a primary: all but read replicas.
    pub databases: BTreeMap<DbInstanceId, Database>,
    /// Read replicas.
    pub replicas: BTreeMap<DbInstanceId, Replica>,
    /// Replication groups.
    pub caches: BTreeMap<ReplicationGroupId, Cache>,
    /// Targets' health by target group, instance and the zone of the node that sees it.
    pub targets: BTreeMap<TargetGroupId, BTreeMap<InstanceId, BTreeMap<ZoneId, TargetView>>>,
    /// Whether a load balancer's nodes answer.
    pub nodes: BTreeMap<LoadBalancerId, BTreeMap<ZoneId, bool>>,
    /// Whether health checks are healthy.
    pub health_checks: BTreeMap<HealthCheckId, bool>,
    /// Faults in force, for the reader's eyes.
    pub faults: BTreeMap<FaultId, ActiveFault>,
    /// What the AWS API keeps beyond all that.
    pub account: Account,
}

/// How far the stack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StackPhase {
    /// It comes up with nothing running: not every endpoint has answered yet.
    Creating,
    /// Another control plane took over what the last one left running: not every endpoint has answered it yet.
    Resuming,
    /// Every endpoint has answered.
    Available,
    /// It is being taken down.
    Stopping,
}

/// What is known of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceState {
    /// What its host reported last.
    pub process: ProcessState,
    /// Whether it answers probes; none before the first answer or silence.
    pub reachable: Option<bool>,
    /// What was asked for, of an application instance.
    #[serde(default)]
    pub wanted: Wanted,
}

/// What was asked for of an application instance. With what its host reports it makes EC2's instance state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// That it runs.
    #[default]
    Running,
    /// That it does not run; its data stay.
    Stopped,
    /// That it goes, with its data.
    Terminated,
}

/// What an instance's host reported last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessState {
    /// Nothing yet.
    Pending,
    /// Its process runs.
    Running {
        /// Process id or container.
        handle: String,
    },
    /// Its process ended.
    Exited {
        /// How.
        how: String,
    },
}

/// How a load balancer node sees a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetView {
    /// The state.
    pub state: TargetHealth,
    /// AWS's reason code; empty when healthy.
    pub reason: String,
    /// AWS's description of it; empty when healthy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// A fault in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveFault {
    /// Its kind.
    pub kind: String,
    /// Its target.
    pub target: String,
    /// Since when.
    pub since: Time,
    /// The experiment's action that it is part of; none if somebody asked for it.
    #[serde(default)]
    pub by: Option<ActionOf>,
}

impl World {
    /// The world before the first event: what the plan says, nothing of it seen.
    pub fn new(plan: &Plan) -> Self {
        let topology = &plan.topology;
        let pending = InstanceState {
            process: ProcessState::Pending,
            reachable: None,
            wanted: Wanted::Running,
        };
        let host = |db: &DbInstanceId, n: usize| plan.db_hosts(db).nth(n).map(|i| i.id.clone());
        let databases = topology.db_instances.iter().filter_map(|db| {
            let database = Database::new(host(&db.id, 0)?, host(&db.id, 1));
            Some((db.id.clone(), database))
        });
        let replicas = topology.db_instances.iter().flat_map(|db| {
            db.read_replicas.iter().filter_map(move |replica| {
                let state = Replica::new(host(&replica.id, 0)?, db.id.clone());
                Some((replica.id.clone(), state))
            })
        });
        let caches = topology.replication_groups.iter().filter_map(|group| {
            let mut nodes = plan.cache_nodes(&group.id).map(|i| i.id.clone());
            let cache = Cache::new(nodes.next()?, nodes);
            Some((group.id.clone(), cache))
        });
        Self {
            plan: Arc::new(plan.clone()),
            seq: 0,
            phase: StackPhase::Creating,
            instances: plan
                .instances
                .iter()
                .map(|i| (i.id.clone(), pending.clone()))
                .collect(),
            databases: databases.collect(),
            replicas: replicas.collect(),
            caches: caches.collect(),
            targets: BTreeMap::new(),
            nodes: BTreeMap::new(),
            health_checks: BTreeMap::new(),
            faults: BTreeMap::new(),
            account: Account::default(),
        }
    }

    /// The world after `event`.
    #[expect(clippy::too_many_lines, reason = "a flat match, one arm per event")]
    pub fn apply(&mut self, event: &Event) {
        self.seq = event.seq;
        match &event.event {
            EventKind::TimelineStarted { .. }
            | EventKind::ActionFailed { .. }
            | EventKind::DrillStarted { .. }
            | EventKind::DrillEnded { .. } => {}
            EventKind::TopologyEdited { edits, .. } => self.edited(edits),
            EventKind::ResourceRecorded { .. }
            | EventKind::ResourceForgotten { .. }
            | EventKind::TagsChanged { .. }
            | EventKind::RdsEvent { .. }
            | EventKind::ElasticacheEvent { .. }
            | EventKind::ExperimentStarted { .. }
            | EventKind::ExperimentStatusChanged { .. }
            | EventKind::ExperimentActionStatusChanged { .. }
            | EventKind::ZonalShiftStarted { .. }
            | EventKind::ZonalShiftUpdated { .. }
            | EventKind::ZonalShiftEnded { .. }
            | EventKind::NetworkAclChanged { .. }
            | EventKind::NetworkAclAssociated { .. }
            | EventKind::SecurityGroupChanged { .. }
            | EventKind::SecurityGroupsGiven { .. }
            | EventKind::AlarmStateChanged { .. } => self.account.apply(event),
            EventKind::ControlResumed => self.resumed(),
            EventKind::StackAvailable => self.phase = StackPhase::Available,
            EventKind::StackStopping => self.phase = StackPhase::Stopping,
            EventKind::InstanceRunning { instance, handle } => {
                self.process(
                    instance,
                    ProcessState::Running {
                        handle: handle.clone(),
                    },
                );
            }
            EventKind::InstanceExited { instance, how } => {
                self.process(instance, ProcessState::Exited { how: how.clone() });
            }
            EventKind::InstanceWanted { instance, wanted } => {
                if let Some(state) = self.instances.get_mut(instance) {
                    state.wanted = *wanted;
                }
            }
            EventKind::HostReachable { instance } => self.reachable(instance, true),
            EventKind::HostUnreachable { instance, .. } | EventKind::HostHangs { instance } => {
                self.reachable(instance, false);
            }
            EventKind::FaultInjected {
                fault,
                fault_kind,
                target,
                by,
                ..
            } => {
                let active = ActiveFault {
                    kind: fault_kind.clone(),
                    target: target.clone(),
                    since: event.at,
                    by: by.clone(),
                };
                self.faults.insert(fault.clone(), active);
            }
            EventKind::FaultHealed { fault } => {
                self.faults.remove(fault);
            }
            EventKind::LoadBalancerNodeChanged {
                load_balancer,
                zone,
                alive,
            } => {
                self.nodes
                    .entry(load_balancer.clone())
                    .or_default()
                    .insert(zone.clone(), *alive);
            }
            EventKind::HealthCheckStatusChanged {
                health_check,
                healthy,
                ..
            } => {
                self.health_checks.insert(health_check.clone(), *healthy);
            }
            EventKind::TargetHealthChanged {
                target_group,
                instance,
                node,
                state,
                reason,
                description,
            } => {
                let targets = self.targets.entry(target_group.clone()).or_default();
                let view = TargetView {
                    state: *state,
                    reason: reason.clone(),
                    description: description.clone(),
                };
                targets
                    .entry(instance.clone())
                    .or_default()
                    .insert(node.clone(), view);
            }
            database @ (EventKind::DbInstanceStatusChanged { .. }
            | EventKind::DbInstanceRequested { .. }
            | EventKind::StandbyInSync { .. }
            | EventKind::StandbyOutOfSync { .. }
            | EventKind::FailoverStarted { .. }
            | EventKind::FailoverAbandoned { .. }
            | EventKind::WriterPromoted { .. }
            | EventKind::StandbyJoined { .. }
            | EventKind::ReplicationStatusChanged { .. }) => self.apply_to_database(database),
            cache @ (EventKind::ReplicationGroupStatusChanged { .. }
            | EventKind::CacheFailoverRequested { .. }
            | EventKind::CacheFailoverStarted { .. }
            | EventKind::CachePrimaryPromoted { .. }
            | EventKind::CacheReplicaLinkChanged { .. }
            | EventKind::CacheNodeRecoveryChanged { .. }
            | EventKind::CacheNodeRebootChanged { .. }
            | EventKind::CacheNodeLeaving { .. }
            | EventKind::CacheNodeJoined { .. }) => self.apply_to_cache(cache),
        }
    }

    /// The role of an instance in the words of `status`: primary, standby, replica or target.
    pub fn role(&self, plan: &Plan, instance: &InstanceId) -> &'static str {
        match plan.instance(instance).map(|i| &i.kind) {
            Some(InstanceKind::DbHost(db)) => match self.databases.get(db) {
                Some(database) if database.primary == *instance => "primary",
                Some(_) => "standby",
                None => "replica",
            },
            Some(InstanceKind::CacheNode(group)) => match self.caches.get(group) {
                Some(cache) if cache.primary == *instance => "primary",
                _ => "replica",
            },
            Some(InstanceKind::App(_)) => "target",
            None => "node",
        }
    }

    /// Whether the control plane has closed the instance's network interface.
    pub fn fenced(&self, instance: &InstanceId) -> bool {
        self.databases
            .values()
            .any(|db| db.fenced.contains(instance))
            || self
                .caches
                .values()
                .any(|cache| cache.fenced.contains(instance))
    }

    /// Nobody has looked since the last control plane went: what ran or answered then has to be seen anew. What was dead stays
    /// so until it is seen. Roles, statuses and fences are decisions, not sightings: they hold on.
    fn resumed(&mut self) {
        self.phase = match self.phase {
            // A stack that was taken down comes up as a new one does.
            StackPhase::Creating | StackPhase::Stopping => StackPhase::Creating,
            StackPhase::Available | StackPhase::Resuming => StackPhase::Resuming,
        };
        for instance in self.instances.values_mut() {
            if let ProcessState::Running { .. } = instance.process {
                instance.process = ProcessState::Pending;
            }
            instance.reachable = instance.reachable.filter(|reachable| !reachable);
        }
        self.targets.clear();
        self.nodes.clear();
        self.health_checks.clear();
    }

    /// What is new begins as everything does when a stack is made; what is gone is forgotten; what stays is as it was.
    fn edited(&mut self, edits: &[Edit]) {
        let plan = revise(&self.plan, &self.plan.topology.edited(edits));
        let fresh = Self::new(&plan);
        adopt(&mut self.instances, fresh.instances);
        let promoted = fresh.databases.into_iter().map(|(id, mut database)| {
            // A read replica that is a DB instance of its own from here on is in the middle of what was asked of it.
            if let Some(replica) = self.replicas.get(&id) {
                (database.status, database.requested) = (replica.status, replica.requested);
            }
            (id, database)
        });
        adopt(&mut self.databases, promoted.collect());
        for (id, database) in &mut self.databases {
            database.revise(plan.db_hosts(id).map(|host| &host.id));
        }
        adopt(&mut self.replicas, fresh.replicas);
        adopt(&mut self.caches, fresh.caches);
        for cache in self.caches.iter_mut() {
            cache
                .1
                .revise(plan.cache_nodes(cache.0).map(|node| &node.id));
        }
        let topology = &plan.topology;
        self.targets.retain(|id, targets| {
            let group = topology.target_groups.iter().find(|it| it.id == *id);
            targets.retain(|target, _| group.is_some_and(|it| it.targets.contains(target)));
            group.is_some()
        });
        let balancer = |id: &LoadBalancerId| topology.load_balancers.iter().find(|it| it.id == *id);
        self.nodes.retain(|id, nodes| {
            nodes.retain(|zone, _| balancer(id).is_some_and(|it| it.zones.contains(zone)));
            balancer(id).is_some()
        });
        let asked = |id: &HealthCheckId| topology.health_checks.iter().any(|it| it.id == *id);
        self.health_checks.retain(|id, _| asked(id));
        self.account.zonal_shifts.follow(topology);
        self.account.security_groups.follow(topology);
        self.plan = fresh.plan;
    }

    fn process(&mut self, instance: &InstanceId, process: ProcessState) {
        if let Some(state) = self.instances.get_mut(instance) {
            state.process = process;
        }
    }

    fn reachable(&mut self, instance: &InstanceId, reachable: bool) {
        if let Some(state) = self.instances.get_mut(instance) {
            state.reachable = Some(reachable);
        }
    }
}

/// Keeps of `known` what is in `fresh`, and takes what it did not have.
fn adopt<K: Ord + Clone, V>(known: &mut BTreeMap<K, V>, fresh: BTreeMap<K, V>) {
    known.retain(|key, _| fresh.contains_key(key));
    for (key, value) in fresh {
        known.entry(key).or_insert(value);
    }
}
