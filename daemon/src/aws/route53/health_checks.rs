//! Health checks: what the outside of the stack asks, and what it found.

mod config;

use serde_json::{Value, json};
use topologies::edit::Edit;
use topologies::event::EventKind;
use topologies::id::HealthCheckId;
use topologies::topology::{HealthCheck, HealthCheckKind};
use topologies::world::health_check::{DEPTH_MAX, checked};
use wire::{Call, Fault, Record};

use super::{nowhere, pages, tags};
use crate::aws::input::{only, text};
use crate::aws::{Change, Decision, View, ids, region};

use config::{config, read};

/// What CreateHealthCheck was asked beyond what the topology knows, and how often it was changed.
const CREATED: &str = "route53:healthcheck";

/// The id of a health check: a UUID, that of the topology file's by their names.
pub(crate) fn uuid(id: &HealthCheckId) -> String {
    let name = id.as_str();
    if is_uuid(name) {
        return name.to_owned();
    }
    ids::hyphenated(&ids::digits("healthcheck", name, 32))
}

fn is_uuid(name: &str) -> bool {
    let parts: Vec<usize> = name.split('-').map(str::len).collect();
    let digits = |byte: u8| byte == b'-' || byte.is_ascii_hexdigit();
    parts == [8, 4, 4, 4, 12] && name.bytes().all(digits)
}

pub(super) fn find<'a>(view: &View<'a>, id: &str) -> Result<&'a HealthCheck, Fault> {
    let mut checks = view.topology().health_checks.iter();
    checks.find(|check| uuid(&check.id) == id).ok_or_else(|| {
        let text = format!("A health check with id {id} does not exist.");
        view.fault("NoSuchHealthCheck", text)
    })
}

fn named<'a>(view: &View<'a>, input: &Value) -> Result<&'a HealthCheck, Fault> {
    find(view, text(input, "HealthCheckId").unwrap_or_default())
}

pub(super) fn get(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let check = named(view, input)?;
    Ok(Record::new().set("HealthCheck", shown(view, check)))
}

pub(super) fn count(view: &View<'_>, _: &Call<'_>, _: &Value) -> Result<Record, Fault> {
    let count = view.topology().health_checks.len();
    Ok(Record::new().set("HealthCheckCount", count))
}

pub(super) fn list(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let checks = view.topology().health_checks.iter();
    let checks = checks.map(|check| (uuid(&check.id), check)).collect();
    let shown = |check: &&HealthCheck| shown(view, check);
    pages::by_id(view, call, input, checks, ("HealthChecks", shown))
}

/// One checker tells: all of them stand outside of the stack, at one place. Healthy until enough was seen (aws-behaviour §6.4).
pub(super) fn status(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let check = named(view, input)?;
    let seen = match check.kind {
        HealthCheckKind::Endpoint(_) => view.world.health_checks.get(&check.id).copied(),
        HealthCheckKind::Alarm(_) => {
            Some(checked(view.topology(), view.world, &check.id) != check.inverted)
        }
        HealthCheckKind::Calculated { .. } => {
            let text =
                "The status of a CALCULATED health check can't be got by GetHealthCheckStatus.";
            return Err(view.fault("InvalidInput", text));
        }
    };
    let status = match seen {
        Some(false) => "Failure: the endpoint did not pass the last checks",
        Some(true) => "Success: the endpoint passed the last checks",
        None => "Success: not enough was seen yet",
    };
    let observation = Record::new()
        .set("Region", region(view.topology()))
        .set("StatusReport", Record::new().set("Status", status));
    Ok(Record::new().list("HealthCheckObservations", [observation]))
}

pub(super) fn create(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let reference = text(input, "CallerReference").unwrap_or_default();
    let config = &input["HealthCheckConfig"];
    let digits = view.draw("healthcheck", 32);
    let id = HealthCheckId::from(ids::hyphenated(&digits));
    let check = read(view, id, config)?;
    let mut checks = view.topology().health_checks.iter();
    if let Some(there) = checks.find(|it| caller_reference(view, it) == reference) {
        let same = HealthCheck {
            id: there.id.clone(),
            ..check
        };
        if same == *there {
            return Ok((created(view, there, shown(view, there)), Vec::new()));
        }
        let text =
            "A health check with the same caller reference and different settings exists already.";
        return Err(view.fault("HealthCheckAlreadyExists", text));
    }
    if view.topology().health_checks.len() >= DEPTH_MAX {
        let text = format!("The limit of {DEPTH_MAX} health checks is reached.");
        return Err(view.fault("TooManyHealthChecks", text));
    }
    let shown = describe(&check, reference, 1);
    let output = created(view, &check, shown);
    let changes = put(check, reference, 1, "route53:CreateHealthCheck");
    Ok((output, changes))
}

fn created(view: &View<'_>, check: &HealthCheck, shown: Record) -> Record {
    let id = uuid(&check.id);
    let place = format!(
        "https://route53.{}/2013-04-01/healthcheck/{id}",
        view.topology().suffix
    );
    Record::new()
        .set("HealthCheck", shown)
        .set("Location", place)
}

