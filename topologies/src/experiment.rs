//! Experiments of AWS Fault Injection Service as the timeline tells them: what each was started with, and how far it and its actions
//! are (aws-behaviour §9.1).
//!
//! ```text
//!  experiment: pending ─► initiating ─► running ─► completed          action: pending ─► initiating ─► running ─► completed
//!                 └────────────┴──┬────────┴─► stopping ─► stopped                │  │         └────┬────┴─► stopping ─► stopped
//!                                 └─────────► failed                  cancelled ◄─┘  └─► skipped    └─────► failed
//! ```
//! Nothing is decided here. An experiment goes on with what it was started with, whatever becomes of its template.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::duration;
use crate::event::{Event, EventKind};
use crate::id::{ExperimentId, RegionId};
use crate::time::Time;

/// Under which type records of experiments are forgotten.
pub const EXPERIMENT: &str = "fis:experiment";

/// An action of an experiment: who something was done for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ActionOf {
    /// The experiment.
    pub experiment: ExperimentId,
    /// The action's name in it.
    pub action: String,
}

/// `EXP4f1c/cut-off`.
impl fmt::Display for ActionOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.experiment, self.action)
    }
}

/// What an experiment was started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Blueprint {
    /// Its region.
    pub region: RegionId,
    /// The template that it was started from.
    pub template: String,
    /// What makes a repeated start the same one.
    pub client_token: String,
    /// The role that it acts as.
    pub role_arn: String,
    /// Targets by name, resolved.
    pub targets: BTreeMap<String, Target>,
    /// Actions by name.
    pub actions: BTreeMap<String, ActionBlueprint>,
    /// Stop conditions, by the names of AWS's model.
    pub stop_conditions: Value,
    /// What becomes of it if a target has no resource.
    pub on_empty_target: OnEmptyTarget,
    /// Whether its actions are carried out.
    pub actions_mode: ActionsMode,
}

/// A target: what was asked for, and what that was when the experiment started. "Resolved once at start" (aws-behaviour §9.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Target {
    /// What was asked for, by the names of AWS's model.
    pub asked: Value,
    /// The ARNs of the resources that were chosen.
    pub resources: Vec<String>,
}

/// An action as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ActionBlueprint {
    /// Which action it is: `aws:ec2:stop-instances`.
    pub action_id: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// The names of targets by their part in the action: `Instances`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, String>,
    /// Actions that have to be over before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start_after: Vec<String>,
    /// How long its effect lasts; zero if it has none that lasts.
    #[serde(
        default,
        with = "duration::text",
        skip_serializing_if = "Duration::is_zero"
    )]
    pub lasts: Duration,
}

/// `emptyTargetResolutionMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnEmptyTarget {
    /// The experiment fails.
    #[default]
    Fail,
    /// Actions that have no other target are skipped.
    Skip,
}

/// `actionsMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionsMode {
    /// They are.
    #[default]
    RunAll,
    /// They are not: the experiment shows its targets.
    SkipAll,
}

/// An experiment's status, in AWS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExperimentStatus {
    /// It was asked for.
    Pending,
    /// It begins.
    Initiating,
    /// Its actions are carried out.
    Running,
    /// All of its actions are over.
    Completed,
    /// What it did is being ended before its time.
    Stopping,
    /// It was ended before its time.
    Stopped,
    /// It could not be carried out.
    Failed,
}

/// An action's status, in AWS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionStatus {
    /// It waits for others.
    Pending,
    /// It is being brought about.
    Initiating,
    /// It is in effect.
    Running,
    /// It was, as long as it should.
    Completed,
    /// It is being ended before its time.
    Stopping,
    /// It was ended before its time.
    Stopped,
    /// It did not come about.
    Failed,
    /// The experiment ended before it.
    Cancelled,
    /// There was nothing to do.
    Skipped,
}

impl ExperimentStatus {
    /// AWS's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Initiating => "initiating",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing happens any more.
    pub fn is_over(self) -> bool {
        match self {
            Self::Completed | Self::Stopped | Self::Failed => true,
            Self::Pending | Self::Initiating | Self::Running | Self::Stopping => false,
        }
    }
}

