//! Network ACLs: whether connections get across the borders of subnets. Pure.
//!
//! They are stateless: each packet is looked at by itself, at every border that it crosses, so that a connection needs four
//! permissions. What stays in a subnet crosses none. Which of a zone's hosts a client is can not be seen, for programs share the
//! loopback network: it counts as standing anywhere in its subnet, and an entry is about it only if it is about the whole subnet.
//!
//! ```text
//!  client ── outbound of its subnet ─► inbound of the server's ──► server     to the server's port
//!         ◄─ inbound of its subnet ─── outbound of the server's ◄─            to the client's port
//! ```

use std::collections::BTreeMap;

use topologies::address::ZoneNumber;
use topologies::cidr::Cidr;
use topologies::network_acl::NetworkAclEntry;

/// The number of TCP among protocols (IANA); nothing else crosses borders here.
pub(crate) const TCP: u8 = 6;
/// Ports that a client may have: "1024-65535" ("Custom network ACLs: ephemeral ports").
const EPHEMERAL: (u16, u16) = (1024, u16::MAX);

/// A subnet's network ACL, made ready for packets of TCP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    inbound: Vec<Rule>,
    outbound: Vec<Rule>,
}

/// Network ACLs by the zones of their subnets. One without lets everything pass.
pub type Acls = BTreeMap<ZoneNumber, Acl>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    /// Where the other end is.
    cidr: Cidr,
    /// The ports that packets go to.
    ports: (u16, u16),
    allow: bool,
}

/// A packet that crosses a border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packet {
    /// Where the end is that is not in the subnet.
    abroad: Cidr,
    /// The port that it goes to.
    port: u16,
}

impl Acl {
    /// The network ACL with these entries.
    pub fn new(entries: &[NetworkAclEntry]) -> Self {
        let rules = |egress: bool| {
            let own = entries.iter().filter(|it| it.egress == egress);
            let own = own.filter(|it| it.protocol.is_none_or(|protocol| protocol == TCP));
            let mut own: Vec<_> = own.collect();
            own.sort_by_key(|it| it.number);
            let rules = own.into_iter().map(|it| Rule {
                cidr: it.cidr,
                ports: it.ports.unwrap_or((0, u16::MAX)),
                allow: it.allow,
            });
            rules.collect()
        };
        Self {
            inbound: rules(false),
            outbound: rules(true),
        }
    }
}

/// The first rule that matches decides; what none matches is denied.
fn allows(rules: &[Rule], packet: Packet) -> bool {
    let matches = |rule: &&Rule| {
        let (first, last) = rule.ports;
        rule.cidr.contains(packet.abroad) && (first..=last).contains(&packet.port)
    };
    rules.iter().find(matches).is_some_and(|rule| rule.allow)
}

/// From where to where connections go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The clients' zone.
    pub(crate) from: ZoneNumber,
    /// All that they may be.
    pub(crate) clients: Cidr,
    /// The server's zone.
    pub(crate) to: ZoneNumber,
    /// The server.
    pub(crate) server: Cidr,
    /// Its port.
    pub(crate) port: u16,
}

/// How many connections of a route get across.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crossing {
    /// All.
    Free,
    /// That depends on the client's port.
    Partial,
    /// None.
    Barred,
}

impl Route {
    /// Whether a connection from a client's `port` gets across, and what is answered back.
    pub(crate) fn passes(&self, acls: &Acls, port: u16) -> bool {
        self.crosses_no_border() || (self.there(acls) && self.back(acls, port))
    }

    /// How many of all connections get across.
    pub(crate) fn crossing(&self, acls: &Acls) -> Crossing {
        if acls.is_empty() || self.crosses_no_border() {
            return Crossing::Free;
        }
        if !self.there(acls) {
            return Crossing::Barred;
        }
        // Between two of these ports no rule begins or ends.
        let ways = [outbound(acls, self.to), inbound(acls, self.from)];
        let edges = ways.into_iter().flatten().flatten();
        let edges = edges.flat_map(|rule| [rule.ports.0, rule.ports.1.saturating_add(1)]);
        let edges = edges.filter(|port| (EPHEMERAL.0..=EPHEMERAL.1).contains(port));
        let mut ports = edges.chain([EPHEMERAL.0]);
        let first = self.back(acls, EPHEMERAL.0);
        match (first, ports.all(|port| self.back(acls, port) == first)) {
            (true, true) => Crossing::Free,
            (false, true) => Crossing::Barred,
            (_, false) => Crossing::Partial,
        }
    }

