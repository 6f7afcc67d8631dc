//! A primary is lost: what was acknowledged survives, and the old primary comes back as a standby.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use daemon::engines::EngineHost;
use daemon::engines::postgres::{DataState, DbRole, Promotion, Rejoined};
use topologies::runtime::StopMode;

use crate::database::{Database, SOON, direct};
use crate::processes::eventually;

/// Writes rows one by one until the server is gone; returns those that were acknowledged.
async fn write_until_it_breaks(db: &Database, host: &EngineHost) -> BTreeSet<i32> {
    let client = db.client(host).await.unwrap();
    let mut acknowledged = BTreeSet::new();
    for id in 0.. {
        match client
            .execute("INSERT INTO orders VALUES ($1)", &[&id])
            .await
        {
            Ok(_) => assert!(acknowledged.insert(id)),
            Err(_) => break,
        }
    }
    acknowledged
}

async fn rows(db: &Database, host: &EngineHost) -> BTreeSet<i32> {
    let client = db.client(host).await.unwrap();
    let rows = client.query("SELECT id FROM orders", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Three hosts, writes under way, the primary killed, the standby promoted. Returns what was acknowledged before.
async fn fail_over(db: &Database) -> (BTreeSet<i32>, Promotion) {
    let [primary, standby, _] = &db.hosts;
    db.start_all().await;
    db.synchronous(primary, standby).await;
    let client = db.client(primary).await.unwrap();
    client
        .batch_execute("CREATE TABLE orders (id int)")
        .await
        .unwrap();
    let kill = async {
        eventually("some writes are done", SOON, async || {
            let count = client
                .query_one("SELECT count(*) FROM orders", &[])
                .await
                .unwrap();
            (count.get::<_, i64>(0) > 200).then_some(())
        })
        .await;
        db.processes.kill("orders-1");
        Instant::now()
    };
    let (acknowledged, killed) = tokio::join!(write_until_it_breaks(db, primary), kill);
    db.engine.demote(primary).await.unwrap();
    let begin = Instant::now();
    let promotion = db.engine.promote(standby, SOON).await.unwrap();
    eprintln!("promotion: {:?}", begin.elapsed());
    let writer = db.client(standby).await.unwrap();
    writer
        .execute("INSERT INTO orders VALUES (-1)", &[])
        .await
        .unwrap();
    eprintln!("killed to first accepted write: {:?}", killed.elapsed());
    assert_eq!(promotion.timeline, 2);
    (acknowledged, promotion)
}

#[tokio::test]
async fn acknowledged_writes_survive_and_the_old_primary_is_rewound() {
    let Some(db) = Database::on_slot(93) else {
        return;
    };
    let [old, new, replica] = &db.hosts;
    let (acknowledged, promotion) = fail_over(&db).await;
    let survived = rows(&db, new).await;
    let lost: Vec<_> = acknowledged.difference(&survived).collect();
    assert!(
        lost.is_empty(),
        "of {} acknowledged, lost: {lost:?}",
        acknowledged.len()
    );
    assert_eq!(db.status(new).await.synchronous_standby_names, "");
    let again = db.engine.promote(new, SOON).await.unwrap();
    assert_eq!(again, promotion);

    // The replica follows, or is ahead of the fork and has to be brought in line.
    let begin = Instant::now();
    if db.status(replica).await.written <= promotion.forked_at.unwrap() {
        db.engine.follow(replica, &direct(new)).await.unwrap();
    } else {
        db.engine
            .stop(&replica.instance, StopMode::Graceful(SOON))
            .await
            .unwrap();
        let role = DbRole::Replica { of: direct(new) };
        db.engine.rejoin(replica, new, &role).await.unwrap();
    }
    db.streaming(new, replica).await;
    eprintln!("replica turned: {:?}", begin.elapsed());
    eventually("the replica is on the new timeline", SOON, async || {
        (db.answer(replica).await?.timeline == 2).then_some(())
    })
    .await;

    let begin = Instant::now();
    let role = DbRole::Standby { of: direct(new) };
    let rejoined = db.engine.rejoin(old, new, &role).await.unwrap();
    assert_eq!(rejoined, Rejoined::Rewound, "{}", db.log(old));
    db.streaming(new, old).await;
    eprintln!("old primary rewound and streaming: {:?}", begin.elapsed());
    assert_eq!(db.engine.data_state(old), DataState::Follower);
    db.synchronous(new, old).await;
    assert!(db.status(old).await.in_recovery);

    // And back again: the rewound host holds everything.
    let before = rows(&db, new).await;
    db.processes.kill("orders-2");
    db.engine.demote(new).await.unwrap();
    assert_eq!(db.engine.promote(old, SOON).await.unwrap().timeline, 3);
    assert_eq!(rows(&db, old).await, before);
}

#[tokio::test]
async fn a_promotion_is_told_again_by_a_server_that_was_started_since() {
    let Some(db) = Database::on_slot(97) else {
        return;
    };
    let [_, new, _] = &db.hosts;
    fail_over(&db).await;
    let stop = StopMode::Graceful(SOON);
    db.engine.stop(&new.instance, stop).await.unwrap();
    assert_eq!(db.engine.data_state(new), DataState::Writer);
    let role = DbRole::Primary {
        synchronous_standby: None,
    };
    db.engine.start(new, &role).await.unwrap();
    // It began without recovery, and no longer knows where it left the old timeline.
    let again = eventually("it is up", SOON, async || {
        db.engine.promote(new, SOON).await.ok()
    });
    let (timeline, forked_at) = (2, None);
    assert_eq!(
        again.await,
        Promotion {
            timeline,
            forked_at
        }
    );
}

#[tokio::test]
async fn a_host_that_can_not_be_rewound_is_copied() {
    let Some(db) = Database::on_slot(94) else {
        return;
    };
    let [old, new, _] = &db.hosts;
    fail_over(&db).await;
    // Without its log nobody can tell where it left the common way.
    let log = db.directories.instance(&old.instance).join("data/pg_wal");
    for entry in std::fs::read_dir(log).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::remove_file(path).unwrap();
        }
    }
    let role = DbRole::Standby { of: direct(new) };
    let begin = Instant::now();
    match db.engine.rejoin(old, new, &role).await.unwrap() {
        Rejoined::Copied { because } => assert!(because.contains("pg_rewind"), "{because}"),
        other @ (Rejoined::Rewound | Rejoined::InLine) => panic!("{other:?}"),
    }
    db.streaming(new, old).await;
    eprintln!("old primary copied and streaming: {:?}", begin.elapsed());
    assert_eq!(rows(&db, new).await.len(), {
        db.engine.demote(new).await.unwrap();
        db.engine
            .stop(&new.instance, StopMode::Graceful(SOON))
            .await
            .unwrap();
        db.engine.promote(old, SOON).await.unwrap();
        rows(&db, old).await.len()
    });
}

