//! DescribeReplicationGroups and DescribeCacheClusters: what was asked for, and what the world has seen of it.

use serde_json::Value;
use topologies::event::ReplicationGroupStatus;
use topologies::id::{InstanceId, RegionId, ZoneId};
use topologies::names as endpoints;
use topologies::security_group::Guarded;
use topologies::topology::{Member, ReplicationGroup};
use wire::{Call, Fault, Record, page};

use super::names::{self, NODE_GROUP, RECORD};
use crate::aws::View;
use crate::aws::input::{is_on, text};
use crate::aws::security_groups::memberships_of;
use crate::aws::subnet_groups::DEFAULT;
use crate::aws::versions::REDIS;

/// Settings that are kept as they came and given back.
pub(super) const SETTINGS: &[&str] = &[
    "AutoMinorVersionUpgrade",
    "CacheNodeType",
    "PreferredMaintenanceWindow",
    "SnapshotRetentionLimit",
    "SnapshotWindow",
];

/// The node type of a group that nobody gave one: the smallest.
const NODE_TYPE: &str = "cache.t4g.micro";

pub(super) fn replication_groups(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let found = match text(input, "ReplicationGroupId") {
        Some(id) => vec![names::find(view, id)?],
        None => names::all(view),
    };
    let page = page(call, input, &found, |group| group.id.as_str())?;
    let shown = page
        .items
        .iter()
        .map(|group| replication_group(view, group));
    let mut output = Record::new().list("ReplicationGroups", shown);
    page.write(&mut output);
    Ok(output)
}

pub(super) fn cache_clusters(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let groups = names::all(view).into_iter();
    let mut all: Vec<(&ReplicationGroup, &Member)> = groups
        .flat_map(|group| group.nodes.iter().map(move |node| (group, node)))
        .collect();
    // There are none outside of replication groups.
    if is_on(input, "ShowCacheClustersNotInReplicationGroups") {
        all.clear();
    }
    if let Some(wanted) = text(input, "CacheClusterId") {
        let (_, wanted) = names::find_node(view, wanted)?;
        all.retain(|(_, node)| node.id == wanted.id);
    }
    all.sort_by(|one, other| one.1.id.cmp(&other.1.id));
    let nodes = is_on(input, "ShowCacheNodeInfo");
    let page = page(call, input, &all, |(_, node)| node.id.as_str())?;
    let shown = page.items.iter();
    let shown = shown.map(|(group, node)| cache_cluster(view, group, node, nodes));
    let mut output = Record::new().list("CacheClusters", shown);
    page.write(&mut output);
    Ok(output)
}

/// A replication group that is there.
pub(super) fn replication_group(view: &View<'_>, group: &ReplicationGroup) -> Record {
    let region = RegionId::from(view.region);
    let record = view
        .world
        .account
        .resource(RECORD, &region, group.id.as_str());
    let settings = record.map_or(&Value::Null, |it| &it.attributes);
    let created = record.map_or(view.facts.epoch, |it| view.wall(it.created));
    shown(
        view,
        group,
        settings,
        names::status(view, &group.id),
        created,
    )
}

/// A replication group as it is, or as it will be.
pub(super) fn shown(
    view: &View<'_>,
    group: &ReplicationGroup,
    settings: &Value,
    status: ReplicationGroupStatus,
    created: i64,
) -> Record {
    let description = text(settings, "ReplicationGroupDescription").unwrap_or(" ");
    let there = status != ReplicationGroupStatus::Creating;
    let record = Record::new()
        .set("ReplicationGroupId", group.id.as_str())
        .set("Description", description)
        .set("Status", status.as_str())
        .set("PendingModifiedValues", Record::new())
        .list("MemberClusters", names::members(group))
        .set("AutomaticFailover", word(group.automatic_failover))
        .set("MultiAZ", word(is_multi_az(group, settings)))
        .set("ClusterEnabled", false)
        .set("ClusterMode", "disabled")
        .set("AuthTokenEnabled", group.auth_token.is_some())
        .set("TransitEncryptionEnabled", false)
        .set("AtRestEncryptionEnabled", false)
        .set("ARN", names::arn(view, group.id.as_str()))
        .time("ReplicationGroupCreateTime", created)
        .set("DataTiering", "disabled")
        .set("NetworkType", "ipv4")
        .set("IpDiscovery", "ipv4")
        .set("Engine", REDIS.name)
        .set("CacheNodeType", NODE_TYPE)
        .set("SnapshotRetentionLimit", 0)
        .set("SnapshotWindow", "16:00-17:00")
        .set("AutoMinorVersionUpgrade", true);
    let record = with_settings(record, settings, &["PreferredMaintenanceWindow"]);
    let node_groups = there.then(|| node_group(view, group, status));
    record.list("NodeGroups", node_groups)
}

fn with_settings(mut record: Record, settings: &Value, but: &[&str]) -> Record {
    for name in SETTINGS.iter().filter(|name| !but.contains(name)) {
        if !settings[*name].is_null() {
            record.put(name, settings[*name].clone());
        }
    }
    record
}

/// What was asked for; else whether a replica of another zone would take over.
fn is_multi_az(group: &ReplicationGroup, settings: &Value) -> bool {
    let mut zones = group.nodes.iter().map(|node| &node.zone);
    let first = zones.next();
    let spread = zones.any(|zone| Some(zone) != first);
    let asked = settings["MultiAZEnabled"].as_bool();
    asked.unwrap_or(group.automatic_failover && spread)
}

