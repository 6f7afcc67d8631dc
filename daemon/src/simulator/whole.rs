//! Whether the stack is whole: everything runs, is redundant, and is known to be; and whether the dead get traffic.

use std::time::Duration;

use topologies::event::{
    DbInstanceStatus, ReplicationGroupStatus, ReplicationStatus, TargetHealth,
};
use topologies::plan::{InstanceKind, Plan};
use topologies::world::{ProcessState, StackPhase, World};

use super::ground::Ground;
use super::invariants::{Invariant, Record};

/// A target that has been dead for longer than its checks need, and that a living node still takes for healthy.
pub(super) fn traffic_to_the_dead(
    ground: &Ground,
    plan: &Plan,
    world: &World,
) -> Result<(), (Invariant, String)> {
    if ground.daemon.is_none() {
        // Its data plane is gone with it: nobody gets traffic.
        return Ok(());
    }
    for group in &plan.topology.target_groups {
        let checks = group
            .health_check
            .paced(plan.topology.timing.health_check_scale);
        let limit = (checks.interval + checks.timeout) * (checks.unhealthy_threshold + 1)
            + Duration::from_secs(1);
        for instance in plan.targets(group) {
            let host = &ground.hosts[ground.host(&instance.id)];
            if host.down_since.is_none_or(|since| {
                ground.now - since.max(ground.killed_at) < limit + Duration::from_secs(2)
            }) {
                continue;
            }
            let views = world
                .targets
                .get(&group.id)
                .and_then(|targets| targets.get(&instance.id));
            let views = views.into_iter().flatten();
            for (node, _) in views.filter(|(_, view)| view.state == TargetHealth::Healthy) {
                if !ground.network.dark.contains(&plan.zone_number(node)) {
                    let detail =
                        format!("{} is dead and healthy to the node in {node}", instance.id);
                    return Err((Invariant::NoTrafficToTheDead, detail));
                }
            }
        }
    }
    Ok(())
}

/// Why the stack is not whole: the first thing that lacks redundancy, as the control plane knows it and as it is.
pub(super) fn not_whole(ground: &Ground, plan: &Plan, world: &World) -> Option<String> {
    let coming_up = world.phase != StackPhase::Available;
    coming_up
        .then(|| format!("the stack is {:?}", world.phase))
        .or_else(|| databases_not_whole(world))
        .or_else(|| caches_not_whole(world))
        .or_else(|| {
            let pending = plan.instances.iter().find(|instance| {
                let known = &world.instances[&instance.id];
                let running = matches!(known.process, ProcessState::Running { .. });
                let app = matches!(instance.kind, InstanceKind::App(_));
                !running
                    || (!app && known.reachable != Some(true))
                    || !ground.hosts[ground.host(&instance.id)].serves()
            });
            pending.map(|instance| format!("{} does not run, or is not known to", instance.id))
        })
        .or_else(|| {
            let views = world.targets.values().flat_map(|targets| targets.iter());
            let mut views =
                views.flat_map(|(id, views)| views.values().map(move |view| (id, view)));
            let sick = views.find(|(_, view)| view.state != TargetHealth::Healthy);
            sick.map(|(id, view)| format!("target {id} is {}", view.state))
        })
        .or_else(|| {
            let dead = world
                .nodes
                .iter()
                .find(|(_, nodes)| nodes.values().any(|alive| !alive));
            dead.map(|(id, _)| format!("a node of {id} is not alive"))
        })
}

fn databases_not_whole(world: &World) -> Option<String> {
    for (id, db) in &world.databases {
        let standby = db
            .standby
            .as_ref()
            .is_none_or(|standby| standby.in_sync && standby.joined);
        if db.status != DbInstanceStatus::Available
            || !db.fenced.is_empty()
            || db.failover_to.is_some()
            || !standby
        {
            return Some(format!("database {id}: {db:?}"));
        }
    }
    let replica = world.replicas.iter().find(|(_, replica)| {
        replica.status != DbInstanceStatus::Available
            || replica.replication != ReplicationStatus::Replicating
    });
    replica.map(|(id, replica)| format!("read replica {id}: {}", replica.replication))
}

fn caches_not_whole(world: &World) -> Option<String> {
    let cache = world.caches.iter().find(|(_, cache)| {
        let replicas = cache.replicas.values().all(|up| *up);
        cache.status != ReplicationGroupStatus::Available
            || !cache.fenced.is_empty()
            || cache.failing_over
            || !replicas
    });
    cache.map(|(id, cache)| format!("cache {id}: {cache:?}"))
}

/// Why what is really there is not redundant: a follower whose log is not the beginning of its primary's, or far behind.
pub(super) fn not_redundant(ground: &Ground, records: &[Record], world: &World) -> Option<String> {
    /// Records that may be on their way.
    const ON_THEIR_WAY: usize = 50;
    for record in records {
        let primary = &ground.hosts[record.primary(ground, world)];
        for host in record
            .copies
            .iter()
            .map(|host| &ground.hosts[*host])
            .filter(|host| host.id != primary.id)
        {
            let behind = primary
                .server
                .log
                .len()
                .saturating_sub(host.server.log.len());
            if !host.server.precedes(&primary.server) || behind > ON_THEIR_WAY {
                return Some(format!(
                    "the log of {} is not that of {}",
                    host.id, primary.id
                ));
            }
        }
    }
    None
}
