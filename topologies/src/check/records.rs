//! Route 53: hosted zones and their records, each by itself. What records are together is in `record_sets`.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::identifiers::domain;
use super::references::{Part, parts};
use super::timing::whole_seconds;
use super::{Checker, cnames, record_sets, routing};
use crate::defaults;
use crate::id::{HealthCheckId, LoadBalancerId};
use crate::names;
use crate::rdata;
use crate::records::{owner, with_alias_ttls};
use crate::spec::{At, RecordSpec, RecordTypeSpec};
use crate::topology::{HostedZone, Record, RecordType, RecordValue, Topology};
use crate::yaml::values::Words;

pub(super) fn hosted_zones(checker: &mut Checker<'_>, topology: &Topology) -> Vec<HostedZone> {
    let spec = checker.spec;
    let mut zones: Vec<HostedZone> = Vec::new();
    let mut links = Vec::new();
    for (name, zone) in spec.hosted_zones.iter() {
        let Some(apex) = domain(&name.value) else {
            checker.error_with(
                name.span,
                format!("`{}` is not a domain name", name.value.escape_debug()),
                "hosted zones are named like `shop.internal`",
            );
            continue;
        };
        if topology.suffix == apex || topology.suffix.ends_with(&format!(".{apex}")) {
            checker.error_with(
                name.span,
                format!("hosted zone `{apex}` would hide the names of the stack's own endpoints"),
                format!(
                    "names under `{}` are localaws's; choose another domain",
                    topology.suffix
                ),
            );
        }
        if zones.iter().any(|zone| zone.name == apex) {
            checker.error(name.span, format!("hosted zone `{apex}` is here twice"));
            continue;
        }
        let mut records = Vec::new();
        for written in &zone.value.records {
            records
                .extend(record(checker, topology, &apex, written).map(|record| (written, record)));
        }
        record_sets::check(checker, &apex, &records);
        links.extend(cnames::links(&apex, &records));
        let records = records.into_iter().map(|(_, record)| record).collect();
        let records = with_alias_ttls(records, topology.timing.load_balancer_ttl);
        zones.push(HostedZone {
            name: apex,
            records,
        });
    }
    let apexes: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
    cnames::check(checker, &apexes, &links);
    zones
}

fn record(
    checker: &mut Checker<'_>,
    topology: &Topology,
    apex: &str,
    written: &At<RecordSpec>,
) -> Option<Record> {
    let RecordSpec {
        name,
        kind,
        values,
        alias,
        evaluate_target_health,
        ttl,
        set_identifier,
        health_check,
        ..
    } = &written.value;
    let name = record_name(checker, apex, name);
    let health_check = health_check
        .as_ref()
        .and_then(|id| known_health_check(checker, id));
    by_itself(checker, &written.value);
    let evaluate = evaluate_target_health.as_ref().is_some_and(|on| on.value);
    let value = match (alias, values) {
        (Some(alias), None) => alias_value(checker, apex, kind.as_ref(), alias, evaluate),
        (None, Some(values)) => {
            plain_value(checker, topology, kind.as_ref().map(|at| at.value), values)
        }
        (None, None) | (Some(_), Some(_)) => {
            checker.error_with(
                written.span,
                "a record has either `values` or `alias`",
                "for example `{ name: www, alias: site }` or `{ name: www, type: A, values: [192.0.2.1] }`",
            );
            None
        }
    };
    let routing = routing::routing(checker, topology, written);
    let set_identifier = set_identifier.as_ref().map(|id| id.value.clone());
    let routing = routing?;
    Some(Record {
        name: name?,
        value: value?,
        ttl: ttl
            .as_ref()
            .map_or_else(|| default_ttl(checker), |ttl| ttl.value.0),
        set_identifier: set_identifier.or_else(|| routing::default_identifier(&routing)),
        routing,
        health_check,
    })
}

/// Notes what of a record can not be, whatever it answers.
fn by_itself(checker: &mut Checker<'_>, record: &RecordSpec) {
    if let Some(ttl) = &record.ttl {
        whole_seconds(checker, ttl);
        if let Some(alias) = &record.alias {
            let hint = format!(
                "an alias has the TTL of its target `{}`; leave out `ttl`",
                alias.value
            );
            checker.error_with(ttl.span, "an alias has no TTL of its own", hint);
        }
    }
    if let (Some(at), None) = (&record.evaluate_target_health, &record.alias) {
        checker.error(at.span, "only an alias can evaluate its target's health");
    }
    if let Some(id) = &record.set_identifier
        && (id.value.is_empty()
            || id.value.chars().count() > 128
            || id.value.chars().any(char::is_control))
    {
        checker.error(id.span, "a set identifier has 1 to 128 characters");
    }
}

