//! ARNs in AWS's shapes, and what they lead to.
//!
//! The 16 digits at the end follow from the name, those of a file's listener from its port and of its rule from its priority. A
//! listener or rule that was created, or got another port or priority, has its digits recorded, for its ARN stays what it was.

use topologies::id::RegionId;
use topologies::topology::{Listener, LoadBalancer, LoadBalancerType, Rule, TargetGroup, Topology};
use wire::Fault;

use crate::aws::View;
use crate::aws::ids::digits;

const SERVICE: &str = "elasticloadbalancing";

/// `app/site/0123456789abcdef`.
pub(in crate::aws) fn path(lb: &LoadBalancer) -> String {
    let kind = match lb.kind {
        LoadBalancerType::Application => "app",
        LoadBalancerType::Network => "net",
    };
    let digits = digits("loadbalancer", lb.id.as_str(), 16);
    format!("{kind}/{}/{digits}", lb.id)
}

/// The digits of a listener's ARN.
pub(super) fn listener_digits(view: &View<'_>, lb: &LoadBalancer, listener: &Listener) -> String {
    let id = listener_record(lb, listener.port);
    recorded(view, LISTENER_RECORD, &id).unwrap_or_else(|| {
        let name = format!("{}/{}", path(lb), listener.port);
        digits("listener", &name, 16)
    })
}

/// The digits of a rule's ARN; the default rule has the priority 0 in it.
pub(super) fn rule_digits(
    view: &View<'_>,
    lb: &LoadBalancer,
    listener: &Listener,
    priority: u32,
) -> String {
    let own = listener_digits(view, lb, listener);
    recorded(view, RULE_RECORD, &rule_record(lb, &own, priority)).unwrap_or_else(|| {
        let name = format!("{}/{own}/{priority}", path(lb));
        digits("rule", &name, 16)
    })
}

/// Under which identifier a listener is recorded.
pub(super) fn listener_record(lb: &LoadBalancer, port: u16) -> String {
    format!("{}/{port}", lb.id)
}

/// Under which identifier a rule of the listener with these digits is recorded.
pub(super) fn rule_record(lb: &LoadBalancer, listener: &str, priority: u32) -> String {
    format!("{}/{listener}/{priority}", lb.id)
}

fn recorded(view: &View<'_>, resource: &str, id: &str) -> Option<String> {
    let region = RegionId::from(view.region);
    let record = view.world.account.resource(resource, &region, id)?;
    record.attributes[DIGITS].as_str().map(str::to_owned)
}

/// The ARN of the listener with these digits.
pub(super) fn listener_arn(view: &View<'_>, lb: &LoadBalancer, digits: &str) -> String {
    view.arn(SERVICE, &format!("listener/{}/{digits}", path(lb)))
}

/// The ARN of the rule with these digits.
pub(super) fn rule_arn(view: &View<'_>, lb: &LoadBalancer, listener: &str, digits: &str) -> String {
    let path = path(lb);
    view.arn(
        SERVICE,
        &format!("listener-rule/{path}/{listener}/{digits}"),
    )
}

pub(super) fn load_balancer(view: &View<'_>, lb: &LoadBalancer) -> String {
    view.arn(SERVICE, &format!("loadbalancer/{}", path(lb)))
}

pub(super) fn listener(view: &View<'_>, lb: &LoadBalancer, listener: &Listener) -> String {
    listener_arn(view, lb, &listener_digits(view, lb, listener))
}

/// A rule's; the default rule has the priority 0 in it.
pub(super) fn rule(
    view: &View<'_>,
    lb: &LoadBalancer,
    listener: &Listener,
    priority: u32,
) -> String {
    let digits = rule_digits(view, lb, listener, priority);
    rule_arn(view, lb, &listener_digits(view, lb, listener), &digits)
}

pub(super) fn target_group(view: &View<'_>, group: &TargetGroup) -> String {
    view.arn(SERVICE, &group_path(group))
}

/// `targetgroup/web/0123456789abcdef`.
pub(in crate::aws) fn group_path(group: &TargetGroup) -> String {
    let digits = digits("targetgroup", group.id.as_str(), 16);
    format!("targetgroup/{}/{digits}", group.id)
}

/// The load balancers of the region that was called.
pub(super) fn load_balancers<'a>(view: &View<'a>) -> impl Iterator<Item = &'a LoadBalancer> {
    let region = RegionId::from(view.region);
    let all = view.topology().load_balancers.iter();
    all.filter(move |lb| lb.region == region)
}

