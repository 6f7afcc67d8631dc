//! PutMetricAlarm, DeleteAlarms, SetAlarmState, EnableAlarmActions and DisableAlarmActions.

use serde_json::{Map, Value, json};
use topologies::alarm::{ALARM, AlarmState, Finding};
use topologies::event::EventKind;
use topologies::id::{AlarmId, RegionId};
use wire::{Fault, Record};

use super::rule::Rule;
use super::{arn, find, found, tagging};
use crate::aws::cloudwatch::span::invalid;
use crate::aws::input::{only, text, texts};
use crate::aws::{Change, Decision, View, tags};

/// "Up to 5000 alarms per region per AWS account" ("Common features of CloudWatch alarms", CloudWatch User Guide).
const ALARMS_MAX: usize = 5_000;
/// Who is told of what. Nobody is, here.
const ACTIONS: [&str; 3] = ["OKActions", "AlarmActions", "InsufficientDataActions"];
/// What of an alarm is kept as it came.
const KEPT: &[&str] = &[
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluateLowSampleCountPercentile",
    "EvaluationPeriods",
    "ExtendedStatistic",
    "InsufficientDataActions",
    "MetricName",
    "Metrics",
    "Namespace",
    "OKActions",
    "Period",
    "Statistic",
    "Threshold",
    "TreatMissingData",
    "Unit",
];

/// "When you update an existing alarm, its state is left unchanged, but the update completely overwrites the previous configuration", and
/// its tags are left, too (PutMetricAlarm).
pub(in crate::aws::cloudwatch) fn put(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    only(
        "PutMetricAlarm",
        input,
        &[KEPT, &["AlarmName", "Tags"]].concat(),
    )?;
    let name = text(input, "AlarmName").unwrap_or_default();
    if name.chars().any(char::is_control) {
        return Err(invalid(
            "The parameter AlarmName must not have control characters.",
        ));
    }
    Rule::read(input)?;
    for action in ACTIONS.iter().flat_map(|name| texts(input, name)) {
        if !action.starts_with("arn:") {
            return Err(invalid(format!("Invalid arn syntax: {action}")));
        }
    }
    let tags = tagging::read(view, &input["Tags"])?;
    let is_new = find(view, name).is_none();
    let region = RegionId::from(view.region);
    if is_new && view.world.account.resources(ALARM, &region).count() >= ALARMS_MAX {
        let text = format!("There are {ALARMS_MAX} alarms already.");
        return Err(view.fault("LimitExceededFault", text));
    }
    let mut changes = vec![recorded(view, name, attributes(input))];
    if is_new {
        changes.extend(tags::put(view, &arn(view, name), tags));
    }
    Ok((Record::new(), changes))
}

fn attributes(input: &Value) -> Value {
    let mut kept: Map<String, Value> = Map::new();
    let given = KEPT
        .iter()
        .filter_map(|name| Some((*name, input.get(*name)?)));
    kept.extend(given.map(|(name, value)| (name.to_owned(), value.clone())));
    for name in ACTIONS {
        kept.entry(name).or_insert_with(|| json!([]));
    }
    kept.entry("ActionsEnabled").or_insert(Value::Bool(true));
    Value::Object(kept)
}

fn recorded(view: &View<'_>, name: &str, attributes: Value) -> Change {
    Change::Note(EventKind::ResourceRecorded {
        resource: ALARM.to_owned(),
        region: RegionId::from(view.region),
        id: name.to_owned(),
        attributes,
    })
}

/// All of them, or none.
pub(in crate::aws::cloudwatch) fn delete(
    view: &View<'_>,
    input: &Value,
) -> Result<Decision, Fault> {
    let mut names = texts(input, "AlarmNames");
    names.sort_unstable();
    names.dedup();
    if let Some(lost) = names.iter().find(|name| find(view, name).is_none()) {
        return Err(not_found(view, lost));
    }
    let forgotten = names.iter().map(|name| EventKind::ResourceForgotten {
        resource: ALARM.to_owned(),
        region: RegionId::from(view.region),
        id: (*name).to_owned(),
        arn: arn(view, name),
    });
    Ok((Record::new(), forgotten.map(Change::Note).collect()))
}

/// It holds until the alarm is evaluated the next time.
pub(in crate::aws::cloudwatch) fn set_state(
    view: &View<'_>,
    input: &Value,
) -> Result<Decision, Fault> {
    let name = text(input, "AlarmName").unwrap_or_default();
    if find(view, name).is_none() {
        return Err(not_found(view, name));
    }
    let word = text(input, "StateValue").unwrap_or_default();
    let state = AlarmState::read(word).ok_or_else(|| {
        invalid(format!(
            "The value {word} for parameter StateValue is invalid."
        ))
    })?;
    let data = text(input, "StateReasonData");
    if data.is_some_and(|data| serde_json::from_str::<serde::de::IgnoredAny>(data).is_err()) {
        let text = "StateReasonData is not valid JSON.";
        return Err(view.fault("InvalidFormatFault", text));
    }
    let finding = Finding {
        state,
        reason: text(input, "StateReason").unwrap_or_default().to_owned(),
        data: data.map(str::to_owned),
        by_hand: true,
    };
    let found = found(
        view.world,
        [(RegionId::from(view.region), AlarmId::from(name), finding)],
    );
    Ok((Record::new(), found))
}

pub(in crate::aws::cloudwatch) fn enable(
    view: &View<'_>,
    input: &Value,
) -> Result<Decision, Fault> {
    Ok((Record::new(), enabled(view, input, true)))
}

pub(in crate::aws::cloudwatch) fn disable(
    view: &View<'_>,
    input: &Value,
) -> Result<Decision, Fault> {
    Ok((Record::new(), enabled(view, input, false)))
}

/// Names of alarms that are not there are no error.
fn enabled(view: &View<'_>, input: &Value, enabled: bool) -> Vec<Change> {
    let mut names = texts(input, "AlarmNames");
    names.sort_unstable();
    names.dedup();
    let changed = names.into_iter().filter_map(|name| {
        let there = find(view, name).filter(|it| it["ActionsEnabled"] != enabled)?;
        let mut attributes = there.clone();
        attributes["ActionsEnabled"] = enabled.into();
        Some(recorded(view, name, attributes))
    });
    changed.collect()
}

fn not_found(view: &View<'_>, name: &str) -> Fault {
    let text = format!("Alarm {name} does not exist.");
    view.fault("ResourceNotFound", text)
}
