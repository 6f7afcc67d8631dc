//! Fault Injection Service: experiment templates, and experiments that really harm the stack (aws-behaviour §9).
//!
//! ```text
//!  template ─StartExperiment─► experiment: targets resolved ─► `machine` says what comes next ─► `experimenter` has the driver do it
//!                                                                                                 │ `effects`: calls, faults
//!                                                                                                 └ `refusals`: follow from the world
//! ```
//! - `catalogue`: the actions and the types of resources that are built; `meaning`: what an action with its parameters asks for
//! - `check`: whether a template holds together; `templates`, `tagging`: what is kept of it
//! - `targets`: which resources a target is; `conditions`: alarms that stop; `experiments`: started, shown, stopped
//! - `machine`: what comes next in an experiment; `effects`: how an action begins and ends; `refusals`: calls that actions refuse
//!
//! Everything here is pure. An action that is not built is refused when its template is made, by its name. Durations are as they are
//! written, whatever the timing's profile.

mod catalogue;
mod check;
mod conditions;
mod duration;
mod effects;
mod experiments;
mod machine;
mod meaning;
mod refusals;
mod tagging;
mod targets;
mod templates;

use serde_json::Value;
use wire::Fault;

use super::{Handler, Operations, View};
pub(super) use conditions::halted;
pub(crate) use effects::abandoned;
pub(super) use effects::{Begun, begin, end};
pub(super) use machine::{Next, next};
pub(super) use refusals::refusal;

pub(super) const OPERATIONS: Operations = &[
    (
        "CreateExperimentTemplate",
        Handler::Change(templates::create),
    ),
    (
        "DeleteExperimentTemplate",
        Handler::Change(templates::delete),
    ),
    ("GetAction", Handler::Read(catalogue::get_action)),
    ("GetExperiment", Handler::Read(experiments::get)),
    ("GetExperimentTemplate", Handler::Read(templates::get)),
    (
        "GetTargetResourceType",
        Handler::Read(catalogue::get_resource_type),
    ),
    ("ListActions", Handler::Read(catalogue::list_actions)),
    (
        "ListExperimentResolvedTargets",
        Handler::Read(experiments::resolved_targets),
    ),
    ("ListExperimentTemplates", Handler::Read(templates::list)),
    ("ListExperiments", Handler::Read(experiments::list)),
    ("ListTagsForResource", Handler::Read(tagging::list)),
    (
        "ListTargetResourceTypes",
        Handler::Read(catalogue::list_resource_types),
    ),
    ("StartExperiment", Handler::Change(experiments::start)),
    ("StopExperiment", Handler::Change(experiments::stop)),
    ("TagResource", Handler::Change(tagging::tag)),
    ("UntagResource", Handler::Change(tagging::untag)),
    (
        "UpdateExperimentTemplate",
        Handler::Change(templates::update),
    ),
];

/// What the service refuses as wrong.
fn invalid(view: &View<'_>, text: impl Into<String>) -> Fault {
    view.fault("ValidationException", text)
}

fn not_found(view: &View<'_>, text: impl Into<String>) -> Fault {
    view.fault("ResourceNotFoundException", text)
}

/// A map of texts.
fn words(value: &Value) -> impl Iterator<Item = (&str, &str)> {
    let members = value.as_object().into_iter().flatten();
    members.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
}
