//! When a standby or a read replica is left alone, brought in line and made anew.

use daemon::control::action::{Action, DbRole, Means, Outcome};
use daemon::control::probe::{DbProbe, Lsn, Peer, PgStatus, WalReceiver};
use topologies::event::{EventKind, ReplicationStatus};

use super::bench::{Bench, id, primary, promotes, starts};
use super::tier_10k;

#[test]
fn data_are_made_anew_only_if_the_engine_refused_them() {
    let starts = |action: &Action| {
        let role = DbRole::Standby { of: id("orders-1") };
        let instance = id("orders-2");
        *action == Action::StartDatabase { instance, role }
    };
    let rejoins = |action: &Action| matches!(action, Action::Rejoin { instance, .. } if instance.as_str() == "orders-2");
    let outcome_then = |outcome: Outcome| {
        let mut bench = Bench::resumed(tier_10k::plan());
        bench.database("orders-1", primary());
        bench.exited("orders-2");
        bench.settle(starts, outcome);
        for _ in 0..5 {
            bench.after(500);
            bench.database("orders-1", primary());
        }
        (bench.ordered(starts), bench.ordered(rejoins))
    };
    let capacity = "insufficient capacity in ap-northeast-2b".to_owned();
    assert_eq!(outcome_then(Outcome::Failed(capacity)), (true, false));
    let torn = "its data is half rewound".to_owned();
    assert_eq!(outcome_then(Outcome::Refused(torn)), (false, true));
}

/// A receiver that hangs says for ever that it streams; its source has given it up.
#[test]
fn a_replica_that_its_source_does_not_send_to_does_not_replicate() {
    let replica = "orders-replica-1";
    let plan = tier_10k::plan();
    let place = |name: &str| plan.instance(&id(name)).expect("it is planned").clone();
    let view = plan.zone_number(&place(replica).zone);
    let sender_host = place("orders-1").address.replication(view).to_string();
    let receives = DbProbe::Answered(PgStatus {
        timeline: 1,
        in_recovery: true,
        receiver: Some(WalReceiver {
            streaming: true,
            sender_host,
        }),
        ..PgStatus::default()
    });
    let sends = |streaming| {
        DbProbe::Answered(PgStatus {
            timeline: 1,
            peers: vec![Peer {
                application_name: replica.to_owned(),
                streaming,
                synchronous: false,
                flush_lsn: Lsn(1),
            }],
            ..PgStatus::default()
        })
    };
    let mut bench = Bench::resumed(plan.clone());
    bench.settle(starts(replica), Outcome::Done);
    for (source, expected, told) in [
        (sends(true), ReplicationStatus::Replicating, &[][..]),
        (primary(), ReplicationStatus::ReplicationDegraded, &[45]),
        (sends(false), ReplicationStatus::ReplicationDegraded, &[]),
        (sends(true), ReplicationStatus::Replicating, &[46]),
    ] {
        bench.told.clear();
        bench.database("orders-1", source);
        bench.database(replica, receives.clone());
        let shown = bench.control.world().replicas[replica].replication;
        let mut published = bench.rds_events();
        published.retain(|id| matches!(id, 45 | 46));
        assert_eq!((shown, &*published), (expected, told));
    }
}

/// How the last order to bring this follower in line is to do it.
fn means(bench: &Bench, follower: &str) -> Option<Means> {
    let mut orders = bench.orders.iter().rev();
    orders.find_map(|(_, action)| {
        let Action::Rejoin { instance, by, .. } = action else {
            return None;
        };
        (instance.as_str() == follower).then_some(*by)
    })
}

/// Its primary answers, alone, and so does the follower, in whose account nothing streams.
fn apart(bench: &mut Bench, follower: &str, account: &PgStatus, seconds: u64) {
    let alone = PgStatus {
        timeline: account.timeline,
        ..PgStatus::default()
    };
    for _ in 0..seconds * 2 {
        bench.after(498);
        bench.database("orders-1", DbProbe::Answered(alone.clone()));
        bench.database(follower, DbProbe::Answered(account.clone()));
    }
}

/// One that is cut off has nothing amiss, and streams again by itself; only one whose source lacks log that it needs never does. To a
/// rewind that one, too, has nothing amiss.
#[test]
fn a_follower_that_is_cut_off_is_left_and_made_anew_only_with_patience() {
    let rejoins = |action: &Action| matches!(action, Action::Rejoin { .. });
    let account = PgStatus {
        timeline: 1,
        in_recovery: true,
        ..PgStatus::default()
    };
    for follower in ["orders-2", "orders-replica-1"] {
        let mut bench = Bench::resumed(tier_10k::plan());
        bench.exited(follower);
        bench.database("orders-1", primary());
        bench.settle(starts(follower), Outcome::Done);
        apart(&mut bench, follower, &account, 28);
        assert_eq!(means(&bench, follower), None, "{follower}");
        apart(&mut bench, follower, &account, 4);
        assert_eq!(means(&bench, follower), Some(Means::Rewind), "{follower}");
        bench.settle(rejoins, Outcome::Done);
        apart(&mut bench, follower, &account, 58);
        assert_eq!(means(&bench, follower), None, "{follower}");
        apart(&mut bench, follower, &account, 4);
        assert_eq!(means(&bench, follower), Some(Means::Copy), "{follower}");
    }
}

