//! Security groups: who may open connections to whom. Pure.
//!
//! They are stateful: a connection is looked at when it is opened, by what the client's groups say of connections out and the server's of
//! connections in; what is answered needs no permission of its own. A load balancer's node is known; of another client only its zone is,
//! for programs share the loopback network: it may be any of the zone's instances, and gets in if one of them does, until it is known
//! which of them it is.
//!
//! ```text
//!  client ── a rule of its groups about egress: port, server
//!         ── a rule of the server's groups about ingress: port, client ─► server
//! ```
//! A connection that a rule lets in from everywhere, while another lets everything out, is not kept in mind ("Security group connection
//! tracking"): it goes on for as long as rules let it. Any other goes on once it is open.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use topologies::address::{ABROAD, HostAddress, ZoneNumber};
use topologies::cidr::Cidr;
use topologies::id::{InstanceId, LoadBalancerId, SecurityGroupId};
use topologies::security_group::{Peer, SecurityGroupRule};

use crate::acl::{Crossing, TCP};

/// All ports.
const PORTS: (u16, u16) = (0, u16::MAX);

/// Security groups, made ready for connections of TCP. Without any, everybody reaches everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    rules: BTreeMap<SecurityGroupId, Rules>,
    instances: BTreeMap<InstanceId, Party>,
    /// Those that have some.
    load_balancers: BTreeMap<LoadBalancerId, Vec<SecurityGroupId>>,
    /// All that a client in a zone may be.
    clients: BTreeMap<ZoneNumber, Vec<Party>>,
}

/// The rules of a group about TCP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rules {
    ingress: Vec<Rule>,
    egress: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    ports: (u16, u16),
    peer: Peer,
}

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Where it is, or all the places where it may be.
    pub address: Cidr,
    /// Its security groups; without any nothing is kept from it, and nothing it does is.
    pub groups: Vec<SecurityGroupId>,
}

/// Whom a connection is opened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server<'a> {
    /// An instance.
    Instance(&'a InstanceId),
    /// A load balancer's node.
    Node(&'a LoadBalancerId, HostAddress),
}

/// What an open connection goes on by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracking {
    /// It is kept in mind: it goes on whatever becomes of rules.
    Kept,
    /// What the server's rules let through, either way. The client's end keeps in mind what it opened: what comes back would be let in
    /// from everywhere there only by the default group's rule that is ours, and by that every connection of a stack.
    Rules,
    /// It was not to be opened: what would let it be.
    None,
    /// Nothing until it is known whose it is.
    Asked,
}

/// From where to whom connections are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opening<'a> {
    /// The clients' zone.
    pub(crate) from: ZoneNumber,
    /// Which of its instances the client is, if that is known.
    pub(crate) by: Option<&'a InstanceId>,
    /// The server.
    pub(crate) to: Server<'a>,
    /// Its port.
    pub(crate) port: u16,
}

impl Groups {
    /// With a security group more.
    pub fn insert(&mut self, group: SecurityGroupId, rules: &[SecurityGroupRule]) {
        let of = |egress: bool| {
            let own = rules.iter().filter(|it| it.egress == egress);
            let own = own.filter(|it| it.protocol.is_none_or(|protocol| protocol == TCP));
            let own = own.map(|it| Rule {
                ports: it.ports.unwrap_or(PORTS),
                peer: it.peer.clone(),
            });
            own.collect()
        };
        let rules = Rules {
            ingress: of(false),
            egress: of(true),
        };
        self.rules.insert(group, rules);
    }

    /// With an instance more, to which connections may be opened.
    pub fn insert_instance(&mut self, instance: InstanceId, party: Party) {
        self.instances.insert(instance, party);
    }

    /// With a load balancer more, whose nodes have these security groups.
    pub fn insert_load_balancer(&mut self, id: LoadBalancerId, groups: Vec<SecurityGroupId>) {
        self.load_balancers.insert(id, groups);
    }

    /// With somebody more whom a client in a zone may be.
    pub fn insert_client(&mut self, zone: ZoneNumber, party: Party) {
        self.clients.entry(zone).or_default().push(party);
    }

    /// Whether there are none, so that nothing has to be looked at.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many of all clients there can be get in.
    pub(crate) fn crossing(&self, opening: Opening<'_>) -> Crossing {
        let server = self.server(opening.to);
        let clients = self.clients(opening);
        let admitted = clients
            .iter()
            .map(|it| self.admits(it, &server, opening.port));
        let admitted: Vec<bool> = admitted.collect();
        match (admitted.contains(&true), admitted.contains(&false)) {
            (true, false) => Crossing::Free,
            (true, true) => Crossing::Partial,
            (false, _) => Crossing::Barred,
        }
    }

