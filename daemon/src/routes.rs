//! What the data plane is to serve: a pure function of the plan and the world.
//!
//! Names follow roles here: the endpoint of a DB instance answers with the host that the world calls primary, a load balancer's
//! name with its nodes, a hosted zone's record with what its health checks leave.

mod clients;
mod groups;
mod health;
mod records;

use std::collections::BTreeMap;

use proxies::acl::{Acl, Acls};
use proxies::routes::{
    Candidate, Eni, Listener, LoadBalancer, Node, Part, Policy, RecordSet, Routes, Target,
    TargetGroup, TargetState, Value,
};
use topologies::event::TargetHealth;
use topologies::id::{InstanceId, LoadBalancerId};
use topologies::plan::{EndpointKind, InstanceKind, Plan};
use topologies::topology::{self, RecordType, Topology};
use topologies::world::World;

pub use records::soa_minimum;

use health::{away_from, zone_healthy};
use records::{apexes, hosted_zone_records};

/// The routes of a stack in this state.
pub fn routes(plan: &Plan, world: &World) -> Routes {
    let enis = plan.instances.iter().map(|instance| {
        let eni = Eni {
            address: instance.address,
            port: instance.port,
            fenced: world.fenced(&instance.id),
            replicates: match instance.kind {
                InstanceKind::DbHost(_) | InstanceKind::CacheNode(_) => true,
                InstanceKind::App(_) => false,
            },
        };
        (instance.id.clone(), eni)
    });
    let mut names = BTreeMap::new();
    for endpoint in &plan.endpoints {
        if let Some(set) = endpoint_records(plan, world, &endpoint.kind) {
            names.insert(endpoint.name.clone(), vec![set]);
        }
    }
    for lb in &plan.topology.load_balancers {
        zonal_names(plan, &lb.id, &mut names);
    }
    for zone in &plan.topology.hosted_zones {
        hosted_zone_records(plan, world, zone, &mut names);
    }
    Routes {
        enis: enis.collect(),
        load_balancers: load_balancers(plan, world),
        target_groups: target_groups(plan, world),
        names,
        apexes: apexes(plan),
        clients: clients::clients(plan),
        acls: acls(&plan.topology, world),
        groups: groups::groups(plan, world),
    }
}

/// The network ACLs of subnets, but for default ones as they came.
fn acls(topology: &Topology, world: &World) -> Acls {
    let zones = topology
        .regions
        .iter()
        .flat_map(|region| region.zones.iter().map(move |zone| (region, zone)));
    let own = zones.filter_map(|(region, zone)| {
        let acl = world.account.network_acls.of(&region.id, &zone.id)?;
        Some((zone.number, Acl::new(&acl.entries)))
    });
    own.collect()
}

fn endpoint_records(plan: &Plan, world: &World, kind: &EndpointKind) -> Option<RecordSet> {
    let timing = &plan.topology.timing;
    let host = |instance: &InstanceId| plan.instance(instance).map(|i| Value::Host(i.address));
    let one = |ttl, instance: &InstanceId| {
        let values = vec![host(instance)?];
        Some(RecordSet::simple(RecordType::A, ttl, values))
    };
    match kind {
        EndpointKind::RdsWriter(db) => one(timing.rds_ttl, &world.databases.get(db)?.primary),
        EndpointKind::RdsInstance(db) => one(timing.rds_ttl, &world.replicas.get(db)?.instance),
        EndpointKind::ElasticachePrimary(group) => {
            one(timing.elasticache_ttl, &world.caches.get(group)?.primary)
        }
        EndpointKind::ElasticacheReader(group) => {
            let cache = world.caches.get(group)?;
            let replicas = cache.replicas.iter();
            // Who goes leaves the answers first, as AWS takes a node out of the endpoint before it is deleted.
            let replicas = replicas.filter(|(instance, _)| !cache.leaving.contains(*instance));
            let candidates = replicas.filter_map(|(instance, up)| {
                Some(Candidate {
                    healthy: *up,
                    ttl: timing.elasticache_ttl,
                    part: Part::Any,
                    values: vec![host(instance)?],
                })
            });
            let candidates = candidates.collect();
            Some(RecordSet {
                kind: RecordType::A,
                policy: Policy::OneInTurn,
                candidates,
            })
        }
        EndpointKind::ElasticacheNode(instance) => one(timing.elasticache_ttl, instance),
        EndpointKind::Alb(lb) | EndpointKind::Nlb(lb) => {
            let nodes = plan.nodes.iter().filter(|node| node.load_balancer == *lb);
            let balancer = balancer(plan, lb);
            let candidates = nodes.map(|node| Candidate {
                healthy: balancer.is_some_and(|lb| {
                    let shifted = away_from(plan, world, lb) == Some(&node.zone);
                    zone_healthy(plan, world, lb, &node.zone) && !shifted
                }),
                ttl: timing.load_balancer_ttl,
                part: Part::Any,
                values: vec![Value::Host(node.address)],
            });
            let candidates = candidates.collect();
            Some(RecordSet {
                kind: RecordType::A,
                policy: Policy::HealthyNodes,
                candidates,
            })
        }
        EndpointKind::Record => None,
    }
}

