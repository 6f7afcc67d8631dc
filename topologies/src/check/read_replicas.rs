//! Read replicas, declared below their source or beside it.

use super::databases::Places;
use super::{Checker, identifiers};
use crate::defaults;
use crate::id::{DbInstanceId, ZoneId};
use crate::spec::{At, DbInstanceSpec};
use crate::topology::ReadReplica;

/// A replica that is declared beside its source says where it is and nothing else.
pub(super) fn beside_source(
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
    fields_of_source(checker, name, db, source);
}

/// Notes fields that a read replica has from its source.
fn fields_of_source(
    checker: &mut Checker<'_>,
    name: &At<String>,
    db: &DbInstanceSpec,
    source: &At<String>,
) {
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

/// The replicas of `read-replicas`, then those that name `source` as theirs.
pub(super) fn of(
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
