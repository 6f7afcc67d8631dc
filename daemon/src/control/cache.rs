//! A replication group: its primary, its replicas, and the promotion of the replica that has the most.
//!
//! ```text
//!  creating ──all replicate──► available ──primary lost──► electing ──fresh offsets, or time is up──► promoting
//!                                  ▲                                                                      │
//!                                  └────────── others follow, the old primary joins as replica ◄──────────┘
//! ```
//! Replication is asynchronous: what the old primary alone held is lost (aws-behaviour §3.2). A node that starts is empty, and what
//! follows it then is empty too. So a lost primary is started again where it stood only when no replica can be promoted, and
//! none that may live is still to be heard.

mod election;
mod reboot;
mod replicas;

use std::collections::{BTreeMap, BTreeSet};

use topologies::event::{EventKind, ReplicationGroupStatus};
use topologies::id::{InstanceId, ReplicationGroupId};
use topologies::runtime::InstanceStatus;
use topologies::time::Time;
use topologies::world::{Cache, StackPhase};

use super::action::{Action, Outcome, Ticket};
use super::desk::{Desk, Order};
use super::host::announce;
use super::hung::Hung;
use super::liveness::{Liveness, Sign};
use super::probe::{CacheProbe, RedisRole, RedisStatus};
use election::Election;
use reboot::Reboots;

/// Decides for one replication group.
#[derive(Clone, Debug)]
pub struct CacheMachine {
    id: ReplicationGroupId,
    nodes: BTreeMap<InstanceId, Node>,
    automatic_failover: bool,
    promote: Order,
    election: Option<Election>,
    /// The history of writes that the primary last said it has.
    history: Option<String>,
    reboots: Reboots,
}

#[derive(Clone, Debug)]
struct Node {
    liveness: Liveness,
    /// Its last account, and when it was asked for.
    status: Option<(Time, RedisStatus)>,
    order: Order,
    started: bool,
    hung: Hung,
    /// Accounts that were asked for before this tell of a role that it no longer has.
    accounts_from: Time,
}

impl Node {
    fn new(threshold: u32) -> Self {
        Self {
            liveness: Liveness::new(threshold),
            status: None,
            order: Order::default(),
            started: false,
            hung: Hung::default(),
            accounts_from: Time::ZERO,
        }
    }
}

impl CacheMachine {
    /// A machine that knows nothing but the plan.
    pub fn new(
        id: ReplicationGroupId,
        nodes: impl Iterator<Item = InstanceId>,
        automatic_failover: bool,
        threshold: u32,
    ) -> Self {
        let nodes = nodes.map(|id| (id, Node::new(threshold))).collect();
        Self {
            id,
            nodes,
            automatic_failover,
            promote: Order::default(),
            election: None,
            history: None,
            reboots: Reboots::default(),
        }
    }

    /// Whose machine it is.
    pub fn id(&self) -> &ReplicationGroupId {
        &self.id
    }

    /// Goes on with these nodes; it knows nothing of those that are new.
    pub fn follow(
        &mut self,
        nodes: impl Iterator<Item = InstanceId>,
        automatic_failover: bool,
        threshold: u32,
    ) {
        let nodes: BTreeSet<InstanceId> = nodes.collect();
        self.nodes.retain(|id, _| nodes.contains(id));
        for id in nodes {
            self.nodes.entry(id).or_insert_with(|| Node::new(threshold));
        }
        self.automatic_failover = automatic_failover;
    }

    /// Takes in what the node's runtime reported.
    pub fn handle_observation(
        &mut self,
        desk: &mut Desk<'_>,
        instance: &InstanceId,
        status: &InstanceStatus,
    ) {
        if let Some(node) = self.nodes.get_mut(instance)
            && let InstanceStatus::Exited { .. } = status
        {
            let change = node.liveness.take(Sign::Exited, desk.now);
            announce(desk, instance, change);
        }
    }

