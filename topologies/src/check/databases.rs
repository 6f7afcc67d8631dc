//! RDS DB instances and their read replicas.

use super::{Checker, identifiers, parameters, read_replicas};
use crate::defaults;
use crate::id::{DbInstanceId, RegionId, ZoneId};
use crate::notes::Span;
use crate::plan;
use crate::spec::{At, DbInstanceSpec};
use crate::topology::{DbInstance, Member};
use crate::yaml::values::Version;

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
            Some(source) => read_replicas::beside_source(checker, name, db, source),
            None => instances.extend(primary(checker, name, db)),
        }
    }
    instances
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
    let replicas = read_replicas::of(checker, name, db, places.as_ref());
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
    let zones = std::iter::once(primary).chain(standby);
    let hosts = zones.zip(1..).map(|(zone, number)| Member {
        id: plan::db_host(&id, number),
        zone,
    });
    Some(DbInstance {
        hosts: hosts.collect(),
        id,
        region,
        engine_version: version,
        port: db
            .port
            .as_ref()
            .map_or(defaults::DB_PORT, |port| port.value),
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

/// Where the hosts of a DB instance stand at first.
pub(super) struct Places {
    pub(super) region: RegionId,
    pub(super) primary: ZoneId,
    pub(super) standby: Option<ZoneId>,
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
    let standby = match secondary {
        Some(secondary) => {
            let standby = standby?;
            standby_apart(checker, name, (&primary, &standby), secondary);
            Some(standby)
        }
        None => next_zone(
            checker,
            &what,
            (&region, &primary),
            multi_az.map_or(name.span, |on| on.span),
        ),
    };
    Some(Places {
        region,
        primary,
        standby,
    })
}

/// Notes a standby beside its primary, or in another region.
fn standby_apart(
    checker: &mut Checker<'_>,
    name: &At<String>,
    (primary, standby): (&ZoneId, &ZoneId),
    written: &At<String>,
) {
    if standby == primary {
        checker.error_with(
            written.span,
            format!(
                "primary and standby of `{}` are both in {primary}",
                name.value
            ),
            "a standby survives the loss of a zone only in another one",
        );
    } else if checker.region_of(standby) != checker.region_of(primary) {
        checker.error_with(
            written.span,
            format!(
                "primary and standby of `{}` are in different regions",
                name.value
            ),
            "a Multi-AZ standby is in its primary's region; elsewhere there can be a read replica",
        );
    }
}

/// The zone after the primary's, for a standby.
fn next_zone(
    checker: &mut Checker<'_>,
    what: &str,
    (region, primary): (&RegionId, &ZoneId),
    span: Span,
) -> Option<ZoneId> {
    let zones = checker.zones_of(region);
    let own = zones
        .iter()
        .position(|zone| zone == primary)
        .unwrap_or_default();
    let next = zones
        .iter()
        .cycle()
        .nth(own + 1)
        .filter(|zone| *zone != primary)
        .cloned();
    if next.is_none() {
        checker.error_with(
            span,
            format!("{what} is Multi-AZ, but {region} has only one zone"),
            "declare a second zone",
        );
    }
    next
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
        && (defaults::RESERVED_USERS.contains(&user.value.as_str())
            || user.value.starts_with("pg_"))
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
    parameters::known(checker, &db.parameters.0);
    parameters::settable(checker, &db.parameters.0);
    if db.multi_az.as_ref().is_some_and(|on| on.value) {
        parameters::waiting(checker, &db.parameters.0);
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
