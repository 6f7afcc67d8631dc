//! How requests are shared among the targets of a group.

use super::Checker;
use super::target_groups::ranged;
use crate::defaults;
use crate::notes::Span;
use crate::spec::{
    AlgorithmSpec, At, StickinessSpec, StickinessTypeSpec, TargetGroupSpec, ThresholdSpec,
};
use crate::topology::{Algorithm, Balancing, Protocol, Stickiness, StickinessType, Threshold};

pub(super) fn balancing(
    checker: &mut Checker<'_>,
    protocol: Protocol,
    written: &TargetGroupSpec,
    name: Span,
) -> Balancing {
    let algorithm = written.load_balancing_algorithm.as_ref();
    let health = written.target_group_health.as_ref();
    let spans = [
        algorithm.map(|it| it.span),
        written.stickiness.as_ref().map(|it| it.span),
        health.map(|it| it.span),
    ];
    let first = spans.into_iter().flatten().next();
    if protocol == Protocol::Tcp {
        for span in spans.into_iter().flatten() {
            checker.error_with(
                span,
                "a target group with protocol TCP does not have this",
                "it is there behind an Application Load Balancer only",
            );
        }
        return Balancing::default();
    }
    let threshold = |written: Option<&ThresholdSpec>| {
        // One that says nothing is as good as none.
        let written = written.filter(|it| it.count.is_some() || it.percentage.is_some());
        written.map_or_else(Threshold::default, |it| Threshold {
            count: it.count,
            percentage: it.percentage,
        })
    };
    let routing = Balancing {
        algorithm: match algorithm.map(|it| it.value) {
            None | Some(AlgorithmSpec::RoundRobin) => Algorithm::RoundRobin,
            Some(AlgorithmSpec::LeastOutstandingRequests) => Algorithm::LeastOutstandingRequests,
            Some(AlgorithmSpec::WeightedRandom) => Algorithm::WeightedRandom,
        },
        stickiness: stickiness(checker, written.stickiness.as_ref()),
        dns_failover: threshold(health.and_then(|it| it.dns_failover.as_ref())),
        unhealthy_state_routing: threshold(
            health.and_then(|it| it.unhealthy_state_routing.as_ref()),
        ),
    };
    if let Some(what) = routing.contradiction(written.cross_zone) {
        let hint = "leave one of the two out, or change it";
        checker.error_with(first.unwrap_or(name), what, hint);
    }
    routing
}

fn stickiness(checker: &mut Checker<'_>, written: Option<&At<StickinessSpec>>) -> Stickiness {
    let usual = Stickiness::default();
    let Some(written) = written else {
        return usual;
    };
    let range = ("stickiness", defaults::STICKINESS_RANGE);
    let lasts = ranged(
        checker,
        written.duration.as_ref(),
        defaults::STICKINESS,
        range,
    );
    let kind = written.kind.as_ref().map(|it| it.value);
    let cookie = written.cookie_name.as_ref();
    if let Some(cookie) = cookie
        && !Balancing::is_cookie(&cookie.value)
    {
        checker.error_with(
            cookie.span,
            format!(
                "`{}` can not be the application's cookie",
                cookie.value.escape_debug()
            ),
            "a cookie's name does not begin with AWSALB, AWSALBAPP or AWSALBTG",
        );
    }
    match kind {
        None | Some(StickinessTypeSpec::LbCookie) => {
            if let Some(cookie) = cookie {
                checker.error_with(
                    cookie.span,
                    "the load balancer's cookie has a name of its own",
                    "with `type: app_cookie` this is the application's",
                );
            }
            Stickiness {
                enabled: true,
                lb_duration: lasts,
                ..usual
            }
        }
        Some(StickinessTypeSpec::AppCookie) => Stickiness {
            enabled: true,
            kind: StickinessType::AppCookie,
            app_cookie: cookie.map(|it| it.value.clone()).unwrap_or_default(),
            app_duration: lasts,
            ..usual
        },
    }
}
