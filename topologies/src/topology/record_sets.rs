//! Hosted zones, their records, and what routing policies need to know: CIDR collections, and where clients are.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::geography::Coordinates;
use crate::id::{HealthCheckId, LoadBalancerId, RegionId};
use crate::prefix::Prefix;

/// A Route 53 hosted zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostedZone {
    /// Its apex, without the final dot, lower case.
    pub name: String,
    /// Its records.
    pub records: Vec<Record>,
}

/// A record of a hosted zone. Several with one name and type form a set, told apart by `set_identifier`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Record {
    /// The whole name, without the final dot, lower case; a wildcard begins with `*`.
    pub name: String,
    /// What it answers.
    pub value: RecordValue,
    /// TTL; an alias has its target's.
    pub ttl: Duration,
    /// Tells records of one set apart.
    pub set_identifier: Option<String>,
    /// When it is answered rather than others of its set.
    pub routing: Routing,
    /// Answered only while this is healthy.
    pub health_check: Option<HealthCheckId>,
}

/// A record as timelines have it: those of the first versions know failover pairs only.
#[derive(Deserialize)]
struct Stored {
    name: String,
    value: RecordValue,
    ttl: Duration,
    set_identifier: Option<String>,
    failover: Option<FailoverRole>,
    #[serde(default)]
    routing: Routing,
    health_check: Option<HealthCheckId>,
}

impl From<Stored> for Record {
    fn from(stored: Stored) -> Self {
        Self {
            name: stored.name,
            value: stored.value,
            ttl: stored.ttl,
            set_identifier: stored.set_identifier,
            routing: stored.failover.map_or(stored.routing, Routing::Failover),
            health_check: stored.health_check,
        }
    }
}

/// The types of record that Route 53 has (aws-behaviour §6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// An IPv4 address.
    #[default]
    A,
    /// An IPv6 address.
    Aaaa,
    /// Who may issue certificates.
    Caa,
    /// Another name.
    Cname,
    /// The digest of a zone's key.
    Ds,
    /// How HTTPS is spoken here.
    Https,
    /// A mail server.
    Mx,
    /// A rule to rewrite a name.
    Naptr,
    /// A name server.
    Ns,
    /// A name for an address.
    Ptr,
    /// A zone's beginning.
    Soa,
    /// Who may send mail; the same as TXT, and out of use.
    Spf,
    /// A service's host and port.
    Srv,
    /// The fingerprint of an SSH key.
    Sshfp,
    /// How a service is spoken.
    Svcb,
    /// A certificate's fingerprint.
    Tlsa,
    /// Text.
    Txt,
}

/// Every type with its word and its number (IANA, "Resource Record (RR) TYPEs").
const TYPES: [(RecordType, &str, u16); 17] = [
    (RecordType::A, "A", 1),
    (RecordType::Aaaa, "AAAA", 28),
    (RecordType::Caa, "CAA", 257),
    (RecordType::Cname, "CNAME", 5),
    (RecordType::Ds, "DS", 43),
    (RecordType::Https, "HTTPS", 65),
    (RecordType::Mx, "MX", 15),
    (RecordType::Naptr, "NAPTR", 35),
    (RecordType::Ns, "NS", 2),
    (RecordType::Ptr, "PTR", 12),
    (RecordType::Soa, "SOA", 6),
    (RecordType::Spf, "SPF", 99),
    (RecordType::Srv, "SRV", 33),
    (RecordType::Sshfp, "SSHFP", 44),
    (RecordType::Svcb, "SVCB", 64),
    (RecordType::Tlsa, "TLSA", 52),
    (RecordType::Txt, "TXT", 16),
];

impl RecordType {
    fn entry(self) -> (Self, &'static str, u16) {
        // Every type has its entry: a test looks.
        TYPES
            .into_iter()
            .find(|(it, ..)| *it == self)
            .unwrap_or(TYPES[0])
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        self.entry().1
    }

    /// Its number in packets.
    pub fn number(self) -> u16 {
        self.entry().2
    }

    /// The type of a word.
    pub fn read(word: &str) -> Option<Self> {
        let found = TYPES.into_iter().find(|(_, it, _)| *it == word)?;
        Some(found.0)
    }

    /// The type of a packet's number.
    pub fn of_number(number: u16) -> Option<Self> {
        let found = TYPES.into_iter().find(|(.., it)| *it == number)?;
        Some(found.0)
    }
}