/// Interval and protocol stay as they were created (UpdateHealthCheck).
pub(super) fn update(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let built = [
        "HealthCheckId",
        "HealthCheckVersion",
        "IPAddress",
        "Port",
        "ResourcePath",
        "FullyQualifiedDomainName",
        "SearchString",
        "FailureThreshold",
        "Inverted",
        "Disabled",
        "HealthThreshold",
        "ChildHealthChecks",
        "AlarmIdentifier",
        "InsufficientDataHealthStatus",
    ];
    only("UpdateHealthCheck", input, &built)?;
    let old = named(view, input)?;
    let version = version(view, old);
    if input["HealthCheckVersion"]
        .as_i64()
        .is_some_and(|asked| asked != version)
    {
        let text = "The value of HealthCheckVersion in the request doesn't match the value of HealthCheckVersion in the health check.";
        return Err(view.fault("HealthCheckVersionMismatch", text));
    }
    let Value::Object(mut config) = Value::from(config(old)) else {
        return Err(Fault::receiver(
            "InternalFailure",
            "a health check is an object",
        ));
    };
    for (name, value) in input.as_object().into_iter().flatten() {
        if !["HealthCheckId", "HealthCheckVersion"].contains(&name.as_str()) {
            config.insert(name.clone(), value.clone());
        }
    }
    let check = read(view, old.id.clone(), &Value::Object(config))?;
    let (reference, version) = (caller_reference(view, old), version + 1);
    let output = Record::new().set("HealthCheck", describe(&check, &reference, version));
    Ok((
        output,
        put(check, &reference, version, "route53:UpdateHealthCheck"),
    ))
}

pub(super) fn delete(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let check = named(view, input)?;
    let records = view
        .topology()
        .hosted_zones
        .iter()
        .flat_map(|zone| &zone.records);
    let mut users = records.filter(|record| record.health_check.as_ref() == Some(&check.id));
    if let Some(user) = users.next() {
        let text = format!(
            "The health check {} is in use by the record {}.",
            uuid(&check.id),
            user.name
        );
        return Err(view.fault("HealthCheckInUse", text));
    }
    let mut parents = view.topology().health_checks.iter();
    if let Some(parent) = parents.find(|it| it.children().contains(&check.id)) {
        let text = format!(
            "The health check {} is in use by the health check {}.",
            uuid(&check.id),
            uuid(&parent.id)
        );
        return Err(view.fault("HealthCheckInUse", text));
    }
    let edited = EventKind::TopologyEdited {
        by: "route53:DeleteHealthCheck".to_owned(),
        edits: vec![Edit::RemoveHealthCheck(check.id.clone())],
    };
    let forgotten = EventKind::ResourceForgotten {
        resource: CREATED.to_owned(),
        region: nowhere(),
        id: check.id.to_string(),
        arn: tags::arn(view, "healthcheck", &uuid(&check.id)),
    };
    let changes = vec![Change::Note(edited), Change::Note(forgotten)];
    Ok((Record::new(), changes))
}

fn put(check: HealthCheck, reference: &str, version: i64, by: &str) -> Vec<Change> {
    let recorded = EventKind::ResourceRecorded {
        resource: CREATED.to_owned(),
        region: nowhere(),
        id: check.id.to_string(),
        attributes: json!({ "CallerReference": reference, "HealthCheckVersion": version }),
    };
    let edited = EventKind::TopologyEdited {
        by: by.to_owned(),
        edits: vec![Edit::PutHealthCheck(Box::new(check))],
    };
    vec![Change::Note(recorded), Change::Note(edited)]
}

fn describe(check: &HealthCheck, reference: &str, version: i64) -> Record {
    let flags = ["MeasureLatency", "EnableSNI"];
    let endpoint = matches!(check.kind, HealthCheckKind::Endpoint(_));
    let flags = flags.iter().filter(|_| endpoint);
    let config = flags.fold(config(check), |config, name| config.set(name, false));
    Record::new()
        .set("Id", uuid(&check.id))
        .set("CallerReference", reference)
        .set("HealthCheckConfig", config)
        .set("HealthCheckVersion", version)
}

fn shown(view: &View<'_>, check: &HealthCheck) -> Record {
    let reference = caller_reference(view, check);
    describe(check, &reference, version(view, check))
}

fn recorded<'a>(view: &View<'a>, check: &HealthCheck, name: &str) -> Option<&'a Value> {
    let account = &view.world.account;
    let record = account.resource(CREATED, &nowhere(), check.id.as_str())?;
    record.attributes.get(name)
}

/// A health check of the topology file is its own reference.
fn caller_reference(view: &View<'_>, check: &HealthCheck) -> String {
    let recorded = recorded(view, check, "CallerReference").and_then(Value::as_str);
    recorded.unwrap_or(check.id.as_str()).to_owned()
}

fn version(view: &View<'_>, check: &HealthCheck) -> i64 {
    let recorded = recorded(view, check, "HealthCheckVersion");
    recorded.and_then(Value::as_i64).unwrap_or(1)
}
