//! Which addresses the data plane listens on, and what is served there. Pure.
//!
//! - `admission`: what a client meets that comes there; `stake`: what an open connection stands on.

mod admission;
mod stake;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use topologies::address::{HostAddress, Slot, ZoneNumber, resolver};
use topologies::id::{InstanceId, LoadBalancerId, ZoneId};
use topologies::topology::LoadBalancerType;

use crate::routes::{Eni, Routes};
pub(crate) use admission::{Caller, asks, crossing, door_state, stricken, weather};
pub(crate) use stake::{Stake, target_health};

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

impl Entrance {
    /// What a user knows it as.
    pub(crate) fn name(&self) -> String {
        match &self.service {
            Service::Eni { instance, .. } => format!("instance `{instance}`"),
            Service::Balanced { instance, .. } => {
                format!("the interface of instance `{instance}` for load balancers")
            }
            Service::Replication { instance, .. } => {
                format!("the replication interface of instance `{instance}`")
            }
            Service::Management { instance, .. } => {
                format!("the management interface of instance `{instance}`")
            }
            Service::Node(node) | Service::NodeManagement(node) => {
                format!("load balancer `{}` in `{}`", node.load_balancer, node.zone)
            }
            Service::Resolver => "resolver".to_owned(),
        }
    }
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

#[cfg(test)]
mod tests;
