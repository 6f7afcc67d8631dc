//! RDS DB instances and their read replicas.

use super::{Checker, identifiers};
use crate::defaults;
use crate::id::{DbInstanceId, RegionId, ZoneId};
use crate::notes::Span;
use crate::plan;
use crate::spec::values::Version;
use crate::spec::{At, DbInstanceSpec};
use crate::topology::{DbInstance, ReadReplica};

/// Master user names that RDS or the engine keeps for itself.
const RESERVED_USERS: [&str; 8] = [
    "rdsadmin",
    "rdsrepladmin",
    "admin",
    "user",
    "public",
    "none",
    "current_user",
    "session_user",
];

/// Parameters that replication and the emulator set by themselves.
const OWN_PARAMETERS: [&str; 13] = [
    "listen_addresses",
    "port",
    "data_directory",
    "hba_file",
    "ident_file",
    "unix_socket_directories",
    "wal_level",
    "hot_standby",
    "primary_conninfo",
    "primary_slot_name",
    "synchronous_standby_names",
    "cluster_name",
    "password_encryption",
];

pub(super) fn db_instances(checker: &mut Checker<'_>) -> Vec<DbInstance> {
    let spec = checker.spec;
    let mut instances = Vec::new();
    for (name, db) in spec.db_instances.iter() {
        identifiers::name(checker, &identifiers::DB_INSTANCE, name);
        match &db.source_db_instance_identifier {
            Some(source) => replica_shape(checker, name, db, source),
            None => instances.extend(primary(checker, name, db)),
        }
    }
    instances
}

/// A replica that is declared beside its source says where it is and nothing else.
fn replica_shape(
    checker: &mut Checker<'_>,
    name: &At<String>,
    db: &DbInstanceSpec,
    source: &At<String>,
) {
    let spec = checker.spec;
    let sources: Vec<&str> = spec
        .db_instances
        .iter()
        .filter(|(_, db)| db.source_db_instance_identifier.is_none())
        .map(|(name, _)| name.value.as_str())
        .collect();
    if !sources.contains(&source.value.as_str()) {
        if spec
            .db_instances
            .iter()
            .any(|(name, _)| name.value == source.value)
        {
            checker.error_with(
                source.span,
                format!("`{}` is a read replica itself", source.value),
                format!(
                    "replicas of replicas are not supported; sources: {}",
                    sources.join(", ")
                ),
            );
        } else {
            checker.undeclared("DB instance", source, &sources);
        }
    }
    let DbInstanceSpec {
        engine: _,
        engine_version,
        multi_az,
        availability_zone: _,
        secondary_availability_zone,
        port,
        db_name,
        master_username,
        master_user_password,
        parameters,
        read_replicas,
        source_db_instance_identifier: _,
    } = db;
    let of_source = [
        ("engine-version", engine_version.as_ref().map(|at| at.span)),
        (
            "multi-az",
            multi_az.as_ref().filter(|on| on.value).map(|at| at.span),
        ),
        (
            "secondary-availability-zone",
            secondary_availability_zone.as_ref().map(|at| at.span),
        ),
        ("port", port.as_ref().map(|at| at.span)),
        ("db-name", db_name.as_ref().map(|at| at.span)),
        (
            "master-username",
            master_username.as_ref().map(|at| at.span),
        ),
        (
            "master-user-password",
            master_user_password.as_ref().map(|at| at.span),
        ),
        (
            "parameters",
            parameters.0.first().map(|(name, _)| name.span),
        ),
        (
            "read-replicas",
            read_replicas.0.first().map(|(name, _)| name.span),
        ),
    ];
    for (field, span) in of_source {
        if let Some(span) = span {
            let hint = format!(
                "it is as its source `{}` says; leave the field out",
                source.value
            );
            checker.error_with(
                span,
                format!("read replica `{}` can not have `{field}`", name.value),
                hint,
            );
        }
    }
}

