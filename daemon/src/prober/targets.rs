//! Health checks of a target group's targets as one load balancer node sends them: in rounds, one after each interval.
//!
//! A round asks every target that is due at the same instant, so that the answers of all come with few wake-ups. Over a sound
//! link to an open door, a check speaks to the target's server itself; on any other it dials the door and meets what is there.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use proxies::DataPlane;
use proxies::probe::{self, ProbeOutcome};
use tokio::time::Instant;
use topologies::address::ZoneNumber;
use topologies::event::TargetHealth;
use topologies::id::{InstanceId, ZoneId};
use topologies::topology::{Protocol, TargetGroup, TargetHealthCheck};

use super::{Prober, held_up, judge};
use crate::control::probe::{Check, Probe};

/// A target that has not passed a check yet is checked at least this often with intervals below AWS's: bring-up should not
/// wait for a whole interval. With the `aws` profile the interval is the interval.
const FIRST_CHECKS: Duration = Duration::from_millis(100);

/// One node's checks of one group.
pub(super) struct Rounds {
    pub(super) data_plane: Arc<DataPlane>,
    pub(super) group: TargetGroup,
    pub(super) node: ZoneId,
    pub(super) view: ZoneNumber,
    /// The node's own address.
    pub(super) from: Ipv4Addr,
    pub(super) targets: Vec<Target>,
    /// Whether health checks are paced faster than AWS's.
    pub(super) quick: bool,
}

/// A target and when it is checked.
pub(super) struct Target {
    pub(super) instance: InstanceId,
    pub(super) address: SocketAddrV4,
    /// The `Host` header of its checks.
    pub(super) host: String,
    pub(super) due: Instant,
    /// First checks come faster than the interval; their failures count no faster than it.
    pub(super) next_failure: Instant,
}

impl Rounds {
    /// Checks until nobody wants to know.
    pub(super) async fn run(mut self, prober: Prober) {
        let begun = Instant::now();
        let mut targets = std::mem::take(&mut self.targets);
        while let Some(next) = targets.iter().map(|target| target.due).min() {
            tokio::time::sleep_until(next).await;
            let now = Instant::now();
            let due = targets.iter_mut().filter(|target| target.due <= now);
            let checks = due.map(|target| self.check(&prober, target, begun));
            if !join_all(checks).await.into_iter().all(|heard| heard) {
                return;
            }
        }
    }

    /// Checks one target and says when to do so again. Returns whether somebody still listens.
    async fn check(&self, prober: &Prober, target: &mut Target, first: Instant) -> bool {
        let checks = &self.group.health_check;
        let (sent, begun) = (prober.clock.now(), Instant::now());
        let outcome = self.ask(checks, target).await;
        let check = judge(&outcome, &checks.matcher);
        let unchecked = self.quick && !self.checked(prober, target);
        // A late answer does not shift the schedule (aws-behaviour §4.4).
        target.due = if unchecked {
            begun + FIRST_CHECKS
        } else {
            after(first, checks.interval, begun)
        };
        let late = outcome == ProbeOutcome::Timeout && held_up(begun, checks.timeout);
        let early = matches!(check, Check::Failed { .. }) && begun < target.next_failure;
        if late || early || !prober.can_report(self.view) {
            return true;
        }
        // A round that began late is followed by one in time, less than an interval after it.
        target.next_failure = begun + checks.interval / if unchecked { 1 } else { 2 };
        let probe = Probe::Target {
            target_group: self.group.id.clone(),
            instance: target.instance.clone(),
            node: self.node.clone(),
            check,
        };
        prober.report(sent, probe).await
    }

    async fn ask(&self, checks: &TargetHealthCheck, target: &Target) -> ProbeOutcome {
        let begun = Instant::now();
        if let Some(server) = self.direct(target) {
            let from = Ipv4Addr::UNSPECIFIED;
            let outcome = question(checks, from, server, target, checks.timeout).await;
            // A link that has failed meanwhile carried no answer: what its door does then is the answer.
            if self.direct(target) == Some(server) {
                return outcome;
            }
        }
        let left = checks.timeout.saturating_sub(begun.elapsed());
        question(checks, self.from, target.address, target, left).await
    }

    fn direct(&self, target: &Target) -> Option<SocketAddrV4> {
        self.data_plane
            .direct(self.view, &target.instance, self.group.port)
    }

    fn checked(&self, prober: &Prober, target: &Target) -> bool {
        let world = prober.world.borrow();
        let views = world
            .targets
            .get(&self.group.id)
            .and_then(|targets| targets.get(&target.instance));
        views
            .and_then(|views| views.get(&self.node))
            .is_some_and(|view| view.state != TargetHealth::Initial)
    }
}

async fn question(
    checks: &TargetHealthCheck,
    from: Ipv4Addr,
    address: SocketAddrV4,
    target: &Target,
    limit: Duration,
) -> ProbeOutcome {
    match checks.protocol {
        Protocol::Http => probe::http(from, address, &checks.path, &target.host, limit).await,
        Protocol::Tcp => probe::tcp(from, address, limit).await,
    }
}

/// The first moment after `now` that is whole intervals after `first`: all targets of a node come together there.
fn after(first: Instant, interval: Duration, now: Instant) -> Instant {
    let interval = interval.max(Duration::from_millis(1));
    let passed = now.saturating_duration_since(first).as_nanos() / interval.as_nanos();
    let rounds = u32::try_from(passed + 1).unwrap_or(u32::MAX);
    first + interval.saturating_mul(rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_whole_intervals_apart_whenever_the_last_one_was() {
        let first = Instant::now();
        let interval = Duration::from_millis(333);
        let at = |ms| first + Duration::from_millis(ms);
        for (now, next) in [
            (0, 333),
            (100, 333),
            (332, 333),
            (333, 666),
            (335, 666),
            (5_000, 5_328),
        ] {
            assert_eq!(after(first, interval, at(now)), at(next), "after {now} ms");
        }
    }
}