    /// What a connection goes on by that is opened at this moment.
    pub(crate) fn tracking(&self, opening: Opening<'_>) -> Tracking {
        if self.crossing(opening) == Crossing::Barred {
            return Tracking::None;
        }
        // "Automatically tracked connections": those through load balancers.
        let Server::Instance(_) = opening.to else {
            return Tracking::Kept;
        };
        let server = self.server(opening.to);
        let ports = (opening.port, opening.port);
        match self.is_open(&server, Way::In, ports) && self.is_open(&server, Way::Out, PORTS) {
            true => Tracking::Rules,
            false => Tracking::Kept,
        }
    }

    /// Whether what goes to and fro on a connection from a client's `port` passes.
    pub(crate) fn carries(&self, opening: Opening<'_>, port: u16, tracking: Tracking) -> bool {
        let server = || self.server(opening.to);
        match tracking {
            Tracking::Kept => true,
            Tracking::Rules => self.clients(opening).iter().any(|client| {
                let server = server();
                self.permits(&server, Way::In, opening.port, client)
                    && self.permits(&server, Way::Out, port, client)
            }),
            Tracking::None => self.crossing(opening) != Crossing::Barred,
            Tracking::Asked => false,
        }
    }

    /// Whether a load balancer's node, which stands here, gets to a target.
    pub(crate) fn reaches(
        &self,
        (load_balancer, node): (&LoadBalancerId, HostAddress),
        target: &InstanceId,
        port: u16,
    ) -> bool {
        let node = self.server(Server::Node(load_balancer, node));
        let target = self.server(Server::Instance(target));
        self.admits(&node, &target, port)
    }

    fn admits(&self, client: &Party, server: &Party, port: u16) -> bool {
        self.permits(client, Way::Out, port, server) && self.permits(server, Way::In, port, client)
    }

    /// Whether a party's own rules let it have to do with `peer` over a port.
    fn permits(&self, party: &Party, way: Way, port: u16, peer: &Party) -> bool {
        party.groups.is_empty() || self.has_rule(party, way, (port, port), peer)
    }

    /// Whether one of a party's rules is about these ports of everybody.
    fn is_open(&self, party: &Party, way: Way, ports: (u16, u16)) -> bool {
        let everybody = Party {
            address: Cidr::new(Ipv4Addr::UNSPECIFIED, 0),
            groups: Vec::new(),
        };
        self.has_rule(party, way, ports, &everybody)
    }

    fn has_rule(&self, party: &Party, way: Way, ports: (u16, u16), peer: &Party) -> bool {
        let groups = party.groups.iter().filter_map(|it| self.rules.get(it));
        let mut rules = groups.flat_map(|group| match way {
            Way::In => &group.ingress,
            Way::Out => &group.egress,
        });
        rules.any(|it| it.is_about(ports, peer))
    }

    /// All that the client may be.
    fn clients(&self, opening: Opening<'_>) -> Cow<'_, [Party]> {
        if let Some(known) = opening.by.and_then(|it| self.instances.get(it)) {
            return Cow::Borrowed(std::slice::from_ref(known));
        }
        match self.clients.get(&opening.from) {
            Some(known) => Cow::Borrowed(known),
            None => Cow::Owned(vec![Party::at(ABROAD)]),
        }
    }

    fn server(&self, server: Server<'_>) -> Cow<'_, Party> {
        match server {
            Server::Instance(instance) => match self.instances.get(instance) {
                Some(known) => Cow::Borrowed(known),
                None => Cow::Owned(Party::at(ABROAD)),
            },
            Server::Node(load_balancer, node) => {
                let groups = self.load_balancers.get(load_balancer);
                Cow::Owned(Party {
                    groups: groups.cloned().unwrap_or_default(),
                    ..Party::at(node.seen_from(ZoneNumber::OUTSIDE))
                })
            }
        }
    }
}

impl Party {
    /// Somebody at this address who has no security groups.
    fn at(address: Ipv4Addr) -> Self {
        Self {
            address: Cidr::host(address),
            groups: Vec::new(),
        }
    }
}

/// Which way a connection is opened, as one of its ends sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

impl Rule {
    fn is_about(&self, (first, last): (u16, u16), peer: &Party) -> bool {
        let known = match &self.peer {
            Peer::Cidr(cidr) => cidr.contains(peer.address),
            Peer::Group(group) => peer.groups.contains(group),
            Peer::Ipv6(_) => false,
        };
        known && self.ports.0 <= first && last <= self.ports.1
    }
}

#[cfg(test)]
mod tests;
