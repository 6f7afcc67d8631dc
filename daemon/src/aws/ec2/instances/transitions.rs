//! StopInstances, StartInstances, TerminateInstances and RebootInstances: something else is asked of instances.

use serde_json::Value;
use topologies::event::EventKind;
use topologies::id::RegionId;
use topologies::world::Wanted;
use wire::{Fault, Record};

use super::shown::{record, state_record};
use super::{
    GONE, PENDING, RUNNING, SHUTTING_DOWN, STOPPED, STOPPING, TERMINATED, named, of, process, state,
};
use crate::aws::{Change, Decision, View, ids};

pub(in crate::aws::ec2) fn stop(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    transition(view, input, "StoppingInstances", Wanted::Stopped, |state| {
        matches!(state, PENDING | RUNNING)
    })
}

pub(in crate::aws::ec2) fn start(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
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

pub(in crate::aws::ec2) fn terminate(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
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
pub(in crate::aws::ec2) fn reboot(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
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
