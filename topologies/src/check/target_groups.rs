//! Target groups and their health checks.

use std::time::Duration;

use super::balancing::balancing;
use super::{Checker, identifiers};
use crate::defaults;
use crate::id::{InstanceId, TargetGroupId};
use crate::notes::Span;
use crate::spec::{At, ProtocolSpec, TargetGroupSpec, TargetHealthCheckSpec};
use crate::topology::{Protocol, Service, TargetGroup, TargetHealthCheck};
use crate::yaml::values::{Period, StatusCodes};

impl From<ProtocolSpec> for Protocol {
    fn from(written: ProtocolSpec) -> Self {
        match written {
            ProtocolSpec::Http => Self::Http,
            ProtocolSpec::Tcp => Self::Tcp,
        }
    }
}

pub(super) fn target_groups(checker: &mut Checker<'_>, services: &[Service]) -> Vec<TargetGroup> {
    let spec = checker.spec;
    let mut groups = Vec::new();
    for (name, group) in spec.target_groups.iter() {
        identifiers::name(checker, &identifiers::TARGET_GROUP, name);
        let protocol = group
            .protocol
            .as_ref()
            .map_or(Protocol::Http, |protocol| protocol.value.into());
        let targets = targets(checker, group, services);
        let port = port(checker, group, name.span, services, &targets);
        let health_check = health_check(checker, protocol, group.health_check.as_ref());
        let deregistration_delay = ranged(
            checker,
            group.deregistration_delay.as_ref(),
            defaults::DEREGISTRATION_DELAY,
            ("deregistration delay", defaults::DEREGISTRATION_DELAY_RANGE),
        );
        groups.push(TargetGroup {
            id: TargetGroupId::from(name.value.as_str()),
            protocol,
            port,
            targets,
            health_check,
            cross_zone: group.cross_zone,
            deregistration_delay,
            routing: balancing(checker, protocol, group, name.span),
        });
    }
    groups
}

fn names(group: &TargetGroupSpec) -> impl Iterator<Item = &At<String>> {
    group.targets.iter().flat_map(|targets| &targets.value.0)
}

