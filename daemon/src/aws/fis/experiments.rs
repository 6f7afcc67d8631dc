//! Experiments: started, shown, stopped. What becomes of them in between is the [`super::machine`]'s business.

use serde_json::{Map, Value};
use topologies::event::EventKind;
use topologies::experiment::{
    ActionBlueprint, ActionStatus, ActionsMode, Blueprint, Experiment, ExperimentStatus,
    OnEmptyTarget, Progress, Target,
};
use topologies::id::{ExperimentId, RegionId};
use topologies::time::Time;
use wire::{Call, Fault, Record, page};

use super::{check, conditions, invalid, not_found, tagging, targets, templates};
use crate::aws::input::{only, text};
use crate::aws::{Change, Decision, View};

/// Experiments at a time at most (aws-behaviour §9.1, quotas).
const LIVE_MAX: usize = 5;

pub(super) fn start(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let built = [
        "clientToken",
        "experimentOptions",
        "experimentTemplateId",
        "tags",
    ];
    only("StartExperiment", input, &built)?;
    let asked = text(input, "experimentTemplateId").unwrap_or_default();
    let token = text(input, "clientToken").unwrap_or_default();
    let skip_all = text(&input["experimentOptions"], "actionsMode") == Some("skip-all");
    let actions_mode = match skip_all {
        true => ActionsMode::SkipAll,
        false => ActionsMode::RunAll,
    };
    if let Some((id, there)) = all(view).find(|(_, it)| it.blueprint.client_token == token) {
        let blueprint = &there.blueprint;
        if blueprint.template == asked && blueprint.actions_mode == actions_mode {
            return Ok((one(view, id, there), Vec::new()));
        }
        let text = "The client token was used for another experiment.";
        return Err(view.fault("ConflictException", text));
    }
    let (template, content) = templates::find(view, asked)?;
    if all(view).filter(|(_, it)| !it.status().is_over()).count() >= LIVE_MAX {
        let text = format!("{LIVE_MAX} experiments are active already.");
        return Err(view.fault("ServiceQuotaExceededException", text));
    }
    conditions::known(view, &content["stopConditions"])?;
    let blueprint = Blueprint {
        region: RegionId::from(view.region),
        template: template.to_owned(),
        client_token: token.to_owned(),
        role_arn: text(content, "roleArn").unwrap_or_default().to_owned(),
        targets: resolved(view, content),
        actions: check::check(content, view.account).map_err(|why| invalid(view, why))?,
        stop_conditions: content["stopConditions"].clone(),
        // A preview of targets shows that there are none.
        on_empty_target: match text(content, "emptyTargetResolutionMode") {
            Some("skip") => OnEmptyTarget::Skip,
            _ if skip_all => OnEmptyTarget::Skip,
            _ => OnEmptyTarget::Fail,
        },
        actions_mode,
    };
    let id = ExperimentId::from(format!("EXP{}", view.draw("experiment", 14)));
    let tags = tagging::read(view, &input["tags"])?;
    let begun = Experiment::new(blueprint.clone(), Time::ZERO);
    let output = shown(view, &id, &begun)
        .time("creationTime", view.now)
        .set("tags", tagging::shown(&tags));
    let tagged = tagging::put(view, &arn(view, id.as_str()), tags);
    // One whose alarm has gone off ends before it has begun with anything.
    let met = conditions::is_met(view, &blueprint.stop_conditions);
    let halted = met.then(|| Change::Note(conditions::halt(&id)));
    let started = Change::Note(EventKind::ExperimentStarted {
        experiment: id,
        blueprint: Box::new(blueprint),
    });
    let changes = std::iter::once(started)
        .chain(halted)
        .chain(tagged)
        .collect();
    Ok((Record::new().set("experiment", output), changes))
}

/// What the targets of a template are at this moment.
fn resolved(view: &View<'_>, template: &Value) -> std::collections::BTreeMap<String, Target> {
    let targets = template["targets"].as_object().into_iter().flatten();
    let resolved = targets.map(|(name, asked)| {
        let seed = view.draw(&format!("target {name}"), 32);
        let target = Target {
            asked: asked.clone(),
            resources: targets::resolve(view, asked, &seed),
        };
        (name.clone(), target)
    });
    resolved.collect()
}