/// A rewind of a crashed host begins with a recovery that writes to its log: on the timeline of a primary that goes on
/// writing there, that parts the two for good.
#[tokio::test]
async fn a_follower_that_crashed_keeps_to_the_log_of_its_primary() {
    let Some(db) = Database::on_slot(112) else {
        return;
    };
    let [primary, _, replica] = &db.hosts;
    db.start_all().await;
    let client = db.client(primary).await.unwrap();
    let write = async |sql: &str| client.batch_execute(sql).await.unwrap();
    write("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)").await;
    db.streaming(primary, replica).await;
    db.processes.kill("orders-3");
    write("INSERT INTO orders SELECT generate_series(2, 500)").await;
    let role = DbRole::Replica {
        of: direct(primary),
    };
    db.engine
        .stop(&replica.instance, StopMode::Immediate)
        .await
        .unwrap();
    let rejoined = db.engine.rejoin(replica, primary, &role).await.unwrap();
    assert_eq!(rejoined, Rejoined::InLine, "{}", db.log(replica));
    write("INSERT INTO orders VALUES (501)").await;
    eventually("the replica has every row", SOON, async || {
        let client = db.client(replica).await.ok()?;
        let counted = client.query_one("SELECT count(*) FROM orders", &[]).await;
        (counted.ok()?.get::<_, i64>(0) == 501).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_source_that_is_away_costs_no_fresh_copy() {
    let Some(db) = Database::on_slot(95) else {
        return;
    };
    let [old, new, _] = &db.hosts;
    fail_over(&db).await;
    let role = DbRole::Standby { of: direct(new) };
    let mut nowhere = direct(new);
    nowhere.address.set_port(1);
    let lost = DbRole::Standby { of: nowhere };
    let error = db
        .engine
        .rejoin(old, new, &lost)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("pg_rewind"), "{error}");
    assert_eq!(db.engine.data_state(old), DataState::Demoted);
    assert_eq!(
        db.engine.rejoin(old, new, &role).await.unwrap(),
        Rejoined::Rewound
    );
    db.streaming(new, old).await;
}

#[tokio::test]
async fn a_replica_that_is_ahead_of_the_fork_is_brought_in_line() {
    let Some(db) = Database::on_slot(99) else {
        return;
    };
    let [old, new, replica] = &db.hosts;
    db.start_all().await;
    let client = db.client(old).await.unwrap();
    client
        .batch_execute("CREATE TABLE orders (id int)")
        .await
        .unwrap();
    // The standby has lost its way, nobody waits for it, and the replica alone has the next write.
    let before = db.status(old).await.written;
    eventually("the standby has the table", SOON, async || {
        (db.answer(new).await?.applied >= before).then_some(())
    })
    .await;
    let mut nowhere = direct(old);
    nowhere.address.set_port(1);
    db.engine.follow(new, &nowhere).await.unwrap();
    eventually("the standby's stream has ended", SOON, async || {
        db.answer(new).await?.receiver.is_none().then_some(())
    })
    .await;
    client
        .batch_execute("INSERT INTO orders VALUES (1)")
        .await
        .unwrap();
    let after = db.status(old).await.written;
    eventually("the replica has the row", SOON, async || {
        (db.answer(replica).await?.written >= after).then_some(())
    })
    .await;
    db.processes.kill("orders-1");
    db.engine.demote(old).await.unwrap();
    let promotion = db.engine.promote(new, SOON).await.unwrap();
    assert!(db.status(replica).await.written > promotion.forked_at.unwrap());

    db.engine
        .stop(&replica.instance, StopMode::Graceful(SOON))
        .await
        .unwrap();
    let role = DbRole::Replica { of: direct(new) };
    let rejoined = db.engine.rejoin(replica, new, &role).await.unwrap();
    assert_eq!(rejoined, Rejoined::Rewound);
    db.streaming(new, replica).await;
    let written = db.status(new).await.written;
    eventually("the replica has all", SOON, async || {
        (db.answer(replica).await?.applied >= written).then_some(())
    })
    .await;
    assert_eq!(rows(&db, replica).await, rows(&db, new).await);
}

#[tokio::test]
async fn losing_the_standby_stalls_writes_until_it_is_withdrawn() {
    let Some(db) = Database::on_slot(96) else {
        return;
    };
    let [primary, standby, _] = &db.hosts;
    db.start_all().await;
    db.synchronous(primary, standby).await;
    let client = db.client(primary).await.unwrap();
    client
        .batch_execute("CREATE TABLE orders (id int)")
        .await
        .unwrap();
    db.processes.kill("orders-2");
    let write = client.execute("INSERT INTO orders VALUES (1)", &[]);
    let mut write = std::pin::pin!(write);
    let stalled = tokio::time::timeout(Duration::from_millis(300), write.as_mut()).await;
    assert!(stalled.is_err(), "acknowledged without the standby");
    db.engine
        .set_synchronous_standby(primary, None)
        .await
        .unwrap();
    tokio::time::timeout(SOON, write).await.unwrap().unwrap();

    // It comes back as what it was, and a primary that restarts waits for it from its first commit on.
    let role = DbRole::Standby {
        of: direct(primary),
    };
    db.engine.start(standby, &role).await.unwrap();
    db.streaming(primary, standby).await;
    db.processes.kill("orders-1");
    db.engine
        .stop(&standby.instance, StopMode::Immediate)
        .await
        .unwrap();
    let role = DbRole::Primary {
        synchronous_standby: Some(standby.instance.clone()),
    };
    db.engine.start(primary, &role).await.unwrap();
    db.status(primary).await;
    let client = db.client(primary).await.unwrap();
    let write = client.execute("INSERT INTO orders VALUES (2)", &[]);
    let stalled = tokio::time::timeout(Duration::from_millis(300), write).await;
    assert!(stalled.is_err(), "acknowledged without the standby");
}
