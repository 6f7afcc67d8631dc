//! ChangeResourceRecordSets: a batch of changes to a zone's records, made all or none.
//!
//! What is wrong with a change by itself ends the call (`InvalidInput`, `NoSuchHealthCheck`); what is wrong with it in its zone is
//! collected and told of at once (`InvalidChangeBatch`).

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use topologies::edit::Edit;
use topologies::event::EventKind;
use topologies::names as endpoints;
use topologies::records::{domain, with_alias_ttls};
use topologies::topology::{FailoverRole, HostedZone, Record as Own, RecordValue};
use wire::{Fault, Record};

use super::records::unquoted;
use super::{dotted, find_zone, health_checks, propagation, zone_id};
use crate::aws::input::{is_on, not_implemented, text};
use crate::aws::{Change, Decision, View, elbv2};

/// A text of a TXT record: one character string (RFC 1035, 3.3.14).
const TEXT_BYTES_MAX: usize = 255;
/// Characters of a set identifier at most.
const SET_MAX: usize = 128;
/// Members of a record set that ask for a policy that is not built.
const POLICIES: [&str; 7] = [
    "CidrRoutingConfig",
    "GeoLocation",
    "GeoProximityLocation",
    "MultiValueAnswer",
    "Region",
    "TrafficPolicyInstanceId",
    "Weight",
];

/// Why a change is not made.
enum Wrong {
    /// It can not be meant by anybody.
    Call(Fault),
    /// Its zone does not allow it.
    Batch(String),
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        Self::Call(fault)
    }
}

pub(super) fn change(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let zone = find_zone(view, text(input, "HostedZoneId").unwrap_or_default())?;
    let batch = &input["ChangeBatch"];
    let mut records = zone.records.clone();
    let mut wrong = Vec::new();
    for change in batch["Changes"].as_array().into_iter().flatten() {
        let made = read(view, zone, change).and_then(|record| {
            make(
                &mut records,
                record,
                text(change, "Action").unwrap_or_default(),
            )
            .map_err(Wrong::Batch)
        });
        match made {
            Ok(()) => {}
            Err(Wrong::Batch(text)) => wrong.push(text),
            Err(Wrong::Call(fault)) => return Err(fault),
        }
    }
    if wrong.is_empty() {
        wrong = together(zone, &records);
    }
    if !wrong.is_empty() {
        let text = format!("[{}]", wrong.join(", "));
        return Err(view.fault("InvalidChangeBatch", text));
    }
    let ttl = view.topology().timing.load_balancer_ttl;
    let zone = HostedZone {
        name: zone.name.clone(),
        records: with_alias_ttls(records, ttl),
    };
    let edited = EventKind::TopologyEdited {
        by: "route53:ChangeResourceRecordSets".to_owned(),
        edits: vec![Edit::PutHostedZone(Box::new(zone))],
    };
    let info = propagation::begun(view, text(batch, "Comment"));
    let output = Record::new().set("ChangeInfo", info);
    Ok((output, vec![Change::Note(edited)]))
}

/// `[name='www.shop.internal.', type='A', set identifier='primary']`.
fn label(record: &Own) -> String {
    let (name, kind) = (dotted(&record.name), record.value.kind());
    match &record.set_identifier {
        Some(set) => format!("[name='{name}', type='{kind}', set identifier='{set}']"),
        None => format!("[name='{name}', type='{kind}']"),
    }
}

fn make(records: &mut Vec<Own>, record: Own, action: &str) -> Result<(), String> {
    let same = |it: &Own| {
        it.name == record.name
            && it.value.kind() == record.value.kind()
            && it.set_identifier == record.set_identifier
    };
    let there = records.iter().position(same);
    match (action, there) {
        ("CREATE", Some(_)) => Err(format!(
            "Tried to create resource record set {} but it already exists",
            label(&record)
        )),
        ("DELETE", None) => Err(format!(
            "Tried to delete resource record set {} but it was not found",
            label(&record)
        )),
        ("DELETE", Some(at)) if differ(&records[at], &record) => Err(format!(
            "Tried to delete resource record set {} but the values provided do not match the current values",
            label(&record)
        )),
        ("DELETE", Some(at)) => {
            records.remove(at);
            Ok(())
        }
        (_, Some(at)) => {
            records[at] = record;
            Ok(())
        }
        (_, None) => {
            records.push(record);
            Ok(())
        }
    }
}

