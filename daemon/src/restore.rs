//! The way back of a stack that was changed while it ran, to what its topology file says. Pure.
//!
//! ```text
//!  experiments are stopped, what the account keeps is forgotten ─► what the file does not have, or has otherwise, ends
//!   ─► what is missing is put, what was stopped is started ─► everything is as planned: done
//! ```
//! Data of what stays stays; who is primary stays primary. A replication group with other nodes than the file's, or a DB instance with
//! other hosts, is made anew. Whoever asks does so again until nothing is left to do.

use std::sync::Arc;

use topologies::edit::Edit;
use topologies::event::{DbInstanceStatus, DbRequest, EventKind, ReplicationGroupStatus};
use topologies::experiment::{Experiment, ExperimentStatus};
use topologies::id::ExperimentId;
use topologies::topology::{DbInstance, Topology};
use topologies::world::{Wanted, World};

use crate::control::readiness::is_whole;

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// These have to happen; then it is to be asked again.
    Events(Vec<EventKind>),
    /// Something is under way.
    Wait,
    /// The stack is what the file says.
    Done,
}

/// The next step to `origin`, the topology of the file.
pub fn step(world: &World, origin: &Topology) -> Step {
    let mut events = forgetting(world);
    let (endings, leaving) = endings(world, origin);
    events.extend(endings);
    let mut experiments = world.account.experiments.live().peekable();
    let leaving = leaving || experiments.peek().is_some();
    events.extend(experiments.filter_map(stopping));
    if events.is_empty() && !leaving {
        let edits = edits(&world.plan.topology, origin);
        if !edits.is_empty() {
            events.push(EventKind::TopologyEdited {
                by: "localaws:Reset".to_owned(),
                edits,
            });
        }
        events.extend(starting(world));
    }
    if !events.is_empty() {
        Step::Events(events)
    } else if leaving || !is_whole(world) {
        Step::Wait
    } else {
        Step::Done
    }
}

fn forgetting(world: &World) -> Vec<EventKind> {
    let account = &world.account;
    let records = account.records().map(|(resource, region, id)| {
        let (resource, id) = (resource.to_owned(), id.to_owned());
        EventKind::ResourceForgotten {
            resource,
            region: region.clone(),
            id,
            arn: String::new(),
        }
    });
    let tags = account.tagged().map(|arn| EventKind::TagsChanged {
        arn: arn.to_owned(),
        tags: Default::default(),
    });
    records.chain(tags).collect()
}

/// An experiment that is not being stopped yet is. When it is over, it is forgotten.
fn stopping((id, experiment): (&ExperimentId, &Arc<Experiment>)) -> Option<EventKind> {
    let asked = experiment.status() == ExperimentStatus::Stopping;
    (!asked).then(|| EventKind::ExperimentStatusChanged {
        experiment: id.clone(),
        status: ExperimentStatus::Stopping,
        reason: Some("The stack is being reset.".to_owned()),
    })
}

/// What has hosts and the file does not have, or has otherwise; and whether any of it is still there.
fn endings(world: &World, origin: &Topology) -> (Vec<EventKind>, bool) {
    let now = &world.plan.topology;
    let mut events = Vec::new();
    let mut leaving = false;
    for db in &now.db_instances {
        let wanted = origin.db_instances.iter().find(|it| it.id == db.id);
        let mut ids = Vec::new();
        match wanted {
            Some(wanted) if same(db, wanted) => {
                let extra = db.read_replicas.iter();
                let extra = extra.filter(|it| !wanted.read_replicas.contains(it));
                ids.extend(extra.map(|replica| &replica.id));
            }
            Some(_) | None => {
                let replicas = db.read_replicas.iter().map(|replica| &replica.id);
                ids.extend(std::iter::once(&db.id).chain(replicas));
            }
        }
        for id in ids {
            leaving = true;
            let own = world.databases.get(id).map(|it| it.status);
            let status = own.or(world.replicas.get(id).map(|it| it.status));
            if status != Some(DbInstanceStatus::Deleting) {
                events.push(EventKind::DbInstanceStatusChanged {
                    db_instance: id.clone(),
                    status: DbInstanceStatus::Deleting,
                });
            }
        }
    }
    for group in &now.replication_groups {
        let kept = origin.replication_groups.iter().any(|it| {
            let mut it = it.clone();
            it.automatic_failover = group.automatic_failover;
            it == *group
        });
        if !kept {
            leaving = true;
            let status = world.caches.get(&group.id).map(|it| it.status);
            if status != Some(ReplicationGroupStatus::Deleting) {
                events.push(EventKind::ReplicationGroupStatusChanged {
                    group: group.id.clone(),
                    status: ReplicationGroupStatus::Deleting,
                });
            }
        }
    }
    for member in now.services.iter().flat_map(|it| &it.instances) {
        let mut wanted = origin.services.iter().flat_map(|it| &it.instances);
        let state = world.instances.get(&member.id).map(|it| it.wanted);
        if !wanted.any(|it| it == member) || state == Some(Wanted::Terminated) {
            leaving = true;
            if state != Some(Wanted::Terminated) {
                events.push(EventKind::InstanceWanted {
                    instance: member.id.clone(),
                    wanted: Wanted::Terminated,
                });
            }
        }
    }
    (events, leaving)
}

