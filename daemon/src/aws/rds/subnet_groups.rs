//! DB subnet groups.

use topologies::id::RegionId;

use super::names;
use crate::aws::View;
use crate::aws::input::text;
use crate::aws::subnet_groups::{DEFAULT, Manner};

/// RDS's manner. "At least one subnet in at least two Availability Zones" (CreateDBSubnetGroup).
pub(super) const GROUPS: Manner = Manner {
    resource: "rds:subgrp",
    arn: ("rds", "subgrp"),
    prefix: "DB",
    zones_min: 2,
    user,
};

/// A DB instance that is placed by the group with this name.
fn user(view: &View<'_>, name: &str) -> Option<String> {
    let region = RegionId::from(view.region);
    let mut dbs = names::all(view).into_iter().map(names::Named::id);
    let placed = dbs.find(|id| {
        let record = view
            .world
            .account
            .resource(names::RECORD, &region, id.as_str());
        let own = record.and_then(|it| text(&it.attributes, "DBSubnetGroupName"));
        own.unwrap_or(DEFAULT) == name
    })?;
    Some(format!("DB instance {placed}"))
}
