//! What a hosted zone's records are by themselves: their names, their types, and the TTLs that aliases have from where they lead.

mod circles;
mod sets;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::id::HealthCheckId;
use crate::prefix::Prefix;
use crate::topology::{HealthCheck, Record, RecordType, RecordValue, Routing};

/// Aliases that are followed from one to the next; a longer chain is not answered.
pub const ALIASES_MAX: usize = 8;

pub use circles::{Node, circles};
pub use sets::{Clash, SET_MAX, clashes};

impl RecordValue {
    /// The record's type.
    pub fn kind(&self) -> RecordType {
        match self {
            Self::A(_) => RecordType::A,
            Self::Cname(_) => RecordType::Cname,
            Self::Txt(_) => RecordType::Txt,
            Self::Data(kind, _)
            | Self::AliasLoadBalancer { kind, .. }
            | Self::AliasRecord { kind, .. } => *kind,
        }
    }

    /// Whether it is an alias that asks for its target's health.
    pub fn evaluates(&self) -> bool {
        match self {
            Self::AliasLoadBalancer {
                evaluate_target_health,
                ..
            }
            | Self::AliasRecord {
                evaluate_target_health,
                ..
            } => *evaluate_target_health,
            Self::A(_) | Self::Cname(_) | Self::Txt(_) | Self::Data(..) => false,
        }
    }
}

impl Routing {
    /// The CIDR collection and the location in it by which an IP-based record is chosen.
    pub fn cidr(&self) -> Option<(&str, &str)> {
        match self {
            Self::Cidr {
                collection,
                location,
            } => Some((collection, location)),
            Self::Simple
            | Self::Failover(_)
            | Self::Weighted(_)
            | Self::MultiValue
            | Self::Latency(_)
            | Self::Geolocation(_)
            | Self::Geoproximity(_) => None,
        }
    }

    /// The policy's word.
    pub fn policy(&self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Failover(_) => "failover",
            Self::Weighted(_) => "weighted",
            Self::MultiValue => "multivalue answer",
            Self::Latency(_) => "latency",
            Self::Geolocation(_) => "geolocation",
            Self::Geoproximity(_) => "geoproximity",
            Self::Cidr { .. } => "IP-based",
        }
    }
}

/// What a record may be called: a domain name, or a wildcard for whatever is below one, with `*` or as Route 53 shows it, `\052`, for
/// its leftmost label.
pub fn owner(text: &str) -> Option<String> {
    match text
        .strip_prefix("*.")
        .or_else(|| text.strip_prefix("\\052."))
    {
        Some(below) => domain(below).map(|below| format!("*.{below}")),
        None => domain(text),
    }
}

/// A domain name in lower case without its final dot, if `text` is one.
pub fn domain(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    (name.len() <= 253 && name.split('.').all(label)).then_some(name)
}

/// The records with the TTLs that aliases have from where they lead: a load balancer's, or the record's at their end.
pub fn with_alias_ttls(records: Vec<Record>, load_balancer_ttl: Duration) -> Vec<Record> {
    let mut first: BTreeMap<(&str, RecordType), &Record> = BTreeMap::new();
    for record in &records {
        let key = (record.name.as_str(), record.value.kind());
        first.entry(key).or_insert(record);
    }
    let ttl = |record: &Record| {
        let mut at = record;
        // An alias that leads back to itself is refused elsewhere; here it must only end.
        for _ in 0..=ALIASES_MAX {
            match &at.value {
                RecordValue::AliasLoadBalancer { .. } => return load_balancer_ttl,
                RecordValue::A(_)
                | RecordValue::Cname(_)
                | RecordValue::Txt(_)
                | RecordValue::Data(..) => break,
                RecordValue::AliasRecord { name, kind, .. } => {
                    match first.get(&(name.as_str(), *kind)) {
                        Some(next) => at = next,
                        None => break,
                    }
                }
            }
        }
        at.ttl
    };
    let ttls: Vec<Duration> = records.iter().map(ttl).collect();
    let with_ttl = records.into_iter().zip(ttls);
    with_ttl
        .map(|(record, ttl)| Record { ttl, ..record })
        .collect()
}

/// Whether no checker of Route 53 reaches an address: it is private, or for something else than one host. Addresses of the stack's
/// network stand for public ones.
pub fn unreachable(address: Ipv4Addr) -> bool {
    address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_unspecified()
}

/// Whether a health check that counts others counts itself in the end.
pub fn counts_itself(checks: &[HealthCheck], start: &HealthCheckId) -> bool {
    let children = |id: &HealthCheckId| {
        let check = checks.iter().find(|it| it.id == *id);
        check.map(HealthCheck::children).unwrap_or_default()
    };
    let mut seen = BTreeSet::new();
    let mut open: Vec<&HealthCheckId> = children(start).iter().collect();
    while let Some(id) = open.pop() {
        if id == start {
            return true;
        }
        if seen.insert(id) {
            open.extend(children(id));
        }
    }
    false
}

/// Whether a text can name a CIDR collection, or a location of one (CreateCidrCollection, ChangeCidrCollection).
pub fn is_cidr_name(text: &str, most: usize) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || it == b'_' || it == b'-';
    (1..=most).contains(&text.len()) && text.bytes().all(plain)
}

/// Whether a CIDR collection takes a block: IPv4 /1 to /24, IPv6 /1 to /48 (aws-behaviour §6.2).
pub fn is_cidr_block(block: Prefix) -> bool {
    let most = if block.is_ipv4() { 24 } else { 48 };
    (1..=most).contains(&block.length())
}