/// The instances that a group's targets name, once each, in the order of the names.
fn targets(
    checker: &mut Checker<'_>,
    group: &TargetGroupSpec,
    services: &[Service],
) -> Vec<InstanceId> {
    let spec = checker.spec;
    let groups = spec.instances.iter().map(|(name, _)| name.value.as_str());
    let declared: Vec<&str> = groups.collect();
    let mut targets: Vec<InstanceId> = Vec::new();
    for name in names(group) {
        let named: Vec<InstanceId> = services
            .iter()
            .flat_map(|service| service.instances.iter().map(move |it| (service, it)))
            .filter(|(service, instance)| {
                service.id.as_str() == name.value || instance.id.as_str() == name.value
            })
            .map(|(_, instance)| instance.id.clone())
            .collect();
        if named.is_empty() && !declared.contains(&name.value.as_str()) {
            checker.undeclared("group of instances", name, &declared);
        }
        for target in named {
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    targets
}

fn port(
    checker: &mut Checker<'_>,
    group: &TargetGroupSpec,
    at: Span,
    services: &[Service],
    targets: &[InstanceId],
) -> u16 {
    let has_target = |service: &&Service| {
        let mut instances = service.instances.iter();
        instances.any(|instance| targets.contains(&instance.id))
    };
    let listening: Vec<u16> = services
        .iter()
        .filter(has_target)
        .map(|service| service.port)
        .collect();
    let names: Vec<&str> = names(group).map(|name| name.value.as_str()).collect();
    let names = names.join("`, `");
    let Some(port) = &group.port else {
        if names.is_empty() {
            checker.error_with(
                at,
                "a target group without targets needs a `port`",
                "name the port on which its targets will listen",
            );
        }
        let first = listening.first().copied().unwrap_or_default();
        if listening.iter().any(|port| *port != first) {
            checker.error(at, format!("`{names}` listen on different ports"));
        }
        return first;
    };
    if let Some(other) = listening.iter().find(|listening| **listening != port.value) {
        checker.error_with(
            port.span,
            format!("nothing listens on port {} of `{names}`", port.value),
            format!("its instances listen on {other}; leave out `port`"),
        );
    }
    port.value
}

fn health_check(
    checker: &mut Checker<'_>,
    group: Protocol,
    written: Option<&TargetHealthCheckSpec>,
) -> TargetHealthCheck {
    let none = TargetHealthCheckSpec::default();
    let written = written.unwrap_or(&none);
    let protocol = written
        .protocol
        .as_ref()
        .map_or(group, |protocol| protocol.value.into());
    if let (Protocol::Http, Protocol::Tcp, Some(at)) = (group, protocol, &written.protocol) {
        checker.error_with(
            at.span,
            "a target group with protocol HTTP is checked over HTTP",
            "leave out the health check's `protocol`",
        );
    }
    if protocol == Protocol::Tcp {
        http_only(checker, written);
    }
    let matcher = matcher(checker, group, written.matcher.as_ref());
    let (interval, timeout) = pace(checker, group, protocol, written);
    TargetHealthCheck {
        protocol,
        path: path(checker, written.path.as_ref()),
        matcher,
        interval,
        timeout,
        healthy_threshold: written
            .healthy_threshold
            .unwrap_or(defaults::HEALTHY_THRESHOLD),
        unhealthy_threshold: written
            .unhealthy_threshold
            .unwrap_or(defaults::UNHEALTHY_THRESHOLD),
    }
}

fn http_only(checker: &mut Checker<'_>, written: &TargetHealthCheckSpec) {
    let path = written.path.as_ref().map(|path| ("path", path.span));
    let matcher = written
        .matcher
        .as_ref()
        .map(|matcher| ("matcher", matcher.span));
    for (field, span) in [path, matcher].into_iter().flatten() {
        checker.error_with(
            span,
            format!("a TCP health check has no `{field}`"),
            "with `protocol: HTTP` it has: a TCP target group may be checked over HTTP",
        );
    }
}

/// The path of a health check, `/` if none is given.
pub(super) fn path(checker: &mut Checker<'_>, written: Option<&At<String>>) -> String {
    let Some(path) = written else {
        return defaults::CHECK_PATH.to_owned();
    };
    if !path.value.starts_with('/')
        || !identifiers::printable(&path.value, "")
        || path.value.len() > 1_024
    {
        checker.error_with(
            path.span,
            format!("`{}` is not a path to ask for", path.value.escape_debug()),
            "a path begins with `/` and has no spaces",
        );
    }
    path.value.clone()
}

fn matcher(
    checker: &mut Checker<'_>,
    group: Protocol,
    written: Option<&At<StatusCodes>>,
) -> Vec<(u16, u16)> {
    let (usual, (least, most)) = defaults::usual_matcher(group);
    let Some(matcher) = written else {
        return vec![usual];
    };
    let StatusCodes(codes) = &matcher.value;
    if codes
        .iter()
        .any(|(first, last)| *first < least || *last > most)
    {
        checker.error(
            matcher.span,
            format!(
                "matcher `{}` is out of range: allowed is {least} to {most}",
                matcher.value
            ),
        );
    }
    codes.clone()
}

/// Interval and timeout, held against AWS's ranges as written and then divided by the timing's scale.
fn pace(
    checker: &mut Checker<'_>,
    group: Protocol,
    check: Protocol,
    written: &TargetHealthCheckSpec,
) -> (Duration, Duration) {
    let (usual_interval, usual_timeout) = defaults::usual_pace(group, check);
    let interval = ranged(
        checker,
        written.interval.as_ref(),
        usual_interval,
        ("health check interval", defaults::CHECK_INTERVAL_RANGE),
    );
    // A short interval brings the timeout down with it where the file gives none.
    let timeout = ranged(
        checker,
        written.timeout.as_ref(),
        usual_timeout.min(interval),
        ("health check timeout", defaults::CHECK_TIMEOUT_RANGE),
    );
    let at: Option<Span> = written
        .timeout
        .as_ref()
        .or(written.interval.as_ref())
        .map(|at| at.span);
    if let (true, Some(span)) = (timeout > interval, at) {
        checker.error_with(
            span,
            format!(
                "a check's timeout of {} is longer than its interval of {}",
                Period(timeout),
                Period(interval)
            ),
            "give `interval` and `timeout` so that a check ends before the next one begins",
        );
    }
    (interval, timeout)
}

/// A duration in whole seconds within AWS's range, or the default.
pub(super) fn ranged(
    checker: &mut Checker<'_>,
    written: Option<&At<Period>>,
    default: Duration,
    (what, (least, most)): (&str, (Duration, Duration)),
) -> Duration {
    let Some(written) = written else {
        return default;
    };
    let Period(duration) = written.value;
    if duration < least || duration > most {
        let message = format!(
            "{what} {} is out of range: AWS allows {} to {}",
            written.value,
            Period(least),
            Period(most)
        );
        if what.starts_with("health check") {
            let hint = "write AWS's times: `timing: { health-check-scale: 30 }` divides those of health checks";
            checker.error_with(written.span, message, hint);
        } else {
            checker.error(written.span, message);
        }
    } else if duration.subsec_nanos() != 0 {
        checker.error(
            written.span,
            format!("{what} {} is no whole number of seconds", written.value),
        );
    }
    duration
}
