//! A core: one thread with its own doors, connections and buffers, which shares nothing on the data path.
//!
//! A door belongs to one core, so that it can be closed and darkened in one step; the connections that come in through it are
//! dealt out to all cores. Changes arrive as whole snapshots; each core works out for itself what they mean for its doors
//! and connections. What only decides (targets, records, rules) is in the pure files.

mod visit;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{SocketAddrV4, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use socket2::Socket;
use tokio::sync::Semaphore;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;
use topologies::address::ZoneNumber;
use topologies::id::{LoadBalancerId, TargetGroupId, ZoneId};
use topologies::network::Network;

use crate::alb::pool::Pool;
use crate::buffers::Buffers;
use crate::dns;
use crate::door::{Door, bind};
use crate::entrance::{Entrance, Ports, door_state, stricken, weather};
use crate::plane::{BindError, WhoDials};
use crate::pulse::Pulse;
use crate::routes::Routes;
use crate::targets::Turns;
use crate::traffic::Counters;
use visit::Registered;
pub(crate) use visit::{Visit, Visitor};

/// The world as the data plane knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) routes: Arc<Routes>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) network: Arc<Network>,
}

/// An entrance and what is counted there.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) entrance: Entrance,
    pub(crate) counters: Arc<Counters>,
}

/// Where the nodes of Application Load Balancers count what they send to target groups, by load balancer, zone and group.
pub(crate) type Meters =
    BTreeMap<LoadBalancerId, BTreeMap<ZoneId, BTreeMap<TargetGroupId, Arc<Counters>>>>;

/// The entrances of one core.
pub(crate) type Posts = BTreeMap<SocketAddrV4, Arc<Post>>;

/// What a core is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Serve from this snapshot, at these entrances if they changed.
    Apply {
        snapshot: Snapshot,
        posts: Option<Posts>,
        done: oneshot::Sender<Vec<BindError>>,
    },
    /// Let nobody in any more, wait this long for connections to end, then end them.
    Shutdown { grace: Duration },
}

/// What a core is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) number: usize,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) visitors: mpsc::Receiver<Visitor>,
    /// Where to send visitors, by core.
    pub(crate) cores: Vec<mpsc::Sender<Visitor>>,
    /// Bound beforehand: the resolvers' TCP sockets, which stay for good.
    pub(crate) resolvers: Vec<(SocketAddrV4, Socket, Arc<Post>)>,
    /// The resolvers' UDP sockets.
    pub(crate) udp: Vec<(ZoneNumber, UdpSocket, Arc<Counters>)>,
    pub(crate) ports: Ports,
    pub(crate) pulse: Pulse,
    pub(crate) who_dials: Option<WhoDials>,
    pub(crate) seed: u64,
}

/// A thread's share of the data plane.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) number: usize,
    pub(crate) ports: Ports,
    pub(crate) buffers: Buffers,
    /// What the load balancers' nodes keep: connections to targets, and whose turn it is.
    pub(crate) pool: Rc<Pool>,
    pub(crate) turns: RefCell<Turns>,
    /// Whose turn it is in DNS answers.
    pub(crate) rotation: RefCell<dns::asker::Rotation>,
    pub(crate) tasks: TaskTracker,
    pub(crate) seed: u64,
    who_dials: Option<WhoDials>,
    /// One client after the other is looked for.
    asking: Semaphore,
    snapshot: RefCell<Rc<Snapshot>>,
    posts: RefCell<Posts>,
    /// Entrances that are there as long as the data plane is.
    permanent: RefCell<Posts>,
    doors: RefCell<BTreeMap<SocketAddrV4, Door>>,
    flows: RefCell<BTreeMap<u64, Registered>>,
    next_flow: Cell<u64>,
    cores: Vec<mpsc::Sender<Visitor>>,
    next_core: Cell<usize>,
    random: RefCell<ChaCha8Rng>,
}

/// Runs a core until it is shut down or its commander is gone.
pub(crate) async fn run(parts: Parts) {
    let Parts {
        number,
        mut commands,
        mut visitors,
        cores,
        resolvers,
        udp,
        ports,
        pulse,
        who_dials,
        seed,
    } = parts;
    let core = Rc::new(Core {
        number,
        ports,
        buffers: Buffers::new(),
        pool: Rc::new(Pool::default()),
        turns: RefCell::default(),
        rotation: RefCell::new(dns::asker::Rotation::seeded(seed ^ number as u64)),
        tasks: TaskTracker::new(),
        seed,
        who_dials,
        asking: Semaphore::new(1),
        snapshot: RefCell::default(),
        posts: RefCell::default(),
        permanent: RefCell::default(),
        doors: RefCell::default(),
        flows: RefCell::default(),
        next_flow: Cell::new(0),
        cores,
        next_core: Cell::new(number),
        random: RefCell::new(ChaCha8Rng::seed_from_u64(seed ^ number as u64)),
    });
    core.open_resolvers(resolvers, udp);
    core.tasks.spawn_local(Rc::clone(&core.pool).sweep());
    core.tasks.spawn_local(pulse.beat());
    loop {
        // Both are cancel-safe: what was not received stays in its channel.
        let next = tokio::select! {
            biased;
            command = commands.recv() => command.map(Ok),
            Some(visitor) = visitors.recv() => Some(Err(visitor)),
        };
        match next {
            Some(Ok(Command::Apply {
                snapshot,
                posts,
                done,
            })) => {
                let errors = core.apply(snapshot, posts);
                core.severed().await;
                // Whoever applied it may not care when it took effect.
                let _unheard = done.send(errors);
            }
            Some(Err(visitor)) => core.welcome(visitor),
            Some(Ok(Command::Shutdown { grace })) => {
                core.shut_down(grace).await;
                return;
            }
            None => return,
        }
    }
}

