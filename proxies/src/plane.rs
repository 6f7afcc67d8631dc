//! The handle on the data plane: starts its cores, hands them snapshots, reads their numbers, ends them.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use topologies::address::{HostAddress, Slot, ZoneNumber};
use topologies::id::{InstanceId, LoadBalancerId, TargetGroupId};
use topologies::network::Network;
use topologies::topology::{LoadBalancerType, RuleAction};

use crate::acl::Crossing;
use crate::core::{Command, Meters, Parts, Post, Posts, Snapshot, run};
use crate::door::{DoorState, bind};
use crate::entrance::{
    Entrance, Ports, Service, crossing, door_state, entrances, resolver_entrance,
};
use crate::flow::Weather;
use crate::pulse::{Pulse, Watcher};
use crate::routes::{Listener, Routes};
use crate::traffic::{Ledger, Subject, Times, Traffic};

/// Cores beyond this bring nothing on one machine that also runs the engines.
const CORES_MAX: usize = 4;
/// Accepted connections on their way to another core.
const VISITORS: usize = 1024;

/// How a data plane is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Threads; none means one for each processor, at most four.
    pub cores: Option<NonZeroUsize>,
    /// The stack's share of the loopback network.
    pub slot: Slot,
    /// From where the stack is seen: its zones and [`ZoneNumber::OUTSIDE`].
    pub views: Vec<ZoneNumber>,
    /// The port of the resolvers, 53 where it may be bound.
    pub dns_port: u16,
    /// Where ports below 1024 are.
    pub ports: Ports,
    /// Tells which instance dials, where that matters; without it nobody asks.
    pub who_dials: Option<WhoDials>,
    /// Draws jitter, trace identifiers and the NLB's hash.
    pub seed: u64,
}

/// Which instance has the socket at the first address, connected to the second one. It may block.
pub type WhoDials = fn(SocketAddrV4, SocketAddrV4) -> Option<InstanceId>;

/// An address that could not be listened on.
#[derive(Debug)]
pub struct BindError {
    /// What was to be found there.
    pub name: String,
    /// The address.
    pub address: SocketAddr,
    /// Why not.
    pub cause: io::Error,
}

/// Addresses that could not be listened on; everything else is served.
#[derive(Debug, thiserror::Error)]
pub struct BindErrors(pub Vec<BindError>);

impl fmt::Display for BindErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let BindError {
                name,
                address,
                cause,
            } = error;
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}listen on {address} for {name}: {cause}")?;
        }
        Ok(())
    }
}

/// A change on its way to the cores.
#[derive(Debug)]
pub struct Applied(Vec<oneshot::Receiver<Vec<BindError>>>);

impl Applied {
    /// Waits until every core serves accordingly: doors are open, closed or silent, and no fenced instance is spoken to any
    /// more. Addresses that can not be listened on are tried again with every change.
    ///
    /// # Errors
    /// The addresses that could not be listened on.
    pub async fn everywhere(self) -> Result<(), BindErrors> {
        let mut errors = Vec::new();
        for core in self.0 {
            // A core that has ended serves nothing, as after a shutdown.
            errors.extend(core.await.unwrap_or_default());
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(BindErrors(errors))
        }
    }
}

/// The data plane of one stack.
#[derive(Debug)]
pub struct DataPlane {
    views: Vec<ZoneNumber>,
    ports: Ports,
    cores: Vec<CoreHandle>,
    ledger: Ledger,
    /// The latest snapshot; held while it is sent, so that all cores see all changes in one order.
    snapshot: Mutex<Snapshot>,
}

#[derive(Debug)]
struct CoreHandle {
    // Unbounded: one message for each change of the world, which the core takes before anything else.
    commands: mpsc::UnboundedSender<Command>,
    pulse: Pulse,
    thread: JoinHandle<()>,
}

/// A look at whether the cores run, for as long as it lives: they tell only while somebody wants to know.
#[derive(Debug)]
pub struct Watch(Vec<Watcher>);

impl Watch {
    /// Whether a core was held up at some time since this began.
    pub fn held_up(&self) -> bool {
        let now = Instant::now();
        self.0.iter().any(|core| core.held_up(now))
    }
}

