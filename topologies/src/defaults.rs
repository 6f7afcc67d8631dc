//! What a topology means when it says nothing: AWS's defaults and limits, each with its source, and the timing profiles.
//!
//! Sources are AWS's user guides and API references, by the name of the page.

use std::time::Duration;

use crate::topology::{Protocol, Timing};

const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

const fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// The suffix in place of `amazonaws.com`. `internal` is reserved for private use, so that no name can leave the machine.
pub const SUFFIX: &str = "localaws.internal";

/// The account's number, the one of AWS's own examples.
pub const ACCOUNT_ID: &str = "123456789012";

/// ALB: time between health checks (target-group-health-checks).
pub const ALB_CHECK_INTERVAL: Duration = seconds(30);
/// ALB: a health check fails after this time (target-group-health-checks).
pub const ALB_CHECK_TIMEOUT: Duration = seconds(5);
/// NLB: time between health checks (NLB target-group-health-checks).
pub const NLB_CHECK_INTERVAL: Duration = seconds(30);
/// NLB: a TCP health check fails after this time (NLB target-group-health-checks).
pub const NLB_TCP_CHECK_TIMEOUT: Duration = seconds(10);
/// NLB: an HTTP health check fails after this time (NLB target-group-health-checks).
pub const NLB_HTTP_CHECK_TIMEOUT: Duration = seconds(6);
/// ALB and NLB: successes until healthy (target-group-health-checks of both).
pub const HEALTHY_THRESHOLD: u32 = 5;
/// ALB and NLB: failures until unhealthy (target-group-health-checks of both).
pub const UNHEALTHY_THRESHOLD: u32 = 2;
/// ALB: status codes of a healthy target (target-group-health-checks).
pub const ALB_MATCHER: (u16, u16) = (200, 200);
/// NLB: status codes of a healthy target (NLB target-group-health-checks).
pub const NLB_MATCHER: (u16, u16) = (200, 399);
/// ALB: the status codes that a matcher may name (target-group-health-checks).
pub const ALB_MATCHER_RANGE: (u16, u16) = (200, 499);
/// NLB: the status codes that a matcher may name (NLB target-group-health-checks).
pub const NLB_MATCHER_RANGE: (u16, u16) = (200, 599);
/// ALB and NLB: the path of HTTP health checks (target-group-health-checks of both).
pub const CHECK_PATH: &str = "/";
/// ALB and NLB: shortest and longest interval (target-group-health-checks of both).
pub const CHECK_INTERVAL_RANGE: (Duration, Duration) = (seconds(5), seconds(300));
/// ALB and NLB: shortest and longest timeout (target-group-health-checks of both).
pub const CHECK_TIMEOUT_RANGE: (Duration, Duration) = (seconds(2), seconds(120));

