//! Changes to a running stack: what of its topology comes, changes or goes.
//!
//! An edit carries the whole of the thing that it concerns, so that a timeline tells what a stack was made of without asking anybody.
//! [`Topology::edited`] applies edits; [`unsound`] says what would not hold then, so that nobody records what can not be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{
    DbInstanceId, HealthCheckId, InstanceId, LoadBalancerId, ReplicationGroupId, ServiceId,
    TargetGroupId, ZoneId,
};
use crate::plan::{HOSTS_PER_ZONE, occupied};
use crate::topology::{
    CidrCollection, DbInstance, HealthCheck, HostedZone, Listener, LoadBalancer, ReplicationGroup,
    Service, TargetGroup, Topology,
};

/// One change to a topology. What is put takes the place of what had its identifier, or comes last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    /// A group of application instances.
    PutService(Box<Service>),
    /// It goes.
    RemoveService(ServiceId),
    /// A target group.
    PutTargetGroup(Box<TargetGroup>),
    /// It goes.
    RemoveTargetGroup(TargetGroupId),
    /// A load balancer with its listeners.
    PutLoadBalancer(Box<LoadBalancer>),
    /// It goes.
    RemoveLoadBalancer(LoadBalancerId),
    /// A DB instance with its read replicas.
    PutDbInstance(Box<DbInstance>),
    /// It goes, its read replicas with it.
    RemoveDbInstance(DbInstanceId),
    /// A replication group.
    PutReplicationGroup(Box<ReplicationGroup>),
    /// It goes.
    RemoveReplicationGroup(ReplicationGroupId),
    /// A hosted zone with its records.
    PutHostedZone(Box<HostedZone>),
    /// It goes.
    RemoveHostedZone(String),
    /// A health check.
    PutHealthCheck(Box<HealthCheck>),
    /// It goes.
    RemoveHealthCheck(HealthCheckId),
    /// A CIDR collection.
    PutCidrCollection(Box<CidrCollection>),
    /// It goes.
    RemoveCidrCollection(String),
}

impl Topology {
    /// The topology after `edits`.
    #[must_use]
    pub fn edited(&self, edits: &[Edit]) -> Self {
        let mut topology = self.clone();
        for edit in edits {
            topology.edit(edit);
        }
        topology
    }

    fn edit(&mut self, edit: &Edit) {
        match edit {
            Edit::PutService(it) => put(&mut self.services, it, |it| &it.id),
            Edit::RemoveService(id) => self.services.retain(|it| it.id != *id),
            Edit::PutTargetGroup(it) => put(&mut self.target_groups, it, |it| &it.id),
            Edit::RemoveTargetGroup(id) => self.target_groups.retain(|it| it.id != *id),
            Edit::PutLoadBalancer(it) => put(&mut self.load_balancers, it, |it| &it.id),
            Edit::RemoveLoadBalancer(id) => self.load_balancers.retain(|it| it.id != *id),
            Edit::PutDbInstance(it) => put(&mut self.db_instances, it, |it| &it.id),
            Edit::RemoveDbInstance(id) => self.db_instances.retain(|it| it.id != *id),
            Edit::PutReplicationGroup(it) => put(&mut self.replication_groups, it, |it| &it.id),
            Edit::RemoveReplicationGroup(id) => self.replication_groups.retain(|it| it.id != *id),
            Edit::PutHostedZone(it) => put(&mut self.hosted_zones, it, |it| &it.name),
            Edit::RemoveHostedZone(name) => self.hosted_zones.retain(|it| it.name != *name),
            Edit::PutHealthCheck(it) => put(&mut self.health_checks, it, |it| &it.id),
            Edit::RemoveHealthCheck(id) => self.health_checks.retain(|it| it.id != *id),
            Edit::PutCidrCollection(it) => put(&mut self.cidr_collections, it, |it| &it.name),
            Edit::RemoveCidrCollection(name) => self.cidr_collections.retain(|it| it.name != *name),
        }
    }
}

fn put<T: Clone, K: PartialEq + ?Sized>(all: &mut Vec<T>, new: &T, key: impl Fn(&T) -> &K) {
    match all.iter_mut().find(|it| key(it) == key(new)) {
        Some(old) => *old = new.clone(),
        None => all.push(new.clone()),
    }
}