    fn crosses_no_border(&self) -> bool {
        self.from == self.to
    }

    fn there(&self, acls: &Acls) -> bool {
        let leaves = Packet {
            abroad: self.server,
            port: self.port,
        };
        let enters = Packet {
            abroad: self.clients,
            port: self.port,
        };
        lets(outbound(acls, self.from), leaves) && lets(inbound(acls, self.to), enters)
    }

    fn back(&self, acls: &Acls, port: u16) -> bool {
        let leaves = Packet {
            abroad: self.clients,
            port,
        };
        let enters = Packet {
            abroad: self.server,
            port,
        };
        lets(outbound(acls, self.to), leaves) && lets(inbound(acls, self.from), enters)
    }
}

fn lets(rules: Option<&[Rule]>, packet: Packet) -> bool {
    rules.is_none_or(|rules| allows(rules, packet))
}

fn inbound(acls: &Acls, zone: ZoneNumber) -> Option<&[Rule]> {
    acls.get(&zone).map(|acl| acl.inbound.as_slice())
}

fn outbound(acls: &Acls, zone: ZoneNumber) -> Option<&[Rule]> {
    acls.get(&zone).map(|acl| acl.outbound.as_slice())
}

#[cfg(test)]
mod tests {
    use topologies::address::{ABROAD, Slot, subnet};

    use super::*;

