//! DescribeDBInstances: what was asked for, and what the world has seen of it.

use serde_json::Value;
use topologies::event::{DbInstanceStatus, ReplicationStatus};
use topologies::id::{DbInstanceId, InstanceId, RegionId, ZoneId};
use topologies::names as endpoints;
use topologies::security_group::Guarded;
use topologies::topology::{DbInstance, ReadReplica};
use topologies::world::Database;
use wire::{Call, Fault, Record, page};

use super::names::{self, Named, RECORD};
use super::subnet_groups::GROUPS;
use crate::aws::security_groups::memberships_of;
use crate::aws::subnet_groups::DEFAULT;
use crate::aws::versions::POSTGRES;
use crate::aws::{View, ids, tags};

/// Settings that are kept as they came, by their names in an input and in a DB instance.
pub(super) const SETTINGS: &[(&str, &str)] = &[
    ("AllocatedStorage", "AllocatedStorage"),
    ("AutoMinorVersionUpgrade", "AutoMinorVersionUpgrade"),
    ("BackupRetentionPeriod", "BackupRetentionPeriod"),
    ("CACertificateIdentifier", "CACertificateIdentifier"),
    ("CopyTagsToSnapshot", "CopyTagsToSnapshot"),
    ("DBInstanceClass", "DBInstanceClass"),
    ("DeletionProtection", "DeletionProtection"),
    ("Iops", "Iops"),
    ("LicenseModel", "LicenseModel"),
    ("MaxAllocatedStorage", "MaxAllocatedStorage"),
    ("PreferredBackupWindow", "PreferredBackupWindow"),
    ("PreferredMaintenanceWindow", "PreferredMaintenanceWindow"),
    ("PubliclyAccessible", "PubliclyAccessible"),
    ("StorageThroughput", "StorageThroughput"),
    ("StorageType", "StorageType"),
];

/// What a membership in a security group names it by.
pub(super) const MEMBERSHIP: &str = "VpcSecurityGroupId";

/// The class of a DB instance that nobody gave one: the smallest.
const CLASS: &str = "db.t4g.micro";
/// Its storage in GiB: the least that PostgreSQL takes (CreateDBInstance).
const STORAGE: u32 = 20;

