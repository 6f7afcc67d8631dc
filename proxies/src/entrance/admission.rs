//! What a client meets at an entrance: its door, and whether what it sends gets through. Pure.

use topologies::address::{ABROAD, ZoneNumber, subnet};
use topologies::cidr::Cidr;
use topologies::id::InstanceId;
use topologies::network::Network;

use super::{Entrance, Service};
use crate::acl::{Crossing, Route};
use crate::door::DoorState;
use crate::flow::Weather;
use crate::routes::Routes;
use crate::security_group::{Opening, Server, Tracking};

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
