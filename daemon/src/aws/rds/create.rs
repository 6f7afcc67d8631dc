//! CreateDBInstance and CreateDBInstanceReadReplica: what is created starts, with an engine of its own.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use topologies::defaults;
use topologies::edit::Edit;
use topologies::event::{DbInstanceStatus, EventKind};
use topologies::id::{DbInstanceId, RegionId, ZoneId};
use topologies::plan::db_host;
use topologies::security_group::Guarded;
use topologies::topology::{DbInstance, Member, ReadReplica};
use wire::{Fault, Record};

use super::describe::{MEMBERSHIP, SETTINGS, shown};
use super::names::{self, Named, RECORD};
use super::subnet_groups::GROUPS;
use crate::aws::input::{is_identifier, is_on, not_implemented, only, text, texts};
use crate::aws::security_groups::{give, memberships, resolve};
use crate::aws::versions::POSTGRES;
use crate::aws::{Change, Decision, View, tags};

/// What CreateDBInstance takes besides the settings that are kept.
const CREATE: &[&str] = &[
    "AvailabilityZone",
    "DBInstanceIdentifier",
    "DBName",
    "DBSubnetGroupName",
    "Engine",
    "EngineVersion",
    "MasterUserPassword",
    "MasterUsername",
    "MultiAZ",
    "NetworkType",
    "Port",
    "StorageEncrypted",
    "Tags",
    "VpcSecurityGroupIds",
];
/// What CreateDBInstanceReadReplica takes besides them.
const CREATE_REPLICA: &[&str] = &[
    "AvailabilityZone",
    "DBInstanceIdentifier",
    "DBSubnetGroupName",
    "SourceDBInstanceIdentifier",
    "Tags",
    "VpcSecurityGroupIds",
];
/// "The number of the port: 1150-65535" (CreateDBInstance).
const PORTS: std::ops::RangeInclusive<i64> = 1150..=65535;

pub(super) fn instance(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    accepts("CreateDBInstance", input, CREATE)?;
    let id = new_identifier(view, input)?;
    let engine = text(input, "Engine").unwrap_or_default();
    if engine != POSTGRES.name {
        return Err(not_implemented(format!("The engine `{engine}`")));
    }
    let group = GROUPS.named(view, text(input, "DBSubnetGroupName"))?;
    let zones = zones(view, input, &group)?;
    let hosts = zones.into_iter().zip(1..).map(|(zone, number)| Member {
        id: db_host(&id, number),
        zone,
    });
    let db = DbInstance {
        hosts: hosts.collect(),
        region: RegionId::from(view.region),
        engine_version: POSTGRES.asked(input)?,
        port: port(input)?,
        db_name: db_name(input)?,
        master_username: master_username(input)?,
        // It is a secret: the timeline does not have it.
        master_user_password: None,
        parameters: BTreeMap::new(),
        read_replicas: Vec::new(),
        id: id.clone(),
    };
    let password = Change::Password {
        db_instance: id.clone(),
        password: master_password(input)?,
    };
    let edit = Edit::PutDbInstance(Box::new(db.clone()));
    let (record, changes) = made(view, input, "rds:CreateDBInstance", edit, Named::Own(&db))?;
    let changes = std::iter::once(password).chain(changes).collect();
    Ok((Record::new().set("DBInstance", record), changes))
}

pub(super) fn read_replica(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    accepts("CreateDBInstanceReadReplica", input, CREATE_REPLICA)?;
    let id = new_identifier(view, input)?;
    let source = text(input, "SourceDBInstanceIdentifier").unwrap_or_default();
    let db = match names::find(view, source)? {
        Named::Own(db) => db,
        Named::Replica(_, replica) => {
            return Err(not_implemented(format!(
                "A read replica of the read replica {}",
                replica.id
            )));
        }
    };
    let status = Named::Own(db).status(view);
    if status != DbInstanceStatus::Available {
        let text = format!("DB instance {} is not in available state.", db.id);
        return Err(view.fault("InvalidDBInstanceStateFault", text));
    }
    if db.read_replicas.len() >= defaults::READ_REPLICAS_MAX {
        let text = format!(
            "DB instance {} has {} read replicas already.",
            db.id,
            defaults::READ_REPLICAS_MAX
        );
        return Err(view.fault("InstanceQuotaExceededFault", text));
    }
    let group = GROUPS.named(view, text(input, "DBSubnetGroupName"))?;
    let zone = one_zone(view, input, &group)?;
    let replica = ReadReplica {
        id,
        availability_zone: zone,
    };
    let mut with = db.clone();
    with.read_replicas.push(replica.clone());
    let edit = Edit::PutDbInstance(Box::new(with));
    let by = "rds:CreateDBInstanceReadReplica";
    let (record, changes) = made(view, input, by, edit, Named::Replica(db, &replica))?;
    Ok((Record::new().set("DBInstance", record), changes))
}