pub(super) fn stop(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (id, there) = named(view, input, "id")?;
    let mut stopping = there.clone();
    let changes = match there.status() {
        ExperimentStatus::Stopping | ExperimentStatus::Stopped => Vec::new(),
        ExperimentStatus::Completed | ExperimentStatus::Failed => {
            let text = format!(
                "Experiment {id} can not be stopped: it has {}.",
                there.status()
            );
            return Err(invalid(view, text));
        }
        ExperimentStatus::Pending | ExperimentStatus::Initiating | ExperimentStatus::Running => {
            stopping.progress.status = ExperimentStatus::Stopping;
            stopping.progress.reason = None;
            vec![Change::Note(EventKind::ExperimentStatusChanged {
                experiment: id.clone(),
                status: ExperimentStatus::Stopping,
                reason: None,
            })]
        }
    };
    Ok((one(view, id, &stopping), changes))
}

pub(super) fn get(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let (id, there) = named(view, input, "id")?;
    Ok(one(view, id, there))
}

pub(super) fn list(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let template = text(input, "experimentTemplateId");
    let all: Vec<(&ExperimentId, &Experiment)> = all(view)
        .filter(|(_, it)| template.is_none_or(|template| it.blueprint.template == template))
        .collect();
    let page = page(call, input, &all, |(id, _)| id.as_str())?;
    let summaries = page.items.iter().map(|(id, it)| summary(view, id, it));
    let mut output = Record::new().list("experiments", summaries);
    page.write(&mut output);
    Ok(output)
}

pub(super) fn resolved_targets(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let (id, there) = named(view, input, "experimentId")?;
    let targets = &there.blueprint.targets;
    let only = text(input, "targetName");
    if let Some(lost) = only.filter(|it| !targets.contains_key(*it)) {
        let text = format!("Experiment {id} has no target {lost}.");
        return Err(not_found(view, text));
    }
    let targets = targets
        .iter()
        .filter(|(name, _)| only.is_none_or(|it| it == name.as_str()));
    let resources = targets.flat_map(|(name, target)| {
        let resources = target.resources.iter();
        resources.map(move |arn| (format!("{name} {arn}"), name, target, arn))
    });
    let mut resources: Vec<_> = resources.collect();
    resources.sort_by(|one, other| one.0.cmp(&other.0));
    let page = page(call, input, &resources, |(key, ..)| key.as_str())?;
    let shown = page.items.iter().map(|(_, name, target, arn)| {
        Record::new()
            .set("resourceType", target.asked["resourceType"].clone())
            .set("targetName", name.as_str())
            .set("targetInformation", Record::new().set("arn", arn.as_str()))
    });
    let mut output = Record::new().list("resolvedTargets", shown);
    page.write(&mut output);
    Ok(output)
}

pub(super) fn arn(view: &View<'_>, id: &str) -> String {
    view.arn("fis", &format!("experiment/{id}"))
}

/// Those of the region that was called.
pub(super) fn all<'a>(
    view: &View<'a>,
) -> impl Iterator<Item = (&'a ExperimentId, &'a Experiment)> + use<'a> {
    let region = RegionId::from(view.region);
    let all = view.world.account.experiments.all();
    all.filter(move |(_, it)| it.blueprint.region == region)
        .map(|(id, it)| (id, &**it))
}

fn named<'a>(
    view: &View<'a>,
    input: &Value,
    member: &str,
) -> Result<(&'a ExperimentId, &'a Experiment), Fault> {
    let id = text(input, member).unwrap_or_default();
    let found = all(view).find(|(it, _)| it.as_str() == id);
    found.ok_or_else(|| not_found(view, format!("Experiment {id} not found.")))
}

fn one(view: &View<'_>, id: &ExperimentId, experiment: &Experiment) -> Record {
    let tags = tagging::of(view, &arn(view, id.as_str()));
    let shown = shown(view, id, experiment).set("tags", tags);
    Record::new().set("experiment", shown)
}

