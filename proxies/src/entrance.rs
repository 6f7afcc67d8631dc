//! Which addresses the data plane listens on, what is served there, and what a client that comes there meets. Pure.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use topologies::address::{ABROAD, HostAddress, Slot, ZoneNumber, resolver, subnet};
use topologies::cidr::Cidr;
use topologies::id::{InstanceId, LoadBalancerId, ZoneId};
use topologies::network::Network;
use topologies::topology::LoadBalancerType;

use crate::acl::{Crossing, Route};
use crate::door::DoorState;
use crate::flow::Weather;
use crate::routes::{Eni, LoadBalancer, Routes, TargetState};
use crate::security_group::{Opening, Server, Tracking};

/// The lowest port that everybody may bind.
const FIRST_UNPRIVILEGED: u16 = 1024;

/// Where ports really are: those below 1024 are moved where the right to bind them is lacking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Added to ports below 1024.
    pub offset: u16,
}

impl Ports {
    /// The port at which `port` is really found.
    pub fn real(self, port: u16) -> u16 {
        if port < FIRST_UNPRIVILEGED {
            port.saturating_add(self.offset)
        } else {
            port
        }
    }

    /// The address of `host`'s `port`, dialled from zone `from`.
    pub fn dial(self, host: HostAddress, from: ZoneNumber, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(host.seen_from(from), self.real(port))
    }
}

/// What is served at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// An instance's network interface, forwarding to its engine.
    Eni {
        instance: InstanceId,
        engine: SocketAddrV4,
    },
    /// The same for those who replicate its engine: network ACLs are not about it.
    Replication {
        instance: InstanceId,
        engine: SocketAddrV4,
    },
    /// The same for load balancers' nodes: their security groups are asked when they dial, by themselves.
    Balanced {
        instance: InstanceId,
        engine: SocketAddrV4,
    },
    /// An instance's management interface, forwarding to its engine: what fences the network interface does not close it.
    Management {
        instance: InstanceId,
        engine: SocketAddrV4,
    },
    /// A load balancer's node.
    Node(NodePort),
    /// A load balancer's node as the control plane knocks at it, whatever a network ACL lets through.
    NodeManagement(NodePort),
    /// The resolver, over TCP.
    Resolver,
}

/// A listener on a node of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodePort {
    pub(crate) load_balancer: LoadBalancerId,
    pub(crate) kind: LoadBalancerType,
    pub(crate) zone: ZoneId,
    /// The node's own address, seen from its own zone: what its targets see.
    pub(crate) host: HostAddress,
    /// The listener's port as the load balancer has it, wherever it really is.
    pub(crate) port: u16,
}

/// A service as seen from one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entrance {
    /// The zone of the clients.
    pub(crate) from: ZoneNumber,
    /// The zone of the server.
    pub(crate) to: ZoneNumber,
    pub(crate) service: Service,
}

/// Every entrance that `routes` ask for, by address.
pub(crate) fn entrances(
    routes: &Routes,
    views: &[ZoneNumber],
    ports: Ports,
) -> BTreeMap<SocketAddrV4, Entrance> {
    let mut entrances = BTreeMap::new();
    let mut add = |door: Ipv4Addr, (from, to): (ZoneNumber, ZoneNumber), port: u16, service| {
        let door = SocketAddrV4::new(door, ports.real(port));
        entrances.insert(door, Entrance { from, to, service });
    };
    for (instance, eni) in &routes.enis {
        let Eni {
            address,
            port,
            replicates,
            ..
        } = *eni;
        let to = address.zone;
        let engine = SocketAddrV4::new(address.engine(), ports.real(port));
        let instance = || instance.clone();
        for from in views.iter().copied() {
            let instance = instance();
            let service = Service::Eni { instance, engine };
            add(address.seen_from(from), (from, to), port, service);
        }
        for from in views
            .iter()
            .copied()
            .filter(|it| *it != ZoneNumber::OUTSIDE)
        {
            let instance = instance();
            let (door, service) = if replicates {
                let service = Service::Replication { instance, engine };
                (address.replication(from), service)
            } else {
                let service = Service::Balanced { instance, engine };
                (address.balanced(from), service)
            };
            add(door, (from, to), port, service);
        }
        let instance = instance();
        let service = Service::Management { instance, engine };
        add(
            address.management(),
            (ZoneNumber::OUTSIDE, to),
            port,
            service,
        );
    }
    for (id, load_balancer) in &routes.load_balancers {
        for node in &load_balancer.nodes {
            for listener in &load_balancer.listeners {
                let (host, port) = (node.address, listener.port);
                let node = NodePort {
                    load_balancer: id.clone(),
                    kind: load_balancer.kind,
                    zone: node.zone.clone(),
                    host,
                    port,
                };
                for from in views.iter().copied() {
                    let service = Service::Node(node.clone());
                    add(host.seen_from(from), (from, host.zone), port, service);
                }
                let from = ZoneNumber::OUTSIDE;
                let service = Service::NodeManagement(node);
                add(host.management(), (from, host.zone), port, service);
            }
        }
    }
    entrances
}

