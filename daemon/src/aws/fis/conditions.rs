//! Stop conditions: alarms of CloudWatch that end an experiment, and keep one from beginning (aws-behaviour §9.1).

use serde_json::Value;
use topologies::alarm::AlarmState;
use topologies::event::EventKind;
use topologies::experiment::ExperimentStatus;
use topologies::id::ExperimentId;
use topologies::world::World;
use wire::Fault;

use super::invalid;
use crate::aws::input::text;
use crate::aws::{View, cloudwatch};

/// The source of a stop condition that is an alarm.
pub(super) const ALARM: &str = "aws:cloudwatch:alarm";
/// FIS's words.
const HALTED: &str = "Experiment halted by stop condition.";

/// The ARNs of the alarms among stop conditions.
fn alarms(conditions: &Value) -> impl Iterator<Item = &str> {
    let all = conditions.as_array().into_iter().flatten();
    let alarms = all.filter(|it| text(it, "source") == Some(ALARM));
    alarms.filter_map(|it| text(it, "value"))
}

/// Every alarm is there: one that is not could not stop anything.
pub(super) fn known(view: &View<'_>, conditions: &Value) -> Result<(), Fault> {
    let lost = alarms(conditions).find(|arn| cloudwatch::state_of(view, arn).is_none());
    lost.map_or(Ok(()), |arn| {
        let region = view.region;
        let text = format!("The alarm {arn} of a stop condition does not exist in {region}.");
        Err(invalid(view, text))
    })
}

/// Whether one of the alarms has gone off.
pub(super) fn is_met(view: &View<'_>, conditions: &Value) -> bool {
    alarms(conditions).any(|arn| cloudwatch::state_of(view, arn) == Some(AlarmState::Alarm))
}

/// What follows for experiments from alarms' going off: what they did is ended before its time.
pub(in crate::aws) fn halted(world: &World, gone_off: &[String]) -> Vec<EventKind> {
    let live = world.account.experiments.live().filter(|(_, it)| {
        let mut alarms = alarms(&it.blueprint.stop_conditions);
        it.status() != ExperimentStatus::Stopping
            && alarms.any(|arn| gone_off.iter().any(|it| it == arn))
    });
    live.map(|(id, _)| halt(id)).collect()
}

/// The event that halts an experiment.
pub(super) fn halt(id: &ExperimentId) -> EventKind {
    EventKind::ExperimentStatusChanged {
        experiment: id.clone(),
        status: ExperimentStatus::Stopping,
        reason: Some(HALTED.to_owned()),
    }
}
