//! What a fault hits, worked out from the plan and the roles of the moment: shown before the fault is injected, and recorded.
//!
//! It tells first effects only. What the control plane makes of them is what a drill is for.

mod text;
mod unheard;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use topologies::duration;
use topologies::id::{
    DbInstanceId, InstanceId, LoadBalancerId, ReplicationGroupId, TargetGroupId, ZoneId,
};
use topologies::plan::{Instance, InstanceKind, Plan};

use crate::fault::{ApiCalls, Fault, ZoneLoss};
use crate::presence::{Presence, Role, owner};

/// One thing that a fault does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Consequence {
    /// An instance no longer serves.
    InstanceLost {
        /// The instance.
        instance: InstanceId,
        /// Its zone.
        zone: ZoneId,
        /// In which way.
        how: Loss,
    },
    /// A DB instance loses its primary.
    DbPrimaryLost {
        /// The DB instance.
        db: DbInstanceId,
        /// The host.
        instance: InstanceId,
        /// The standby that is left, if there is one.
        standby: Option<InstanceId>,
        /// Whether that one may lack acknowledged writes, and is not promoted.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        out_of_sync: bool,
    },
    /// A DB instance loses its standby: at most a short stall of writes, no outage.
    DbStandbyLost {
        /// The DB instance.
        db: DbInstanceId,
        /// The host.
        instance: InstanceId,
        /// Whether it is out of sync, and nothing waits for it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        out_of_sync: bool,
    },
    /// A read replica is lost.
    DbReplicaLost {
        /// The read replica.
        db: DbInstanceId,
        /// The host.
        instance: InstanceId,
    },
    /// A replication group loses its primary.
    CachePrimaryLost {
        /// The replication group.
        group: ReplicationGroupId,
        /// The node.
        instance: InstanceId,
        /// The replicas that are left.
        replicas: Vec<InstanceId>,
    },
    /// A replication group loses a replica.
    CacheReplicaLost {
        /// The replication group.
        group: ReplicationGroupId,
        /// The node.
        instance: InstanceId,
    },
    /// A load balancer loses its node in a zone.
    LoadBalancerNodeLost {
        /// The load balancer.
        load_balancer: LoadBalancerId,
        /// The zone.
        zone: ZoneId,
        /// How many nodes are left.
        left: usize,
    },
    /// A target group loses targets.
    TargetsLost {
        /// The target group.
        target_group: TargetGroupId,
        /// Those lost.
        lost: Vec<InstanceId>,
        /// How many are left.
        left: usize,
    },
    /// The resolver and the clients in a zone are gone or alone.
    ViewLost {
        /// The zone.
        zone: ZoneId,
        /// How.
        mode: ZoneLoss,
    },
    /// A primary and one that follows it are parted or far from each other.
    ReplicationImpaired {
        /// The DB instance or replication group.
        resource: String,
        /// The primary.
        primary: InstanceId,
        /// The one that follows.
        follower: InstanceId,
        /// The follower's role.
        role: Role,
    },
    /// The control plane, which stands outside of the zones, no longer hears of a primary that runs, and takes it for lost.
    PrimaryUnheard {
        /// The DB instance or replication group.
        resource: String,
        /// The primary.
        primary: InstanceId,
        /// Who may take over; nobody where the primary stays.
        successors: Vec<InstanceId>,
    },
    /// Packets between places vanish.
    LinkCut {
        /// The link, `a <-> b`.
        link: String,
    },
    /// Packets between places come late.
    LinkSlow {
        /// The link, `a <-> b`.
        link: String,
        /// By how much.
        #[serde(with = "duration::text")]
        latency: Duration,
        /// And by how much more at most.
        #[serde(with = "duration::text")]
        jitter: Duration,
    },
    /// Calls of the AWS API suffer.
    CallsSuffer {
        /// Which.
        calls: ApiCalls,
        /// In which way.
        how: ApiHarm,
    },
}

/// What happens to calls of the AWS API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApiHarm {
    /// Those beyond so many a second are refused.
    Throttled(u32),
    /// They are answered later.
    Slow(#[serde(with = "duration::text")] Duration),
    /// They fail.
    Unavailable,
}

