//! What of a stack that comes up does not answer yet, and what of it can not while harm is in force. Decides from the world alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use topologies::event::{DbInstanceStatus, ReplicationGroupStatus, TARGET_TIMEOUT, TargetHealth};
use topologies::id::{InstanceId, TargetGroupId, ZoneId};
use topologies::plan::{Instance, InstanceKind, Plan};
use topologies::runtime::Affliction;
use topologies::world::{ProcessState, Wanted, World};

use crate::control::readiness::{self, answers};

/// Beyond this many, names are counted.
const NAMED_MAX: usize = 8;

/// Databases, replicas and caches that are neither available nor stopped on request.
pub(super) fn engines(world: &World) -> Vec<String> {
    let databases = world.databases.iter();
    let databases = databases.filter(|(_, db)| !readiness::is_settled(db.status));
    let replicas = world.replicas.iter();
    let replicas = replicas.filter(|(_, replica)| !readiness::is_settled(replica.status));
    let caches = world.caches.iter();
    let caches = caches.filter(|(_, cache)| cache.status != ReplicationGroupStatus::Available);
    let databases = databases.map(|(id, _)| id.to_string());
    let replicas = replicas.map(|(id, _)| id.to_string());
    let caches = caches.map(|(id, _)| id.to_string());
    databases.chain(replicas).chain(caches).collect()
}

/// What does not answer or run yet, in a few words.
pub(super) fn in_words(plan: &Plan, world: &World) -> String {
    let mut names = engines(world);
    let apps = plan.instances.iter().filter(|instance| is_app(instance));
    let apps = apps.filter(|app| is_wanted(world, &app.id) && !runs(world, &app.id));
    names.extend(apps.map(|instance| instance.id.to_string()));
    if names.is_empty() {
        let hosts = readiness::hosts(world).filter(|host| !answers(world, &host.id));
        names.extend(hosts.map(|host| host.id.to_string()));
    }
    if names.is_empty() {
        names.extend(unhealthy(plan, world).iter().map(ToString::to_string));
    }
    if names.is_empty() {
        let balancers = plan.topology.listening();
        names.extend(balancers.map(|lb| lb.id.to_string()));
    }
    counted(&names)
}

/// `a, b, c`, and how many more there are.
fn counted(names: &[String]) -> String {
    let named = names[..names.len().min(NAMED_MAX)].join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// A target that a load balancer's node does not find healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unhealthy {
    pub(super) instance: InstanceId,
    pub(super) target_group: TargetGroupId,
    /// AWS's reason code.
    pub(super) reason: String,
}

impl fmt::Display for Unhealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            instance,
            target_group,
            reason,
        } = self;
        write!(
            f,
            "{instance} is not healthy in target group {target_group} ({reason})"
        )
    }
}

impl Unhealthy {
    /// Whether its program answers, and wrongly; one that does not answer at all may only be slow.
    pub(super) fn refuses(&self) -> bool {
        self.reason != TARGET_TIMEOUT
    }
}

/// The targets that failed a health check, each once in a target group.
pub(super) fn unhealthy(plan: &Plan, world: &World) -> Vec<Unhealthy> {
    let mut found = Vec::new();
    for group in &plan.topology.target_groups {
        let Some(targets) = world.targets.get(&group.id) else {
            continue;
        };
        for target in plan.targets(group) {
            let mut views = targets
                .get(&target.id)
                .into_iter()
                .flat_map(BTreeMap::values);
            let failed = views.find(|view| view.state == TargetHealth::Unhealthy);
            found.extend(failed.map(|view| Unhealthy {
                instance: target.id.clone(),
                target_group: group.id.clone(),
                reason: view.reason.clone(),
            }));
        }
    }
    found
}

/// What can not answer while harm is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Struck {
    zones: BTreeSet<ZoneId>,
    instances: BTreeSet<InstanceId>,
}