/// The promoted standby never had what this one received of the old primary.
#[test]
fn a_follower_beyond_the_fork_is_made_anew_at_once() {
    let beyond = |lsn: u64| {
        let mut bench = Bench::resumed(tier_10k::plan());
        bench.settle(starts("orders-replica-1"), Outcome::Done);
        bench.lose_primary();
        let (timeline, offset) = (2, Some(100));
        bench.settle(promotes, Outcome::Promoted { timeline, offset });
        let follows = |action: &Action| matches!(action, Action::Follow { instance, .. } if instance.as_str() == "orders-replica-1");
        let account = PgStatus {
            timeline: 1,
            in_recovery: true,
            lsn: Lsn(lsn),
            ..PgStatus::default()
        };
        let new_primary = PgStatus {
            timeline: 2,
            ..PgStatus::default()
        };
        let look = |bench: &mut Bench| {
            bench.after(498);
            bench.database("orders-2", DbProbe::Answered(new_primary.clone()));
            bench.database("orders-replica-1", DbProbe::Answered(account.clone()));
        };
        look(&mut bench);
        bench.settle(follows, Outcome::Done);
        for _ in 0..10 {
            look(&mut bench);
        }
        means(&bench, "orders-replica-1")
    };
    assert_eq!(beyond(101), Some(Means::Rewind));
    assert_eq!(beyond(100), None);
}

#[test]
fn a_follower_that_never_accepts_sessions_is_made_anew() {
    for follower in ["orders-2", "orders-replica-1"] {
        let mut bench = Bench::resumed(tier_10k::plan());
        let alone = PgStatus {
            timeline: 1,
            ..PgStatus::default()
        };
        bench.exited(follower);
        bench.database("orders-1", primary());
        bench.settle(starts(follower), Outcome::Done);
        for _ in 0..70 {
            bench.after(500);
            bench.database("orders-1", DbProbe::Answered(alone.clone()));
            bench.database(follower, DbProbe::Starting);
            if means(&bench, follower).is_none() && bench.ordered(starts(follower)) {
                // A start finds a server that runs already.
                bench.settle(starts(follower), Outcome::Done);
            }
        }
        assert_eq!(means(&bench, follower), Some(Means::Copy), "{follower}");
    }
}

/// Whether a host that takes connections and says nothing for this long is made anew, with and without a stream from its source, and
/// how often that is told.
fn hangs(host: &str, streaming: bool, seconds: u32) -> (bool, usize) {
    let source = || {
        DbProbe::Answered(PgStatus {
            timeline: 1,
            peers: vec![Peer {
                application_name: host.to_owned(),
                streaming,
                synchronous: false,
                flush_lsn: Lsn(1),
            }],
            ..PgStatus::default()
        })
    };
    let rejoins = |action: &Action| matches!(action, Action::Rejoin { instance, .. } if instance.as_str() == host);
    let mut bench = Bench::resumed(tier_10k::plan());
    for _ in 0..seconds * 2 {
        bench.after(500);
        bench.database("orders-1", source());
        bench.database(host, DbProbe::NoAnswer);
        if bench.ordered(starts(host)) {
            bench.settle(starts(host), Outcome::Done);
        } else if bench.ordered(rejoins) {
            bench.settle(
                rejoins,
                Outcome::Failed("its source does not answer".to_owned()),
            );
        }
    }
    let told = bench.told.iter();
    let told = told.filter(|told| matches!(told, EventKind::HostHangs { .. }));
    (bench.ordered(rejoins), told.count())
}

#[test]
fn a_follower_that_hangs_is_made_anew_unless_its_source_streams_to_it() {
    for host in ["orders-replica-1", "orders-2"] {
        assert_eq!(hangs(host, false, 9).1, 0, "{host}: it may be busy");
        assert_eq!(
            hangs(host, false, 40).1,
            1,
            "{host}: told once however often it is tried"
        );
        assert_eq!(
            hangs(host, true, 40),
            (false, 0),
            "{host}: the way to it is slow"
        );
    }
}

/// The way to it is cut, its stream is not: starts, which the runtime reports as done, forget what was seen of it each time.
#[test]
fn a_standby_that_only_its_primary_hears_is_out_of_sync_once_and_stays_so() {
    let account = |waits: bool| {
        DbProbe::Answered(PgStatus {
            timeline: 1,
            lsn: Lsn(1),
            synchronous_standby: waits.then(|| id("orders-2")),
            peers: vec![Peer {
                application_name: "orders-2".to_owned(),
                streaming: true,
                synchronous: waits,
                flush_lsn: Lsn(1),
            }],
            ..PgStatus::default()
        })
    };
    let sets = |action: &Action| matches!(action, Action::SetSynchronousStandby { .. });
    let mut bench = Bench::resumed(tier_10k::plan());
    let mut waits = true;
    for _ in 0..40 {
        bench.after(100);
        bench.database("orders-1", account(waits));
        bench.database("orders-2", DbProbe::TimedOut);
        if bench.ordered(sets) {
            let set = bench.settle(sets, Outcome::Done);
            waits =
                matches!(set, Action::SetSynchronousStandby { standby, .. } if standby.is_some());
        } else if bench.ordered(starts("orders-2")) {
            bench.settle(starts("orders-2"), Outcome::Done);
        }
    }
    let told = |wanted: fn(&EventKind) -> bool| bench.told.iter().filter(|it| wanted(it)).count();
    let lost = told(|it| matches!(it, EventKind::StandbyOutOfSync { .. }));
    let back = told(|it| matches!(it, EventKind::StandbyInSync { .. }));
    assert_eq!((lost, back), (1, 0));
}
