use std::collections::BTreeMap;
use std::sync::Mutex;

use chaos::history::FaultSpan;
use topologies::address::Slot;
use topologies::event::ReplicationGroupStatus;
use topologies::experiment::{ActionsMode, Blueprint, ExperimentStatus, OnEmptyTarget};

use topologies::time::Time;

use super::told::redundancy;
use super::*;

fn tier() -> Plan {
    let text = include_str!("../../../topologies/tier-10k.yaml");
    let (topology, _) = topologies::check::check(text, "tier-10k.yaml");
    let topology = topology.expect("the tier is sound");
    topologies::plan::plan(&topology, Slot::new(64).expect("it is one"))
}

/// One event a millisecond, numbered from 1.
fn timeline(events: Vec<EventKind>) -> Vec<Event> {
    let numbered = events.into_iter().zip(1..);
    numbered
        .map(|(event, seq)| Event {
            seq,
            at: Time::from_millis(seq),
            event,
        })
        .collect()
}

fn link(instance: &str, up: bool) -> EventKind {
    EventKind::CacheReplicaLinkChanged {
        group: "sessions".into(),
        instance: instance.into(),
        up,
    }
}

#[test]
fn a_cache_that_lost_only_a_replica_is_redundant_again_without_a_change_of_its_status() {
    let plan = tier();
    let events = timeline(vec![
        link("sessions-002", true),
        link("sessions-003", true),
        EventKind::ReplicationGroupStatusChanged {
            group: "sessions".into(),
            status: ReplicationGroupStatus::Available,
        },
        // The clients begin; a replica is lost and comes back.
        link("sessions-003", false),
        link("sessions-003", true),
    ]);
    let changes = redundancy(&plan, &events, Time::from_millis(4));
    let sessions: Vec<_> = changes
        .iter()
        .filter(|change| change.resource == "sessions")
        .map(|change| (change.full, change.seq))
        .collect();
    assert_eq!(sessions, [(true, None), (false, Some(4)), (true, Some(5))]);
    let orders: Vec<_> = changes
        .iter()
        .filter(|change| change.resource == "orders")
        .map(|change| change.full)
        .collect();
    assert_eq!(orders, [false], "its standby was never in sync");
}

#[test]
fn a_cache_is_not_whole_while_a_replica_is_lost() {
    let plan = tier();
    let mut world = World::new(&plan);
    assert!(!world.whole(), "nothing has come up");
    for db in world.databases.values_mut() {
        db.status = topologies::event::DbInstanceStatus::Available;
        db.standby.as_mut().expect("it is Multi-AZ").in_sync = true;
    }
    for replica in world.replicas.values_mut() {
        replica.replication = topologies::event::ReplicationStatus::Replicating;
    }
    for cache in world.caches.values_mut() {
        cache.status = ReplicationGroupStatus::Available;
        cache.replicas.values_mut().for_each(|up| *up = true);
    }
    assert!(world.whole());
    let mut lost = world.clone();
    for cache in lost.caches.values_mut() {
        *cache.replicas.values_mut().next().expect("it has some") = false;
    }
    assert!(!lost.whole(), "its status says nothing of a replica");
    let mut behind = world.clone();
    for replica in behind.replicas.values_mut() {
        replica.replication = topologies::event::ReplicationStatus::Error;
    }
    assert!(!behind.whole());
    for db in world.databases.values_mut() {
        db.failover_to = Some(db.primary.clone());
    }
    assert!(!world.whole(), "a failover goes on");
}

/// A stack that has a past and takes nothing.
struct Past(Vec<Event>);

#[async_trait]
impl Rig for Past {
    async fn inject(&self, _: Fault) -> Result<Injected, String> {
        Err("nothing is injected".to_owned())
    }

    async fn heal(&self, _: Option<FaultId>) -> Result<Vec<FaultId>, String> {
        Err("nothing is healed".to_owned())
    }

    async fn events(&self, last: u64) -> Result<Vec<Event>, String> {
        let news = self.0.iter().filter(|event| event.seq > last);
        Ok(news.cloned().collect())
    }

    async fn note(&self, _: EventKind) -> Result<(), String> {
        Err("nothing began".to_owned())
    }
}

