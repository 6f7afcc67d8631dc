//! ElastiCache: replication groups for Redis OSS with cluster mode disabled, their nodes, events, subnet groups and tags.
//!
//! After its API reference and aws-behaviour §3. A test failover really gives up the primary. As in RDS, settings without an
//! effect here are kept and given back; what would mean something else than it does is refused by its name.

mod change;
mod create;
mod describe;
mod events;
mod names;
mod subnet_groups;
mod tags;

use serde_json::Value;
use subnet_groups::GROUPS;

use super::versions::REDIS;
use super::{Handler, Operations, View};

pub(super) const OPERATIONS: Operations = &[
    ("AddTagsToResource", Handler::Change(tags::add)),
    (
        "CreateCacheSubnetGroup",
        Handler::Change(|view, input| GROUPS.create(view, input)),
    ),
    (
        "CreateReplicationGroup",
        Handler::Change(create::replication_group),
    ),
    ("DecreaseReplicaCount", Handler::Change(change::decrease)),
    (
        "DeleteCacheSubnetGroup",
        Handler::Change(|view, input| GROUPS.delete(view, input)),
    ),
    ("DeleteReplicationGroup", Handler::Change(change::delete)),
    (
        "DescribeCacheClusters",
        Handler::Read(describe::cache_clusters),
    ),
    (
        "DescribeCacheEngineVersions",
        Handler::Read(|_, call, input| REDIS.describe(call, input)),
    ),
    (
        "DescribeCacheSubnetGroups",
        Handler::Read(|view, call, input| GROUPS.describe(view, call, input)),
    ),
    ("DescribeEvents", Handler::Read(events::describe)),
    (
        "DescribeReplicationGroups",
        Handler::Read(describe::replication_groups),
    ),
    ("IncreaseReplicaCount", Handler::Change(change::increase)),
    ("ListTagsForResource", Handler::Read(tags::list)),
    (
        "ModifyCacheSubnetGroup",
        Handler::Change(|view, input| GROUPS.modify(view, input)),
    ),
    ("ModifyReplicationGroup", Handler::Change(change::modify)),
    ("RebootCacheCluster", Handler::Change(change::reboot)),
    ("RemoveTagsFromResource", Handler::Change(tags::remove)),
    ("TestFailover", Handler::Change(change::test_failover)),
];

/// The replication groups of the region that was called, as DescribeReplicationGroups shows them, by their ARNs.
pub(super) fn groups(view: &View<'_>) -> Vec<(String, Value)> {
    let all = names::all(view).into_iter();
    all.map(|it| {
        let arn = names::arn(view, it.id.as_str());
        (arn, describe::replication_group(view, it).into())
    })
    .collect()
}
