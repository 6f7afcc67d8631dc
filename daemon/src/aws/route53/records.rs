//! A zone's record sets as Route 53 lists them.

use serde_json::Value;
use topologies::names as endpoints;
use topologies::rdata::quoted;
use topologies::topology::{HostedZone, Record as Own, RecordType, RecordValue};
use wire::{Call, Fault, Record};

use super::{dotted, find_zone, health_checks, order, pages, routing, zone_id};
use crate::aws::input::text;
use crate::aws::{View, elbv2};

/// The most record sets of a page (ListResourceRecordSets).
const PAGE_MAX: usize = 300;
/// "NS records TTL 172,800; SOA TTL 900" (aws-behaviour §6.1).
const NS_TTL: u64 = 172_800;
const SOA_TTL: u64 = 900;
/// The types of the records that every zone has for itself.
const REQUIRED: [RecordType; 2] = [RecordType::Ns, RecordType::Soa];

/// Where a record set stands in the list: by name from its end, type, set identifier.
type Place = (String, String, String);

pub(super) fn list(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let zone = find_zone(view, text(input, "HostedZoneId").unwrap_or_default())?;
    let size = pages::size(view, input, PAGE_MAX)?;
    let from = beginning(view, input)?;
    let mut all: Vec<(Place, Record)> = required(view, zone);
    all.extend(zone.records.iter().map(|record| {
        let set = record.set_identifier.clone().unwrap_or_default();
        let kind = record.value.kind().as_str().to_owned();
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

/// Whether a record is one that every zone has: its SOA, or the NS of the zone itself.
pub(super) fn is_required(zone: &HostedZone, record: &Own) -> bool {
    record.name == zone.name && REQUIRED.contains(&record.value.kind())
}

/// How many record sets a zone has.
pub(super) fn count_of(zone: &HostedZone) -> usize {
    let own = zone.records.iter().filter(|it| !is_required(zone, it));
    own.count() + REQUIRED.len()
}

/// The record sets that every zone has, but for those that were put in their place.
fn required(view: &View<'_>, zone: &HostedZone) -> Vec<(Place, Record)> {
    let set = |kind: RecordType, ttl: u64, values: Vec<String>| {
        let record = Record::new()
            .set("Name", dotted(&zone.name))
            .set("Type", kind.as_str())
            .set("TTL", ttl)
            .list("ResourceRecords", values.into_iter().map(value));
        let place = (order(&zone.name), kind.as_str().to_owned(), String::new());
        (kind, (place, record))
    };
    let servers = proxies::dns::NAME_SERVERS.map(str::to_owned).to_vec();
    let minimum = crate::routes::soa_minimum(view.topology());
    let soa = proxies::dns::soa_text(minimum);
    let own = |kind: RecordType| {
        let mut own = zone.records.iter();
        own.any(|it| is_required(zone, it) && it.value.kind() == kind)
    };
    let sets = [
        set(RecordType::Ns, NS_TTL, servers),
        set(RecordType::Soa, SOA_TTL, vec![soa]),
    ];
    let sets = sets.into_iter().filter(|(kind, _)| !own(*kind));
    sets.map(|(_, set)| set).collect()
}

fn value(text: String) -> Record {
    Record::new().set("Value", text)
}

fn shown(view: &View<'_>, zone: &HostedZone, record: &Own) -> Record {
    let check = record.health_check.as_ref().map(health_checks::uuid);
    let shown = Record::new()
        .set("Name", dotted(&record.name).replace('*', "\\052"))
        .set("Type", record.value.kind().as_str())
        .maybe("SetIdentifier", record.set_identifier.as_deref())
        .maybe("HealthCheckId", check);
    let shown = routing::shown(shown, &record.routing);
    match &record.value {
        RecordValue::A(addresses) => {
            let addresses = addresses.iter().map(ToString::to_string);
            plain(shown, record, addresses)
        }
        RecordValue::Cname(target) => plain(shown, record, std::iter::once(target.clone())),
        RecordValue::Txt(texts) => plain(shown, record, texts.iter().map(|text| quoted(text))),
        RecordValue::Data(_, values) => plain(shown, record, values.iter().cloned()),
        RecordValue::AliasLoadBalancer {
            load_balancer,
            evaluate_target_health,
            ..
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
            ..
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
