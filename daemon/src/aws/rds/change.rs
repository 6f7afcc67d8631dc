//! ModifyDBInstance, DeleteDBInstance, RebootDBInstance, StopDBInstance and StartDBInstance (aws-behaviour §1.1).

use serde_json::{Map, Value};
use topologies::event::{DbInstanceStatus, DbRequest, EventKind};
use topologies::id::RegionId;
use wire::{Fault, Record};

use super::convert;
use super::create::{accepts, given, recorded, settings};
use super::describe::{instance, shown};
use super::names::{self, Named, RECORD};
use crate::aws::input::{is_on, not_implemented, only, text};
use crate::aws::{Change, Decision, View, tags};

/// What ModifyDBInstance takes besides the settings that are kept. Those are in force at once, whenever they are asked for: nothing
/// waits for a maintenance window.
const MODIFY: &[&str] = &[
    "ApplyImmediately",
    "DBInstanceIdentifier",
    "MasterUserPassword",
    "MultiAZ",
    "VpcSecurityGroupIds",
];

pub(super) fn modify(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    accepts("ModifyDBInstance", input, MODIFY)?;
    let named = named(view, input)?;
    available(view, named)?;
    let region = RegionId::from(view.region);
    let known = view
        .world
        .account
        .resource(RECORD, &region, named.id().as_str());
    let before = known.and_then(|it| it.attributes.as_object().cloned());
    let before = before.unwrap_or_default();
    grows(&before, input)?;
    let mut after = before.clone();
    after.extend(settings(input));
    let created = known.map_or(view.facts.epoch, |it| view.wall(it.created));
    let changed = before != after;
    let settings = Value::Object(after);
    let tags = tags::of(view, &names::arn(view, named.id().as_str()));
    let mut record = shown(view, named, &settings, named.status(view), created)
        .list("TagList", tags::shown(&tags));
    let given = given(view, named.id(), input, &mut record)?;
    let conversion = convert::asked(view, named, input)?;
    if let Some((request, _)) = &conversion {
        record.put("DBInstanceStatus", request.status().as_str());
    }
    let change = changed.then(|| recorded(view, named.id(), settings));
    let asked = conversion.into_iter().flat_map(|(_, changes)| changes);
    let output = Record::new().set("DBInstance", record);
    let changes = change.into_iter().chain(given).chain(asked);
    Ok((output, changes.collect()))
}

/// Storage can not shrink.
fn grows(before: &Map<String, Value>, input: &Value) -> Result<(), Fault> {
    let now = before.get("AllocatedStorage").and_then(Value::as_i64);
    let wanted = input["AllocatedStorage"].as_i64();
    if let (Some(now), Some(wanted)) = (now, wanted)
        && wanted < now
    {
        let text = format!(
            "Invalid storage size: {wanted} GiB is less than the {now} GiB that are allocated"
        );
        return Err(Fault::sender("InvalidParameterCombination", text));
    }
    Ok(())
}

pub(super) fn delete(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let named = named(view, input)?;
    let snapshot = text(input, "FinalDBSnapshotIdentifier");
    match (is_on(input, "SkipFinalSnapshot"), snapshot) {
        (true, None) => {}
        (true, Some(_)) => {
            let text = "FinalDBSnapshotIdentifier can not be specified when SkipFinalSnapshot is specified.";
            return Err(Fault::sender("InvalidParameterCombination", text));
        }
        (false, Some(_)) => return Err(not_implemented("DeleteDBInstance with a final snapshot")),
        (false, None) => {
            let text =
                "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.";
            return Err(Fault::sender("InvalidParameterCombination", text));
        }
    }
    if named.status(view) == DbInstanceStatus::Deleting {
        let text = format!("Instance {} is already being deleted.", named.id());
        return Err(view.fault("InvalidDBInstanceStateFault", text));
    }
    let region = RegionId::from(view.region);
    let account = &view.world.account;
    let known = account.resource(RECORD, &region, named.id().as_str());
    if known.is_some_and(|it| it.attributes["DeletionProtection"] == true) {
        let text = "Cannot delete protected DB Instance, please disable deletion protection and try again.";
        return Err(Fault::sender("InvalidParameterCombination", text));
    }
    if let Named::Own(db) = named
        && let Some(replica) = db.read_replicas.first()
    {
        // RDS makes DB instances of their own of them.
        return Err(not_implemented(format!(
            "DeleteDBInstance of one with read replicas ({} is one; delete them first)",
            replica.id
        )));
    }
    let record = instance(view, named).set("DBInstanceStatus", "deleting");
    let status = EventKind::DbInstanceStatusChanged {
        db_instance: named.id().clone(),
        status: DbInstanceStatus::Deleting,
    };
    let forgotten = EventKind::ResourceForgotten {
        resource: RECORD.to_owned(),
        region,
        id: named.id().to_string(),
        arn: names::arn(view, named.id().as_str()),
    };
    let changes = vec![Change::Note(forgotten), Change::Note(status)];
    Ok((Record::new().set("DBInstance", record), changes))
}

