//! Lays a topology out: identifiers, zones, addresses, endpoints.
//!
//! Nothing is drawn by chance, so that the same file gives the same addresses. A zone's hosts are numbered by themselves,
//! databases first, then caches, load balancers, and applications last: what is added to one zone moves nothing in another,
//! and a group of instances that grows at the end of the file moves nothing at all. In a plan that is revised whatever stays
//! where it was keeps its address; what comes takes the lowest that is free.

use std::collections::{BTreeMap, BTreeSet};

use super::{Endpoint, EndpointKind, Instance, InstanceKind, LoadBalancerNode, Plan};
use crate::address::{HostAddress, Slot, ZoneNumber};
use crate::id::{DbInstanceId, InstanceId, LoadBalancerId, ReplicationGroupId, ServiceId, ZoneId};
use crate::names;
use crate::topology::{
    DbInstance, HostedZone, LoadBalancer, LoadBalancerType, Record, RecordValue, ReplicationGroup,
    Topology,
};

/// The first host number; those below are kept for a zone's own services.
const FIRST_HOST: u8 = 10;

/// The most hosts that a zone has addresses for.
pub const HOSTS_PER_ZONE: usize = HostAddress::MAX_HOSTS - FIRST_HOST as usize + 1;

/// The host with this number of a DB instance: `orders-1`, and with Multi-AZ `orders-2`.
pub fn db_host(db: &DbInstanceId, number: usize) -> InstanceId {
    InstanceId::from(format!("{db}-{number}"))
}

/// The node with this number of a replication group, as ElastiCache names it: `sessions-001`.
pub fn cache_node(group: &ReplicationGroupId, number: usize) -> InstanceId {
    InstanceId::from(format!("{group}-{number:03}"))
}

/// The instance with this number of a service: `web-1`.
pub fn app_instance(service: &ServiceId, number: usize) -> InstanceId {
    InstanceId::from(format!("{service}-{number}"))
}

/// The identifier of a replication group's reader endpoint: `sessions-ro`.
pub fn reader_endpoint(group: &ReplicationGroupId) -> String {
    format!("{group}-ro")
}

/// The zone of every host that a topology needs: database hosts, cache nodes, load balancer nodes, application instances.
pub fn occupied(topology: &Topology) -> impl Iterator<Item = &ZoneId> {
    let dbs = topology.db_instances.iter().flat_map(|db| {
        let own = db.hosts.iter().map(|host| &host.zone);
        own.chain(
            db.read_replicas
                .iter()
                .map(|replica| &replica.availability_zone),
        )
    });
    let caches = topology
        .replication_groups
        .iter()
        .flat_map(|group| group.nodes.iter().map(|node| &node.zone));
    let balancers = topology
        .load_balancers
        .iter()
        .flat_map(|balancer| &balancer.zones);
    let services = topology
        .services
        .iter()
        .flat_map(|service| service.instances.iter().map(|instance| &instance.zone));
    dbs.chain(caches).chain(balancers).chain(services)
}

/// Lays a checked topology out on a slot.
///
/// A read replica has one host of its own name. The nodes of a replication group are `sessions-001` and so on.
pub fn plan(topology: &Topology, slot: Slot) -> Plan {
    lay_out(Hosts {
        slot,
        topology,
        kept: BTreeMap::new(),
        taken: BTreeSet::new(),
    })
}

/// Lays out what a planned topology has become: who stays in a zone stays at the address.
pub fn revise(before: &Plan, topology: &Topology) -> Plan {
    let instances = before.instances.iter();
    let instances = instances.map(|it| (Place::of_instance(&it.id, &it.zone), it.address));
    let nodes = before.nodes.iter();
    let nodes = nodes.map(|it| (Place::of_node(&it.load_balancer, &it.zone), it.address));
    let former: BTreeMap<Place, HostAddress> = instances.chain(nodes).collect();
    // First without a past, to learn who is there at all.
    let bare = plan(topology, before.slot);
    let stays = |place: &Place| {
        let instances = bare.instances.iter();
        let mut places = instances.map(|it| Place::of_instance(&it.id, &it.zone));
        let nodes = bare.nodes.iter();
        let mut others = nodes.map(|it| Place::of_node(&it.load_balancer, &it.zone));
        places.any(|it| it == *place) || others.any(|it| it == *place)
    };
    let kept: BTreeMap<Place, HostAddress> = former
        .into_iter()
        .filter(|(place, _)| stays(place))
        .collect();
    let taken = kept.values().copied().collect();
    lay_out(Hosts {
        slot: before.slot,
        topology,
        kept,
        taken,
    })
}

