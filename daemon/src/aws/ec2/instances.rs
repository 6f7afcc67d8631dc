//! Instances: application instances of the stack, those of the topology file and those that EC2 was asked to run.
//!
//! A state is what was asked for and what the host reported, together ("Amazon EC2 instance state changes"); nothing is shown that
//! did not happen. A terminated instance is shown for an hour, as EC2 does.

use std::time::Duration;

use serde_json::Value;
use topologies::edit::Edit;
use topologies::event::EventKind;
use topologies::id::{InstanceId, RegionId, ServiceId, ZoneId};
use topologies::plan::{Instance, InstanceKind};
use topologies::topology::{Member, Service};
use topologies::world::{ProcessState, Wanted};
use wire::{Call, Fault, Record, page};

use super::filter::{self, Shown};
use super::tags;
use crate::aws::{Change, Decision, View, ids};

/// What is kept of an instance that was terminated.
const TERMINATED: &str = "ec2:terminated-instance";
/// What RunInstances was asked beyond what the topology knows.
const LAUNCHED: &str = "ec2:instance";
/// How long a terminated instance is shown: "usually for an hour" ("Terminate Amazon EC2 instances").
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// The type of an instance that nobody gave one.
const INSTANCE_TYPE: &str = "t3.micro";
/// Instances of one RunInstances at most: the addresses of a zone.
const COUNT_MAX: i64 = 240;

/// The states of an instance, with their codes.
const PENDING: (i64, &str) = (0, "pending");
const RUNNING: (i64, &str) = (16, "running");
const SHUTTING_DOWN: (i64, &str) = (32, "shutting-down");
const GONE: (i64, &str) = (48, "terminated");
const STOPPING: (i64, &str) = (64, "stopping");
const STOPPED: (i64, &str) = (80, "stopped");

