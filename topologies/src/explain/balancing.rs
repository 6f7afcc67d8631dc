//! How requests are shared among targets, written out.

use serde_json::{Value as Json, json};

use super::period;
use crate::topology::{Algorithm, Balancing, Stickiness, StickinessType, Threshold};

pub(super) fn algorithm(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RoundRobin => "round_robin",
        Algorithm::LeastOutstandingRequests => "least_outstanding_requests",
        Algorithm::WeightedRandom => "weighted_random",
    }
}

/// A file says nothing of what is off.
pub(super) fn stickiness(stickiness: &Stickiness) -> Json {
    let Stickiness {
        enabled,
        kind,
        lb_duration,
        app_cookie,
        app_duration,
    } = stickiness;
    match (enabled, kind) {
        (false, _) => Json::Null,
        (true, StickinessType::LbCookie) => {
            json!({ "type": "lb_cookie", "duration": period(*lb_duration) })
        }
        (true, StickinessType::AppCookie) => json!({
            "type": "app_cookie",
            "cookie-name": app_cookie,
            "duration": period(*app_duration),
        }),
    }
}

pub(super) fn health(routing: &Balancing) -> Json {
    let threshold = |it: Threshold| json!({ "count": it.count, "percentage": it.percentage });
    json!({
        "dns-failover": threshold(routing.dns_failover),
        "unhealthy-state-routing": threshold(routing.unhealthy_state_routing),
    })
}
