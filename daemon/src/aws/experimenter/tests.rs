//! The experimenter against a driver that does what a test says.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use topologies::event::Event;
use topologies::experiment::{
    ActionBlueprint, ActionsMode, Blueprint, ExperimentStatus, OnEmptyTarget, Target,
};

use super::*;
use crate::api::tests::hollow::{Fixture, fixture_of};
use crate::aws::ids;
use crate::stack::Injected;

const TWO_ZONES: &str = "name: small\nregion: ap-northeast-2\navailability-zones: [a, c]\n";
/// Nothing takes longer that is going to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stack in whose place the test answers.
struct Stage {
    fixture: Fixture,
    world: World,
    faults: usize,
    /// The target of a fault that can not be injected.
    impossible: &'static str,
    /// How many more times a fault can not be healed.
    stuck: usize,
    /// What was asked for: `inject ap-northeast-2a`, `heal f1`.
    asked: Vec<String>,
}

impl Stage {
    fn new() -> Self {
        let fixture = fixture_of(TWO_ZONES);
        let world = World::clone(&fixture.world.borrow());
        Self {
            fixture,
            world,
            faults: 0,
            impossible: "",
            stuck: 0,
            asked: Vec::new(),
        }
    }

    fn record(&mut self, event: EventKind) {
        let seq = self.world.seq + 1;
        let at = self.fixture.api.stack.clock.now();
        self.world.apply(&Event { seq, at, event });
        self.fixture
            .world
            .send_replace(Arc::new(self.world.clone()));
    }

    fn inject(&mut self, fault: &Fault, by: Option<ActionOf>) -> FaultId {
        self.faults += 1;
        let id = FaultId::from(format!("f{}", self.faults));
        self.record(EventKind::FaultInjected {
            fault: id.clone(),
            fault_kind: fault.kind().to_owned(),
            target: fault.target(),
            consequences: Vec::new(),
            by,
        });
        id
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Call { decide, answer } => {
                let now = self.fixture.api.stack.clock.now();
                let decided = decide(&self.world, now).map(|(output, changes)| {
                    for change in changes {
                        if let Change::Note(event) = change {
                            self.record(event);
                        }
                    }
                    output
                });
                let _gone = answer.send(decided);
            }
            Request::Inject { fault, by, answer } => {
                self.asked.push(format!("inject {}", fault.target()));
                let injected = match fault.target() == self.impossible {
                    true => Err("it can not be".to_owned()),
                    false => Ok(Injected {
                        fault: self.inject(&fault, by),
                        consequences: Vec::new(),
                    }),
                };
                let _gone = answer.send(injected);
            }
            Request::Heal(fault, answer) => {
                let fault = fault.expect("it knows which");
                self.asked.push(format!("heal {fault}"));
                let healed = match self.stuck.checked_sub(1) {
                    Some(left) => {
                        self.stuck = left;
                        Err("it is stuck".to_owned())
                    }
                    None => {
                        self.record(EventKind::FaultHealed {
                            fault: fault.clone(),
                        });
                        Ok(vec![fault])
                    }
                };
                let _gone = answer.send(healed);
            }
            Request::Preview(..) | Request::Note(_) => panic!("nobody asks for that"),
        }
    }

    /// Has an experimenter work until it is so.
    async fn until(&mut self, so: impl Fn(&World) -> bool) {
        let stack = self.fixture.api.stack.clone();
        let experimenter = Experimenter::new(stack).expect("there is a model");
        let work = async {
            while !so(&self.world) {
                let request = self.fixture.requests.recv().await;
                self.serve(request.expect("the stack has a sender"));
            }
        };
        tokio::select! {
            () = experimenter.run() => panic!("it ended"),
            done = tokio::time::timeout(PATIENCE, work) => done.expect("it never is"),
        }
    }

    fn begin(&mut self) {
        self.record(EventKind::ExperimentStarted {
            experiment: "EXP1".into(),
            blueprint: Box::new(cut()),
        });
    }

    fn status(&mut self, status: ExperimentStatus) {
        self.record(EventKind::ExperimentStatusChanged {
            experiment: "EXP1".into(),
            status,
            reason: None,
        });
    }
}

fn of(action: &str) -> ActionOf {
    ActionOf {
        experiment: "EXP1".into(),
        action: action.to_owned(),
    }
}