    /// Takes in a probe's result.
    pub fn handle_probe(
        &mut self,
        desk: &mut Desk<'_>,
        instance: &InstanceId,
        sent: Time,
        probe: &CacheProbe,
    ) {
        let Some(node) = self.nodes.get_mut(instance) else {
            return;
        };
        let sign = match probe {
            CacheProbe::Answered(_) | CacheProbe::Loading => Sign::Answered,
            CacheProbe::Refused => Sign::Refused,
            CacheProbe::TimedOut => Sign::Silent,
            CacheProbe::NoAnswer | CacheProbe::Failed(_) => Sign::Mute,
        };
        match probe {
            CacheProbe::NoAnswer => node.hung.mute(sent),
            CacheProbe::TimedOut | CacheProbe::Refused => node.hung.unreached(),
            CacheProbe::Answered(_) | CacheProbe::Loading | CacheProbe::Failed(_) => {
                node.hung.spoke();
            }
        }
        let change = node.liveness.take(sign, sent);
        if let CacheProbe::Answered(status) = probe
            && node.liveness.well()
            && sent >= node.accounts_from
        {
            node.status = Some((sent, status.clone()));
            let world = desk.world().caches.get(&self.id);
            let primary = world.is_some_and(|it| it.primary == *instance && !it.failing_over);
            if primary && status.role == RedisRole::Primary {
                self.history = Some(status.replication_id.clone());
            }
        }
        if *probe == CacheProbe::Loading {
            // What it had is gone or about to go: its last account is none to elect it by.
            node.status = None;
        }
        announce(desk, instance, change);
    }

    /// Takes in an order's outcome.
    pub fn handle_outcome(&mut self, desk: &mut Desk<'_>, ticket: Ticket, outcome: &Outcome) {
        if let Some((action, outcome)) = self.promote.settle(desk, ticket, outcome) {
            match outcome {
                Outcome::Promoted { offset, .. } => {
                    self.promoted(desk, action.instance(), offset.unwrap_or_default());
                }
                // The chosen one may be gone too: choose anew.
                Outcome::Done | Outcome::Failed(_) | Outcome::Refused(_) => self.election = None,
            }
        }
        if let Some(node) = self.reboots.settle(desk, ticket, outcome) {
            self.tell_shutdown(desk, &node);
        }
        let Self {
            id, nodes, reboots, ..
        } = self;
        for (instance, node) in nodes {
            let Some((action, outcome)) = node.order.settle(desk, ticket, outcome) else {
                continue;
            };
            reboots.started(instance, &action, &outcome);
            if outcome != Outcome::Done {
                continue;
            }
            node.started = true;
            node.status = None;
            if let Action::RejoinCache { .. } = action {
                node.hung.tried();
            }
            if matches!(
                action,
                Action::StartCache { .. } | Action::RejoinCache { .. }
            ) {
                node.liveness.forget(desk.now);
            }
            let primary = desk
                .world()
                .caches
                .get(id)
                .map(|cache| cache.primary.clone());
            let fenced = desk.world().fenced(instance);
            if fenced && primary.as_ref().is_some_and(|primary| primary != instance) {
                desk.emit(EventKind::CacheNodeJoined {
                    group: id.clone(),
                    instance: instance.clone(),
                });
            }
        }
    }

    /// Decides.
    pub fn decide(&mut self, desk: &mut Desk<'_>) {
        let Some(cache) = desk.world().caches.get(&self.id).cloned() else {
            return;
        };
        if cache.status == ReplicationGroupStatus::Deleting {
            return;
        }
        for replica in cache.replicas.keys().filter(|it| !cache.is_due(it)) {
            let node = self.nodes.get(replica);
            if node.is_some_and(|node| node.liveness.lost().is_some()) {
                self.tell_recovery(desk, replica, true);
            }
        }
        if cache.failing_over {
            return self.elect(desk, &cache);
        }
        self.reboot_nodes(desk, &cache);
        if self.should_fail_over(desk, &cache) {
            return self.start_failover(desk, &cache);
        }
        self.keep_primary(desk, &cache);
        self.keep_replicas(desk, &cache);
        self.announce_status(desk);
    }

    /// When to decide anew without a stimulus, and why.
    pub fn deadline(&self) -> Option<(Time, &'static str)> {
        let election = self
            .election
            .as_ref()
            .filter(|_| self.promote.pending().is_none())
            .map(|e| e.until);
        let orders = self
            .nodes
            .values()
            .map(|node| &node.order)
            .chain([&self.promote]);
        orders
            .filter_map(Order::deadline)
            .chain(election)
            .chain(self.reboots.deadline())
            .min()
            .map(|at| (at, "election or retry of a cache order"))
    }

