//! Cache subnet groups.

use serde_json::Value;
use topologies::id::RegionId;
use wire::{Call, Fault, Record};

use super::names;
use crate::aws::input::text;
use crate::aws::subnet_groups::{DEFAULT, Manner};
use crate::aws::{Decision, View};

/// ElastiCache's manner: one subnet is enough (CreateCacheSubnetGroup).
pub(super) const GROUPS: Manner = Manner {
    resource: "elasticache:subnetgroup",
    arn: ("elasticache", "subnetgroup"),
    prefix: "Cache",
    zones_min: 1,
};

pub(super) fn describe(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    GROUPS.describe(view, call, input)
}

pub(super) fn create(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    GROUPS.create(view, input)
}

pub(super) fn modify(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    GROUPS.modify(view, input)
}

pub(super) fn delete(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    GROUPS.delete(view, input, |name| {
        let region = RegionId::from(view.region);
        let account = &view.world.account;
        let placed = names::all(view).into_iter().find(|group| {
            let record = account.resource(names::RECORD, &region, group.id.as_str());
            let own = record.and_then(|it| text(&it.attributes, "CacheSubnetGroupName"));
            own.unwrap_or(DEFAULT) == name
        })?;
        Some(format!("replication group {}", placed.id))
    })
}
