//! Targets' health as each load balancer node sees it, load balancer nodes, and Route 53 health checks: states that flip
//! on consecutive results.
//!
//! A new target takes traffic after one good check, whatever the threshold (aws-behaviour §4.3).

use std::collections::BTreeMap;

use topologies::event::{EventKind, TargetHealth};
use topologies::id::{HealthCheckId, InstanceId, LoadBalancerId, TargetGroupId, ZoneId};
use topologies::topology::Topology;
use topologies::world::ProcessState;

use super::bugs::Bug;
use super::desk::Desk;
use super::probe::Check;

/// Consecutive failed connections until a load balancer's node counts as gone, and successes until it counts as back.
const NODE_THRESHOLD: u32 = 2;

/// Counts consecutive results.
#[derive(Clone, Copy, Debug, Default)]
struct Streak {
    passed: u32,
    failed: u32,
}

impl Streak {
    fn count(&mut self, check: &Check) {
        match check {
            Check::Passed(_) => {
                *self = Self {
                    passed: self.passed.saturating_add(1),
                    failed: 0,
                }
            }
            Check::Failed { .. } => {
                *self = Self {
                    passed: 0,
                    failed: self.failed.saturating_add(1),
                }
            }
        }
    }
}

/// Whether an instance's process was ever seen to run.
fn started(desk: &Desk<'_>, instance: &InstanceId) -> bool {
    let state = desk.world().instances.get(instance);
    state.is_some_and(|state| state.process != ProcessState::Pending)
}

/// Decides on every target, node and health check of the stack.
#[derive(Clone, Debug, Default)]
pub struct TargetsMachine {
    targets: BTreeMap<(TargetGroupId, InstanceId, ZoneId), Streak>,
    nodes: BTreeMap<(LoadBalancerId, ZoneId), Streak>,
    health_checks: BTreeMap<HealthCheckId, Streak>,
}

impl TargetsMachine {
    /// Forgets what was counted of what is not there any more: it may come back, and is new then.
    pub fn follow(&mut self, topology: &Topology) {
        let groups = &topology.target_groups;
        self.targets.retain(|(group, instance, _), _| {
            let mut groups = groups.iter();
            groups.any(|it| it.id == *group && it.targets.contains(instance))
        });
        let balancers = &topology.load_balancers;
        self.nodes.retain(|(balancer, zone), _| {
            let mut balancers = balancers.iter();
            balancers.any(|it| it.id == *balancer && it.zones.contains(zone))
        });
        let checks = &topology.health_checks;
        self.health_checks
            .retain(|id, _| checks.iter().any(|it| it.id == *id));
    }

    /// Takes in a target's check.
    pub fn handle_target(
        &mut self,
        desk: &mut Desk<'_>,
        (group, instance, node): (&TargetGroupId, &InstanceId, &ZoneId),
        check: &Check,
    ) {
        let Some(target_group) = desk
            .plan
            .topology
            .target_groups
            .iter()
            .find(|g| g.id == *group)
        else {
            return;
        };
        // A check that was under way when its target went tells of nobody.
        if !target_group.targets.contains(instance) {
            return;
        }
        let key = (group.clone(), instance.clone(), node.clone());
        let views = desk
            .world()
            .targets
            .get(group)
            .and_then(|targets| targets.get(instance));
        let known = views
            .and_then(|views| views.get(node))
            .map_or(TargetHealth::Initial, |view| view.state);
        // What did not start yet was not checked yet (`Elb.InitialHealthChecking`).
        if known == TargetHealth::Initial && !started(desk, instance) {
            self.targets.remove(&key);
            return;
        }
        let streak = self.targets.entry(key).or_default();
        streak.count(check);
        let checks = &target_group.health_check;
        let (state, reason, description) = match (known, check) {
            (TargetHealth::Initial, Check::Passed(_)) => (TargetHealth::Healthy, "", ""),
            (TargetHealth::Unhealthy, Check::Passed(_))
                if streak.passed >= checks.healthy_threshold =>
            {
                (TargetHealth::Healthy, "", "")
            }
            (TargetHealth::Initial | TargetHealth::Healthy, Check::Failed { reason, detail })
                if streak.failed >= checks.unhealthy_threshold
                    && !desk.planted(Bug::IgnoreFailedTargets) =>
            {
                (TargetHealth::Unhealthy, *reason, detail.as_str())
            }
            (TargetHealth::Initial | TargetHealth::Healthy | TargetHealth::Unhealthy, _) => return,
        };
        desk.emit(EventKind::TargetHealthChanged {
            target_group: group.clone(),
            instance: instance.clone(),
            node: node.clone(),
            state,
            reason: reason.to_owned(),
            description: description.to_owned(),
        });
    }

    /// Takes in a check of a load balancer's node.
    pub fn handle_node(
        &mut self,
        desk: &mut Desk<'_>,
        load_balancer: &LoadBalancerId,
        zone: &ZoneId,
        check: &Check,
    ) {
        let mut balancers = desk.plan.topology.load_balancers.iter();
        if !balancers.any(|it| it.id == *load_balancer && it.zones.contains(zone)) {
            return;
        }
        let streak = self
            .nodes
            .entry((load_balancer.clone(), zone.clone()))
            .or_default();
        streak.count(check);
        let known = desk
            .world()
            .nodes
            .get(load_balancer)
            .and_then(|nodes| nodes.get(zone))
            .copied();
        let alive = if streak.passed >= NODE_THRESHOLD || (known.is_none() && streak.passed > 0) {
            true
        } else if streak.failed >= NODE_THRESHOLD {
            false
        } else {
            return;
        };
        if known != Some(alive) {
            let (load_balancer, zone) = (load_balancer.clone(), zone.clone());
            desk.emit(EventKind::LoadBalancerNodeChanged {
                load_balancer,
                zone,
                alive,
            });
        }
    }

    /// Takes in a Route 53 health check's result.
    pub fn handle_health_check(&mut self, desk: &mut Desk<'_>, id: &HealthCheckId, check: &Check) {
        let Some(health_check) = desk
            .plan
            .topology
            .health_checks
            .iter()
            .find(|h| h.id == *id)
        else {
            return;
        };
        let Some(endpoint) = health_check.asks() else {
            return;
        };
        let threshold = endpoint.failure_threshold;
        let streak = self.health_checks.entry(id.clone()).or_default();
        streak.count(check);
        let known = desk.world().health_checks.get(id).copied();
        let (healthy, why) = match check {
            Check::Passed(met) => (true, met.clone()),
            Check::Failed { detail, .. } => (false, detail.clone()),
        };
        let enough = streak.passed.max(streak.failed) >= threshold || (known.is_none() && healthy);
        if enough && known != Some(healthy) {
            desk.emit(EventKind::HealthCheckStatusChanged {
                health_check: id.clone(),
                healthy,
                why,
            });
        }
    }
}
