//! The replicas of a replication group: started, told whom to follow, started anew when they hang.

use std::net::Ipv4Addr;

use topologies::address::ZoneNumber;
use topologies::event::EventKind;
use topologies::id::InstanceId;
use topologies::world::Cache;

use super::{CacheMachine, Node};
use crate::control::action::Action;
use crate::control::bugs::Bug;
use crate::control::desk::Desk;
use crate::control::probe::RedisRole;

impl CacheMachine {
    /// Has every replica run and follow the primary.
    pub(super) fn keep_replicas(&mut self, desk: &mut Desk<'_>, cache: &Cache) {
        let primary_first = self.primary_comes_first(desk, cache);
        let streams_to = self.streams_to(cache);
        for instance in cache.replicas.keys().filter(|it| !cache.is_due(it)) {
            let expected = desk.replication_address(instance, &cache.primary);
            let Some(node) = self.nodes.get_mut(instance) else {
                continue;
            };
            let fenced = cache.fenced.contains(instance);
            if fenced && desk.planted(Bug::ForgetOldCachePrimary) {
                continue;
            }
            let (instance, source) = (instance.clone(), cache.primary.clone());
            let known_as = known_as(desk, &instance);
            // While its primary is not there, the one that hangs may have the only copy.
            let left_alone = streams_to.as_ref().is_none_or(|it| it.contains(&known_as));
            if fenced {
                let rejoin = Action::RejoinCache { instance, source };
                node.order.issue(desk, rejoin);
            } else if !left_alone && node.hung.due(desk.now) {
                let rejoin = Action::RejoinCache { instance, source };
                node.order.issue_for_hung(desk, rejoin);
            } else if node.to_start(cache) {
                // One that takes connections runs.
                if !primary_first && !node.hung.suspected() {
                    let source = Some(source);
                    node.order
                        .issue(desk, Action::StartCache { instance, source });
                }
            } else if node.liveness.well()
                && node.status.is_some()
                && node.link(expected.as_ref()).is_none()
            {
                node.order
                    .issue(desk, Action::FollowCache { instance, source });
            }
        }
    }

    /// Whom the primary streams to, by the addresses that they announce; nothing if it does not answer.
    fn streams_to(&self, cache: &Cache) -> Option<Vec<Option<Ipv4Addr>>> {
        let primary = self.nodes.get(&cache.primary)?;
        let (_, status) = primary
            .status
            .as_ref()
            .filter(|_| primary.liveness.well())?;
        Some(status.replicas.iter().copied().map(Some).collect())
    }

    /// Records whose stream flows and whose does not.
    pub(super) fn announce_links(&self, desk: &mut Desk<'_>) {
        let Some(cache) = desk.world().caches.get(&self.id).cloned() else {
            return;
        };
        for (instance, known) in &cache.replicas {
            let Some(node) = self.nodes.get(instance) else {
                continue;
            };
            // Nobody knows yet how one is that was just taken over or started.
            if !node.liveness.alive() && node.liveness.lost().is_none() {
                continue;
            }
            let expected = desk.replication_address(instance, &cache.primary);
            let up = node.liveness.alive() && node.link(expected.as_ref()) == Some(true);
            if up != *known {
                let (group, instance) = (self.id.clone(), instance.clone());
                desk.emit(EventKind::CacheReplicaLinkChanged {
                    group,
                    instance,
                    up,
                });
            }
            if up {
                self.tell_recovery(desk, instance, false);
            }
        }
    }
}

/// The address that a node announces.
fn known_as(desk: &Desk<'_>, instance: &InstanceId) -> Option<Ipv4Addr> {
    let planned = desk.plan.instance(instance)?;
    Some(planned.address.seen_from(ZoneNumber::OUTSIDE))
}

impl Node {
    /// Whether its stream from `expected` flows; nothing if it follows nobody, or somebody else.
    fn link(&self, expected: Option<&String>) -> Option<bool> {
        match &self.status.as_ref()?.1.role {
            RedisRole::Replica { source, link_up } if Some(source) == expected => Some(*link_up),
            RedisRole::Replica { .. } | RedisRole::Primary => None,
        }
    }
}
