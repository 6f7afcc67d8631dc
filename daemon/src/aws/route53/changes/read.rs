//! What a change is about, by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use topologies::names as endpoints;
use topologies::rdata;
use topologies::records::{domain, owner};
use topologies::topology::{HostedZone, Record as Own, RecordType, RecordValue, Routing};

use super::super::{dotted, health_checks, routing, zone_id};
use super::Wrong;
use crate::aws::input::{is_on, not_implemented, text};
use crate::aws::{View, elbv2};

/// Characters of a set identifier at most.
const SET_IDENTIFIER_MAX: usize = 128;
/// Values of a record set at most ("Quotas").
const VALUES_MAX: usize = 400;

/// The record set of a change.
pub(super) fn read(view: &View<'_>, zone: &HostedZone, change: &Value) -> Result<Own, Wrong> {
    let set = &change["ResourceRecordSet"];
    let name = name(zone, text(set, "Name").unwrap_or_default())?;
    let word = text(set, "Type").unwrap_or_default();
    if !set["TrafficPolicyInstanceId"].is_null() {
        return Err(not_implemented("a record set with TrafficPolicyInstanceId".to_owned()).into());
    }
    let invalid = |what: String| {
        let action = text(change, "Action").unwrap_or_default();
        let shown = text(set, "SetIdentifier").unwrap_or("null");
        let text = format!(
            "Invalid request: {what} in Change with [Action={action}, Name={}, Type={word}, SetIdentifier={shown}]",
            dotted(&name)
        );
        Wrong::Call(view.fault("InvalidInput", text))
    };
    let kind = RecordType::read(word)
        .ok_or_else(|| invalid(format!("'{word}' is not a type of record")))?;
    let routing = routing::read(view, set).map_err(|wrong| match wrong {
        routing::Wrong::Input(what) => invalid(what),
        routing::Wrong::Batch(text) => Wrong::Batch(text),
        routing::Wrong::Call(fault) => Wrong::Call(fault),
    })?;
    let set_identifier = text(set, "SetIdentifier");
    if routing != Routing::Simple && set_identifier.is_none() {
        return Err(invalid("Missing field 'SetIdentifier'".to_owned()));
    }
    let characters = set_identifier.map_or(1, |set| set.chars().count());
    if !(1..=SET_IDENTIFIER_MAX).contains(&characters) {
        let what = format!("SetIdentifier must have 1 to {SET_IDENTIFIER_MAX} characters");
        return Err(invalid(what));
    }
    let health_check = match text(set, "HealthCheckId") {
        Some(id) => Some(health_checks::find(view, id)?.id.clone()),
        None => None,
    };
    let ttl = set["TTL"].as_u64().map(Duration::from_secs);
    let (value, ttl) = match (&set["AliasTarget"], ttl, &set["ResourceRecords"]) {
        (Value::Null, Some(ttl), Value::Array(values)) if !values.is_empty() => {
            (plain(zone, &name, kind, values)?, ttl)
        }
        (Value::Object(_), None, Value::Null) if routing == Routing::MultiValue => {
            let what = "AliasTarget is not permitted with MultiValueAnswer";
            return Err(invalid(what.to_owned()));
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
        routing,
        health_check,
    })
}

/// A name of the zone.
fn name(zone: &HostedZone, written: &str) -> Result<String, Wrong> {
    let inside = |name: &String| *name == zone.name || name.ends_with(&format!(".{}", zone.name));
    owner(written).filter(inside).ok_or_else(|| {
        let written = written.trim_end_matches('.');
        let apex = dotted(&zone.name);
        Wrong::Batch(format!(
            "RRSet with DNS name {written}. is not permitted in zone {apex}"
        ))
    })
}

