//! Which answers DNS leaves out: nodes without healthy targets, records whose health check or alias target fails.

use std::collections::BTreeMap;

use topologies::event::TargetHealth;
use topologies::id::{InstanceId, LoadBalancerId, ZoneId};
use topologies::plan::Plan;
use topologies::records::ALIASES_MAX;
use topologies::topology::{
    HostedZone, LoadBalancer, LoadBalancerType, Record, RecordType, RecordValue, TargetGroup,
};
use topologies::world::World;
use topologies::world::health_check::checked;

use super::forwards;

/// Whether a node's address belongs into DNS: it answers, at least one of its target groups has a healthy target as it sees
/// them, and no group that keeps to its zone has only unhealthy ones there. With cross-zone off a zone without targets keeps an
/// ALB's address, which answers 503, and loses an NLB's (aws-behaviour §4.5, §5).
pub(super) fn zone_healthy(plan: &Plan, world: &World, lb: &LoadBalancer, zone: &ZoneId) -> bool {
    let mut groups = 0;
    let mut passed = false;
    for group in forwards(plan, &lb.id) {
        groups += 1;
        let cross_zone = group.cross_zone.unwrap_or(lb.cross_zone);
        match group_health(plan, world, group, cross_zone, zone) {
            GroupHealth::Healthy => passed = true,
            GroupHealth::Empty if !cross_zone && lb.kind == LoadBalancerType::Application => {
                passed = true;
            }
            GroupHealth::Unhealthy | GroupHealth::Empty if !cross_zone => return false,
            GroupHealth::Unhealthy | GroupHealth::Empty => {}
        }
    }
    node_answers(world, &lb.id, zone) && (passed || groups == 0)
}

/// Whether an alias that evaluates its target's health counts a load balancer as healthy: every attached target group that has
/// targets has a healthy one for some node that answers, and not all groups are empty (aws-behaviour §4.5, §6.3).
fn load_balancer_healthy(plan: &Plan, world: &World, lb: &LoadBalancer) -> bool {
    let answering: Vec<&ZoneId> = plan
        .nodes
        .iter()
        .filter(|node| node.load_balancer == lb.id)
        .map(|node| &node.zone)
        .filter(|zone| node_answers(world, &lb.id, zone))
        .collect();
    let healthy = |group: &TargetGroup| {
        let cross_zone = group.cross_zone.unwrap_or(lb.cross_zone);
        answering
            .iter()
            .any(|zone| group_health(plan, world, group, cross_zone, zone) == GroupHealth::Healthy)
    };
    let mut groups = forwards(plan, &lb.id).peekable();
    if answering.is_empty() || groups.peek().is_none() {
        return !answering.is_empty();
    }
    let mut with_targets = groups
        .filter(|group| plan.targets(group).next().is_some())
        .peekable();
    with_targets.peek().is_some() && with_targets.all(healthy)
}

fn node_answers(world: &World, lb: &LoadBalancerId, zone: &ZoneId) -> bool {
    let nodes = world.nodes.get(lb);
    nodes
        .and_then(|nodes| nodes.get(zone))
        .copied()
        .unwrap_or(true)
}

/// The zone that a zonal shift in force keeps a load balancer away from. It has no effect where that would leave a target group that
/// has targets without a healthy one: where it fails open anyway, or has targets in that zone alone (aws-behaviour §6.6).
pub(super) fn away_from<'w>(
    plan: &Plan,
    world: &'w World,
    lb: &LoadBalancer,
) -> Option<&'w ZoneId> {
    let (_, shift) = world.account.zonal_shifts.of(&lb.id)?;
    let away = &shift.away_from;
    let healthy = |group: &TargetGroup, target: &InstanceId| {
        let views = world.targets.get(&group.id).and_then(|it| it.get(target));
        let mut views = views.into_iter().flatten();
        views.any(|(node, view)| node != away && view.state == TargetHealth::Healthy)
    };
    let bears = |group: &TargetGroup| {
        let mut targets = plan.targets(group).peekable();
        targets.peek().is_none()
            || targets.any(|target| target.zone != *away && healthy(group, &target.id))
    };
    let mut groups = forwards(plan, &lb.id);
    groups.all(bears).then_some(away)
}