/// Both subnets are cut off, for hours.
fn cut() -> Blueprint {
    let subnets = ["ap-northeast-2a", "ap-northeast-2c"].map(|zone| {
        let id = ids::subnet(&zone.into());
        format!("arn:aws:ec2:ap-northeast-2:123456789012:subnet/{id}")
    });
    let parameters = [("duration", "PT12H"), ("scope", "all")];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let action = ActionBlueprint {
        action_id: "aws:network:disrupt-connectivity".to_owned(),
        description: None,
        parameters: parameters.into_iter().map(owned).collect(),
        targets: [owned(("Subnets", "both"))].into(),
        start_after: Vec::new(),
        lasts: Duration::from_secs(43_200),
    };
    let target = Target {
        asked: json!({}),
        resources: subnets.to_vec(),
    };
    Blueprint {
        region: "ap-northeast-2".into(),
        template: "EXT1".to_owned(),
        client_token: "token".to_owned(),
        role_arn: "arn:aws:iam::123456789012:role/chaos".to_owned(),
        targets: BTreeMap::from([("both".to_owned(), target)]),
        actions: BTreeMap::from([("cut".to_owned(), action)]),
        stop_conditions: json!([]),
        on_empty_target: OnEmptyTarget::Fail,
        actions_mode: ActionsMode::RunAll,
    }
}

fn is(status: ExperimentStatus) -> impl Fn(&World) -> bool {
    move |world| {
        let experiment = world.account.experiments.get("EXP1");
        experiment.is_some_and(|it| it.status() == status)
    }
}

fn is_cut(world: &World) -> bool {
    action(world, &of("cut")) == Some(ActionStatus::Running)
}

#[tokio::test]
async fn a_fault_that_can_not_be_fails_the_experiment_and_nothing_is_left() {
    let mut stage = Stage::new();
    stage.impossible = "ap-northeast-2c";
    stage.begin();
    stage.until(is(ExperimentStatus::Failed)).await;
    let asked = [
        "inject ap-northeast-2a",
        "inject ap-northeast-2c",
        "heal f1",
    ];
    assert_eq!(stage.asked, asked);
    assert!(stage.world.faults.is_empty());
    let experiment = stage.world.account.experiments.get("EXP1").unwrap();
    let reason = experiment.progress.reason.as_deref();
    assert_eq!(reason, Some("Action cut failed: it can not be"));
}

#[tokio::test]
async fn a_fault_that_can_not_be_healed_is_healed_again() {
    let mut stage = Stage::new();
    stage.begin();
    stage.until(is_cut).await;
    assert_eq!(stage.world.faults.len(), 2);
    stage.stuck = 1;
    stage.status(ExperimentStatus::Stopping);
    stage.until(is(ExperimentStatus::Stopped)).await;
    let heals = ["heal f1", "heal f2", "heal f1"];
    assert_eq!(stage.asked[2..], heals);
    assert!(stage.world.faults.is_empty());
}

#[tokio::test]
async fn who_takes_over_injects_what_is_missing_and_heals_what_is_left() {
    let mut stage = Stage::new();
    stage.begin();
    stage.until(is(ExperimentStatus::Running)).await;
    // The daemon died while the action was being brought about: one of its faults is in force. Another is of nobody.
    let cut_off = |zone: &str| Fault::KillAz {
        zone: zone.into(),
        mode: chaos::fault::ZoneLoss::Network,
    };
    let initiating = changed(of("cut"), ActionStatus::Initiating, None);
    stage.record(initiating);
    stage.asked.clear();
    for fault in stage.world.faults.clone().into_keys() {
        stage.record(EventKind::FaultHealed { fault });
    }
    let kept = stage.inject(&cut_off("ap-northeast-2a"), Some(of("cut")));
    let stray = stage.inject(&cut_off("ap-northeast-2c"), Some(of("forgotten")));
    let own = stage.inject(&cut_off("ap-northeast-2c"), None);
    stage
        .until(|world| is_cut(world) && world.faults.len() == 3)
        .await;
    let mut asked = stage.asked.clone();
    asked.sort();
    assert_eq!(
        asked,
        [format!("heal {stray}"), "inject ap-northeast-2c".to_owned()]
    );
    assert!(stage.world.faults.contains_key(&kept) && stage.world.faults.contains_key(&own));
}