/// The resolver's entrance for a view.
pub(crate) fn resolver_entrance(
    slot: Slot,
    view: ZoneNumber,
    port: u16,
) -> (SocketAddrV4, Entrance) {
    let entrance = Entrance {
        from: view,
        to: view,
        service: Service::Resolver,
    };
    (SocketAddrV4::new(resolver(slot, view), port), entrance)
}

/// What a new connection to `entrance` meets. Silence wins over refusal: a refusal would have to travel, too.
pub(crate) fn door_state(entrance: &Entrance, routes: &Routes, network: &Network) -> DoorState {
    if !network.connects(entrance.from, entrance.to)
        || crossing(entrance, routes) == Crossing::Barred
        || opening(entrance, None, routes)
            .is_some_and(|it| routes.groups.crossing(it) == Crossing::Barred)
    {
        return DoorState::Dark;
    }
    match &entrance.service {
        Service::Eni { instance, .. }
        | Service::Replication { instance, .. }
        | Service::Balanced { instance, .. } => {
            let fenced = routes.enis.get(instance).is_none_or(|eni| eni.fenced);
            if fenced || network.closed.contains(instance) {
                DoorState::Refused
            } else {
                DoorState::Open
            }
        }
        Service::Management { instance, .. } if network.closed.contains(instance) => {
            DoorState::Refused
        }
        Service::Management { .. }
        | Service::Node(_)
        | Service::NodeManagement(_)
        | Service::Resolver => DoorState::Open,
    }
}

/// A client's end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Its port.
    pub(crate) port: u16,
    /// What of security groups the connection goes on by.
    pub(crate) tracking: Tracking,
    /// Which of its zone's instances it is, if that is known.
    pub(crate) instance: Option<InstanceId>,
}

impl Caller {
    /// Of a connection that is opened at this moment.
    pub(crate) fn new(
        entrance: &Entrance,
        port: u16,
        instance: Option<InstanceId>,
        routes: &Routes,
    ) -> Self {
        let opening = opening(entrance, instance.as_ref(), routes);
        let tracking = match (opening, &entrance.service) {
            (Some(opening), _) => routes.groups.tracking(opening),
            // Whatever groups there will be.
            (None, Service::Node(_)) => Tracking::Kept,
            (None, _) => Tracking::Rules,
        };
        Self {
            port,
            tracking,
            instance,
        }
    }
}

/// Whether it has to be known which of its zone's instances a client of `entrance` is: some get in and some do not.
pub(crate) fn asks(entrance: &Entrance, routes: &Routes) -> bool {
    let opening = opening(entrance, None, routes);
    opening.is_some_and(|it| routes.groups.crossing(it) == Crossing::Partial)
}

/// What packets of a connection that came from a caller meet. One whose door is open may still be of a port that nothing may be
/// answered to.
pub(crate) fn weather(
    entrance: &Entrance,
    caller: &Caller,
    routes: &Routes,
    network: &Network,
) -> Weather {
    let mut weather = Weather::between(network, entrance.from, entrance.to);
    let Caller {
        port,
        tracking,
        instance,
    } = caller;
    let barred = || route(entrance, routes).is_some_and(|it| !it.passes(&routes.acls, *port));
    let unknown = || {
        opening(entrance, instance.as_ref(), routes)
            .is_some_and(|it| !routes.groups.carries(it, *port, *tracking))
    };
    weather.dark = weather.dark || barred() || unknown();
    weather
}

/// What security groups are about of the way to `entrance`; load balancers' nodes ask for themselves.
fn opening<'e>(
    entrance: &'e Entrance,
    by: Option<&'e InstanceId>,
    routes: &Routes,
) -> Option<Opening<'e>> {
    if routes.groups.is_empty() {
        return None;
    }
    let (to, port) = match &entrance.service {
        Service::Eni { instance, .. } => {
            let eni = routes.enis.get(instance)?;
            (Server::Instance(instance), eni.port)
        }
        Service::Node(node) => (Server::Node(&node.load_balancer, node.host), node.port),
        Service::Replication { .. }
        | Service::Balanced { .. }
        | Service::Management { .. }
        | Service::NodeManagement(_)
        | Service::Resolver => return None,
    };
    let from = entrance.from;
    Some(Opening { from, by, to, port })
}

