//! A control plane on a bench: tests hand it stimuli one by one and look at its orders and events.

use std::sync::Arc;
use std::time::Duration;

use daemon::control::action::{Action, Outcome, Ticket};
use daemon::control::probe::{CacheProbe, DbProbe, PgStatus, Probe};
use daemon::control::{Control, Stimulus};
use topologies::event::{DbInstanceStatus, Event, EventKind, ReplicationGroupStatus};
use topologies::id::InstanceId;
use topologies::plan::Plan;
use topologies::runtime::{InstanceStatus, Observation};
use topologies::time::Time;
use topologies::world::World;

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
        events.extend(["orders-replica-1", "orders-replica-2"].map(|replica| {
            EventKind::DbInstanceStatusChanged {
                db_instance: replica.into(),
                status: DbInstanceStatus::Available,
            }
        }));
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

    pub(super) fn runs(&mut self, instance: &str) {
        let handle = "1".to_owned();
        self.observe(instance, InstanceStatus::Running { handle });
    }

    fn observe(&mut self, instance: &str, status: InstanceStatus) {
        self.after(1);
        let instance = instance.into();
        self.take(Stimulus::Observation(Observation { instance, status }));
    }

    pub(super) fn cache(&mut self, node: &str, probe: CacheProbe) {
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
    pub(super) fn lose_primary(&mut self) {
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

pub(super) fn id(text: &str) -> InstanceId {
    text.into()
}

/// The account of `orders-1` as primary, with its standby in sync.
pub(super) fn primary() -> DbProbe {
    DbProbe::Answered(PgStatus {
        timeline: 1,
        synchronous_standby: Some(id("orders-2")),
        ..PgStatus::default()
    })
}

/// The account of a standby that streams.
pub(super) fn standby() -> DbProbe {
    DbProbe::Answered(PgStatus {
        timeline: 1,
        in_recovery: true,
        ..PgStatus::default()
    })
}

/// An order to promote a database.
pub(super) fn promotes(action: &Action) -> bool {
    matches!(action, Action::Promote { .. })
}

/// An order to start this database host.
pub(super) fn starts(host: &str) -> impl Fn(&Action) -> bool {
    move |action| matches!(action, Action::StartDatabase { instance, .. } if instance.as_str() == host)
}
