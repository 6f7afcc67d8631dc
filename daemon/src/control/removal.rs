//! What is being deleted: its hosts are ended one by one, with their data, and when the last one is gone it leaves the plan.
//!
//! ```text
//!  deleting ──order to remove each host──► all gone ──► event, out of the topology
//! ```
//! One machine for everything that can be deleted: whoever keeps a thing alive lets go of it when its status says so.

use std::collections::{BTreeMap, BTreeSet};

use topologies::edit::Edit;
use topologies::event::{DbInstanceStatus, EventKind, ReplicationGroupStatus};
use topologies::id::InstanceId;
use topologies::plan::{InstanceKind, Plan};
use topologies::time::Time;
use topologies::topology::{DbInstance, Service};
use topologies::world::{Wanted, World};

use super::action::{Action, Outcome, Ticket};
use super::desk::{Desk, Order};
use super::rds_event;

/// Decides on everything that is being deleted.
#[derive(Clone, Debug, Default)]
pub struct RemovalMachine {
    orders: BTreeMap<InstanceId, Order>,
    gone: BTreeSet<InstanceId>,
}

/// Something that is being deleted.
struct Departure {
    hosts: Vec<InstanceId>,
    by: &'static str,
    edits: Vec<Edit>,
    told: Option<EventKind>,
}

impl RemovalMachine {
    /// Takes in an order's outcome.
    pub fn handle_outcome(&mut self, desk: &mut Desk<'_>, ticket: Ticket, outcome: &Outcome) {
        for (instance, order) in &mut self.orders {
            if let Some((_, Outcome::Done)) = order.settle(desk, ticket, outcome) {
                self.gone.insert(instance.clone());
            }
        }
    }

    /// Decides.
    pub fn decide(&mut self, desk: &mut Desk<'_>) {
        let departures = departures(desk.world(), desk.plan);
        let leaving: BTreeSet<&InstanceId> = departures.iter().flat_map(|it| &it.hosts).collect();
        self.orders.retain(|id, _| leaving.contains(id));
        self.gone.retain(|id| leaving.contains(id));
        for departure in &departures {
            for host in &departure.hosts {
                let instance = host.clone();
                if !self.gone.contains(host) {
                    let order = self.orders.entry(host.clone()).or_default();
                    order.issue(desk, Action::Remove { instance });
                }
            }
        }
        // One at a time: an edit makes a plan, and the next is decided on that.
        let all_gone = |it: &Departure| it.hosts.iter().all(|host| self.gone.contains(host));
        if let Some(departure) = departures.into_iter().find(all_gone) {
            if let Some(told) = departure.told {
                desk.emit(told);
            }
            desk.emit(EventKind::TopologyEdited {
                by: departure.by.to_owned(),
                edits: departure.edits,
            });
        }
    }

    /// When to decide anew without a stimulus, and why.
    pub fn deadline(&self) -> Option<(Time, &'static str)> {
        let retries = self.orders.values().filter_map(Order::deadline);
        retries.min().map(|at| (at, "retry of a removal"))
    }
}

/// Whether an instance is on its way out: nobody is to start it again.
pub(super) fn leaves(world: &World, plan: &Plan, instance: &InstanceId) -> bool {
    match plan.instance(instance).map(|it| &it.kind) {
        Some(InstanceKind::DbHost(db)) => {
            let deleting = |status| status == DbInstanceStatus::Deleting;
            let database = |id| world.databases.get(id);
            let replica = world.replicas.get(db);
            // A read replica goes with what it is of.
            let source = replica.and_then(|it| database(&it.of));
            let source = source
                .or(database(db))
                .is_some_and(|it| deleting(it.status));
            source || replica.is_some_and(|it| deleting(it.status))
        }
        Some(InstanceKind::CacheNode(group)) => {
            let status = world.caches.get(group).map(|it| it.status);
            status == Some(ReplicationGroupStatus::Deleting)
        }
        Some(InstanceKind::App(_)) => {
            let state = world.instances.get(instance);
            state.is_some_and(|state| state.wanted == Wanted::Terminated)
        }
        None => true,
    }
}

fn departures(world: &World, plan: &Plan) -> Vec<Departure> {
    let topology = &plan.topology;
    let databases = topology.db_instances.iter().flat_map(|db| {
        let own = world.databases.get(&db.id).map(|it| it.status);
        let whole = (own == Some(DbInstanceStatus::Deleting)).then(|| database(db));
        let replicas = db.read_replicas.iter().filter(|replica| {
            let status = world.replicas.get(&replica.id).map(|it| it.status);
            own != Some(DbInstanceStatus::Deleting) && status == Some(DbInstanceStatus::Deleting)
        });
        let replicas = replicas.map(|it| read_replica(db, plan, &it.id));
        whole.into_iter().chain(replicas).collect::<Vec<_>>()
    });
    let caches = topology.replication_groups.iter().filter(|group| {
        let status = world.caches.get(&group.id).map(|it| it.status);
        status == Some(ReplicationGroupStatus::Deleting)
    });
    let caches = caches.map(|group| Departure {
        hosts: plan
            .cache_nodes(&group.id)
            .map(|it| it.id.clone())
            .collect(),
        by: "elasticache:DeleteReplicationGroup",
        edits: vec![Edit::RemoveReplicationGroup(group.id.clone())],
        told: None,
    });
    let terminated = |id: &InstanceId| {
        let state = world.instances.get(id);
        state.is_some_and(|state| state.wanted == Wanted::Terminated)
    };
    let instances = topology.services.iter().flat_map(|service| {
        let leaving = service.instances.iter().filter(|it| terminated(&it.id));
        leaving.map(|it| application(service, plan, &it.id))
    });
    databases.chain(caches).chain(instances).collect()
}

/// A DB instance goes with its read replicas: whoever wants to keep one promotes it before.
fn database(db: &DbInstance) -> Departure {
    let own = db.hosts.iter().map(|host| host.id.clone());
    let replicas = db.read_replicas.iter();
    let replicas = replicas.map(|replica| InstanceId::from(replica.id.as_str()));
    Departure {
        hosts: own.chain(replicas).collect(),
        by: "rds:DeleteDBInstance",
        edits: vec![Edit::RemoveDbInstance(db.id.clone())],
        told: Some(rds_event::of(&db.id, rds_event::DELETED)),
    }
}

fn read_replica(db: &DbInstance, plan: &Plan, id: &topologies::id::DbInstanceId) -> Departure {
    let mut without = db.clone();
    without.read_replicas.retain(|replica| replica.id != *id);
    Departure {
        hosts: plan.db_hosts(id).map(|host| host.id.clone()).collect(),
        by: "rds:DeleteDBInstance",
        edits: vec![Edit::PutDbInstance(Box::new(without))],
        told: Some(rds_event::of(id, rds_event::DELETED)),
    }
}

/// An instance that is terminated is no target any more, either.
fn application(service: &Service, plan: &Plan, id: &InstanceId) -> Departure {
    let groups = plan.topology.target_groups.iter();
    let groups = groups.filter(|group| group.targets.contains(id));
    let mut edits: Vec<Edit> = groups
        .map(|group| {
            let mut without = group.clone();
            without.targets.retain(|target| target != id);
            Edit::PutTargetGroup(Box::new(without))
        })
        .collect();
    let mut without = service.clone();
    without.instances.retain(|it| it.id != *id);
    edits.push(if without.instances.is_empty() {
        Edit::RemoveService(service.id.clone())
    } else {
        Edit::PutService(Box::new(without))
    });
    Departure {
        hosts: vec![id.clone()],
        by: "ec2:TerminateInstances",
        edits,
        told: None,
    }
}