fn word(on: bool) -> &'static str {
    if on { "enabled" } else { "disabled" }
}

fn node_group(view: &View<'_>, group: &ReplicationGroup, status: ReplicationGroupStatus) -> Record {
    let topology = view.topology();
    let primary = endpoints::cache_primary(topology, &group.id, &group.region);
    let reader = endpoints::cache_reader(topology, &group.id, &group.region);
    let members = group.nodes.iter();
    let seen = view.world.caches.get(&group.id);
    let members = members.map(|Member { id, zone }| {
        let is_primary = seen.is_some_and(|cache| cache.primary == *id);
        let name = endpoints::cache_node(topology, id, &group.region);
        Record::new()
            .set("CacheClusterId", id.as_str())
            .set("CacheNodeId", NODE_GROUP)
            .set("ReadEndpoint", endpoint(name, group.port))
            .set("PreferredAvailabilityZone", zone.as_str())
            .set(
                "CurrentRole",
                if is_primary { "primary" } else { "replica" },
            )
    });
    Record::new()
        .set("NodeGroupId", NODE_GROUP)
        .set("Status", status.as_str())
        .set("PrimaryEndpoint", endpoint(primary, group.port))
        .set("ReaderEndpoint", endpoint(reader, group.port))
        .list("NodeGroupMembers", members)
}

fn endpoint(name: String, port: u16) -> Record {
    Record::new().set("Address", name).set("Port", port)
}

pub(super) fn cache_cluster(
    view: &View<'_>,
    group: &ReplicationGroup,
    Member { id: node, zone }: &Member,
    with_node: bool,
) -> Record {
    let region = RegionId::from(view.region);
    let record = view
        .world
        .account
        .resource(RECORD, &region, group.id.as_str());
    let settings = record.map_or(&Value::Null, |it| &it.attributes);
    let created = record.map_or(view.facts.epoch, |it| view.wall(it.created));
    let status = node_status(view, group, node);
    let subnets = text(settings, "CacheSubnetGroupName").unwrap_or(DEFAULT);
    let record = Record::new()
        .set("CacheClusterId", node.as_str())
        .set("ReplicationGroupId", group.id.as_str())
        .set("CacheNodeType", NODE_TYPE)
        .set("Engine", REDIS.name)
        .maybe(
            "EngineVersion",
            group.engine_version.map(|version| version.to_string()),
        )
        .set("CacheClusterStatus", status)
        .set("NumCacheNodes", 1)
        .set("PreferredAvailabilityZone", zone.as_str())
        .time("CacheClusterCreateTime", created)
        .set("PreferredMaintenanceWindow", "sun:17:00-sun:18:00")
        .set("PendingModifiedValues", Record::new())
        .set("CacheSubnetGroupName", subnets)
        .set(
            "SecurityGroups",
            memberships_of(
                view,
                "SecurityGroupId",
                &Guarded::ReplicationGroup(group.id.clone()),
            ),
        )
        .set("AutoMinorVersionUpgrade", true)
        .set("SnapshotRetentionLimit", 0)
        .set("SnapshotWindow", "16:00-17:00")
        .set("AuthTokenEnabled", group.auth_token.is_some())
        .set("TransitEncryptionEnabled", false)
        .set("AtRestEncryptionEnabled", false)
        .set("ARN", names::cluster_arn(view, node.as_str()))
        .set("NetworkType", "ipv4")
        .set("IpDiscovery", "ipv4");
    let record = with_settings(record, settings, &[]);
    if !with_node {
        return record;
    }
    record.list(
        "CacheNodes",
        [cache_node_of(view, group, (node, zone), status, created)],
    )
}

fn cache_node_of(
    view: &View<'_>,
    group: &ReplicationGroup,
    (node, zone): (&InstanceId, &ZoneId),
    status: &str,
    created: i64,
) -> Record {
    let name = endpoints::cache_node(view.topology(), node, &group.region);
    Record::new()
        .set("CacheNodeId", NODE_GROUP)
        .set("CacheNodeStatus", status)
        .time("CacheNodeCreateTime", created)
        .set("Endpoint", endpoint(name, group.port))
        .set("ParameterGroupStatus", "in-sync")
        .set("CustomerAvailabilityZone", zone.as_str())
}

/// What a node is while it reboots (DescribeCacheClusters, "CacheClusterStatus").
pub(super) const REBOOTING: &str = "rebooting cluster nodes";

/// Its group's, while that is made or deleted; one that came later is available once it was heard.
fn node_status(view: &View<'_>, group: &ReplicationGroup, node: &InstanceId) -> &'static str {
    let status = names::status(view, &group.id);
    let heard = view.world.instances.get(node);
    let heard = heard.is_some_and(|state| state.reachable.is_some());
    let cache = view.world.caches.get(&group.id);
    if cache.is_some_and(|cache| cache.rebooting.contains(node)) {
        return REBOOTING;
    }
    if cache.is_some_and(|cache| cache.leaving.contains(node)) {
        return "deleting";
    }
    match status {
        ReplicationGroupStatus::Creating | ReplicationGroupStatus::Deleting => status.as_str(),
        ReplicationGroupStatus::Available | ReplicationGroupStatus::Modifying if heard => {
            "available"
        }
        ReplicationGroupStatus::Available | ReplicationGroupStatus::Modifying => "creating",
    }
}