/// Whether they are not the same in everything but the order of values and the TTL that an alias has from its target.
fn differ(one: &Own, other: &Own) -> bool {
    let plain = |record: &Own| {
        let mut record = record.clone();
        match &mut record.value {
            RecordValue::A(addresses) => addresses.sort_unstable(),
            RecordValue::Txt(texts) => texts.sort_unstable(),
            RecordValue::Cname(_) => {}
            RecordValue::AliasLoadBalancer { .. } | RecordValue::AliasRecord { .. } => {
                record.ttl = Duration::ZERO;
            }
        }
        record
    };
    plain(one) != plain(other)
}

/// What is wrong with a zone's records beside each other.
fn together(zone: &HostedZone, records: &[Own]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut sets: BTreeMap<(&str, &str), Vec<&Own>> = BTreeMap::new();
    for record in records {
        let key = (record.name.as_str(), record.value.kind());
        sets.entry(key).or_default().push(record);
    }
    let apex = dotted(&zone.name);
    for ((name, kind), set) in &sets {
        let shown = dotted(name);
        let others = sets.keys().any(|(other, it)| other == name && it != kind);
        if *kind == "CNAME" && *name == zone.name {
            wrong.push(format!(
                "RRSet of type CNAME with DNS name {shown} is not permitted at apex in zone {apex}"
            ));
        } else if *kind == "CNAME" && others {
            wrong.push(format!(
                "RRSet of type CNAME with DNS name {shown} is not permitted as it conflicts with other records with the same DNS name in zone {apex}"
            ));
        }
        let simple = set.iter().any(|record| record.failover.is_none());
        if simple && set.len() > 1 {
            wrong.push(format!(
                "RRSet with DNS name {shown}, type {kind} cannot be created as other RRSets exist with the same name and type and another routing policy"
            ));
        }
        for role in [FailoverRole::Primary, FailoverRole::Secondary] {
            let own = set.iter().filter(|record| record.failover == Some(role));
            if own.count() > 1 {
                wrong.push(format!(
                    "Failover record sets with DNS name {shown}, type {kind} have more than one {role:?}"
                ));
            }
        }
    }
    for record in records {
        if let RecordValue::AliasRecord { name, .. } = &record.value
            && !sets.contains_key(&(name.as_str(), "A"))
        {
            wrong.push(format!(
                "Tried to create an alias that targets {}, type A in zone {}, but that target was not found",
                dotted(name),
                zone_id(zone)
            ));
        }
    }
    wrong
}

/// What a change is about, by itself.
fn read(view: &View<'_>, zone: &HostedZone, change: &Value) -> Result<Own, Wrong> {
    let set = &change["ResourceRecordSet"];
    let name = name(zone, text(set, "Name").unwrap_or_default())?;
    let kind = text(set, "Type").unwrap_or_default();
    if let Some(policy) = POLICIES.iter().find(|policy| !set[**policy].is_null()) {
        return Err(not_implemented(format!("a record set with {policy}")).into());
    }
    let invalid = |what: String| {
        let action = text(change, "Action").unwrap_or_default();
        let shown = text(set, "SetIdentifier").unwrap_or("null");
        let text = format!(
            "Invalid request: {what} in Change with [Action={action}, Name={}, Type={kind}, SetIdentifier={shown}]",
            dotted(&name)
        );
        Wrong::Call(view.fault("InvalidInput", text))
    };
    let failover = match text(set, "Failover") {
        Some("PRIMARY") => Some(FailoverRole::Primary),
        Some(_) => Some(FailoverRole::Secondary),
        None => None,
    };
    let set_identifier = text(set, "SetIdentifier");
    match (failover, set_identifier) {
        (Some(_), None) => return Err(invalid("Missing field 'SetIdentifier'".to_owned())),
        (None, Some(_)) => {
            let policies = "Expected exactly one of [Weight, Region, Failover, GeoLocation, MultiValueAnswer, GeoProximityLocation, or CidrRoutingConfig], but found none";
            return Err(invalid(policies.to_owned()));
        }
        (Some(_), Some(set)) if set.is_empty() || set.chars().count() > SET_MAX => {
            let what = format!("SetIdentifier must have 1 to {SET_MAX} characters");
            return Err(invalid(what));
        }
        (Some(_) | None, _) => {}
    }
    let health_check = match text(set, "HealthCheckId") {
        Some(id) => Some(health_checks::find(view, id)?.id.clone()),
        None => None,
    };
    let (value, ttl) = match (
        &set["AliasTarget"],
        set["TTL"].as_u64(),
        &set["ResourceRecords"],
    ) {
        (Value::Null, Some(ttl), Value::Array(values)) if !values.is_empty() => {
            (plain(zone, kind, values)?, Duration::from_secs(ttl))
        }
        (target @ Value::Object(_), None, Value::Null) => {
            (alias(view, zone, kind, target)?, Duration::ZERO)
        }
        (target, ttl, values) => {
            let found = [!target.is_null(), ttl.is_some() || !values.is_null()];
            let found = if found == [true, true] {
                "more than one"
            } else {
                "none"
            };
            return Err(invalid(format!(
                "Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], but found {found}"
            )));
        }
    };
    Ok(Own {
        name,
        value,
        ttl,
        set_identifier: set_identifier.map(str::to_owned),
        failover,
        health_check,
    })
}