/// How many connections to `entrance` network ACLs let through.
pub(crate) fn crossing(entrance: &Entrance, routes: &Routes) -> Crossing {
    route(entrance, routes).map_or(Crossing::Free, |it| it.crossing(&routes.acls))
}

/// The way to `entrance`, if it is one that network ACLs are about: what AWS itself runs in a subnet is reached past them, and so
/// is the resolver ("Network ACLs: not filtered").
fn route(entrance: &Entrance, routes: &Routes) -> Option<Route> {
    if routes.acls.is_empty() {
        return None;
    }
    let (server, port) = match &entrance.service {
        Service::Eni { instance, .. } | Service::Balanced { instance, .. } => {
            let eni = routes.enis.get(instance)?;
            (eni.address, eni.port)
        }
        Service::Node(node) => (node.host, node.port),
        Service::Replication { .. }
        | Service::Management { .. }
        | Service::NodeManagement(_)
        | Service::Resolver => return None,
    };
    let clients = if entrance.from == ZoneNumber::OUTSIDE {
        Cidr::host(ABROAD)
    } else {
        subnet(server.slot, entrance.from)
    };
    Some(Route {
        from: entrance.from,
        clients,
        to: entrance.to,
        server: Cidr::host(server.seen_from(ZoneNumber::OUTSIDE)),
        port,
    })
}

/// What decides whether an open connection may stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stake {
    /// The instance that it reaches.
    Instance(InstanceId),
    /// The load balancer's node that it goes through.
    Node(NodePort),
    /// A flow of a Network Load Balancer to a target.
    Flow {
        node: NodePort,
        target: InstanceId,
        /// The target's health, as last seen by the node.
        health: Option<TargetState>,
    },
    /// Nothing.
    None,
}

impl Stake {
    /// Whether an open connection has to be reset under these circumstances. A stake remembers the target's health.
    pub(crate) fn lost(&mut self, routes: &Routes, network: &Network) -> bool {
        match self {
            Self::None => false,
            Self::Instance(instance) => routes.enis.get(instance).is_none_or(|eni| eni.fenced),
            Self::Node(node) => node_lost(node, routes, network),
            Self::Flow {
                node,
                target,
                health,
            } => {
                let load_balancer = routes.load_balancers.get(&node.load_balancer);
                let seen = load_balancer.and_then(|it| target_health(it, node, target, routes));
                let failed = became_unhealthy(*health, seen);
                *health = seen;
                failed || node_lost(node, routes, network)
            }
        }
    }
}

/// Whether the server behind `entrance` has no power or its process is gone.
pub(crate) fn stricken(entrance: &Entrance, network: &Network) -> bool {
    network.dark.contains(&entrance.to)
        || match &entrance.service {
            Service::Eni { instance, .. }
            | Service::Replication { instance, .. }
            | Service::Balanced { instance, .. }
            | Service::Management { instance, .. } => network.closed.contains(instance),
            Service::Node(_) | Service::NodeManagement(_) | Service::Resolver => false,
        }
}

/// A node that loses power knows none of its connections when it is back; neither does one that is gone.
fn node_lost(node: &NodePort, routes: &Routes, network: &Network) -> bool {
    let there = routes
        .load_balancers
        .get(&node.load_balancer)
        .is_some_and(|it| {
            it.nodes.iter().any(|n| n.zone == node.zone)
                && it.listeners.iter().any(|l| l.port == node.port)
        });
    !there || network.dark.contains(&node.host.zone)
}

/// `target_health_state.unhealthy.connection_termination.enabled` is true by default (NLB target group attributes): flows are
/// reset when their target *becomes* unhealthy. A flow that was routed to an unhealthy one, failing open, goes on; so does
/// one whose target is deregistered.
fn became_unhealthy(before: Option<TargetState>, now: Option<TargetState>) -> bool {
    now == Some(TargetState::Unhealthy) && before != Some(TargetState::Unhealthy)
}

/// The health of `target` in the group that the node's listener forwards to, as this node sees it.
pub(crate) fn target_health(
    load_balancer: &LoadBalancer,
    node: &NodePort,
    target: &InstanceId,
    routes: &Routes,
) -> Option<TargetState> {
    let group = crate::nlb::route::target_group(load_balancer, node.port, routes)?;
    let target = group.targets.iter().find(|it| it.instance == *target)?;
    target.health.get(&node.zone).copied()
}

#[cfg(test)]
mod tests;