fn lay_out(mut hosts: Hosts<'_>) -> Plan {
    let (topology, slot) = (hosts.topology, hosts.slot);
    let mut instances = Vec::new();
    for db in &topology.db_instances {
        db_hosts(&mut hosts, db, &mut instances);
    }
    for group in &topology.replication_groups {
        for node in &group.nodes {
            let kind = InstanceKind::CacheNode(group.id.clone());
            instances.push(hosts.instance(node.id.clone(), kind, &node.zone, group.port));
        }
    }
    let mut nodes = Vec::new();
    for balancer in &topology.load_balancers {
        nodes.extend(balancer.zones.iter().map(|zone| LoadBalancerNode {
            load_balancer: balancer.id.clone(),
            zone: zone.clone(),
            address: hosts.take(&Place::of_node(&balancer.id, zone), zone),
        }));
    }
    for service in &topology.services {
        for instance in &service.instances {
            let kind = InstanceKind::App(service.id.clone());
            instances.push(hosts.instance(instance.id.clone(), kind, &instance.zone, service.port));
        }
    }
    Plan {
        topology: topology.clone(),
        slot,
        instances,
        nodes,
        endpoints: endpoints(topology),
    }
}

/// Who has an address, and in which zone: somebody who moves to another zone is somebody else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(String, ZoneId);

impl Place {
    fn of_instance(id: &InstanceId, zone: &ZoneId) -> Self {
        Self(id.to_string(), zone.clone())
    }

    /// No instance has a name with a slash.
    fn of_node(balancer: &LoadBalancerId, zone: &ZoneId) -> Self {
        Self(format!("{balancer}/"), zone.clone())
    }
}

/// Hands out host numbers.
struct Hosts<'t> {
    slot: Slot,
    topology: &'t Topology,
    kept: BTreeMap<Place, HostAddress>,
    taken: BTreeSet<HostAddress>,
}

impl Hosts<'_> {
    fn take(&mut self, place: &Place, zone: &ZoneId) -> HostAddress {
        if let Some(address) = self.kept.get(place) {
            return *address;
        }
        let number = self.topology.zone_number(zone);
        let at = |host| HostAddress {
            slot: self.slot,
            zone: number.unwrap_or(ZoneNumber::OUTSIDE),
            host,
        };
        let mut free = (FIRST_HOST..).map(at);
        let free = free.find(|address| !self.taken.contains(address));
        // A sound topology never gets there: it has at most HOSTS_PER_ZONE hosts per zone.
        let address = free.unwrap_or(at(u8::MAX));
        self.taken.insert(address);
        address
    }

    fn instance(
        &mut self,
        id: InstanceId,
        kind: InstanceKind,
        zone: &ZoneId,
        port: u16,
    ) -> Instance {
        let address = self.take(&Place::of_instance(&id, zone), zone);
        Instance {
            id,
            kind,
            zone: zone.clone(),
            address,
            port,
        }
    }
}

fn db_hosts(hosts: &mut Hosts<'_>, db: &DbInstance, instances: &mut Vec<Instance>) {
    for host in &db.hosts {
        let kind = InstanceKind::DbHost(db.id.clone());
        instances.push(hosts.instance(host.id.clone(), kind, &host.zone, db.port));
    }
    for replica in &db.read_replicas {
        let (id, kind) = (
            InstanceId::from(replica.id.as_str()),
            InstanceKind::DbHost(replica.id.clone()),
        );
        instances.push(hosts.instance(id, kind, &replica.availability_zone, db.port));
    }
}