impl DataPlane {
    /// Starts the cores and the resolvers; everything else follows from [`DataPlane::set_routes`].
    ///
    /// # Errors
    /// The resolvers' addresses that could not be bound, or a thread that could not be started.
    pub fn start(config: Config) -> Result<Self, BindErrors> {
        let Config {
            cores,
            slot,
            views,
            dns_port,
            ports,
            who_dials,
            seed,
        } = config;
        let cores = cores.map_or_else(
            || std::thread::available_parallelism().map_or(1, |n| n.get().min(CORES_MAX)),
            NonZeroUsize::get,
        );
        let ledger = Ledger::new(cores);
        let mut parts = unconnected(cores, (ports, who_dials), seed);
        let mut errors = Vec::new();
        for (index, view) in views.iter().enumerate() {
            let core = &mut parts[index % cores].0;
            if let Err(error) = add_resolver(core, slot, *view, dns_port, &ledger) {
                errors.push(error);
            }
        }
        if !errors.is_empty() {
            return Err(BindErrors(errors));
        }
        let cores = parts
            .into_iter()
            .map(|(parts, commands)| {
                let name = format!("data-plane-{}", parts.number);
                let pulse = parts.pulse.clone();
                let spawned = std::thread::Builder::new()
                    .name(name)
                    .spawn(|| thread(parts));
                spawned.map(|thread| CoreHandle {
                    commands,
                    pulse,
                    thread,
                })
            })
            .collect::<io::Result<Vec<_>>>()
            .map_err(|cause| {
                let (address, _) = resolver_entrance(slot, ZoneNumber::OUTSIDE, dns_port);
                BindErrors(vec![BindError {
                    name: "a core's thread".to_owned(),
                    address: address.into(),
                    cause,
                }])
            })?;
        Ok(Self {
            views,
            ports,
            cores,
            ledger,
            snapshot: Mutex::default(),
        })
    }

    /// Serves from these routes from now on. Only connections that the difference concerns are touched. The result can be
    /// awaited, or dropped.
    pub fn set_routes(&self, routes: Arc<Routes>) -> Applied {
        let mut snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        self.ledger.forget_unused();
        snapshot.meters = Arc::new(self.meters(&routes));
        snapshot.routes = routes;
        let posts = self.posts(&snapshot.routes);
        self.apply(&snapshot, posts.into_iter().map(Some))
    }

    /// Moves packets as this network does from now on. The result can be awaited, or dropped.
    pub fn set_network(&self, network: Arc<Network>) -> Applied {
        let mut snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        snapshot.network = network;
        self.apply(&snapshot, self.cores.iter().map(|_| None))
    }

    /// Whether security groups let the node of a load balancer that stands at `node` connect to an instance.
    pub fn reaches(
        &self,
        (load_balancer, node): (&LoadBalancerId, HostAddress),
        instance: &InstanceId,
        port: u16,
    ) -> bool {
        let snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let groups = &snapshot.routes.groups;
        groups.is_empty() || groups.reaches((load_balancer, node), instance, port)
    }

    /// Where the server behind `instance`'s network interface listens on `port`, if a load balancer's node in zone `from` reaches it
    /// through an open door over a sound link: then its connection ends as one through the door would. Else the door must be dialled.
    /// Whether security groups let it is another question.
    pub fn direct(
        &self,
        from: ZoneNumber,
        instance: &InstanceId,
        port: u16,
    ) -> Option<SocketAddrV4> {
        let snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        direct(&snapshot, self.ports, from, instance, port)
    }

    /// Where the server behind `instance` listens, if whoever manages it from outside reaches it through the open door of its
    /// management interface over a sound link. As with [`DataPlane::direct`], the door must be dialled else.
    pub fn direct_management(&self, instance: &InstanceId) -> Option<SocketAddrV4> {
        let snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let eni = snapshot.routes.enis.get(instance)?;
        let engine = SocketAddrV4::new(eni.address.engine(), self.ports.real(eni.port));
        let instance = instance.clone();
        let entrance = Entrance {
            from: ZoneNumber::OUTSIDE,
            to: eni.address.zone,
            service: Service::Management { instance, engine },
        };
        sound(&snapshot, &entrance).then_some(engine)
    }

    /// Whether packets between two zones meet nothing on their way.
    pub fn sound(&self, from: ZoneNumber, to: ZoneNumber) -> bool {
        let snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        Weather::between(&snapshot.network, from, to) == Weather::default()
    }

    /// Watches from now on whether the cores run: what should pass through one that is held up does not.
    pub fn watch(&self) -> Watch {
        let now = Instant::now();
        Watch(self.cores.iter().map(|it| it.pulse.watch(now)).collect())
    }

    /// What has passed so far.
    pub fn traffic(&self) -> BTreeMap<Subject, Traffic> {
        self.ledger.traffic()
    }

    /// How long the targets of load balancers took to answer so far.
    pub fn response_times(&self) -> BTreeMap<Subject, Times> {
        self.ledger.times()
    }