/// ALB: idle timeout (application-load-balancers).
pub const ALB_IDLE_TIMEOUT: Duration = seconds(60);
/// ALB: shortest and longest idle timeout (application-load-balancers).
pub const ALB_IDLE_TIMEOUT_RANGE: (Duration, Duration) = (seconds(1), seconds(4_000));
/// NLB: TCP idle timeout (network-load-balancers).
pub const NLB_IDLE_TIMEOUT: Duration = seconds(350);
/// NLB: shortest and longest TCP idle timeout (network-load-balancers).
pub const NLB_IDLE_TIMEOUT_RANGE: (Duration, Duration) = (seconds(60), seconds(6_000));
/// ALB: cross-zone is always on at the load balancer (how-elastic-load-balancing-works).
pub const ALB_CROSS_ZONE: bool = true;
/// NLB: cross-zone is off (how-elastic-load-balancing-works).
pub const NLB_CROSS_ZONE: bool = false;
/// ALB: the fewest zones (application-load-balancers).
pub const ALB_ZONES_MIN: usize = 2;
/// ALB and NLB: most listeners of a load balancer (load-balancer-limits).
pub const LISTENERS_MAX: usize = 50;
/// ALB: most rules of a load balancer besides the default ones (load-balancer-limits).
pub const RULES_MAX: usize = 100;
/// ALB: most values of one condition (listener-rules).
pub const CONDITION_VALUES_MAX: usize = 3;
/// ALB: most values, and most wildcards, of one rule (listener-rules).
pub const RULE_VALUES_MAX: usize = 5;
/// ALB: longest host or path pattern (rule-condition-types).
pub const PATTERN_LENGTH_MAX: usize = 128;
/// ALB: longest header name and longest method of a condition (HttpHeaderConditionConfig, HttpRequestMethodConditionConfig).
pub const HEADER_NAME_MAX: usize = 40;
/// ALB: most target groups of a forward (load-balancer-limits).
pub const FORWARD_GROUPS_MAX: usize = 5;
/// ALB: largest weight of a target group (TargetGroupTuple).
pub const WEIGHT_MAX: u16 = 999;
/// ALB: shortest and longest stickiness of target groups and of targets (rule-action-types, edit-target-group-attributes).
pub const STICKINESS_RANGE: (Duration, Duration) = (seconds(1), seconds(604_800));
/// ALB: how long stickiness to a target lasts (edit-target-group-attributes).
pub const STICKINESS: Duration = seconds(86_400);
/// ALB: longest body of a fixed response (rule-action-types).
pub const FIXED_BODY_MAX: usize = 1_024;
/// ALB: content types of a fixed response (rule-action-types).
pub const FIXED_CONTENT_TYPES: [&str; 5] = [
    "text/plain",
    "text/css",
    "text/html",
    "application/javascript",
    "application/json",
];
/// ALB and NLB: how long a deregistered target drains (load-balancer-target-groups).
pub const DEREGISTRATION_DELAY: Duration = seconds(300);
/// ALB and NLB: shortest and longest deregistration delay (load-balancer-target-groups).
pub const DEREGISTRATION_DELAY_RANGE: (Duration, Duration) = (seconds(0), seconds(3_600));

/// RDS: PostgreSQL's port (USER_ConnectToInstance).
pub const DB_PORT: u16 = 5_432;
/// PostgreSQL's own database, which RDS creates when no name is given (CreateDBInstance).
pub const DB_NAME: &str = "postgres";
/// The master user that the RDS console proposes (CHAP_GettingStarted.CreatingConnecting.PostgreSQL).
pub const MASTER_USERNAME: &str = "postgres";
/// RDS: master user names that it or the engine keeps for itself (CreateDBInstance).
pub const RESERVED_USERS: [&str; 8] = [
    "rdsadmin",
    "rdsrepladmin",
    "admin",
    "user",
    "public",
    "none",
    "current_user",
    "session_user",
];
/// RDS: most read replicas of a DB instance (CHAP_Limits, USER_PostgreSQL.Replication.ReadReplicas).
pub const READ_REPLICAS_MAX: usize = 15;
/// The major versions of PostgreSQL that are driven.
pub const DB_VERSIONS: (u16, u16) = (13, 18);

/// ElastiCache: the port (CreateReplicationGroup).
pub const CACHE_PORT: u16 = 6_379;
/// ElastiCache: automatic failover is off unless asked for (CreateReplicationGroup).
pub const CACHE_AUTOMATIC_FAILOVER: bool = false;
/// The major versions of Redis and Valkey that are driven.
pub const CACHE_VERSIONS: (u16, u16) = (6, 8);

