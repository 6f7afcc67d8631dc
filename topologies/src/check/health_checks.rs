//! Route 53's health checks: what each looks at, and that those which count others come to an end.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::Checker;
use super::identifiers;
use super::records::{domain_text, known_health_check};
use super::target_groups::path;
use crate::defaults;
use crate::id::{AlarmId, HealthCheckId, RegionId};
use crate::notes::Span;
use crate::spec::{At, HealthCheckSpec, HealthCheckTypeSpec, UnsureSpec};
use crate::topology::{
    AlarmCheck, EndpointCheck, HealthCheck, HealthCheckKind, Protocol, Topology, Unsure,
};

/// Characters of a search string at most (aws-behaviour §6.4).
const SEARCH_MAX: usize = 255;

pub(super) fn health_checks(checker: &mut Checker<'_>, topology: &Topology) -> Vec<HealthCheck> {
    let spec = checker.spec;
    let mut checks = Vec::new();
    for (name, check) in spec.health_checks.iter() {
        identifiers::name(checker, &identifiers::HEALTH_CHECK, name);
        let kind = check.kind.unwrap_or(HealthCheckTypeSpec::Http);
        fields(checker, kind, check);
        let kind = match kind {
            HealthCheckTypeSpec::Calculated => calculated(checker, name, check),
            HealthCheckTypeSpec::CloudwatchMetric => alarm(checker, topology, name, check),
            HealthCheckTypeSpec::Http
            | HealthCheckTypeSpec::HttpStrMatch
            | HealthCheckTypeSpec::Tcp => endpoint(checker, topology, name, check),
        };
        checks.extend(kind.map(|kind| HealthCheck {
            id: HealthCheckId::from(name.value.as_str()),
            kind,
            inverted: check.inverted.unwrap_or(false),
            disabled: check.disabled.unwrap_or(false),
        }));
    }
    circles(checker, &checks);
    checks
}

/// Notes what is said and means nothing to this kind of health check.
fn fields(checker: &mut Checker<'_>, kind: HealthCheckTypeSpec, check: &HealthCheckSpec) {
    use HealthCheckTypeSpec as Kind;
    fn at<T>(field: &Option<At<T>>) -> Option<Span> {
        field.as_ref().map(|at| at.span)
    }
    let asks: &[Kind] = &[Kind::Http, Kind::HttpStrMatch, Kind::Tcp];
    let http: &[Kind] = &[Kind::Http, Kind::HttpStrMatch];
    let (calculated, alarm): (&[Kind], &[Kind]) = (&[Kind::Calculated], &[Kind::CloudwatchMetric]);
    let name = at(&check.fully_qualified_domain_name);
    let all = [
        ("fully-qualified-domain-name", name, asks),
        ("ip-address", at(&check.ip_address), asks),
        ("port", at(&check.port), asks),
        ("resource-path", at(&check.resource_path), http),
        (
            "search-string",
            at(&check.search_string),
            &[Kind::HttpStrMatch],
        ),
        ("request-interval", at(&check.request_interval), asks),
        ("failure-threshold", at(&check.failure_threshold), asks),
        (
            "child-health-checks",
            at(&check.child_health_checks),
            calculated,
        ),
        ("health-threshold", at(&check.health_threshold), calculated),
        ("alarm", at(&check.alarm), alarm),
        (
            "insufficient-data-health-status",
            at(&check.insufficient_data_health_status),
            alarm,
        ),
    ];
    for (field, said, kinds) in all {
        if let Some(span) = said.filter(|_| !kinds.contains(&kind)) {
            let message = format!("{} health check has no `{field}`", article(kind));
            checker.error(span, message);
        }
    }
}

fn article(kind: HealthCheckTypeSpec) -> &'static str {
    match kind {
        HealthCheckTypeSpec::Http => "an HTTP",
        HealthCheckTypeSpec::HttpStrMatch => "an HTTP_STR_MATCH",
        HealthCheckTypeSpec::Tcp => "a TCP",
        HealthCheckTypeSpec::Calculated => "a CALCULATED",
        HealthCheckTypeSpec::CloudwatchMetric => "a CLOUDWATCH_METRIC",
    }
}

