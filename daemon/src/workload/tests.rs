use topologies::address::Slot;
use topologies::event::ReplicationGroupStatus;

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
        Err("what somebody else injected is not healed".to_owned())
    }

    async fn events(&self, _: u64) -> Result<Vec<Event>, String> {
        Ok(self.0.clone())
    }

    async fn note(&self, _: EventKind) -> Result<(), String> {
        Err("nothing began".to_owned())
    }
}

#[tokio::test]
async fn a_drill_does_not_begin_while_somebody_elses_fault_is_in_force() {
    let directory = tempfile::tempdir().expect("there is room");
    let plan = Arc::new(tier());
    let place = Place {
        first: Arc::clone(&plan),
        secrets: Arc::new(Secrets::open(directory.path(), &plan.topology).expect("there is room")),
        plan,
        clock: Clock::starting_at(Time::ZERO),
        resolver: SocketAddr::from(([127, 0, 0, 1], 9)),
        ports: Ports { offset: 0 },
    };
    let past = Past(timeline(vec![EventKind::FaultInjected {
        fault: "f7".into(),
        fault_kind: "stop".to_owned(),
        target: "web-1".to_owned(),
        consequences: Vec::new(),
        by: None,
    }]));
    let text = include_str!("../../../chaos/drills/az-power.yaml");
    let drill = chaos::drill::parse(text).expect("it is sound");
    let refused = run(&drill, &place, &past, &|_| {}).await;
    let Err(DrillError::Broken(faults)) = refused else {
        panic!("it was not refused: {refused:?}");
    };
    assert_eq!(faults, ["f7".into()]);
}
