//! RegisterTargets and DeregisterTargets: targets are the stack's application instances.

use serde_json::Value;
use topologies::edit::Edit;
use topologies::event::EventKind;
use topologies::id::InstanceId;
use topologies::topology::TargetGroup;
use wire::{Fault, Record};

use super::names;
use crate::aws::{Change, Decision, View, ids};

pub(super) fn register(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (mut group, named) = read(view, input)?;
    for id in named {
        if !group.targets.contains(&id) {
            group.targets.push(id);
        }
    }
    Ok(put("elbv2:RegisterTargets", group))
}

pub(super) fn deregister(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (mut group, named) = read(view, input)?;
    group.targets.retain(|id| !named.contains(id));
    Ok(put("elbv2:DeregisterTargets", group))
}

fn put(by: &str, group: TargetGroup) -> Decision {
    let edits = vec![Edit::PutTargetGroup(Box::new(group))];
    (Record::new(), vec![edited(by, edits)])
}

/// The topology is to be edited.
pub(super) fn edited(by: &str, edits: Vec<Edit>) -> Change {
    Change::Note(EventKind::TopologyEdited {
        by: by.to_owned(),
        edits,
    })
}

fn read(view: &View<'_>, input: &Value) -> Result<(TargetGroup, Vec<InstanceId>), Fault> {
    let group = names::find_group(view, input["TargetGroupArn"].as_str().unwrap_or_default())?;
    let targets = input["Targets"].as_array().into_iter().flatten();
    let ids = targets.map(|it| target(view, group, it).map(|(id, _)| id.clone()));
    Ok((group.clone(), ids.collect::<Result<_, _>>()?))
}

/// The instance that is meant, and the name by which it is meant. Targets have their group's port: instances listen on one.
pub(super) fn target<'a, 'i>(
    view: &View<'a>,
    group: &TargetGroup,
    target: &'i Value,
) -> Result<(&'a InstanceId, &'i str), Fault> {
    let written = target["Id"].as_str().unwrap_or_default();
    let invalid = |text| view.fault("InvalidTarget", text);
    let found = ids::find_instance(view.plan, written).map(|it| &it.id);
    let id = found.ok_or_else(|| invalid(format!("Instance ID '{written}' is not valid")))?;
    match target["Port"].as_u64() {
        Some(port) if port != u64::from(group.port) => Err(invalid(format!(
            "Target '{written}' can not have port {port}: targets of this group listen on {}",
            group.port
        ))),
        Some(_) | None => Ok((id, written)),
    }
}
