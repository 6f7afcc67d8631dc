//! The control plane, stimulus by stimulus: what it orders and tells when things come in an order that seldom occurs.

use std::sync::Arc;
use std::time::Duration;

use daemon::control::action::{Action, DbRole, Means, Outcome, Ticket};
use daemon::control::probe::{CacheProbe, DbProbe, Lsn, PgStatus, Probe, RedisRole, RedisStatus};
use daemon::control::{Control, Stimulus};
use topologies::edit::Edit;
use topologies::event::{DbInstanceStatus, Event, EventKind, ReplicationGroupStatus};
use topologies::id::{DbInstanceId, InstanceId};
use topologies::plan::Plan;
use topologies::runtime::{InstanceStatus, Observation};
use topologies::time::Time;
use topologies::world::World;

use super::tier_10k;

/// A control plane with nothing around it but what a test tells it.
pub(super) struct Bench {
    pub(super) control: Control,
    pub(super) now: Time,
    pub(super) orders: Vec<(Ticket, Action)>,
    pub(super) told: Vec<EventKind>,
}

impl Bench {
    /// Takes over a stack that is available, whole and unheard so far.
    pub(super) fn resumed(plan: Arc<Plan>) -> Self {
        let mut world = World::new(&plan);
        let mut events = vec![
            EventKind::StandbyInSync {
                db_instance: "orders".into(),
                instance: "orders-2".into(),
            },
            EventKind::DbInstanceStatusChanged {
                db_instance: "orders".into(),
                status: DbInstanceStatus::Available,
            },
            EventKind::ReplicationGroupStatusChanged {
                group: "sessions".into(),
                status: ReplicationGroupStatus::Available,
            },
        ];
        events.extend(["sessions-002", "sessions-003"].map(|replica| {
            EventKind::CacheReplicaLinkChanged {
                group: "sessions".into(),
                instance: replica.into(),
                up: true,
            }
        }));
        events.extend([EventKind::StackAvailable, EventKind::ControlResumed]);
        for (seq, event) in (1..).zip(events) {
            let at = Time::ZERO;
            world.apply(&Event { seq, at, event });
        }
        let mut bench = Self {
            control: Control::new(world, 1),
            now: Time::from_millis(1_000),
            orders: Vec::new(),
            told: Vec::new(),
        };
        bench.take(Stimulus::Tick);
        bench
    }

    pub(super) fn take(&mut self, stimulus: Stimulus) {
        self.control.handle(stimulus, self.now);
        while let Some(event) = self.control.poll_event() {
            self.told.push(event.event);
        }
        while let Some(order) = self.control.poll_action() {
            self.orders.push(order);
        }
    }

    pub(super) fn after(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        self.take(Stimulus::Tick);
    }

    pub(super) fn exited(&mut self, instance: &str) {
        let how = "signal 9".to_owned();
        self.observe(instance, InstanceStatus::Exited { how });
    }

    fn runs(&mut self, instance: &str) {
        let handle = "1".to_owned();
        self.observe(instance, InstanceStatus::Running { handle });
    }

    fn observe(&mut self, instance: &str, status: InstanceStatus) {
        self.after(1);
        let instance = instance.into();
        self.take(Stimulus::Observation(Observation { instance, status }));
    }

    fn cache(&mut self, node: &str, probe: CacheProbe) {
        self.after(1);
        let probe = Probe::Cache(node.into(), probe);
        self.take(Stimulus::Probe(self.now, probe));
    }

    pub(super) fn database(&mut self, host: &str, probe: DbProbe) {
        self.after(1);
        let probe = Probe::Database(host.into(), probe);
        self.take(Stimulus::Probe(self.now, probe));
    }

    pub(super) fn silent(&mut self, host: &str) {
        for _ in 0..3 {
            self.database(host, DbProbe::TimedOut);
        }
    }

    /// The database's primary is lost, its standby answers.
    fn lose_primary(&mut self) {
        self.database("orders-1", primary());
        self.database("orders-2", standby());
        self.exited("orders-1");
    }