fn primary(
    checker: &mut Checker<'_>,
    name: &At<String>,
    db: &DbInstanceSpec,
) -> Option<DbInstance> {
    let id = DbInstanceId::from(name.value.as_str());
    checker.take(
        name.value.clone(),
        &format!("the DB instance `{id}`"),
        name.span,
    );
    let hosts = if db.multi_az.as_ref().is_some_and(|on| on.value) {
        2
    } else {
        1
    };
    for number in 1..=hosts {
        let host = plan::db_host(&id, number).to_string();
        checker.take(
            host,
            &format!("a host of the DB instance `{id}`"),
            name.span,
        );
    }
    let version = version(
        checker,
        db.engine_version.as_ref(),
        "PostgreSQL",
        defaults::DB_VERSIONS,
    );
    account(checker, db);
    let places = places(checker, name, db);
    let replicas = replicas(checker, name, db, places.as_ref());
    let Places {
        region,
        primary,
        standby,
    } = places?;
    let text = |written: &Option<At<String>>, default: &str| {
        written
            .as_ref()
            .map_or(default, |at| at.value.as_str())
            .to_owned()
    };
    Some(DbInstance {
        id,
        region,
        engine_version: version,
        availability_zone: primary,
        secondary_availability_zone: standby,
        port: port(checker, db),
        db_name: text(&db.db_name, defaults::DB_NAME),
        master_username: text(&db.master_username, defaults::MASTER_USERNAME),
        master_user_password: db.master_user_password.as_ref().map(|at| at.value.clone()),
        parameters: db
            .parameters
            .iter()
            .map(|(name, value)| (name.value.clone(), value.value.0.clone()))
            .collect(),
        read_replicas: replicas,
    })
}

struct Places {
    region: RegionId,
    primary: ZoneId,
    standby: Option<ZoneId>,
}

fn places(checker: &mut Checker<'_>, name: &At<String>, db: &DbInstanceSpec) -> Option<Places> {
    let multi_az = db.multi_az.as_ref().filter(|on| on.value);
    let what = format!("DB instance `{}`", name.value);
    let primary = match &db.availability_zone {
        Some(zone) => checker.zone(zone),
        None => checker
            .default_zones(&what, name.span, "availability-zone")
            .and_then(|zones| zones.first().cloned()),
    };
    let secondary = db.secondary_availability_zone.as_ref();
    let standby = secondary.and_then(|zone| checker.zone(zone));
    let primary = primary?;
    let region = checker.region_of(&primary);
    if multi_az.is_none() {
        if let Some(zone) = secondary {
            checker.error_with(
                zone.span,
                format!("{what} has a zone for a standby, but is not Multi-AZ"),
                "add `multi-az: true`",
            );
        }
        return Some(Places {
            region,
            primary,
            standby: None,
        });
    }
    if let Some(secondary) = secondary {
        let standby = standby?;
        if standby == primary {
            checker.error_with(
                secondary.span,
                format!(
                    "primary and standby of `{}` are both in {primary}",
                    name.value
                ),
                "a standby survives the loss of a zone only in another one",
            );
        } else if checker.region_of(&standby) != region {
            checker.error_with(
                secondary.span,
                format!("primary and standby of `{}` are in different regions", name.value),
                "a Multi-AZ standby is in its primary's region; elsewhere there can be a read replica",
            );
        }
        return Some(Places {
            region,
            primary,
            standby: Some(standby),
        });
    }
    let zones = checker.zones_of(&region);
    let own = zones
        .iter()
        .position(|zone| *zone == primary)
        .unwrap_or_default();
    let next = zones
        .iter()
        .cycle()
        .skip(own + 1)
        .take(zones.len().saturating_sub(1))
        .next()
        .cloned();
    if next.is_none() {
        let span = multi_az.map_or(name.span, |on| on.span);
        checker.error_with(
            span,
            format!("{what} is Multi-AZ, but {region} has only one zone"),
            "declare a second zone",
        );
    }
    Some(Places {
        region,
        primary,
        standby: next,
    })
}

