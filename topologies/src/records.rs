//! What a hosted zone's records are by themselves: their names, their types, and the TTLs that aliases have from where they lead.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::topology::{Record, RecordValue};

impl RecordValue {
    /// The record's type; an alias is of type A.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::A(_) | Self::AliasLoadBalancer { .. } | Self::AliasRecord { .. } => "A",
            Self::Cname(_) => "CNAME",
            Self::Txt(_) => "TXT",
        }
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
    let mut first: BTreeMap<&str, &Record> = BTreeMap::new();
    for record in records.iter().filter(|one| one.value.kind() == "A") {
        first.entry(&record.name).or_insert(record);
    }
    let ttl = |record: &Record| {
        let mut at = record;
        // An alias that leads back to itself is refused elsewhere; here it must only end.
        for _ in 0..=records.len() {
            match &at.value {
                RecordValue::AliasLoadBalancer { .. } => return load_balancer_ttl,
                RecordValue::A(_) | RecordValue::Cname(_) | RecordValue::Txt(_) => break,
                RecordValue::AliasRecord { name, .. } => match first.get(name.as_str()) {
                    Some(next) => at = next,
                    None => break,
                },
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
