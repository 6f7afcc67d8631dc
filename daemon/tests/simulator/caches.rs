//! What becomes of a replication group whose nodes end, hang and come back in an order that seldom occurs.

use daemon::control::Stimulus;
use daemon::control::action::{Action, Outcome};
use daemon::control::probe::{CacheProbe, RedisRole, RedisStatus};
use topologies::event::{EventKind, ReplicationGroupStatus};
use topologies::id::InstanceId;

use super::bench::{Bench, id};
use super::tier_10k;

fn starts_cache_primary(action: &Action) -> bool {
    matches!(action, Action::StartCache { source: None, .. })
}

fn redis(role: RedisRole) -> CacheProbe {
    CacheProbe::Answered(RedisStatus {
        role,
        offset: 100,
        replication_id: "8371".to_owned(),
        replicas: Vec::new(),
    })
}

fn replica(link_up: bool) -> CacheProbe {
    let source = "127.64.33.10".to_owned();
    redis(RedisRole::Replica { source, link_up })
}

/// A replica that follows `sessions-001`, with its link up.
fn following(node: &str) -> CacheProbe {
    let plan = tier_10k::plan();
    let address = |node: &str| plan.instance(&id(node)).expect("it is planned").address;
    let source = address("sessions-001")
        .replication(address(node).zone)
        .to_string();
    let link_up = true;
    redis(RedisRole::Replica { source, link_up })
}

#[test]
fn a_cache_primary_is_not_started_empty_before_its_replicas_were_heard() {
    let mut bench = Bench::resumed(tier_10k::plan());
    bench.exited("sessions-001");
    assert!(!bench.ordered(starts_cache_primary), "{:?}", bench.orders);
    bench.cache("sessions-002", CacheProbe::Loading);
    assert!(!bench.ordered(starts_cache_primary), "{:?}", bench.orders);
    bench.cache("sessions-002", replica(false));
    let given_up = |event: &EventKind| matches!(event, EventKind::CacheFailoverStarted { .. });
    assert!(bench.told.iter().any(given_up), "{:?}", bench.told);
}

#[test]
fn a_cache_primary_is_started_empty_once_nobody_can_be_promoted() {
    let mut bench = Bench::resumed(tier_10k::plan());
    for node in ["sessions-001", "sessions-002"] {
        bench.exited(node);
    }
    assert!(!bench.ordered(starts_cache_primary), "{:?}", bench.orders);
    bench.exited("sessions-003");
    assert!(bench.ordered(starts_cache_primary), "{:?}", bench.orders);
}

/// The cache primary is lost and `sessions-002` is promoted.
fn failed_over() -> Bench {
    let mut bench = Bench::resumed(tier_10k::plan());
    bench.cache("sessions-001", redis(RedisRole::Primary));
    bench.exited("sessions-001");
    for node in ["sessions-002", "sessions-003"] {
        bench.cache(node, replica(false));
    }
    for node in ["sessions-002", "sessions-003"] {
        bench.cache(node, replica(false));
    }
    bench.after(300);
    let (timeline, offset) = (0, Some(100));
    let promotes = |action: &Action| matches!(action, Action::PromoteCache { .. });
    bench.settle(promotes, Outcome::Promoted { timeline, offset });
    bench
}

#[test]
fn a_cache_primary_that_dies_as_soon_as_it_is_promoted_is_not_started_empty_beside_a_replica() {
    let mut bench = failed_over();
    bench.exited("sessions-002");
    assert!(!bench.ordered(starts_cache_primary), "{:?}", bench.orders);
    bench.cache("sessions-003", replica(false));
    bench.cache("sessions-003", replica(false));
    bench.after(300);
    let last = |action: &Action| matches!(action, Action::PromoteCache { instance } if instance.as_str() == "sessions-003");
    assert!(bench.ordered(last), "{:?}", bench.orders);
}

#[test]
fn a_fenced_cache_primary_that_lives_is_taken_back_when_every_replica_is_gone() {
    let mut bench = Bench::resumed(tier_10k::plan());
    bench.cache("sessions-001", redis(RedisRole::Primary));
    bench.cache("sessions-002", replica(true));
    for _ in 0..3 {
        bench.cache("sessions-001", CacheProbe::TimedOut);
    }
    bench.cache("sessions-002", replica(true));
    for node in ["sessions-002", "sessions-003"] {
        bench.exited(node);
    }
    assert!(bench.control.world().fenced(&id("sessions-001")));
    bench.after(300);
    bench.cache("sessions-001", redis(RedisRole::Primary));
    bench.after(300);
    bench.cache("sessions-001", redis(RedisRole::Primary));
    bench.after(300);
    let taken_back = |action: &Action| matches!(action, Action::PromoteCache { instance } if instance.as_str() == "sessions-001");
    let (timeline, offset) = (0, Some(100));
    bench.settle(taken_back, Outcome::Promoted { timeline, offset });
    assert!(!bench.control.world().fenced(&id("sessions-001")));
}