pub(super) fn reboot(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let named = named(view, input)?;
    available(view, named)?;
    if !is_on(input, "ForceFailover") {
        return request(view, named, DbRequest::Reboot);
    }
    let standby = match named {
        Named::Own(db) => view.world.databases.get(&db.id),
        Named::Replica(..) => None,
    };
    match standby.and_then(|it| it.standby.as_ref()) {
        None => {
            let text = format!(
                "ForceFailover cannot be specified for {}: it is not a Multi-AZ DB instance.",
                named.id()
            );
            Err(Fault::sender("InvalidParameterCombination", text))
        }
        // A standby that lacks writes would lose them.
        Some(standby) if !standby.in_sync => {
            let text = format!(
                "The standby of {} is not in sync; it can not take over.",
                named.id()
            );
            Err(view.fault("InvalidDBInstanceStateFault", text))
        }
        Some(_) => request(view, named, DbRequest::Failover),
    }
}

pub(super) fn stop(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    only("StopDBInstance", input, &["DBInstanceIdentifier"])?;
    let named = named(view, input)?;
    available(view, named)?;
    // "You can't stop a DB instance that has a read replica, or that is a read replica" (USER_StopInstance).
    let why = match named {
        Named::Own(db) if db.read_replicas.is_empty() => None,
        Named::Own(_) => Some("it has read replicas"),
        Named::Replica(..) => Some("it is a read replica"),
    };
    if let Some(why) = why {
        let text = format!("Cannot stop DB instance {}: {why}.", named.id());
        return Err(view.fault("InvalidDBInstanceStateFault", text));
    }
    request(view, named, DbRequest::Stop)
}

pub(super) fn start(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let named = named(view, input)?;
    let status = named.status(view);
    if status != DbInstanceStatus::Stopped {
        let text = format!("Instance {} is not stopped: it is {status}.", named.id());
        return Err(view.fault("InvalidDBInstanceStateFault", text));
    }
    request(view, named, DbRequest::Start)
}

pub(super) fn request(
    view: &View<'_>,
    named: Named<'_>,
    request: DbRequest,
) -> Result<Decision, Fault> {
    let status = request.status().as_str();
    let record = instance(view, named).set("DBInstanceStatus", status);
    let asked = Change::Note(EventKind::DbInstanceRequested {
        db_instance: named.id().clone(),
        request,
    });
    Ok((Record::new().set("DBInstance", record), vec![asked]))
}

pub(super) fn named<'a>(view: &View<'a>, input: &Value) -> Result<Named<'a>, Fault> {
    names::find(
        view,
        text(input, "DBInstanceIdentifier").unwrap_or_default(),
    )
}

pub(super) fn available(view: &View<'_>, named: Named<'_>) -> Result<(), Fault> {
    if named.status(view) == DbInstanceStatus::Available {
        return Ok(());
    }
    let text = format!("Instance {} is not in available state.", named.id());
    Err(view.fault("InvalidDBInstanceStateFault", text))
}
