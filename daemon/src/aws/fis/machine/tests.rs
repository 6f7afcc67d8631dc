use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use topologies::event::Event;
use topologies::experiment::{Blueprint, Experiments, Target};

use super::*;

const ID: &str = "EXP1";

/// An experiment that is driven by hand: what is to be recorded is, what is to be begun or ended waits to be told so.
struct Stage {
    world: topologies::world::World,
    now: Time,
    /// What the machine asked for and nobody has done yet.
    busy: BTreeSet<String>,
}

/// Actions: name, seconds that they last, what they wait for, the target.
type Written<'w> = (&'w str, u64, &'w [&'w str], &'w str);

fn blueprint(actions: &[Written<'_>], empty: &[&str]) -> Blueprint {
    let targets: BTreeSet<&str> = actions
        .iter()
        .map(|it| it.3)
        .filter(|it| !it.is_empty())
        .collect();
    let target = |name: &&str| {
        let resources = match empty.contains(name) {
            true => Vec::new(),
            false => vec![format!("arn:{name}")],
        };
        let asked = Value::Null;
        ((*name).to_owned(), Target { asked, resources })
    };
    let action = |(_, seconds, after, target): &Written<'_>| ActionBlueprint {
        action_id: "aws:fis:wait".to_owned(),
        description: None,
        parameters: BTreeMap::new(),
        targets: (!target.is_empty())
            .then(|| ("Instances".to_owned(), (*target).to_owned()))
            .into_iter()
            .collect(),
        start_after: after.iter().map(|it| (*it).to_owned()).collect(),
        lasts: Duration::from_secs(*seconds),
    };
    Blueprint {
        region: "eu-west-1".into(),
        template: "EXT1".to_owned(),
        client_token: "token".to_owned(),
        role_arn: "arn:aws:iam::123456789012:role/chaos".to_owned(),
        targets: targets.iter().map(target).collect(),
        actions: actions
            .iter()
            .map(|it| (it.0.to_owned(), action(it)))
            .collect(),
        stop_conditions: Value::Null,
        on_empty_target: OnEmptyTarget::Fail,
        actions_mode: ActionsMode::RunAll,
    }
}

impl Stage {
    fn of(blueprint: Blueprint) -> Self {
        let (topology, _) =
            topologies::check::check("region: eu-west-1\navailability-zones: [a]\n", "empty.yaml");
        let slot = topologies::address::Slot::new(64).unwrap();
        let plan = topologies::plan::plan(&topology.unwrap(), slot);
        let mut stage = Self {
            world: topologies::world::World::new(&plan),
            now: Time::ZERO,
            busy: BTreeSet::new(),
        };
        stage.record(EventKind::ExperimentStarted {
            experiment: ID.into(),
            blueprint: Box::new(blueprint),
        });
        stage
    }

    fn record(&mut self, event: EventKind) {
        let (seq, at) = (self.world.seq + 1, self.now);
        self.world.apply(&Event { seq, at, event });
    }

    fn experiments(&self) -> &Experiments {
        &self.world.account.experiments
    }

    fn next(&self) -> Next {
        let experiment = self.experiments().get(ID).unwrap();
        let busy = |action: &str| self.busy.contains(action);
        next(&ID.into(), experiment, &busy, self.now)
    }

    /// Records whatever is to be recorded; then tells what is asked for: `begin x`, `end y`.
    fn settle(&mut self) -> String {
        let mut next = self.next();
        while !next.records.is_empty() {
            for event in next.records {
                self.record(event);
            }
            next = self.next();
        }
        let begin = next.begin.into_iter().map(|name| ("begin", name));
        let end = next.end.into_iter().map(|name| ("end", name));
        let asked = begin.chain(end).map(|(word, name)| {
            self.busy.insert(name.clone());
            format!("{word} {name}")
        });
        asked.collect::<Vec<_>>().join(", ")
    }

    fn told(&mut self, action: &str, status: ActionStatus) {
        self.busy.remove(action);
        self.set(action, status);
    }

    fn set(&mut self, action: &str, status: ActionStatus) {
        let of = ActionOf {
            experiment: ID.into(),
            action: action.to_owned(),
        };
        let reason = (status == ActionStatus::Failed).then(|| "it broke".to_owned());
        self.record(EventKind::ExperimentActionStatusChanged { of, status, reason });
    }

    fn stop(&mut self) {
        self.record(EventKind::ExperimentStatusChanged {
            experiment: ID.into(),
            status: ExperimentStatus::Stopping,
            reason: None,
        });
    }

    fn at(&mut self, seconds: u64) {
        self.now = Time::from_millis(seconds * 1_000);
    }

    /// `running: a running, b pending`.
    fn shown(&self) -> String {
        let experiment = self.experiments().get(ID).unwrap();
        let actions = experiment.actions.iter();
        let actions: Vec<String> = actions
            .map(|(name, it)| format!("{name} {}", it.status))
            .collect();
        format!("{}: {}", experiment.status(), actions.join(", "))
    }

    fn reason(&self) -> String {
        let experiment = self.experiments().get(ID).unwrap();
        experiment.progress.reason.clone().unwrap_or_default()
    }
}

