//! When a stack that comes up is available.
//!
//! One that starts with nothing running is when all of it is as planned. One that was taken over while it ran may be in the middle
//! of an outage: it is when every endpoint has somebody behind it who answers. So it is with one whose network ACLs or security
//! groups may keep health checks from targets.

use topologies::event::{DbInstanceStatus, ReplicationGroupStatus, TargetHealth};
use topologies::id::InstanceId;
use topologies::plan::{Instance, InstanceKind};
use topologies::world::{Database, StackPhase, World};

/// Whether the stack has just become available.
pub(super) fn available(world: &World) -> bool {
    match world.phase {
        StackPhase::Creating if !world.account.filters() => is_whole(world),
        StackPhase::Creating | StackPhase::Resuming => every_endpoint_answers(world),
        StackPhase::Available | StackPhase::Stopping => false,
    }
}

/// Whether databases and caches are available and each of their hosts answers, every load balancer's nodes live, and every
/// target is healthy.
pub(crate) fn is_whole(world: &World) -> bool {
    let databases = world.databases.values().map(|db| db.status);
    let replicas = world.replicas.values().map(|replica| replica.status);
    let hosts = hosts(world);
    let caches = world.caches.values().all(|cache| {
        cache.status == ReplicationGroupStatus::Available && cache.replicas.values().all(|up| *up)
    });
    let targets = world.plan.topology.in_use().all(|group| {
        world.plan.targets(group).all(|instance| {
            let views = world
                .targets
                .get(&group.id)
                .and_then(|targets| targets.get(&instance.id));
            views.is_some_and(|views| {
                views
                    .values()
                    .all(|view| view.state == TargetHealth::Healthy)
            })
        })
    });
    databases.chain(replicas).all(is_settled)
        && hosts.map(|host| &host.id).all(|host| answers(world, host))
        && caches
        && nodes(world).all(|alive| alive)
        && targets
}

/// Whether every primary answers, and behind every load balancer a node lives and in every target group a target is healthy.
fn every_endpoint_answers(world: &World) -> bool {
    let databases = world.databases.values().filter(|db| !is_stopped(Some(db)));
    let databases = databases.map(|db| &db.primary);
    let caches = world.caches.values().map(|cache| &cache.primary);
    let balancers = world.plan.topology.listening().all(|lb| {
        let nodes = world.nodes.get(&lb.id);
        nodes.is_some_and(|nodes| nodes.values().any(|alive| *alive))
    });
    let groups = world.plan.topology.in_use().all(|group| {
        let targets = world.targets.get(&group.id);
        let empty = world.plan.targets(group).next().is_none();
        empty
            || targets.is_some_and(|targets| {
                targets
                    .values()
                    .flat_map(|views| views.values())
                    .any(|view| view.state == TargetHealth::Healthy)
            })
    });
    databases.chain(caches).all(|host| answers(world, host)) && balancers && groups
}

/// The hosts of databases and caches that are to answer: all but those of a database that was stopped on request.
pub(crate) fn hosts(world: &World) -> impl Iterator<Item = &Instance> {
    world
        .plan
        .instances
        .iter()
        .filter(|instance| match &instance.kind {
            InstanceKind::DbHost(db) => !is_stopped(world.databases.get(db)),
            InstanceKind::CacheNode(_) => true,
            InstanceKind::App(_) => false,
        })
}

/// Whether a database is as it is meant to be: there, or stopped on request.
pub(crate) fn is_settled(status: DbInstanceStatus) -> bool {
    matches!(
        status,
        DbInstanceStatus::Available | DbInstanceStatus::Stopped
    )
}

fn is_stopped(database: Option<&Database>) -> bool {
    database.is_some_and(|database| database.status == DbInstanceStatus::Stopped)
}

/// Whether a host answered when it was last asked.
pub(crate) fn answers(world: &World, instance: &InstanceId) -> bool {
    let known = world.instances.get(instance);
    known.and_then(|known| known.reachable) == Some(true)
}

/// Of every load balancer's node, whether it lives.
fn nodes(world: &World) -> impl Iterator<Item = bool> {
    world.plan.topology.listening().flat_map(|lb| {
        let nodes = world.nodes.get(&lb.id);
        lb.zones
            .iter()
            .map(move |zone| nodes.and_then(|nodes| nodes.get(zone)) == Some(&true))
    })
}
