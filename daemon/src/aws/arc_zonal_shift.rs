//! Application Recovery Controller's zonal shifts: load balancers that are kept away from a zone for a while (aws-behaviour §6.6).
//!
//! While a shift is in force the zone's node is left out of the load balancer's DNS answers and, with cross-zone on, the zone's targets
//! get nothing; connections that are open go on. `routes` makes it so, `control::shifts` ends it when its time is over. Nobody starts a
//! shift by itself here: there are no autoshifts and no practice runs. Zones go by their ids.

use std::time::Duration;

use serde_json::{Map, Value};
use topologies::event::EventKind;
use topologies::experiment::ExperimentStatus;
use topologies::id::{RegionId, ZonalShiftId, ZoneId};
use topologies::topology::LoadBalancer;
use topologies::zonal_shift::{ZonalShift, ZonalShiftStatus};
use wire::{Call, Fault, Record, page};

use super::input::text;
use super::{Change, Decision, Handler, Operations, View, elbv2, ids};

pub(super) const OPERATIONS: Operations = &[
    ("CancelZonalShift", Handler::Change(cancel)),
    ("GetManagedResource", Handler::Read(get_managed_resource)),
    (
        "ListManagedResources",
        Handler::Read(list_managed_resources),
    ),
    ("ListZonalShifts", Handler::Read(list)),
    ("StartZonalShift", Handler::Change(start)),
    ("UpdateZonalShift", Handler::Change(update)),
];

/// How long a shift may last: "1 min … 72 h" (aws-behaviour §6.6).
const EXPIRES_IN: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(72 * 60 * 60));

/// A load balancer that can be shifted, with its ARN.
type Managed<'a> = (String, &'a LoadBalancer);

fn start(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (arn, lb) = managed(view, text(input, "resourceIdentifier").unwrap_or_default())?;
    let away_from = zone(view, lb, text(input, "awayFrom").unwrap_or_default())?;
    let lasts = expires_in(view, text(input, "expiresIn").unwrap_or_default())?;
    let there = view.world.account.zonal_shifts.of(&lb.id);
    let mut changes = Vec::new();
    match there {
        None => {}
        // "manual > autoshift > FIS" (aws-behaviour §6.6).
        Some((id, it)) if it.by.is_some() => changes.extend(overridden(view, id, it)),
        Some((id, _)) => {
            let text = format!("There is an active zonal shift for {arn} already: {id}.");
            let fault = conflict(view, "ZonalShiftAlreadyExists", text);
            return Err(fault.member("zonalShiftId", id.as_str()));
        }
    }
    let shift = ZonalShift {
        load_balancer: lb.id.clone(),
        region: lb.region.clone(),
        away_from: away_from.clone(),
        started: view.moment(),
        expires: view.moment() + lasts,
        comment: text(input, "comment").unwrap_or_default().to_owned(),
        by: None,
        status: ZonalShiftStatus::Active,
    };
    let id = ZonalShiftId::from(ids::hyphenated(&view.draw("zonal-shift", 32)));
    let output = shown(view, &id, &shift);
    changes.push(started(id, shift));
    Ok((output, changes))
}

/// The event that begins a shift.
pub(super) fn started(id: ZonalShiftId, shift: ZonalShift) -> Change {
    Change::Note(EventKind::ZonalShiftStarted {
        shift: id,
        load_balancer: shift.load_balancer,
        region: shift.region,
        away_from: shift.away_from,
        started: shift.started,
        expires: shift.expires,
        comment: shift.comment,
        by: shift.by,
    })
}

/// An experiment's shift gives way to one that somebody asks for; the experiment is stopped.
fn overridden(view: &View<'_>, id: &ZonalShiftId, shift: &ZonalShift) -> Vec<Change> {
    let experiments = &view.world.account.experiments;
    let running = shift.by.as_ref().filter(|by| {
        let experiment = experiments.get(by.experiment.as_str());
        experiment
            .is_some_and(|it| !it.status().is_over() && it.status() != ExperimentStatus::Stopping)
    });
    let stopped = running.map(|by| EventKind::ExperimentStatusChanged {
        experiment: by.experiment.clone(),
        status: ExperimentStatus::Stopping,
        reason: Some("A zonal shift was started for its resource.".to_owned()),
    });
    let events = std::iter::once(ended(id, shift)).chain(stopped);
    events.map(Change::Note).collect()
}