/// The load balancers that forward to a target group. AWS allows an ALB only one of them.
pub(super) fn users<'a>(view: &View<'a>, group: &'a TargetGroup) -> Vec<&'a LoadBalancer> {
    users_in(view.topology(), group)
}

/// The same of a topology.
pub(super) fn users_in<'a>(topology: &'a Topology, group: &TargetGroup) -> Vec<&'a LoadBalancer> {
    let all = topology.load_balancers.iter();
    let uses = |lb: &&LoadBalancer| {
        let mut used = lb.listeners.iter().flat_map(Listener::target_groups);
        used.any(|id| *id == group.id)
    };
    all.filter(uses).collect()
}

/// The target groups of the region that was called: that of their load balancer, else of their targets, else the one in
/// which they were made.
pub(super) fn target_groups<'a>(view: &View<'a>) -> impl Iterator<Item = &'a TargetGroup> {
    let all = view.topology().target_groups.iter();
    all.filter(|group| region_of(view, group).is_some_and(|region| region.as_str() == view.region))
}

fn region_of(view: &View<'_>, group: &TargetGroup) -> Option<RegionId> {
    if let Some(lb) = users(view, group).first() {
        return Some(lb.region.clone());
    }
    let topology = view.topology();
    if let Some(target) = view.plan.targets(group).next() {
        return topology.region_of(&target.zone).map(|it| it.id.clone());
    }
    let made = topology.regions.iter().find(|region| {
        let account = &view.world.account;
        let id = group.id.as_str();
        account.resource(GROUP_RECORD, &region.id, id).is_some()
    });
    made.or(topology.regions.first()).map(|it| it.id.clone())
}

/// Under which target groups are recorded.
pub(super) const GROUP_RECORD: &str = "elbv2:targetgroup";
/// Under which listeners are recorded.
pub(super) const LISTENER_RECORD: &str = "elbv2:listener";
/// Under which rules are recorded.
pub(super) const RULE_RECORD: &str = "elbv2:rule";
/// The attribute of these two that has the digits of their ARN.
pub(super) const DIGITS: &str = "Digits";
/// Under which load balancers are recorded.
pub(super) const BALANCER_RECORD: &str = "elbv2:loadbalancer";

pub(super) fn find_balancer<'a>(view: &View<'a>, arn: &str) -> Result<&'a LoadBalancer, Fault> {
    let mut all = load_balancers(view);
    let found = all.find(|lb| load_balancer(view, lb) == arn);
    found.ok_or_else(|| {
        let text = format!("Load balancer '{arn}' not found");
        view.fault("LoadBalancerNotFound", text)
    })
}

pub(super) fn find_group<'a>(view: &View<'a>, arn: &str) -> Result<&'a TargetGroup, Fault> {
    let mut all = target_groups(view);
    let found = all.find(|group| target_group(view, group) == arn);
    found.ok_or_else(|| {
        let text = format!("Target groups '{arn}' not found");
        view.fault("TargetGroupNotFound", text)
    })
}

pub(super) fn find_listener<'a>(
    view: &View<'a>,
    arn: &str,
) -> Result<(&'a LoadBalancer, &'a Listener), Fault> {
    let mut all = load_balancers(view).flat_map(|lb| lb.listeners.iter().map(move |it| (lb, it)));
    let found = all.find(|(lb, it)| listener(view, lb, it) == arn);
    found.ok_or_else(|| view.fault("ListenerNotFound", "One or more listeners not found"))
}

/// A rule, with what it is of; no rule for a listener's default one.
pub(super) type Found<'a> = (&'a LoadBalancer, &'a Listener, Option<&'a Rule>);

pub(super) fn all_rules<'a>(
    lb: &'a LoadBalancer,
    listener: &'a Listener,
) -> impl Iterator<Item = Found<'a>> {
    let rules = listener.rules.iter().map(Some).chain([None]);
    rules.map(move |rule| (lb, listener, rule))
}

pub(super) fn find_rule<'a>(view: &View<'a>, arn: &str) -> Result<Found<'a>, Fault> {
    let all = load_balancers(view).flat_map(|lb| lb.listeners.iter().map(move |it| (lb, it)));
    let mut rules = all.flat_map(|(lb, listener)| all_rules(lb, listener));
    let found = rules
        .find(|(lb, listener, it)| rule(view, lb, listener, it.map_or(0, |it| it.priority)) == arn);
    found.ok_or_else(|| view.fault("RuleNotFound", "One or more rules not found"))
}
