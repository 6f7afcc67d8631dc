//! Cache subnet groups.

use topologies::id::RegionId;

use super::names;
use crate::aws::View;
use crate::aws::input::text;
use crate::aws::subnet_groups::{DEFAULT, Manner};

/// ElastiCache's manner: one subnet is enough (CreateCacheSubnetGroup).
pub(super) const GROUPS: Manner = Manner {
    resource: "elasticache:subnetgroup",
    arn: ("elasticache", "subnetgroup"),
    prefix: "Cache",
    zones_min: 1,
    user,
};

/// A replication group that is placed by the group with this name.
fn user(view: &View<'_>, name: &str) -> Option<String> {
    let region = RegionId::from(view.region);
    let account = &view.world.account;
    let placed = names::all(view).into_iter().find(|group| {
        let record = account.resource(names::RECORD, &region, group.id.as_str());
        let own = record.and_then(|it| text(&it.attributes, "CacheSubnetGroupName"));
        own.unwrap_or(DEFAULT) == name
    })?;
    Some(format!("replication group {}", placed.id))
}
