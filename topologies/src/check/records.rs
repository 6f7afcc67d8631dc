//! Route 53: health checks, hosted zones and their records, each by itself. What records are together is in `record_sets`.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::identifiers::{self, domain};
use super::references::{Part, parts};
use super::target_groups::path;
use super::timing::whole_seconds;
use super::{Checker, cnames, record_sets};
use crate::defaults;
use crate::id::{HealthCheckId, LoadBalancerId};
use crate::names;
use crate::records::with_alias_ttls;
use crate::spec::{At, FailoverSpec, ProtocolSpec, RecordSpec, RecordTypeSpec};
use crate::topology::{
    FailoverRole, HealthCheck, HostedZone, Protocol, Record, RecordValue, Topology,
};
use crate::yaml::values::Words;

pub(super) fn health_checks(checker: &mut Checker<'_>, topology: &Topology) -> Vec<HealthCheck> {
    let spec = checker.spec;
    let mut checks = Vec::new();
    for (name, check) in spec.health_checks.iter() {
        identifiers::name(checker, &identifiers::HEALTH_CHECK, name);
        let protocol = check.kind.map_or(Protocol::Http, ProtocolSpec::into);
        if let (Protocol::Tcp, Some(path)) = (protocol, &check.resource_path) {
            checker.error(path.span, "a TCP health check has no `resource-path`");
        }
        let interval = check
            .request_interval
            .as_ref()
            .map_or(defaults::HEALTH_CHECK_INTERVAL, |at| at.value.0);
        if let Some(at) = &check.request_interval
            && interval != defaults::HEALTH_CHECK_INTERVAL
            && interval != defaults::HEALTH_CHECK_FAST_INTERVAL
        {
            checker.error_with(
                at.span,
                format!("request interval {} is not one of Route 53's", at.value),
                "it is 30s or 10s; `timing: { health-check-scale: 30 }` divides it",
            );
        }
        let resource_path = path(checker, check.resource_path.as_ref());
        let Some(fully_qualified_domain_name) =
            domain_text(checker, topology, &check.fully_qualified_domain_name)
        else {
            continue;
        };
        checks.push(HealthCheck {
            id: HealthCheckId::from(name.value.as_str()),
            fully_qualified_domain_name,
            port: check.port.unwrap_or(defaults::HEALTH_CHECK_PORT),
            protocol,
            resource_path,
            request_interval: interval,
            failure_threshold: check
                .failure_threshold
                .unwrap_or(defaults::HEALTH_CHECK_THRESHOLD),
        });
    }
    checks
}

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
        failover,
        health_check,
    } = &written.value;
    let name = record_name(checker, apex, name);
    let health_check = health_check
        .as_ref()
        .and_then(|id| known_health_check(checker, id));
    if let Some(ttl) = ttl {
        whole_seconds(checker, ttl);
        if let Some(alias) = alias {
            let hint = format!(
                "an alias has the TTL of its target `{}`; leave out `ttl`",
                alias.value
            );
            checker.error_with(ttl.span, "an alias has no TTL of its own", hint);
        }
    }
    if let (Some(at), None) = (evaluate_target_health, alias) {
        checker.error(at.span, "only an alias can evaluate its target's health");
    }
    if let Some(id) = set_identifier
        && (id.value.is_empty()
            || id.value.chars().count() > 128
            || id.value.chars().any(char::is_control))
    {
        checker.error(id.span, "a set identifier has 1 to 128 characters");
    }
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
    let failover = failover.as_ref().map(|at| match at.value {
        FailoverSpec::Primary => FailoverRole::Primary,
        FailoverSpec::Secondary => FailoverRole::Secondary,
    });
    Some(Record {
        name: name?,
        value: value?,
        ttl: ttl
            .as_ref()
            .map_or_else(|| default_ttl(checker), |ttl| ttl.value.0),
        set_identifier: set_identifier
            .as_ref()
            .map(|id| id.value.clone())
            .or(failover.map(|role| match role {
                FailoverRole::Primary => "primary".to_owned(),
                FailoverRole::Secondary => "secondary".to_owned(),
            })),
        failover,
        health_check,
    })
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
    let whole = domain(&written.value).and_then(|name| {
        let inside = name == apex || name.ends_with(&format!(".{apex}"));
        let absolute = written.value.ends_with('.');
        match (inside, absolute) {
            (true, _) => Some(name),
            (false, true) => None,
            (false, false) => domain(&format!("{name}.{apex}")),
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

fn known_health_check(checker: &mut Checker<'_>, written: &At<String>) -> Option<HealthCheckId> {
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
    if let Some(kind) = kind
        && kind.value != RecordTypeSpec::A
    {
        checker.error_with(
            kind.span,
            "an alias has type A",
            "leave out `type`, or give `values` in place of `alias`",
        );
    }
    let spec = checker.spec;
    let balancers: Vec<&str> = spec
        .load_balancers
        .iter()
        .map(|(name, _)| name.value.as_str())
        .collect();
    if balancers.contains(&alias.value.as_str()) {
        return Some(RecordValue::AliasLoadBalancer {
            load_balancer: LoadBalancerId::from(alias.value.as_str()),
            evaluate_target_health,
        });
    }
    let name = record_name(checker, apex, alias)?;
    Some(RecordValue::AliasRecord {
        name,
        evaluate_target_health,
    })
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
    match kind.unwrap_or(RecordTypeSpec::A) {
        RecordTypeSpec::A => addresses(checker, values).map(RecordValue::A),
        RecordTypeSpec::Cname => {
            if values.len() > 1 {
                checker.error(written.span, "a CNAME record has one value");
            }
            domain_text(checker, topology, &values[0]).map(RecordValue::Cname)
        }
        RecordTypeSpec::Txt => {
            for text in values.iter().filter(|text| text.value.len() > 255) {
                checker.error(
                    text.span,
                    "a text of a TXT record has at most 255 characters",
                );
            }
            Some(RecordValue::Txt(
                values.iter().map(|text| text.value.clone()).collect(),
            ))
        }
    }
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
fn domain_text(
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
