//! What the control plane does when a reboot, a failover, a stop or a start is asked of a DB instance (aws-behaviour §1.1).

use daemon::control::Stimulus;
use daemon::control::action::{Action, Outcome};
use topologies::event::{DbInstanceStatus, DbRequest, EventKind};
use topologies::id::DbInstanceId;

use super::bench::{Bench, primary, promotes, standby, starts};
use super::tier_10k;

/// A stack whose databases answer, and of which something is asked.
fn asked(request: DbRequest) -> Bench {
    let mut bench = Bench::resumed(tier_10k::plan());
    bench.database("orders-1", primary());
    bench.database("orders-2", standby());
    bench.told.clear();
    ask(&mut bench, "orders", request);
    bench
}

fn ask(bench: &mut Bench, db_instance: &str, request: DbRequest) {
    bench.take(Stimulus::Note(EventKind::DbInstanceRequested {
        db_instance: db_instance.into(),
        request,
    }));
}

fn status(bench: &Bench) -> DbInstanceStatus {
    bench.control.world().databases[&DbInstanceId::from("orders")].status
}

fn stops(host: &str) -> impl Fn(&Action) -> bool {
    move |action| matches!(action, Action::Stop { instance } if instance.as_str() == host)
}

fn reason(bench: &Bench) -> Option<String> {
    bench.told.iter().find_map(|event| {
        let EventKind::FailoverStarted { reason, .. } = event else {
            return None;
        };
        Some(reason.clone())
    })
}

fn promoted() -> Outcome {
    Outcome::Promoted {
        timeline: 2,
        offset: None,
    }
}

#[test]
fn s1_1_a_forced_failover_promotes_the_standby_though_the_primary_lives() {
    let mut bench = asked(DbRequest::Failover);
    assert_eq!(status(&bench), DbInstanceStatus::Rebooting);
    let why = reason(&bench).expect("a failover began");
    assert_eq!(why, "The user requested a failover of the DB instance.");
    bench.settle(promotes, promoted());
    assert_eq!(bench.rds_events(), [13, 49, 49, 6]);
    assert_eq!(status(&bench), DbInstanceStatus::Available);
    let world = bench.control.world();
    assert_eq!(
        world.databases[&DbInstanceId::from("orders")]
            .primary
            .as_str(),
        "orders-2"
    );
    assert!(world.fenced(&"orders-1".into()));
}

#[test]
fn s1_1_a_reboot_ends_the_primary_starts_it_again_and_nobody_takes_over() {
    let mut bench = asked(DbRequest::Reboot);
    bench.settle(stops("orders-1"), Outcome::Done);
    assert!(
        !bench.ordered(starts("orders-1")),
        "its end was not seen yet"
    );
    bench.exited("orders-1");
    bench.settle(starts("orders-1"), Outcome::Done);
    assert_eq!(status(&bench), DbInstanceStatus::Rebooting);
    bench.database("orders-1", primary());
    assert_eq!(bench.rds_events(), [4, 6]);
    assert_eq!(status(&bench), DbInstanceStatus::Available);
    assert!(!bench.ordered(promotes));
}

#[test]
fn a_primary_that_does_not_come_back_from_its_reboot_is_failed_over_from() {
    let mut bench = asked(DbRequest::Reboot);
    bench.settle(stops("orders-1"), Outcome::Done);
    bench.exited("orders-1");
    let why = "the zone has no power".to_owned();
    bench.settle(starts("orders-1"), Outcome::Failed(why));
    bench.database("orders-2", standby());
    bench.settle(promotes, promoted());
    let world = bench.control.world();
    assert_eq!(
        world.databases[&DbInstanceId::from("orders")]
            .primary
            .as_str(),
        "orders-2"
    );
    assert_eq!(status(&bench), DbInstanceStatus::Available);
}

#[test]
fn a_primary_that_can_not_be_reached_for_its_reboot_is_failed_over_from() {
    let mut bench = asked(DbRequest::Reboot);
    let why = "the zone is cut off".to_owned();
    bench.settle(stops("orders-1"), Outcome::Failed(why));
    assert_eq!(status(&bench), DbInstanceStatus::Available);
    bench.silent("orders-1");
    bench.database("orders-2", standby());
    assert!(bench.ordered(promotes), "{:?}", bench.orders);
}

