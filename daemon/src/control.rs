//! The control plane: pure machines that decide, and the fold of what they decided.
//!
//! [`Control`] takes stimuli in ([`Control::handle`]) and gives events ([`Control::poll_event`]) and orders
//! ([`Control::poll_action`]) out. It has no clock, no socket and no randomness but a seed: the driver runs it against the
//! real world, the simulator against a virtual one. It learns of a fault as AWS would, by a process exit, a silent probe or a
//! broken stream; nobody tells it.

pub mod action;
mod apart;
pub mod apps;
pub mod bugs;
pub mod cache;
pub mod database;
pub mod desk;
mod host;
mod hung;
pub mod liveness;
pub mod probe;
pub(crate) mod rds_event;
pub(crate) mod readiness;
pub mod removal;
pub mod replica;
pub mod shifts;
pub mod targets;

use std::collections::VecDeque;
use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use topologies::event::{Event, EventKind};
use topologies::plan::{InstanceKind, Plan};
use topologies::runtime::{InstanceStatus, Observation};
use topologies::time::Time;
use topologies::world::{StackPhase, World};

use action::{Action, Outcome, Ticket};
use apps::AppsMachine;
use bugs::Bug;
use cache::CacheMachine;
use database::DatabaseMachine;
use desk::Trays;
use probe::Probe;
use removal::RemovalMachine;
use replica::ReplicaMachine;
use targets::TargetsMachine;

/// Something that the control plane takes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stimulus {
    /// A runtime reported an instance's state.
    Observation(Observation),
    /// A probe that was sent at this moment came back.
    Probe(Time, Probe),
    /// An order ended.
    Outcome(Ticket, Outcome),
    /// Something that is no business of the machines, to be recorded: a fault, a drill.
    Note(EventKind),
    /// A deadline passed.
    Tick,
}

/// The control plane of one stack.
pub struct Control {
    trays: Trays,
    databases: Vec<DatabaseMachine>,
    replicas: Vec<ReplicaMachine>,
    caches: Vec<CacheMachine>,
    apps: AppsMachine,
    targets: TargetsMachine,
    removal: RemovalMachine,
    /// When it last decided: a deadline that had passed by then has been seen to.
    decided: Time,
}

impl Control {
    /// The control plane of a stack whose timeline so far is `world`: [`World::new`] for a new stack, the fold of its timeline for
    /// one that is resumed. `seed` draws durations of the timing profile.
    pub fn new(world: World, seed: u64) -> Self {
        let plan = Arc::clone(&world.plan);
        let mut control = Self {
            databases: Vec::new(),
            replicas: Vec::new(),
            caches: Vec::new(),
            apps: AppsMachine::default(),
            targets: TargetsMachine::default(),
            removal: RemovalMachine::default(),
            decided: Time::ZERO,
            trays: Trays {
                world,
                events: VecDeque::new(),
                actions: VecDeque::new(),
                next_ticket: 0,
                rng: ChaCha8Rng::seed_from_u64(seed),
                bug: None,
            },
        };
        control.follow(&plan);
        control
    }

    /// Has one machine for each thing that is planned: machines of what is new know nothing, those of what is gone go.
    fn follow(&mut self, plan: &Plan) {
        let topology = &plan.topology;
        let threshold = topology.timing.probe_threshold;
        self.databases.retain(|machine| {
            topology
                .db_instances
                .iter()
                .any(|db| db.id == *machine.id())
        });
        for db in &topology.db_instances {
            let hosts = db.hosts.iter().map(|host| host.id.clone());
            match self.databases.iter_mut().find(|it| *it.id() == db.id) {
                Some(machine) => machine.follow(hosts, threshold),
                None => self
                    .databases
                    .push(DatabaseMachine::new(db.id.clone(), hosts, threshold)),
            }
        }
        let replicas = topology.db_instances.iter().flat_map(|db| {
            let own = db.read_replicas.iter().map(|replica| &replica.id);
            own.filter_map(|id| Some((id, &db.id, &plan.db_hosts(id).next()?.id)))
        });
        let replicas: Vec<_> = replicas.collect();
        self.replicas.retain(|machine| {
            let mut planned = replicas.iter();
            planned.any(|(id, of, _)| machine.replicates(id, of))
        });
        for (id, of, host) in replicas {
            if !self.replicas.iter().any(|it| it.replicates(id, of)) {
                let machine = ReplicaMachine::new(id.clone(), of.clone(), host.clone(), threshold);
                self.replicas.push(machine);
            }
        }
        let groups = &topology.replication_groups;
        self.caches
            .retain(|machine| groups.iter().any(|group| group.id == *machine.id()));
        for group in groups {
            let nodes = plan.cache_nodes(&group.id).map(|node| node.id.clone());
            match self.caches.iter_mut().find(|it| *it.id() == group.id) {
                Some(machine) => machine.follow(nodes, group.automatic_failover, threshold),
                None => self.caches.push(CacheMachine::new(
                    group.id.clone(),
                    nodes,
                    group.automatic_failover,
                    threshold,
                )),
            }
        }
        let apps = plan.instances.iter();
        let apps = apps.filter(|it| matches!(it.kind, InstanceKind::App(_)));
        self.apps.follow(apps.map(|it| it.id.clone()));
        self.targets.follow(topology);
    }

    /// The same with a deliberate fault in it, for the simulator's tests of itself.
    #[must_use]
    pub fn with_planted_bug(mut self, bug: Bug) -> Self {
        self.trays.bug = Some(bug);
        self
    }

