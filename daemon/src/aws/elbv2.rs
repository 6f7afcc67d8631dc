//! Elastic Load Balancing v2: load balancers, listeners, rules and target groups, and the health of targets.
//!
//! After its API reference and aws-behaviour §4 and §5. HTTP and TCP are served; what asks for another protocol, or for anything else
//! that is not built, is refused by its name. A target that is deregistered gets nothing new from then on; connections that are open
//! to it go on, and nobody waits for them to drain.

mod actions;
mod balancers;
mod describe;
mod groups;
mod health;
mod listeners;
mod names;
mod rules;
mod tagging;
mod targets;

use super::{Handler, Operations};
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
    ("SetSubnets", Handler::Change(balancers::set_subnets)),
];