/// A target group as a node sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GroupHealth {
    /// As many targets are healthy as its threshold of DNS failover asks for, by default one.
    Healthy,
    /// Fewer are.
    Unhealthy,
    /// The node has no target at all.
    Empty,
}

fn group_health(
    plan: &Plan,
    world: &World,
    group: &TargetGroup,
    cross_zone: bool,
    zone: &ZoneId,
) -> GroupHealth {
    let views = world.targets.get(&group.id);
    let (mut registered, mut healthy) = (0, 0);
    for target in plan.targets(group) {
        if !cross_zone && target.zone != *zone {
            continue;
        }
        let view = views
            .and_then(|targets| targets.get(&target.id))
            .and_then(|views| views.get(zone));
        registered += 1;
        healthy += usize::from(view.is_some_and(|view| view.state == TargetHealth::Healthy));
    }
    let enough = group.routing.dns_failover.is_met(healthy, registered);
    match (registered, enough) {
        (0, _) => GroupHealth::Empty,
        (_, true) => GroupHealth::Healthy,
        (_, false) => GroupHealth::Unhealthy,
    }
}

/// Whether the records of a zone are healthy: each while its health check is and, where asked for, its alias's target is
/// (aws-behaviour §6.3). What many aliases lead to is looked at once.
pub(super) struct Healthy<'w> {
    plan: &'w Plan,
    world: &'w World,
    names: BTreeMap<&'w str, Vec<&'w Record>>,
    known: BTreeMap<(&'w str, RecordType), bool>,
}

impl<'w> Healthy<'w> {
    pub(super) fn new(plan: &'w Plan, world: &'w World, zone: &'w HostedZone) -> Self {
        let mut names: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
        for record in &zone.records {
            names.entry(&record.name).or_default().push(record);
        }
        Self {
            plan,
            world,
            names,
            known: BTreeMap::new(),
        }
    }

    /// Whether a record is.
    pub(super) fn is(&mut self, record: &'w Record) -> bool {
        self.within(record, ALIASES_MAX)
    }

    /// The same; aliases beyond `hops` are not answered, and hinder nobody.
    fn within(&mut self, record: &'w Record, hops: usize) -> bool {
        let (plan, world) = (self.plan, self.world);
        let check = record.health_check.as_ref();
        let checked = check.is_none_or(|id| checked(&plan.topology, world, id));
        checked
            && match &record.value {
                RecordValue::AliasLoadBalancer {
                    load_balancer,
                    evaluate_target_health: true,
                    ..
                } => super::balancer(plan, load_balancer)
                    .is_some_and(|lb| load_balancer_healthy(plan, world, lb)),
                RecordValue::AliasRecord {
                    name,
                    evaluate_target_health: true,
                    kind,
                } => hops == 0 || self.target(name, *kind, hops - 1),
                RecordValue::AliasLoadBalancer { .. }
                | RecordValue::AliasRecord { .. }
                | RecordValue::A(_)
                | RecordValue::Cname(_)
                | RecordValue::Txt(_)
                | RecordValue::Data(..) => true,
            }
    }

    /// Whether one of the records that an alias can answer with is healthy.
    fn target(&mut self, name: &'w str, kind: RecordType, hops: usize) -> bool {
        if let Some(known) = self.known.get(&(name, kind)) {
            return *known;
        }
        let records = self.names.get(name).cloned().unwrap_or_default();
        let aliased = |record: &&Record| {
            let of = record.value.kind();
            of == kind || of == RecordType::Cname
        };
        let mut targets = records.into_iter().filter(aliased);
        let healthy = targets.any(|target| self.within(target, hops));
        self.known.insert((name, kind), healthy);
        healthy
    }
}