/// What is told of something new, and what happens for it to be there.
fn made(
    view: &View<'_>,
    input: &Value,
    by: &str,
    edit: Edit,
    named: Named<'_>,
) -> Result<(Record, Vec<Change>), Fault> {
    let id = named.id().as_str();
    let settings = Value::Object(settings(input));
    let tags = tags::read(&input["Tags"]);
    let mut record = shown(view, named, &settings, DbInstanceStatus::Creating, view.now)
        .list("TagList", tags::shown(&tags));
    let given = given(view, named.id(), input, &mut record)?;
    let recorded = EventKind::ResourceRecorded {
        resource: RECORD.to_owned(),
        region: RegionId::from(view.region),
        id: id.to_owned(),
        attributes: settings,
    };
    let edited = EventKind::TopologyEdited {
        by: by.to_owned(),
        edits: vec![edit],
    };
    let tagged = tags::put(view, &names::arn(view, id), tags);
    let changes = [recorded, edited]
        .map(Change::Note)
        .into_iter()
        .chain(given)
        .chain(tagged);
    Ok((record, changes.collect()))
}

/// The security groups that are named become its own; it is shown with them.
pub(super) fn given(
    view: &View<'_>,
    id: &DbInstanceId,
    input: &Value,
    record: &mut Record,
) -> Result<Option<Change>, Fault> {
    let asked = texts(input, "VpcSecurityGroupIds");
    if asked.is_empty() {
        return Ok(None);
    }
    let groups = resolve(view, &asked).map_err(|lost| {
        invalid(format!(
            "Invalid security group , groupId= {lost}, groupName=."
        ))
    })?;
    record.put("VpcSecurityGroups", memberships(MEMBERSHIP, &groups));
    Ok(Some(give(view, Guarded::DbInstance(id.clone()), groups)))
}

/// Refuses what has no effect here and would have one on AWS.
pub(super) fn accepts(operation: &str, input: &Value, own: &[&str]) -> Result<(), Fault> {
    let kept = SETTINGS.iter().map(|(name, _)| *name);
    let built: Vec<&str> = own.iter().copied().chain(kept).collect();
    only(operation, input, &built)?;
    if is_on(input, "StorageEncrypted") {
        return Err(not_implemented(format!(
            "{operation} with StorageEncrypted"
        )));
    }
    Ok(())
}

/// The settings of an input, as they are kept.
pub(super) fn settings(input: &Value) -> Map<String, Value> {
    let kept = SETTINGS.iter().map(|(given, kept)| (*given, *kept));
    let kept = kept.chain([("DBSubnetGroupName", "DBSubnetGroupName")]);
    let given = kept.filter(|(given, _)| !input[*given].is_null());
    given
        .map(|(given, kept)| (kept.to_owned(), input[given].clone()))
        .collect()
}

/// "1 to 63 letters, numbers, or hyphens" (CreateDBInstance).
fn new_identifier(view: &View<'_>, input: &Value) -> Result<DbInstanceId, Fault> {
    let written = text(input, "DBInstanceIdentifier").unwrap_or_default();
    if !is_identifier(written, 63) {
        let text = "The parameter DBInstanceIdentifier is not a valid identifier. Identifiers must begin with a letter; must contain \
                    only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens.";
        return Err(invalid(text.to_owned()));
    }
    let id = written.to_ascii_lowercase();
    if names::find(view, &id).is_ok() {
        return Err(view.fault("DBInstanceAlreadyExistsFault", "DB instance already exists"));
    }
    Ok(DbInstanceId::from(id))
}