fn injected(fault: &str) -> EventKind {
    EventKind::FaultInjected {
        fault: fault.into(),
        fault_kind: "stop".to_owned(),
        target: "web-1".to_owned(),
        consequences: Vec::new(),
        by: None,
    }
}

fn started(experiment: &str) -> EventKind {
    EventKind::ExperimentStarted {
        experiment: experiment.into(),
        blueprint: Box::new(Blueprint {
            region: "ap-northeast-2".into(),
            template: "EXT1".to_owned(),
            client_token: "token".to_owned(),
            role_arn: "arn:aws:iam::123456789012:role/chaos".to_owned(),
            targets: BTreeMap::new(),
            actions: BTreeMap::new(),
            stop_conditions: serde_json::Value::Null,
            on_empty_target: OnEmptyTarget::Fail,
            actions_mode: ActionsMode::RunAll,
        }),
    }
}

fn place() -> Place {
    let directory = tempfile::tempdir().expect("there is room");
    let plan = Arc::new(tier());
    Place {
        first: Arc::clone(&plan),
        secrets: Arc::new(Secrets::open(directory.path(), &plan.topology).expect("there is room")),
        plan,
        clock: Clock::starting_at(Time::ZERO),
        resolver: SocketAddr::from(([127, 0, 0, 1], 9)),
        ports: Ports { offset: 0 },
    }
}

/// That of `az-power.yaml`; nothing ever becomes whole here.
fn drill() -> Drill {
    let text = include_str!("../../../chaos/drills/az-power.yaml");
    let mut drill = chaos::drill::parse(text).expect("it is sound");
    drill.settle = Duration::from_millis(1);
    drill
}

/// Why the drill of `az-power.yaml` is not begun on a stack of this past.
async fn refused(past: Vec<EventKind>) -> DrillError {
    let (drill, place) = (drill(), place());
    let past = Past(timeline(past));
    let never = std::future::pending();
    let outcome = run(&drill, &place, &Own::new(&past), &|_| {}, never).await;
    match outcome {
        Err(why) => why,
        Ok(ran) => ran.cut_short.expect("it does not come to its end").why,
    }
}

#[tokio::test]
async fn a_drill_does_not_begin_while_somebody_elses_fault_is_in_force() {
    let why = refused(vec![injected("f7")]).await;
    assert_eq!(why.to_string(), "faults are in force already: f7");
}

#[tokio::test]
async fn a_drill_does_not_begin_while_an_experiment_is_under_way() {
    let why = refused(vec![started("EXP1")]).await;
    assert_eq!(why.to_string(), "experiments are under way: EXP1");
    let over = EventKind::ExperimentStatusChanged {
        experiment: "EXP1".into(),
        status: ExperimentStatus::Completed,
        reason: None,
    };
    let why = refused(vec![started("EXP1"), over]).await;
    assert!(!matches!(&why, DrillError::Experimented(_)), "{why:?}");
}

#[tokio::test]
async fn a_drill_that_is_interrupted_tells_what_it_has() {
    let stack = Willing::default();
    let (mut drill, place) = (drill(), place());
    drill.settle = Duration::from_secs(600);
    let ran = run(
        &drill,
        &place,
        &Own::new(&stack),
        &|_| {},
        std::future::ready(()),
    )
    .await;
    let ran = ran.expect("it was under way");
    let why = ran.cut_short.expect("it did not come to its end");
    assert!(matches!(why.why, DrillError::Interrupted), "{why:?}");
    assert_eq!(why.unhealed, None);
    assert_eq!(ran.history.cut_short.as_deref(), Some("it was interrupted"));
    let judged = chaos::verdict::judge(&drill, &ran.history, &place.plan);
    assert_eq!(judged.verdict, chaos::verdict::Verdict::Unknown);
}

#[test]
fn the_emulator_itself_was_gone_from_its_last_word_to_its_next() {
    let events = timeline(vec![
        EventKind::ControlResumed,
        EventKind::StackAvailable,
        injected("f1"),
        EventKind::ControlResumed,
    ]);
    let restarts = told::restarts(&events, Time::from_millis(2));
    let lengths: Vec<_> = restarts.iter().map(|one| (one.from, one.to)).collect();
    let (from, to) = (Time::from_millis(3), Time::from_millis(4));
    assert_eq!(lengths, [(from, to)], "what was before it is nothing to it");
}