pub(super) fn describe(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let mut all = all(view);
    let asked = texts(&input["InstanceIds"]);
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

pub(super) fn describe_status(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let asked = texts(&input["InstanceIds"]);
    let every = input["IncludeAllInstances"] == true;
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

pub(super) fn run(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (min, max) = (count(&input["MinCount"]), count(&input["MaxCount"]));
    if min < 1 || max < min || max > COUNT_MAX {
        let text = format!(
            "Value ({max}) for parameter MaxCount is invalid: 1 to {COUNT_MAX}, not less than MinCount."
        );
        return Err(Fault::sender("InvalidParameterValue", text));
    }
    if let Some(token) = input["ClientToken"].as_str()
        && let Some(launched) = launched_by(view, token)
    {
        return Ok((launched, Vec::new()));
    }
    let image = input["ImageId"].as_str().unwrap_or_default();
    let mut services = view.topology().services.iter();
    let Some(template) = services.find(|service| ids::image(service) == image) else {
        let text = format!("The image id '[{image}]' does not exist");
        return Err(Fault::sender("InvalidAMIID.NotFound", text));
    };
    let zone = zone(view, input)?;
    let reservation_id = format!("r-{}", view.draw("reservation", 17));
    let members: Vec<Member> = (0..max)
        .map(|index| Member {
            id: InstanceId::from(format!("i-{}", view.draw(&format!("instance {index}"), 17))),
            zone: zone.clone(),
        })
        .collect();
    let service = Service {
        id: ServiceId::from(reservation_id.as_str()),
        instances: members.clone(),
        ..template.clone()
    };
    let mut changes = vec![Change::Note(EventKind::TopologyEdited {
        by: "ec2:RunInstances".to_owned(),
        edits: vec![Edit::PutService(Box::new(service))],
    })];
    let mut instances = Vec::new();
    for (index, member) in members.iter().enumerate() {
        changes.extend(launch(view, input, member, index, &reservation_id));
        instances.push(pending(view, input, member, index, image));
    }
    Ok((reservation(view, &reservation_id, instances), changes))
}

/// What is recorded of an instance that is launched: the echoes, and its tags.
fn launch(
    view: &View<'_>,
    input: &Value,
    member: &Member,
    index: usize,
    reservation: &str,
) -> Vec<Change> {
    let attributes = serde_json::json!({
        "InstanceType": kind(input),
        "ClientToken": input["ClientToken"].as_str().unwrap_or_default(),
        "AmiLaunchIndex": index,
        "ReservationId": reservation,
        "LaunchTime": view.now,
    });
    let recorded = EventKind::ResourceRecorded {
        resource: LAUNCHED.to_owned(),
        region: RegionId::from(view.region),
        id: member.id.to_string(),
        attributes,
    };
    let tags = launch_tags(input);
    let tagged = (!tags.is_empty()).then(|| EventKind::TagsChanged {
        arn: tags::arn(view, "instance", member.id.as_str()),
        tags: tags.into_iter().collect(),
    });
    [Some(recorded), tagged]
        .into_iter()
        .flatten()
        .map(Change::Note)
        .collect()
}

pub(super) fn stop(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    transition(view, input, "StoppingInstances", Wanted::Stopped, |state| {
        matches!(state, PENDING | RUNNING)
    })
}

pub(super) fn start(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    for instance in named(view, input)? {
        let state = state(view, &instance.id);
        if state == STOPPING || state == SHUTTING_DOWN {
            let id = ids::instance(&instance.id);
            let text =
                format!("The instance '{id}' is not in a state from which it can be started.");
            return Err(Fault::sender("IncorrectInstanceState", text));
        }
    }
    transition(view, input, "StartingInstances", Wanted::Running, |state| {
        state == STOPPED
    })
}

pub(super) fn terminate(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (output, mut changes) = transition(
        view,
        input,
        "TerminatingInstances",
        Wanted::Terminated,
        |state| state != SHUTTING_DOWN,
    )?;
    for instance in named(view, input)? {
        let id = ids::instance(&instance.id);
        let shown = record(view, instance, GONE);
        changes.push(Change::Note(EventKind::ResourceRecorded {
            resource: TERMINATED.to_owned(),
            region: RegionId::from(view.region),
            id,
            attributes: Value::from(shown),
        }));
    }
    Ok((output, changes))
}

/// Stops and starts at once: a program is ended as it is when it is stopped, and started again with the same data and address.
pub(super) fn reboot(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let mut changes = Vec::new();
    for instance in named(view, input)? {
        match state(view, &instance.id) {
            RUNNING => changes.extend([Wanted::Stopped, Wanted::Running].map(|wanted| {
                Change::Note(EventKind::InstanceWanted {
                    instance: instance.id.clone(),
                    wanted,
                })
            })),
            // "Requests to reboot terminated instances are ignored" (RebootInstances); one that starts comes up fresh.
            PENDING | SHUTTING_DOWN => {}
            _ => {
                let id = ids::instance(&instance.id);
                let text = format!("The instance '{id}' is not in the 'running' state.");
                return Err(Fault::sender("IncorrectInstanceState", text));
            }
        }
    }
    Ok((Record::new(), changes))
}

/// Asks something else of instances; those that are that way already stay so, which is no error.
fn transition(
    view: &View<'_>,
    input: &Value,
    list: &str,
    wanted: Wanted,
    changes_from: impl Fn((i64, &str)) -> bool,
) -> Result<Decision, Fault> {
    let mut changes = Vec::new();
    let mut shown = Vec::new();
    for instance in named(view, input)? {
        let before = state(view, &instance.id);
        let after = if changes_from(before) {
            changes.push(Change::Note(EventKind::InstanceWanted {
                instance: instance.id.clone(),
                wanted,
            }));
            of(wanted, process(view, &instance.id))
        } else {
            before
        };
        let record = Record::new()
            .set("InstanceId", ids::instance(&instance.id))
            .set("CurrentState", state_record(after))
            .set("PreviousState", state_record(before));
        shown.push(record);
    }
    Ok((Record::new().list(list, shown), changes))
}

/// The instances that are named, all of which must be there.
fn named<'v>(view: &View<'v>, input: &Value) -> Result<Vec<&'v Instance>, Fault> {
    let asked = texts(&input["InstanceIds"]);
    let mut found: Vec<&Instance> = Vec::new();
    let mut lost = Vec::new();
    for id in &asked {
        match here(view, ids::find_instance(view.plan, id)) {
            Some(instance) if found.iter().any(|it| it.id == instance.id) => {}
            Some(instance) => found.push(instance),
            None => lost.push(*id),
        }
    }
    if lost.is_empty() {
        Ok(found)
    } else {
        Err(not_found(&lost))
    }
}

/// An instance, if it is one of the region that was called.
fn here<'v>(view: &View<'v>, instance: Option<&'v Instance>) -> Option<&'v Instance> {
    let region = view.here()?;
    instance.filter(|it| region.zones.iter().any(|zone| zone.id == it.zone))
}

pub(super) fn not_found(lost: &[&str]) -> Fault {
    let (noun, verb) = match lost {
        [_] => ("ID", "does"),
        _ => ("IDs", "do"),
    };
    let text = format!("The instance {noun} '{}' {verb} not exist", lost.join(", "));
    Fault::sender("InvalidInstanceID.NotFound", text)
}

