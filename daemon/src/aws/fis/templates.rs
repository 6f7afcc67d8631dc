//! Experiment templates: made, shown, changed, deleted. What was started from one goes on without it.

use serde_json::{Value, json};
use topologies::event::EventKind;
use topologies::id::RegionId;
use wire::{Call, Fault, Record, page};

use super::{check, conditions, invalid, not_found, tagging};
use crate::aws::input::{not_implemented, only, text};
use crate::aws::{Change, Decision, View};

/// Under which templates are recorded.
pub(super) const RECORD: &str = "fis:experiment-template";
/// Templates of a region at most (aws-behaviour §9.1, quotas).
const TEMPLATES_MAX: usize = 500;
/// What of a template is as it was asked for.
const KEPT: [&str; 5] = [
    "actions",
    "description",
    "roleArn",
    "stopConditions",
    "targets",
];

pub(super) fn create(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let built = [&KEPT[..], &["clientToken", "experimentOptions", "tags"]].concat();
    only("CreateExperimentTemplate", input, &built)?;
    if text(&input["experimentOptions"], "accountTargeting") == Some("multi-account") {
        return Err(not_implemented("accountTargeting multi-account"));
    }
    let token = text(input, "clientToken").unwrap_or_default();
    let mut template = json!({
        "clientToken": token,
        "creationTime": view.now,
        "emptyTargetResolutionMode":
            text(&input["experimentOptions"], "emptyTargetResolutionMode").unwrap_or("fail"),
        "lastUpdateTime": view.now,
    });
    for name in KEPT {
        template[name] = input[name].clone();
    }
    let tags = tagging::read(view, &input["tags"])?;
    if let Some((id, there)) = all(view).find(|(_, it)| text(it, "clientToken") == Some(token)) {
        let times = |it: &Value| json!([it["creationTime"], it["lastUpdateTime"]]);
        let mut same = template.clone();
        let known = times(there);
        (same["creationTime"], same["lastUpdateTime"]) = (known[0].clone(), known[1].clone());
        if same == *there {
            return Ok((one(view, id, there), Vec::new()));
        }
        let text = "The client token was used for another experiment template.";
        return Err(view.fault("ConflictException", text));
    }
    if all(view).count() >= TEMPLATES_MAX {
        let text = format!("There are {TEMPLATES_MAX} experiment templates already.");
        return Err(view.fault("ServiceQuotaExceededException", text));
    }
    check::check(&template, view.account).map_err(|why| invalid(view, why))?;
    conditions::known(view, &template["stopConditions"])?;
    let id = format!("EXT{}", view.draw("experiment-template", 14));
    let output = shown(view, &id, &template).set("tags", tagging::shown(&tags));
    let tagged = tagging::put(view, &arn(view, &id), tags);
    let changes = std::iter::once(recorded(view, &id, template)).chain(tagged);
    let output = Record::new().set("experimentTemplate", output);
    Ok((output, changes.collect()))
}

/// Members that are there take the place of what was there, whole.
pub(super) fn update(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let built = [&KEPT[..], &["id", "experimentOptions"]].concat();
    only("UpdateExperimentTemplate", input, &built)?;
    let (id, there) = named(view, input)?;
    let mut template = there.clone();
    for name in KEPT {
        if let Some(value) = input.get(name) {
            template[name] = value.clone();
        }
    }
    if let Some(mode) = text(&input["experimentOptions"], "emptyTargetResolutionMode") {
        template["emptyTargetResolutionMode"] = mode.into();
    }
    check::check(&template, view.account).map_err(|why| invalid(view, why))?;
    conditions::known(view, &template["stopConditions"])?;
    template["lastUpdateTime"] = view.now.into();
    let output = one(view, id, &template);
    Ok((output, vec![recorded(view, id, template)]))
}

pub(super) fn delete(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (id, there) = named(view, input)?;
    let forgotten = EventKind::ResourceForgotten {
        resource: RECORD.to_owned(),
        region: RegionId::from(view.region),
        id: id.to_owned(),
        arn: arn(view, id),
    };
    Ok((one(view, id, there), vec![Change::Note(forgotten)]))
}

pub(super) fn get(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let (id, there) = named(view, input)?;
    Ok(one(view, id, there))
}

pub(super) fn list(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let all: Vec<(&str, &Value)> = all(view).collect();
    let page = page(call, input, &all, |(id, _)| *id)?;
    let summaries = page.items.iter().map(|(id, template)| {
        Record::new()
            .set("id", *id)
            .set("arn", arn(view, id))
            .set("description", template["description"].clone())
            .time("creationTime", moment(template, "creationTime"))
            .time("lastUpdateTime", moment(template, "lastUpdateTime"))
            .set("tags", tagging::of(view, &arn(view, id)))
    });
    let mut output = Record::new().list("experimentTemplates", summaries);
    page.write(&mut output);
    Ok(output)
}

pub(super) fn arn(view: &View<'_>, id: &str) -> String {
    view.arn("fis", &format!("experiment-template/{id}"))
}

/// Those of the region that was called, by their identifiers.
pub(super) fn all<'a>(view: &View<'a>) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let region = RegionId::from(view.region);
    let all = view.world.account.resources(RECORD, &region);
    all.map(|(id, it)| (id, &it.attributes))
        .collect::<Vec<_>>()
        .into_iter()
}

pub(super) fn find<'a>(view: &View<'a>, id: &str) -> Result<(&'a str, &'a Value), Fault> {
    let found = all(view).find(|(it, _)| *it == id);
    found.ok_or_else(|| not_found(view, format!("Experiment template {id} not found.")))
}

fn named<'a>(view: &View<'a>, input: &Value) -> Result<(&'a str, &'a Value), Fault> {
    find(view, text(input, "id").unwrap_or_default())
}

fn recorded(view: &View<'_>, id: &str, template: Value) -> Change {
    Change::Note(EventKind::ResourceRecorded {
        resource: RECORD.to_owned(),
        region: RegionId::from(view.region),
        id: id.to_owned(),
        attributes: template,
    })
}

fn one(view: &View<'_>, id: &str, template: &Value) -> Record {
    let tags = tagging::of(view, &arn(view, id));
    let shown = shown(view, id, template).set("tags", tags);
    Record::new().set("experimentTemplate", shown)
}

fn shown(view: &View<'_>, id: &str, template: &Value) -> Record {
    let options = Record::new().set("accountTargeting", "single-account").set(
        "emptyTargetResolutionMode",
        template["emptyTargetResolutionMode"].clone(),
    );
    let mut shown = Record::new()
        .set("id", id)
        .set("arn", arn(view, id))
        .time("creationTime", moment(template, "creationTime"))
        .time("lastUpdateTime", moment(template, "lastUpdateTime"))
        .set("experimentOptions", options)
        .set("targetAccountConfigurationsCount", 0);
    for name in KEPT {
        // A template without targets has none, not an empty map of them.
        if !template[name].is_null() {
            shown.put(name, template[name].clone());
        }
    }
    shown
}

fn moment(template: &Value, name: &str) -> i64 {
    template[name].as_i64().unwrap_or_default()
}
