//! The plan: what will run where, at which address, under which name.
//!
//! [`plan`] lays a topology out; [`fn@environment`] says what an application instance finds in its environment.

mod difference;
mod environment;
mod layout;

use serde::{Deserialize, Serialize};

use crate::address::{HostAddress, Slot, ZoneNumber};
use crate::id::{DbInstanceId, InstanceId, LoadBalancerId, ReplicationGroupId, ServiceId, ZoneId};
use crate::topology::{TargetGroup, Topology};

pub use difference::difference;
pub use environment::{OWN_VARIABLES, Secrets, environment};
pub use layout::{
    HOSTS_PER_ZONE, app_instance, cache_node, db_host, occupied, plan, reader_endpoint, revise,
};

/// A topology laid out on a slot of the loopback network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The stack as meant.
    pub topology: Topology,
    /// The addresses it has.
    pub slot: Slot,
    /// Every instance: database hosts, cache nodes, application instances, in the order of the topology.
    pub instances: Vec<Instance>,
    /// One per load balancer and zone.
    pub nodes: Vec<LoadBalancerNode>,
    /// What a user connects to.
    pub endpoints: Vec<Endpoint>,
}

/// One thing that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its identifier, unique in the stack.
    pub id: InstanceId,
    /// What it belongs to.
    pub kind: InstanceKind,
    /// Its zone.
    pub zone: ZoneId,
    /// Its address.
    pub address: HostAddress,
    /// The port of its server.
    pub port: u16,
}

/// What an instance belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceKind {
    /// A host of a DB instance; which of a Multi-AZ pair is primary changes.
    DbHost(DbInstanceId),
    /// A node of a replication group.
    CacheNode(ReplicationGroupId),
    /// An application instance.
    App(ServiceId),
}

/// A load balancer's presence in a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancerNode {
    /// The load balancer.
    pub load_balancer: LoadBalancerId,
    /// The zone.
    pub zone: ZoneId,
    /// The node's address.
    pub address: HostAddress,
}

/// What a user connects to, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its short identifier, unique in the stack: `orders`, `sessions`, `site`, `www.shop.internal`.
    pub id: String,
    /// What it is.
    pub kind: EndpointKind,
    /// The DNS name, without the final dot.
    pub name: String,
    /// The port.
    pub port: u16,
}

/// The kinds of endpoint, in the words of `endpoints --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointKind {
    /// The endpoint of a DB instance; it follows the primary.
    RdsWriter(DbInstanceId),
    /// The endpoint of a read replica.
    RdsInstance(DbInstanceId),
    /// The primary endpoint of a replication group.
    ElasticachePrimary(ReplicationGroupId),
    /// The reader endpoint of a replication group.
    ElasticacheReader(ReplicationGroupId),
    /// The endpoint of one node; it never moves.
    ElasticacheNode(InstanceId),
    /// The DNS name of an ALB.
    Alb(LoadBalancerId),
    /// The DNS name of an NLB.
    Nlb(LoadBalancerId),
    /// A name in a hosted zone.
    Record,
}

impl Plan {
    /// The instance with this identifier.
    pub fn instance(&self, id: &InstanceId) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.id == *id)
    }

    /// The hosts of a DB instance, the first one primary at first.
    pub fn db_hosts<'a>(&'a self, id: &'a DbInstanceId) -> impl Iterator<Item = &'a Instance> {
        self.instances
            .iter()
            .filter(move |i| matches!(&i.kind, InstanceKind::DbHost(db) if db == id))
    }

    /// The nodes of a replication group, the first one primary at first.
    pub fn cache_nodes<'a>(
        &'a self,
        id: &'a ReplicationGroupId,
    ) -> impl Iterator<Item = &'a Instance> {
        self.instances
            .iter()
            .filter(move |i| matches!(&i.kind, InstanceKind::CacheNode(group) if group == id))
    }

    /// The instances of a service.
    pub fn service_instances<'a>(
        &'a self,
        id: &'a ServiceId,
    ) -> impl Iterator<Item = &'a Instance> {
        self.instances
            .iter()
            .filter(move |i| matches!(&i.kind, InstanceKind::App(service) if service == id))
    }

    /// The targets of a target group that are there.
    pub fn targets<'a>(&'a self, group: &'a TargetGroup) -> impl Iterator<Item = &'a Instance> {
        group.targets.iter().filter_map(|id| self.instance(id))
    }

    /// The endpoint of this kind.
    pub fn endpoint(&self, kind: &EndpointKind) -> Option<&Endpoint> {
        self.endpoints
            .iter()
            .find(|endpoint| endpoint.kind == *kind)
    }

    /// A zone's number; [`ZoneNumber::OUTSIDE`] for a zone that is not the topology's.
    pub fn zone_number(&self, zone: &ZoneId) -> ZoneNumber {
        self.topology
            .zone_number(zone)
            .unwrap_or(ZoneNumber::OUTSIDE)
    }
}
