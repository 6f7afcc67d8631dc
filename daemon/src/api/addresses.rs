//! Which addresses an endpoint's name has, as seen from outside: what the stack's resolver answers there, told without asking it.

use std::net::Ipv4Addr;

use topologies::address::ZoneNumber;
use topologies::id::{InstanceId, LoadBalancerId};
use topologies::plan::{Endpoint, EndpointKind, Plan};
use topologies::topology::{FailoverRole, Record, RecordValue, Routing};
use topologies::world::World;
use topologies::world::health_check::checked;

/// Aliases and CNAMEs followed for one name; `check` refuses cycles, this bounds what it may have missed.
const HOPS_MAX: usize = 8;

/// The addresses of an endpoint.
pub(super) fn of_endpoint(plan: &Plan, world: &World, endpoint: &Endpoint) -> Vec<Ipv4Addr> {
    Names { plan, world }.endpoint(endpoint, HOPS_MAX)
}

/// What a record's name leads to in the end: an endpoint of the stack, or nothing that it knows.
pub(super) fn destination(plan: &Plan, name: &str) -> Option<EndpointKind> {
    let mut name = name.to_owned();
    for _ in 0..HOPS_MAX {
        let record = records(plan, &name).next();
        match &record?.value {
            RecordValue::AliasLoadBalancer { load_balancer, .. } => {
                let balancer = |kind: &EndpointKind| {
                    let (EndpointKind::Alb(id) | EndpointKind::Nlb(id)) = kind else {
                        return false;
                    };
                    id == load_balancer
                };
                let mut kinds = plan.endpoints.iter().map(|endpoint| &endpoint.kind);
                return kinds.find(|kind| balancer(kind)).cloned();
            }
            RecordValue::AliasRecord { name: next, .. } | RecordValue::Cname(next) => {
                let mut endpoints = plan.endpoints.iter();
                let own = endpoints.find(|endpoint| endpoint.name == *next);
                match own.map(|endpoint| &endpoint.kind) {
                    None | Some(EndpointKind::Record) => name.clone_from(next),
                    Some(kind) => return Some(kind.clone()),
                }
            }
            RecordValue::A(_) | RecordValue::Txt(_) | RecordValue::Data(..) => return None,
        }
    }
    None
}

fn records<'a>(plan: &'a Plan, name: &str) -> impl Iterator<Item = &'a Record> + use<'a> {
    let zones = plan.topology.hosted_zones.iter();
    zones
        .flat_map(|zone| &zone.records)
        .filter(move |record| record.name == name)
        .filter(|record| !matches!(record.value, RecordValue::Txt(_)))
        .collect::<Vec<_>>()
        .into_iter()
}

struct Names<'a> {
    plan: &'a Plan,
    world: &'a World,
}

impl Names<'_> {
    fn endpoint(&self, endpoint: &Endpoint, hops: usize) -> Vec<Ipv4Addr> {
        match &endpoint.kind {
            EndpointKind::RdsWriter(db) | EndpointKind::RdsInstance(db) => {
                let primary = self.world.databases.get(db).map(|db| &db.primary);
                let replica = self.world.replicas.get(db).map(|replica| &replica.instance);
                primary
                    .or(replica)
                    .and_then(|id| self.instance(id))
                    .into_iter()
                    .collect()
            }
            EndpointKind::ElasticachePrimary(group) => {
                let cache = self.world.caches.get(group);
                cache
                    .and_then(|cache| self.instance(&cache.primary))
                    .into_iter()
                    .collect()
            }
            EndpointKind::ElasticacheReader(group) => {
                let Some(cache) = self.world.caches.get(group) else {
                    return Vec::new();
                };
                let replicating = cache.replicas.iter().filter(|(_, up)| **up);
                let mut readers: Vec<&InstanceId> = replicating.map(|(id, _)| id).collect();
                if readers.is_empty() {
                    readers.push(&cache.primary);
                }
                readers.iter().filter_map(|id| self.instance(id)).collect()
            }
            EndpointKind::ElasticacheNode(id) => self.instance(id).into_iter().collect(),
            EndpointKind::Alb(id) | EndpointKind::Nlb(id) => self.balancer(id),
            EndpointKind::Record => self.name(&endpoint.name, hops),
        }
    }

    fn instance(&self, id: &InstanceId) -> Option<Ipv4Addr> {
        let instance = self.plan.instance(id)?;
        Some(instance.address.seen_from(ZoneNumber::OUTSIDE))
    }

    /// The nodes that answer; all of them when none does, as ELB's names do.
    fn balancer(&self, id: &LoadBalancerId) -> Vec<Ipv4Addr> {
        let nodes = || {
            let nodes = self.plan.nodes.iter();
            nodes.filter(|node| node.load_balancer == *id)
        };
        let alive = |zone| {
            let known = self.world.nodes.get(id).and_then(|nodes| nodes.get(zone));
            known.copied().unwrap_or(true)
        };
        let address =
            |node: &topologies::plan::LoadBalancerNode| node.address.seen_from(ZoneNumber::OUTSIDE);
        let answering: Vec<Ipv4Addr> = nodes()
            .filter(|node| alive(&node.zone))
            .map(address)
            .collect();
        if answering.is_empty() {
            nodes().map(address).collect()
        } else {
            answering
        }
    }

    /// The record of a set that answers now: the primary while it is healthy, then the secondary, then the primary.
    fn name(&self, name: &str, hops: usize) -> Vec<Ipv4Addr> {
        let Some(hops) = hops.checked_sub(1) else {
            return Vec::new();
        };
        let set: Vec<&Record> = records(self.plan, name).collect();
        let healthy = |record: &&&Record| {
            let check = record.health_check.as_ref();
            check.is_none_or(|check| checked(&self.plan.topology, self.world, check))
        };
        let secondary =
            |record: &&&Record| record.routing == Routing::Failover(FailoverRole::Secondary);
        let chosen = set
            .iter()
            .filter(|record| !secondary(record))
            .find(healthy)
            .or_else(|| set.iter().find(secondary))
            .or_else(|| set.first());
        match chosen.map(|record| &record.value) {
            Some(RecordValue::A(addresses)) => addresses.clone(),
            Some(RecordValue::AliasLoadBalancer { load_balancer, .. }) => {
                self.balancer(load_balancer)
            }
            Some(RecordValue::AliasRecord { name, .. } | RecordValue::Cname(name)) => {
                let mut endpoints = self.plan.endpoints.iter();
                match endpoints.find(|endpoint| endpoint.name == *name) {
                    Some(endpoint) => self.endpoint(endpoint, hops),
                    None => self.name(name, hops),
                }
            }
            Some(RecordValue::Txt(_) | RecordValue::Data(..)) | None => Vec::new(),
        }
    }
}