/// `DB instance orders put`, `DB instance orders removed`.
impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, id, put) = match self {
            Self::PutService(it) => ("instances", it.id.as_str(), true),
            Self::RemoveService(id) => ("instances", id.as_str(), false),
            Self::PutTargetGroup(it) => ("target group", it.id.as_str(), true),
            Self::RemoveTargetGroup(id) => ("target group", id.as_str(), false),
            Self::PutLoadBalancer(it) => ("load balancer", it.id.as_str(), true),
            Self::RemoveLoadBalancer(id) => ("load balancer", id.as_str(), false),
            Self::PutDbInstance(it) => ("DB instance", it.id.as_str(), true),
            Self::RemoveDbInstance(id) => ("DB instance", id.as_str(), false),
            Self::PutReplicationGroup(it) => ("replication group", it.id.as_str(), true),
            Self::RemoveReplicationGroup(id) => ("replication group", id.as_str(), false),
            Self::PutHostedZone(it) => ("hosted zone", it.name.as_str(), true),
            Self::RemoveHostedZone(name) => ("hosted zone", name.as_str(), false),
            Self::PutHealthCheck(it) => ("health check", it.id.as_str(), true),
            Self::RemoveHealthCheck(id) => ("health check", id.as_str(), false),
            Self::PutCidrCollection(it) => ("CIDR collection", it.name.as_str(), true),
            Self::RemoveCidrCollection(name) => ("CIDR collection", name.as_str(), false),
        };
        write!(f, "{what} {id} {}", if put { "put" } else { "removed" })
    }
}

/// Why a topology can not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    /// Two things have one identifier.
    #[error("`{0}` is there twice")]
    Twice(String),
    /// A zone has no address left.
    #[error("zone `{0}` has no free address: it has {HOSTS_PER_ZONE}")]
    Full(ZoneId),
    /// Something is placed in a zone that is not there.
    #[error("zone `{0}` does not exist")]
    NoZone(ZoneId),
    /// A target is no application instance.
    #[error("target `{0}` does not exist")]
    NoTarget(InstanceId),
    /// A listener forwards to nothing.
    #[error("target group `{0}` does not exist")]
    NoTargetGroup(TargetGroupId),
    /// A record or a health check asks a health check that is not there.
    #[error("health check `{0}` does not exist")]
    NoHealthCheck(HealthCheckId),
    /// A record goes by a CIDR collection that is not there.
    #[error("CIDR collection `{0}` does not exist")]
    NoCidrCollection(String),
}

/// What of a topology does not hold together; none if it is sound.
pub fn unsound(topology: &Topology) -> Option<Unsound> {
    let zones: BTreeSet<&ZoneId> = topology.zones().map(|zone| &zone.id).collect();
    let mut hosts: BTreeMap<&ZoneId, usize> = BTreeMap::new();
    for zone in occupied(topology) {
        if !zones.contains(zone) {
            return Some(Unsound::NoZone(zone.clone()));
        }
        let count = hosts.entry(zone).or_default();
        *count += 1;
        if *count > HOSTS_PER_ZONE {
            return Some(Unsound::Full(zone.clone()));
        }
    }
    twice(topology).or_else(|| dangling(topology))
}

/// Identifiers and the names of hosts that are made from them have one space of names: a host's name is its directory's.
fn twice(topology: &Topology) -> Option<Unsound> {
    let mut seen = BTreeSet::new();
    let databases = topology.db_instances.iter().flat_map(|db| {
        // The host of a read replica that was promoted goes on by its name.
        let own = |name: &String| *name != db.id.as_str();
        let hosts = db.hosts.iter().map(|host| host.id.to_string()).filter(own);
        // A replica's host has the replica's name.
        let replicas = db.read_replicas.iter().map(|replica| &replica.id);
        let ids = std::iter::once(&db.id).chain(replicas);
        ids.map(ToString::to_string).chain(hosts)
    });
    let caches = topology.replication_groups.iter().flat_map(|group| {
        let nodes = group.nodes.iter().map(|node| node.id.to_string());
        std::iter::once(group.id.to_string()).chain(nodes)
    });
    let instances = topology.services.iter().flat_map(|it| &it.instances);
    let instances = instances.map(|instance| instance.id.to_string());
    let mut names = databases.chain(caches).chain(instances);
    let name = names.find(|name| !seen.insert(name.clone()))?;
    Some(Unsound::Twice(name))
}

fn dangling(topology: &Topology) -> Option<Unsound> {
    let instances = topology.services.iter().flat_map(|it| &it.instances);
    let instances: BTreeSet<&InstanceId> = instances.map(|instance| &instance.id).collect();
    let targets = topology.target_groups.iter().flat_map(|it| &it.targets);
    let target = targets.into_iter().find(|it| !instances.contains(it));
    if let Some(target) = target {
        return Some(Unsound::NoTarget(target.clone()));
    }
    let listeners = topology.load_balancers.iter().flat_map(|it| &it.listeners);
    let mut forwards = listeners.flat_map(Listener::target_groups);
    let lost = forwards.find(|group| !topology.target_groups.iter().any(|it| it.id == **group));
    if let Some(group) = lost {
        return Some(Unsound::NoTargetGroup(group.clone()));
    }
    names(topology)
}