#[test]
fn a_failover_that_the_standby_can_not_take_is_not_made_up_for_later() {
    let mut bench = Bench::resumed(tier_10k::plan());
    bench.database("orders-1", primary());
    let (db_instance, instance) = ("orders".into(), "orders-2".into());
    bench.take(Stimulus::Note(EventKind::StandbyOutOfSync {
        db_instance,
        instance,
        why: "a test".to_owned(),
    }));
    ask(&mut bench, "orders", DbRequest::Failover);
    assert_eq!(status(&bench), DbInstanceStatus::Available);
    assert_eq!(reason(&bench), None);
}

#[test]
fn a_stopped_instance_stays_so_until_it_is_started() {
    let mut bench = asked(DbRequest::Stop);
    assert!(!bench.ordered(stops("orders-2")), "the primary goes first");
    bench.settle(stops("orders-1"), Outcome::Done);
    bench.exited("orders-1");
    bench.settle(stops("orders-2"), Outcome::Done);
    bench.exited("orders-2");
    assert_eq!(status(&bench), DbInstanceStatus::Stopped);
    assert_eq!(bench.rds_events(), [87]);
    bench.orders.clear();
    bench.after(60_000);
    let touches = |action: &Action| ["orders-1", "orders-2"].contains(&action.instance().as_str());
    assert!(!bench.ordered(touches), "{:?}", bench.orders);

    ask(&mut bench, "orders", DbRequest::Start);
    assert!(bench.ordered(starts("orders-2")));
    bench.settle(starts("orders-1"), Outcome::Done);
    assert_eq!(status(&bench), DbInstanceStatus::Starting);
    bench.database("orders-1", primary());
    assert_eq!(bench.rds_events(), [88]);
    assert_eq!(status(&bench), DbInstanceStatus::Available);
    assert!(!bench.ordered(promotes));
}

#[test]
fn a_primary_that_is_lost_as_soon_as_it_was_started_on_request_is_followed_by_its_standby() {
    let mut bench = asked(DbRequest::Stop);
    bench.settle(stops("orders-1"), Outcome::Done);
    bench.exited("orders-1");
    bench.settle(stops("orders-2"), Outcome::Done);
    bench.exited("orders-2");
    assert_eq!(status(&bench), DbInstanceStatus::Stopped);
    ask(&mut bench, "orders", DbRequest::Start);
    let orders = std::mem::take(&mut bench.orders);
    bench.orders = orders.clone();
    bench.settle(starts("orders-2"), Outcome::Done);
    bench.orders = orders;
    bench.settle(starts("orders-1"), Outcome::Done);
    bench.database("orders-2", standby());
    bench.silent("orders-1");
    bench.after(1);
    assert_eq!(status(&bench), DbInstanceStatus::Available);
    assert!(reason(&bench).is_some(), "no failover began");
}

#[test]
fn a_read_replica_that_is_rebooted_tells_of_its_restart() {
    let mut bench = Bench::resumed(tier_10k::plan());
    bench.database("orders-1", primary());
    // Whoever takes a stack over starts it where it runs already.
    bench.settle(starts("orders-replica-1"), Outcome::Done);
    bench.database("orders-replica-1", standby());
    bench.told.clear();
    ask(&mut bench, "orders-replica-1", DbRequest::Reboot);
    bench.settle(stops("orders-replica-1"), Outcome::Done);
    bench.exited("orders-replica-1");
    bench.settle(starts("orders-replica-1"), Outcome::Done);
    assert_eq!(bench.rds_events(), Vec::<u16>::new());
    bench.database("orders-replica-1", standby());
    assert_eq!(bench.rds_events(), [6]);
    let replica = &bench.control.world().replicas[&DbInstanceId::from("orders-replica-1")];
    assert_eq!(replica.status, DbInstanceStatus::Available);
}