pub(super) fn instances(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let mut found = match input["DBInstanceIdentifier"].as_str() {
        Some(written) => vec![names::find(view, written)?],
        None => names::all(view),
    };
    for filter in input["Filters"].as_array().into_iter().flatten() {
        let values: Vec<&str> = filter["Values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let named = filter["Name"].as_str().unwrap_or_default();
        match named {
            "db-instance-id" => found.retain(|it| {
                values
                    .iter()
                    .any(|value| names::identifier(value) == it.id().as_str())
            }),
            "dbi-resource-id" => found.retain(|it| values.contains(&resource_id(it.id()).as_str())),
            "engine" => found.retain(|_| values.contains(&POSTGRES.name)),
            _ => {
                let text = format!("Unrecognized filter name: {named}");
                return Err(Fault::sender("InvalidParameterValue", text));
            }
        }
    }
    let page = page(call, input, &found, |it| it.id().as_str())?;
    let shown = page.items.iter().map(|it| instance(view, *it));
    let mut output = Record::new().list("DBInstances", shown);
    page.write(&mut output);
    Ok(output)
}

/// A DB instance that is there.
pub(super) fn instance(view: &View<'_>, named: Named<'_>) -> Record {
    let region = RegionId::from(view.region);
    let record = view
        .world
        .account
        .resource(RECORD, &region, named.id().as_str());
    let settings = record.map_or(&Value::Null, |it| &it.attributes);
    let created = record.map_or(view.facts.epoch, |it| view.wall(it.created));
    let arn = names::arn(view, named.id().as_str());
    let tags = tags::shown(&tags::of(view, &arn));
    shown(view, named, settings, named.status(view), created).list("TagList", tags)
}

/// A DB instance as it is, or as it will be.
pub(super) fn shown(
    view: &View<'_>,
    named: Named<'_>,
    settings: &Value,
    status: DbInstanceStatus,
    created: i64,
) -> Record {
    let (Named::Own(db) | Named::Replica(db, _)) = named;
    let id = named.id();
    let name = endpoints::db_instance(view.topology(), id, &RegionId::from(view.region));
    // "The endpoint might not be shown for instances with the status of creating."
    let endpoint = (status != DbInstanceStatus::Creating).then(|| {
        Record::new()
            .set("Address", name)
            .set("Port", db.port)
            .set("HostedZoneId", zone_id(view))
    });
    let group = settings["DBSubnetGroupName"].as_str().unwrap_or(DEFAULT);
    let group = GROUPS.find(view, group).ok();
    let record = Record::new()
        .set("DBInstanceIdentifier", id.as_str())
        .set("Engine", POSTGRES.name)
        .set("DBInstanceStatus", status.as_str())
        .set("MasterUsername", db.master_username.as_str())
        .set("DBName", db.db_name.as_str())
        .maybe("Endpoint", endpoint)
        .time("InstanceCreateTime", created)
        .maybe(
            "EngineVersion",
            db.engine_version.map(|version| version.to_string()),
        )
        .set("DbInstancePort", 0)
        .set("DbiResourceId", resource_id(id))
        .set("DBInstanceArn", names::arn(view, id.as_str()))
        .set("PendingModifiedValues", Record::new())
        .set("StorageEncrypted", false)
        .set("NetworkType", "IPV4")
        .set("MonitoringInterval", 0)
        .set("PerformanceInsightsEnabled", false)
        .set("IAMDatabaseAuthenticationEnabled", false)
        .list("DBSecurityGroups", Vec::<Record>::new())
        .set(
            "VpcSecurityGroups",
            memberships_of(view, MEMBERSHIP, &Guarded::DbInstance(id.clone())),
        )
        .maybe(
            "DBSubnetGroup",
            group.map(|group| GROUPS.record(view, &group)),
        );
    let record = with_settings(record, settings);
    match named {
        Named::Own(db) => own(view, db, record),
        Named::Replica(db, replica) => read_replica(view, db, replica, record),
    }
}

/// With its settings: those that were given, else RDS's defaults (CreateDBInstance).
fn with_settings(record: Record, settings: &Value) -> Record {
    let mut record = record
        .set("DBInstanceClass", CLASS)
        .set("AllocatedStorage", STORAGE)
        .set("StorageType", "gp3")
        .set("LicenseModel", "postgresql-license")
        .set("BackupRetentionPeriod", 1)
        .set("PreferredBackupWindow", "16:00-16:30")
        .set("PreferredMaintenanceWindow", "sun:17:00-sun:17:30")
        .set("AutoMinorVersionUpgrade", true)
        .set("PubliclyAccessible", false)
        .set("CopyTagsToSnapshot", false)
        .set("DeletionProtection", false)
        .set("CACertificateIdentifier", "rds-ca-rsa2048-g1");
    for (_, name) in SETTINGS {
        if !settings[*name].is_null() {
            record.put(name, settings[*name].clone());
        }
    }
    record
}

fn own(view: &View<'_>, db: &DbInstance, record: Record) -> Record {
    let seen = view.world.databases.get(&db.id);
    let (primary, standby) = match seen {
        Some(Database {
            primary, standby, ..
        }) => {
            let standby = standby.as_ref().map(|it| &it.instance);
            (zone_of(db, primary), standby.and_then(|it| zone_of(db, it)))
        }
        None => {
            let mut zones = db.hosts.iter().map(|host| &host.zone);
            (zones.next(), zones.next())
        }
    };
    let replicas = db.read_replicas.iter().map(|replica| replica.id.as_str());
    record
        .maybe("AvailabilityZone", primary.map(ZoneId::as_str))
        .maybe("SecondaryAvailabilityZone", standby.map(ZoneId::as_str))
        .set("MultiAZ", db.hosts.len() > 1)
        .list("ReadReplicaDBInstanceIdentifiers", replicas)
        .list("DBParameterGroups", [parameter_group(db)])
}

fn read_replica(view: &View<'_>, db: &DbInstance, replica: &ReadReplica, record: Record) -> Record {
    let seen = view.world.replicas.get(&replica.id);
    let replication = seen.map(|it| it.replication);
    // Of one that is being made there is nothing to tell.
    let info = replication
        .filter(|it| *it != ReplicationStatus::Creating)
        .map(|status| {
            Record::new()
                .set("StatusType", "read replication")
                .set("Normal", status == ReplicationStatus::Replicating)
                .set("Status", status.as_str())
        });
    record
        .set("AvailabilityZone", replica.availability_zone.as_str())
        .set("MultiAZ", false)
        .set("ReadReplicaSourceDBInstanceIdentifier", db.id.as_str())
        .list("StatusInfos", info)
        .list("ReadReplicaDBInstanceIdentifiers", Vec::<Value>::new())
        .list("DBParameterGroups", [parameter_group(db)])
}

/// The default one is all that there is; parameters of the topology file are in force beside it.
fn parameter_group(db: &DbInstance) -> Record {
    let family = db
        .engine_version
        .map_or(String::new(), |version| version.to_string());
    Record::new()
        .set("DBParameterGroupName", format!("default.postgres{family}"))
        .set("ParameterApplyStatus", "in-sync")
}

fn zone_of<'a>(db: &'a DbInstance, host: &InstanceId) -> Option<&'a ZoneId> {
    let host = db.hosts.iter().find(|it| it.id == *host);
    host.map(|it| &it.zone)
}

/// "The AWS Region-unique, immutable identifier": `db-` and 26 letters and digits.
fn resource_id(id: &DbInstanceId) -> String {
    format!(
        "db-{}",
        ids::digits("db", id.as_str(), 26).to_ascii_uppercase()
    )
}

/// The hosted zone of RDS's names in a region.
fn zone_id(view: &View<'_>) -> String {
    format!(
        "Z{}",
        ids::digits("rds-zone", view.region, 13).to_ascii_uppercase()
    )
}
