//! What is started and ended, and when: programs that end, and what a change of the plan brings and takes.

use std::sync::Arc;

use daemon::control::Stimulus;
use daemon::control::action::{Action, Outcome};
use topologies::edit::Edit;
use topologies::event::{DbInstanceStatus, EventKind};
use topologies::id::DbInstanceId;

use super::bench::Bench;
use super::tier_10k;

fn starts_app(action: &Action) -> bool {
    matches!(action, Action::StartApp { instance } if instance.as_str() == "web-1")
}

#[test]
fn a_program_that_ended_while_it_was_being_started_is_started_again() {
    let mut bench = Bench::resumed(tier_10k::plan());
    bench.runs("web-1");
    bench.exited("web-1");
    bench.settle(starts_app, Outcome::Done);
    bench.after(1_000);
    assert!(bench.ordered(starts_app), "{:?}", bench.orders);
}

#[test]
fn a_program_that_crashes_is_started_after_growing_pauses_and_one_that_was_well_at_once() {
    let mut bench = Bench::resumed(tier_10k::plan());
    let mut pauses = Vec::new();
    for _ in 0..8 {
        bench.settle(starts_app, Outcome::Done);
        bench.runs("web-1");
        let started = bench.now;
        bench.exited("web-1");
        while !bench.ordered(starts_app) {
            let (at, _) = bench.control.poll_timeout().expect("it is to be started");
            bench.after(u64::try_from((at - bench.now).as_millis()).unwrap() + 1);
        }
        pauses.push((bench.now - started).as_millis() / 100 * 100);
    }
    let pauses: Vec<u128> = pauses
        .into_iter()
        .map(|pause| pause.next_multiple_of(200))
        .collect();
    assert!(pauses.is_sorted(), "{pauses:?}");
    assert!(pauses[1] >= 200 && pauses[3] >= 1_000, "{pauses:?}");
    assert!(
        *pauses.last().unwrap() >= 4_800 && *pauses.last().unwrap() <= 5_000,
        "{pauses:?}"
    );

    bench.settle(starts_app, Outcome::Done);
    bench.runs("web-1");
    bench.after(20_000);
    bench.exited("web-1");
    assert!(bench.ordered(starts_app), "{:?}", bench.orders);
}

/// A database that is made while the stack runs is started, and one that is deleted ends, with all that it had, before it goes.
#[test]
fn a_plan_that_changes_is_followed() {
    let mut bench = Bench::resumed(tier_10k::plan());
    let plan = Arc::clone(&bench.control.world().plan);
    let mut late = plan.topology.db_instances[0].clone();
    late.id = "late".into();
    late.read_replicas.clear();
    late.hosts.truncate(1);
    late.hosts[0].id = "late-1".into();
    let edits = vec![Edit::PutDbInstance(Box::new(late))];
    let by = "rds:CreateDBInstance".to_owned();
    bench.take(Stimulus::Note(EventKind::TopologyEdited { by, edits }));
    let is_late = |action: &Action| action.instance().as_str() == "late-1";
    let started = bench.settle(is_late, Outcome::Done);
    assert!(matches!(started, Action::StartDatabase { .. }), "{started}");
    let status = |bench: &Bench| {
        let id: DbInstanceId = "late".into();
        let known = bench.control.world().databases.get(&id);
        known.map(|database| database.status)
    };
    assert_eq!(status(&bench), Some(DbInstanceStatus::Creating));
    assert_eq!(
        bench.control.world().plan.instances.len(),
        plan.instances.len() + 1
    );

    bench.take(Stimulus::Note(EventKind::DbInstanceStatusChanged {
        db_instance: "late".into(),
        status: DbInstanceStatus::Deleting,
    }));
    bench.exited("late-1");
    assert!(!bench.ordered(|action| is_late(action) && action.is_start()));
    let removed = bench.settle(is_late, Outcome::Done);
    assert!(matches!(removed, Action::Remove { .. }), "{removed}");
    assert_eq!(status(&bench), None);
    assert_eq!(bench.control.world().plan.instances, plan.instances);
    let told = bench.told.iter().rev().take(2).collect::<Vec<_>>();
    assert!(
        matches!(told[1], EventKind::RdsEvent { id: 3, .. }),
        "{told:?}"
    );
}