/// `<zone>.<name>`: the address of one node, healthy or not (aws-behaviour §4.1, §5).
fn zonal_names(plan: &Plan, lb: &LoadBalancerId, names: &mut BTreeMap<String, Vec<RecordSet>>) {
    let of_this = |kind: &EndpointKind| matches!(kind, EndpointKind::Alb(id) | EndpointKind::Nlb(id) if id == lb);
    let Some(endpoint) = plan
        .endpoints
        .iter()
        .find(|endpoint| of_this(&endpoint.kind))
    else {
        return;
    };
    for node in plan.nodes.iter().filter(|node| node.load_balancer == *lb) {
        let set = RecordSet::simple(
            RecordType::A,
            plan.topology.timing.load_balancer_ttl,
            vec![Value::Host(node.address)],
        );
        names.insert(format!("{}.{}", node.zone, endpoint.name), vec![set]);
    }
}

fn balancer<'a>(plan: &'a Plan, lb: &LoadBalancerId) -> Option<&'a topology::LoadBalancer> {
    let mut balancers = plan.topology.load_balancers.iter();
    balancers.find(|balancer| balancer.id == *lb)
}

/// The target groups that a load balancer forwards to.
pub fn forwards<'a>(
    plan: &'a Plan,
    lb: &LoadBalancerId,
) -> impl Iterator<Item = &'a topology::TargetGroup> {
    let listeners = balancer(plan, lb).into_iter().flat_map(|lb| &lb.listeners);
    let groups: Vec<_> = listeners
        .flat_map(topology::Listener::target_groups)
        .collect();
    plan.topology
        .target_groups
        .iter()
        .filter(move |group| groups.contains(&&group.id))
}

fn load_balancers(plan: &Plan, world: &World) -> BTreeMap<LoadBalancerId, LoadBalancer> {
    let balancers = plan.topology.load_balancers.iter().map(|lb| {
        let nodes = plan.nodes.iter().filter(|node| node.load_balancer == lb.id);
        let listeners = lb.listeners.iter().map(|listener| Listener {
            port: listener.port,
            protocol: listener.protocol,
            rules: listener.rules.clone(),
            default_action: listener.default_action.clone(),
        });
        let balancer = LoadBalancer {
            kind: lb.kind,
            cross_zone: lb.cross_zone,
            away_from: away_from(plan, world, lb).cloned(),
            idle_timeout: lb.idle_timeout,
            headers: lb.headers,
            nodes: nodes
                .map(|node| Node {
                    zone: node.zone.clone(),
                    address: node.address,
                })
                .collect(),
            listeners: listeners.collect(),
        };
        (lb.id.clone(), balancer)
    });
    balancers.collect()
}

fn target_groups(
    plan: &Plan,
    world: &World,
) -> BTreeMap<topologies::id::TargetGroupId, TargetGroup> {
    let groups = plan.topology.target_groups.iter().map(|group| {
        let targets = plan.targets(group).map(|instance| {
            let views = world
                .targets
                .get(&group.id)
                .and_then(|targets| targets.get(&instance.id));
            let health = views
                .into_iter()
                .flatten()
                .map(|(zone, view)| (zone.clone(), state(view.state)));
            Target {
                instance: instance.id.clone(),
                zone: instance.zone.clone(),
                address: instance.address,
                port: group.port,
                health: health.collect(),
            }
        });
        (
            group.id.clone(),
            TargetGroup {
                cross_zone: group.cross_zone,
                routing: group.routing.clone(),
                targets: targets.collect(),
            },
        )
    });
    groups.collect()
}

fn state(health: TargetHealth) -> TargetState {
    match health {
        TargetHealth::Initial => TargetState::Initial,
        TargetHealth::Healthy => TargetState::Healthy,
        TargetHealth::Unhealthy => TargetState::Unhealthy,
    }
}
