//! Metrics of DB instances and cache nodes. What a host does not say at that moment has no value.

use proxies::traffic::Subject;
use topologies::address::ZoneNumber;
use topologies::id::{DbInstanceId, InstanceId};
use topologies::topology::ReplicationGroup;
use topologies::world::Cache;

use super::{Board, Sights, Source};
use crate::prober::Figure;

pub(super) fn tell(sights: &Sights<'_>, board: &mut Board) {
    let topology = &sights.world.plan.topology;
    for db in &topology.db_instances {
        if let Some(database) = sights.world.databases.get(&db.id) {
            let (region, host) = (db.region.as_str(), &database.primary);
            db_instance(sights, region, (&db.id, host), board);
        }
        for replica in &db.read_replicas {
            let known = sights.world.replicas.get(&replica.id);
            let region = topology.region_of(&replica.availability_zone);
            if let (Some(known), Some(region)) = (known, region) {
                let named = (&replica.id, &known.instance);
                db_instance(sights, region.id.as_str(), named, board);
            }
        }
    }
    for group in &topology.replication_groups {
        if let Some(cache) = sights.world.caches.get(&group.id) {
            cache_nodes(sights, group, cache, board);
        }
    }
}

/// aws-behaviour §1.4 for `ReplicaLag`, which grows while its source is idle.
fn db_instance(
    sights: &Sights<'_>,
    region: &str,
    (id, host): (&DbInstanceId, &InstanceId),
    board: &mut Board,
) {
    let Some(Figure::Database {
        followers,
        replica_lag,
    }) = sights.figures.get(host)
    else {
        return;
    };
    let named = [("DBInstanceIdentifier", id.to_string())];
    let source = Source::new(region, "AWS/RDS", named);
    let clients = open(sights, host).saturating_sub(*followers);
    board.gauge(&source, "DatabaseConnections", "Count", clients as f64);
    // A standby is no DB instance: only a read replica follows and has an identifier.
    if let (Some(lag), true) = (replica_lag, sights.world.replicas.contains_key(id)) {
        board.gauge(&source, "ReplicaLag", "Seconds", lag.as_secs_f64());
    }
}

/// `CurrConnections` is without those of replicas (aws-behaviour §3.2). `ReplicationLag` is what the primary says of a replica.
fn cache_nodes(sights: &Sights<'_>, group: &ReplicationGroup, cache: &Cache, board: &mut Board) {
    let followers_of_primary = match sights.figures.get(&cache.primary) {
        Some(Figure::Cache { followers }) => followers.as_slice(),
        Some(Figure::Database { .. }) | None => &[],
    };
    for node in sights.world.plan.cache_nodes(&group.id) {
        let Some(Figure::Cache { followers }) = sights.figures.get(&node.id) else {
            continue;
        };
        let id = node.id.to_string();
        let cluster = ("CacheClusterId", id);
        let member = ("CacheNodeId", "0001".to_owned());
        let primary = cache.primary == node.id;
        let linked = cache.replicas.get(&node.id).copied();
        let seen = node.address.seen_from(ZoneNumber::OUTSIDE);
        let mut as_follower = followers_of_primary.iter().filter(|(it, _)| *it == seen);
        let lag = as_follower.find_map(|(_, lag)| *lag).filter(|_| !primary);
        let others = u64::try_from(followers.len()).unwrap_or(u64::MAX);
        let clients = open(sights, &node.id).saturating_sub(others);
        for dimensions in [vec![cluster.clone()], vec![cluster, member]] {
            let source = Source::new(group.region.as_str(), "AWS/ElastiCache", dimensions);
            let flag = |on: bool| if on { 1.0 } else { 0.0 };
            board.gauge(&source, "CurrConnections", "Count", clients as f64);
            board.gauge(&source, "IsMaster", "Count", flag(primary));
            if let Some(up) = linked.filter(|_| !primary) {
                board.gauge(&source, "MasterLinkHealthStatus", "Count", flag(up));
            }
            if let Some(lag) = lag {
                board.gauge(&source, "ReplicationLag", "Seconds", lag as f64);
            }
        }
    }
}

/// Connections that came in at an instance's network interface and have not ended.
fn open(sights: &Sights<'_>, instance: &InstanceId) -> u64 {
    let counted = sights.counted.get(&Subject::Eni(instance.clone()));
    counted.map_or(0, proxies::traffic::Traffic::open)
}