#[cfg(test)]
mod tests {
    use topologies::address::Slot;
    use topologies::event::{Event, EventKind};
    use topologies::time::Time;
    use topologies::world::TargetView;

    use super::*;
    use crate::routes::balancer;

    /// Two zones, web-1 in a and web-2 in b, `edge` with cross-zone off; `also` is a second group, of a service in zone a only.
    const STACK: &str = "
region: ap-northeast-2
availability-zones: [a, b]
instances:
  web: { program: /bin/true, port: 80, count: 2 }
  api: { program: /bin/true, port: 81, count: 1, availability-zones: [a] }
target-groups:
  web: { targets: web, protocol: HTTP, cross-zone: CROSS }
  api: { targets: api, protocol: HTTP, cross-zone: CROSS }
load-balancers:
  site:
    type: application
    listeners:
      - port: 80
        rules: [{ priority: 1, path-pattern: [/api/*], action: { forward: api } }]
        default-action: { forward: web }
hosted-zones:
  shop.internal:
    records: [{ name: www, alias: site, evaluate-target-health: true }]
";

    fn stack(cross_zone: bool) -> Plan {
        planned(&STACK.replace("CROSS", &cross_zone.to_string()))
    }

    fn planned(text: &str) -> Plan {
        let (topology, notes) = topologies::check::check(text, "stack.yaml");
        let topology = topology.unwrap_or_else(|| panic!("{notes:?}"));
        topologies::plan::plan(&topology, Slot::new(64).expect("a slot"))
    }

    /// A world in which these targets are healthy for every node, all others not.
    fn world(plan: &Plan, healthy: &[&str]) -> World {
        let mut world = World::new(plan);
        for group in &plan.topology.target_groups {
            for target in plan.targets(group) {
                let state = if healthy.contains(&target.id.as_str()) {
                    TargetHealth::Healthy
                } else {
                    TargetHealth::Unhealthy
                };
                let view = TargetView {
                    state,
                    reason: String::new(),
                    description: String::new(),
                };
                let views = plan.nodes.iter().map(|n| (n.zone.clone(), view.clone()));
                let targets = world.targets.entry(group.id.clone()).or_default();
                targets.insert(target.id.clone(), views.collect());
            }
        }
        world
    }

    fn zones_in_dns(plan: &Plan, world: &World) -> Vec<String> {
        let lb = balancer(plan, &"site".into()).expect("the balancer");
        let zones = plan.nodes.iter().map(|node| &node.zone);
        zones
            .filter(|zone| zone_healthy(plan, world, lb, zone))
            .map(ToString::to_string)
            .collect()
    }

    fn alias_healthy(plan: &Plan, world: &World) -> bool {
        let zone = &plan.topology.hosted_zones[0];
        Healthy::new(plan, world, zone).is(&zone.records[0])
    }

    #[test]
    fn s4_5_with_cross_zone_one_healthy_group_keeps_every_zone_in_dns() {
        let plan = stack(true);
        let both = ["ap-northeast-2a", "ap-northeast-2b"];
        assert_eq!(zones_in_dns(&plan, &world(&plan, &["web-2"])), both);
        assert!(zones_in_dns(&plan, &world(&plan, &[])).is_empty());
    }

    #[test]
    fn s4_5_a_threshold_of_dns_failover_counts_all_targets_with_cross_zone() {
        let least = |least: &str| {
            let health = format!("CROSS, target-group-health: {{ dns-failover: {least} }} }}");
            planned(&STACK.replace("CROSS }", &health).replace("CROSS", "true"))
        };
        for (threshold, stays) in [
            ("{ count: 1 }", true),
            ("{ count: 2 }", false),
            ("{ percentage: 50 }", true),
            ("{ percentage: 51 }", false),
        ] {
            let plan = least(threshold);
            let one = world(&plan, &["web-1"]);
            let zones = zones_in_dns(&plan, &one).len();
            assert_eq!(zones, if stays { 2 } else { 0 }, "{threshold}");
        }
    }

    #[test]
    fn s4_5_without_cross_zone_one_unhealthy_group_removes_its_zone_and_an_empty_zone_stays() {
        let plan = stack(false);
        let healthy = world(&plan, &["web-1", "web-2", "api-1"]);
        let both = ["ap-northeast-2a", "ap-northeast-2b"];
        assert_eq!(zones_in_dns(&plan, &healthy), both);
        let api_down = world(&plan, &["web-1", "web-2"]);
        assert_eq!(zones_in_dns(&plan, &api_down), ["ap-northeast-2b"]);
    }

    #[test]
    fn s6_6_a_shift_has_no_effect_where_it_leaves_a_group_without_healthy_targets() {
        let shifted = |plan: &Plan, healthy: &[&str], zone: &str| {
            let mut world = world(plan, healthy);
            let seq = world.seq + 1;
            let event = EventKind::ZonalShiftStarted {
                shift: "one".into(),
                load_balancer: "site".into(),
                region: "ap-northeast-2".into(),
                away_from: zone.into(),
                started: Time::ZERO,
                expires: Time::from_millis(60_000),
                comment: String::new(),
                by: None,
            };
            let at = Time::ZERO;
            world.apply(&Event { seq, at, event });
            let lb = balancer(plan, &"site".into()).expect("the balancer");
            away_from(plan, &world, lb).is_some()
        };
        let plan = stack(true);
        let all = ["web-1", "web-2", "api-1"];
        let (a, b) = ("ap-northeast-2a", "ap-northeast-2b");
        assert!(shifted(&plan, &all, b));
        // The service api is in zone a only.
        assert!(!shifted(&plan, &all, a));
        let elsewhere = "instances:
  web: { program: /bin/true, port: 80, count: 2 }
  api: { program: /bin/true, port: 81, count: 2 }
";
        let (head, rest) = STACK.split_once("instances:").expect("it has instances");
        let rest = rest.split_once("target-groups:").expect("it has groups").1;
        let plan =
            planned(&format!("{head}{elsewhere}target-groups:{rest}").replace("CROSS", "true"));
        let all = ["web-1", "web-2", "api-1", "api-2"];
        assert!(shifted(&plan, &all, a) && shifted(&plan, &all, b));
        assert!(!shifted(&plan, &["web-1", "web-2", "api-1"], a));
        assert!(!shifted(&plan, &[], a));
    }

    #[test]
    fn s4_5_an_alias_is_unhealthy_when_any_attached_group_is() {
        let plan = stack(true);
        assert!(alias_healthy(&plan, &world(&plan, &["web-1", "api-1"])));
        assert!(!alias_healthy(&plan, &world(&plan, &["web-1", "web-2"])));
    }

    #[test]
    fn s6_3_an_alias_of_a_name_is_as_healthy_as_the_records_that_it_can_answer_with() {
        let records = "    records:
      - { name: www, alias: origin, evaluate-target-health: true }
      - { name: origin, type: A, values: 192.0.2.1, health-check: origin }
      - { name: origin, type: TXT, values: owned by the shop }
health-checks:
  origin: { type: TCP, fully-qualified-domain-name: origin.shop.internal, port: 80 }
";
        let site = "    records: [{ name: www, alias: site, evaluate-target-health: true }]\n";
        let plan = planned(&STACK.replace("CROSS", "true").replace(site, records));
        let mut world = World::new(&plan);
        for healthy in [true, false] {
            world.health_checks.insert("origin".into(), healthy);
            assert_eq!(alias_healthy(&plan, &world), healthy);
        }
    }

    #[test]
    fn s4_5_an_alias_is_unhealthy_when_only_nodes_that_are_gone_see_its_targets() {
        let plan = stack(true);
        let mut world = world(&plan, &["web-1", "web-2", "api-1"]);
        let gone = plan.nodes.iter().map(|node| (node.zone.clone(), false));
        world.nodes.insert("site".into(), gone.collect());
        assert!(!alias_healthy(&plan, &world));
    }
}
