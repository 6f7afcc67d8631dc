//! Elastic Load Balancing v2: load balancers, listeners, rules and target groups, and the health of targets.
//!
//! After its API reference and aws-behaviour §4 and §5. HTTP and TCP are served; what asks for another protocol, or for anything else
//! that is not built, is refused by its name. A target that is deregistered gets nothing new from then on; connections that are open
//! to it go on, and nobody waits for them to drain.

mod actions;
mod balancers;
mod conditions;
mod describe;
mod groups;
mod headers;
pub(super) mod health;
mod listeners;
pub(super) mod names;
mod routing;
mod rules;
mod tagging;
mod targets;

use topologies::id::LoadBalancerId;
use topologies::topology::LoadBalancer;

use super::{Handler, Operations, View};
pub(super) use describe::CANONICAL_ZONE;

pub(super) const OPERATIONS: Operations = &[
    ("AddTags", Handler::Change(tagging::add)),
    ("CreateListener", Handler::Change(listeners::create)),
    ("CreateLoadBalancer", Handler::Change(balancers::create)),
    ("CreateRule", Handler::Change(rules::create)),
    ("CreateTargetGroup", Handler::Change(groups::create)),
    ("DeleteListener", Handler::Change(listeners::delete)),
    ("DeleteLoadBalancer", Handler::Change(balancers::delete)),
    ("DeleteRule", Handler::Change(rules::delete)),
    ("DeleteTargetGroup", Handler::Change(groups::delete)),
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
    ("ModifyListener", Handler::Change(listeners::modify)),
    (
        "ModifyLoadBalancerAttributes",
        Handler::Change(balancers::modify_attributes),
    ),
    ("ModifyRule", Handler::Change(rules::modify)),
    ("ModifyTargetGroup", Handler::Change(groups::modify)),
    (
        "ModifyTargetGroupAttributes",
        Handler::Change(groups::modify_attributes),
    ),
    ("RegisterTargets", Handler::Change(targets::register)),
    ("RemoveTags", Handler::Change(tagging::remove)),
    ("SetRulePriorities", Handler::Change(rules::set_priorities)),
    (
        "SetSecurityGroups",
        Handler::Change(balancers::set_security_groups),
    ),
    ("SetSubnets", Handler::Change(balancers::set_subnets)),
];

/// The load balancers of the region that was called which can be shifted away from a zone, by their ARNs.
pub(super) fn shiftable<'a>(view: &View<'a>) -> Vec<(String, &'a LoadBalancer)> {
    let all = names::load_balancers(view).filter(|lb| balancers::has_zonal_shift(view, lb));
    let mut all: Vec<_> = all.map(|lb| (names::load_balancer(view, lb), lb)).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// The ARN of a load balancer, if it is there.
pub(super) fn arn_of(view: &View<'_>, id: &LoadBalancerId) -> Option<String> {
    let mut all = names::load_balancers(view);
    let found = all.find(|lb| lb.id == *id);
    found.map(|lb| names::load_balancer(view, lb))
}
