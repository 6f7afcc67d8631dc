//! Probes: one loop for each database host, cache node, load balancer node, its checks of a target group, and health check. Loops
//! come and go with the plan. Results go to Control's inbox with the moment they were sent.
//!
//! All loops are one task and tick on one grid: what is due at the same moment costs one wake-up, whoever is asked.
//!
//! Probes take the emulated network: those of hosts come from outside of the zones, those of targets from the node's zone. A node
//! without power or cut off reports nothing. A probe that timed out while this process itself was held up proves nothing and is
//! dropped.

mod doubt;
mod endpoints;
mod figures;
mod hosts;
pub(crate) mod rest;
mod sightings;
mod targets;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use proxies::probe::{self, ProbeOutcome};
use proxies::{DataPlane, Ports};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use topologies::address::ZoneNumber;
use topologies::id::{HealthCheckId, LoadBalancerId, TargetGroupId};
use topologies::network::Network;
use topologies::plan::{Instance, LoadBalancerNode};
use topologies::time::Time;
use topologies::topology::{EndpointCheck, TargetGroup, Timing};
use topologies::world::World;

use crate::control::Stimulus;
use crate::control::probe::{CacheProbe, Check, DbProbe, Probe};
use crate::driver::Clock;
use crate::estate::Estate;

pub use figures::{Figure, Figures};
use hosts::Host;
use targets::{Questions, Rounds, Target};

/// How often a load balancer's node is connected to.
const NODE_INTERVAL: Duration = Duration::from_millis(250);
/// A node that was reached this many times in a row rests between connections, while nothing stands between it and who asks.
const NODE_STEADY: u32 = 4;
/// How many intervals a rest takes.
const NODE_REST: u32 = 4;
/// A connection to a load balancer's node that takes longer has failed.
const NODE_TIMEOUT: Duration = Duration::from_millis(200);
/// Probes that are due at the same moment are sent one after the other, the last of them within this time.
const TOGETHER: Duration = Duration::from_millis(10);
/// AWS's reason code for a check that failed otherwise than by its answer or by silence.
const CHECKER_REASON: &str = "Target.FailedHealthChecks";

/// What probes need to know.
#[derive(Clone)]
pub struct Prober {
    /// The stack's clock.
    pub clock: Clock,
    /// What is planned, and the engines, which know how to ask.
    pub estate: watch::Receiver<Arc<Estate>>,
    /// Knows what connections meet.
    pub data_plane: Arc<DataPlane>,
    /// Where ports really are.
    pub ports: Ports,
    /// The resolver as seen from outside.
    pub resolver: SocketAddr,
    /// The network, for nodes that can not report.
    pub network: watch::Receiver<Arc<Network>>,
    /// The world, for targets that were never checked.
    pub world: watch::Receiver<Arc<World>>,
    /// Where results go.
    pub inbox: mpsc::Sender<Stimulus>,
    /// Shared by all probes.
    pub witness: Arc<Witness>,
    /// Where numbers go that Control does not need.
    pub figures: Arc<Figures>,
    /// Changes when cache nodes are to be asked at once: an election waits for what they say. One that is being asked at that
    /// moment is asked again.
    pub hurry: watch::Receiver<()>,
}

/// The last answer that any probe got: while nobody at all answers, it is most likely this machine that does not run.
#[derive(Debug, Default)]
pub struct Witness {
    answered: AtomicU64,
    /// Changes when a host did not tell how it is.
    missed: watch::Sender<()>,
}

/// How a round of a loop ended, and what speaks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Witnessed {
    /// Somebody was there.
    Answered,
    /// It timed out, and others answered meanwhile.
    TimedOut,
    /// It timed out, and nobody else answered either.
    TimedOutAlone,
    /// It timed out while this process was seen not to run.
    HeldUp,
}

impl Witness {
    fn answered(&self, sent: Time) {
        self.answered.fetch_max(sent.as_micros(), Ordering::Relaxed);
    }

    /// Whether somebody answered a probe sent with one that was sent at `sent`, or later.
    fn since(&self, sent: Time) -> bool {
        let answered = Time::from_micros(self.answered.load(Ordering::Relaxed));
        sent - answered <= TOGETHER
    }
}

impl Prober {
    /// Keeps a loop going for each subject of the plan; all end with `cancelled`.
    pub fn start(self, tasks: &TaskTracker, cancelled: CancellationToken) {
        tasks.spawn(async move { cancelled.run_until_cancelled(self.keep()).await });
    }