/// The replicas of `read-replicas`, then those that name `source` as theirs.
fn replicas(
    checker: &mut Checker<'_>,
    source: &At<String>,
    db: &DbInstanceSpec,
    places: Option<&Places>,
) -> Vec<ReadReplica> {
    let spec = checker.spec;
    let nested = db
        .read_replicas
        .iter()
        .map(|(name, replica)| (name, replica.availability_zone.as_ref(), true));
    let beside = spec
        .db_instances
        .iter()
        .filter(|(_, db)| {
            db.source_db_instance_identifier
                .as_ref()
                .is_some_and(|id| id.value == source.value)
        })
        .map(|(name, db)| (name, db.availability_zone.as_ref(), false));
    let written: Vec<_> = nested.chain(beside).collect();
    if let Some((name, ..)) = written.get(defaults::READ_REPLICAS_MAX) {
        let message = format!("`{}` has {} read replicas", source.value, written.len());
        checker.error_with(
            name.span,
            message,
            format!("AWS allows {}", defaults::READ_REPLICAS_MAX),
        );
    }
    let mut replicas = Vec::new();
    for (index, (name, zone, check_name)) in written.into_iter().enumerate() {
        if check_name {
            identifiers::name(checker, &identifiers::DB_INSTANCE, name);
        }
        let id = DbInstanceId::from(name.value.as_str());
        checker.take(
            name.value.clone(),
            &format!("the read replica `{id}`"),
            name.span,
        );
        let zone = match zone {
            Some(zone) => checker.zone(zone),
            None => places.and_then(|places| turn(checker, places, index)),
        };
        replicas.extend(zone.map(|availability_zone| ReadReplica {
            id,
            availability_zone,
        }));
    }
    replicas
}

/// The zone of the replica with this index: in turn, after those of primary and standby.
fn turn(checker: &Checker<'_>, places: &Places, index: usize) -> Option<ZoneId> {
    let zones = checker.zones_of(&places.region);
    let last = places.standby.as_ref().unwrap_or(&places.primary);
    let start = zones.iter().position(|zone| zone == last)?;
    zones
        .iter()
        .cycle()
        .nth(start % zones.len() + 1 + index % zones.len())
        .cloned()
}

fn port(checker: &mut Checker<'_>, db: &DbInstanceSpec) -> u16 {
    let Some(port) = &db.port else {
        return defaults::DB_PORT;
    };
    if port.value < defaults::DB_PORT_MIN {
        checker.error(
            port.span,
            format!(
                "port {} is out of range: AWS allows {} to 65535",
                port.value,
                defaults::DB_PORT_MIN
            ),
        );
    }
    port.value
}

fn account(checker: &mut Checker<'_>, db: &DbInstanceSpec) {
    for (what, written) in [
        ("database name", &db.db_name),
        ("master user name", &db.master_username),
    ] {
        if let Some(name) = written {
            role_name(checker, what, name);
        }
    }
    if let Some(user) = &db.master_username
        && (RESERVED_USERS.contains(&user.value.as_str()) || user.value.starts_with("pg_"))
    {
        checker.error_with(
            user.span,
            format!("`{}` is a reserved word", user.value),
            "choose another master user",
        );
    }
    if let Some(password) = &db.master_user_password {
        let length = password.value.chars().count();
        if !(8..=128).contains(&length) || !identifiers::printable(&password.value, "/'\"@") {
            checker.error_with(
                password.span,
                "this is not a master password that RDS takes",
                "8 to 128 printable characters without spaces, `/`, `'`, `\"` and `@`; leave it out to have one generated",
            );
        }
    }
    for (name, value) in db.parameters.iter() {
        let sound = name
            .value
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.".contains(&b));
        if !sound || name.value.is_empty() {
            checker.error(
                name.span,
                format!("`{}` is not a parameter's name", name.value.escape_debug()),
            );
        }
        if OWN_PARAMETERS.contains(&name.value.as_str()) {
            checker.error_with(
                name.span,
                format!("parameter `{}` is set by localaws", name.value),
                "leave it out",
            );
        }
        if value.value.0.chars().any(char::is_control) {
            checker.error(value.span, "a parameter has no control characters");
        }
    }
}

/// 1 to 63 letters, digits and underscores, a letter first (CreateDBInstance).
fn role_name(checker: &mut Checker<'_>, what: &str, name: &At<String>) {
    let sound = name
        .value
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let letter = name
        .value
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic());
    if !sound || !letter || name.value.len() > 63 {
        checker.error_with(
            name.span,
            format!("`{}` is not a {what}", name.value.escape_debug()),
            "1 to 63 letters, digits and underscores, a letter first",
        );
    }
}

/// A major version that is driven.
pub(super) fn version(
    checker: &mut Checker<'_>,
    written: Option<&At<Version>>,
    engine: &str,
    (least, most): (u16, u16),
) -> Option<u16> {
    let At {
        span,
        value: Version(major),
    } = written?;
    if !(least..=most).contains(major) {
        let span: Span = *span;
        checker.error_with(
            span,
            format!("{engine} {major} is not supported"),
            format!("versions {least} to {most} are"),
        );
    }
    Some(*major)
}
