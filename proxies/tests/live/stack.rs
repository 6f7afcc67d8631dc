//! A small stack for a test: a data plane on its own slot, engines that echo, clients with deadlines.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use proxies::Ports;
use proxies::plane::{Config, DataPlane};
use proxies::routes::{
    Eni, Listener, LoadBalancer, Node, Routes, Target, TargetGroup, TargetState,
};
use proxies::traffic::{Subject, Traffic};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use topologies::address::{HostAddress, Slot, ZoneNumber};
use topologies::id::{InstanceId, ZoneId};
use topologies::network::Network;
use topologies::topology::{LoadBalancerType, Protocol, RuleAction};

/// Long enough for anything that is to happen.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// Long enough to believe that something does not happen: several times what it takes when it does.
pub(crate) const NEVER: Duration = Duration::from_millis(300);
/// Where the resolvers of the tests listen.
pub(crate) const DNS_PORT: u16 = 5353;

pub(crate) fn zone(number: usize) -> ZoneNumber {
    ZoneNumber::zone(number).unwrap()
}

/// A data plane and the world it serves.
pub(crate) struct Stack {
    pub(crate) slot: Slot,
    pub(crate) plane: DataPlane,
    pub(crate) routes: Routes,
    pub(crate) network: Network,
}

impl Stack {
    /// Zones 1 to 3 and outside, two cores.
    pub(crate) fn start(slot: u8) -> Self {
        Self::start_at(slot, DNS_PORT)
    }

    /// The same on a slot that another test uses with other ports.
    pub(crate) fn start_at(slot: u8, dns_port: u16) -> Self {
        let slot = Slot::new(slot).unwrap();
        let config = Config {
            cores: NonZeroUsize::new(2),
            slot,
            views: vec![ZoneNumber::OUTSIDE, zone(1), zone(2), zone(3)],
            dns_port,
            ports: Ports::default(),
            who_dials: Some(by_address),
            seed: 1,
        };
        Self {
            slot,
            plane: DataPlane::start(config).unwrap(),
            routes: Routes::default(),
            network: Network::default(),
        }
    }

    /// Host `host` of zone `zone_number`.
    pub(crate) fn host(&self, zone_number: usize, host: u8) -> HostAddress {
        HostAddress {
            slot: self.slot,
            zone: zone(zone_number),
            host,
        }
    }

    /// Adds the network interface of an instance.
    pub(crate) fn add_eni(&mut self, name: &str, address: HostAddress, port: u16) {
        let eni = Eni {
            address,
            port,
            fenced: false,
            replicates: true,
        };
        self.routes.enis.insert(name.into(), eni);
    }

    /// Has the data plane follow the changed routes and network.
    pub(crate) async fn apply(&self) {
        let routes = self.plane.set_routes(Arc::new(self.routes.clone()));
        routes.everywhere().await.unwrap();
        let network = self.plane.set_network(Arc::new(self.network.clone()));
        network.everywhere().await.unwrap();
    }

    /// The numbers of a listener, over all nodes.
    pub(crate) fn listener(&self, load_balancer: &str, port: u16) -> Traffic {
        let all = self.plane.traffic().into_iter();
        let of = |subject: &Subject| matches!(subject, Subject::Listener(lb, _, at) if lb.as_str() == load_balancer && *at == port);
        all.filter(|(subject, _)| of(subject))
            .map(|(_, traffic)| traffic)
            .sum()
    }

    pub(crate) async fn shutdown(self) {
        self.plane.shutdown(Duration::ZERO).await;
    }
}

/// Clients at 127.0.0.N are the instance `client-N`.
fn by_address(client: SocketAddrV4, _: SocketAddrV4) -> Option<InstanceId> {
    let [.., number] = client.ip().octets();
    Some(format!("client-{number}").into())
}

/// An engine that sends back what it gets and ends when its client does; dropped, it is gone with all its connections.
pub(crate) struct Echo {
    _tasks: JoinSet<()>,
}

impl Echo {
    pub(crate) async fn listen(address: (Ipv4Addr, u16)) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                connections.spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ended = tokio::io::copy(&mut read, &mut write).await;
                    let _gone = write.shutdown().await;
                });
            }
        });
        Self { _tasks: tasks }
    }
}

