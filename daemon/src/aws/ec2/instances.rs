//! Instances: application instances of the stack, those of the topology file and those that EC2 was asked to run.
//!
//! A state is what was asked for and what the host reported, together ("Amazon EC2 instance state changes"); nothing is shown that
//! did not happen. A terminated instance is shown for an hour, as EC2 does.

mod attributes;
mod describe;
mod run;
mod shown;
mod transitions;

use serde_json::Value;
use topologies::id::{InstanceId, ZoneId};
use topologies::plan::{Instance, InstanceKind};
use topologies::topology::{Region, Service};
use topologies::world::{ProcessState, Wanted};
use wire::Fault;

use crate::aws::input::texts;
use crate::aws::{View, ids};

pub(super) use attributes::modify as modify_attribute;
pub(super) use describe::{all, describe, describe_status};
pub(super) use run::run;
pub(super) use transitions::{reboot, start, stop, terminate};

/// What is kept of an instance that was terminated.
const TERMINATED: &str = "ec2:terminated-instance";
/// What RunInstances was asked beyond what the topology knows.
const LAUNCHED: &str = "ec2:instance";
/// The type of an instance that nobody gave one.
const INSTANCE_TYPE: &str = "t3.micro";

/// The states of an instance, with their codes.
const PENDING: (i64, &str) = (0, "pending");
const RUNNING: (i64, &str) = (16, "running");
const SHUTTING_DOWN: (i64, &str) = (32, "shutting-down");
const GONE: (i64, &str) = (48, "terminated");
const STOPPING: (i64, &str) = (64, "stopping");
const STOPPED: (i64, &str) = (80, "stopped");

/// The instances that are named, all of which must be there.
fn named<'v>(view: &View<'v>, input: &Value) -> Result<Vec<&'v Instance>, Fault> {
    let asked = texts(input, "InstanceIds");
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
    // A waiter goes on over what is not found, and ends over what can not be.
    if let Some(id) = lost.iter().find(|id| !is_identifier(id)) {
        let text = format!("Invalid id: \"{id}\" (expecting \"i-...\")");
        return Fault::sender("InvalidInstanceID.Malformed", text);
    }
    let (noun, verb) = match lost {
        [_] => ("ID", "does"),
        _ => ("IDs", "do"),
    };
    let text = format!("The instance {noun} '{}' {verb} not exist", lost.join(", "));
    Fault::sender("InvalidInstanceID.NotFound", text)
}

/// `i-` and 8 or 17 hexadecimal digits ("Resource IDs").
fn is_identifier(id: &str) -> bool {
    let digits = id.strip_prefix("i-").unwrap_or_default();
    [8, 17].contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_hexdigit())
}

fn applications<'v>(view: &View<'v>) -> impl Iterator<Item = &'v Instance> + use<'v> {
    let region = view.here();
    view.plan.instances.iter().filter(move |instance| {
        let here = |region: &Region| region.zones.iter().any(|zone| zone.id == instance.zone);
        matches!(instance.kind, InstanceKind::App(_)) && region.is_some_and(here)
    })
}

fn service_of<'v>(view: &View<'v>, instance: &Instance) -> Option<&'v Service> {
    let InstanceKind::App(id) = &instance.kind else {
        return None;
    };
    view.plan.topology.services.iter().find(|it| it.id == *id)
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

/// The zones in which a call would start instances; none if it is wrong in other ways.
pub(super) fn starts_in(view: &View<'_>, operation: &str, input: &Value) -> Vec<ZoneId> {
    match operation {
        "RunInstances" => run::zone(view, input).into_iter().collect(),
        "StartInstances" => {
            let named = named(view, input).into_iter().flatten();
            named.map(|it| it.zone.clone()).collect()
        }
        _ => Vec::new(),
    }
}