fn summary(view: &View<'_>, id: &ExperimentId, experiment: &Experiment) -> Record {
    let arn = arn(view, id.as_str());
    Record::new()
        .set("id", id.as_str())
        .set("tags", tagging::of(view, &arn))
        .set("arn", arn)
        .set(
            "experimentTemplateId",
            experiment.blueprint.template.as_str(),
        )
        .set("state", state(experiment))
        .time("creationTime", view.wall(experiment.created))
        .set("experimentOptions", options(&experiment.blueprint))
}

fn shown(view: &View<'_>, id: &ExperimentId, experiment: &Experiment) -> Record {
    let Experiment {
        blueprint,
        created,
        progress,
        actions,
    } = experiment;
    let targets = blueprint.targets.iter();
    let targets: Map<String, Value> = targets
        .map(|(name, target)| (name.clone(), target.asked.clone()))
        .collect();
    let actions: Map<String, Value> = blueprint
        .actions
        .iter()
        .filter_map(|(name, action)| {
            let shown = action_shown(view, action, actions.get(name)?);
            Some((name.clone(), shown.into()))
        })
        .collect();
    let shown = Record::new()
        .set("id", id.as_str())
        .set("arn", arn(view, id.as_str()))
        .set("experimentTemplateId", blueprint.template.as_str())
        .set("roleArn", blueprint.role_arn.as_str())
        .set("state", state(experiment))
        .set("targets", targets)
        .set("actions", actions)
        .set("stopConditions", blueprint.stop_conditions.clone())
        .time("creationTime", view.wall(*created))
        .set("experimentOptions", options(blueprint))
        .set("targetAccountConfigurationsCount", 0);
    timed(view, shown, progress)
}

fn action_shown(
    view: &View<'_>,
    action: &ActionBlueprint,
    progress: &Progress<ActionStatus>,
) -> Record {
    let map = |words: &std::collections::BTreeMap<String, String>| {
        let pairs = words.iter();
        let pairs = pairs.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        pairs.collect::<Map<String, Value>>()
    };
    let reason = progress.reason.clone().unwrap_or_else(|| {
        if progress.status == ActionStatus::Pending {
            "Initial state".to_owned()
        } else {
            format!("Action is {}.", progress.status)
        }
    });
    let state = Record::new()
        .set("status", progress.status.as_str())
        .set("reason", reason);
    let shown = Record::new()
        .set("actionId", action.action_id.as_str())
        .maybe("description", action.description.as_deref())
        .set("parameters", map(&action.parameters))
        .set("targets", map(&action.targets))
        .set("state", state);
    let shown = match action.start_after.is_empty() {
        true => shown,
        false => shown.list("startAfter", action.start_after.iter().map(String::as_str)),
    };
    timed(view, shown, progress)
}

fn timed<S>(view: &View<'_>, shown: Record, progress: &Progress<S>) -> Record {
    let shown = match progress.started {
        Some(at) => shown.time("startTime", view.wall(at)),
        None => shown,
    };
    match progress.ended {
        Some(at) => shown.time("endTime", view.wall(at)),
        None => shown,
    }
}

fn state(experiment: &Experiment) -> Record {
    let status = experiment.status();
    let reason = experiment.progress.reason.clone();
    let reason = reason.unwrap_or_else(|| {
        if status == ExperimentStatus::Stopping {
            "Stopping Experiment.".to_owned()
        } else {
            format!("Experiment is {status}.")
        }
    });
    Record::new()
        .set("status", status.as_str())
        .set("reason", reason)
}

fn options(blueprint: &Blueprint) -> Record {
    Record::new()
        .set("accountTargeting", "single-account")
        .set(
            "emptyTargetResolutionMode",
            match blueprint.on_empty_target {
                OnEmptyTarget::Fail => "fail",
                OnEmptyTarget::Skip => "skip",
            },
        )
        .set(
            "actionsMode",
            match blueprint.actions_mode {
                ActionsMode::RunAll => "run-all",
                ActionsMode::SkipAll => "skip-all",
            },
        )
}