/// Where everybody dies together, what was said before is no ground to elect anybody.
#[test]
fn nodes_that_die_together_are_no_failover_and_the_primary_is_started_first() {
    let mut bench = Bench::resumed(tier_10k::plan());
    bench.cache("sessions-001", redis(RedisRole::Primary));
    for node in ["sessions-002", "sessions-003"] {
        bench.cache(node, following(node));
    }
    for node in ["sessions-001", "sessions-002", "sessions-003"] {
        bench.exited(node);
    }
    assert!(!bench.control.world().caches["sessions"].failing_over);
    let starts_replica = |action: &Action| {
        matches!(
            action,
            Action::StartCache {
                source: Some(_),
                ..
            }
        )
    };
    assert!(!bench.ordered(starts_replica), "{:?}", bench.orders);
    bench.settle(starts_cache_primary, Outcome::Done);
    assert!(bench.ordered(starts_replica), "{:?}", bench.orders);
    bench.cache("sessions-001", redis(RedisRole::Primary));
    let given_up = |event: &EventKind| matches!(event, EventKind::CacheFailoverStarted { .. });
    assert!(!bench.told.iter().any(given_up), "{:?}", bench.told);
}

/// An offset of another history of writes says nothing.
#[test]
fn a_replica_that_never_synchronized_with_the_primary_does_not_win_by_its_offset() {
    let account = |role: RedisRole, history: &str, offset: u64| {
        CacheProbe::Answered(RedisStatus {
            role,
            offset,
            replication_id: history.to_owned(),
            replicas: Vec::new(),
        })
    };
    let replica = |history: &str, offset: u64| {
        let source = "127.64.33.10".to_owned();
        let link_up = false;
        account(RedisRole::Replica { source, link_up }, history, offset)
    };
    let elected = |of_the_third: &str| {
        let mut bench = Bench::resumed(tier_10k::plan());
        bench.cache("sessions-001", account(RedisRole::Primary, "8371", 100));
        bench.exited("sessions-001");
        for _ in 0..2 {
            bench.cache("sessions-002", replica("8371", 90));
            bench.cache("sessions-003", replica(of_the_third, 900));
        }
        bench.after(300);
        let mut orders = bench.orders.iter();
        orders.find_map(|(_, action)| {
            let Action::PromoteCache { instance } = action else {
                return None;
            };
            Some(instance.to_string())
        })
    };
    assert_eq!(elected("5205").as_deref(), Some("sessions-002"));
    assert_eq!(elected("8371").as_deref(), Some("sessions-003"));
}

/// aws-behaviour §3.2: "Recovering cache nodes", "Finished recovery for cache nodes".
#[test]
fn the_recovery_of_a_cache_node_is_told_once_at_its_beginning_and_once_at_its_end() {
    let told = |bench: &mut Bench| {
        let told = std::mem::take(&mut bench.told).into_iter();
        let told = told.filter_map(|event| {
            let EventKind::ElasticacheEvent { message, .. } = event else {
                return None;
            };
            Some(message)
        });
        told.collect::<Vec<_>>()
    };
    let mut bench = Bench::resumed(tier_10k::plan());
    bench.cache("sessions-001", redis(RedisRole::Primary));
    bench.cache("sessions-002", following("sessions-002"));
    assert!(told(&mut bench).is_empty());
    bench.exited("sessions-002");
    bench.exited("sessions-002");
    assert_eq!(told(&mut bench), ["Recovering cache nodes sessions-002"]);
    bench.cache("sessions-002", following("sessions-002"));
    bench.cache("sessions-002", following("sessions-002"));
    let finished = "Finished recovery for cache nodes sessions-002";
    assert_eq!(told(&mut bench), [finished]);

    let mut bench = failed_over();
    let completed =
        "Failover from primary node sessions-001 to replica node sessions-002 completed";
    let recovering = "Recovering cache nodes sessions-001";
    assert_eq!(told(&mut bench), [completed, completed, recovering]);
}

fn stops(node: &str) -> impl Fn(&Action) -> bool {
    move |action| matches!(action, Action::Stop { instance } if instance.as_str() == node)
}

fn ask(bench: &mut Bench, node: &str, event: fn(InstanceId) -> EventKind) {
    bench.told.clear();
    bench.orders.clear();
    bench.take(Stimulus::Note(event(id(node))));
}

fn reboots(instance: InstanceId) -> EventKind {
    EventKind::CacheNodeRebootChanged {
        group: "sessions".into(),
        instance,
        rebooting: true,
    }
}

fn leaves(instance: InstanceId) -> EventKind {
    let group = "sessions".into();
    EventKind::CacheNodeLeaving { group, instance }
}