fn endpoint(
    checker: &mut Checker<'_>,
    topology: &Topology,
    name: &At<String>,
    check: &HealthCheckSpec,
) -> Option<HealthCheckKind> {
    let interval = check.request_interval.as_ref();
    let request_interval = interval.map_or(defaults::HEALTH_CHECK_INTERVAL, |at| at.value.0);
    let allowed = [
        defaults::HEALTH_CHECK_INTERVAL,
        defaults::HEALTH_CHECK_FAST_INTERVAL,
    ];
    if let Some(at) = interval.filter(|_| !allowed.contains(&request_interval)) {
        checker.error_with(
            at.span,
            format!("request interval {} is not one of Route 53's", at.value),
            "it is 30s or 10s; `timing: { health-check-scale: 30 }` divides it",
        );
    }
    let resource_path = path(checker, check.resource_path.as_ref());
    let search_string = check.search_string.as_ref();
    let wants = check.kind == Some(HealthCheckTypeSpec::HttpStrMatch);
    let long = |at: &&At<String>| !(1..=SEARCH_MAX).contains(&at.value.chars().count());
    if let Some(at) = search_string.filter(long) {
        checker.error(
            at.span,
            format!("a search string has 1 to {SEARCH_MAX} characters"),
        );
    } else if wants && search_string.is_none() {
        checker.error(
            name.span,
            format!(
                "health check `{}` does not say which text it looks for: `search-string`",
                name.value
            ),
        );
    }
    let address = check.ip_address.as_ref().map(|at| address(checker, at));
    let domain = check.fully_qualified_domain_name.as_ref();
    if domain.is_none() && address.is_none() {
        checker.error_with(
            name.span,
            format!("health check `{}` does not say whom it asks", name.value),
            "give it `fully-qualified-domain-name`, for example `${site.address}`, or `ip-address`",
        );
        return None;
    }
    let domain = domain.map(|at| domain_text(checker, topology, at));
    Some(HealthCheckKind::Endpoint(EndpointCheck {
        address: address.map_or(Some(None), |it| it.map(Some))?,
        fully_qualified_domain_name: domain.map_or(Some(None), |it| it.map(Some))?,
        port: check
            .port
            .as_ref()
            .map_or(defaults::HEALTH_CHECK_PORT, |at| at.value),
        protocol: match check.kind {
            Some(HealthCheckTypeSpec::Tcp) => Protocol::Tcp,
            _ => Protocol::Http,
        },
        resource_path,
        search_string: search_string.map(|at| at.value.clone()),
        request_interval,
        failure_threshold: check
            .failure_threshold
            .as_ref()
            .map_or(defaults::HEALTH_CHECK_THRESHOLD, |at| at.value),
    }))
}

/// Checkers stand outside of every VPC and can not ask private addresses (aws-behaviour §6.4).
fn address(checker: &mut Checker<'_>, written: &At<String>) -> Option<Ipv4Addr> {
    match written.value.parse::<Ipv4Addr>() {
        Ok(address) if !crate::records::unreachable(address) => Some(address),
        Ok(address) => {
            checker.error_with(
                written.span,
                format!("no checker of Route 53 reaches `{address}`"),
                "health checks are made from outside of the VPC; an address of this stack, or a public one, can be given",
            );
            None
        }
        Err(_) => {
            let shown = written.value.escape_debug();
            checker.error(written.span, format!("`{shown}` is not an IPv4 address"));
            None
        }
    }
}

fn calculated(
    checker: &mut Checker<'_>,
    name: &At<String>,
    check: &HealthCheckSpec,
) -> Option<HealthCheckKind> {
    let Some(children) = &check.child_health_checks else {
        checker.error_with(
            name.span,
            format!(
                "health check `{}` does not say which ones it counts",
                name.value
            ),
            "give it `child-health-checks` and `health-threshold`",
        );
        return None;
    };
    let words = &children.value.0;
    if words.is_empty() || words.len() > defaults::CHILD_HEALTH_CHECKS_MAX {
        let most = defaults::CHILD_HEALTH_CHECKS_MAX;
        checker.error(
            children.span,
            format!("a CALCULATED health check counts 1 to {most} others"),
        );
    }
    let mut seen = BTreeSet::new();
    let mut known = Vec::new();
    for word in words {
        if !seen.insert(&word.value) {
            checker.error(
                word.span,
                format!("health check `{}` is here twice", word.value),
            );
        }
        known.extend(known_health_check(checker, word));
    }
    Some(HealthCheckKind::Calculated {
        children: known,
        threshold: check.health_threshold.as_ref().map_or(1, |at| at.value),
    })
}

fn alarm(
    checker: &mut Checker<'_>,
    topology: &Topology,
    name: &At<String>,
    check: &HealthCheckSpec,
) -> Option<HealthCheckKind> {
    let Some(alarm) = &check.alarm else {
        checker.error_with(
            name.span,
            format!(
                "health check `{}` does not say which alarm it follows",
                name.value
            ),
            "for example `alarm: { name: too-few }`",
        );
        return None;
    };
    let region = alarm.value.region.as_ref();
    let regions = &topology.regions;
    if let Some(at) = region.filter(|at| !regions.iter().any(|it| it.id.as_str() == at.value)) {
        let declared: Vec<&str> = regions.iter().map(|it| it.id.as_str()).collect();
        checker.undeclared("region", at, &declared);
        return None;
    }
    let region = match region {
        Some(at) => RegionId::from(at.value.as_str()),
        None => regions.first()?.id.clone(),
    };
    let unsure = check.insufficient_data_health_status.as_ref();
    Some(HealthCheckKind::Alarm(AlarmCheck {
        region,
        alarm: AlarmId::from(alarm.value.name.value.as_str()),
        insufficient_data: match unsure.map(|at| at.value) {
            Some(UnsureSpec::Healthy) => Unsure::Healthy,
            Some(UnsureSpec::Unhealthy) => Unsure::Unhealthy,
            Some(UnsureSpec::LastKnownStatus) | None => Unsure::LastKnownStatus,
        },
    }))
}

/// Notes health checks that count themselves.
fn circles(checker: &mut Checker<'_>, checks: &[HealthCheck]) {
    let spec = checker.spec;
    for (name, check) in spec.health_checks.iter() {
        let id = HealthCheckId::from(name.value.as_str());
        if crate::records::counts_itself(checks, &id) {
            let children = check.child_health_checks.as_ref();
            checker.error_with(
                children.map_or(name.span, |at| at.span),
                format!("health check `{}` counts itself", name.value),
                "somewhere along the way there must be health checks of endpoints only",
            );
        }
    }
}
