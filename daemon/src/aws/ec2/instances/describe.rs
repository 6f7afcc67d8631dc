//! DescribeInstances and DescribeInstanceStatus.

use std::time::Duration;

use serde_json::Value;
use topologies::id::RegionId;
use topologies::plan::Instance;
use wire::{Call, Fault, Record, page};

use super::shown::{record, reservation, state_record};
use super::{RUNNING, TERMINATED, applications, not_found, service_of, state};
use crate::aws::ec2::filter::{self, Shown};
use crate::aws::input::{is_on, texts};
use crate::aws::{View, ids};

/// How long a terminated instance is shown: "usually for an hour" ("Terminate Amazon EC2 instances").
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

pub(in crate::aws::ec2) fn describe(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let mut all = all(view);
    let asked = texts(input, "InstanceIds");
    for id in &asked {
        if !all.iter().any(|it| it.id == *id) {
            return Err(not_found(&[id]));
        }
    }
    all.retain(|it| asked.is_empty() || asked.contains(&it.id.as_str()));
    let kept = filter::keep(input, all)?;
    let page = page(call, input, &kept, |it| it.id.as_str())?;
    // One reservation for each launch; those of the file were one launch for each group.
    let mut reservations: Vec<(String, Vec<Record>)> = Vec::new();
    for shown in page.items {
        let record = shown.record.clone();
        match reservations.iter_mut().find(|(id, _)| *id == shown.group) {
            Some((_, instances)) => instances.push(record),
            None => reservations.push((shown.group.clone(), vec![record])),
        }
    }
    let reservations = reservations
        .into_iter()
        .map(|(id, instances)| reservation(view, &id, instances));
    let mut output = Record::new().list("Reservations", reservations);
    page.write(&mut output);
    Ok(output)
}

pub(in crate::aws::ec2) fn describe_status(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let asked = texts(input, "InstanceIds");
    let every = is_on(input, "IncludeAllInstances");
    let mut statuses: Vec<(String, Record)> = Vec::new();
    for instance in applications(view) {
        let id = ids::instance(&instance.id);
        let state = state(view, &instance.id);
        let wanted = asked.is_empty() || asked.contains(&id.as_str());
        if !wanted || (!every && state != RUNNING) {
            continue;
        }
        let check = if state == RUNNING {
            "ok"
        } else {
            "not-applicable"
        };
        let summary = || Record::new().set("Status", check);
        let status = Record::new()
            .set("InstanceId", id.as_str())
            .set("AvailabilityZone", instance.zone.as_str())
            .set("InstanceState", state_record(state))
            .set("InstanceStatus", summary())
            .set("SystemStatus", summary());
        statuses.push((id, status));
    }
    let known = |id: &&&str| !statuses.iter().any(|(it, _)| it == *id);
    if every && let Some(lost) = asked.iter().find(known) {
        return Err(not_found(&[lost]));
    }
    statuses.sort_by(|(one, _), (other, _)| one.cmp(other));
    let page = page(call, input, &statuses, |(id, _)| id.as_str())?;
    let shown = page.items.iter().map(|(_, status)| status.clone());
    let mut output = Record::new().list("InstanceStatuses", shown);
    page.write(&mut output);
    Ok(output)
}

/// Every instance that is shown in this region, by its id.
pub(in crate::aws::ec2) fn all(view: &View<'_>) -> Vec<Shown> {
    let mut all: Vec<Shown> = applications(view)
        .map(|instance| Shown {
            id: ids::instance(&instance.id),
            group: reservation_of(view, instance),
            record: record(view, instance, state(view, &instance.id)),
        })
        .collect();
    let region = RegionId::from(view.region);
    let since = view.now - i64::try_from(REMEMBERED.as_millis()).unwrap_or(i64::MAX);
    for (id, gone) in view.world.account.resources(TERMINATED, &region) {
        let there = all.iter().any(|it| it.id == id);
        if !there && view.wall(gone.created) > since {
            all.push(Shown {
                id: id.to_owned(),
                group: ids::derived("r", id),
                record: Record::from_value(&gone.attributes),
            });
        }
    }
    all.sort_by(|one, other| one.id.cmp(&other.id));
    all
}

fn reservation_of(view: &View<'_>, instance: &Instance) -> String {
    match service_of(view, instance) {
        Some(service) if ids::is_one(service.id.as_str(), "r") => service.id.to_string(),
        Some(service) => ids::derived("r", service.id.as_str()),
        None => ids::derived("r", instance.id.as_str()),
    }
}