/// Every instance that is shown in this region, by its id.
pub(super) fn all(view: &View<'_>) -> Vec<Shown> {
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

fn applications<'v>(view: &View<'v>) -> impl Iterator<Item = &'v Instance> + use<'v> {
    let region = view.here();
    view.plan.instances.iter().filter(move |instance| {
        let here = |region: &topologies::topology::Region| {
            region.zones.iter().any(|zone| zone.id == instance.zone)
        };
        matches!(instance.kind, InstanceKind::App(_)) && region.is_some_and(here)
    })
}

fn service_of<'v>(view: &View<'v>, instance: &Instance) -> Option<&'v Service> {
    let InstanceKind::App(id) = &instance.kind else {
        return None;
    };
    view.plan.topology.services.iter().find(|it| it.id == *id)
}

fn reservation_of(view: &View<'_>, instance: &Instance) -> String {
    match service_of(view, instance) {
        Some(service) if ids::is_one(service.id.as_str(), "r") => service.id.to_string(),
        Some(service) => ids::derived("r", service.id.as_str()),
        None => ids::derived("r", instance.id.as_str()),
    }
}

fn reservation(view: &View<'_>, id: &str, instances: Vec<Record>) -> Record {
    Record::new()
        .set("ReservationId", id)
        .set("OwnerId", view.account)
        .list("Groups", Vec::<Record>::new())
        .list("Instances", instances)
}

fn process<'v>(view: &View<'v>, id: &InstanceId) -> Option<&'v ProcessState> {
    view.world.instances.get(id).map(|state| &state.process)
}

/// The instance's state: what was asked for, and what its host reported.
pub(super) fn state(view: &View<'_>, id: &InstanceId) -> (i64, &'static str) {
    let wanted = view.world.instances.get(id).map(|state| state.wanted);
    wanted.map_or(GONE, |wanted| of(wanted, process(view, id)))
}

fn of(wanted: Wanted, process: Option<&ProcessState>) -> (i64, &'static str) {
    let runs = matches!(process, Some(ProcessState::Running { .. }));
    match (wanted, runs) {
        (Wanted::Running, true) => RUNNING,
        (Wanted::Running, false) => PENDING,
        (Wanted::Stopped, true) => STOPPING,
        (Wanted::Stopped, false) => STOPPED,
        (Wanted::Terminated, _) => SHUTTING_DOWN,
    }
}

fn state_record((code, name): (i64, &str)) -> Record {
    Record::new().set("Code", code).set("Name", name)
}

fn record(view: &View<'_>, instance: &Instance, state: (i64, &str)) -> Record {
    let id = ids::instance(&instance.id);
    let region = RegionId::from(view.region);
    let launched = view.world.account.resource(LAUNCHED, &region, &id);
    let attribute = |name: &str| launched.map(|it| &it.attributes[name]);
    let kind = attribute("InstanceType").and_then(Value::as_str);
    let since = attribute("LaunchTime").and_then(Value::as_i64);
    let image = service_of(view, instance).map(ids::image);
    let address = instance
        .address
        .seen_from(topologies::address::ZoneNumber::OUTSIDE);
    let tags = tags::of(view, "instance", &id, called(instance, &id));
    common(
        view,
        &id,
        &instance.zone,
        kind.unwrap_or(INSTANCE_TYPE),
        state,
    )
    .maybe("ImageId", image)
    .set("PrivateIpAddress", address.to_string())
    .set("PrivateDnsName", dns_name(view, &address.to_string()))
    .set(
        "AmiLaunchIndex",
        attribute("AmiLaunchIndex")
            .cloned()
            .unwrap_or(Value::from(0)),
    )
    .maybe("ClientToken", attribute("ClientToken").cloned())
    .time("LaunchTime", since.unwrap_or(view.facts.epoch))
    .list("Tags", tags::shown(&tags))
}

/// What is said of an instance whose address is not known yet.
fn pending(view: &View<'_>, input: &Value, member: &Member, index: usize, image: &str) -> Record {
    let tags = launch_tags(input);
    let tags = tags.iter().map(|(key, value)| tag(key, value));
    common(view, member.id.as_str(), &member.zone, kind(input), PENDING)
        .set("ImageId", image)
        .set("AmiLaunchIndex", index)
        .maybe("ClientToken", input["ClientToken"].as_str())
        .time("LaunchTime", view.now)
        .list("Tags", tags)
}

