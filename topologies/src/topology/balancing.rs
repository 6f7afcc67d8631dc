//! How an Application Load Balancer shares requests among the targets of a group ("Edit target group attributes").

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::defaults;

/// The attributes of a target group that say which target gets a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balancing {
    /// Whose turn it is.
    pub algorithm: Algorithm,
    /// Whether clients stay with a target.
    pub stickiness: Stickiness,
    /// With fewer healthy targets, a zone's address leaves DNS.
    pub dns_failover: Threshold,
    /// With fewer healthy targets, a node sends to all registered ones.
    pub unhealthy_state_routing: Threshold,
}

/// `load_balancing.algorithm.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The target with the fewest requests that are not answered yet.
    LeastOutstandingRequests,
    /// Any.
    WeightedRandom,
}

/// Stickiness of clients to targets. All of it is kept while it is off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stickiness {
    /// Whether there is any.
    pub enabled: bool,
    /// By whose cookie.
    pub kind: StickinessType,
    /// How long one by the load balancer's cookie lasts.
    pub lb_duration: Duration,
    /// The application's cookie.
    pub app_cookie: String,
    /// How long one by the application's cookie lasts.
    pub app_duration: Duration,
}

impl Default for Stickiness {
    fn default() -> Self {
        Self {
            enabled: false,
            kind: StickinessType::LbCookie,
            lb_duration: defaults::STICKINESS,
            app_cookie: String::new(),
            app_duration: defaults::STICKINESS,
        }
    }
}

/// `stickiness.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StickinessType {
    /// The load balancer's own cookie, from the first response on.
    LbCookie,
    /// From when the application sets a cookie of its own.
    AppCookie,
}

/// The fewest healthy targets, by number and by share; it is crossed if either is ("Target group health").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threshold {
    /// 1 to the number of targets; none for `off`.
    pub count: Option<u32>,
    /// 1 to 100; none for `off`.
    pub percentage: Option<u8>,
}

impl Default for Threshold {
    fn default() -> Self {
        Self {
            count: Some(1),
            percentage: None,
        }
    }
}

impl Threshold {
    /// Whether so many healthy targets of so many are enough.
    pub fn is_met(self, healthy: usize, registered: usize) -> bool {
        let by_count = self.count.is_none_or(|least| healthy >= least as usize);
        let by_share = self.percentage.is_none_or(|least| {
            healthy.saturating_mul(100) >= registered.saturating_mul(least.into())
        });
        by_count && by_share && healthy > 0
    }

    /// Whether this one is crossed only when `other` is crossed or both are the same: DNS failover is to come no later than routing failover.
    pub fn is_no_less_than(self, other: Self) -> bool {
        let count = self.count.unwrap_or(1) >= other.count.unwrap_or(1);
        let share = self.percentage.unwrap_or(0) >= other.percentage.unwrap_or(0);
        count && share
    }
}

impl Balancing {
    /// What of it AWS does not take together, in its terms ("Edit target group attributes").
    pub fn contradiction(&self, cross_zone: Option<bool>) -> Option<&'static str> {
        let sticky = self.stickiness.enabled;
        let by_app = self.stickiness.kind == StickinessType::AppCookie;
        if sticky && cross_zone == Some(false) {
            Some("stickiness is not supported when cross-zone load balancing is off")
        } else if sticky && self.algorithm == Algorithm::WeightedRandom {
            Some("stickiness is not supported with the algorithm weighted_random")
        } else if sticky && by_app && self.stickiness.app_cookie.is_empty() {
            Some("stickiness of type app_cookie needs the name of the application's cookie")
        } else if !self
            .dns_failover
            .is_no_less_than(self.unhealthy_state_routing)
        {
            Some("the threshold of DNS failover must not be below that of routing failover")
        } else {
            None
        }
    }

    /// Whether a name may be that of an application's cookie: those of the load balancer are reserved.
    pub fn is_cookie(name: &str) -> bool {
        let may = |byte: u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte);
        let reserved = ["AWSALB", "AWSALBAPP", "AWSALBTG"];
        (1..=256).contains(&name.len())
            && name.bytes().all(may)
            && !reserved.iter().any(|it| name.starts_with(it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// aws-behaviour §4.3, §4.5: by number and by share, and none is never enough.
    #[test]
    fn s4_5_thresholds() {
        let table = [
            (Some(1), None, 1, 4, true),
            (Some(1), None, 0, 4, false),
            (Some(2), None, 1, 4, false),
            (None, Some(50), 2, 4, true),
            (None, Some(50), 1, 4, false),
            (Some(1), Some(50), 1, 4, false),
            (None, None, 0, 4, false),
        ];
        for (count, percentage, healthy, registered, met) in table {
            let threshold = Threshold { count, percentage };
            assert_eq!(
                threshold.is_met(healthy, registered),
                met,
                "{threshold:?} {healthy}"
            );
        }
    }

    #[test]
    fn s4_3_what_does_not_go_together() {
        let mut routing = Balancing::default();
        assert_eq!(routing.contradiction(Some(false)), None);
        routing.stickiness.enabled = true;
        assert_eq!(routing.contradiction(None), None);
        assert!(routing.contradiction(Some(false)).is_some());
        routing.stickiness.kind = StickinessType::AppCookie;
        assert!(routing.contradiction(None).is_some());
        routing.stickiness.app_cookie = "session".to_owned();
        assert_eq!(routing.contradiction(None), None);
        routing.unhealthy_state_routing.count = Some(2);
        assert!(routing.contradiction(None).is_some());
        for (name, may) in [
            ("session", true),
            ("AWSALBTGX", false),
            ("a b", false),
            ("", false),
        ] {
            assert_eq!(Balancing::is_cookie(name), may, "{name}");
        }
    }
}