impl Core {
    /// The present snapshot.
    pub(crate) fn snapshot(&self) -> Rc<Snapshot> {
        Rc::clone(&self.snapshot.borrow())
    }

    /// A number drawn from the core's seed.
    pub(crate) fn draw(&self) -> u64 {
        self.random.borrow_mut().random()
    }

    fn open_resolvers(
        self: &Rc<Self>,
        tcp: Vec<(SocketAddrV4, Socket, Arc<Post>)>,
        udp: Vec<(ZoneNumber, UdpSocket, Arc<Counters>)>,
    ) {
        for (address, socket, post) in tcp {
            let door = Door::new(socket, address);
            self.doors.borrow_mut().insert(address, door);
            self.permanent.borrow_mut().insert(address, post);
        }
        self.apply(Snapshot::default(), None);
        for (view, socket, counters) in udp {
            let task = dns::serve::udp(Rc::clone(self), view, socket, counters);
            self.tasks.spawn_local(task);
        }
    }

    /// Makes doors and connections follow the snapshot. Returns the doors that could not be opened; they are tried again
    /// with the next snapshot.
    fn apply(self: &Rc<Self>, snapshot: Snapshot, posts: Option<Posts>) -> Vec<BindError> {
        *self.snapshot.borrow_mut() = Rc::new(snapshot);
        if let Some(posts) = posts {
            let permanent = self.permanent.borrow();
            self.doors.borrow_mut().retain(|address, _| {
                posts.contains_key(address) || permanent.contains_key(address)
            });
            *self.posts.borrow_mut() = posts;
        }
        let errors = self.set_doors();
        self.pool.follow(&self.snapshot().network);
        self.set_flows();
        errors
    }

    fn set_doors(self: &Rc<Self>) -> Vec<BindError> {
        let snapshot = self.snapshot();
        let (posts, permanent) = (self.posts.borrow(), self.permanent.borrow());
        let mut doors = self.doors.borrow_mut();
        let mut errors = Vec::new();
        for (address, post) in posts.iter().chain(permanent.iter()) {
            let state = door_state(&post.entrance, &snapshot.routes, &snapshot.network);
            let mut set = || {
                let door = match doors.entry(*address) {
                    std::collections::btree_map::Entry::Occupied(door) => door.into_mut(),
                    std::collections::btree_map::Entry::Vacant(place) => {
                        place.insert(Door::new(bind(*address)?, *address))
                    }
                };
                let (core, address) = (Rc::clone(self), *address);
                door.set(state, &self.tasks, move |socket, peer| {
                    core.admit(address, socket, peer);
                })
            };
            if let Err(cause) = set() {
                // A door in an unknown state is worse than none.
                doors.remove(address);
                errors.push(BindError {
                    name: post.entrance.name(),
                    address: (*address).into(),
                    cause,
                });
            }
        }
        errors
    }

    fn set_flows(&self) {
        let snapshot = self.snapshot();
        for registered in self.flows.borrow_mut().values_mut() {
            let entrance = &registered.post.entrance;
            let (routes, network) = (&snapshot.routes, &snapshot.network);
            let weather = weather(entrance, &registered.caller, routes, network);
            if registered.stake.lost(&snapshot.routes, &snapshot.network) {
                registered.flow.doom();
            }
            if weather.dark && stricken(entrance, &snapshot.network) {
                registered.flow.strike();
            }
            registered.flow.set_weather(&weather);
        }
    }

    /// Waits until no condemned connection reaches its server any more: a fenced instance must not be spoken to after
    /// whoever fenced it was told so.
    async fn severed(&self) {
        while self.flows.borrow().values().any(|it| it.flow.lingers()) {
            tokio::task::yield_now().await;
        }
    }

    async fn shut_down(&self, grace: Duration) {
        self.doors.borrow_mut().clear();
        self.posts.borrow_mut().clear();
        self.permanent.borrow_mut().clear();
        let ended = async {
            while !self.flows.borrow().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(grace, ended).await.is_err() {
            for registered in self.flows.borrow().values() {
                registered.flow.doom();
            }
            self.severed().await;
        }
    }
}