/// Whether one can become the other without being made anew: but for its read replicas it is the other.
fn same(db: &DbInstance, wanted: &DbInstance) -> bool {
    let mut wanted = wanted.clone();
    wanted.read_replicas.clone_from(&db.read_replicas);
    wanted == *db
}

/// What makes the topology that of the file once nothing of it has to end.
fn edits(now: &Topology, origin: &Topology) -> Vec<Edit> {
    let mut edits = Vec::new();
    put(
        &mut edits,
        &now.health_checks,
        &origin.health_checks,
        Edit::PutHealthCheck,
    );
    put(
        &mut edits,
        &now.services,
        &origin.services,
        Edit::PutService,
    );
    put(
        &mut edits,
        &now.db_instances,
        &origin.db_instances,
        Edit::PutDbInstance,
    );
    put(
        &mut edits,
        &now.replication_groups,
        &origin.replication_groups,
        Edit::PutReplicationGroup,
    );
    put(
        &mut edits,
        &now.target_groups,
        &origin.target_groups,
        Edit::PutTargetGroup,
    );
    put(
        &mut edits,
        &now.load_balancers,
        &origin.load_balancers,
        Edit::PutLoadBalancer,
    );
    put(
        &mut edits,
        &now.cidr_collections,
        &origin.cidr_collections,
        Edit::PutCidrCollection,
    );
    put(
        &mut edits,
        &now.hosted_zones,
        &origin.hosted_zones,
        Edit::PutHostedZone,
    );
    let gone = now.load_balancers.iter().map(|it| &it.id);
    let gone = gone.filter(|id| !origin.load_balancers.iter().any(|it| it.id == **id));
    edits.extend(gone.cloned().map(Edit::RemoveLoadBalancer));
    let gone = now.target_groups.iter().map(|it| &it.id);
    let gone = gone.filter(|id| !origin.target_groups.iter().any(|it| it.id == **id));
    edits.extend(gone.cloned().map(Edit::RemoveTargetGroup));
    let gone = now.hosted_zones.iter().map(|it| &it.name);
    let gone = gone.filter(|name| !origin.hosted_zones.iter().any(|it| it.name == **name));
    edits.extend(gone.cloned().map(Edit::RemoveHostedZone));
    let gone = now.health_checks.iter().map(|it| &it.id);
    let gone = gone.filter(|id| !origin.health_checks.iter().any(|it| it.id == **id));
    edits.extend(gone.cloned().map(Edit::RemoveHealthCheck));
    let gone = now.cidr_collections.iter().map(|it| &it.name);
    let gone = gone.filter(|name| !origin.cidr_collections.iter().any(|it| it.name == **name));
    edits.extend(gone.cloned().map(Edit::RemoveCidrCollection));
    edits
}

/// Those of the file that are missing or otherwise.
fn put<T: Clone + PartialEq>(
    edits: &mut Vec<Edit>,
    now: &[T],
    origin: &[T],
    edit: impl Fn(Box<T>) -> Edit,
) {
    let missing = origin.iter().filter(|it| !now.contains(it));
    edits.extend(missing.cloned().map(|it| edit(Box::new(it))));
}

/// What was stopped on request.
fn starting(world: &World) -> Vec<EventKind> {
    let stopped = world
        .databases
        .iter()
        .filter(|(_, db)| db.status == DbInstanceStatus::Stopped);
    let databases = stopped.map(|(id, _)| EventKind::DbInstanceRequested {
        db_instance: id.clone(),
        request: DbRequest::Start,
    });
    let instances = world
        .instances
        .iter()
        .filter(|(_, state)| state.wanted == Wanted::Stopped);
    let instances = instances.map(|(id, _)| EventKind::InstanceWanted {
        instance: id.clone(),
        wanted: Wanted::Running,
    });
    databases.chain(instances).collect()
}

#[cfg(test)]
mod tests {
    use topologies::address::Slot;
    use topologies::event::Event;
    use topologies::experiment::Blueprint;
    use topologies::id::DbInstanceId;
    use topologies::plan::{Plan, plan};
    use topologies::time::Time;
    use topologies::topology::ReadReplica;

    use super::*;

    fn tier() -> Plan {
        let text = include_str!("../../topologies/tier-10k.yaml");
        let (topology, _) = topologies::check::check(text, "tier-10k.yaml");
        plan(&topology.unwrap(), Slot::new(64).unwrap())
    }

