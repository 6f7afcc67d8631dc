//! Whom a replication group that lost its primary promotes: the replica that has the most, judged by accounts asked for after the loss.

use topologies::event::{EventKind, ReplicationGroupStatus};
use topologies::id::InstanceId;
use topologies::time::Time;
use topologies::topology::Timing;
use topologies::world::{Cache, StackPhase};

use super::{CacheMachine, Node};
use crate::control::action::Action;
use crate::control::bugs::Bug;
use crate::control::desk::Desk;
use crate::control::probe::{RedisRole, RedisStatus};

/// Replicas are asked anew once the primary is gone, so that the offsets compared are final.
#[derive(Clone, Debug)]
pub(super) struct Election {
    since: Time,
    pub(super) until: Time,
}

impl Election {
    pub(super) fn begin(since: Time, timing: &Timing) -> Self {
        Self {
            since,
            until: since + timing.probe_interval + timing.probe_timeout,
        }
    }
}

impl CacheMachine {
    /// Replicas that could be promoted; while a failover goes on, also one that an order without an outcome promoted.
    fn candidates<'a>(
        &'a self,
        cache: &'a Cache,
    ) -> impl Iterator<Item = (&'a InstanceId, &'a Node)> {
        self.nodes.iter().filter(|(id, node)| {
            let replica = matches!(
                node.status,
                Some((
                    _,
                    RedisStatus {
                        role: RedisRole::Replica { .. },
                        ..
                    }
                ))
            );
            let replicated = replica || (cache.failing_over && node.status.is_some());
            cache.replicas.contains_key(*id)
                && !cache.leaving.contains(*id)
                && !cache.fenced.contains(*id)
                && node.liveness.alive()
                && replicated
        })
    }

    pub(super) fn should_fail_over(&self, desk: &Desk<'_>, cache: &Cache) -> bool {
        let lost_at = match self.primary_lost_at(cache) {
            Some(lost_at) => lost_at,
            // It lives; accounts of any age say whom it has.
            None if cache.failover_requested => Time::ZERO,
            None => return false,
        };
        // Who was asked before may be gone as well.
        !cache.rebooting.contains(&cache.primary)
            && self.automatic_failover
            && cache.status != ReplicationGroupStatus::Creating
            && !self.primary_comes_up(desk, cache)
            && self
                .best(cache, |node| node.heard_since(lost_at), false)
                .is_some()
    }

    fn primary_lost_at(&self, cache: &Cache) -> Option<Time> {
        self.nodes.get(&cache.primary)?.liveness.lost_at()
    }

    pub(super) fn start_failover(&mut self, desk: &mut Desk<'_>, cache: &Cache) {
        desk.emit(EventKind::CacheFailoverStarted {
            group: self.id.clone(),
            from: cache.primary.clone(),
        });
        self.status_changed(desk, ReplicationGroupStatus::Modifying);
        self.give_up_reboots(desk, cache);
        for node in self.nodes.values_mut() {
            node.order.abandon();
        }
        self.promote.abandon();
        let timing = &desk.plan.topology.timing;
        let delay = desk.draw(timing.cache_failover);
        self.election = Some(Election::begin(desk.now + delay, timing));
    }

    /// Whether a replica may live and hold what the primary held, and has not said what it is since the primary was lost, or it was last
    /// started or told whom to follow. It is heard or lost within a few probes.
    fn one_is_unheard(&self, cache: &Cache) -> bool {
        let since = self.primary_lost_at(cache).unwrap_or_default();
        self.nodes.iter().any(|(id, node)| {
            let gone = cache.fenced.contains(id) || cache.leaving.contains(id);
            let counts = cache.replicas.contains_key(id) && !gone;
            let heard = node.liveness.alive() && node.heard_since(since);
            counts && node.liveness.lost().is_none() && !heard
        })
    }

    /// Whether the primary may be started again, empty.
    pub(super) fn given_up(&self, desk: &Desk<'_>, cache: &Cache) -> bool {
        !self.automatic_failover
            || cache.status == ReplicationGroupStatus::Creating
            || !self.one_is_unheard(cache)
            || self.primary_comes_up(desk, cache)
            || desk.planted(Bug::RestartCacheUnasked)
    }

    /// Whether the stack comes up after it was taken down, and the primary's turn has not been: it has what the group had then, and
    /// the replica that is quicker is not to take over from it.
    pub(super) fn primary_comes_up(&self, desk: &Desk<'_>, cache: &Cache) -> bool {
        let refused = self.nodes.get(&cache.primary);
        let refused = refused.is_some_and(|node| node.order.failed());
        let has_data = |node: &Node| node.standing(None).1 > 0;
        desk.world().phase == StackPhase::Creating
            && self.history.is_none()
            && !refused
            && !self.candidates(cache).any(|(_, node)| has_data(node))
    }

    pub(super) fn elect(&mut self, desk: &mut Desk<'_>, cache: &Cache) {
        if self.promote.pending().is_some() {
            return;
        }
        let timing = &desk.plan.topology.timing;
        let election = self
            .election
            .get_or_insert_with(|| Election::begin(desk.now, timing))
            .clone();
        let fresh = |node: &Node| node.heard_since(election.since);
        let all_fresh =
            self.candidates(cache).all(|(_, node)| fresh(node)) && !self.one_is_unheard(cache);
        if desk.now < election.since || (!all_fresh && desk.now < election.until) {
            return;
        }
        let best = self.best(cache, fresh, desk.planted(Bug::PromoteLowestOffset));
        let best = best.or_else(|| self.taken_back(cache, fresh));
        match best {
            Some(instance) => {
                self.promote.issue(desk, Action::PromoteCache { instance });
            }
            None => {
                self.election = Some(Election::begin(desk.now, timing));
                self.revive(desk, cache);
            }
        }
    }

    /// The replica to promote: the one with the highest offset in the primary's history of writes. One that only has another history,
    /// and never synchronized with the primary, is chosen only when nobody is left to be heard; one that never replicated anything
    /// only when every other has been heard and has nothing either.
    pub(super) fn best(
        &self,
        cache: &Cache,
        heard: impl Fn(&Node) -> bool,
        lowest: bool,
    ) -> Option<InstanceId> {
        let history = self.history.as_ref();
        let voters = || self.candidates(cache).filter(|(_, node)| heard(node));
        // Of equals the first, for every run to choose alike.
        let highest =
            voters().max_by_key(|(id, node)| (node.standing(history), std::cmp::Reverse(*id)))?;
        let (shared, offset) = highest.1.standing(history);
        let stays = |id: &&InstanceId| !cache.leaving.contains(*id);
        let worth = (offset > 0 && (shared || !self.one_is_unheard(cache)))
            || voters().count() == cache.replicas.keys().filter(stays).count();
        let chosen = if lowest {
            voters().min_by_key(|(_, node)| node.standing(None))?
        } else {
            highest
        };
        worth.then(|| chosen.0.clone())
    }

    /// With no replica to promote, the primary that was given up is taken back if it answers.
    fn taken_back(&self, cache: &Cache, heard: impl Fn(&Node) -> bool) -> Option<InstanceId> {
        let node = self.nodes.get(&cache.primary)?;
        let primary =
            matches!(&node.status, Some((_, status)) if status.role == RedisRole::Primary);
        let last = !self.one_is_unheard(cache);
        (last && node.liveness.alive() && primary && heard(node)).then(|| cache.primary.clone())
    }

    /// An election without anybody to elect: what is lost is started, for the next one, the primary first.
    fn revive(&mut self, desk: &mut Desk<'_>, cache: &Cache) {
        if self.primary_lost_at(cache).is_some() && self.given_up(desk, cache) {
            self.start_primary(desk, cache);
            if self.primary_comes_first(desk, cache) {
                return;
            }
        }
        for (instance, node) in &mut self.nodes {
            let goes = cache.leaving.contains(instance) || *instance == cache.primary;
            if node.liveness.lost().is_some() && !goes {
                let (instance, source) = (instance.clone(), Some(cache.primary.clone()));
                node.order
                    .issue(desk, Action::StartCache { instance, source });
            }
        }
    }

    pub(super) fn promoted(&mut self, desk: &mut Desk<'_>, to: &InstanceId, offset: u64) {
        let Some(cache) = desk.world().caches.get(&self.id).cloned() else {
            return;
        };
        self.election = None;
        self.history = None;
        for node in self.nodes.values_mut() {
            node.status = None;
            node.accounts_from = desk.now;
        }
        if cache.primary == *to && !cache.failing_over {
            // It was primary to the world already, and has only been told so.
            return;
        }
        desk.emit(EventKind::CachePrimaryPromoted {
            group: self.id.clone(),
            instance: to.clone(),
            offset,
        });
        if cache.primary == *to {
            return;
        }
        // The texts and their order: aws-behaviour §3.2, TestFailover.
        let message = format!(
            "Failover from primary node {} to replica node {to} completed",
            cache.primary
        );
        self.elasticache_event(desk, cache.primary.as_str(), message.clone());
        self.elasticache_event(desk, self.id.as_str(), message);
        self.tell_recovery(desk, &cache.primary, true);
    }
}
