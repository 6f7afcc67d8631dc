//! What makes something else of a DB instance while it serves: MultiAZ and MasterUserPassword of ModifyDBInstance, and
//! PromoteReadReplica.

use serde_json::Value;
use topologies::edit::Edit;
use topologies::event::{DbRequest, EventKind};
use topologies::id::RegionId;
use topologies::plan::db_host;
use topologies::topology::{DbInstance, Member};
use wire::{Fault, Record};

use super::change::{available, named, request};
use super::create::{master_password, recorded, settings};
use super::names::{Named, RECORD};
use super::subnet_groups::GROUPS;
use crate::aws::input::{not_implemented, only};
use crate::aws::{Change, Decision, View};
use crate::control::rds_event;

/// What of an input of ModifyDBInstance is asked of the control plane, and what happens for it.
pub(super) fn asked(
    view: &View<'_>,
    named: Named<'_>,
    input: &Value,
) -> Result<Option<(DbRequest, Vec<Change>)>, Fault> {
    let password = input.get("MasterUserPassword").is_some();
    let conversion = match (named, input["MultiAZ"].as_bool()) {
        (Named::Own(db), Some(wanted)) if wanted != (db.hosts.len() > 1) => Some((db, wanted)),
        (Named::Replica(..), Some(true)) => {
            return Err(not_implemented("A read replica with a standby"));
        }
        (Named::Own(_) | Named::Replica(..), _) => None,
    };
    match (conversion, password) {
        (None, false) => Ok(None),
        (Some(_), true) => Err(not_implemented(
            "ModifyDBInstance with MultiAZ and MasterUserPassword at once",
        )),
        (None, true) => reset(named, input).map(Some),
        (Some((db, true)), false) => to_multi_az(view, db).map(Some),
        (Some((db, false)), false) => {
            let request = DbRequest::ConvertToSingleAz;
            let told = rds_event::of(&db.id, rds_event::TO_SINGLE_AZ);
            Ok(Some((request, vec![Change::Note(told), ask(db, request)])))
        }
    }
}

fn reset(named: Named<'_>, input: &Value) -> Result<(DbRequest, Vec<Change>), Fault> {
    let Named::Own(db) = named else {
        let text = format!(
            "The master password of the read replica {} is that of its source.",
            named.id()
        );
        return Err(Fault::sender("InvalidParameterCombination", text));
    };
    let kept = Change::Password {
        db_instance: db.id.clone(),
        password: master_password(input)?,
    };
    let request = DbRequest::ResetMasterCredentials;
    Ok((request, vec![kept, ask(db, request)]))
}

/// The standby comes to another zone of the subnet group.
fn to_multi_az(view: &View<'_>, db: &DbInstance) -> Result<(DbRequest, Vec<Change>), Fault> {
    let region = RegionId::from(view.region);
    let known = view.world.account.resource(RECORD, &region, db.id.as_str());
    let group = known.and_then(|it| it.attributes["DBSubnetGroupName"].as_str());
    let zones = GROUPS.named(view, group)?;
    let mut free = zones
        .into_iter()
        .filter(|zone| db.hosts.iter().all(|host| host.zone != *zone));
    let zone = free.next().ok_or_else(|| {
        let text = "DB Subnet Group doesn't meet availability zone coverage requirement. Please add subnets to cover at least 2 \
                    availability zones.";
        view.fault("DBSubnetGroupDoesNotCoverEnoughAZs", text)
    })?;
    let taken = |id| db.hosts.iter().any(|host| host.id == id);
    let mut numbers = 1..=db.hosts.len() + 1;
    let number = numbers.find(|number| !taken(db_host(&db.id, *number)));
    let mut with = db.clone();
    with.hosts.push(Member {
        id: db_host(&db.id, number.unwrap_or(db.hosts.len() + 1)),
        zone,
    });
    let edited = EventKind::TopologyEdited {
        by: "rds:ModifyDBInstance".to_owned(),
        edits: vec![Edit::PutDbInstance(Box::new(with))],
    };
    let request = DbRequest::ConvertToMultiAz;
    let changes = vec![
        Change::Note(rds_event::of(&db.id, rds_event::TO_MULTI_AZ)),
        // Asked first: what is planned with it is made for it.
        ask(db, request),
        Change::Note(edited),
    ];
    Ok((request, changes))
}

fn ask(db: &DbInstance, request: DbRequest) -> Change {
    Change::Note(EventKind::DbInstanceRequested {
        db_instance: db.id.clone(),
        request,
    })
}

/// "Promotes a read replica DB instance to a standalone DB instance" (aws-behaviour §1.4).
pub(super) fn promote(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let built = [
        "BackupRetentionPeriod",
        "DBInstanceIdentifier",
        "PreferredBackupWindow",
    ];
    only("PromoteReadReplica", input, &built)?;
    let named = named(view, input)?;
    let Named::Replica(source, replica) = named else {
        let text = format!("DB Instance {} is not a read replica.", named.id());
        return Err(view.fault("InvalidDBInstanceStateFault", text));
    };
    available(view, named)?;
    let region = RegionId::from(view.region);
    let known = view
        .world
        .account
        .resource(RECORD, &region, replica.id.as_str());
    let before = known.and_then(|it| it.attributes.as_object().cloned());
    let mut after = before.unwrap_or_default();
    after.extend(settings(input));
    let kept = Change::SamePasswords {
        db_instance: replica.id.clone(),
        source: source.id.clone(),
    };
    let settings = recorded(view, &replica.id, Value::Object(after));
    let (output, asked): (Record, Vec<Change>) = request(view, named, DbRequest::Promote)?;
    let changes = [kept, settings].into_iter().chain(asked).collect();
    Ok((output, changes))
}
