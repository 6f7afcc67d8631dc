//! A zone's record sets as Route 53 lists them.

use serde_json::Value;
use topologies::names as endpoints;
use topologies::topology::{FailoverRole, HostedZone, Record as Own, RecordValue};
use wire::{Call, Fault, Record};

use super::{dotted, find_zone, health_checks, order, pages, zone_id};
use crate::aws::input::text;
use crate::aws::{View, elbv2};

/// The most record sets of a page (ListResourceRecordSets).
const PAGE_MAX: usize = 300;
/// "NS records TTL 172,800; SOA TTL 900" (aws-behaviour §6.1).
const NS_TTL: u64 = 172_800;
const SOA_TTL: u64 = 900;

/// Where a record set stands in the list: by name from its end, type, set identifier.
type Place = (String, String, String);

pub(super) fn list(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let zone = find_zone(view, text(input, "HostedZoneId").unwrap_or_default())?;
    let size = pages::size(view, input, PAGE_MAX)?;
    let from = beginning(view, input)?;
    let mut all: Vec<(Place, Record)> = required(view, zone).into_iter().collect();
    all.extend(zone.records.iter().map(|record| {
        let set = record.set_identifier.clone().unwrap_or_default();
        let kind = record.value.kind().to_owned();
        ((order(&record.name), kind, set), shown(view, zone, record))
    }));
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all.retain(|(place, _)| *place >= from);
    let next = pages::cut(&mut all, size).map(|(_, record)| Value::from(record));
    let of_next = |name: &str| next.as_ref().and_then(|next| next.get(name)).cloned();
    Ok(Record::new()
        .list(
            "ResourceRecordSets",
            all.into_iter().map(|(_, record)| record),
        )
        .set("IsTruncated", next.is_some())
        .maybe("NextRecordName", of_next("Name"))
        .maybe("NextRecordType", of_next("Type"))
        .maybe("NextRecordIdentifier", of_next("SetIdentifier"))
        .set("MaxItems", size.to_string()))
}

fn beginning(view: &View<'_>, input: &Value) -> Result<Place, Fault> {
    let (name, kind) = (
        text(input, "StartRecordName"),
        text(input, "StartRecordType"),
    );
    let set = text(input, "StartRecordIdentifier");
    if name.is_none() && kind.is_some() {
        let text = "The input is not valid: StartRecordType must be accompanied by StartRecordName";
        return Err(view.fault("InvalidInput", text));
    }
    if kind.is_none() && set.is_some() {
        let text = "The input is not valid: StartRecordIdentifier must be accompanied by StartRecordName and StartRecordType";
        return Err(view.fault("InvalidInput", text));
    }
    let name = name.map(|name| order(&name.trim_end_matches('.').to_ascii_lowercase()));
    let word = |word: Option<&str>| word.unwrap_or_default().to_owned();
    Ok((name.unwrap_or_default(), word(kind), word(set)))
}

/// The record sets that every zone has.
fn required(view: &View<'_>, zone: &HostedZone) -> [(Place, Record); 2] {
    let set = |kind: &str, ttl: u64, values: Vec<String>| {
        let record = Record::new()
            .set("Name", dotted(&zone.name))
            .set("Type", kind)
            .set("TTL", ttl)
            .list("ResourceRecords", values.into_iter().map(value));
        ((order(&zone.name), kind.to_owned(), String::new()), record)
    };
    let servers = proxies::dns::NAME_SERVERS.map(str::to_owned).to_vec();
    let minimum = crate::routes::soa_minimum(view.topology());
    let soa = proxies::dns::soa_text(minimum);
    [set("NS", NS_TTL, servers), set("SOA", SOA_TTL, vec![soa])]
}

fn value(text: String) -> Record {
    Record::new().set("Value", text)
}

fn shown(view: &View<'_>, zone: &HostedZone, record: &Own) -> Record {
    let failover = record.failover.map(|role| match role {
        FailoverRole::Primary => "PRIMARY",
        FailoverRole::Secondary => "SECONDARY",
    });
    let check = record.health_check.as_ref().map(health_checks::uuid);
    let shown = Record::new()
        .set("Name", dotted(&record.name))
        .set("Type", record.value.kind())
        .maybe("SetIdentifier", record.set_identifier.as_deref())
        .maybe("Failover", failover)
        .maybe("HealthCheckId", check);
    match &record.value {
        RecordValue::A(addresses) => {
            let addresses = addresses.iter().map(ToString::to_string);
            plain(shown, record, addresses)
        }
        RecordValue::Cname(target) => plain(shown, record, std::iter::once(target.clone())),
        RecordValue::Txt(texts) => plain(shown, record, texts.iter().map(|text| quoted(text))),
        RecordValue::AliasLoadBalancer {
            load_balancer,
            evaluate_target_health,
        } => {
            let balancers = &view.topology().load_balancers;
            let lb = balancers.iter().find(|lb| lb.id == *load_balancer);
            let name =
                lb.map(|lb| endpoints::load_balancer(view.topology(), &lb.id, lb.kind, &lb.region));
            // One that is gone leaves its name behind.
            let name = name.unwrap_or_else(|| load_balancer.to_string());
            alias(shown, elbv2::CANONICAL_ZONE, &name, *evaluate_target_health)
        }
        RecordValue::AliasRecord {
            name,
            evaluate_target_health,
        } => alias(shown, &zone_id(zone), name, *evaluate_target_health),
    }
}

fn plain(shown: Record, record: &Own, values: impl Iterator<Item = String>) -> Record {
    shown
        .set("TTL", record.ttl.as_secs())
        .list("ResourceRecords", values.map(value))
}

fn alias(shown: Record, zone: &str, name: &str, evaluate: bool) -> Record {
    let target = Record::new()
        .set("HostedZoneId", zone)
        .set("DNSName", dotted(name))
        .set("EvaluateTargetHealth", evaluate);
    shown.set("AliasTarget", target)
}

/// A text of a TXT record as Route 53 writes it.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// The text that is written so; none if it is no single quoted string.
pub(super) fn unquoted(written: &str) -> Option<String> {
    let inner = written.trim().strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return None,
            '\\' => text.push(letters.next()?),
            letter => text.push(letter),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::{quoted, unquoted};

    #[test]
    fn texts_come_back_as_they_were_written() {
        for text in ["", "v=1", "a \"b\" c", "back\\slash"] {
            assert_eq!(unquoted(&quoted(text)).as_deref(), Some(text));
        }
        for written in ["bare", "\"open", "\"two\" \"texts\"", "\"ends\\\""] {
            assert_eq!(unquoted(written), None, "{written}");
        }
    }
}