/// A record's type and data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordValue {
    /// Addresses outside of the stack's network.
    A(Vec<Ipv4Addr>),
    /// Another name.
    Cname(String),
    /// Text, a string each.
    Txt(Vec<String>),
    /// Data of another type, as Route 53 writes them; of TXT those that are no single string.
    Data(RecordType, Vec<String>),
    /// An alias to a load balancer.
    AliasLoadBalancer {
        /// The load balancer.
        load_balancer: LoadBalancerId,
        /// Whether the load balancer's health counts.
        evaluate_target_health: bool,
        /// A, or AAAA, for which load balancers of the stack have no answer.
        #[serde(default)]
        kind: RecordType,
    },
    /// An alias to another record of the same zone.
    AliasRecord {
        /// That record's whole name.
        name: String,
        /// Whether that record's health counts.
        evaluate_target_health: bool,
        /// Its type, and that record's.
        #[serde(default)]
        kind: RecordType,
    },
}

/// Route 53's routing policies: when a record is answered rather than others of its set (aws-behaviour §6.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Routing {
    /// It has no others.
    #[default]
    Simple,
    /// By its place in a failover pair.
    Failover(FailoverRole),
    /// Its share of the answers, to all others'.
    Weighted(u8),
    /// Together with up to seven others.
    MultiValue,
    /// To clients that this region is near to.
    Latency(RegionId),
    /// To clients there.
    Geolocation(Location),
    /// To clients that are nearer to this place than to others'.
    Geoproximity(Proximity),
    /// To clients with addresses of a CIDR collection's location.
    Cidr {
        /// The collection.
        collection: String,
        /// The location, `*` for every other client.
        location: String,
    },
}

/// The place of a record in a failover pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum FailoverRole {
    /// Answered while healthy, and when nothing is.
    Primary,
    /// Answered while the primary is unhealthy.
    Secondary,
}

/// The part of the world that a geolocation record is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Location {
    /// Wherever no other record is for.
    Default,
    /// A continent, by Route 53's code.
    Continent(String),
    /// A country, by ISO 3166-1.
    Country(String),
    /// A part of a country, by its own code: a state of the USA.
    Subdivision(String, String),
}

/// The place of a geoproximity record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Proximity {
    /// The region, if it is one's.
    pub region: Option<RegionId>,
    /// The place, if it is no region's.
    pub coordinates: Option<Coordinates>,
    /// By how many hundredths it draws clients nearer: -99 to 99.
    pub bias: i8,
}

/// Blocks of addresses by the names of locations, for IP-based routing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CidrCollection {
    /// Its name.
    pub name: String,
    /// The blocks of each location.
    pub locations: BTreeMap<String, Vec<Prefix>>,
}

/// Where clients that ask the stack's resolvers are taken to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsClients {
    /// Those outside of the stack.
    pub outside: Place,
    /// Those that a question's EDNS client subnet is about.
    pub subnets: Vec<(Prefix, Place)>,
}

/// Where a client is, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The region that answers it soonest; the stack's first if it is not known.
    pub region: Option<RegionId>,
    /// Its continent, by Route 53's code.
    pub continent: Option<String>,
    /// Its country.
    pub country: Option<String>,
    /// The part of its country.
    pub subdivision: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_the_first_versions_are_understood() {
        for (failover, routing) in [
            ("null", Routing::Simple),
            ("\"PRIMARY\"", Routing::Failover(FailoverRole::Primary)),
        ] {
            let stored = format!(
                r#"{{"name":"www.shop.internal","value":{{"alias-record":{{"name":"a.shop.internal","evaluate_target_health":true}}}},"ttl":{{"secs":5,"nanos":0}},"set_identifier":null,"failover":{failover},"health_check":null}}"#
            );
            let record: Record = serde_json::from_str(&stored).expect("a record");
            assert_eq!(record.routing, routing);
            assert_eq!(record.value.kind(), RecordType::A);
            let again = serde_json::to_string(&record).expect("text");
            let again: Record = serde_json::from_str(&again).expect("a record");
            assert_eq!(again, record);
        }
    }

    #[test]
    fn s6_1_every_type_has_a_word_and_a_number() {
        for (kind, word, number) in TYPES {
            assert_eq!(RecordType::read(word), Some(kind));
            assert_eq!(RecordType::of_number(number), Some(kind));
            assert_eq!((kind.as_str(), kind.number()), (word, number));
            let written = serde_json::to_value(kind).expect("a word");
            assert_eq!(written, word);
        }
    }
}
