//! Which instance has which role at a moment, and which are down: what selectors and the blast radius need to know.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use topologies::id::{InstanceId, ZoneId};
use topologies::plan::{Instance, InstanceKind, Plan};
use topologies::world::{InstanceState, ProcessState, World};

/// The role of an instance, in the words of `status --json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Takes writes.
    Primary,
    /// The standby of a Multi-AZ DB instance.
    Standby,
    /// A read replica, or a replica in a replication group.
    Replica,
    /// Registered in a target group.
    Target,
    /// None of these.
    Node,
}

/// The roles of the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// The role of every instance; one that is absent has none.
    pub roles: BTreeMap<InstanceId, Role>,
    /// Instances whose process does not run.
    pub down: BTreeSet<InstanceId>,
    /// Instances that a fault in force has frozen.
    pub frozen: BTreeSet<InstanceId>,
    /// Zones that a fault in force has taken away.
    pub dark: BTreeSet<ZoneId>,
    /// Standbys that may lack acknowledged writes, and are not promoted.
    pub out_of_sync: BTreeSet<InstanceId>,
}

impl Presence {
    /// The roles with which a plan begins: the first host of a DB instance and the first node of a replication group are primary.
    pub fn initial(plan: &Plan) -> Self {
        let role = |instance: &Instance| match &instance.kind {
            InstanceKind::DbHost(db) => {
                let replica = plan
                    .topology
                    .db_instances
                    .iter()
                    .any(|owner| owner.read_replicas.iter().any(|replica| replica.id == *db));
                let first = plan.db_hosts(db).next().map(|host| &host.id);
                match (replica, first == Some(&instance.id)) {
                    (true, _) => Role::Replica,
                    (false, true) => Role::Primary,
                    (false, false) => Role::Standby,
                }
            }
            InstanceKind::CacheNode(group) => {
                let first = plan.cache_nodes(group).next().map(|node| &node.id);
                if first == Some(&instance.id) {
                    Role::Primary
                } else {
                    Role::Replica
                }
            }
            InstanceKind::App(_) => Role::Target,
        };
        Self {
            roles: plan
                .instances
                .iter()
                .map(|instance| (instance.id.clone(), role(instance)))
                .collect(),
            ..Self::default()
        }
    }

    /// The roles that the world tells, and as down whose process is known to have ended.
    pub fn of(plan: &Plan, world: &World) -> Self {
        let role = |instance: &Instance| match world.role(plan, &instance.id) {
            "primary" => Role::Primary,
            "standby" => Role::Standby,
            "replica" => Role::Replica,
            "target" => Role::Target,
            _ => Role::Node,
        };
        let ended = |(id, state): (&InstanceId, &InstanceState)| {
            matches!(state.process, ProcessState::Exited { .. }).then(|| id.clone())
        };
        let standbys = world
            .databases
            .values()
            .filter_map(|it| it.standby.as_ref());
        let behind = standbys.filter(|standby| !standby.in_sync);
        let hit = |kind: &'static str| {
            let faults = world.faults.values();
            faults.filter(move |fault| fault.kind == kind)
        };
        Self {
            frozen: hit("freeze").map(|it| it.target.as_str().into()).collect(),
            dark: hit("kill-az").map(|it| it.target.as_str().into()).collect(),
            out_of_sync: behind.map(|standby| standby.instance.clone()).collect(),
            roles: plan
                .instances
                .iter()
                .map(|instance| (instance.id.clone(), role(instance)))
                .collect(),
            down: world.instances.iter().filter_map(ended).collect(),
        }
    }

    /// Whether an instance can do anything for anybody.
    pub fn serves(&self, instance: &Instance) -> bool {
        !self.down.contains(&instance.id)
            && !self.frozen.contains(&instance.id)
            && !self.dark.contains(&instance.zone)
    }

    /// An instance's role.
    pub fn role(&self, instance: &InstanceId) -> Option<Role> {
        self.roles.get(instance).copied()
    }

    /// The instance that has `role` in the DB instance or replication group called `resource`.
    pub fn holder<'a>(&self, plan: &'a Plan, resource: &str, role: Role) -> Option<&'a Instance> {
        plan.instances.iter().find(|instance| {
            owner(instance) == Some(resource) && self.role(&instance.id) == Some(role)
        })
    }
}

/// The DB instance or replication group that an instance belongs to.
pub(crate) fn owner(instance: &Instance) -> Option<&str> {
    match &instance.kind {
        InstanceKind::DbHost(db) => Some(db.as_str()),
        InstanceKind::CacheNode(group) => Some(group.as_str()),
        InstanceKind::App(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use topologies::event::{Event, EventKind};
    use topologies::time::Time;

    use super::*;
    use crate::sample::{plan, zone};

    fn after(events: &[EventKind]) -> Presence {
        let plan = plan();
        let mut world = World::new(&plan);
        for (event, seq) in events.iter().zip(1..) {
            world.apply(&Event {
                seq,
                at: Time::from_millis(seq),
                event: event.clone(),
            });
        }
        Presence::of(&plan, &world)
    }

    fn injected(kind: &str, target: &str) -> EventKind {
        EventKind::FaultInjected {
            fault: format!("{kind}-{target}").as_str().into(),
            fault_kind: kind.to_owned(),
            target: target.to_owned(),
            consequences: Vec::new(),
            by: None,
        }
    }

    #[test]
    fn the_world_tells_who_serves() {
        let in_sync = EventKind::StandbyInSync {
            db_instance: "orders".into(),
            instance: "orders-2".into(),
        };
        let events = [
            in_sync,
            EventKind::InstanceExited {
                instance: "web-3".into(),
                how: "exit code 1".to_owned(),
            },
            injected("freeze", "web-2"),
            injected("kill-az", "ap-northeast-2a"),
        ];
        let presence = after(&events);
        assert_eq!(presence.down, ["web-3".into()].into());
        assert_eq!(presence.frozen, ["web-2".into()].into());
        assert_eq!(presence.dark, [zone("a")].into());
        assert_eq!(presence.out_of_sync, [].into());
        let plan = plan();
        let serving = plan.instances.iter().filter(|it| presence.serves(it));
        let serving: Vec<_> = serving.map(|it| it.id.as_str()).collect();
        assert_eq!(
            serving,
            [
                "orders-2",
                "orders-replica-1",
                "sessions-002",
                "sessions-003"
            ]
        );
    }

    #[test]
    fn what_is_healed_serves_again_and_a_standby_follows_once_it_is_in_sync() {
        let healed = EventKind::FaultHealed {
            fault: "freeze-web-2".into(),
        };
        let presence = after(&[injected("freeze", "web-2"), healed]);
        assert_eq!(presence.frozen, [].into());
        assert_eq!(presence.out_of_sync, ["orders-2".into()].into());
    }
}
