//! Visitors of load balancers and read replicas: one look at a time, served or not, without a trace.

use rand::RngExt;
use topologies::address::ZoneNumber;
use topologies::event::TargetHealth;
use topologies::id::{InstanceId, TargetGroupId, ZoneId};
use topologies::plan::Plan;
use topologies::topology::RuleAction;
use topologies::world::World;

use super::ground::Ground;

/// From one visit to the next.
pub(super) const VISITS_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

/// Somebody who visits an endpoint from a place.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) from: ZoneNumber,
    pub(super) gauge: usize,
    pub(super) door: Door,
}

/// What is visited.
#[derive(Clone, Debug)]
pub(super) enum Door {
    Replica(usize),
    LoadBalancer {
        lb: usize,
        group: TargetGroupId,
        cross_zone: bool,
    },
}

/// The doors of a plan, with the name of the endpoint, and whether the loss of a zone leaves it open.
pub(super) fn doors(plan: &Plan, ground: &Ground) -> Vec<(String, Door, bool)> {
    let topology = &plan.topology;
    let replicas = topology
        .db_instances
        .iter()
        .flat_map(|db| &db.read_replicas)
        .filter_map(|replica| {
            let host = ground.host(&plan.db_hosts(&replica.id).next()?.id);
            Some((replica.id.to_string(), Door::Replica(host), false))
        });
    let balancers = topology
        .load_balancers
        .iter()
        .enumerate()
        .filter_map(|(lb, balancer)| {
            let actions = balancer.listeners.iter().map(|it| &it.default_action);
            let group = actions.flat_map(RuleAction::target_groups).next()?.clone();
            let own = topology.target_groups.iter().find(|g| g.id == group)?;
            let cross_zone = own.cross_zone.unwrap_or(balancer.cross_zone);
            Some((
                balancer.id.to_string(),
                Door::LoadBalancer {
                    lb,
                    group,
                    cross_zone,
                },
                balancer.zones.len() > 1,
            ))
        });
    replicas.chain(balancers).collect()
}

impl Ground {
    /// Whether a visit is served; none if the visitor is without power.
    pub(super) fn visit(&mut self, plan: &Plan, world: &World, visitor: &Visitor) -> Option<bool> {
        if self.network.dark.contains(&visitor.from)
            || self.network.isolated.contains(&visitor.from)
        {
            return None;
        }
        if self.daemon.is_none() {
            return Some(false);
        }
        Some(match &visitor.door {
            Door::Replica(host) => self.answers(visitor.from, *host),
            Door::LoadBalancer {
                lb,
                group,
                cross_zone,
            } => {
                let balancer = &plan.topology.load_balancers[*lb];
                let alive = world.nodes.get(&balancer.id);
                let alive =
                    |zone: &&ZoneId| alive.and_then(|nodes| nodes.get(*zone)) == Some(&true);
                let Some(node) = self.pick_or(&balancer.zones, alive).cloned() else {
                    return Some(false);
                };
                let number = plan.zone_number(&node);
                self.network.connects(visitor.from, number)
                    && self.forward(plan, world, group, &node, *cross_zone)
            }
        })
    }

    fn forward(
        &mut self,
        plan: &Plan,
        world: &World,
        group: &TargetGroupId,
        node: &ZoneId,
        cross_zone: bool,
    ) -> bool {
        let Some(own) = plan.topology.target_groups.iter().find(|g| g.id == *group) else {
            return false;
        };
        let targets = plan.targets(own);
        let targets: Vec<InstanceId> = targets
            .filter(|target| cross_zone || target.zone == *node)
            .map(|target| target.id.clone())
            .collect();
        let views = world.targets.get(group);
        let healthy = |target: &&InstanceId| {
            let view = views
                .and_then(|views| views.get(*target))
                .and_then(|views| views.get(node));
            view.is_some_and(|view| view.state == TargetHealth::Healthy)
        };
        let Some(target) = self
            .pick_or(&targets, healthy)
            .map(|target| self.host(target))
        else {
            return false;
        };
        self.answers(plan.zone_number(node), target)
    }

    /// One of those that fit, or of all if none fits.
    fn pick_or<'a, T>(&mut self, all: &'a [T], fits: impl Fn(&&T) -> bool) -> Option<&'a T> {
        let fitting: Vec<&T> = all.iter().filter(fits).collect();
        let from = if fitting.is_empty() {
            all.iter().collect()
        } else {
            fitting
        };
        (!from.is_empty()).then(|| from[self.rng.random_range(0..from.len())])
    }
}