/// A name of the zone.
fn name(zone: &HostedZone, written: &str) -> Result<String, Wrong> {
    if written.starts_with('*') || written.starts_with("\\052") {
        return Err(not_implemented("a record set for a wildcard").into());
    }
    let name = domain(written);
    let inside = |name: &String| *name == zone.name || name.ends_with(&format!(".{}", zone.name));
    name.filter(inside).ok_or_else(|| {
        let written = written.trim_end_matches('.');
        let apex = dotted(&zone.name);
        Wrong::Batch(format!(
            "RRSet with DNS name {written}. is not permitted in zone {apex}"
        ))
    })
}

fn plain(zone: &HostedZone, kind: &str, values: &[Value]) -> Result<RecordValue, Wrong> {
    let values: Vec<&str> = values
        .iter()
        .map(|value| text(value, "Value").unwrap_or_default())
        .collect();
    let fatal = |problem: &str, value: &str| {
        Wrong::Batch(format!(
            "Invalid Resource Record: 'FATAL problem: {problem} encountered with '{value}''"
        ))
    };
    match kind {
        "A" => {
            let read = values.iter().map(|value| {
                let problem = "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)";
                value.parse().map_err(|_| fatal(problem, value))
            });
            Ok(RecordValue::A(read.collect::<Result<_, _>>()?))
        }
        "CNAME" => {
            let [target] = values.as_slice() else {
                let text = "CNAME RRSet must have exactly one value";
                return Err(Wrong::Batch(text.to_owned()));
            };
            let problem = "DomainLabelIllegal (Value is not a valid domain name)";
            let target = domain(target).ok_or_else(|| fatal(problem, target))?;
            Ok(RecordValue::Cname(target))
        }
        "TXT" => {
            let read = values.iter().map(|value| {
                let problem =
                    "InvalidCharacterString (Value should be enclosed in quotation marks)";
                let text = unquoted(value).ok_or_else(|| fatal(problem, value))?;
                if text.len() > TEXT_BYTES_MAX {
                    let problem = "CharacterStringTooLong (Value is too long)";
                    return Err(fatal(problem, value));
                }
                Ok(text)
            });
            Ok(RecordValue::Txt(read.collect::<Result<_, _>>()?))
        }
        "NS" | "SOA" => Err(not_implemented(format!(
            "a change of the {kind} record set of {}",
            zone.name
        ))
        .into()),
        other => Err(not_implemented(format!("a record set of type {other}")).into()),
    }
}

/// What an alias leads to: a load balancer by its name, with or without `dualstack.` before it, or a record of the zone.
fn alias(
    view: &View<'_>,
    zone: &HostedZone,
    kind: &str,
    target: &Value,
) -> Result<RecordValue, Wrong> {
    if kind != "A" {
        return Err(not_implemented(format!("an alias of type {kind}")).into());
    }
    let evaluate_target_health = is_on(target, "EvaluateTargetHealth");
    let of = text(target, "HostedZoneId").unwrap_or_default();
    let written = text(target, "DNSName").unwrap_or_default();
    let name = domain(written).unwrap_or_default();
    let topology = view.topology();
    let bare = name.strip_prefix("dualstack.").unwrap_or(&name);
    let mut balancers = topology.load_balancers.iter();
    let balancer = balancers.find(|lb| {
        endpoints::load_balancer(topology, &lb.id, lb.kind, &lb.region).eq_ignore_ascii_case(bare)
    });
    if let Some(lb) = balancer.filter(|_| of == elbv2::CANONICAL_ZONE) {
        return Ok(RecordValue::AliasLoadBalancer {
            load_balancer: lb.id.clone(),
            evaluate_target_health,
        });
    }
    let inside = name == zone.name || name.ends_with(&format!(".{}", zone.name));
    if inside && of.trim_start_matches("/hostedzone/") == zone_id(zone) {
        return Ok(RecordValue::AliasRecord {
            name,
            evaluate_target_health,
        });
    }
    let written = written.trim_end_matches('.');
    Err(Wrong::Batch(format!(
        "Tried to create an alias that targets {written}., type A in zone {of}, but the alias target name does not lie within the target zone"
    )))
}