fn port(input: &Value) -> Result<u16, Fault> {
    let Some(port) = input["Port"].as_i64() else {
        return Ok(defaults::DB_PORT);
    };
    match u16::try_from(port) {
        Ok(fits) if PORTS.contains(&port) => Ok(fits),
        _ => Err(invalid(format!(
            "Invalid value {port} for Port. Must be {} to {}.",
            PORTS.start(),
            PORTS.end()
        ))),
    }
}

fn db_name(input: &Value) -> Result<String, Fault> {
    let Some(name) = text(input, "DBName") else {
        return Ok(defaults::DB_NAME.to_owned());
    };
    let fits = (1..=63).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits {
        Ok(name.to_owned())
    } else {
        let text = "DBName must begin with a letter and contain only alphanumeric characters.";
        Err(invalid(text.to_owned()))
    }
}

fn master_username(input: &Value) -> Result<String, Fault> {
    let Some(name) = text(input, "MasterUsername") else {
        let text = "The parameter MasterUsername must be provided and must not be blank.";
        return Err(invalid(text.to_owned()));
    };
    let fits = (1..=63).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !fits {
        return Err(invalid(
            "The parameter MasterUsername is not a valid identifier: it begins with a letter and has at most 63 letters, digits \
             and underscores."
                .to_owned(),
        ));
    }
    if defaults::RESERVED_USERS.contains(&name) || name.starts_with("pg_") {
        let text = format!(
            "MasterUsername {name} cannot be used as it is a reserved word used by the engine"
        );
        return Err(invalid(text));
    }
    Ok(name.to_owned())
}

/// "8 to 128 characters; any printable ASCII character except `/`, `'`, `\"`, `@`, or a space" (CreateDBInstance).
pub(super) fn master_password(input: &Value) -> Result<String, Fault> {
    let Some(password) = text(input, "MasterUserPassword") else {
        let text = "The parameter MasterUserPassword must be provided and must not be blank.";
        return Err(invalid(text.to_owned()));
    };
    if !(8..=128).contains(&password.len()) {
        let text = "The parameter MasterUserPassword is not a valid password because it is shorter than 8 characters or longer than 128.";
        return Err(invalid(text.to_owned()));
    }
    let fits = password
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"/'\"@".contains(&byte));
    if !fits {
        let text = "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides '/', '@', '\"', ' ' may be used.";
        return Err(invalid(text.to_owned()));
    }
    Ok(password.to_owned())
}

/// The zones of its hosts, the primary's first.
fn zones(view: &View<'_>, input: &Value, group: &[ZoneId]) -> Result<Vec<ZoneId>, Fault> {
    if !is_on(input, "MultiAZ") {
        return Ok(vec![one_zone(view, input, group)?]);
    }
    if text(input, "AvailabilityZone").is_some() {
        let text = "Requesting a specific availability zone is not valid for Multi-AZ instances.";
        return Err(Fault::sender("InvalidParameterCombination", text));
    }
    if group.len() < 2 {
        return Err(view.fault(
            "DBSubnetGroupDoesNotCoverEnoughAZs",
            "DB Subnet Group doesn't meet availability zone coverage requirement. Please add subnets to cover at least 2 \
             availability zones.",
        ));
    }
    Ok(group[..2].to_vec())
}

fn one_zone(view: &View<'_>, input: &Value, group: &[ZoneId]) -> Result<ZoneId, Fault> {
    let wanted = text(input, "AvailabilityZone");
    let found = group
        .iter()
        .find(|zone| wanted.is_none_or(|wanted| zone.as_str() == wanted));
    found.cloned().ok_or_else(|| match wanted {
        Some(zone) => invalid(format!(
            "Availability zone '{zone}' is unavailable in this region, please choose another zone."
        )),
        None => invalid(format!("The stack has no region {}", view.region)),
    })
}

fn invalid(text: String) -> Fault {
    Fault::sender("InvalidParameterValue", text)
}

/// What is kept of a DB instance after a change of its settings.
pub(super) fn recorded(view: &View<'_>, id: &DbInstanceId, settings: Value) -> Change {
    Change::Note(EventKind::ResourceRecorded {
        resource: RECORD.to_owned(),
        region: RegionId::from(view.region),
        id: id.to_string(),
        attributes: settings,
    })
}