#[test]
fn s9_1_actions_run_in_their_order_and_for_their_time() {
    use ActionStatus::{Completed, Running};
    let mut stage = Stage::of(blueprint(
        &[
            ("a", 60, &[], ""),
            ("b", 0, &["a"], ""),
            ("c", 120, &[], ""),
        ],
        &[],
    ));
    assert_eq!(stage.shown(), "pending: a pending, b pending, c pending");
    assert_eq!(stage.settle(), "begin a, begin c");
    assert_eq!(
        stage.shown(),
        "running: a initiating, b pending, c initiating"
    );
    stage.told("a", Running);
    stage.told("c", Running);
    assert_eq!(stage.settle(), "");
    assert_eq!(stage.next().wake, Some(Time::from_millis(60_000)));
    stage.at(59);
    assert_eq!(stage.settle(), "");
    stage.at(60);
    assert_eq!(stage.settle(), "end a");
    stage.told("a", Completed);
    assert_eq!(stage.settle(), "begin b");
    stage.told("b", Running);
    // It has no effect that lasts.
    assert_eq!(stage.settle(), "");
    assert_eq!(
        stage.shown(),
        "running: a completed, b completed, c running"
    );
    stage.at(200);
    assert_eq!(stage.settle(), "end c");
    stage.told("c", Completed);
    assert_eq!(stage.settle(), "");
    assert_eq!(
        stage.shown(),
        "completed: a completed, b completed, c completed"
    );
    assert_eq!(stage.next(), Next::default());
}

#[test]
fn s9_1_a_stop_ends_what_runs_and_begins_nothing() {
    use ActionStatus::{Running, Stopped};
    let mut stage = Stage::of(blueprint(
        &[
            ("a", 60, &[], ""),
            ("b", 60, &["a"], ""),
            ("c", 60, &[], ""),
        ],
        &[],
    ));
    assert_eq!(stage.settle(), "begin a, begin c");
    stage.told("a", Running);
    stage.stop();
    // What is just being begun is waited for.
    assert_eq!(stage.settle(), "end a");
    assert_eq!(
        stage.shown(),
        "stopping: a stopping, b cancelled, c initiating"
    );
    stage.told("c", Running);
    assert_eq!(stage.settle(), "end c");
    stage.told("a", Stopped);
    stage.told("c", Stopped);
    assert_eq!(stage.settle(), "");
    assert_eq!(stage.shown(), "stopped: a stopped, b cancelled, c stopped");
    let experiment = stage.experiments().get(ID).unwrap();
    assert_eq!(experiment.actions["b"].started, None);
    assert!(experiment.progress.ended.is_some());
}

#[test]
fn s9_1_what_halts_an_experiment_is_why_it_is_stopped() {
    let mut stage = Stage::of(blueprint(&[("a", 60, &[], "")], &[]));
    stage.record(super::super::conditions::halt(&ID.into()));
    // It had not begun with anything.
    assert_eq!(stage.settle(), "");
    assert_eq!(stage.shown(), "stopped: a cancelled");
    assert_eq!(stage.reason(), "Experiment halted by stop condition.");
}

#[test]
fn s9_1_a_failed_action_fails_the_experiment_and_ends_the_others() {
    use ActionStatus::{Failed, Running, Stopped};
    let mut stage = Stage::of(blueprint(
        &[
            ("a", 60, &[], ""),
            ("b", 60, &[], ""),
            ("c", 60, &["b"], ""),
        ],
        &[],
    ));
    assert_eq!(stage.settle(), "begin a, begin b");
    stage.told("a", Running);
    stage.told("b", Failed);
    assert_eq!(stage.settle(), "end a");
    stage.told("a", Stopped);
    assert_eq!(stage.settle(), "");
    assert_eq!(stage.shown(), "failed: a stopped, b failed, c cancelled");
    assert_eq!(stage.reason(), "Action b failed: it broke");
}

#[test]
fn s9_1_an_empty_target_fails_the_experiment_or_skips_its_actions() {
    let actions: [Written<'_>; 3] = [
        ("a", 60, &[], "none"),
        ("b", 60, &["a"], "some"),
        ("c", 60, &[], ""),
    ];
    let mut stage = Stage::of(blueprint(&actions, &["none"]));
    assert_eq!(stage.settle(), "");
    assert_eq!(
        stage.shown(),
        "failed: a cancelled, b cancelled, c cancelled"
    );
    assert_eq!(
        stage.reason(),
        "Target resolution returned empty set. Target: none"
    );
    let mut tolerant = blueprint(&actions, &["none"]);
    tolerant.on_empty_target = OnEmptyTarget::Skip;
    let mut stage = Stage::of(tolerant);
    assert_eq!(stage.settle(), "begin b, begin c");
    assert_eq!(
        stage.shown(),
        "running: a skipped, b initiating, c initiating"
    );
}

#[test]
fn s9_1_a_preview_carries_nothing_out() {
    let mut preview = blueprint(&[("a", 60, &[], "some"), ("b", 60, &["a"], "")], &[]);
    preview.actions_mode = ActionsMode::SkipAll;
    let mut stage = Stage::of(preview);
    assert_eq!(stage.settle(), "");
    assert_eq!(stage.shown(), "completed: a skipped, b skipped");
}

#[test]
fn who_takes_an_experiment_over_goes_on_where_the_last_one_ended() {
    use ActionStatus::{Completed, Running, Stopping};
    let mut stage = Stage::of(blueprint(&[("a", 60, &[], ""), ("b", 60, &[], "")], &[]));
    stage.settle();
    stage.told("a", Running);
    // Nobody is at it any more, and time has passed.
    stage.busy.clear();
    stage.at(500);
    assert_eq!(stage.settle(), "begin b, end a");
    stage.told("b", Running);
    stage.told("a", Completed);
    stage.set("b", Stopping);
    stage.busy.clear();
    assert_eq!(stage.settle(), "end b");
}