/// What Route 53's records and health checks name that is not there.
fn names(topology: &Topology) -> Option<Unsound> {
    let records = || topology.hosted_zones.iter().flat_map(|it| &it.records);
    let asked = records().filter_map(|record| record.health_check.as_ref());
    let children = topology
        .health_checks
        .iter()
        .flat_map(HealthCheck::children);
    let mut asked = asked.chain(children);
    let lost = asked.find(|id| !topology.health_checks.iter().any(|it| it.id == **id));
    if let Some(lost) = lost {
        return Some(Unsound::NoHealthCheck(lost.clone()));
    }
    records().find_map(|record| {
        let (collection, _) = record.routing.cidr()?;
        let mut all = topology.cidr_collections.iter();
        let there = all.any(|it| it.name == *collection);
        (!there).then(|| Unsound::NoCidrCollection(collection.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Slot;
    use crate::check::check;
    use crate::plan::{plan, revise};
    use crate::topology::ReadReplica;

    fn tier() -> Topology {
        let text = include_str!("../tier-10k.yaml");
        check(text, "tier-10k.yaml").0.expect("the tier is sound")
    }

    #[test]
    fn what_is_put_replaces_its_like_and_keeps_its_place() {
        let tier = tier();
        let mut db = tier.db_instances[0].clone();
        db.port = 6432;
        let edited = tier.edited(&[Edit::PutDbInstance(Box::new(db.clone()))]);
        assert_eq!(edited.db_instances, [db]);
        let gone = edited.edited(&[Edit::RemoveDbInstance(tier.db_instances[0].id.clone())]);
        assert!(gone.db_instances.is_empty());
        assert_eq!(gone.load_balancers, tier.load_balancers);
    }

    #[test]
    fn a_revised_plan_moves_nobody_who_stays() {
        let tier = tier();
        let before = plan(&tier, Slot::new(64).expect("a slot"));
        assert_eq!(revise(&before, &tier), before);
        let mut db = tier.db_instances[0].clone();
        let zone = db.hosts[0].zone.clone();
        db.read_replicas.push(ReadReplica {
            id: "late".into(),
            availability_zone: zone,
        });
        let cache = tier.replication_groups[0].id.clone();
        let edits = [
            Edit::PutDbInstance(Box::new(db)),
            Edit::RemoveReplicationGroup(cache),
        ];
        let after = revise(&before, &tier.edited(&edits));
        let mut addresses = BTreeSet::new();
        for instance in &after.instances {
            assert!(addresses.insert(instance.address), "{}", instance.id);
            if let Some(old) = before.instance(&instance.id) {
                assert_eq!(old, instance);
            }
        }
        assert_eq!(before.nodes, after.nodes);
        assert!(
            after
                .nodes
                .iter()
                .all(|node| addresses.insert(node.address))
        );
        // The cache node of that zone made room.
        let (late, gone) = ("late".into(), "sessions-001".into());
        let freed = before.instance(&gone).expect("it was there").address;
        assert_eq!(after.instance(&late).expect("it is there").address, freed);
    }

    #[test]
    fn what_can_not_be_is_told() {
        let tier = tier();
        assert_eq!(unsound(&tier), None);
        let lost = tier.edited(&[Edit::RemoveTargetGroup(tier.target_groups[0].id.clone())]);
        let group = tier.target_groups[0].id.clone();
        assert_eq!(unsound(&lost), Some(Unsound::NoTargetGroup(group)));
        let lost = tier.edited(&[Edit::RemoveService(tier.services[0].id.clone())]);
        assert!(matches!(unsound(&lost), Some(Unsound::NoTarget(_))));
        let mut cache = tier.replication_groups[0].clone();
        cache.id = tier.db_instances[0].id.as_str().into();
        let twice = tier.edited(&[Edit::PutReplicationGroup(Box::new(cache.clone()))]);
        assert!(matches!(unsound(&twice), Some(Unsound::Twice(_))));
        for host in ["orders-1", "sessions-001"] {
            let mut db = tier.db_instances[0].clone();
            db.read_replicas.push(ReadReplica {
                id: host.into(),
                availability_zone: db.hosts[0].zone.clone(),
            });
            let taken = tier.edited(&[Edit::PutDbInstance(Box::new(db))]);
            assert_eq!(unsound(&taken), Some(Unsound::Twice(host.to_owned())));
        }
        cache.id = "many".into();
        cache.nodes = vec![cache.nodes[0].clone(); HOSTS_PER_ZONE];
        let full = tier.edited(&[Edit::PutReplicationGroup(Box::new(cache.clone()))]);
        assert!(matches!(unsound(&full), Some(Unsound::Full(_))));
        cache.nodes.truncate(1);
        cache.nodes[0].zone = "us-east-1z".into();
        let nowhere = tier.edited(&[Edit::PutReplicationGroup(Box::new(cache))]);
        assert!(matches!(unsound(&nowhere), Some(Unsound::NoZone(_))));
    }
}