/// The console's TTL at the timing's pace, in whole seconds.
fn default_ttl(checker: &Checker<'_>) -> Duration {
    let paced = defaults::paced(defaults::RECORD_TTL, checker.timing.health_check_scale);
    Duration::from_secs(paced.as_secs().max(1))
}

/// The whole name of a record that is written with or without its hosted zone's.
fn record_name(checker: &mut Checker<'_>, apex: &str, written: &At<String>) -> Option<String> {
    if written.value == "@" {
        return Some(apex.to_owned());
    }
    if written.value == "*" {
        return Some(format!("*.{apex}"));
    }
    let whole = owner(&written.value).and_then(|name| {
        let inside = name == apex || name.ends_with(&format!(".{apex}"));
        let absolute = written.value.ends_with('.');
        match (inside, absolute) {
            (true, _) => Some(name),
            (false, true) => None,
            (false, false) => owner(&format!("{name}.{apex}")),
        }
    });
    if whole.is_none() {
        checker.error_with(
            written.span,
            format!(
                "`{}` is not a name in hosted zone `{apex}`",
                written.value.escape_debug()
            ),
            format!("write `www`, `www.{apex}`, or `@` for `{apex}` itself"),
        );
    }
    whole
}

pub(super) fn known_health_check(
    checker: &mut Checker<'_>,
    written: &At<String>,
) -> Option<HealthCheckId> {
    let spec = checker.spec;
    let declared: Vec<&str> = spec
        .health_checks
        .iter()
        .map(|(name, _)| name.value.as_str())
        .collect();
    if !declared.contains(&written.value.as_str()) {
        checker.undeclared("health check", written, &declared);
        return None;
    }
    Some(HealthCheckId::from(written.value.as_str()))
}

fn alias_value(
    checker: &mut Checker<'_>,
    apex: &str,
    kind: Option<&At<RecordTypeSpec>>,
    alias: &At<String>,
    evaluate_target_health: bool,
) -> Option<RecordValue> {
    let of_balancer = |kind: RecordType| matches!(kind, RecordType::A | RecordType::Aaaa);
    let asked = kind.map_or(RecordType::A, |at| record_type(at.value));
    if let Some(at) = kind
        && matches!(asked, RecordType::Ns | RecordType::Soa | RecordType::Cname)
    {
        checker.error_with(
            at.span,
            format!("an alias can not have type {}", asked.as_str()),
            "leave out `type`, or give `values` in place of `alias`",
        );
        return None;
    }
    let spec = checker.spec;
    let balancers: Vec<&str> = spec
        .load_balancers
        .iter()
        .map(|(name, _)| name.value.as_str())
        .collect();
    if balancers.contains(&alias.value.as_str()) {
        if let Some(at) = kind.filter(|_| !of_balancer(asked)) {
            checker.error_with(
                at.span,
                "an alias of a load balancer has type A",
                "leave out `type`, or give `values` in place of `alias`",
            );
        }
        return Some(RecordValue::AliasLoadBalancer {
            load_balancer: LoadBalancerId::from(alias.value.as_str()),
            evaluate_target_health,
            kind: asked,
        });
    }
    let name = record_name(checker, apex, alias)?;
    Some(RecordValue::AliasRecord {
        name,
        evaluate_target_health,
        kind: asked,
    })
}

/// The type that is meant.
pub(super) fn record_type(kind: RecordTypeSpec) -> RecordType {
    match kind {
        RecordTypeSpec::A => RecordType::A,
        RecordTypeSpec::Aaaa => RecordType::Aaaa,
        RecordTypeSpec::Caa => RecordType::Caa,
        RecordTypeSpec::Cname => RecordType::Cname,
        RecordTypeSpec::Ds => RecordType::Ds,
        RecordTypeSpec::Https => RecordType::Https,
        RecordTypeSpec::Mx => RecordType::Mx,
        RecordTypeSpec::Naptr => RecordType::Naptr,
        RecordTypeSpec::Ns => RecordType::Ns,
        RecordTypeSpec::Ptr => RecordType::Ptr,
        RecordTypeSpec::Spf => RecordType::Spf,
        RecordTypeSpec::Srv => RecordType::Srv,
        RecordTypeSpec::Sshfp => RecordType::Sshfp,
        RecordTypeSpec::Svcb => RecordType::Svcb,
        RecordTypeSpec::Tlsa => RecordType::Tlsa,
        RecordTypeSpec::Txt => RecordType::Txt,
    }
}

