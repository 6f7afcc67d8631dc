//! What the control plane does when a DB instance is to get a standby or lose it, to have another password, or to follow nobody
//! any more (aws-behaviour §1.1, §1.4).

use daemon::control::Stimulus;
use daemon::control::action::{Action, DbRole, Means, Outcome};
use daemon::control::probe::{DbProbe, PgStatus};
use topologies::edit::Edit;
use topologies::event::{DbInstanceStatus, DbRequest, EventKind};
use topologies::topology::{Member, ReadReplica};
use topologies::world::Database;

use super::bench::{Bench, id, primary, promotes, standby, starts};
use super::tier_10k;

/// A stack whose databases answer.
fn stack() -> Bench {
    let mut bench = Bench::resumed(tier_10k::plan());
    bench.database("orders-1", primary());
    bench.database("orders-2", standby());
    bench.told.clear();
    bench
}

fn ask(bench: &mut Bench, db_instance: &str, request: DbRequest) {
    bench.take(Stimulus::Note(EventKind::DbInstanceRequested {
        db_instance: db_instance.into(),
        request,
    }));
}

fn orders(bench: &Bench) -> &Database {
    &bench.control.world().databases["orders"]
}

/// A primary that acknowledges alone.
fn alone() -> DbProbe {
    DbProbe::Answered(PgStatus {
        timeline: 1,
        ..PgStatus::default()
    })
}

fn lets_go(action: &Action) -> bool {
    matches!(action, Action::SetSynchronousStandby { standby: None, .. })
}

fn removes(host: &str) -> impl Fn(&Action) -> bool {
    move |action| matches!(action, Action::Remove { instance } if instance.as_str() == host)
}

fn configures(action: &Action) -> bool {
    matches!(action, Action::ConfigurePrimary { .. })
}

/// One that was Multi-AZ and is not any more.
fn single() -> Bench {
    let mut bench = stack();
    ask(&mut bench, "orders", DbRequest::ConvertToSingleAz);
    bench.database("orders-1", primary());
    bench.settle(lets_go, Outcome::Done);
    bench.database("orders-1", alone());
    bench.settle(removes("orders-2"), Outcome::Done);
    bench
}

#[test]
fn s1_1_a_standby_is_out_of_sync_and_waited_for_by_nobody_before_it_goes() {
    let mut bench = stack();
    ask(&mut bench, "orders", DbRequest::ConvertToSingleAz);
    assert_eq!(orders(&bench).status, DbInstanceStatus::Modifying);
    let recorded = orders(&bench).standby.as_ref().map(|it| it.in_sync);
    assert_eq!(recorded, Some(false));
    assert!(!bench.ordered(removes("orders-2")));
    // What the primary said before that is not believed.
    bench.database("orders-1", primary());
    bench.settle(lets_go, Outcome::Done);
    assert!(!bench.ordered(removes("orders-2")));
    bench.database("orders-1", alone());
    bench.settle(removes("orders-2"), Outcome::Done);
    assert_eq!(bench.rds_events(), [29]);
    assert_eq!(orders(&bench).status, DbInstanceStatus::Available);
    assert_eq!(orders(&bench).standby, None);
    assert!(
        bench
            .control
            .world()
            .plan
            .instance(&id("orders-2"))
            .is_none()
    );
}

/// Between a primary's death and the moment in which it is believed, its standby is all that is left.
#[test]
fn a_standby_is_not_given_up_while_the_primary_is_silent() {
    let mut bench = stack();
    bench.database("orders-1", DbProbe::TimedOut);
    ask(&mut bench, "orders", DbRequest::ConvertToSingleAz);
    let recorded = orders(&bench).standby.as_ref().map(|it| it.in_sync);
    assert_eq!(recorded, Some(true));
    bench.exited("orders-1");
    bench.database("orders-2", standby());
    assert!(bench.ordered(promotes), "{:?}", bench.told);
}

#[test]
fn a_primary_that_is_lost_while_its_standby_goes_is_started_where_it_stands() {
    let mut bench = stack();
    ask(&mut bench, "orders", DbRequest::ConvertToSingleAz);
    bench.exited("orders-1");
    assert!(bench.ordered(starts("orders-1")));
    assert!(!bench.ordered(promotes));
}

#[test]
fn s1_1_a_new_standby_is_a_copy_and_in_sync_before_it_is_told_of() {
    let mut bench = single();
    bench.told.clear();
    bench.orders.clear();
    ask(&mut bench, "orders", DbRequest::ConvertToMultiAz);
    let topology = &bench.control.world().plan.topology;
    let mut with = topology.db_instances[0].clone();
    with.hosts.push(Member {
        id: id("orders-2"),
        zone: topology.regions[0].zones[1].id.clone(),
    });
    bench.take(Stimulus::Note(EventKind::TopologyEdited {
        by: "a test".to_owned(),
        edits: vec![Edit::PutDbInstance(Box::new(with))],
    }));
    bench.database("orders-1", alone());
    let demotes = |action: &Action| matches!(action, Action::Demote { .. });
    bench.settle(demotes, Outcome::Done);
    let copies = |action: &Action| matches!(action, Action::Rejoin { instance, by: Means::Copy, .. } if instance.as_str() == "orders-2");
    bench.settle(copies, Outcome::Done);
    assert_eq!(orders(&bench).status, DbInstanceStatus::Modifying);
    bench.take(Stimulus::Note(EventKind::StandbyInSync {
        db_instance: "orders".into(),
        instance: id("orders-2"),
    }));
    assert_eq!(bench.rds_events().first(), Some(&25));
    assert_eq!(orders(&bench).status, DbInstanceStatus::Available);
}