/// A group whose nodes all answered.
fn whole() -> Bench {
    let mut bench = Bench::resumed(tier_10k::plan());
    bench.cache("sessions-001", redis(RedisRole::Primary));
    for node in ["sessions-002", "sessions-003"] {
        bench.cache(node, following(node));
    }
    bench
}

fn gives_up(bench: &Bench) -> bool {
    let given_up = |event: &EventKind| matches!(event, EventKind::CacheFailoverStarted { .. });
    bench.told.iter().any(given_up)
}

#[test]
fn s3_2_a_primary_that_reboots_is_started_where_it_is_and_nobody_takes_over() {
    let mut bench = whole();
    ask(&mut bench, "sessions-001", reboots);
    bench.settle(stops("sessions-001"), Outcome::Done);
    assert!(
        !bench.ordered(starts_cache_primary),
        "its end was not seen yet"
    );
    bench.exited("sessions-001");
    for node in ["sessions-002", "sessions-003"] {
        bench.cache(node, replica(false));
    }
    bench.settle(starts_cache_primary, Outcome::Done);
    assert!(!gives_up(&bench));
    bench.cache("sessions-001", redis(RedisRole::Primary));
    let cache = &bench.control.world().caches["sessions"];
    assert!(cache.rebooting.is_empty());
    assert_eq!(cache.primary.as_str(), "sessions-001");
    let told = bench.told.iter().filter_map(|event| {
        let EventKind::ElasticacheEvent { message, .. } = event else {
            return None;
        };
        Some(message.as_str())
    });
    let told: Vec<&str> = told.collect();
    assert_eq!(
        told,
        [
            "Cache node sessions-001 shutdown",
            "Cache node sessions-001 restarted"
        ]
    );
}

#[test]
fn a_primary_that_does_not_come_back_from_its_reboot_is_failed_over_from() {
    let mut bench = whole();
    ask(&mut bench, "sessions-001", reboots);
    bench.settle(stops("sessions-001"), Outcome::Done);
    bench.exited("sessions-001");
    let why = "the zone has no power".to_owned();
    bench.settle(starts_cache_primary, Outcome::Failed(why));
    for node in ["sessions-002", "sessions-003"] {
        bench.cache(node, replica(false));
    }
    assert!(gives_up(&bench), "{:?}", bench.told);
}

fn starts_cache(node: &str) -> impl Fn(&Action) -> bool {
    move |action| matches!(action, Action::StartCache { instance, .. } if instance.as_str() == node)
}

#[test]
fn a_failover_ends_the_reboot_of_a_replica() {
    let mut bench = whole();
    ask(&mut bench, "sessions-002", reboots);
    bench.settle(stops("sessions-002"), Outcome::Done);
    bench.exited("sessions-002");
    assert!(bench.ordered(starts_cache("sessions-002")));
    bench.exited("sessions-001");
    bench.cache("sessions-003", replica(false));
    assert!(gives_up(&bench), "{:?}", bench.told);
    let cache = &bench.control.world().caches["sessions"];
    assert!(cache.rebooting.is_empty(), "nobody goes on with it");
}

#[test]
fn a_start_from_before_a_reboot_is_not_the_reboots() {
    let mut bench = whole();
    bench.exited("sessions-002");
    bench.take(Stimulus::Note(reboots(id("sessions-002"))));
    let wanted = stops("sessions-002");
    let stop = bench.orders.iter().find(|(_, action)| wanted(action));
    let (stop, _) = stop.expect("it is ordered").clone();
    bench.settle(starts_cache("sessions-002"), Outcome::Done);
    bench.take(Stimulus::Outcome(stop, Outcome::Done));
    bench.orders.clear();
    bench.exited("sessions-002");
    assert!(bench.ordered(starts_cache("sessions-002")));
    let cache = &bench.control.world().caches["sessions"];
    assert!(cache.rebooting.contains("sessions-002"), "{:?}", bench.told);
}

#[test]
fn a_replica_that_goes_is_removed_and_not_missed() {
    let mut bench = whole();
    ask(&mut bench, "sessions-002", leaves);
    bench.exited("sessions-002");
    assert_eq!(bench.orders.len(), 1, "{:?}", bench.orders);
    let removes = |action: &Action| matches!(action, Action::Remove { .. });
    let order = bench.settle(removes, Outcome::Done);
    assert_eq!(order.instance().as_str(), "sessions-002");
    let world = bench.control.world();
    let cache = &world.caches["sessions"];
    assert_eq!(cache.status, ReplicationGroupStatus::Available);
    assert_eq!(cache.replicas.len(), 1);
    assert!(world.plan.instance(&id("sessions-002")).is_none());
    let told = |event: &EventKind| matches!(event, EventKind::ElasticacheEvent { .. });
    assert!(!bench.told.iter().any(told), "{:?}", bench.told);
    // The other one takes over when it comes to that.
    bench.exited("sessions-001");
    bench.cache("sessions-003", replica(false));
    assert!(gives_up(&bench));
}
