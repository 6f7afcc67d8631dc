//! RDS: DB instances for PostgreSQL, their read replicas, events, subnet groups and tags.
//!
//! After its API reference and aws-behaviour §1. What a call asks for is recorded and the control plane's machines do it: a reboot
//! ends the server's process, a forced failover promotes the standby. Settings without an effect here (the class, storage,
//! windows) are kept and given back; what would mean something else than it does is refused by its name.

mod change;
mod convert;
mod create;
mod describe;
mod events;
mod names;
mod subnet_groups;
mod tags;

use serde_json::Value;
use subnet_groups::GROUPS;

use super::versions::POSTGRES;
use super::{Handler, Operations, View};

pub(super) const OPERATIONS: Operations = &[
    ("AddTagsToResource", Handler::Change(tags::add)),
    ("CreateDBInstance", Handler::Change(create::instance)),
    (
        "CreateDBInstanceReadReplica",
        Handler::Change(create::read_replica),
    ),
    (
        "CreateDBSubnetGroup",
        Handler::Change(|view, input| GROUPS.create(view, input)),
    ),
    ("DeleteDBInstance", Handler::Change(change::delete)),
    (
        "DeleteDBSubnetGroup",
        Handler::Change(|view, input| GROUPS.delete(view, input)),
    ),
    (
        "DescribeDBEngineVersions",
        Handler::Read(|_, call, input| POSTGRES.describe(call, input)),
    ),
    ("DescribeDBInstances", Handler::Read(describe::instances)),
    (
        "DescribeDBSubnetGroups",
        Handler::Read(|view, call, input| GROUPS.describe(view, call, input)),
    ),
    ("DescribeEvents", Handler::Read(events::describe)),
    ("ListTagsForResource", Handler::Read(tags::list)),
    ("ModifyDBInstance", Handler::Change(change::modify)),
    (
        "ModifyDBSubnetGroup",
        Handler::Change(|view, input| GROUPS.modify(view, input)),
    ),
    ("PromoteReadReplica", Handler::Change(convert::promote)),
    ("RebootDBInstance", Handler::Change(change::reboot)),
    ("RemoveTagsFromResource", Handler::Change(tags::remove)),
    ("StartDBInstance", Handler::Change(change::start)),
    ("StopDBInstance", Handler::Change(change::stop)),
];

/// The DB instances of the region that was called, as DescribeDBInstances shows them, by their ARNs.
pub(super) fn instances(view: &View<'_>) -> Vec<(String, Value)> {
    let all = names::all(view).into_iter();
    all.map(|it| {
        let arn = names::arn(view, it.id().as_str());
        (arn, describe::instance(view, it).into())
    })
    .collect()
}