/// In which way an instance no longer serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Its process is killed.
    Killed,
    /// It is stopped and does not start.
    Stopped,
    /// It hangs.
    Frozen,
    /// It runs, but is cut off.
    CutOff,
}

/// What `fault`, resolved, would do now. Instances that are down already are not lost again.
pub fn blast_radius(fault: &Fault, plan: &Plan, presence: &Presence) -> Vec<Consequence> {
    match fault {
        Fault::KillAz { zone, mode } => zone_lost(zone, *mode, plan, presence),
        Fault::Kill { instance } => instance_lost(instance, Loss::Killed, plan, presence),
        Fault::Stop { instance } => instance_lost(instance, Loss::Stopped, plan, presence),
        Fault::Freeze { instance } => instance_lost(instance, Loss::Frozen, plan, presence),
        Fault::Partition { from, to, .. } => {
            let link = fault.target();
            let mut consequences = vec![Consequence::LinkCut { link }];
            consequences.extend(replication_between(from, to, plan, presence));
            consequences.extend(unheard::primaries(from, to, plan, presence));
            consequences
        }
        Fault::Slow {
            from,
            to,
            latency,
            jitter,
            direction,
        } => {
            let mut consequences = vec![Consequence::LinkSlow {
                link: fault.target(),
                latency: *latency,
                jitter: *jitter,
            }];
            consequences.extend(replication_between(from, to, plan, presence));
            if unheard::too_late(*latency, *direction, plan) {
                consequences.extend(unheard::primaries(from, to, plan, presence));
            }
            consequences
        }
        Fault::ThrottleApi { calls, rate } => calls_suffer(calls, ApiHarm::Throttled(*rate)),
        Fault::SlowApi { calls, latency } => calls_suffer(calls, ApiHarm::Slow(*latency)),
        Fault::FailApi { calls } => calls_suffer(calls, ApiHarm::Unavailable),
    }
}

fn calls_suffer(calls: &ApiCalls, how: ApiHarm) -> Vec<Consequence> {
    let calls = calls.clone();
    vec![Consequence::CallsSuffer { calls, how }]
}

fn zone_lost(zone: &ZoneId, mode: ZoneLoss, plan: &Plan, presence: &Presence) -> Vec<Consequence> {
    let how = match mode {
        ZoneLoss::Power => Loss::Killed,
        ZoneLoss::Network => Loss::CutOff,
    };
    let lost: BTreeSet<&InstanceId> = plan
        .instances
        .iter()
        .filter(|instance| instance.zone == *zone && !presence.down.contains(&instance.id))
        .map(|instance| &instance.id)
        .collect();
    let mut consequences = instances_lost(&lost, how, plan, presence);
    let nodes = plan.nodes.iter().filter(|node| node.zone == *zone);
    consequences.extend(nodes.map(|node| {
        let of_same = |other: &&topologies::plan::LoadBalancerNode| {
            other.load_balancer == node.load_balancer
                && other.zone != *zone
                && !presence.dark.contains(&other.zone)
        };
        Consequence::LoadBalancerNodeLost {
            load_balancer: node.load_balancer.clone(),
            zone: zone.clone(),
            left: plan.nodes.iter().filter(of_same).count(),
        }
    }));
    consequences.push(Consequence::ViewLost {
        zone: zone.clone(),
        mode,
    });
    consequences
}

fn instance_lost(
    instance: &InstanceId,
    how: Loss,
    plan: &Plan,
    presence: &Presence,
) -> Vec<Consequence> {
    let lost = BTreeSet::from([instance]);
    instances_lost(&lost, how, plan, presence)
}

fn instances_lost(
    lost: &BTreeSet<&InstanceId>,
    how: Loss,
    plan: &Plan,
    presence: &Presence,
) -> Vec<Consequence> {
    let instances = || plan.instances.iter().filter(|one| lost.contains(&one.id));
    let mut consequences: Vec<Consequence> = instances()
        .map(|instance| Consequence::InstanceLost {
            instance: instance.id.clone(),
            zone: instance.zone.clone(),
            how,
        })
        .collect();
    consequences
        .extend(instances().filter_map(|instance| role_lost(instance, lost, plan, presence)));
    consequences.extend(targets_lost(lost, plan, presence));
    consequences
}

