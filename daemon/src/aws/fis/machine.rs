//! What comes next in an experiment: a function of how far it is and of the moment (aws-behaviour §9.1).
//!
//! It goes by what the timeline tells and by nothing else, so that whoever takes a stack over goes on where the last one ended: an
//! action that is `initiating` is begun (again), one that is over its time is ended.

use std::time::Duration;

use topologies::event::EventKind;
use topologies::experiment::{
    ActionBlueprint, ActionOf, ActionStatus, ActionsMode, Experiment, ExperimentStatus,
    OnEmptyTarget,
};
use topologies::id::ExperimentId;
use topologies::time::Time;

/// What is said of a target that is nothing.
const EMPTY: &str = "Target resolution returned empty set.";

/// What comes next. What is to be recorded comes before anything else is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::aws) struct Next {
    /// What is to be recorded.
    pub(in crate::aws) records: Vec<EventKind>,
    /// Actions whose effect is to be brought about.
    pub(in crate::aws) begin: Vec<String>,
    /// Actions whose effect is to be ended.
    pub(in crate::aws) end: Vec<String>,
    /// When to look again.
    pub(in crate::aws) wake: Option<Time>,
}

/// What comes next at `now`. An action that is `busy` being begun or ended is left alone.
pub(in crate::aws) fn next(
    id: &ExperimentId,
    experiment: &Experiment,
    busy: &dyn Fn(&str) -> bool,
    now: Time,
) -> Next {
    let mut next = Next::default();
    match experiment.status() {
        ExperimentStatus::Pending => pending(id, experiment, &mut next),
        ExperimentStatus::Initiating => next.experiment(id, ExperimentStatus::Running, None),
        ExperimentStatus::Running => match failure(experiment) {
            Some(why) => {
                wind_down(id, experiment, busy, &mut next);
                next.over(id, experiment, (ExperimentStatus::Failed, Some(why)));
            }
            None => {
                go_on(id, experiment, busy, now, &mut next);
                next.over(id, experiment, (ExperimentStatus::Completed, None));
            }
        },
        ExperimentStatus::Stopping => {
            wind_down(id, experiment, busy, &mut next);
            let why = experiment.progress.reason.clone();
            next.over(id, experiment, (ExperimentStatus::Stopped, why));
        }
        ExperimentStatus::Completed | ExperimentStatus::Stopped | ExperimentStatus::Failed => {}
    }
    next
}

/// An experiment with a target that is nothing fails, unless it is to skip what it can not do.
fn pending(id: &ExperimentId, experiment: &Experiment, next: &mut Next) {
    let blueprint = &experiment.blueprint;
    let mut targets = blueprint.targets.iter();
    let empty = targets.find(|(_, target)| target.resources.is_empty());
    match empty {
        Some((name, _)) if blueprint.on_empty_target == OnEmptyTarget::Fail => {
            for action in blueprint.actions.keys() {
                next.action(id, action, ActionStatus::Cancelled, None);
            }
            let why = format!("{EMPTY} Target: {name}");
            next.experiment(id, ExperimentStatus::Failed, Some(why));
        }
        Some(_) | None => next.experiment(id, ExperimentStatus::Initiating, None),
    }
}

fn failure(experiment: &Experiment) -> Option<String> {
    let mut actions = experiment.actions.iter();
    let (name, failed) = actions.find(|(_, it)| it.status == ActionStatus::Failed)?;
    let why = failed.reason.as_deref().unwrap_or("no reason is known");
    Some(format!("Action {name} failed: {why}"))
}

