//! A read replica: streams asynchronously from the primary of its DB instance, whichever host that is.
//!
//! ```text
//!  creating ──streams──► replicating ──stream broken──► replication degraded ──parted, or apart for long──► made anew
//!                          ▲   │ does not answer ──► error ──ended──► started again
//!                          └───┴── primary changed: follow the new one
//! ```
//! A replica may have received what the promoted standby never had; then it can not follow and is rewound or copied anew.

mod promotion;

use topologies::event::{DbInstanceStatus, DbRequest, EventKind, ReplicationStatus};
use topologies::id::{DbInstanceId, InstanceId};
use topologies::runtime::InstanceStatus;
use topologies::time::Time;
use topologies::world::StackPhase;

use super::action::{Action, DbRole, Means, Outcome, Ticket};
use super::apart::{Apart, Line};
use super::bugs::Bug;
use super::database::Errand;
use super::desk::{Desk, Order};
use super::host::DbHost;
use super::probe::DbProbe;
use super::rds_event;
use super::removal;

/// Decides for one read replica.
#[derive(Clone, Debug)]
pub struct ReplicaMachine {
    id: DbInstanceId,
    of: DbInstanceId,
    instance: InstanceId,
    host: DbHost,
    /// The source that it was last made to stream from.
    source: Option<InstanceId>,
    /// Who its source is that answered last, and whether that one says to stream to it.
    sent: Option<(InstanceId, bool)>,
    apart: Apart,
    /// Whether it refused to start with the data that it has: a rewind was interrupted.
    spoilt: bool,
    /// Its server, when somebody asked to reboot it.
    errand: Errand,
    /// Whether it was started since its server was last ended on request.
    rebooted: bool,
    /// The order to make it a DB instance of its own.
    promotion: Order,
}

impl ReplicaMachine {
    /// A machine that knows nothing but the plan.
    pub fn new(id: DbInstanceId, of: DbInstanceId, instance: InstanceId, threshold: u32) -> Self {
        Self {
            id,
            of,
            instance,
            host: DbHost::new(threshold),
            source: None,
            sent: None,
            apart: Apart::default(),
            spoilt: false,
            errand: Errand::default(),
            rebooted: false,
            promotion: Order::default(),
        }
    }

    /// Whether it is the machine of this replica of this DB instance.
    pub fn replicates(&self, id: &DbInstanceId, of: &DbInstanceId) -> bool {
        self.id == *id && self.of == *of
    }

    /// Whether the host is this replica's.
    pub fn owns(&self, instance: &InstanceId) -> bool {
        self.instance == *instance
    }

    /// Takes in what the host's runtime reported.
    pub fn handle_observation(&mut self, desk: &mut Desk<'_>, status: &InstanceStatus) {
        self.host.observe(desk, &self.instance, status);
    }

    /// Takes in a probe's result.
    pub fn handle_probe(&mut self, desk: &mut Desk<'_>, sent: Time, probe: &DbProbe) {
        self.host.probed(desk, &self.instance, sent, probe);
    }

    /// Takes in what its source said. A receiver that is stuck believes to stream long after its source has given it up.
    pub fn handle_source(&mut self, desk: &Desk<'_>, instance: &InstanceId, probe: &DbProbe) {
        let of = desk.world().databases.get(&self.of);
        let (Some(of), DbProbe::Answered(status)) = (of, probe) else {
            return;
        };
        if of.primary == *instance {
            let mut peers = status.peers.iter();
            let sent =
                peers.any(|it| it.streaming && it.application_name == self.instance.as_str());
            self.sent = Some((instance.clone(), sent));
        }
    }