/// What became of an attempt to connect.
pub(crate) async fn connect(address: impl Into<SocketAddr>) -> io::Result<TcpStream> {
    let address = address.into();
    tokio::time::timeout(NEVER, TcpStream::connect(address))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Why connecting fails.
pub(crate) async fn refusal(address: impl Into<SocketAddr>) -> io::ErrorKind {
    connect(address).await.unwrap_err().kind()
}

/// Sends `text` and expects it back.
pub(crate) async fn ping(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(receive(stream, text.len()).await.unwrap(), text);
}

/// The next `length` bytes.
pub(crate) async fn receive(stream: &mut TcpStream, length: usize) -> io::Result<String> {
    let mut bytes = vec![0; length];
    tokio::time::timeout(SOON, stream.read_exact(&mut bytes)).await??;
    Ok(String::from_utf8(bytes).unwrap())
}

/// What the next read of a silent connection finds: its end, an error, or nothing for a while.
pub(crate) async fn next(
    stream: &mut TcpStream,
    patience: Duration,
) -> Result<usize, io::ErrorKind> {
    let mut byte = [0; 1];
    match tokio::time::timeout(patience, stream.read(&mut byte)).await {
        Ok(read) => read.map_err(|error| error.kind()),
        Err(_) => Err(io::ErrorKind::TimedOut),
    }
}

/// A sound network.
pub(crate) fn nothing_wrong() -> Network {
    Network::default()
}

/// A zone's name.
pub(crate) fn zone_id(number: usize) -> ZoneId {
    format!("z{number}").into()
}

/// A target `name` on `address`, seen healthy or not by the nodes of zones 1 to 3.
pub(crate) fn target(name: &str, address: HostAddress, port: u16, healthy: bool) -> Target {
    let state = if healthy {
        TargetState::Healthy
    } else {
        TargetState::Unhealthy
    };
    Target {
        instance: name.into(),
        zone: zone_id(address.zone.get().into()),
        address,
        port,
        health: (1..=3).map(|node| (zone_id(node), state)).collect(),
    }
}

impl Stack {
    /// Adds a load balancer `lb` with nodes on host 100 of zones 1 and 2, which forwards to the group `group`.
    pub(crate) fn add_load_balancer(&mut self, kind: LoadBalancerType, port: u16, idle: Duration) {
        let node = |number| Node {
            zone: zone_id(number),
            address: self.host(number, 100),
        };
        let load_balancer = LoadBalancer {
            kind,
            cross_zone: kind == LoadBalancerType::Application,
            away_from: None,
            idle_timeout: idle,
            headers: topologies::topology::Headers::default(),
            nodes: vec![node(1), node(2)],
            listeners: vec![Listener {
                port,
                protocol: match kind {
                    LoadBalancerType::Application => Protocol::Http,
                    LoadBalancerType::Network => Protocol::Tcp,
                },
                rules: Vec::new(),
                default_action: RuleAction::Forward("group".into()),
            }],
        };
        self.routes
            .load_balancers
            .insert("lb".into(), load_balancer);
        let group = TargetGroup {
            cross_zone: None,
            routing: topologies::topology::Balancing::default(),
            targets: Vec::new(),
        };
        self.routes.target_groups.insert("group".into(), group);
    }

    pub(crate) fn load_balancer(&mut self) -> &mut LoadBalancer {
        self.routes.load_balancers.get_mut("lb").unwrap()
    }

    /// Adds a target on host `host` of a zone, with its network interface.
    pub(crate) fn add_target(&mut self, name: &str, zone_number: usize, host: u8, port: u16) {
        let address = self.host(zone_number, host);
        self.add_eni(name, address, port);
        self.targets().push(target(name, address, port, true));
    }

    pub(crate) fn targets(&mut self) -> &mut Vec<Target> {
        &mut self.routes.target_groups.get_mut("group").unwrap().targets
    }

    /// Has every node see a target in this state.
    pub(crate) fn set_health(&mut self, name: &str, state: TargetState) {
        let targets = self.targets().iter_mut();
        for target in targets.filter(|target| target.instance.as_str() == name) {
            target.health.values_mut().for_each(|it| *it = state);
        }
    }
}