fn plain(
    zone: &HostedZone,
    name: &str,
    kind: RecordType,
    values: &[Value],
) -> Result<RecordValue, Wrong> {
    let values: Vec<&str> = values
        .iter()
        .map(|value| text(value, "Value").unwrap_or_default())
        .collect();
    if values.len() > VALUES_MAX {
        let text = format!("Cannot have more than {VALUES_MAX} records in a RRSet.");
        return Err(Wrong::Batch(text));
    }
    let mut seen = BTreeSet::new();
    for value in &values {
        rdata::encode(kind, value)
            .map_err(|problem| Wrong::Batch(format!("Invalid Resource Record: '{problem}'")))?;
        if !seen.insert(value) {
            return Err(Wrong::Batch(format!(
                "Duplicate Resource Record: '{value}'"
            )));
        }
    }
    let one = [RecordType::Cname, RecordType::Soa];
    if one.contains(&kind) && values.len() > 1 {
        let text = format!("{} RRSet must have exactly one value", kind.as_str());
        return Err(Wrong::Batch(text));
    }
    if kind == RecordType::Soa && name != zone.name {
        let (shown, apex) = (dotted(name), dotted(&zone.name));
        return Err(Wrong::Batch(format!(
            "RRSet of type SOA with DNS name {shown} is only permitted at apex in zone {apex}"
        )));
    }
    let as_written = || {
        let values = values.iter().map(|value| value.trim().to_owned());
        RecordValue::Data(kind, values.collect())
    };
    Ok(if kind == RecordType::A {
        let read = values.iter().filter_map(|value| value.trim().parse().ok());
        RecordValue::A(read.collect())
    } else if kind == RecordType::Cname {
        let target = values.first().and_then(|value| domain(value.trim()));
        // The root is a name, and nowhere to lead to.
        let nowhere = "Invalid Resource Record: 'FATAL problem: DomainLabelEmpty (Domain label is empty) encountered with '.''";
        RecordValue::Cname(target.ok_or_else(|| Wrong::Batch(nowhere.to_owned()))?)
    } else if kind == RecordType::Txt {
        let texts: Option<Vec<String>> = values.iter().map(|it| rdata::single(it)).collect();
        texts.map_or_else(as_written, RecordValue::Txt)
    } else {
        as_written()
    })
}

/// What an alias leads to: a load balancer by its name, with or without `dualstack.` before it, or a record of the zone.
fn alias(
    view: &View<'_>,
    zone: &HostedZone,
    kind: RecordType,
    target: &Value,
) -> Result<RecordValue, Wrong> {
    let word = kind.as_str();
    if kind == RecordType::Cname {
        return Err(not_implemented(format!("an alias of type {word}")).into());
    }
    if matches!(kind, RecordType::Ns | RecordType::Soa) {
        let text = format!("An alias RRSet of type {word} is not permitted");
        return Err(Wrong::Batch(text));
    }
    let evaluate_target_health = is_on(target, "EvaluateTargetHealth");
    let of = text(target, "HostedZoneId").unwrap_or_default();
    let written = text(target, "DNSName").unwrap_or_default();
    let name = owner(written).unwrap_or_default();
    let topology = view.topology();
    let bare = name.strip_prefix("dualstack.").unwrap_or(&name);
    let mut balancers = topology.load_balancers.iter();
    let balancer = balancers.find(|lb| {
        endpoints::load_balancer(topology, &lb.id, lb.kind, &lb.region).eq_ignore_ascii_case(bare)
    });
    let of_balancer = matches!(kind, RecordType::A | RecordType::Aaaa);
    if let Some(lb) = balancer.filter(|_| of == elbv2::CANONICAL_ZONE && of_balancer) {
        return Ok(RecordValue::AliasLoadBalancer {
            load_balancer: lb.id.clone(),
            evaluate_target_health,
            kind,
        });
    }
    let inside = name == zone.name || name.ends_with(&format!(".{}", zone.name));
    if inside && of.trim_start_matches("/hostedzone/") == zone_id(zone) {
        return Ok(RecordValue::AliasRecord {
            name,
            evaluate_target_health,
            kind,
        });
    }
    let written = written.trim_end_matches('.');
    Err(Wrong::Batch(format!(
        "Tried to create an alias that targets {written}., type {word} in zone {of}, but the alias target name does not lie within the target zone"
    )))
}
