//! Probes: one loop for each database host, cache node, load balancer node, its checks of a target group, and health check. Loops
//! come and go with the plan. Results go to Control's inbox with the moment they were sent.
//!
//! Probes take the emulated network: those of hosts come from outside of the zones, those of targets from the node's zone. A node
//! without power or cut off reports nothing. A probe that timed out while this process itself was held up proves nothing and is
//! dropped.

mod sightings;
mod targets;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proxies::dns::client::lookup;
use proxies::probe::{self, ProbeOutcome};
use proxies::{DataPlane, Ports};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use topologies::address::ZoneNumber;
use topologies::id::{DbInstanceId, ReplicationGroupId};
use topologies::network::Network;
use topologies::plan::{Instance, InstanceKind, LoadBalancerNode, Plan};
use topologies::time::Time;
use topologies::topology::{HealthCheck, Protocol, TargetGroup, Timing};
use topologies::world::World;

use crate::control::Stimulus;
use crate::control::probe::{CacheProbe, Check, DbProbe, Probe};
use crate::driver::Clock;
use crate::engines::EngineHost;
use crate::estate::Estate;

use targets::{Rounds, Target};

/// How often a load balancer's node is connected to.
const NODE_INTERVAL: Duration = Duration::from_millis(250);
/// A connection to a load balancer's node that takes longer has failed.
const NODE_TIMEOUT: Duration = Duration::from_millis(200);
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
    /// Told when hosts are to be asked at once: an election waits for what they say.
    pub hurry: Arc<Notify>,
}

/// The last answer that any probe got: while nobody at all answers, it is this machine that does not run, and a time-out
/// proves nothing.
#[derive(Debug, Default)]
pub struct Witness(AtomicU64);

impl Witness {
    fn answered(&self, sent: Time) {
        self.0.fetch_max(sent.as_micros(), Ordering::Relaxed);
    }

    /// Whether somebody answered a probe sent at `since` or later.
    fn since(&self, since: Time) -> bool {
        self.0.load(Ordering::Relaxed) >= since.as_micros()
    }
}

impl Prober {
    /// Keeps a loop going for each subject of the plan; all end with `cancelled`.
    pub fn start(self, tasks: &TaskTracker, cancelled: &CancellationToken) {
        let (own, until) = (tasks.clone(), cancelled.clone());
        tasks.spawn(async move { self.keep(&own, &until).await });
    }

    async fn keep(mut self, tasks: &TaskTracker, cancelled: &CancellationToken) {
        let mut loops: Vec<(Subject, CancellationToken)> = Vec::new();
        loop {
            let estate = Arc::clone(&self.estate.borrow_and_update());
            let wanted = subjects(&estate.plan);
            loops.retain(|(subject, token)| {
                let stays = wanted.contains(subject);
                if !stays {
                    token.cancel();
                }
                stays
            });
            for subject in wanted {
                if !loops.iter().any(|(known, _)| *known == subject) {
                    let token = cancelled.child_token();
                    let (until, work) = (token.clone(), self.clone().probe(subject.clone()));
                    tasks.spawn(async move { until.run_until_cancelled(work).await });
                    loops.push((subject, token));
                }
            }
            let changed = cancelled.run_until_cancelled(self.estate.changed()).await;
            if !matches!(changed, Some(Ok(()))) {
                return;
            }
        }
    }

