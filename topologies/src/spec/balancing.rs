//! How requests are shared among targets, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::At;
use crate::yaml::values::Period;

/// Which target gets a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum AlgorithmSpec {
    /// One after the other.
    RoundRobin,
    /// The one with the fewest requests that are not answered yet.
    LeastOutstandingRequests,
    /// Any.
    WeightedRandom,
}

/// Stickiness of clients to targets.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StickinessSpec {
    /// `lb_cookie` (the default) or `app_cookie`.
    #[serde(rename = "type")]
    pub kind: Option<At<StickinessTypeSpec>>,
    /// The application's cookie, with `app_cookie`.
    pub cookie_name: Option<At<String>>,
    /// How long it lasts, 1 second to 7 days; 1 day if absent.
    pub duration: Option<At<Period>>,
}

/// By whose cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum StickinessTypeSpec {
    /// The load balancer's.
    LbCookie,
    /// The application's.
    AppCookie,
}

/// How many healthy targets are enough.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TargetGroupHealthSpec {
    /// With fewer, a zone's address leaves DNS; one target if absent.
    pub dns_failover: Option<ThresholdSpec>,
    /// With fewer, a node sends to all registered targets; one target if absent.
    pub unhealthy_state_routing: Option<ThresholdSpec>,
}

/// The fewest healthy targets; it is crossed if either number is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ThresholdSpec {
    /// As a number; off if absent.
    #[schemars(range(min = 1))]
    pub count: Option<u32>,
    /// As a share of the registered ones; off if absent.
    #[schemars(range(min = 1, max = 100))]
    pub percentage: Option<u8>,
}