    /// The world as the events so far make it.
    pub fn world(&self) -> &World {
        &self.trays.world
    }

    /// Takes a stimulus in and decides.
    pub fn handle(&mut self, stimulus: Stimulus, now: Time) {
        let mut plan = Arc::clone(&self.trays.world.plan);
        match stimulus {
            Stimulus::Observation(observation) => self.observe(&plan, &observation, now),
            Stimulus::Probe(sent, probe) => self.probed(&plan, sent, &probe, now),
            Stimulus::Outcome(ticket, outcome) => self.settled(&plan, ticket, &outcome, now),
            Stimulus::Note(kind) => self.trays.desk(&plan, now).emit(kind),
            Stimulus::Tick => {}
        }
        self.decide(&plan, now);
        // What was decided, or taken in, may have changed the plan: then it is decided on that.
        while !Arc::ptr_eq(&plan, &self.trays.world.plan) {
            plan = Arc::clone(&self.trays.world.plan);
            self.follow(&plan);
            self.decide(&plan, now);
        }
        self.decided = now;
    }

    /// The next order to perform.
    pub fn poll_action(&mut self) -> Option<(Ticket, Action)> {
        self.trays.actions.pop_front()
    }

    /// The next event to record.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.trays.events.pop_front()
    }

    /// When [`Stimulus::Tick`] is due, and why.
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        let databases = self.databases.iter().filter_map(DatabaseMachine::deadline);
        let replicas = self.replicas.iter().filter_map(ReplicaMachine::deadline);
        let caches = self.caches.iter().filter_map(CacheMachine::deadline);
        let all = databases
            .chain(replicas)
            .chain(caches)
            .chain(self.removal.deadline())
            .chain(shifts::deadline(self.world()))
            .chain(self.apps.deadline(self.decided));
        // An order that failed and is no longer wanted leaves its pause behind; it must not wake anybody for ever.
        all.filter(|(at, _)| *at > self.decided).min()
    }

    fn decide(&mut self, plan: &Plan, now: Time) {
        if self.trays.world.phase == StackPhase::Stopping {
            return;
        }
        let desk = &mut self.trays.desk(plan, now);
        for database in &mut self.databases {
            database.decide(desk);
        }
        for replica in &mut self.replicas {
            replica.decide(desk);
        }
        for cache in &mut self.caches {
            cache.decide(desk);
        }
        self.apps.decide(desk);
        self.removal.decide(desk);
        shifts::decide(desk);
        if readiness::available(desk.world()) && self.apps.all_run(desk) {
            desk.emit(EventKind::StackAvailable);
        }
    }

    fn observe(&mut self, plan: &Plan, observation: &Observation, now: Time) {
        let Observation { instance, status } = observation;
        let desk = &mut self.trays.desk(plan, now);
        match status {
            InstanceStatus::Running { handle } => {
                desk.emit(EventKind::InstanceRunning {
                    instance: instance.clone(),
                    handle: handle.clone(),
                });
            }
            InstanceStatus::Exited { how } => {
                desk.emit(EventKind::InstanceExited {
                    instance: instance.clone(),
                    how: how.clone(),
                });
            }
            InstanceStatus::Absent => {}
        }
        for database in &mut self.databases {
            database.handle_observation(desk, instance, status);
        }
        for replica in self
            .replicas
            .iter_mut()
            .filter(|replica| replica.owns(instance))
        {
            replica.handle_observation(desk, status);
        }
        for cache in &mut self.caches {
            cache.handle_observation(desk, instance, status);
        }
        self.apps.handle_observation(instance, status, now);
    }

    fn probed(&mut self, plan: &Plan, sent: Time, probe: &Probe, now: Time) {
        let desk = &mut self.trays.desk(plan, now);
        match probe {
            Probe::Database(instance, probe) => {
                for database in &mut self.databases {
                    database.handle_probe(desk, instance, sent, probe);
                }
                for replica in self
                    .replicas
                    .iter_mut()
                    .filter(|replica| replica.owns(instance))
                {
                    replica.handle_probe(desk, sent, probe);
                }
                for replica in &mut self.replicas {
                    replica.handle_source(desk, instance, probe);
                }
            }
            Probe::Cache(instance, probe) => {
                for cache in &mut self.caches {
                    cache.handle_probe(desk, instance, sent, probe);
                }
            }
            Probe::Target {
                target_group,
                instance,
                node,
                check,
            } => {
                self.targets
                    .handle_target(desk, (target_group, instance, node), check);
            }
            Probe::Node {
                load_balancer,
                zone,
                check,
            } => self.targets.handle_node(desk, load_balancer, zone, check),
            Probe::HealthCheck(id, check) => self.targets.handle_health_check(desk, id, check),
        }
    }

    fn settled(&mut self, plan: &Plan, ticket: Ticket, outcome: &Outcome, now: Time) {
        let desk = &mut self.trays.desk(plan, now);
        for database in &mut self.databases {
            database.handle_outcome(desk, ticket, outcome);
        }
        for replica in &mut self.replicas {
            replica.handle_outcome(desk, ticket, outcome);
        }
        for cache in &mut self.caches {
            cache.handle_outcome(desk, ticket, outcome);
        }
        self.apps.handle_outcome(desk, ticket, outcome);
        self.removal.handle_outcome(desk, ticket, outcome);
    }
}
