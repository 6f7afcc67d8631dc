//! Addresses: every host of a stack is a loopback address that says both where it stands and from where it is seen.
//!
//! A stack leases a slot `N` and with it `127.N.0.0/16`. Host `h` of zone `d`, seen from zone `s`, is
//! `127.N.(16*s + d).h`. Because the source's zone is part of the address that it dials, a link between two zones can
//! be slowed or cut without a packet filter. `127.N.(16*d + 15).h` is the host's management interface, for the control plane alone,
//! and `127.(N + 64).(16*s + d).h` an engine's replication interface, for those of zone `s` who follow it, or an application instance's for
//! the load balancers' nodes in zone `s`.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::cidr::Cidr;

/// A stack's share of the loopback network, `127.N.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(u8);

impl Slot {
    /// The lowest slot; those below are left to other programs' habits (`127.0.0.1`, `127.0.0.53`, `127.1.1.1`).
    pub const MIN: u8 = 64;
    /// The highest slot.
    pub const MAX: u8 = 127;

    /// The slot `number`, or none outside of 64 to 127.
    pub fn new(number: u8) -> Option<Self> {
        (Self::MIN..=Self::MAX)
            .contains(&number)
            .then_some(Self(number))
    }

    /// The second octet of the slot's addresses.
    pub fn number(self) -> u8 {
        self.0
    }
}

/// A place traffic comes from or goes to, in the third octet's nibble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ZoneNumber(u8);

impl ZoneNumber {
    /// Outside of the stack: a test, a browser on the host, the control plane. As destination: a view's own services.
    pub const OUTSIDE: Self = Self(0);
    /// Where engines really listen; only the data plane dials it.
    pub const ENGINES: Self = Self(15);
    /// As destination: the management interfaces of the hosts of the zone that is given as the source.
    const MANAGEMENT: Self = Self(15);
    /// The most zones that one stack may have, over all its regions.
    pub const MAX_ZONES: usize = 14;

    /// The zone with this number, or none outside of 1 to 14.
    pub fn zone(number: usize) -> Option<Self> {
        (1..=Self::MAX_ZONES)
            .contains(&number)
            .then(|| Self(u8::try_from(number).expect("at most 14")))
    }

    /// The number, 0 to 15.
    pub fn get(self) -> u8 {
        self.0
    }
}

/// From the second octet of a stack's addresses to that of its replication interfaces: beyond every slot.
const REPLICATION: u8 = 64;

/// Where a host stands: its zone and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostAddress {
    /// The stack's slot.
    pub slot: Slot,
    /// The zone in which the host stands.
    pub zone: ZoneNumber,
    /// The host's number in its zone, 1 to 254.
    pub host: u8,
}

impl HostAddress {
    /// The most hosts that one zone may have.
    pub const MAX_HOSTS: usize = 254;

    /// The host's address as dialled from zone `from`.
    pub fn seen_from(self, from: ZoneNumber) -> Ipv4Addr {
        Ipv4Addr::new(127, self.slot.0, 16 * from.0 + self.zone.0, self.host)
    }

    /// The address at which the host's engine really listens.
    pub fn engine(self) -> Ipv4Addr {
        self.seen_from(ZoneNumber::ENGINES)
    }

    /// The host's management interface: as the provider's own network reaches a host whatever a customer's interface lets
    /// through. It stands in the host's zone: without power, or cut off, it is as silent as the zone.
    pub fn management(self) -> Ipv4Addr {
        let host = Self {
            zone: ZoneNumber::MANAGEMENT,
            ..self
        };
        host.seen_from(self.zone)
    }

    /// The host's replication interface as dialled from zone `from`: as the provider's own network carries what managed engines
    /// replicate, whatever a customer's network ACLs let through. Links between zones are the same for all.
    pub fn replication(self, from: ZoneNumber) -> Ipv4Addr {
        let [net, slot, zones, host] = self.seen_from(from).octets();
        Ipv4Addr::new(net, slot + REPLICATION, zones, host)
    }

    /// The interface of an application instance for load balancers' nodes in zone `from`, who are known where others are not: which of
    /// the zone's instances somebody is can not be told. It has the form of the replication interface, which only engines have.
    pub fn balanced(self, from: ZoneNumber) -> Ipv4Addr {
        self.replication(from)
    }

    /// Which host `address` means and from where it is dialled, if it is one of `127.64.0.0` to `127.127.255.255`.
    pub fn parse(address: Ipv4Addr) -> Option<(ZoneNumber, Self)> {
        let [first, slot, views, host] = address.octets();
        let slot = Slot::new(slot).filter(|_| first == 127)?;
        Some((
            ZoneNumber(views / 16),
            Self {
                slot,
                zone: ZoneNumber(views % 16),
                host,
            },
        ))
    }
}

/// The addresses of a stack's VPCs: of all hosts as they are seen from outside.
pub fn vpc(slot: Slot) -> Cidr {
    Cidr::new(Ipv4Addr::new(127, slot.0, 0, 0), 16)
}

/// Those of a zone's subnet.
pub fn subnet(slot: Slot, zone: ZoneNumber) -> Cidr {
    Cidr::new(Ipv4Addr::new(127, slot.0, zone.0, 0), 24)
}

/// Where somebody outside of a stack counts as standing: at an address that is in no VPC.
pub const ABROAD: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The resolver of the view from `from`: `.2`, as in a VPC.
pub fn resolver(slot: Slot, from: ZoneNumber) -> Ipv4Addr {
    HostAddress {
        slot,
        zone: ZoneNumber::OUTSIDE,
        host: 2,
    }
    .seen_from(from)
}

/// The stack's own control and AWS API address as seen from `from`: `.1`.
pub fn api(slot: Slot, from: ZoneNumber) -> Ipv4Addr {
    HostAddress {
        slot,
        zone: ZoneNumber::OUTSIDE,
        host: 1,
    }
    .seen_from(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_says_who_dials_whom() {
        let zone = |number| ZoneNumber::zone(number).unwrap();
        let host = HostAddress {
            slot: Slot::new(64).unwrap(),
            zone: zone(2),
            host: 10,
        };
        assert_eq!(
            host.seen_from(ZoneNumber::OUTSIDE),
            Ipv4Addr::new(127, 64, 2, 10)
        );
        assert_eq!(host.seen_from(zone(1)), Ipv4Addr::new(127, 64, 18, 10));
        assert_eq!(host.engine(), Ipv4Addr::new(127, 64, 242, 10));
        assert_eq!(host.management(), Ipv4Addr::new(127, 64, 47, 10));
        let replication = host.replication(zone(1));
        assert_eq!(replication, Ipv4Addr::new(127, 128, 18, 10));
        assert_eq!(HostAddress::parse(replication), None, "it is no slot's");
        assert_eq!(
            HostAddress::parse(Ipv4Addr::new(127, 64, 18, 10)),
            Some((zone(1), host))
        );
        assert_eq!(HostAddress::parse(Ipv4Addr::LOCALHOST), None);
        let address = Cidr::host(host.seen_from(ZoneNumber::OUTSIDE));
        assert!(subnet(host.slot, zone(2)).contains(address));
        assert!(vpc(host.slot).contains(subnet(host.slot, zone(2))));
        assert!(!vpc(host.slot).contains(Cidr::host(ABROAD)));
        assert_eq!(resolver(host.slot, zone(1)), Ipv4Addr::new(127, 64, 16, 2));
    }
}