fn plain_value(
    checker: &mut Checker<'_>,
    topology: &Topology,
    kind: Option<RecordTypeSpec>,
    written: &At<Words>,
) -> Option<RecordValue> {
    let Words(values) = &written.value;
    if values.is_empty() {
        checker.error(written.span, "a record has at least one value");
        return None;
    }
    match kind.map_or(RecordType::A, record_type) {
        RecordType::A => addresses(checker, values).map(RecordValue::A),
        RecordType::Cname => {
            if values.len() > 1 {
                checker.error(written.span, "a CNAME record has one value");
            }
            domain_text(checker, topology, &values[0]).map(RecordValue::Cname)
        }
        kind @ (RecordType::Txt | RecordType::Spf) => text(checker, kind, values),
        kind @ (RecordType::Aaaa
        | RecordType::Caa
        | RecordType::Ds
        | RecordType::Https
        | RecordType::Mx
        | RecordType::Naptr
        | RecordType::Ns
        | RecordType::Ptr
        | RecordType::Soa
        | RecordType::Srv
        | RecordType::Sshfp
        | RecordType::Svcb
        | RecordType::Tlsa) => data(checker, kind, values),
    }
}

/// Texts as they are, or in quotation marks as Route 53 has them, where one can be of several strings.
fn text(checker: &mut Checker<'_>, kind: RecordType, values: &[At<String>]) -> Option<RecordValue> {
    let marked = rdata::is_quoted;
    let long = |text: &At<String>| text.value.len() > 255 && !marked(&text.value);
    for text in values.iter().filter(|text| long(text)) {
        checker.error_with(
            text.span,
            "a text of a TXT record has at most 255 characters",
            "cut it into strings in quotation marks: '\"one\" \"two\"'",
        );
    }
    if kind == RecordType::Txt && !values.iter().any(|it| marked(&it.value)) {
        let texts = values.iter().map(|it| it.value.clone());
        return Some(RecordValue::Txt(texts.collect()));
    }
    let written = values.iter().map(|it| At {
        span: it.span,
        value: if marked(&it.value) {
            it.value.clone()
        } else {
            rdata::texts(&it.value)
        },
    });
    let written: Vec<At<String>> = written.collect();
    let value = data(checker, kind, &written)?;
    Some(rdata_value(value))
}

/// Texts that are one string each, as such.
fn rdata_value(value: RecordValue) -> RecordValue {
    if let RecordValue::Data(RecordType::Txt, values) = &value {
        let texts: Option<Vec<String>> = values.iter().map(|it| rdata::single(it)).collect();
        return texts.map_or(value, RecordValue::Txt);
    }
    value
}

/// Data as Route 53 writes them.
fn data(checker: &mut Checker<'_>, kind: RecordType, values: &[At<String>]) -> Option<RecordValue> {
    let read = |value: &At<String>| match rdata::encode(kind, &value.value) {
        Ok(_) => Some(value.value.clone()),
        Err(problem) => {
            let word = kind.as_str();
            checker.error_with(
                value.span,
                format!(
                    "`{}` is not a value of type {word}",
                    value.value.escape_debug()
                ),
                format!("{}: `{}`", problem.text, problem.value.escape_debug()),
            );
            None
        }
    };
    let read: Vec<Option<String>> = values.iter().map(read).collect();
    let read: Option<Vec<String>> = read.into_iter().collect();
    read.map(|values| RecordValue::Data(kind, values))
}

fn addresses(checker: &mut Checker<'_>, values: &[At<String>]) -> Option<Vec<Ipv4Addr>> {
    let read = |value: &At<String>| match value.value.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            checker.error_with(
                value.span,
                format!("`{}` is not an IPv4 address", value.value.escape_debug()),
                "an A record has addresses; another name needs `type: CNAME`, a load balancer `alias: ...`",
            );
            None
        }
    };
    let addresses: Vec<Option<Ipv4Addr>> = values.iter().map(read).collect();
    addresses.into_iter().collect()
}

/// A domain name that may be written as a reference to an endpoint.
pub(super) fn domain_text(
    checker: &mut Checker<'_>,
    topology: &Topology,
    written: &At<String>,
) -> Option<String> {
    let mut text = String::new();
    for part in parts(checker, written)? {
        match part {
            Part::Text(literal) => text.push_str(&literal),
            Part::Reference(reference) if names::is_address(&reference) => {
                // An endpoint that was left out for a mistake of its own has no name.
                text.push_str(&names::address(topology, &reference)?);
            }
            Part::Reference(_) => {
                checker.error_with(
                    written.span,
                    format!("`{}` is not a name", written.value),
                    "here only `.address` of an endpoint can be referred to",
                );
                return None;
            }
        }
    }
    let name = domain(&text);
    if name.is_none() {
        checker.error_with(
            written.span,
            format!("`{}` is not a domain name", text.escape_debug()),
            "write a name, `www.example.com`, or an endpoint's, `${site.address}`",
        );
    }
    name
}
