//! Health checks of a target group's targets as one load balancer node sends them: in rounds, one after each interval.
//!
//! A round asks every target that is due at the same instant, so that the answers of all come with few wake-ups. Over a sound
//! link to an open door, a check speaks to the target's server itself, once for all nodes of the load balancer that would at that
//! moment: they ask the same and would hear the same. On any other link a node dials the door and meets what is there.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, join_all};
use proxies::DataPlane;
use proxies::probe::{self, ProbeOutcome};
use tokio::time::Instant;
use topologies::address::ZoneNumber;
use topologies::event::TargetHealth;
use topologies::id::InstanceId;
use topologies::plan::LoadBalancerNode;
use topologies::topology::{Protocol, TargetGroup, TargetHealthCheck};

use super::{Prober, TOGETHER, held_up, judge};
use crate::control::probe::{Check, Probe};

/// A target that has not passed a check yet is checked at least this often with intervals below AWS's: bring-up should not
/// wait for a whole interval. With the `aws` profile the interval is the interval.
const FIRST_CHECKS: Duration = Duration::from_millis(100);

/// One node's checks of one group.
pub(super) struct Rounds {
    pub(super) data_plane: Arc<DataPlane>,
    /// Shared by the load balancer's nodes.
    pub(super) questions: Arc<Questions>,
    pub(super) group: TargetGroup,
    pub(super) node: LoadBalancerNode,
    pub(super) view: ZoneNumber,
    /// The node's own address.
    pub(super) from: Ipv4Addr,
    pub(super) targets: Vec<Target>,
    /// Whether health checks are paced faster than AWS's.
    pub(super) quick: bool,
}

/// The latest question to each server of a group, and when it was asked. Nodes whose rounds come together share it.
#[derive(Default)]
pub(super) struct Questions(Mutex<BTreeMap<SocketAddrV4, (Instant, Shared<Answer>)>>);

/// What a question will have met.
type Answer = BoxFuture<'static, ProbeOutcome>;

impl Questions {
    /// The answer to the question that was just put to `server`, or to this one.
    fn put(&self, server: SocketAddrV4, question: impl FnOnce() -> Answer) -> Shared<Answer> {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = latest.get(&server);
        if let Some((_, answer)) = asked.filter(|(at, _)| at.elapsed() <= TOGETHER) {
            return answer.clone();
        }
        let answer = question().shared();
        latest.insert(server, (Instant::now(), answer.clone()));
        answer
    }
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
    pub(super) async fn run(mut self, prober: Prober, begun: Instant) {
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
            node: self.node.zone.clone(),
            check,
        };
        prober.report(sent, probe).await
    }

    async fn ask(&self, checks: &TargetHealthCheck, target: &Target) -> ProbeOutcome {
        let begun = Instant::now();
        if !self.reaches(target) {
            tokio::time::sleep(checks.timeout).await;
            return ProbeOutcome::Timeout;
        }
        if let Some(server) = self.direct(target) {
            let question = || {
                let (checks, host) = (checks.clone(), target.host.clone());
                let from = Ipv4Addr::UNSPECIFIED;
                async move { question(&checks, from, server, &host, checks.timeout).await }.boxed()
            };
            let outcome = self.questions.put(server, question).await;
            // A link that has failed meanwhile carried no answer: what its door does then is the answer.
            if self.direct(target) == Some(server) {
                return outcome;
            }
        }
        let left = checks.timeout.saturating_sub(begun.elapsed());
        question(checks, self.from, target.address, &target.host, left).await
    }

    /// Whether security groups let the node.
    fn reaches(&self, target: &Target) -> bool {
        let node = (&self.node.load_balancer, self.node.address);
        self.data_plane
            .reaches(node, &target.instance, self.group.port)
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
            .and_then(|views| views.get(&self.node.zone))
            .is_some_and(|view| view.state != TargetHealth::Initial)
    }
}

async fn question(
    checks: &TargetHealthCheck,
    from: Ipv4Addr,
    address: SocketAddrV4,
    host: &str,
    limit: Duration,
) -> ProbeOutcome {
    match checks.protocol {
        Protocol::Http => probe::http(from, address, &checks.path, host, limit).await,
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

    #[tokio::test]
    async fn nodes_whose_rounds_come_together_ask_once() {
        let (questions, asked) = (Questions::default(), std::cell::Cell::new(0));
        let put = |last| {
            questions.put(
                SocketAddrV4::new(Ipv4Addr::new(127, 64, 241, last), 80),
                || {
                    asked.set(asked.get() + 1);
                    std::future::ready(ProbeOutcome::Status(200)).boxed()
                },
            )
        };
        let answers = [put(1), put(1), put(2), put(1)];
        assert_eq!(asked.get(), 2, "one for each server");
        for answer in answers {
            assert_eq!(answer.await, ProbeOutcome::Status(200));
        }
        let long_ago = Instant::now().checked_sub(TOGETHER * 2);
        for (at, _) in questions.0.lock().expect("no panic").values_mut() {
            *at = long_ago.expect("this machine has run for so long");
        }
        put(1).await;
        assert_eq!(asked.get(), 3, "the next round asks anew");
    }

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
