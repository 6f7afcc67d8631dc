//! Attributes of an Application Load Balancer's target group that say which target gets a request (aws-behaviour §4.3).
//!
//! Slow start and the mitigation of anomalies are not built: they are shown as off, and refused otherwise.

use std::time::Duration;

use topologies::defaults;
use topologies::topology::{
    Algorithm, Balancing, Protocol, Stickiness, StickinessType, TargetGroup, Threshold,
};
use wire::Fault;

use super::balancers::seconds;
use crate::aws::View;

/// Sets an attribute if it is one of these; whether it is.
pub(super) fn attribute(
    view: &View<'_>,
    group: &mut TargetGroup,
    (key, value): (&str, &str),
) -> Result<bool, Fault> {
    if group.protocol != Protocol::Http {
        return Ok(false);
    }
    let wrong = || {
        let text = format!("Target group attribute key '{key}' cannot have the value '{value}'");
        view.fault("InvalidConfigurationRequestException", text)
    };
    let lasts = |value| seconds(view, key, value, defaults::STICKINESS_RANGE);
    let Balancing {
        algorithm,
        stickiness,
        dns_failover,
        unhealthy_state_routing,
    } = &mut group.routing;
    match key {
        "load_balancing.algorithm.type" => {
            *algorithm = match value {
                "round_robin" => Algorithm::RoundRobin,
                "least_outstanding_requests" => Algorithm::LeastOutstandingRequests,
                "weighted_random" => Algorithm::WeightedRandom,
                _ => return Err(wrong()),
            };
        }
        "stickiness.enabled" => stickiness.enabled = value.parse().map_err(|_| wrong())?,
        "stickiness.type" => {
            stickiness.kind = match value {
                "lb_cookie" => StickinessType::LbCookie,
                "app_cookie" => StickinessType::AppCookie,
                _ => return Err(wrong()),
            };
        }
        "stickiness.lb_cookie.duration_seconds" => stickiness.lb_duration = lasts(value)?,
        "stickiness.app_cookie.duration_seconds" => stickiness.app_duration = lasts(value)?,
        "stickiness.app_cookie.cookie_name" => {
            if !value.is_empty() && !Balancing::is_cookie(value) {
                return Err(wrong());
            }
            value.clone_into(&mut stickiness.app_cookie);
        }
        _ => {
            let Some(rest) = key.strip_prefix("target_group_health.") else {
                return Ok(false);
            };
            let (which, number) = rest
                .split_once(".minimum_healthy_targets.")
                .unwrap_or_default();
            let threshold = match which {
                "dns_failover" => dns_failover,
                "unhealthy_state_routing" => unhealthy_state_routing,
                _ => return Ok(false),
            };
            return set(threshold, number, value).ok_or_else(wrong);
        }
    }
    Ok(true)
}

/// Sets a threshold's number; none if it can not be.
fn set(threshold: &mut Threshold, number: &str, value: &str) -> Option<bool> {
    match number {
        "count" => threshold.count = at_most(value, u32::MAX)?,
        "percentage" => {
            let read = at_most(value, 100)?;
            threshold.percentage = read.and_then(|it| u8::try_from(it).ok());
        }
        _ => return Some(false),
    }
    Some(true)
}

/// `off`, or a number from 1 on; none for what is neither.
fn at_most(value: &str, most: u32) -> Option<Option<u32>> {
    if value == "off" {
        return Some(None);
    }
    let number = value.parse().ok()?;
    (1..=most).contains(&number).then_some(Some(number))
}

/// The attributes of these and their values.
pub(super) fn shown(routing: &Balancing) -> Vec<(&'static str, String)> {
    let Balancing {
        algorithm,
        stickiness:
            Stickiness {
                enabled,
                kind,
                lb_duration,
                app_cookie,
                app_duration,
            },
        dns_failover,
        unhealthy_state_routing,
    } = routing;
    let seconds = |it: &Duration| it.as_secs().to_string();
    let or_off = |it: Option<u32>| it.map_or("off".to_owned(), |it| it.to_string());
    let algorithm = match algorithm {
        Algorithm::RoundRobin => "round_robin",
        Algorithm::LeastOutstandingRequests => "least_outstanding_requests",
        Algorithm::WeightedRandom => "weighted_random",
    };
    let kind = match kind {
        StickinessType::LbCookie => "lb_cookie",
        StickinessType::AppCookie => "app_cookie",
    };
    vec![
        ("load_balancing.algorithm.type", algorithm.to_owned()),
        (
            "load_balancing.algorithm.anomaly_mitigation",
            "off".to_owned(),
        ),
        ("slow_start.duration_seconds", "0".to_owned()),
        ("stickiness.enabled", enabled.to_string()),
        ("stickiness.type", kind.to_owned()),
        (
            "stickiness.lb_cookie.duration_seconds",
            seconds(lb_duration),
        ),
        (
            "stickiness.app_cookie.duration_seconds",
            seconds(app_duration),
        ),
        ("stickiness.app_cookie.cookie_name", app_cookie.clone()),
        (
            "target_group_health.dns_failover.minimum_healthy_targets.count",
            or_off(dns_failover.count),
        ),
        (
            "target_group_health.dns_failover.minimum_healthy_targets.percentage",
            or_off(dns_failover.percentage.map(u32::from)),
        ),
        (
            "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
            or_off(unhealthy_state_routing.count),
        ),
        (
            "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
            or_off(unhealthy_state_routing.percentage.map(u32::from)),
        ),
    ]
}