    /// Ends the last order for which `wanted` holds, which must be there, and forgets those before.
    pub(super) fn settle(&mut self, wanted: impl Fn(&Action) -> bool, outcome: Outcome) -> Action {
        let found = self.orders.iter().rposition(|(_, action)| wanted(action));
        let place = found.unwrap_or_else(|| panic!("not ordered; but {:?}", self.orders));
        let (ticket, action) = self.orders.swap_remove(place);
        self.orders.clear();
        self.after(1);
        self.take(Stimulus::Outcome(ticket, outcome));
        action
    }

    pub(super) fn ordered(&self, wanted: impl Fn(&Action) -> bool) -> bool {
        self.orders.iter().any(|(_, action)| wanted(action))
    }

    /// What RDS told since this was asked last, by number.
    pub(super) fn rds_events(&mut self) -> Vec<u16> {
        let told = std::mem::take(&mut self.told).into_iter();
        told.filter_map(|event| {
            let EventKind::RdsEvent { id, .. } = event else {
                return None;
            };
            Some(id)
        })
        .collect()
    }
}

fn id(text: &str) -> InstanceId {
    text.into()
}

fn starts_app(action: &Action) -> bool {
    matches!(action, Action::StartApp { instance } if instance.as_str() == "web-1")
}

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
        .seen_from(address(node).zone)
        .to_string();
    let link_up = true;
    redis(RedisRole::Replica { source, link_up })
}

pub(super) fn primary() -> DbProbe {
    DbProbe::Answered(PgStatus {
        timeline: 1,
        synchronous_standby: Some(id("orders-2")),
        ..PgStatus::default()
    })
}

pub(super) fn standby() -> DbProbe {
    DbProbe::Answered(PgStatus {
        timeline: 1,
        in_recovery: true,
        ..PgStatus::default()
    })
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

/// The database's primary is lost; its standby is to be promoted.
fn failing_over(plan: Arc<Plan>) -> Bench {
    let mut bench = Bench::resumed(plan);
    bench.lose_primary();
    bench
}

#[test]
fn a_standby_that_dies_in_its_promotion_is_started_as_what_its_data_are() {
    let mut bench = failing_over(tier_10k::plan());
    let promotes = |action: &Action| matches!(action, Action::Promote { .. });
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
    let mut plan = (*tier_10k::plan()).clone();
    let minute = Duration::from_secs(60);
    plan.topology.timing.db_failover = (minute, minute);
    let mut bench = failing_over(Arc::new(plan));
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
    let mut plan = (*tier_10k::plan()).clone();
    let minute = Duration::from_secs(60);
    plan.topology.timing.db_failover = (minute, minute);
    let mut bench = Bench::resumed(Arc::new(plan));
    bench.database("orders-1", primary());
    bench.database("orders-2", standby());
    bench.silent("orders-1");
    assert!(bench.control.world().fenced(&id("orders-1")));
    bench.silent("orders-2");
    bench
}

fn promotes(action: &Action) -> bool {
    matches!(action, Action::Promote { .. })
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
        let starts = |action: &Action| matches!(action, Action::StartDatabase { instance, .. } if instance.as_str() == follower);
        bench.exited(follower);
        bench.database("orders-1", primary());
        bench.settle(starts, Outcome::Done);
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
        let starts =
            |action: &Action| action.is_start() && action.instance().as_str() == "orders-replica-1";
        bench.settle(starts, Outcome::Done);
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
        let starts = |action: &Action| matches!(action, Action::StartDatabase { instance, .. } if instance.as_str() == follower);
        bench.exited(follower);
        bench.database("orders-1", primary());
        bench.settle(starts, Outcome::Done);
        for _ in 0..70 {
            bench.after(500);
            bench.database("orders-1", DbProbe::Answered(alone.clone()));
            bench.database(follower, DbProbe::Starting);
            if means(&bench, follower).is_none() && bench.ordered(starts) {
                // A start finds a server that runs already.
                bench.settle(starts, Outcome::Done);
            }
        }
        assert_eq!(means(&bench, follower), Some(Means::Copy), "{follower}");
    }
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
