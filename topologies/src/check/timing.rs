//! The timing profile and the numbers that differ from it.

use std::time::Duration;

use super::Checker;
use crate::defaults;
use crate::spec::{At, ProfileSpec, TimingFields};
use crate::topology::Timing;
use crate::yaml::values::{Period, PeriodRange};

pub(super) fn timing(checker: &mut Checker<'_>) -> Timing {
    let Some(written) = &checker.spec.timing else {
        return defaults::fast();
    };
    let TimingFields {
        profile,
        probe_interval,
        probe_timeout,
        probe_threshold,
        db_failover,
        cache_failover,
        rds_ttl,
        elasticache_ttl,
        load_balancer_ttl,
        health_check_scale,
    } = &written.value.0;
    let base = match profile {
        Some(ProfileSpec::Aws) => defaults::aws(),
        Some(ProfileSpec::Fast | ProfileSpec::Custom) | None => defaults::fast(),
    };
    for (field, period) in [
        ("probe-interval", probe_interval),
        ("probe-timeout", probe_timeout),
    ] {
        if let Some(period) = period
            && period.value.0 < Duration::from_millis(10)
        {
            checker.error(period.span, format!("`{field}` is shorter than 10ms"));
        }
    }
    let ttls = [rds_ttl, elasticache_ttl, load_balancer_ttl];
    for ttl in ttls.into_iter().flatten() {
        whole_seconds(checker, ttl);
    }
    let period = |written: &Option<At<Period>>, base| written.as_ref().map_or(base, |p| p.value.0);
    let range = |written: &Option<PeriodRange>, base| written.map_or(base, |r| (r.0, r.1));
    let mut timing = Timing {
        probe_interval: period(probe_interval, base.probe_interval),
        probe_timeout: period(probe_timeout, base.probe_timeout),
        probe_threshold: probe_threshold.unwrap_or(base.probe_threshold),
        db_failover: range(db_failover, base.db_failover),
        cache_failover: range(cache_failover, base.cache_failover),
        rds_ttl: period(rds_ttl, base.rds_ttl),
        elasticache_ttl: period(elasticache_ttl, base.elasticache_ttl),
        load_balancer_ttl: period(load_balancer_ttl, base.load_balancer_ttl),
        health_check_scale: health_check_scale.unwrap_or(base.health_check_scale),
        profile: base.profile.clone(),
    };
    if timing != base || *profile == Some(ProfileSpec::Custom) {
        "custom".clone_into(&mut timing.profile);
    }
    timing
}

/// A TTL is a whole number of seconds in DNS.
pub(super) fn whole_seconds(checker: &mut Checker<'_>, ttl: &At<Period>) {
    let Period(duration) = ttl.value;
    if duration.subsec_nanos() != 0 {
        checker.error_with(
            ttl.span,
            format!("a TTL of {} is no whole number of seconds", ttl.value),
            "DNS counts TTLs in seconds; 0s means that nothing is kept",
        );
    }
    if duration > defaults::RECORD_TTL_MAX {
        checker.error(ttl.span, format!("a TTL of {} is too long", ttl.value));
    }
}