    async fn keep(mut self) {
        let begun = Instant::now();
        let mut loops: Vec<(Subject, CancellationToken)> = Vec::new();
        let mut probes = FuturesUnordered::new();
        let mut questions = BTreeMap::<_, Arc<Questions>>::new();
        loop {
            let estate = Arc::clone(&self.estate.borrow_and_update());
            let wanted = subjects(&estate);
            loops.retain(|(subject, token)| {
                let stays = wanted.contains(subject);
                if !stays {
                    token.cancel();
                }
                stays
            });
            // Those of groups that are gone, once their loops have ended.
            questions.retain(|_, shared| Arc::strong_count(shared) > 1);
            for subject in wanted {
                if !loops.iter().any(|(known, _)| *known == subject) {
                    let token = CancellationToken::new();
                    let work = self.clone().probe(subject.clone(), &mut questions, begun);
                    let until = token.clone();
                    probes.push(async move { until.run_until_cancelled(work).await }.boxed());
                    loops.push((subject, token));
                }
            }
            loop {
                // Both are cancel-safe: a loop that ended is taken out, and a change is seen until it is looked at.
                tokio::select! {
                    changed = self.estate.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    Some(_) = probes.next() => {}
                }
            }
        }
    }

    fn probe(
        self,
        subject: Subject,
        questions: &mut BTreeMap<(LoadBalancerId, TargetGroupId), Arc<Questions>>,
        begun: Instant,
    ) -> BoxFuture<'static, ()> {
        match subject {
            Subject::Host(host) => host.run(self, begun).boxed(),
            Subject::Node(node, port) => self.nodes(node, port, begun).boxed(),
            Subject::Targets(node, group, targets) => {
                let key = (node.load_balancer.clone(), group.id.clone());
                let shared = Arc::clone(questions.entry(key).or_default());
                let rounds = self.rounds((&node, &group, &targets), shared, begun);
                rounds.run(self, begun).boxed()
            }
            Subject::HealthCheck(id, check) => self.health_checks(id, check, begun).boxed(),
        }
    }

    /// A node's checks of a group's targets.
    fn rounds(
        &self,
        (node, group, targets): (&LoadBalancerNode, &TargetGroup, &[Instance]),
        questions: Arc<Questions>,
        begun: Instant,
    ) -> Rounds {
        let view = node.address.zone;
        let targets = targets.iter().map(|target| {
            let door = target.address.balanced(view);
            let address = SocketAddrV4::new(door, self.ports.real(group.port));
            Target {
                instance: target.id.clone(),
                address,
                host: target.address.seen_from(view).to_string(),
                due: begun,
                next_failure: begun,
            }
        });
        let scale = self.timing().health_check_scale;
        let mut group = group.clone();
        group.health_check = group.health_check.paced(scale);
        Rounds {
            data_plane: Arc::clone(&self.data_plane),
            questions,
            from: node.address.seen_from(ZoneNumber::OUTSIDE),
            targets: targets.collect(),
            group,
            node: node.clone(),
            view,
            quick: scale > 1,
        }
    }

    fn timing(&self) -> Timing {
        self.estate.borrow().plan.topology.timing.clone()
    }

    async fn nodes(self, node: LoadBalancerNode, port: u16, begun: Instant) {
        let address = SocketAddrV4::new(node.address.management(), self.ports.real(port));
        let (mut ticks, mut rounds, mut reached) = (ticks(begun, NODE_INTERVAL), 0_u32, 0_u32);
        loop {
            ticks.tick().await;
            rounds = rounds.wrapping_add(1);
            let rests = reached >= NODE_STEADY && !rounds.is_multiple_of(NODE_REST);
            let zone = node.address.zone;
            if rests && self.data_plane.sound(ZoneNumber::OUTSIDE, zone) {
                continue;
            }
            let (sent, begun) = (self.clock.now(), Instant::now());
            let outcome = probe::knock(self.outside(), address, NODE_TIMEOUT).await;
            if matches!(outcome, ProbeOutcome::Timeout) && held_up(begun, NODE_TIMEOUT) {
                continue;
            }
            // A node without a healthy target resets what it has accepted: it is there all the same.
            let check = match outcome {
                ProbeOutcome::Closed => judge(&ProbeOutcome::Connected, &[]),
                ProbeOutcome::Connected
                | ProbeOutcome::Status(_)
                | ProbeOutcome::Timeout
                | ProbeOutcome::Refused
                | ProbeOutcome::Malformed => judge(&outcome, &[]),
            };
            reached = match &check {
                Check::Passed(_) => reached.saturating_add(1),
                Check::Failed { .. } => 0,
            };
            let (load_balancer, zone) = (node.load_balancer.clone(), node.zone.clone());
            if !self
                .report(
                    sent,
                    Probe::Node {
                        load_balancer,
                        zone,
                        check,
                    },
                )
                .await
            {
                return;
            }
        }
    }

    /// The address from which the outside asks.
    fn outside(&self) -> Ipv4Addr {
        topologies::address::api(self.estate.borrow().plan.slot, ZoneNumber::OUTSIDE)
    }

    /// A node that has no power or is cut off tells nobody what it sees.
    fn can_report(&self, view: ZoneNumber) -> bool {
        let network = self.network.borrow();
        !network.dark.contains(&view) && !network.isolated.contains(&view)
    }

    /// Whether somebody still listens.
    async fn report(&self, sent: Time, probe: Probe) -> bool {
        if answered(&probe) {
            self.witness.answered(sent);
        }
        self.inbox.send(Stimulus::Probe(sent, probe)).await.is_ok()
    }
}