fn go_on(
    id: &ExperimentId,
    experiment: &Experiment,
    busy: &dyn Fn(&str) -> bool,
    now: Time,
    next: &mut Next,
) {
    let skip_all = experiment.blueprint.actions_mode == ActionsMode::SkipAll;
    for (name, action) in &experiment.blueprint.actions {
        let Some(progress) = experiment.actions.get(name).filter(|_| !busy(name)) else {
            continue;
        };
        match progress.status {
            ActionStatus::Pending if skip_all => {
                let why = "The actions of this experiment are not carried out.".to_owned();
                next.action(id, name, ActionStatus::Skipped, Some(why));
            }
            ActionStatus::Pending if may_start(experiment, action) => {
                match is_aimed(experiment, action) {
                    true => next.action(id, name, ActionStatus::Initiating, None),
                    false => next.action(id, name, ActionStatus::Skipped, Some(EMPTY.to_owned())),
                }
            }
            ActionStatus::Initiating => next.begin.push(name.clone()),
            ActionStatus::Running => {
                let ends = progress.started.unwrap_or(now) + action.lasts;
                match ends > now {
                    true => next.wake_at(ends),
                    false => next.ended(id, name, action.lasts, ActionStatus::Completed),
                }
            }
            // Who stops an action alone is a daemon that ended meanwhile.
            ActionStatus::Stopping => next.end.push(name.clone()),
            ActionStatus::Pending
            | ActionStatus::Completed
            | ActionStatus::Stopped
            | ActionStatus::Failed
            | ActionStatus::Cancelled
            | ActionStatus::Skipped => {}
        }
    }
}

/// An action starts when all that it waits for are over; what was skipped is.
fn may_start(experiment: &Experiment, action: &ActionBlueprint) -> bool {
    action.start_after.iter().all(|it| {
        let status = experiment.action(it);
        matches!(
            status,
            Some(ActionStatus::Completed | ActionStatus::Skipped)
        )
    })
}

/// Whether there is anything that an action can be done to.
fn is_aimed(experiment: &Experiment, action: &ActionBlueprint) -> bool {
    let targets = &experiment.blueprint.targets;
    let mut aims = action.targets.values().map(|name| targets.get(name));
    aims.all(|target| target.is_some_and(|it| !it.resources.is_empty()))
}

/// What is under way is ended before its time, and nothing begins.
fn wind_down(
    id: &ExperimentId,
    experiment: &Experiment,
    busy: &dyn Fn(&str) -> bool,
    next: &mut Next,
) {
    for (name, action) in &experiment.blueprint.actions {
        let Some(status) = experiment.action(name).filter(|_| !busy(name)) else {
            continue;
        };
        match status {
            ActionStatus::Pending => next.action(id, name, ActionStatus::Cancelled, None),
            ActionStatus::Running if action.lasts.is_zero() => {
                next.action(id, name, ActionStatus::Completed, None);
            }
            ActionStatus::Initiating | ActionStatus::Running => {
                next.action(id, name, ActionStatus::Stopping, None);
            }
            ActionStatus::Stopping => next.end.push(name.clone()),
            ActionStatus::Completed
            | ActionStatus::Stopped
            | ActionStatus::Failed
            | ActionStatus::Cancelled
            | ActionStatus::Skipped => {}
        }
    }
}

impl Next {
    fn experiment(
        &mut self,
        experiment: &ExperimentId,
        status: ExperimentStatus,
        reason: Option<String>,
    ) {
        self.records.push(EventKind::ExperimentStatusChanged {
            experiment: experiment.clone(),
            status,
            reason,
        });
    }

    fn action(
        &mut self,
        experiment: &ExperimentId,
        action: &str,
        status: ActionStatus,
        reason: Option<String>,
    ) {
        self.records.push(EventKind::ExperimentActionStatusChanged {
            of: ActionOf {
                experiment: experiment.clone(),
                action: action.to_owned(),
            },
            status,
            reason,
        });
    }

    /// An action's time is over. What has no lasting effect is over at once.
    fn ended(&mut self, id: &ExperimentId, action: &str, lasts: Duration, status: ActionStatus) {
        if lasts.is_zero() {
            self.action(id, action, status, None);
        } else {
            self.end.push(action.to_owned());
        }
    }

    /// The experiment is over once all of its actions are.
    fn over(
        &mut self,
        id: &ExperimentId,
        experiment: &Experiment,
        (status, reason): (ExperimentStatus, Option<String>),
    ) {
        if experiment.actions.values().all(|it| it.status.is_over()) {
            self.experiment(id, status, reason);
        }
    }

    fn wake_at(&mut self, at: Time) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

#[cfg(test)]
mod tests;