    /// Takes in an order's outcome.
    pub fn handle_outcome(&mut self, desk: &mut Desk<'_>, ticket: Ticket, outcome: &Outcome) {
        if self.errand.settle(desk, ticket, outcome).is_some() {
            self.rebooted = false;
        }
        if let Some((_, outcome)) = self.promotion.settle(desk, ticket, outcome) {
            self.promoted(desk, &outcome);
        }
        let Some((action, outcome)) = self.host.order.settle(desk, ticket, outcome) else {
            return;
        };
        if outcome != Outcome::Done {
            let start = matches!(action, Action::StartDatabase { .. });
            let refused = start && matches!(outcome, Outcome::Refused(_));
            self.spoilt |= refused && !desk.planted(Bug::RestartTornData);
            return;
        }
        let (Action::StartDatabase {
            role: DbRole::Standby { of: source } | DbRole::Successor { of: source },
            ..
        }
        | Action::Follow { source, .. }
        | Action::Rejoin { source, .. }) = &action
        else {
            return;
        };
        self.source = Some(source.clone());
        self.apart.begin();
        self.spoilt = false;
        if !matches!(action, Action::Follow { .. }) {
            self.host.began(&action, desk.now);
            self.rebooted = true;
        }
    }

    /// Goes on with its reboot. Says whether there is more to decide: not before its server was ended.
    fn reboot(&mut self, desk: &mut Desk<'_>) -> bool {
        if self.errand.is_refused(&self.instance) {
            self.request_ended(desk);
        } else if !self.errand.stop(desk, &self.instance) {
            return false;
        }
        if self.rebooted && self.host.liveness.well() && self.host.status.is_some() {
            self.restarted(desk);
        }
        true
    }

    /// The reboot that was asked for is over.
    fn restarted(&mut self, desk: &mut Desk<'_>) {
        desk.emit(rds_event::of(&self.id, rds_event::RESTARTED));
        self.request_ended(desk);
    }

    /// What was asked for is over, or can not be.
    fn request_ended(&mut self, desk: &mut Desk<'_>) {
        self.errand = Errand::default();
        desk.emit(EventKind::DbInstanceStatusChanged {
            db_instance: self.id.clone(),
            status: DbInstanceStatus::Available,
        });
    }

    /// Decides.
    pub fn decide(&mut self, desk: &mut Desk<'_>) {
        let Some(database) = desk.world().databases.get(&self.of).cloned() else {
            return;
        };
        if removal::leaves(desk.world(), desk.plan, &self.instance) {
            return;
        }
        // One that was promoted is none any more.
        let Some(replica) = desk.world().replicas.get(&self.id).cloned() else {
            return;
        };
        if replica.requested == Some(DbRequest::Promote) {
            return self.promote(desk, &replica);
        }
        let source = database.primary.clone();
        let failing_over = database.failover_to.is_some();
        self.announce(desk, &source);
        if replica.requested == Some(DbRequest::Reboot) && !self.reboot(desk) {
            return;
        }
        if self.host.liveness.lost().is_some() || !self.host.started && !self.host.liveness.alive()
        {
            // A source that has been at work may lack the log that leads from the golden cluster to where it is.
            let late = replica.status == DbInstanceStatus::Creating
                && database.status != DbInstanceStatus::Creating;
            let copies = late && !self.host.started;
            return self.make(desk, source, copies);
        }
        let Some((_, status)) = self
            .host
            .status
            .as_ref()
            .filter(|_| self.host.liveness.well())
        else {
            return;
        };
        let expected = desk.replication_address(&self.instance, &source);
        let receives = status.receiver.as_ref().is_some_and(|receiver| {
            receiver.streaming && Some(&receiver.sender_host) == expected.as_ref()
        });
        let line = self.apart.judge(status, receives, &database);
        if line == Line::Streams {
            self.host.streams();
            self.apart.due(line, desk);
            self.source = Some(source);
        } else if failing_over {
            self.apart.begin();
        } else if self.source.as_ref() != Some(&source) {
            if !desk.planted(Bug::ForgetReplicas) {
                let action = Action::Follow {
                    instance: self.instance.clone(),
                    source,
                };
                self.host.issue(desk, action);
            }
        } else if self.source_answers(desk, &source) && self.apart.due(line, desk) {
            let action = Action::Rejoin {
                instance: self.instance.clone(),
                source,
                by: self.host.means(desk.now),
            };
            if self.host.issue(desk, action) {
                self.apart.tried();
            }
        }
    }