/// The event that ends a shift before its time.
pub(super) fn ended(id: &ZonalShiftId, shift: &ZonalShift) -> EventKind {
    EventKind::ZonalShiftEnded {
        shift: id.clone(),
        load_balancer: shift.load_balancer.clone(),
        status: ZonalShiftStatus::Canceled,
    }
}

fn update(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (id, there) = changeable(view, input)?;
    let mut shift = there.clone();
    if let Some(written) = text(input, "expiresIn") {
        shift.expires = view.moment() + expires_in(view, written)?;
    }
    if let Some(comment) = text(input, "comment") {
        comment.clone_into(&mut shift.comment);
    }
    let output = shown(view, id, &shift);
    let updated = EventKind::ZonalShiftUpdated {
        shift: id.clone(),
        load_balancer: shift.load_balancer,
        expires: shift.expires,
        comment: shift.comment,
    };
    Ok((output, vec![Change::Note(updated)]))
}

fn cancel(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (id, there) = changeable(view, input)?;
    let canceled = ZonalShift {
        status: ZonalShiftStatus::Canceled,
        ..there.clone()
    };
    let ended = Change::Note(ended(id, there));
    Ok((shown(view, id, &canceled), vec![ended]))
}

/// A shift in force that somebody asked for.
fn changeable<'a>(
    view: &View<'a>,
    input: &Value,
) -> Result<(&'a ZonalShiftId, &'a ZonalShift), Fault> {
    let asked = text(input, "zonalShiftId").unwrap_or_default();
    let found = here(view).find(|(id, _)| id.as_str() == asked);
    let (id, shift) = found.ok_or_else(|| {
        let text = format!("Zonal shift {asked} was not found.");
        view.fault("ResourceNotFoundException", text)
    })?;
    if let Some(by) = &shift.by {
        let text = format!("The zonal shift {id} is part of the experiment {by}; stop that.");
        return Err(invalid(view, "FISExperimentUpdateNotAllowed", text));
    }
    if shift.status != ZonalShiftStatus::Active {
        let text = format!(
            "The zonal shift {id} is not active: it is {}.",
            shift.status
        );
        return Err(conflict(view, "ZonalShiftStatusNotActive", text));
    }
    Ok((id, shift))
}

fn list(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let (status, resource) = (text(input, "status"), text(input, "resourceIdentifier"));
    let mut shifts: Vec<_> = here(view).collect();
    shifts.retain(|(_, it)| {
        status.is_none_or(|status| it.status.as_str() == status)
            && resource.is_none_or(|resource| arn(view, it).as_deref() == Some(resource))
    });
    let page = page(call, input, &shifts, |(id, _)| id.as_str())?;
    let items = page
        .items
        .iter()
        .map(|(id, it)| shown(view, id, it).set("shiftType", kind(it)));
    let mut output = Record::new().list("items", items);
    page.write(&mut output);
    Ok(output)
}

fn list_managed_resources(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let managed = elbv2::shiftable(view);
    let page = page(call, input, &managed, |(arn, _)| arn.as_str())?;
    let items = page.items.iter().map(|(arn, lb)| {
        let zones = lb.zones.iter().map(ids::zone);
        resource(view, arn, lb)
            .list("availabilityZones", zones)
            .set("practiceRunStatus", "DISABLED")
    });
    let mut output = Record::new().list("items", items);
    page.write(&mut output);
    Ok(output)
}

fn get_managed_resource(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let (arn, lb) = managed(view, text(input, "resourceIdentifier").unwrap_or_default())?;
    Ok(resource(view, &arn, lb))
}