impl Struck {
    pub(super) fn by(plan: &Plan, harm: &BTreeSet<Affliction>) -> Self {
        let mut struck = Self::default();
        for affliction in harm {
            match affliction {
                Affliction::PowerLoss(zone) | Affliction::Isolation(zone) => {
                    struck.zones.insert(zone.clone());
                }
                Affliction::Stop(instance) | Affliction::Freeze(instance) => {
                    struck.instances.insert(instance.clone());
                }
                Affliction::Kill(_) => {}
            }
        }
        let lost = plan.instances.iter();
        let lost = lost.filter(|instance| struck.zones.contains(&instance.zone));
        let lost: Vec<InstanceId> = lost.map(|instance| instance.id.clone()).collect();
        struck.instances.extend(lost);
        struck
    }

    pub(super) fn is_empty(&self) -> bool {
        self.zones.is_empty() && self.instances.is_empty()
    }

    /// Its instances, in a few words.
    pub(super) fn in_words(&self) -> String {
        let names: Vec<String> = self.instances.iter().map(ToString::to_string).collect();
        counted(&names)
    }

    fn spares(&self, instance: &InstanceId) -> bool {
        !self.instances.contains(instance)
    }

    /// Whether everything answers that can: hosts that are not struck, primaries that are there or have somebody to follow them,
    /// and somebody behind every load balancer that is not struck as a whole.
    pub(super) fn spared_answer(&self, plan: &Plan, world: &World) -> bool {
        let mut hosts = readiness::hosts(world).filter(|host| self.spares(&host.id));
        let apps = plan.instances.iter().filter(|instance| is_app(instance));
        let mut apps = apps.filter(|app| self.spares(&app.id) && is_wanted(world, &app.id));
        hosts.all(|host| answers(world, &host.id))
            && apps.all(|app| runs(world, &app.id))
            && self.primaries_answer(world)
            && self.balancers_answer(plan, world)
    }

    /// No primary is struck while a host that is not could take over.
    fn primaries_answer(&self, world: &World) -> bool {
        let databases = world.databases.values();
        let mut databases = databases.filter(|db| db.status != DbInstanceStatus::Stopped);
        let databases = databases.all(|db| {
            let standby = db.standby.as_ref();
            let successor =
                standby.is_some_and(|standby| standby.in_sync && self.spares(&standby.instance));
            self.spares(&db.primary) || !successor
        });
        let caches = world.caches.values().all(|cache| {
            let mut successors = cache.replicas.iter();
            let successor = successors.any(|(node, up)| *up && self.spares(node));
            self.spares(&cache.primary) || !successor
        });
        databases && caches
    }

    fn balancers_answer(&self, plan: &Plan, world: &World) -> bool {
        let nodes = plan.topology.listening().all(|balancer| {
            let mut spared = balancer.zones.iter();
            let spared = spared.any(|zone| !self.zones.contains(zone));
            let nodes = world.nodes.get(&balancer.id);
            !spared || nodes.is_some_and(|nodes| nodes.values().any(|alive| *alive))
        });
        let targets = plan.topology.in_use().all(|group| {
            let spared = plan.targets(group).any(|target| self.spares(&target.id));
            let views = world.targets.get(&group.id);
            let mut views = views
                .into_iter()
                .flat_map(BTreeMap::values)
                .flat_map(BTreeMap::values);
            !spared || views.any(|view| view.state == TargetHealth::Healthy)
        });
        nodes && targets
    }
}

pub(super) fn is_app(instance: &Instance) -> bool {
    matches!(instance.kind, InstanceKind::App(_))
}

fn is_wanted(world: &World, instance: &InstanceId) -> bool {
    let state = world.instances.get(instance);
    state.is_none_or(|state| state.wanted == Wanted::Running)
}

fn runs(world: &World, instance: &InstanceId) -> bool {
    let state = world.instances.get(instance);
    state.is_some_and(|state| matches!(state.process, ProcessState::Running { .. }))
}

#[cfg(test)]
mod tests;