impl ActionStatus {
    /// AWS's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Initiating => "initiating",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }

    /// Whether nothing happens any more.
    pub fn is_over(self) -> bool {
        match self {
            Self::Completed | Self::Stopped | Self::Failed | Self::Cancelled | Self::Skipped => {
                true
            }
            Self::Pending | Self::Initiating | Self::Running | Self::Stopping => false,
        }
    }
}

impl fmt::Display for ExperimentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for ActionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How far something is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Progress<S> {
    /// The status.
    pub status: S,
    /// Why, if anything is to be said about that.
    pub reason: Option<String>,
    /// Since when it is under way.
    pub started: Option<Time>,
    /// When it was over.
    pub ended: Option<Time>,
}

/// An experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Experiment {
    /// What it was started with.
    pub blueprint: Blueprint,
    /// When it was asked for.
    pub created: Time,
    /// How far it is.
    pub progress: Progress<ExperimentStatus>,
    /// How far its actions are.
    pub actions: BTreeMap<String, Progress<ActionStatus>>,
}

impl Experiment {
    /// One that was asked for at a moment.
    pub fn new(blueprint: Blueprint, created: Time) -> Self {
        let names = blueprint.actions.keys();
        let actions = names.map(|name| (name.clone(), Progress::new(ActionStatus::Pending)));
        Self {
            actions: actions.collect(),
            blueprint,
            created,
            progress: Progress::new(ExperimentStatus::Pending),
        }
    }

    /// Its status.
    pub fn status(&self) -> ExperimentStatus {
        self.progress.status
    }

    /// The status of an action; none if it has none of that name.
    pub fn action(&self, name: &str) -> Option<ActionStatus> {
        self.actions.get(name).map(|it| it.status)
    }
}

impl<S> Progress<S> {
    fn new(status: S) -> Self {
        Self {
            status,
            reason: None,
            started: None,
            ended: None,
        }
    }

    fn goes_to(&mut self, (status, over): (S, bool), reason: Option<&String>, at: Time) {
        self.status = status;
        self.reason = reason.cloned();
        self.started = self.started.or(Some(at));
        self.ended = over.then_some(at);
    }
}

/// The experiments of an account, by their identifiers: a fold of events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Experiments(BTreeMap<ExperimentId, Arc<Experiment>>);

impl Experiments {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (&ExperimentId, &Arc<Experiment>)> {
        self.0.iter()
    }

    /// Those that are not over.
    pub fn live(&self) -> impl Iterator<Item = (&ExperimentId, &Arc<Experiment>)> {
        self.all().filter(|(_, it)| !it.status().is_over())
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<&Experiment> {
        self.0.get(id).map(|it| &**it)
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.0.remove(id);
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "few events are for experiments"
    )]
    pub(crate) fn apply(&mut self, event: &Event) {
        match &event.event {
            EventKind::ExperimentStarted {
                experiment,
                blueprint,
            } => {
                let begun = Experiment::new((**blueprint).clone(), event.at);
                self.0.insert(experiment.clone(), Arc::new(begun));
            }
            EventKind::ExperimentStatusChanged {
                experiment,
                status,
                reason,
            } => {
                if let Some(it) = self.0.get_mut(experiment) {
                    let to = (*status, status.is_over());
                    let progress = &mut Arc::make_mut(it).progress;
                    progress.goes_to(to, reason.as_ref(), event.at);
                }
            }
            EventKind::ExperimentActionStatusChanged { of, status, reason } => {
                let experiment = self.0.get_mut(&of.experiment).map(Arc::make_mut);
                if let Some(it) = experiment.and_then(|it| it.actions.get_mut(&of.action)) {
                    let waited = it.status == ActionStatus::Pending && status.is_over();
                    it.goes_to((*status, status.is_over()), reason.as_ref(), event.at);
                    if waited {
                        // What never began has no times.
                        (it.started, it.ended) = (None, None);
                    }
                }
            }
            _ => {}
        }
    }
}