/// What a loop probes, with all that it needs to know of it: when that changes, another loop takes its place.
#[derive(Clone, PartialEq)]
enum Subject {
    Host(Host),
    /// A load balancer's node, and the port of its first listener.
    Node(LoadBalancerNode, u16),
    /// A node's checks of a target group.
    Targets(LoadBalancerNode, TargetGroup, Vec<Instance>),
    HealthCheck(HealthCheckId, EndpointCheck),
}

fn subjects(estate: &Estate) -> Vec<Subject> {
    let plan = &*estate.plan;
    let hosts = plan.instances.iter();
    let hosts = hosts.filter_map(|it| Host::of(it, estate).map(Subject::Host));
    let balancers = &plan.topology.load_balancers;
    let nodes = plan.nodes.iter().flat_map(|node| {
        let balancer = balancers.iter().find(|it| it.id == node.load_balancer);
        let listener = balancer.and_then(|it| it.listeners.first());
        let own = listener.map(|it| Subject::Node(node.clone(), it.port));
        let groups = crate::routes::forwards(plan, &node.load_balancer);
        let checks = groups.map(|group| {
            let targets = plan.targets(group).cloned().collect();
            Subject::Targets(node.clone(), group.clone(), targets)
        });
        own.into_iter().chain(checks).collect::<Vec<_>>()
    });
    let checks = plan.topology.health_checks.iter();
    let checks = checks.filter_map(|check| {
        let endpoint = check.asks()?.clone();
        Some(Subject::HealthCheck(check.id.clone(), endpoint))
    });
    hosts.chain(nodes).chain(checks).collect()
}

/// Ticks that are whole intervals after `begun`: a probe that took too long does not leave the grid.
fn ticks(begun: Instant, interval: Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(begun, interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

/// Whether somebody was there to answer, if only that nothing listens or that it is not ready.
fn answered(probe: &Probe) -> bool {
    match probe {
        Probe::Database(_, probe) => match probe {
            DbProbe::Answered(_) | DbProbe::Starting | DbProbe::Refused => true,
            DbProbe::TimedOut | DbProbe::NoAnswer | DbProbe::Failed(_) => false,
        },
        Probe::Cache(_, probe) => match probe {
            CacheProbe::Answered(_) | CacheProbe::Loading | CacheProbe::Refused => true,
            CacheProbe::TimedOut | CacheProbe::NoAnswer | CacheProbe::Failed(_) => false,
        },
        Probe::Target { check, .. } | Probe::Node { check, .. } | Probe::HealthCheck(_, check) => {
            matches!(check, Check::Passed(_))
        }
    }
}

/// Whether a time-out came so late that this process, not the host, was what did not run.
fn held_up(begun: Instant, limit: Duration) -> bool {
    begun.elapsed() > limit + limit / 2
}

/// A status within `matcher` passes, and a connection alone where no status was asked for. Reason codes: aws-behaviour §4.4.
fn judge(outcome: &ProbeOutcome, matcher: &[(u16, u16)]) -> Check {
    match outcome {
        ProbeOutcome::Connected => Check::Passed("connected".to_owned()),
        ProbeOutcome::Status(status)
            if matcher
                .iter()
                .any(|(low, high)| (*low..=*high).contains(status)) =>
        {
            Check::Passed(status.to_string())
        }
        ProbeOutcome::Status(status) => Check::Failed {
            reason: "Target.ResponseCodeMismatch",
            detail: format!("Health checks failed with these codes: [{status}]"),
        },
        ProbeOutcome::Timeout => Check::Failed {
            reason: topologies::event::TARGET_TIMEOUT,
            detail: "Request timed out".to_owned(),
        },
        ProbeOutcome::Refused | ProbeOutcome::Closed | ProbeOutcome::Malformed => Check::Failed {
            reason: CHECKER_REASON,
            detail: "Health checks failed".to_owned(),
        },
    }
}