fn resource(view: &View<'_>, arn: &str, lb: &LoadBalancer) -> Record {
    let shift = view.world.account.zonal_shifts.of(&lb.id);
    let weights: Map<String, Value> = lb
        .zones
        .iter()
        .map(|zone| {
            let away = shift.is_some_and(|(_, it)| it.away_from == *zone);
            (ids::zone(zone), Value::from(if away { 0.0 } else { 1.0 }))
        })
        .collect();
    let shifts = shift.map(|(id, it)| {
        summary(view, id, it)
            .set("appliedStatus", "APPLIED")
            .set("shiftType", kind(it))
    });
    Record::new()
        .set("arn", arn)
        .set("name", lb.id.as_str())
        .set("appliedWeights", weights)
        .list("zonalShifts", shifts)
        .list("autoshifts", Vec::<Value>::new())
        .set("zonalAutoshiftStatus", "DISABLED")
}

/// The load balancer with an ARN, if it can be shifted.
fn managed<'a>(view: &View<'a>, named: &str) -> Result<Managed<'a>, Fault> {
    let mut all = elbv2::shiftable(view).into_iter();
    all.find(|(arn, _)| arn == named).ok_or_else(|| {
        let text = format!(
            "The resource {named} is not managed: it is not there, or its attribute zonal_shift.config.enabled is not true."
        );
        view.fault("ResourceNotFoundException", text)
    })
}

/// A zone of a load balancer by its id.
fn zone<'a>(view: &View<'_>, lb: &'a LoadBalancer, named: &str) -> Result<&'a ZoneId, Fault> {
    if let Some(zone) = lb.zones.iter().find(|zone| ids::zone(zone) == named) {
        return Ok(zone);
    }
    let zones: Vec<String> = lb.zones.iter().map(ids::zone).collect();
    let known = view.here().and_then(|region| ids::find_zone(region, named));
    let (reason, what) = match known {
        Some(zone) if ids::zone(zone) == named => ("UnsupportedAz", "not one of the resource's"),
        Some(_) | None => ("InvalidAz", "not the id of an Availability Zone"),
    };
    let text = format!(
        "{named} is {what}; the resource's are {}.",
        zones.join(", ")
    );
    Err(invalid(view, reason, text))
}

/// `30m`, `3h`.
fn expires_in(view: &View<'_>, text: &str) -> Result<Duration, Fault> {
    let parsed = text.char_indices().last().and_then(|(last, unit)| {
        let number: u64 = text[..last].parse().ok()?;
        let seconds = match unit {
            'm' => 60,
            'h' => 3_600,
            _ => return None,
        };
        number.checked_mul(seconds).map(Duration::from_secs)
    });
    let (least, most) = EXPIRES_IN;
    let parsed = parsed.filter(|it| (least..=most).contains(it));
    parsed.ok_or_else(|| {
        let text = format!("expiresIn must be 1m to 72h, not {text}.");
        invalid(view, "InvalidExpiresIn", text)
    })
}

/// The shifts of load balancers that are there.
fn here<'a>(view: &View<'a>) -> impl Iterator<Item = (&'a ZonalShiftId, &'a ZonalShift)> {
    let region = RegionId::from(view.region);
    let all = view.world.account.zonal_shifts.all();
    all.filter(move |(_, it)| it.region == region && arn(view, it).is_some())
}

fn arn(view: &View<'_>, shift: &ZonalShift) -> Option<String> {
    elbv2::arn_of(view, &shift.load_balancer)
}

fn shown(view: &View<'_>, id: &ZonalShiftId, shift: &ZonalShift) -> Record {
    summary(view, id, shift).set("status", shift.status.as_str())
}

fn summary(view: &View<'_>, id: &ZonalShiftId, shift: &ZonalShift) -> Record {
    Record::new()
        .set("zonalShiftId", id.as_str())
        .maybe("resourceIdentifier", arn(view, shift))
        .set("awayFrom", ids::zone(&shift.away_from))
        .time("startTime", view.wall(shift.started))
        .time("expiryTime", view.wall(shift.expires))
        .set("comment", shift.comment.as_str())
}

fn kind(shift: &ZonalShift) -> &'static str {
    match shift.by {
        None => "ZONAL_SHIFT",
        Some(_) => "FIS_EXPERIMENT",
    }
}

fn invalid(view: &View<'_>, reason: &str, text: String) -> Fault {
    view.fault("ValidationException", text)
        .member("reason", reason)
}

fn conflict(view: &View<'_>, reason: &str, text: String) -> Fault {
    view.fault("ConflictException", text)
        .member("reason", reason)
}
