//! Elastic Load Balancing v2: load balancers, listeners, rules and target groups, and the health of targets.
//!
//! After its API reference and aws-behaviour §4 and §5. HTTP and TCP are served; what asks for another protocol is refused.
//! A target that is deregistered is gone at once: its connections end with it, it does not drain.

mod describe;
mod health;
mod names;
mod targets;

use super::{Handler, Operations};
pub(super) use describe::CANONICAL_ZONE;

pub(super) const OPERATIONS: Operations = &[
    ("DeregisterTargets", Handler::Change(targets::deregister)),
    ("DescribeListeners", Handler::Read(describe::listeners)),
    (
        "DescribeLoadBalancerAttributes",
        Handler::Read(describe::load_balancer_attributes),
    ),
    (
        "DescribeLoadBalancers",
        Handler::Read(describe::load_balancers),
    ),
    ("DescribeRules", Handler::Read(describe::rules)),
    ("DescribeTags", Handler::Read(describe::tags)),
    (
        "DescribeTargetGroupAttributes",
        Handler::Read(describe::target_group_attributes),
    ),
    (
        "DescribeTargetGroups",
        Handler::Read(describe::target_groups),
    ),
    ("DescribeTargetHealth", Handler::Read(health::describe)),
    ("RegisterTargets", Handler::Change(targets::register)),
];