fn common(view: &View<'_>, id: &str, zone: &ZoneId, kind: &str, state: (i64, &str)) -> Record {
    Record::new()
        .set("InstanceId", id)
        .set("InstanceType", kind)
        .set("State", state_record(state))
        .set("Architecture", "x86_64")
        .set("VirtualizationType", "hvm")
        .set("RootDeviceType", "ebs")
        .set("Monitoring", Record::new().set("State", "disabled"))
        .set(
            "Placement",
            Record::new()
                .set("AvailabilityZone", zone.as_str())
                .set("Tenancy", "default"),
        )
        .set("SubnetId", ids::subnet(zone))
        .set("VpcId", ids::vpc(view.region))
}

/// `ip-127-64-1-12.ap-northeast-2.compute.internal` ("Private DNS names for your EC2 instances").
fn dns_name(view: &View<'_>, address: &str) -> String {
    format!(
        "ip-{}.{}.compute.internal",
        address.replace('.', "-"),
        view.region
    )
}

fn tag(key: &str, value: &str) -> Record {
    Record::new().set("Key", key).set("Value", value)
}

/// What the topology file calls an instance that it has.
fn called<'i>(instance: &'i Instance, id: &str) -> Option<&'i str> {
    Some(instance.id.as_str()).filter(|name| *name != id)
}

/// The ids of the region's instances, and what the topology file calls them.
pub(super) fn names<'v>(
    view: &View<'v>,
) -> impl Iterator<Item = (String, Option<String>)> + use<'v> {
    applications(view).map(|instance| {
        let id = ids::instance(&instance.id);
        let called = called(instance, &id).map(str::to_owned);
        (id, called)
    })
}

fn launch_tags(input: &Value) -> Vec<(String, String)> {
    let specifications = input["TagSpecifications"].as_array().into_iter().flatten();
    let own = specifications.filter(|it| it["ResourceType"] == "instance");
    let tags = own.flat_map(|it| it["Tags"].as_array().into_iter().flatten());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    tags.map(|tag| (text(&tag["Key"]), text(&tag["Value"])))
        .collect()
}

fn kind(input: &Value) -> &str {
    input["InstanceType"].as_str().unwrap_or(INSTANCE_TYPE)
}

fn count(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// Where to run: the zone, or that of the subnet, that was named; else the region's first.
fn zone(view: &View<'_>, input: &Value) -> Result<ZoneId, Fault> {
    let zones = view.here().map(|region| region.zones.as_slice());
    let zones = zones.unwrap_or_default();
    let placement = input["Placement"]["AvailabilityZone"].as_str();
    let subnet = input["SubnetId"].as_str();
    let found = zones.iter().find(|zone| {
        placement.is_none_or(|named| zone.id.as_str() == named)
            && subnet.is_none_or(|named| ids::subnet(&zone.id) == named)
    });
    found
        .map(|zone| zone.id.clone())
        .ok_or_else(|| match (subnet, placement) {
            (Some(subnet), _) => {
                let text = format!("The subnet ID '{subnet}' does not exist");
                Fault::sender("InvalidSubnetID.NotFound", text)
            }
            (None, zone) => {
                let zone = zone.unwrap_or(view.region);
                let text = format!("Value ({zone}) for parameter availabilityZone is invalid.");
                Fault::sender("InvalidParameterValue", text)
            }
        })
}

/// The zones in which a call would start instances; none if it is wrong in other ways.
pub(super) fn starts_in(view: &View<'_>, operation: &str, input: &Value) -> Vec<ZoneId> {
    match operation {
        "RunInstances" => zone(view, input).into_iter().collect(),
        "StartInstances" => {
            let named = named(view, input).into_iter().flatten();
            named.map(|it| it.zone.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// The launch that was asked for with this token before ("Ensuring idempotency in Amazon EC2 API requests").
fn launched_by(view: &View<'_>, token: &str) -> Option<Record> {
    let region = RegionId::from(view.region);
    let launches = view.world.account.resources(LAUNCHED, &region);
    let own = launches.filter(|(_, it)| it.attributes["ClientToken"] == token);
    let own: Vec<_> = own.collect();
    let id = own.first()?.1.attributes["ReservationId"].as_str()?;
    let instances = own.iter().filter_map(|(id, _)| {
        let instance = ids::find_instance(view.plan, id)?;
        Some(record(view, instance, state(view, &instance.id)))
    });
    let instances = instances.collect();
    Some(reservation(view, id, instances))
}

pub(super) fn texts(value: &Value) -> Vec<&str> {
    let all = value.as_array().into_iter().flatten();
    all.filter_map(Value::as_str).collect()
}
