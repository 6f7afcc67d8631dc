//! RebootCacheCluster: a node's process is ended and started where it is, empty (aws-behaviour §3.2).
//!
//! ```text
//!  asked ──ended──► its end was seen ──► started ──answers──► done
//! ```
//! Nobody takes over from a primary meanwhile; its replicas synchronize with what it has then, which is nothing. A node that can not be
//! reached for it, is gone again, or is down when a failover begins is as lost as any other.

use std::collections::BTreeMap;

use topologies::event::EventKind;
use topologies::id::InstanceId;
use topologies::time::Time;
use topologies::world::Cache;

use super::CacheMachine;
use crate::control::action::{Action, Outcome, Ticket};
use crate::control::database::Errand;
use crate::control::desk::Desk;

/// Nodes that reboot.
#[derive(Clone, Debug, Default)]
pub(super) struct Reboots(BTreeMap<InstanceId, Reboot>);

#[derive(Clone, Debug, Default)]
struct Reboot {
    errand: Errand,
    /// Whether it was started again.
    started: bool,
    /// Whether that failed.
    failed: bool,
}

impl Reboots {
    /// Takes in the end of an order to end a node's process; the node, if it is that.
    pub(super) fn settle(
        &mut self,
        desk: &mut Desk<'_>,
        ticket: Ticket,
        outcome: &Outcome,
    ) -> Option<InstanceId> {
        let mut reboots = self.0.values_mut();
        reboots.find_map(|it| it.errand.settle(desk, ticket, outcome))
    }

    /// Takes in that an order to a node ended. What was ordered before the node was ended for its reboot says nothing of that.
    pub(super) fn started(&mut self, node: &InstanceId, action: &Action, outcome: &Outcome) {
        let reboot = self.0.get_mut(node);
        let reboot = reboot.filter(|it| it.errand.has_stopped(node));
        if let (Some(reboot), Action::StartCache { .. }) = (reboot, action) {
            reboot.started |= *outcome == Outcome::Done;
            reboot.failed |= *outcome != Outcome::Done;
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let errands = self.0.values().map(|it| it.errand.deadline());
        errands.flatten().min()
    }
}

impl CacheMachine {
    /// Goes on with every reboot that was asked for.
    pub(super) fn reboot_nodes(&mut self, desk: &mut Desk<'_>, cache: &Cache) {
        self.reboots
            .0
            .retain(|node, _| cache.rebooting.contains(node));
        for instance in cache.rebooting.difference(&cache.leaving) {
            self.reboot(desk, cache, instance);
        }
    }

    fn reboot(&mut self, desk: &mut Desk<'_>, cache: &Cache, instance: &InstanceId) {
        let reboot = self.reboots.0.entry(instance.clone()).or_default();
        let Some(node) = self.nodes.get_mut(instance) else {
            return;
        };
        if reboot.errand.is_refused(instance) || reboot.failed {
            return self.rebooted(desk, instance);
        }
        if !reboot.errand.stop(desk, instance) {
            return;
        }
        let lost = node.liveness.lost().is_some();
        if !reboot.started {
            // Once its end was seen: a sign of it that came after the start would be one of another end.
            if lost {
                let source = (cache.primary != *instance).then(|| cache.primary.clone());
                let instance = instance.clone();
                node.order
                    .issue(desk, Action::StartCache { instance, source });
            }
        } else if lost {
            self.rebooted(desk, instance);
        } else if node.liveness.alive() && node.status.is_some() {
            self.elasticache_event(desk, instance.as_str(), told(instance, "restarted"));
            self.rebooted(desk, instance);
        }
    }

    /// A failover ends every reboot: its orders go to nodes in other roles. Who is down by then is as lost as any other.
    pub(super) fn give_up_reboots(&mut self, desk: &mut Desk<'_>, cache: &Cache) {
        for instance in &cache.rebooting {
            self.rebooted(desk, instance);
        }
    }

    /// Tells that a node's process was ended for its reboot.
    pub(super) fn tell_shutdown(&self, desk: &mut Desk<'_>, instance: &InstanceId) {
        self.elasticache_event(desk, instance.as_str(), told(instance, "shutdown"));
    }

    /// The reboot is over, whether or not the node is there.
    fn rebooted(&mut self, desk: &mut Desk<'_>, instance: &InstanceId) {
        self.reboots.0.remove(instance);
        desk.emit(EventKind::CacheNodeRebootChanged {
            group: self.id.clone(),
            instance: instance.clone(),
            rebooting: false,
        });
    }
}

/// ElastiCache's words (aws-behaviour §3.2, "CacheNodesRebooted").
fn told(instance: &InstanceId, what: &str) -> String {
    format!("Cache node {instance} {what}")
}