fn role_lost(
    instance: &Instance,
    lost: &BTreeSet<&InstanceId>,
    plan: &Plan,
    presence: &Presence,
) -> Option<Consequence> {
    let id = instance.id.clone();
    let role = presence.role(&id)?;
    let survives = |other: &&Instance, wanted: Role| {
        presence.role(&other.id) == Some(wanted)
            && !lost.contains(&other.id)
            && presence.serves(other)
    };
    match &instance.kind {
        InstanceKind::DbHost(db) => Some(match role {
            Role::Primary => {
                let standby = plan.db_hosts(db).find(|host| survives(host, Role::Standby));
                Consequence::DbPrimaryLost {
                    out_of_sync: standby
                        .is_some_and(|host| presence.out_of_sync.contains(&host.id)),
                    standby: standby.map(|host| host.id.clone()),
                    instance: id,
                    db: db.clone(),
                }
            }
            Role::Standby => Consequence::DbStandbyLost {
                out_of_sync: presence.out_of_sync.contains(&id),
                db: db.clone(),
                instance: id,
            },
            Role::Replica => Consequence::DbReplicaLost {
                db: db.clone(),
                instance: id,
            },
            Role::Target | Role::Node => return None,
        }),
        InstanceKind::CacheNode(group) => Some(match role {
            Role::Primary => Consequence::CachePrimaryLost {
                replicas: plan
                    .cache_nodes(group)
                    .filter(|node| survives(node, Role::Replica))
                    .map(|node| node.id.clone())
                    .collect(),
                instance: id,
                group: group.clone(),
            },
            Role::Replica => Consequence::CacheReplicaLost {
                group: group.clone(),
                instance: id,
            },
            Role::Standby | Role::Target | Role::Node => return None,
        }),
        InstanceKind::App(_) => None,
    }
}

fn targets_lost<'a>(
    lost: &'a BTreeSet<&InstanceId>,
    plan: &'a Plan,
    presence: &'a Presence,
) -> impl Iterator<Item = Consequence> + 'a {
    plan.topology.target_groups.iter().filter_map(move |group| {
        let up: Vec<&Instance> = plan
            .targets(group)
            .filter(|instance| presence.serves(instance))
            .collect();
        let lost: Vec<InstanceId> = up
            .iter()
            .filter(|instance| lost.contains(&instance.id))
            .map(|instance| instance.id.clone())
            .collect();
        (!lost.is_empty()).then(|| Consequence::TargetsLost {
            target_group: group.id.clone(),
            left: up.len() - lost.len(),
            lost,
        })
    })
}

/// Primaries in one of the zones whose followers stand in the other.
fn replication_between(
    from: &ZoneId,
    to: &ZoneId,
    plan: &Plan,
    presence: &Presence,
) -> Vec<Consequence> {
    let across = |primary: &Instance, follower: &Instance| {
        (primary.zone == *from && follower.zone == *to)
            || (primary.zone == *to && follower.zone == *from)
    };
    let mut consequences = Vec::new();
    for primary in &plan.instances {
        if presence.role(&primary.id) != Some(Role::Primary) {
            continue;
        }
        for follower in &plan.instances {
            let Some(role @ (Role::Standby | Role::Replica)) = presence.role(&follower.id) else {
                continue;
            };
            let Some(resource) = owner(primary) else {
                continue;
            };
            if source(follower, plan) == Some(resource) && across(primary, follower) {
                consequences.push(Consequence::ReplicationImpaired {
                    resource: resource.to_owned(),
                    primary: primary.id.clone(),
                    follower: follower.id.clone(),
                    role,
                });
            }
        }
    }
    consequences
}

/// The DB instance or replication group whose primary a host follows: a read replica follows another DB instance's.
fn source<'a>(instance: &'a Instance, plan: &'a Plan) -> Option<&'a str> {
    let own = owner(instance)?;
    let followed = plan.topology.db_instances.iter().find(|db| {
        let mut replicas = db.read_replicas.iter();
        replicas.any(|replica| replica.id.as_str() == own)
    });
    Some(followed.map_or(own, |db| db.id.as_str()))
}

#[cfg(test)]
mod tests;