    /// Starts it, or makes it of a copy of its source once that answers.
    fn make(&mut self, desk: &mut Desk<'_>, source: InstanceId, copies: bool) {
        if !copies {
            return self.start(desk, source);
        }
        if self.source_answers(desk, &source) {
            let action = Action::Rejoin {
                instance: self.instance.clone(),
                source,
                by: Means::Copy,
            };
            self.host.issue(desk, action);
        }
    }

    /// Starts it, from what its data are or, where they serve no more, anew.
    fn start(&mut self, desk: &mut Desk<'_>, source: InstanceId) {
        let instance = self.instance.clone();
        let streamed_to = self.sent.as_ref() == Some(&(source.clone(), true));
        let spoilt = self.spoilt || self.host.lame(desk.now, streamed_to);
        let action = if spoilt && self.source_answers(desk, &source) {
            let by = self.host.means(desk.now);
            Action::Rejoin {
                instance,
                source,
                by,
            }
        } else {
            Action::StartDatabase {
                instance,
                role: DbRole::Standby { of: source },
            }
        };
        self.host.issue(desk, action);
    }

    /// When to decide anew without a stimulus, and why.
    pub fn deadline(&self) -> Option<(Time, &'static str)> {
        let retries = [
            self.host.order.deadline(),
            self.errand.deadline(),
            self.promotion.deadline(),
        ];
        let next = retries.into_iter().flatten().min();
        next.map(|at| (at, "retry of a replica order"))
    }

    fn announce(&self, desk: &mut Desk<'_>, source: &InstanceId) {
        let Some(known) = desk.world().replicas.get(&self.id).cloned() else {
            return;
        };
        let given_up = self.sent.as_ref() == Some(&(source.clone(), false));
        let receives = self.host.status.as_ref().is_some_and(|(_, status)| {
            let expected = desk.replication_address(&self.instance, source);
            status
                .receiver
                .as_ref()
                .is_some_and(|r| r.streaming && Some(&r.sender_host) == expected.as_ref())
        });
        let streams = receives && !given_up;
        let status = if self.host.liveness.lost().is_some()
            && known.replication != ReplicationStatus::Creating
        {
            ReplicationStatus::Error
        } else if self.host.liveness.well() && streams {
            ReplicationStatus::Replicating
        } else if self.host.liveness.well() && known.replication != ReplicationStatus::Creating {
            ReplicationStatus::ReplicationDegraded
        } else {
            known.replication
        };
        if status != known.replication {
            let (db_instance, source) = (self.id.clone(), source.clone());
            desk.emit(EventKind::ReplicationStatusChanged {
                db_instance,
                status,
                source,
            });
            // Replication that stopped with its stack has not stopped by itself.
            let comes_up = desk.world().phase == StackPhase::Creating;
            let told = match (known.replication, status) {
                (_, _) if comes_up => None,
                // Its making is told of otherwise.
                (ReplicationStatus::Creating, _) | (_, ReplicationStatus::Creating) => None,
                (_, ReplicationStatus::Replicating) => Some(rds_event::REPLICATION_RESUMED),
                (ReplicationStatus::Replicating, _) => Some(rds_event::REPLICATION_STOPPED),
                (_, _) => None,
            };
            if let Some(event) = told {
                desk.emit(rds_event::of(&self.id, event));
            }
        }
        if status == ReplicationStatus::Replicating && known.status == DbInstanceStatus::Creating {
            let (db_instance, status) = (self.id.clone(), DbInstanceStatus::Available);
            desk.emit(EventKind::DbInstanceStatusChanged {
                db_instance,
                status,
            });
        }
    }

    fn source_answers(&self, desk: &Desk<'_>, source: &InstanceId) -> bool {
        desk.world()
            .instances
            .get(source)
            .is_some_and(|state| state.reachable == Some(true))
    }
}