    fn probe(self, subject: Subject) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match subject {
            Subject::Database(db, host) => Box::pin(self.databases(db, host)),
            Subject::Cache(group, node) => Box::pin(self.caches(group, node)),
            Subject::Node(node, port) => Box::pin(self.nodes(node, port)),
            Subject::Targets(node, group, targets) => {
                let rounds = self.rounds(&node, &group, &targets);
                Box::pin(rounds.run(self))
            }
            Subject::HealthCheck(check) => Box::pin(self.health_checks(check)),
        }
    }

    /// A node's checks of a group's targets.
    fn rounds(&self, node: &LoadBalancerNode, group: &TargetGroup, targets: &[Instance]) -> Rounds {
        let (view, now) = (node.address.zone, Instant::now());
        let targets = targets.iter().map(|target| {
            let address = self.ports.dial(target.address, view, group.port);
            Target {
                instance: target.id.clone(),
                address,
                host: address.ip().to_string(),
                due: now,
                next_failure: now,
            }
        });
        Rounds {
            data_plane: Arc::clone(&self.data_plane),
            from: node.address.seen_from(ZoneNumber::OUTSIDE),
            targets: targets.collect(),
            group: group.clone(),
            node: node.zone.clone(),
            view,
            quick: self.timing().health_check_scale > 1,
        }
    }

    async fn databases(mut self, db: DbInstanceId, host: EngineHost) {
        let timing = self.timing();
        let (interval, timeout) = (timing.probe_interval, timing.probe_timeout);
        let mut ticks = ticks(interval);
        let mut peers = None;
        loop {
            ticks.tick().await;
            // Made anew when the plan changes only: names are compared at every probe.
            let changed = self.estate.has_changed().unwrap_or(false);
            let (engine, hosts) = match peers.take().filter(|_| !changed) {
                Some(known) => known,
                None => {
                    let estate = Arc::clone(&self.estate.borrow_and_update());
                    let Some(engine) = estate.postgres.get(&db).cloned() else {
                        continue;
                    };
                    let hosts = estate.plan.instances.iter().map(|it| it.id.clone());
                    (engine, hosts.collect::<Vec<_>>())
                }
            };
            let (sent, begun) = (self.clock.now(), Instant::now());
            let result = sightings::database(engine.probe(&host, timeout).await, &hosts);
            peers = Some((engine, hosts));
            if result == DbProbe::TimedOut && self.proves_nothing(sent, begun, timeout) {
                continue;
            }
            if !self
                .report(sent, Probe::Database(host.instance.clone(), result))
                .await
            {
                return;
            }
        }
    }

    async fn caches(self, group: ReplicationGroupId, node: EngineHost) {
        let timing = self.timing();
        let (interval, timeout) = (timing.probe_interval, timing.probe_timeout);
        let mut ticks = ticks(interval);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.hurry.notified() => {}
            }
            let engine = self.estate.borrow().redis.get(&group).cloned();
            let Some(engine) = engine else {
                continue;
            };
            let (sent, begun) = (self.clock.now(), Instant::now());
            let result = sightings::cache(engine.probe(&node, timeout).await);
            if result == CacheProbe::TimedOut && self.proves_nothing(sent, begun, timeout) {
                continue;
            }
            if !self
                .report(sent, Probe::Cache(node.instance.clone(), result))
                .await
            {
                return;
            }
        }
    }

    fn timing(&self) -> Timing {
        self.estate.borrow().plan.topology.timing.clone()
    }

    async fn nodes(self, node: LoadBalancerNode, port: u16) {
        let address = self.ports.dial(node.address, ZoneNumber::OUTSIDE, port);
        let mut ticks = ticks(NODE_INTERVAL);
        loop {
            ticks.tick().await;
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

    async fn health_checks(self, health_check: HealthCheck) {
        let mut ticks = ticks(health_check.request_interval);
        // Connect within 4 s, answer within 2 s more for HTTP (aws-behaviour §6.4), never longer than the interval.
        let limit = health_check.request_interval.min(Duration::from_secs(6));
        loop {
            ticks.tick().await;
            let sent = self.clock.now();
            let check = self.check_endpoint(&health_check, limit).await;
            if !self
                .report(sent, Probe::HealthCheck(health_check.id.clone(), check))
                .await
            {
                return;
            }
        }
    }

    async fn check_endpoint(&self, health_check: &HealthCheck, limit: Duration) -> Check {
        let name = &health_check.fully_qualified_domain_name;
        let found = lookup(self.resolver, name, limit)
            .await
            .ok()
            .and_then(|answer| answer.addresses.first().copied());
        let Some(address) = found else {
            return Check::Failed {
                reason: CHECKER_REASON,
                detail: format!("{name} does not resolve"),
            };
        };
        let address = SocketAddrV4::new(address, self.ports.real(health_check.port));
        let from = self.outside();
        let outcome = match health_check.protocol {
            Protocol::Http => {
                probe::http(from, address, &health_check.resource_path, name, limit).await
            }
            Protocol::Tcp => probe::tcp(from, address, limit).await,
        };
        // 2xx and 3xx are healthy (aws-behaviour §6.4).
        judge(&outcome, &[(200, 399)])
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

    /// Whether a time-out says more of this machine than of the host.
    fn proves_nothing(&self, sent: Time, begun: Instant, limit: Duration) -> bool {
        held_up(begun, limit)
            || self.data_plane.held_up(begun.into_std())
            || !self.witness.since(sent)
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
#[derive(Clone, Debug, PartialEq)]
enum Subject {
    Database(DbInstanceId, EngineHost),
    Cache(ReplicationGroupId, EngineHost),
    /// A load balancer's node, and the port of its first listener.
    Node(LoadBalancerNode, u16),
    /// A node's checks of a target group.
    Targets(LoadBalancerNode, TargetGroup, Vec<Instance>),
    HealthCheck(HealthCheck),
}

fn subjects(plan: &Plan) -> Vec<Subject> {
    let hosts = plan.instances.iter().filter_map(|instance| {
        let host = EngineHost::of(instance);
        match &instance.kind {
            InstanceKind::DbHost(db) => Some(Subject::Database(db.clone(), host)),
            InstanceKind::CacheNode(group) => Some(Subject::Cache(group.clone(), host)),
            InstanceKind::App(_) => None,
        }
    });
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
    let checks = checks.cloned().map(Subject::HealthCheck);
    hosts.chain(nodes).chain(checks).collect()
}

fn ticks(interval: Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(Instant::now(), interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Whether somebody was there to answer.
fn answered(probe: &Probe) -> bool {
    match probe {
        Probe::Database(_, probe) => matches!(probe, DbProbe::Answered(_)),
        Probe::Cache(_, probe) => matches!(probe, CacheProbe::Answered(_)),
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