#[test]
fn another_password_is_there_when_the_primary_was_configured_with_it_whoever_that_is() {
    let mut bench = stack();
    bench.settle(configures, Outcome::Done);
    ask(&mut bench, "orders", DbRequest::ResetMasterCredentials);
    bench.database("orders-1", primary());
    let status = orders(&bench).status.as_str();
    assert_eq!(status, "resetting-master-credentials");
    bench.told.clear();
    // Its standby takes over before that was done.
    bench.exited("orders-1");
    let promoted = Outcome::Promoted {
        timeline: 2,
        offset: None,
    };
    bench.database("orders-2", standby());
    bench.settle(promotes, promoted);
    assert_eq!(orders(&bench).status.as_str(), status);
    bench.rds_events();
    let writes = PgStatus {
        timeline: 2,
        ..PgStatus::default()
    };
    bench.database("orders-2", DbProbe::Answered(writes.clone()));
    let order = bench.settle(configures, Outcome::Done);
    assert_eq!(order.instance().as_str(), "orders-2");
    bench.database("orders-2", DbProbe::Answered(writes));
    assert!(bench.rds_events().contains(&16));
    assert_eq!(orders(&bench).status, DbInstanceStatus::Available);
}

#[test]
fn a_new_replica_of_a_source_that_has_been_at_work_is_a_copy_of_it() {
    let mut bench = stack();
    bench.orders.clear();
    let mut with = bench.control.world().plan.topology.db_instances[0].clone();
    with.read_replicas.push(ReadReplica {
        id: "late".into(),
        availability_zone: with.hosts[0].zone.clone(),
    });
    bench.take(Stimulus::Note(EventKind::TopologyEdited {
        by: "a test".to_owned(),
        edits: vec![Edit::PutDbInstance(Box::new(with))],
    }));
    let copies = |action: &Action| matches!(action, Action::Rejoin { instance, by: Means::Copy, .. } if instance.as_str() == "late");
    assert!(bench.ordered(copies), "{:?}", bench.orders);
}

/// Torn data can not be promoted: they are copied anew, or there is nothing to promote.
#[test]
fn a_replica_without_data_is_copied_before_it_is_promoted_or_stays_one() {
    let torn = || Outcome::Refused("a rewind was interrupted".to_owned());
    let replica = |bench: &Bench| bench.control.world().replicas["orders-replica-1"].clone();
    let mut bench = stack();
    bench.settle(starts("orders-replica-1"), torn());
    ask(&mut bench, "orders-replica-1", DbRequest::Promote);
    let copies = |action: &Action| matches!(action, Action::Rejoin { instance, by: Means::Copy, .. } if instance.as_str() == "orders-replica-1");
    bench.after(5_000);
    bench.database("orders-1", primary());
    assert!(bench.ordered(copies), "{:?}", bench.orders);
    assert_eq!(replica(&bench).requested, Some(DbRequest::Promote));

    let mut bench = stack();
    bench.settle(starts("orders-replica-1"), torn());
    bench.silent("orders-1");
    ask(&mut bench, "orders-replica-1", DbRequest::Promote);
    assert_eq!(replica(&bench).requested, None);
    assert_eq!(replica(&bench).status, DbInstanceStatus::Available);
}

#[test]
fn s1_4_a_promoted_replica_is_a_db_instance_of_its_own() {
    let mut bench = stack();
    bench.settle(starts("orders-replica-1"), Outcome::Done);
    bench.database("orders-replica-1", standby());
    bench.told.clear();
    ask(&mut bench, "orders-replica-1", DbRequest::Promote);
    // It ends meanwhile, and its data say what it is.
    bench.settle(promotes, Outcome::Failed("it ended".to_owned()));
    bench.exited("orders-replica-1");
    let again = bench.settle(starts("orders-replica-1"), Outcome::Done);
    let Action::StartDatabase { role, .. } = again else {
        panic!("{again:?}");
    };
    assert!(matches!(role, DbRole::Successor { .. }), "{role:?}");
    bench.after(5_000);
    bench.database("orders-replica-1", standby());
    let promoted = Outcome::Promoted {
        timeline: 2,
        offset: None,
    };
    bench.settle(promotes, promoted);
    let world = bench.control.world();
    assert!(!world.replicas.contains_key("orders-replica-1"));
    let own = &world.databases["orders-replica-1"];
    assert_eq!(own.primary.as_str(), "orders-replica-1");
    assert_eq!(
        (own.status, &own.standby),
        (DbInstanceStatus::Modifying, &None)
    );
    let source = &world.plan.topology.db_instances[0];
    assert_eq!(source.read_replicas.len(), 1, "the other one stays");
    let writes = PgStatus {
        timeline: 2,
        ..PgStatus::default()
    };
    bench.database("orders-replica-1", DbProbe::Answered(writes.clone()));
    bench.settle(configures, Outcome::Done);
    bench.database("orders-replica-1", DbProbe::Answered(writes));
    assert!(bench.rds_events().contains(&57));
    let own = &bench.control.world().databases["orders-replica-1"];
    assert_eq!(own.status, DbInstanceStatus::Available);
    // It is nobody's replica: lost, it is started as a writer.
    bench.exited("orders-replica-1");
    let again = bench.settle(starts("orders-replica-1"), Outcome::Done);
    assert!(matches!(
        again,
        Action::StartDatabase {
            role: DbRole::Primary { .. },
            ..
        }
    ));
}