fn span(id: &str) -> FaultSpan {
    FaultSpan {
        id: id.into(),
        fault: Fault::Stop {
            instance: "web-1".into(),
        },
        consequences: Vec::new(),
        from: Time::ZERO,
        to: None,
        injected_seq: None,
        healed_seq: None,
    }
}

#[tokio::test]
async fn what_others_do_to_the_stack_meanwhile_is_told_from_what_the_drill_does() {
    let plan = tier();
    // At 1 to 4 ms; the drill begins at 2 ms.
    let past = Past(timeline(vec![
        injected("f1"),
        injected("f2"),
        injected("f3"),
        started("EXP1"),
    ]));
    let followed = Followed::from_its_beginning(&plan, &past).await;
    let followed = followed.expect("it is told");
    let others = followed.broken_by_others(Time::from_millis(2), &[span("f2")]);
    assert_eq!(others.len(), 2, "{others:?}");
    assert!(others[0].contains("f3"), "{others:?}");
    assert!(others[1].contains("EXP1"), "{others:?}");
}

#[tokio::test]
async fn a_fault_that_ended_of_itself_needs_no_heal_and_others_are_not_healed_at_all() {
    let ended = EventKind::FaultHealed { fault: "f1".into() };
    let past = Past(timeline(vec![injected("f1"), injected("f2"), ended]));
    let plan = tier();
    let mut followed = Followed::from_its_beginning(&plan, &past)
        .await
        .expect("it is told");
    assert!(!followed.heal(&"f1".into()).await.expect("it is over"));
    let stays = followed.heal(&"f2".into()).await;
    assert!(matches!(&stays, Err(DrillError::Stack(_))), "{stays:?}");
}

/// A stack that takes everything, and whose timeline tells of it.
#[derive(Default)]
struct Willing(Mutex<Vec<EventKind>>);

impl Willing {
    fn told(&self) -> Vec<EventKind> {
        self.0.lock().expect("no panic").clone()
    }
}

#[async_trait]
impl Rig for Willing {
    async fn inject(&self, fault: Fault) -> Result<Injected, String> {
        let mut told = self.0.lock().expect("no panic");
        let id = format!("f{}", told.len());
        told.push(EventKind::FaultInjected {
            fault: id.as_str().into(),
            fault_kind: fault.kind().to_owned(),
            target: fault.target(),
            consequences: Vec::new(),
            by: None,
        });
        // It is done, and the answer is lost.
        Err("the connection was reset".to_owned())
    }

    async fn heal(&self, fault: Option<FaultId>) -> Result<Vec<FaultId>, String> {
        let fault = fault.ok_or("everything is not ours to heal")?;
        let healed = EventKind::FaultHealed {
            fault: fault.clone(),
        };
        self.0.lock().expect("no panic").push(healed);
        Ok(vec![fault])
    }

    async fn events(&self, _: u64) -> Result<Vec<Event>, String> {
        Ok(timeline(self.told()))
    }

    async fn note(&self, kind: EventKind) -> Result<(), String> {
        self.0.lock().expect("no panic").push(kind);
        Ok(())
    }
}

#[tokio::test]
async fn a_drill_that_ends_early_undoes_its_own_and_nobody_elses() {
    let stack = Willing(Mutex::new(vec![injected("theirs")]));
    let own = Own::new(&stack);
    own.undo(&tier()).await.expect("there is nothing to undo");
    assert_eq!(stack.told().len(), 1, "one that did not begin did not end");

    let drill = "az-power".to_owned();
    let begun = EventKind::DrillStarted {
        drill: drill.clone(),
    };
    own.note(begun).await.expect("it is willing");
    let instance = "web-2".into();
    let lost = own.inject(Fault::Stop { instance }).await;
    assert!(lost.is_err());
    own.undo(&tier()).await.expect("it is willing");
    let verdict = "unknown".to_owned();
    let undone = [
        EventKind::FaultHealed { fault: "f2".into() },
        EventKind::DrillEnded { drill, verdict },
    ];
    assert_eq!(stack.told().split_off(3), undone);
    own.undo(&tier()).await.expect("there is nothing left");
    assert_eq!(stack.told().len(), 5);
}