    fn keep_primary(&mut self, desk: &mut Desk<'_>, cache: &Cache) {
        let given_up = self.given_up(desk, cache);
        let Some(node) = self.nodes.get(&cache.primary) else {
            return;
        };
        if cache.is_due(&cache.primary) {
            return;
        }
        if given_up && node.to_start(cache) {
            self.start_primary(desk, cache);
        } else if let Some((_, status)) = &node.status
            && node.liveness.well()
            && status.role != RedisRole::Primary
        {
            // A process that was adopted, or started by an older order: the world says who is primary.
            let instance = cache.primary.clone();
            self.promote.issue(desk, Action::PromoteCache { instance });
        }
    }

    /// Starts the primary where it stands, empty.
    fn start_primary(&mut self, desk: &mut Desk<'_>, cache: &Cache) {
        let Some(node) = self.nodes.get_mut(&cache.primary) else {
            return;
        };
        let action = Action::StartCache {
            instance: cache.primary.clone(),
            source: None,
        };
        node.order.issue(desk, action);
        if node.liveness.lost().is_some() {
            self.tell_recovery(desk, &cache.primary, true);
        }
    }

    /// Whether the primary is lost and may be started where it stood. Those that follow it wait for that, or for its start to fail:
    /// they would ask it in vain, and again only after a second.
    fn primary_comes_first(&self, desk: &Desk<'_>, cache: &Cache) -> bool {
        let node = self.nodes.get(&cache.primary);
        let lost = node.is_some_and(|node| node.liveness.lost().is_some() && !node.order.failed());
        lost || self.primary_comes_up(desk, cache)
    }

    fn announce_status(&self, desk: &mut Desk<'_>) {
        self.announce_links(desk);
        let Some(cache) = desk.world().caches.get(&self.id) else {
            return;
        };
        let primary = self
            .nodes
            .get(&cache.primary)
            .is_some_and(|node| node.liveness.alive());
        if primary {
            self.tell_recovery(desk, &cache.primary.clone(), false);
        }
        let Some(cache) = desk.world().caches.get(&self.id) else {
            return;
        };
        let complete = primary && cache.replicas.values().all(|up| *up) && cache.leaving.is_empty();
        if complete && cache.status != ReplicationGroupStatus::Available {
            self.status_changed(desk, ReplicationGroupStatus::Available);
        }
    }

    fn status_changed(&self, desk: &mut Desk<'_>, status: ReplicationGroupStatus) {
        desk.emit(EventKind::ReplicationGroupStatusChanged {
            group: self.id.clone(),
            status,
        });
    }

    /// Tells that a node is being recovered, or has been: each once (aws-behaviour §3.2). A stack that comes up after it was taken down
    /// has lost nothing.
    fn tell_recovery(&self, desk: &mut Desk<'_>, instance: &InstanceId, recovering: bool) {
        let Some(cache) = desk.world().caches.get(&self.id) else {
            return;
        };
        let comes_up = cache.status == ReplicationGroupStatus::Creating
            || desk.world().phase == StackPhase::Creating;
        if cache.recovering.contains(instance) == recovering || (recovering && comes_up) {
            return;
        }
        let (group, node) = (self.id.clone(), instance.clone());
        desk.emit(EventKind::CacheNodeRecoveryChanged {
            group,
            instance: node,
            recovering,
        });
        let begins = if recovering {
            "Recovering"
        } else {
            "Finished recovery for"
        };
        let message = format!("{begins} cache nodes {instance}");
        self.elasticache_event(desk, instance.as_str(), message);
    }

    fn elasticache_event(&self, desk: &mut Desk<'_>, source: &str, message: String) {
        desk.emit(EventKind::ElasticacheEvent {
            source: source.to_owned(),
            message,
        });
    }
}

impl Node {
    /// Whether it is to be started where it stands: it is lost, or was never there. What is not known yet is waited for.
    fn to_start(&self, cache: &Cache) -> bool {
        let creating = cache.status == ReplicationGroupStatus::Creating;
        self.liveness.lost().is_some() || (creating && !self.started && !self.liveness.alive())
    }

    /// Its replication offset as it told it last, after whether that counts in this history of writes: of another, it tells nothing.
    fn standing(&self, history: Option<&String>) -> (bool, u64) {
        let status = self.status.as_ref().map(|(_, status)| status);
        status.map_or((false, 0), |status| {
            let shared = history.is_none_or(|history| status.replication_id == *history);
            (shared, status.offset)
        })
    }

    /// Whether it said what it is after this moment.
    fn heard_since(&self, moment: Time) -> bool {
        let asked = self.status.as_ref().map(|(asked, _)| *asked);
        asked.is_some_and(|asked| asked >= moment)
    }
}
