//! What becomes of a DB instance whose primary is lost, and what RDS tells of it.

use std::sync::Arc;
use std::time::Duration;

use daemon::control::Stimulus;
use daemon::control::action::{Action, DbRole, Outcome};
use daemon::control::probe::{DbProbe, PgStatus};
use topologies::plan::Plan;

use super::bench::{Bench, id, primary, promotes, standby};
use super::tier_10k;

/// The tier, with a minute between a failover's beginning and its promotion.
fn promoting_after_a_minute() -> Arc<Plan> {
    let mut plan = (*tier_10k::plan()).clone();
    let minute = Duration::from_secs(60);
    plan.topology.timing.db_failover = (minute, minute);
    Arc::new(plan)
}

/// The database's primary is lost; its standby is to be promoted.
fn failing_over(plan: Arc<Plan>) -> Bench {
    let mut bench = Bench::resumed(plan);
    bench.lose_primary();
    bench
}

#[test]
fn a_standby_that_dies_in_its_promotion_is_started_as_what_its_data_are() {
    let mut bench = failing_over(tier_10k::plan());
    let (promotion, _) = bench
        .orders
        .iter()
        .find(|(_, it)| promotes(it))
        .cloned()
        .expect("it is in sync");
    bench.exited("orders-2");
    let succeeds = |action: &Action| {
        let role = DbRole::Successor { of: id("orders-1") };
        let instance = id("orders-2");
        *action == Action::StartDatabase { instance, role }
    };
    bench.settle(succeeds, Outcome::Done);
    bench.take(Stimulus::Outcome(
        promotion,
        Outcome::Failed("connection reset".to_owned()),
    ));
    let promoted = PgStatus {
        timeline: 2,
        ..PgStatus::default()
    };
    bench.database("orders-2", DbProbe::Answered(promoted));
    bench.after(1_000);
    let (timeline, offset) = (2, Some(0));
    bench.settle(promotes, Outcome::Promoted { timeline, offset });
    let database = &bench.control.world().databases["orders"];
    assert_eq!(
        (database.primary.as_str(), &database.failover_to),
        ("orders-2", &None)
    );
}

#[test]
fn a_promotion_that_is_to_wait_asks_to_be_woken() {
    let mut bench = failing_over(promoting_after_a_minute());
    let decided = bench.now;
    bench.orders.clear();
    // Nobody probes.
    for _ in 0..100 {
        if bench.ordered(promotes) {
            break;
        }
        let (at, _) = bench.control.poll_timeout().expect("the promotion is due");
        bench.now = at;
        bench.take(Stimulus::Tick);
    }
    assert!(bench.ordered(promotes), "{:?}", bench.orders);
    assert_eq!((bench.now - decided).as_secs(), 60);
}

/// The primary falls silent, and so does its standby while the promotion waits for a minute.
fn both_silent_in_a_failover() -> Bench {
    let mut bench = Bench::resumed(promoting_after_a_minute());
    bench.database("orders-1", primary());
    bench.database("orders-2", standby());
    bench.silent("orders-1");
    assert!(bench.control.world().fenced(&id("orders-1")));
    bench.silent("orders-2");
    bench
}

#[test]
fn a_failover_is_abandoned_when_the_standby_is_lost_and_the_primary_is_back() {
    let mut bench = both_silent_in_a_failover();
    bench.after(61_000);
    bench.rds_events();
    bench.database("orders-1", primary());
    bench.database("orders-1", primary());
    let database = &bench.control.world().databases["orders"];
    assert_eq!(database.primary.as_str(), "orders-1");
    assert_eq!(database.failover_to, None);
    assert!(database.fenced.is_empty());
    assert!(!database.standby.as_ref().unwrap().in_sync);
    let demotes = |action: &Action| matches!(action, Action::Demote { .. });
    assert!(!bench.ordered(|it| promotes(it) || demotes(it)));
    // RDS-EVENT-0065 (aws-behaviour §1.2).
    assert!(bench.rds_events().contains(&65));
    bench.database("orders-2", standby());
    assert!(!bench.ordered(promotes), "it may lack what was written");
}

#[test]
fn a_failover_goes_on_when_the_standby_is_back_first() {
    let mut bench = both_silent_in_a_failover();
    bench.after(61_000);
    assert!(!bench.ordered(promotes), "{:?}", bench.orders);
    bench.database("orders-2", standby());
    assert!(bench.ordered(promotes), "{:?}", bench.orders);
    // Nobody knows any more whether it was promoted.
    bench.silent("orders-2");
    bench.database("orders-1", primary());
    let failed = Outcome::Failed("no answer".to_owned());
    bench.settle(promotes, failed);
    bench.database("orders-1", primary());
    let database = &bench.control.world().databases["orders"];
    assert_eq!(database.failover_to, Some(id("orders-2")));
    assert!(bench.control.world().fenced(&id("orders-1")));
}

fn starts_primary(action: &Action) -> bool {
    let role = |role: &DbRole| matches!(role, DbRole::Primary { .. });
    matches!(action, Action::StartDatabase { instance, role: wanted } if instance.as_str() == "orders-1" && role(wanted))
}

/// aws-behaviour §1.1: "if both copies are unreachable".
#[test]
fn the_loss_of_both_copies_is_told_as_recovery_and_activation() {
    let mut bench = Bench::resumed(tier_10k::plan());
    bench.database("orders-1", primary());
    bench.database("orders-2", standby());
    bench.silent("orders-2");
    bench.rds_events();
    bench.exited("orders-1");
    assert_eq!(bench.rds_events(), [52]);
    bench.settle(starts_primary, Outcome::Done);
    assert_eq!(bench.rds_events(), [53, 50]);
    bench.database("orders-1", primary());
    assert_eq!(bench.rds_events(), [51]);
}

#[test]
fn the_loss_of_the_primary_alone_is_told_as_shutdown_and_restart() {
    let mut bench = Bench::resumed(tier_10k::plan());
    bench.database("orders-1", primary());
    bench.rds_events();
    bench.exited("orders-1");
    assert_eq!(bench.rds_events(), [4]);
    bench.settle(starts_primary, Outcome::Done);
    bench.database("orders-1", primary());
    assert_eq!(bench.rds_events(), [6]);
}

/// One that ran for the last control plane, and of which this one hears nothing, is not being created.
#[test]
fn who_is_never_heard_by_the_next_control_plane_is_unreachable() {
    let mut bench = Bench::resumed(tier_10k::plan());
    bench.database("orders-1", primary());
    let reachable = |bench: &Bench| bench.control.world().instances[&id("orders-2")].reachable;
    assert_eq!(reachable(&bench), None);
    bench.silent("orders-2");
    assert_eq!(reachable(&bench), Some(false));
    bench.database("orders-2", standby());
    assert_eq!(reachable(&bench), Some(true));
}
