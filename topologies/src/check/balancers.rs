//! Load balancers, their listeners and rules.

use std::collections::{BTreeMap, BTreeSet};

use super::actions::action;
use super::rules::rule;
use super::target_groups::ranged;
use super::{Checker, identifiers};
use crate::defaults;
use crate::id::LoadBalancerId;
use crate::spec::{At, ForwardedForSpec, ListenerSpec, LoadBalancerSpec, LoadBalancerTypeSpec};
use crate::topology::{
    ForwardedFor, Headers, Listener, LoadBalancer, LoadBalancerType, Protocol, TargetGroup,
};

/// The target groups by name, and which load balancer uses each.
pub(super) struct Groups<'t> {
    pub(super) declared: Vec<&'t str>,
    pub(super) protocols: BTreeMap<&'t str, Protocol>,
    /// Those whose clients stay with a target.
    pub(super) sticky: BTreeSet<&'t str>,
    pub(super) used: BTreeMap<String, String>,
}

pub(super) fn load_balancers(
    checker: &mut Checker<'_>,
    groups: &[TargetGroup],
) -> Vec<LoadBalancer> {
    let spec = checker.spec;
    let mut groups = Groups {
        declared: spec
            .target_groups
            .iter()
            .map(|(name, _)| name.value.as_str())
            .collect(),
        protocols: groups
            .iter()
            .map(|group| (group.id.as_str(), group.protocol))
            .collect(),
        sticky: groups
            .iter()
            .filter(|group| group.routing.stickiness.enabled)
            .map(|group| group.id.as_str())
            .collect(),
        used: BTreeMap::new(),
    };
    let mut balancers = Vec::new();
    for (name, balancer) in spec.load_balancers.iter() {
        identifiers::name(checker, &identifiers::LOAD_BALANCER, name);
        if name.value.starts_with("internal-") {
            checker.error(
                name.span,
                "a load balancer's name does not begin with `internal-`",
            );
        }
        checker.take(
            name.value.clone(),
            &format!("the load balancer `{}`", name.value),
            name.span,
        );
        balancers.extend(load_balancer(checker, name, balancer, &mut groups));
    }
    for (name, _) in spec.target_groups.iter() {
        if !groups.used.contains_key(&name.value) && checker.left_out.is_empty() {
            checker.warning(
                name.span,
                format!("target group `{}` is used by no listener", name.value),
                "its targets are not checked and get no traffic",
            );
        }
    }
    balancers
}

fn load_balancer(
    checker: &mut Checker<'_>,
    name: &At<String>,
    written: &LoadBalancerSpec,
    groups: &mut Groups<'_>,
) -> Option<LoadBalancer> {
    let (kind, idle, idle_range, cross_zone) = match written.kind.value {
        LoadBalancerTypeSpec::Application => (
            LoadBalancerType::Application,
            defaults::ALB_IDLE_TIMEOUT,
            defaults::ALB_IDLE_TIMEOUT_RANGE,
            defaults::ALB_CROSS_ZONE,
        ),
        LoadBalancerTypeSpec::Network => (
            LoadBalancerType::Network,
            defaults::NLB_IDLE_TIMEOUT,
            defaults::NLB_IDLE_TIMEOUT_RANGE,
            defaults::NLB_CROSS_ZONE,
        ),
    };
    if let (LoadBalancerType::Application, Some(At { span, value: false })) =
        (kind, &written.cross_zone)
    {
        checker.error_with(
            *span,
            "cross-zone is always on for an Application Load Balancer",
            "a target group may turn it off with `cross-zone: false`",
        );
    }
    let idle_timeout = ranged(
        checker,
        written.idle_timeout.as_ref(),
        idle,
        ("idle timeout", idle_range),
    );
    let listeners = listeners(checker, name, kind, &written.listeners, groups);
    let what = format!("load balancer `{}`", name.value);
    let zones = match &written.availability_zones {
        Some(zones) => checker.distinct_zones(zones)?,
        None => checker.default_zones(&what, name.span, "availability-zones")?,
    };
    let place = written
        .availability_zones
        .as_ref()
        .map_or(name.span, |zones| zones.span);
    if kind == LoadBalancerType::Application && zones.len() < defaults::ALB_ZONES_MIN {
        checker.error_with(
            place,
            format!(
                "Application Load Balancer `{}` is in {} zone",
                name.value,
                zones.len()
            ),
            "AWS requires two zones or more; a Network Load Balancer may stand in one",
        );
    }
    Some(LoadBalancer {
        id: LoadBalancerId::from(name.value.as_str()),
        kind,
        region: checker.one_region(&what, place, &zones)?,
        zones,
        cross_zone: written
            .cross_zone
            .as_ref()
            .map_or(cross_zone, |on| on.value),
        idle_timeout,
        listeners,
        headers: headers(checker, kind, written),
    })
}