/// Everything with a name, in the file's order by kind: databases, caches, load balancers, records.
fn endpoints(topology: &Topology) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for db in &topology.db_instances {
        endpoints.push(Endpoint {
            id: db.id.to_string(),
            kind: EndpointKind::RdsWriter(db.id.clone()),
            name: names::db_instance(topology, &db.id, &db.region),
            port: db.port,
        });
        for replica in &db.read_replicas {
            let region = topology
                .region_of(&replica.availability_zone)
                .map_or(&db.region, |region| &region.id);
            endpoints.push(Endpoint {
                id: replica.id.to_string(),
                kind: EndpointKind::RdsInstance(replica.id.clone()),
                name: names::db_instance(topology, &replica.id, region),
                port: db.port,
            });
        }
    }
    for group in &topology.replication_groups {
        cache_endpoints(topology, group, &mut endpoints);
    }
    for balancer in &topology.load_balancers {
        endpoints.push(Endpoint {
            id: balancer.id.to_string(),
            kind: match balancer.kind {
                LoadBalancerType::Application => EndpointKind::Alb(balancer.id.clone()),
                LoadBalancerType::Network => EndpointKind::Nlb(balancer.id.clone()),
            },
            name: names::load_balancer(topology, &balancer.id, balancer.kind, &balancer.region),
            port: first_port(balancer),
        });
    }
    let records: Vec<Endpoint> = topology
        .hosted_zones
        .iter()
        .flat_map(|zone| record_endpoints(topology, zone, &endpoints))
        .collect();
    endpoints.extend(records);
    endpoints
}

fn cache_endpoints(topology: &Topology, group: &ReplicationGroup, endpoints: &mut Vec<Endpoint>) {
    let port = group.port;
    endpoints.push(Endpoint {
        id: group.id.to_string(),
        kind: EndpointKind::ElasticachePrimary(group.id.clone()),
        name: names::cache_primary(topology, &group.id, &group.region),
        port,
    });
    endpoints.push(Endpoint {
        id: reader_endpoint(&group.id),
        kind: EndpointKind::ElasticacheReader(group.id.clone()),
        name: names::cache_reader(topology, &group.id, &group.region),
        port,
    });
    for node in group.nodes.iter().map(|node| node.id.clone()) {
        endpoints.push(Endpoint {
            id: node.to_string(),
            name: names::cache_node(topology, &node, &group.region),
            kind: EndpointKind::ElasticacheNode(node),
            port,
        });
    }
}

/// The port of a load balancer's first listener.
pub(super) fn first_port(balancer: &LoadBalancer) -> u16 {
    balancer
        .listeners
        .first()
        .map_or(80, |listener| listener.port)
}

/// The names of a hosted zone that lead to an endpoint of the stack, once each. What leads elsewhere has no port to connect to.
fn record_endpoints(topology: &Topology, zone: &HostedZone, own: &[Endpoint]) -> Vec<Endpoint> {
    let mut first: BTreeMap<&str, &Record> = BTreeMap::new();
    for record in &zone.records {
        if !matches!(record.value, RecordValue::Txt(_)) {
            first.entry(&record.name).or_insert(record);
        }
    }
    let mut seen = BTreeSet::new();
    let names = zone.records.iter().map(|record| record.name.as_str());
    names
        .filter(|name| seen.insert(*name))
        .filter_map(|name| {
            Some(Endpoint {
                id: name.to_owned(),
                kind: EndpointKind::Record,
                name: name.to_owned(),
                port: record_port(topology, &first, name, own)?,
            })
        })
        .collect()
}

/// The port behind a name, at the end of its aliases.
fn record_port(
    topology: &Topology,
    first: &BTreeMap<&str, &Record>,
    name: &str,
    own: &[Endpoint],
) -> Option<u16> {
    let mut record = first.get(name)?;
    for _ in 0..first.len() {
        match &record.value {
            RecordValue::AliasLoadBalancer { load_balancer, .. } => {
                let mut balancers = topology.load_balancers.iter();
                return balancers
                    .find(|balancer| balancer.id == *load_balancer)
                    .map(first_port);
            }
            RecordValue::AliasRecord { name, .. } => record = first.get(name.as_str())?,
            RecordValue::Cname(name) => {
                let endpoint = own.iter().find(|endpoint| endpoint.name == *name);
                return endpoint.map(|endpoint| endpoint.port);
            }
            RecordValue::A(_) | RecordValue::Txt(_) | RecordValue::Data(..) => return None,
        }
    }
    None
}