    fn apply(world: &mut World, events: Vec<EventKind>) {
        for event in events {
            let seq = world.seq + 1;
            let at = Time::ZERO;
            world.apply(&Event { seq, at, event });
        }
    }

    /// What `step` says of a stack to which this has happened.
    fn after(events: Vec<EventKind>) -> (Step, World, Topology) {
        let plan = tier();
        let mut world = World::new(&plan);
        apply(&mut world, events);
        (step(&world, &plan.topology), world, plan.topology)
    }

    fn edited(edit: Edit) -> EventKind {
        EventKind::TopologyEdited {
            by: "a test".to_owned(),
            edits: vec![edit],
        }
    }

    #[test]
    fn a_stack_that_is_not_whole_is_waited_for() {
        assert_eq!(after(Vec::new()).0, Step::Wait);
    }

    #[test]
    fn what_the_account_keeps_is_forgotten() {
        let recorded = EventKind::ResourceRecorded {
            resource: "rds:subgrp".to_owned(),
            region: "ap-northeast-2".into(),
            id: "mine".to_owned(),
            attributes: serde_json::json!({}),
        };
        let tagged = EventKind::TagsChanged {
            arn: "arn:aws:x".to_owned(),
            tags: [("a".to_owned(), "b".to_owned())].into(),
        };
        let (step, mut world, origin) = after(vec![recorded, tagged]);
        let Step::Events(events) = step else {
            panic!("{step:?}");
        };
        assert_eq!(events.len(), 2);
        apply(&mut world, events);
        assert_eq!(super::step(&world, &origin), Step::Wait);
    }

    #[test]
    fn experiments_are_over_before_they_are_forgotten() {
        let started = EventKind::ExperimentStarted {
            experiment: "EXP1".into(),
            blueprint: Box::new(Blueprint {
                region: "ap-northeast-2".into(),
                template: "EXT1".to_owned(),
                client_token: String::new(),
                role_arn: String::new(),
                targets: Default::default(),
                actions: Default::default(),
                stop_conditions: serde_json::json!([]),
                on_empty_target: Default::default(),
                actions_mode: Default::default(),
            }),
        };
        let (step, mut world, origin) = after(vec![started]);
        let Step::Events(events) = step else {
            panic!("{step:?}");
        };
        apply(&mut world, events);
        let status = |world: &World| {
            let experiment = world.account.experiments.get("EXP1");
            experiment.map(Experiment::status)
        };
        assert_eq!(status(&world), Some(ExperimentStatus::Stopping));
        assert_eq!(super::step(&world, &origin), Step::Wait);
        let stopped = EventKind::ExperimentStatusChanged {
            experiment: "EXP1".into(),
            status: ExperimentStatus::Stopped,
            reason: None,
        };
        apply(&mut world, vec![stopped]);
        let Step::Events(events) = super::step(&world, &origin) else {
            panic!("it is to be forgotten");
        };
        apply(&mut world, events);
        assert_eq!(status(&world), None);
    }

    #[test]
    fn what_is_too_much_ends_before_what_is_missing_is_put() {
        let origin = tier().topology;
        let mut db = origin.db_instances[0].clone();
        db.read_replicas.push(ReadReplica {
            id: "late".into(),
            availability_zone: db.hosts[0].zone.clone(),
        });
        let cache = origin.replication_groups[0].id.clone();
        let (step, mut world, origin) = after(vec![
            edited(Edit::PutDbInstance(Box::new(db))),
            edited(Edit::RemoveReplicationGroup(cache)),
        ]);
        let deleting = EventKind::DbInstanceStatusChanged {
            db_instance: DbInstanceId::from("late"),
            status: DbInstanceStatus::Deleting,
        };
        assert_eq!(step, Step::Events(vec![deleting.clone()]));
        apply(&mut world, vec![deleting]);
        assert_eq!(super::step(&world, &origin), Step::Wait);
        // Its host is gone.
        let db = Edit::PutDbInstance(Box::new(origin.db_instances[0].clone()));
        apply(&mut world, vec![edited(db)]);
        let Step::Events(events) = super::step(&world, &origin) else {
            panic!("the cache is missing");
        };
        apply(&mut world, events);
        assert_eq!(
            world.plan.topology.replication_groups,
            origin.replication_groups
        );
        assert_eq!(world.plan.topology, origin);
    }

    #[test]
    fn what_was_stopped_is_started() {
        let stopped = EventKind::DbInstanceStatusChanged {
            db_instance: "orders".into(),
            status: DbInstanceStatus::Stopped,
        };
        let start = EventKind::DbInstanceRequested {
            db_instance: "orders".into(),
            request: DbRequest::Start,
        };
        assert_eq!(after(vec![stopped]).0, Step::Events(vec![start]));
    }
}