fn headers(
    checker: &mut Checker<'_>,
    kind: LoadBalancerType,
    written: &LoadBalancerSpec,
) -> Headers {
    let flags = [
        &written.xff_client_port,
        &written.preserve_host_header,
        &written.drop_invalid_header_fields,
    ];
    let mode = written.xff_header_processing.as_ref();
    if kind == LoadBalancerType::Network {
        let spans = flags.into_iter().flatten().map(|it| it.span);
        for span in spans.chain(mode.map(|it| it.span)) {
            checker.error_with(
                span,
                "a Network Load Balancer does not look at headers",
                "leave it out: it is there on an Application Load Balancer only",
            );
        }
    }
    let [client_port, preserve_host, drop_invalid] =
        flags.map(|it| it.as_ref().is_some_and(|it| it.value));
    Headers {
        forwarded_for: match mode.map(|it| it.value) {
            None | Some(ForwardedForSpec::Append) => ForwardedFor::Append,
            Some(ForwardedForSpec::Preserve) => ForwardedFor::Preserve,
            Some(ForwardedForSpec::Remove) => ForwardedFor::Remove,
        },
        client_port,
        preserve_host,
        drop_invalid,
    }
}

fn listeners(
    checker: &mut Checker<'_>,
    name: &At<String>,
    kind: LoadBalancerType,
    written: &At<Vec<At<ListenerSpec>>>,
    groups: &mut Groups<'_>,
) -> Vec<Listener> {
    if written.value.is_empty() {
        checker.error(
            written.span,
            format!("load balancer `{}` has no listeners", name.value),
        );
    }
    if written.value.len() > defaults::LISTENERS_MAX {
        let message = format!(
            "load balancer `{}` has {} listeners",
            name.value,
            written.value.len()
        );
        checker.error_with(
            written.span,
            message,
            format!("AWS allows {}", defaults::LISTENERS_MAX),
        );
    }
    let rules: usize = written
        .value
        .iter()
        .flat_map(|listener| &listener.rules)
        .map(|rules| rules.value.len())
        .sum();
    if rules > defaults::RULES_MAX {
        let message = format!("load balancer `{}` has {rules} rules", name.value);
        checker.error_with(
            written.span,
            message,
            format!("AWS allows {}", defaults::RULES_MAX),
        );
    }
    let mut ports = BTreeSet::new();
    let mut listeners = Vec::new();
    for listener in &written.value {
        if !ports.insert(listener.port.value) {
            checker.error(
                listener.port.span,
                format!(
                    "load balancer `{}` has a listener on port {} already",
                    name.value, listener.port.value
                ),
            );
        }
        listeners.extend(one_listener(checker, name, kind, listener, groups));
    }
    listeners
}

fn one_listener(
    checker: &mut Checker<'_>,
    balancer: &At<String>,
    kind: LoadBalancerType,
    listener: &ListenerSpec,
    groups: &mut Groups<'_>,
) -> Option<Listener> {
    let protocol = match kind {
        LoadBalancerType::Application => Protocol::Http,
        LoadBalancerType::Network => Protocol::Tcp,
    };
    if let Some(written) = &listener.protocol
        && Protocol::from(written.value) != protocol
    {
        let (message, hint) = match kind {
            LoadBalancerType::Application => (
                "an Application Load Balancer listens with HTTP",
                "TCP needs `type: network`",
            ),
            LoadBalancerType::Network => (
                "a Network Load Balancer listens with TCP",
                "HTTP needs `type: application`",
            ),
        };
        checker.error_with(written.span, message, hint);
    }
    let default_action = action(checker, balancer, kind, &listener.default_action, groups);
    let mut rules = Vec::new();
    if let Some(written) = &listener.rules {
        if kind == LoadBalancerType::Network && !written.value.is_empty() {
            checker.error_with(
                written.span,
                "a Network Load Balancer's listener has no rules",
                "rules look into HTTP requests: that needs `type: application`",
            );
            return None;
        }
        let mut priorities = BTreeSet::new();
        for at in &written.value {
            if !priorities.insert(at.priority.value) {
                checker.error_with(
                    at.priority.span,
                    format!("priority {} is here twice", at.priority.value),
                    "each rule of a listener has a priority of its own",
                );
            }
            rules.extend(rule(checker, balancer, at, groups));
        }
        rules.sort_by_key(|rule| rule.priority);
    }
    Some(Listener {
        port: listener.port.value,
        protocol,
        rules,
        default_action: default_action?,
    })
}
