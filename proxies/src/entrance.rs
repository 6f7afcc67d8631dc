//! Which addresses the data plane listens on, what is served there, and what a client that comes there meets. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use topologies::address::{HostAddress, Slot, ZoneNumber, resolver};
use topologies::id::{InstanceId, LoadBalancerId, ZoneId};
use topologies::network::Network;
use topologies::topology::LoadBalancerType;

use crate::door::DoorState;
use crate::routes::{LoadBalancer, Routes, TargetState};

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
    /// An instance's management interface, forwarding to its engine: what fences the network interface does not close it.
    Management {
        instance: InstanceId,
        engine: SocketAddrV4,
    },
    /// A load balancer's node.
    Node(NodePort),
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
    let mut add = |address: HostAddress, port: u16, service: Service| {
        for from in views {
            let entrance = Entrance {
                from: *from,
                to: address.zone,
                service: service.clone(),
            };
            entrances.insert(ports.dial(address, *from, port), entrance);
        }
    };
    for (instance, eni) in &routes.enis {
        let engine = SocketAddrV4::new(eni.address.engine(), ports.real(eni.port));
        let service = Service::Eni {
            instance: instance.clone(),
            engine,
        };
        add(eni.address, eni.port, service);
    }
    for (id, load_balancer) in &routes.load_balancers {
        for node in &load_balancer.nodes {
            for listener in &load_balancer.listeners {
                let node = NodePort {
                    load_balancer: id.clone(),
                    kind: load_balancer.kind,
                    zone: node.zone.clone(),
                    host: node.address,
                    port: listener.port,
                };
                add(node.host, listener.port, Service::Node(node));
            }
        }
    }
    entrances.extend(routes.enis.iter().map(|(instance, eni)| {
        let port = ports.real(eni.port);
        let service = Service::Management {
            instance: instance.clone(),
            engine: SocketAddrV4::new(eni.address.engine(), port),
        };
        let entrance = Entrance {
            from: ZoneNumber::OUTSIDE,
            to: eni.address.zone,
            service,
        };
        (SocketAddrV4::new(eni.address.management(), port), entrance)
    }));
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
    if !network.connects(entrance.from, entrance.to) {
        return DoorState::Dark;
    }
    match &entrance.service {
        Service::Eni { instance, .. } => {
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
        Service::Management { .. } | Service::Node(_) | Service::Resolver => DoorState::Open,
    }
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
            Service::Eni { instance, .. } | Service::Management { instance, .. } => {
                network.closed.contains(instance)
            }
            Service::Node(_) | Service::Resolver => false,
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
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::routes::Eni;

    fn zone(number: usize) -> ZoneNumber {
        ZoneNumber::zone(number).unwrap()
    }

    fn eni(fenced: bool) -> Routes {
        let address = HostAddress {
            slot: Slot::new(100).unwrap(),
            zone: zone(2),
            host: 10,
        };
        let eni = Eni {
            address,
            port: 80,
            fenced,
        };
        Routes {
            enis: BTreeMap::from([("web-1".into(), eni)]),
            ..Routes::default()
        }
    }

    #[test]
    fn an_interface_is_reached_from_every_view() {
        let views = [ZoneNumber::OUTSIDE, zone(1), zone(2)];
        let found = entrances(&eni(false), &views, Ports { offset: 8000 });
        let addresses: Vec<String> = found.keys().map(ToString::to_string).collect();
        assert_eq!(
            addresses,
            [
                "127.100.2.10:8080",
                "127.100.18.10:8080",
                "127.100.34.10:8080",
                "127.100.47.10:8080"
            ]
        );
        let engines: BTreeSet<_> = found
            .values()
            .map(|entrance| {
                let (Service::Eni { engine, .. } | Service::Management { engine, .. }) =
                    &entrance.service
                else {
                    panic!("{entrance:?}")
                };
                engine.to_string()
            })
            .collect();
        assert_eq!(engines, BTreeSet::from(["127.100.242.10:8080".to_owned()]));
    }

    #[test]
    fn silence_wins_over_refusal() {
        let views = [zone(1), zone(2)];
        let check = |fenced: bool, network: &Network| {
            let routes = eni(fenced);
            entrances(&routes, &views, Ports::default())
                .values()
                .filter(|entrance| matches!(entrance.service, Service::Eni { .. }))
                .map(|entrance| door_state(entrance, &routes, network))
                .collect::<Vec<_>>()
        };
        let sound = Network::default();
        assert_eq!(check(false, &sound), [DoorState::Open, DoorState::Open]);
        assert_eq!(
            check(true, &sound),
            [DoorState::Refused, DoorState::Refused]
        );
        let isolated = Network {
            isolated: BTreeSet::from([zone(2)]),
            closed: BTreeSet::from(["web-1".into()]),
            ..Network::default()
        };
        assert_eq!(
            check(false, &isolated),
            [DoorState::Dark, DoorState::Refused]
        );
        let dark = Network {
            dark: BTreeSet::from([zone(2)]),
            ..Network::default()
        };
        assert_eq!(check(true, &dark), [DoorState::Dark, DoorState::Dark]);
    }

    #[test]
    fn management_passes_a_fence_and_nothing_else() {
        let routes = eni(true);
        let mut found = entrances(&routes, &[], Ports::default());
        let (_, entrance) = found.pop_first().unwrap();
        assert!(found.is_empty(), "{found:?}");
        let met = |network: &Network| door_state(&entrance, &routes, network);
        assert_eq!(met(&Network::default()), DoorState::Open);
        let closed = Network {
            closed: BTreeSet::from(["web-1".into()]),
            ..Network::default()
        };
        assert_eq!(met(&closed), DoorState::Refused);
        let dark = Network {
            dark: BTreeSet::from([zone(2)]),
            ..Network::default()
        };
        assert_eq!(met(&dark), DoorState::Dark);
        let isolated = Network {
            isolated: BTreeSet::from([zone(2)]),
            ..Network::default()
        };
        assert_eq!(met(&isolated), DoorState::Dark);
    }

    #[test]
    fn only_the_change_to_unhealthy_ends_a_flow() {
        use TargetState::{Draining, Healthy, Initial, Unhealthy};
        let cases = [
            (Some(Healthy), Some(Unhealthy), true),
            (Some(Initial), Some(Unhealthy), true),
            (Some(Unhealthy), Some(Unhealthy), false),
            (Some(Unhealthy), Some(Healthy), false),
            (Some(Healthy), Some(Draining), false),
            (Some(Healthy), None, false),
        ];
        for (before, now, expected) in cases {
            assert_eq!(
                became_unhealthy(before, now),
                expected,
                "{before:?} {now:?}"
            );
        }
    }
}