    /// Lets nobody in any more, waits up to `grace` for open connections to end, resets those that have not.
    pub async fn shutdown(self, grace: Duration) {
        for core in &self.cores {
            // A core that has ended needs no telling.
            let _ended = core.commands.send(Command::Shutdown { grace });
        }
        let threads: Vec<_> = self.cores.into_iter().map(|core| core.thread).collect();
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a core of the data plane panicked");
                }
            }
        });
        // It fails only if the runtime is going down, and the threads with it.
        let _going_down = joined.await;
    }

    /// The entrances by core. An address always belongs to the same core, so that it is closed before it is bound again.
    fn posts(&self, routes: &Routes) -> Vec<Posts> {
        let mut posts = vec![Posts::new(); self.cores.len()];
        for (address, entrance) in entrances(routes, &self.views, self.ports) {
            let core = address
                .ip()
                .octets()
                .iter()
                .map(|it| usize::from(*it))
                .sum::<usize>();
            let counters = self.ledger.counters(subject(&entrance));
            let post = Arc::new(Post { entrance, counters });
            posts[core % self.cores.len()].insert(address, post);
        }
        posts
    }

    /// Where the nodes of Application Load Balancers count what they send to target groups.
    fn meters(&self, routes: &Routes) -> Meters {
        let mut meters = Meters::new();
        for (id, load_balancer) in &routes.load_balancers {
            if load_balancer.kind != LoadBalancerType::Application {
                continue;
            }
            let zones = meters.entry(id.clone()).or_default();
            for node in &load_balancer.nodes {
                let groups = load_balancer.listeners.iter().flat_map(forwards);
                let counted = groups.map(|group| {
                    let subject =
                        Subject::TargetGroup(id.clone(), node.zone.clone(), group.clone());
                    (group.clone(), self.ledger.counters(subject))
                });
                zones.insert(node.zone.clone(), counted.collect());
            }
        }
        meters
    }

    fn apply(&self, snapshot: &Snapshot, posts: impl Iterator<Item = Option<Posts>>) -> Applied {
        let mut applied = Vec::new();
        for (core, posts) in self.cores.iter().zip(posts) {
            let (done, receiver) = oneshot::channel();
            let snapshot = snapshot.clone();
            let command = Command::Apply {
                snapshot,
                posts,
                done,
            };
            if core.commands.send(command).is_ok() {
                applied.push(receiver);
            }
        }
        Applied(applied)
    }
}

fn direct(
    snapshot: &Snapshot,
    ports: Ports,
    from: ZoneNumber,
    instance: &InstanceId,
    port: u16,
) -> Option<SocketAddrV4> {
    let eni = snapshot.routes.enis.get(instance)?;
    let engine = SocketAddrV4::new(eni.address.engine(), ports.real(port));
    let entrance = Entrance {
        from,
        to: eni.address.zone,
        service: Service::Balanced {
            instance: instance.clone(),
            engine,
        },
    };
    (eni.port == port && sound(snapshot, &entrance)).then_some(engine)
}

/// Whether a connection to `entrance` gets in, and meets nothing on its way.
fn sound(snapshot: &Snapshot, entrance: &Entrance) -> bool {
    let Snapshot {
        routes, network, ..
    } = snapshot;
    door_state(entrance, routes, network) == DoorState::Open
        && crossing(entrance, routes) == Crossing::Free
        && Weather::between(network, entrance.from, entrance.to) == Weather::default()
}

/// The target groups that a listener forwards to.
fn forwards(listener: &Listener) -> impl Iterator<Item = &TargetGroupId> {
    let rules = listener.rules.iter().map(|rule| &rule.action);
    let actions = rules.chain([&listener.default_action]);
    actions.flat_map(RuleAction::target_groups)
}

fn subject(entrance: &Entrance) -> Subject {
    match &entrance.service {
        Service::Eni { instance, .. }
        | Service::Replication { instance, .. }
        | Service::Balanced { instance, .. } => Subject::Eni(instance.clone()),
        Service::Management { instance, .. } => Subject::Management(instance.clone()),
        Service::Node(node) | Service::NodeManagement(node) => {
            Subject::Listener(node.load_balancer.clone(), node.zone.clone(), node.port)
        }
        Service::Resolver => Subject::Resolver,
    }
}

/// The parts of every core, without resolvers yet.
fn unconnected(
    cores: usize,
    (ports, who_dials): (Ports, Option<WhoDials>),
    seed: u64,
) -> Vec<(Parts, mpsc::UnboundedSender<Command>)> {
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..cores).map(|_| mpsc::channel(VISITORS)).unzip();
    receivers
        .into_iter()
        .enumerate()
        .map(|(number, visitors)| {
            let (commands, receiver) = mpsc::unbounded_channel();
            let parts = Parts {
                number,
                commands: receiver,
                visitors,
                cores: senders.clone(),
                resolvers: Vec::new(),
                udp: Vec::new(),
                ports,
                pulse: Pulse::new(),
                who_dials,
                seed,
            };
            (parts, commands)
        })
        .collect()
}

fn add_resolver(
    core: &mut Parts,
    slot: Slot,
    view: ZoneNumber,
    port: u16,
    ledger: &Ledger,
) -> Result<(), BindError> {
    let (address, entrance) = resolver_entrance(slot, view, port);
    let failed = |cause| BindError {
        name: "resolver".to_owned(),
        address: address.into(),
        cause,
    };
    let counters = ledger.counters(Subject::Resolver);
    let udp = bind_udp(address).map_err(failed)?;
    core.udp.push((view, udp, Arc::clone(&counters)));
    let tcp = bind(address).map_err(failed)?;
    let post = Arc::new(Post { entrance, counters });
    core.resolvers.push((address, tcp, post));
    Ok(())
}

fn bind_udp(address: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A core's thread.
fn thread(parts: Parts) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => tokio::task::LocalSet::new().block_on(&runtime, run(parts)),
        Err(error) => tracing::error!(%error, core = parts.number, "a core can not start"),
    }
}
