//! Replication groups and their nodes by identifiers and ARNs.

use topologies::event::ReplicationGroupStatus;
use topologies::id::{RegionId, ReplicationGroupId};
use topologies::topology::{Member, ReplicationGroup};
use wire::Fault;

use crate::aws::View;

/// Under which replication groups are recorded.
pub(super) const RECORD: &str = "elasticache:replicationgroup";
/// The one node group of a replication group with cluster mode disabled.
pub(super) const NODE_GROUP: &str = "0001";

/// Every replication group of the region that was called, by its identifier.
pub(super) fn all<'a>(view: &View<'a>) -> Vec<&'a ReplicationGroup> {
    let region = RegionId::from(view.region);
    let groups = view.topology().replication_groups.iter();
    let mut all: Vec<&ReplicationGroup> = groups.filter(|group| group.region == region).collect();
    all.sort_by(|one, other| one.id.cmp(&other.id));
    all
}

/// The one with this identifier, in whatever case.
pub(super) fn find<'a>(view: &View<'a>, written: &str) -> Result<&'a ReplicationGroup, Fault> {
    let id = written.to_ascii_lowercase();
    let found = all(view).into_iter().find(|it| it.id.as_str() == id);
    found.ok_or_else(|| {
        let text = format!("ReplicationGroup {id} not found.");
        view.fault("ReplicationGroupNotFoundFault", text)
    })
}

/// The identifiers of its nodes, which to ElastiCache are cache clusters of one node.
pub(super) fn members(group: &ReplicationGroup) -> impl Iterator<Item = String> {
    group.nodes.iter().map(|node| node.id.to_string())
}

/// A node of some group by its identifier, in whatever case.
pub(super) fn find_node<'a>(
    view: &View<'a>,
    written: &str,
) -> Result<(&'a ReplicationGroup, &'a Member), Fault> {
    let id = written.to_ascii_lowercase();
    let nodes = all(view)
        .into_iter()
        .flat_map(|group| group.nodes.iter().map(move |node| (group, node)));
    let mut nodes = nodes.filter(|(_, node)| node.id.as_str() == id);
    nodes.next().ok_or_else(|| {
        let text = format!("CacheCluster not found: {id}");
        view.fault("CacheClusterNotFoundFault", text)
    })
}

/// Its status; one that the world has not met is being created.
pub(super) fn status(view: &View<'_>, id: &ReplicationGroupId) -> ReplicationGroupStatus {
    let seen = view.world.caches.get(id);
    seen.map_or(ReplicationGroupStatus::Creating, |it| it.status)
}

pub(super) fn arn(view: &View<'_>, id: &str) -> String {
    view.arn("elasticache", &format!("replicationgroup:{id}"))
}

pub(super) fn cluster_arn(view: &View<'_>, id: &str) -> String {
    view.arn("elasticache", &format!("cluster:{id}"))
}