    /// `100 out allow tcp 127.64.2.0/24 80-81`; `*` for all protocols, all ports.
    fn entry(text: &str) -> NetworkAclEntry {
        let words: Vec<&str> = text.split(' ').collect();
        let [number, way, action, protocol, cidr, ports] = words[..] else {
            panic!("{text}")
        };
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            (first.parse().unwrap(), last.parse().unwrap())
        };
        NetworkAclEntry {
            number: number.parse().unwrap(),
            egress: way == "out",
            allow: action == "allow",
            protocol: match protocol {
                "*" => None,
                "tcp" => Some(TCP),
                other => Some(other.parse().unwrap()),
            },
            cidr: cidr.parse().unwrap(),
            ports: (ports != "*").then(|| range(ports)),
            icmp: None,
        }
    }

    fn acl(entries: &[&str]) -> Acl {
        let entries: Vec<_> = entries.iter().map(|text| entry(text)).collect();
        Acl::new(&entries)
    }

    fn zone(number: usize) -> ZoneNumber {
        ZoneNumber::zone(number).unwrap()
    }

    /// To `127.64.2.10:80` from the zone with this number, 0 for outside.
    fn route(from: usize) -> Route {
        let slot = Slot::new(64).unwrap();
        let zoned = |number| (zone(number), subnet(slot, zone(number)));
        let (from, clients) = match from {
            0 => (ZoneNumber::OUTSIDE, Cidr::host(ABROAD)),
            number => zoned(number),
        };
        Route {
            from,
            clients,
            to: zone(2),
            server: "127.64.2.10/32".parse().unwrap(),
            port: 80,
        }
    }

    const IN: &str = "100 in allow * 0.0.0.0/0 *";
    const OUT: &str = "100 out allow * 0.0.0.0/0 *";

    #[test]
    fn the_first_entry_that_matches_decides_and_without_one_it_is_no() {
        let source = |text: &str| Packet {
            abroad: text.parse().unwrap(),
            port: 80,
        };
        for (entries, from, allowed) in [
            (&[][..], "127.64.1.0/24", false),
            (&[IN], "127.64.1.0/24", true),
            (&[OUT], "127.64.1.0/24", false),
            (&[IN, "99 in deny * 0.0.0.0/0 *"], "127.64.1.0/24", false),
            (&[IN, "101 in deny * 0.0.0.0/0 *"], "127.64.1.0/24", true),
            (
                &[IN, "99 in deny tcp 127.64.1.0/24 *"],
                "127.64.1.0/24",
                false,
            ),
            (
                &[IN, "99 in deny tcp 127.64.1.0/24 *"],
                "127.64.3.0/24",
                true,
            ),
            (&[IN, "99 in deny 17 0.0.0.0/0 *"], "127.64.1.0/24", true),
            (
                &[IN, "99 in deny tcp 0.0.0.0/0 81-90"],
                "127.64.1.0/24",
                true,
            ),
            (
                &[IN, "99 in deny tcp 0.0.0.0/0 79-80"],
                "127.64.1.0/24",
                false,
            ),
            // Part of those that it may come from.
            (
                &[IN, "99 in deny tcp 127.64.1.10/32 *"],
                "127.64.1.0/24",
                true,
            ),
            (&["99 in allow * 127.64.0.0/16 *"], "127.64.1.0/24", true),
            (&["99 in allow * 127.64.0.0/16 *"], "127.0.0.1/32", false),
        ] {
            let rules = acl(entries).inbound;
            assert_eq!(allows(&rules, source(from)), allowed, "{entries:?} {from}");
        }
    }

    #[test]
    fn a_connection_needs_four_permissions() {
        use Crossing::{Barred, Free, Partial};
        let open = || acl(&[IN, OUT]);
        let closed = || Acl::default();
        let all = &[(1, Free), (2, Free), (0, Free)][..];
        let only_own = &[(1, Barred), (2, Free), (0, Barred)][..];
        for (client, server, expected) in [
            (None, None, all),
            (Some(open()), Some(open()), all),
            (None, Some(closed()), only_own),
            (Some(closed()), None, &[(1, Barred), (0, Free)]),
            // The way there at each border, and the way back.
            (None, Some(acl(&[IN])), only_own),
            (None, Some(acl(&[OUT])), only_own),
            (Some(acl(&[IN])), None, &[(1, Barred)]),
            (Some(acl(&[OUT])), None, &[(1, Barred)]),
            // Return traffic goes to the client's port, not to the server's.
            (
                None,
                Some(acl(&[IN, "100 out allow tcp 0.0.0.0/0 80"])),
                only_own,
            ),
            (
                None,
                Some(acl(&[
                    "100 in allow tcp 0.0.0.0/0 80",
                    "100 out allow tcp 0.0.0.0/0 1024-65535",
                ])),
                all,
            ),
            (
                None,
                Some(acl(&[IN, "100 out allow tcp 0.0.0.0/0 32768-65535"])),
                &[(1, Partial), (2, Free), (0, Partial)],
            ),
            (
                None,
                Some(acl(&[IN, "99 out deny tcp 0.0.0.0/0 40000", OUT])),
                &[(1, Partial), (0, Partial)],
            ),
            // A client outside is in no VPC.
            (
                None,
                Some(acl(&["100 in allow * 127.64.0.0/16 *", OUT])),
                &[(1, Free), (0, Barred)],
            ),
        ] {
            let acls = [(zone(1), client), (zone(2), server)];
            let acls: Acls = acls
                .into_iter()
                .filter_map(|(zone, acl)| Some((zone, acl?)))
                .collect();
            for (from, crossing) in expected {
                assert_eq!(route(*from).crossing(&acls), *crossing, "{from} {acls:?}");
            }
        }
    }

    #[test]
    fn one_port_of_a_client_may_pass_and_another_not() {
        let own = acl(&[IN, "99 out deny tcp 0.0.0.0/0 40000-40009", OUT]);
        let acls = Acls::from([(zone(2), own)]);
        for (port, passes) in [
            (39_999, true),
            (40_000, false),
            (40_009, false),
            (40_010, true),
        ] {
            assert_eq!(route(1).passes(&acls, port), passes, "{port}");
            assert!(route(2).passes(&acls, port));
        }
    }
}
