//! Load balancers, their listeners and rules.

use std::collections::{BTreeMap, BTreeSet};

use super::target_groups::ranged;
use super::{Checker, identifiers};
use crate::defaults;
use crate::id::{LoadBalancerId, TargetGroupId};
use crate::notes::Span;
use crate::spec::{
    ActionSpec, At, FixedResponseSpec, ListenerSpec, LoadBalancerSpec, LoadBalancerTypeSpec,
    RuleSpec,
};
use crate::topology::{
    Listener, LoadBalancer, LoadBalancerType, Protocol, Rule, RuleAction, TargetGroup,
};
use crate::yaml::values::Words;

/// The target groups by name, and which load balancer uses each.
struct Groups<'t> {
    declared: Vec<&'t str>,
    protocols: BTreeMap<&'t str, Protocol>,
    used: BTreeMap<String, String>,
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
    })
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
        for rule in &written.value {
            if !priorities.insert(rule.priority.value) {
                checker.error_with(
                    rule.priority.span,
                    format!("priority {} is here twice", rule.priority.value),
                    "each rule of a listener has a priority of its own",
                );
            }
            rules.extend(one_rule(checker, balancer, rule, groups));
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

fn one_rule(
    checker: &mut Checker<'_>,
    balancer: &At<String>,
    rule: &At<RuleSpec>,
    groups: &mut Groups<'_>,
) -> Option<Rule> {
    let action = action(
        checker,
        balancer,
        LoadBalancerType::Application,
        &rule.action,
        groups,
    );
    let host_header = patterns(checker, "host-header", rule.host_header.as_ref());
    let path_pattern = patterns(checker, "path-pattern", rule.path_pattern.as_ref());
    if rule.host_header.is_none() && rule.path_pattern.is_none() {
        checker.error_with(
            rule.span,
            format!(
                "the rule with priority {} has no condition",
                rule.priority.value
            ),
            "give `path-pattern: /api/*` or `host-header: api.example.com`",
        );
    }
    let values = || host_header.iter().chain(&path_pattern);
    let wildcards: usize = values()
        .map(|pattern| pattern.matches(['*', '?']).count())
        .sum();
    for (count, what) in [(values().count(), "values"), (wildcards, "wildcards")] {
        if count > defaults::RULE_VALUES_MAX {
            checker.error_with(
                rule.span,
                format!(
                    "the rule with priority {} has {count} {what}",
                    rule.priority.value
                ),
                format!("AWS allows {} per rule", defaults::RULE_VALUES_MAX),
            );
        }
    }
    Some(Rule {
        priority: rule.priority.value,
        host_header,
        path_pattern,
        action: action?,
    })
}

fn patterns(checker: &mut Checker<'_>, field: &str, written: Option<&At<Words>>) -> Vec<String> {
    let Some(At {
        span,
        value: Words(words),
    }) = written
    else {
        return Vec::new();
    };
    if words.is_empty() || words.len() > defaults::CONDITION_VALUES_MAX {
        checker.error_with(
            *span,
            format!("`{field}` has {} values", words.len()),
            format!("a condition has 1 to {}", defaults::CONDITION_VALUES_MAX),
        );
    }
    for word in words {
        if word.value.is_empty()
            || word.value.chars().count() > defaults::PATTERN_LENGTH_MAX
            || !identifiers::printable(&word.value, "")
        {
            checker.error_with(
                word.span,
                format!(
                    "`{}` is not a pattern for `{field}`",
                    word.value.escape_debug()
                ),
                format!(
                    "1 to {} characters, no spaces; `*` and `?` are wildcards",
                    defaults::PATTERN_LENGTH_MAX
                ),
            );
        }
        if field == "path-pattern" && !word.value.starts_with(['/', '*', '?']) {
            checker.warning(
                word.span,
                format!("`{}` matches no path", word.value),
                "paths begin with `/`",
            );
        }
    }
    words.iter().map(|word| word.value.clone()).collect()
}

fn action(
    checker: &mut Checker<'_>,
    balancer: &At<String>,
    kind: LoadBalancerType,
    written: &At<ActionSpec>,
    groups: &mut Groups<'_>,
) -> Option<RuleAction> {
    match (&written.forward, &written.fixed_response) {
        (Some(group), None) => forward(checker, balancer, kind, group, groups),
        (None, Some(response)) => {
            if kind == LoadBalancerType::Network {
                checker.error(
                    response.span,
                    "a Network Load Balancer's listener can only forward",
                );
            }
            fixed_response(checker, response)
        }
        (None, None) | (Some(_), Some(_)) => {
            checker.error_with(
                written.span,
                "an action is one of `forward` and `fixed-response`",
                "for example `{ forward: web }`",
            );
            None
        }
    }
}

fn forward(
    checker: &mut Checker<'_>,
    balancer: &At<String>,
    kind: LoadBalancerType,
    group: &At<String>,
    groups: &mut Groups<'_>,
) -> Option<RuleAction> {
    if !groups.declared.contains(&group.value.as_str()) {
        checker.undeclared("target group", group, &groups.declared);
        return None;
    }
    let (wanted, word) = match kind {
        LoadBalancerType::Application => (Protocol::Http, "HTTP"),
        LoadBalancerType::Network => (Protocol::Tcp, "TCP"),
    };
    if groups
        .protocols
        .get(group.value.as_str())
        .is_some_and(|protocol| *protocol != wanted)
    {
        checker.error_with(
            group.span,
            format!(
                "target group `{}` has the wrong protocol for this load balancer",
                group.value
            ),
            format!("give it `protocol: {word}`, or forward to another one"),
        );
    }
    let other = groups
        .used
        .entry(group.value.clone())
        .or_insert_with(|| balancer.value.clone());
    if *other != balancer.value {
        let hint = format!(
            "`{other}` forwards to it too; declare a second target group with the same targets"
        );
        checker.error_with(
            group.span,
            format!(
                "target group `{}` belongs to two load balancers",
                group.value
            ),
            hint,
        );
    }
    Some(RuleAction::Forward(TargetGroupId::from(
        group.value.as_str(),
    )))
}

fn fixed_response(
    checker: &mut Checker<'_>,
    written: &At<FixedResponseSpec>,
) -> Option<RuleAction> {
    let FixedResponseSpec {
        status_code,
        content_type,
        message_body,
    } = &written.value;
    if !matches!(status_code.value, 200..=299 | 400..=599) {
        let message = format!("status {} can not be a fixed response", status_code.value);
        checker.error_with(status_code.span, message, "it is 2xx, 4xx or 5xx");
    }
    if let Some(kind) = content_type
        && !defaults::FIXED_CONTENT_TYPES.contains(&kind.value.as_str())
    {
        let message = format!(
            "content type `{}` can not be a fixed response's",
            kind.value.escape_debug()
        );
        checker.error_with(
            kind.span,
            message,
            format!("allowed: {}", defaults::FIXED_CONTENT_TYPES.join(", ")),
        );
    }
    let body = |at: &At<String>| at.value.chars().count();
    if let Some(at) = message_body
        && body(at) > defaults::FIXED_BODY_MAX
    {
        let span = Span {
            length: 1,
            ..at.span
        };
        checker.error(
            span,
            format!(
                "this body has {} characters; AWS allows {}",
                body(at),
                defaults::FIXED_BODY_MAX
            ),
        );
    }
    Some(RuleAction::FixedResponse {
        status_code: status_code.value,
        content_type: content_type
            .as_ref()
            .map_or("text/plain", |kind| kind.value.as_str())
            .to_owned(),
        message_body: message_body
            .as_ref()
            .map(|body| body.value.clone())
            .unwrap_or_default(),
    })
}
