//! DB subnet groups.

use serde_json::Value;
use topologies::id::RegionId;
use wire::{Call, Fault, Record};

use super::names;
use crate::aws::subnet_groups::{DEFAULT, Manner};
use crate::aws::{Decision, View};

/// RDS's manner. "At least one subnet in at least two Availability Zones" (CreateDBSubnetGroup).
pub(super) const GROUPS: Manner = Manner {
    resource: "rds:subgrp",
    arn: ("rds", "subgrp"),
    prefix: "DB",
    zones_min: 2,
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
        let mut dbs = names::all(view).into_iter().map(names::Named::id);
        let placed = dbs.find(|id| group_of(view, &region, id.as_str()) == name)?;
        Some(format!("DB instance {placed}"))
    })
}

fn group_of<'v>(view: &View<'v>, region: &RegionId, id: &str) -> &'v str {
    let record = view.world.account.resource(names::RECORD, region, id);
    let own = record.and_then(|it| it.attributes["DBSubnetGroupName"].as_str());
    own.unwrap_or(DEFAULT)
}