/// Route 53: time between checks (health-checks-creating-values).
pub const HEALTH_CHECK_INTERVAL: Duration = seconds(30);
/// Route 53: the fast interval, the only other one (health-checks-creating-values).
pub const HEALTH_CHECK_FAST_INTERVAL: Duration = seconds(10);
/// Route 53: consecutive results until the state flips (health-checks-creating-values).
pub const HEALTH_CHECK_THRESHOLD: u32 = 3;
/// The port of a Route 53 health check over HTTP (health-checks-creating-values).
pub const HEALTH_CHECK_PORT: u16 = 80;
/// Health checks that a calculated one counts at most (aws-behaviour §6.4).
pub const CHILD_HEALTH_CHECKS_MAX: usize = 256;
/// Route 53: TTL that the console gives a record; the API has no default (resource-record-sets-values-basic). Divided by the
/// timing's scale when the file gives none.
pub const RECORD_TTL: Duration = seconds(300);
/// Route 53: the longest TTL (ResourceRecordSet).
pub const RECORD_TTL_MAX: Duration = seconds(2_147_483_647);

/// The usual interval and timeout of health checks over `check` in a target group for `group`: HTTP is an ALB's, TCP an NLB's.
pub fn usual_pace(group: Protocol, check: Protocol) -> (Duration, Duration) {
    match (group, check) {
        (Protocol::Http, _) => (ALB_CHECK_INTERVAL, ALB_CHECK_TIMEOUT),
        (Protocol::Tcp, Protocol::Http) => (NLB_CHECK_INTERVAL, NLB_HTTP_CHECK_TIMEOUT),
        (Protocol::Tcp, Protocol::Tcp) => (NLB_CHECK_INTERVAL, NLB_TCP_CHECK_TIMEOUT),
    }
}

/// The usual matcher of a target group for `group`, and the codes that it may name.
pub fn usual_matcher(group: Protocol) -> ((u16, u16), (u16, u16)) {
    match group {
        Protocol::Http => (ALB_MATCHER, ALB_MATCHER_RANGE),
        Protocol::Tcp => (NLB_MATCHER, NLB_MATCHER_RANGE),
    }
}

/// As quick as the machine allows: failovers have no extra delay, and 30-second health checks take 1 second.
pub fn fast() -> Timing {
    Timing {
        profile: "fast".to_owned(),
        probe_interval: millis(100),
        probe_timeout: millis(100),
        probe_threshold: 3,
        db_failover: (Duration::ZERO, Duration::ZERO),
        cache_failover: (Duration::ZERO, Duration::ZERO),
        rds_ttl: seconds(1),
        elasticache_ttl: seconds(1),
        load_balancer_ttl: seconds(1),
        health_check_scale: 30,
    }
}

/// AWS's documented times. A Multi-AZ failover takes 60 to 120 seconds (Concepts.MultiAZ.Failover), of which 3 are detection here;
/// a replication group's writes resume within a few seconds (AutoFailover). TTLs: RDS 5 (blue-green-deployments-switching),
/// load balancers 60 (how-elastic-load-balancing-works), ElastiCache undocumented and taken as RDS's.
pub fn aws() -> Timing {
    Timing {
        profile: "aws".to_owned(),
        probe_interval: seconds(1),
        probe_timeout: seconds(1),
        probe_threshold: 3,
        db_failover: (seconds(57), seconds(117)),
        cache_failover: (seconds(2), seconds(6)),
        rds_ttl: seconds(5),
        elasticache_ttl: seconds(5),
        load_balancer_ttl: seconds(60),
        health_check_scale: 1,
    }
}

/// The shortest interval or timeout that scaling makes of a longer one; below it, a busy machine fails checks by chance.
pub const PACE_FLOOR: Duration = millis(200);

/// A health check's interval or timeout at the pace of `scale`, in whole milliseconds and not below [`PACE_FLOOR`].
pub fn paced(written: Duration, scale: u32) -> Duration {
    if scale <= 1 {
        return written;
    }
    let scale = u128::from(scale);
    let rounded = (written.as_millis() + scale / 2) / scale;
    millis(u64::try_from(rounded).unwrap_or(u64::MAX)).max(PACE_FLOOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_has_a_floor_and_a_scale_of_one_is_none() {
        assert_eq!(paced(seconds(30), 30), seconds(1));
        assert_eq!(paced(seconds(5), 30), PACE_FLOOR);
        assert_eq!(paced(seconds(7), 1), seconds(7));
    }
}
