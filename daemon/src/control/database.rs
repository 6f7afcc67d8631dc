//! A DB instance: its primary, with Multi-AZ its synchronous standby, and the failover between them.
//!
//! An outside observer decides (aws-behaviour §1.1): hosts never elect themselves.
//! ```text
//!  creating ──configured, standby in sync──► available ──primary lost, standby in sync──► failing over
//!                                              ▲  │ standby lost: recorded out of sync,        │ fence, promote
//!                                              │  └─ then the primary may run alone            │
//!                                              └── rejoin old primary, catch up, in sync ◄─────┘
//! ```
//! Three rules hold at every step, and the simulator checks them: only a standby recorded in sync is promoted; before the primary
//! may acknowledge alone, the standby is recorded out of sync; a primary that was given up is fenced before another is made.

use std::collections::BTreeMap;
use std::time::Duration;

use topologies::event::{DbInstanceStatus, EventKind};
use topologies::id::{DbInstanceId, InstanceId};
use topologies::runtime::InstanceStatus;
use topologies::time::Time;
use topologies::world::Database;

use super::action::{Action, DbRole, Outcome, Ticket};
use super::bugs::Bug;
use super::desk::{Desk, Order};
use super::host::DbHost;
use super::liveness::Loss;
use super::probe::{DbProbe, Lsn, PgStatus};

/// A standby whose flush position stands still for this long while the primary's is ahead holds commits up: it is declared lost.
const STALL: Duration = Duration::from_millis(1_000);
/// A joined standby that does not stream for this long is made anew: its history may have parted from the primary's.
const NOT_STREAMING: Duration = Duration::from_secs(4);

/// RDS-EVENT numbers and messages (aws-behaviour §1.2).
mod rds_event {
    pub(super) const CREATED: (u16, &str) = (5, "DB instance created.");
    pub(super) const SHUTDOWN: (u16, &str) = (4, "DB instance shutdown.");
    pub(super) const RESTARTED: (u16, &str) = (6, "DB instance restarted.");
    pub(super) const FAILOVER_STARTED: (u16, &str) = (13, "Multi-AZ instance failover started.");
    pub(super) const FAILOVER_COMPLETED: (u16, &str) =
        (49, "Multi-AZ instance failover completed.");
    pub(super) const STANDBY_RECOVERY_STARTED: (u16, &str) =
        (361, "Recovery of standby DB instance has started.");
    pub(super) const STANDBY_RECOVERY_COMPLETED: (u16, &str) =
        (362, "Recovery of standby DB instance has completed.");
}

/// RDS's failover reasons, word for word (aws-behaviour §1.1).
mod reason {
    pub(super) const UNHEALTHY: &str =
        "The primary host of the RDS Multi-AZ instance is unhealthy.";
    pub(super) const UNREACHABLE: &str = "The primary host of the RDS Multi-AZ instance is unreachable due to loss of network connectivity.";
}

/// Decides for one DB instance.
#[derive(Clone, Debug)]
pub struct DatabaseMachine {
    id: DbInstanceId,
    hosts: BTreeMap<InstanceId, DbHost>,
    configured: bool,
    configure: Order,
    synchronous: Order,
    promote: Order,
    demote: Order,
    /// The position that the standby must have flushed before it counts as in sync: the primary's, seen after commits began to wait.
    barrier: Option<Lsn>,
    /// When an order about whom commits wait for last ended, or the standby was last recorded out of sync.
    settled: Time,
    /// The former primary that is known to be demoted.
    demoted: Option<InstanceId>,
    /// Whether the standby could not be started with the data that it has: a rewind may have been interrupted.
    spoilt: bool,
    /// Since when the standby's flush position has stood still, and where.
    stalled: Option<(Time, Lsn)>,
    /// The primary's position at the probe before the last: a standby that has flushed it keeps up.
    previous: Lsn,
    /// Since when a joined standby has not streamed.
    apart: Option<Time>,
    /// Whether the primary was ordered to restart where it stands.
    restarting: bool,
}

impl DatabaseMachine {
    /// A machine that knows nothing but the plan and, through the desk, the world.
    pub fn new(id: DbInstanceId, hosts: impl Iterator<Item = InstanceId>, threshold: u32) -> Self {
        Self {
            id,
            hosts: hosts.map(|host| (host, DbHost::new(threshold))).collect(),
            configured: false,
            configure: Order::default(),
            synchronous: Order::default(),
            promote: Order::default(),
            demote: Order::default(),
            barrier: None,
            settled: Time::ZERO,
            demoted: None,
            spoilt: false,
            stalled: None,
            previous: Lsn::default(),
            apart: None,
            restarting: false,
        }
    }

    /// Whether the host is one of this DB instance's.
    pub fn owns(&self, instance: &InstanceId) -> bool {
        self.hosts.contains_key(instance)
    }

    /// Takes in what the host's runtime reported.
    pub fn handle_observation(
        &mut self,
        desk: &mut Desk<'_>,
        instance: &InstanceId,
        status: &InstanceStatus,
    ) {
        if let Some(host) = self.hosts.get_mut(instance) {
            host.observe(desk, instance, status);
        }
    }

    /// Takes in a probe's result.
    pub fn handle_probe(
        &mut self,
        desk: &mut Desk<'_>,
        instance: &InstanceId,
        sent: Time,
        probe: &DbProbe,
    ) {
        if let Some(host) = self.hosts.get_mut(instance) {
            if let Some((_, before)) = host
                .status
                .as_ref()
                .filter(|(_, status)| !status.in_recovery)
            {
                self.previous = before.lsn;
            }
            host.probed(desk, instance, sent, probe);
        }
    }

    /// Takes in an order's outcome.
    pub fn handle_outcome(&mut self, desk: &mut Desk<'_>, ticket: Ticket, outcome: &Outcome) {
        if let Some((action, outcome)) = self.promote.settle(desk, ticket, outcome) {
            self.promoted(desk, action.instance(), &outcome);
        }
        if let Some((_, outcome)) = self.configure.settle(desk, ticket, outcome) {
            self.configured = outcome == Outcome::Done;
        }
        if self.synchronous.settle(desk, ticket, outcome).is_some() {
            self.barrier = None;
            self.settled = desk.now;
        }
        if let Some((action, Outcome::Done)) = self.demote.settle(desk, ticket, outcome) {
            self.demoted = Some(action.instance().clone());
        }
        let settled: Vec<(Action, Outcome)> = self
            .hosts
            .values_mut()
            .filter_map(|host| host.order.settle(desk, ticket, outcome))
            .collect();
        for (action, outcome) in settled {
            self.started(desk, &action, &outcome);
        }
    }

    /// Decides. Called after every stimulus and when [`DatabaseMachine::deadline`] has passed.
    pub fn decide(&mut self, desk: &mut Desk<'_>) {
        let Some(database) = desk.world().databases.get(&self.id).cloned() else {
            return;
        };
        if let Some(to) = database.failover_to.clone() {
            return self.drive_failover(desk, &database, &to);
        }
        if self.should_fail_over(desk, &database) {
            return self.start_failover(desk, &database);
        }
        self.keep_primary(desk, &database);
        if database.standby.is_some() {
            self.keep_standby(desk, &database);
            self.keep_synchronous(desk);
        }
        self.announce_available(desk);
    }

    /// When to decide anew without a stimulus, and why.
    pub fn deadline(&self) -> Option<(Time, &'static str)> {
        let orders = [
            &self.configure,
            &self.synchronous,
            &self.promote,
            &self.demote,
        ];
        let retries = orders
            .into_iter()
            .chain(self.hosts.values().map(|host| &host.order));
        retries
            .filter_map(Order::deadline)
            .min()
            .map(|at| (at, "retry of a database order"))
    }

    fn should_fail_over(&self, desk: &Desk<'_>, database: &Database) -> bool {
        let Some(standby) = &database.standby else {
            return false;
        };
        let primary_lost = self
            .hosts
            .get(&database.primary)
            .is_some_and(|host| host.liveness.lost().is_some());
        let standby_answers = self
            .status(&standby.instance)
            .is_some_and(|status| status.in_recovery);
        let may_promote = standby.in_sync || desk.planted(Bug::PromoteOutOfSync);
        primary_lost && may_promote && standby_answers
    }

    fn start_failover(&mut self, desk: &mut Desk<'_>, database: &Database) {
        let Some(standby) = &database.standby else {
            return;
        };
        let lost = self
            .hosts
            .get(&database.primary)
            .and_then(|host| host.liveness.lost());
        let why = match lost {
            Some(Loss::Silent) => reason::UNREACHABLE,
            Some(Loss::Refused | Loss::Exited) | None => reason::UNHEALTHY,
        };
        self.rds_event(desk, rds_event::FAILOVER_STARTED);
        desk.emit(EventKind::FailoverStarted {
            db_instance: self.id.clone(),
            from: database.primary.clone(),
            to: standby.instance.clone(),
            reason: why.to_owned(),
        });
        self.synchronous.abandon();
        self.configure.abandon();
        self.demote.abandon();
        self.promote.abandon();
        self.demoted = None;
        let delay = desk.draw(desk.plan.topology.timing.db_failover);
        self.promote.pause_until(desk.now + delay);
        self.drive_failover(desk, database, &standby.instance);
    }

    /// A failover that was decided is carried through: the old primary may be gone for good, and the standby may have been
    /// promoted by an order whose outcome never came back. Promotion is idempotent, so it is ordered until it is confirmed.
    fn drive_failover(&mut self, desk: &mut Desk<'_>, database: &Database, to: &InstanceId) {
        self.keep_demoted(desk, &database.primary);
        let Some(host) = self.hosts.get_mut(to) else {
            return;
        };
        if host.liveness.lost() == Some(Loss::Exited) || host.liveness.lost() == Some(Loss::Refused)
        {
            let role = DbRole::Standby {
                of: database.primary.clone(),
            };
            host.start(
                desk,
                Action::StartDatabase {
                    instance: to.clone(),
                    role,
                },
            );
        } else if host.liveness.alive() {
            self.promote.issue(
                desk,
                Action::Promote {
                    instance: to.clone(),
                },
            );
        }
    }

    /// A primary that was given up is marked as such, whichever control plane gave it up; says whether it is.
    fn keep_demoted(&mut self, desk: &mut Desk<'_>, instance: &InstanceId) -> bool {
        let demoted = self.demoted.as_ref() == Some(instance) || desk.planted(Bug::ForgetToDemote);
        if !demoted {
            self.demote.issue(
                desk,
                Action::Demote {
                    instance: instance.clone(),
                },
            );
        }
        demoted
    }

    fn promoted(&mut self, desk: &mut Desk<'_>, to: &InstanceId, outcome: &Outcome) {
        let Outcome::Promoted { timeline, .. } = outcome else {
            return;
        };
        let database = desk.world().databases.get(&self.id);
        let Some(why) = database.and_then(|db| db.failover_reason.clone()) else {
            return;
        };
        desk.emit(EventKind::WriterPromoted {
            db_instance: self.id.clone(),
            instance: to.clone(),
            timeline: *timeline,
        });
        // The reason is told at completion, in the same moment, and "restarted" comes last (aws-behaviour §1.1).
        self.rds_event(desk, rds_event::FAILOVER_COMPLETED);
        self.rds_event(desk, (rds_event::FAILOVER_COMPLETED.0, &why));
        self.rds_event(desk, rds_event::RESTARTED);
        self.barrier = None;
        self.settled = desk.now;
        self.spoilt = false;
        self.stalled = None;
        self.apart = None;
        self.configured = true;
        for host in self.hosts.values_mut() {
            host.order.abandon();
            host.status = None;
        }
    }

    /// Starts the primary where it stands: at creation, and when it was lost and no standby may take over.
    fn keep_primary(&mut self, desk: &mut Desk<'_>, database: &Database) {
        let creating = database.status == DbInstanceStatus::Creating;
        let Some(host) = self.hosts.get_mut(&database.primary) else {
            return;
        };
        let lost = host.liveness.lost();
        let unconfigured =
            lost == Some(Loss::Silent) && creating && host.started && !self.configured;
        if (lost.is_some() && !unconfigured) || (creating && !host.started) {
            if lost.is_some()
                && !creating
                && database.status == DbInstanceStatus::Available
                && !self.restarting
            {
                self.restarting = true;
                self.rds_event(desk, rds_event::SHUTDOWN);
            }
            let Some(host) = self.hosts.get_mut(&database.primary) else {
                return;
            };
            let in_sync = database.standby.as_ref().filter(|standby| standby.in_sync);
            let role = DbRole::Primary {
                synchronous_standby: in_sync.map(|standby| standby.instance.clone()),
            };
            let action = Action::StartDatabase {
                instance: database.primary.clone(),
                role,
            };
            host.start(desk, action);
        } else if creating && !self.configured {
            // Before that the server knows no password of this stack's, and no probe is answered.
            self.configure.issue(
                desk,
                Action::ConfigurePrimary {
                    instance: database.primary.clone(),
                },
            );
        } else if let Some(status) = self.status(&database.primary) {
            if !self.configured && !status.in_recovery {
                self.configure.issue(
                    desk,
                    Action::ConfigurePrimary {
                        instance: database.primary.clone(),
                    },
                );
            }
            if self.restarting {
                self.restarting = false;
                self.rds_event(desk, rds_event::RESTARTED);
            }
        }
    }

    /// Makes the other host a standby of the primary and keeps it one.
    fn keep_standby(&mut self, desk: &mut Desk<'_>, database: &Database) {
        let Some(standby) = &database.standby else {
            return;
        };
        let instance = standby.instance.clone();
        let streams = self.streaming(database, &instance);
        let primary_answers = self
            .status(&database.primary)
            .is_some_and(|status| !status.in_recovery);
        self.apart = match self.apart {
            _ if streams || !primary_answers => None,
            None => Some(desk.now),
            since => since,
        };
        let apart_for_long = self
            .apart
            .is_some_and(|since| desk.now - since > NOT_STREAMING);
        let Some(host) = self.hosts.get_mut(&instance) else {
            return;
        };
        if database.status == DbInstanceStatus::Creating && !host.started {
            let role = DbRole::Standby {
                of: database.primary.clone(),
            };
            host.start(desk, Action::StartDatabase { instance, role });
        } else if !standby.joined && database.status != DbInstanceStatus::Creating {
            if self.keep_demoted(desk, &instance) && primary_answers {
                self.start(desk, rejoin(desk, &instance, &database.primary));
            }
        } else if self.spoilt && primary_answers && !standby.in_sync {
            host.start(desk, rejoin(desk, &instance, &database.primary));
        } else if host.liveness.lost().is_some() {
            let role = DbRole::Standby {
                of: database.primary.clone(),
            };
            host.start(desk, Action::StartDatabase { instance, role });
        } else if apart_for_long && host.liveness.alive() && !standby.in_sync {
            self.apart = None;
            host.start(desk, rejoin(desk, &instance, &database.primary));
        }
    }

    /// Has commits wait for a standby that keeps up, and for none that does not.
    fn keep_synchronous(&mut self, desk: &mut Desk<'_>) {
        let Some(database) = desk.world().databases.get(&self.id).cloned() else {
            return;
        };
        let Some(standby) = &database.standby else {
            return;
        };
        let Some((asked, status)) = self.settled_status(desk, &database.primary) else {
            return;
        };
        let status = status.clone();
        let instance = &standby.instance;
        let waits = status.synchronous_standby_names.contains(instance.as_str());
        let trouble = self.trouble(asked, &status, instance);
        if let Some(why) = trouble {
            if standby.in_sync && !desk.planted(Bug::ForgetToRecordOutOfSync) {
                desk.emit(EventKind::StandbyOutOfSync {
                    db_instance: self.id.clone(),
                    instance: instance.clone(),
                    why: why.to_owned(),
                });
                self.rds_event(desk, rds_event::STANDBY_RECOVERY_STARTED);
                self.settled = desk.now;
            }
            self.barrier = None;
            if !status.synchronous_standby_names.is_empty() && !desk.planted(Bug::NeverRunAlone) {
                let action = Action::SetSynchronousStandby {
                    primary: database.primary.clone(),
                    standby: None,
                };
                self.synchronous.issue(desk, action);
            }
            return;
        }
        if self.synchronous.pending().is_some() || standby.in_sync {
            return;
        }
        if !waits {
            if self.keeps_up(&status, instance) && self.configured {
                let standby = Some(instance.clone());
                let action = Action::SetSynchronousStandby {
                    primary: database.primary.clone(),
                    standby,
                };
                self.synchronous.issue(desk, action);
            }
            return;
        }
        self.confirm_in_sync(desk, &database, &status, instance);
    }

    /// Commits wait for the standby; it is in sync once it has flushed all that was written before they did.
    fn confirm_in_sync(
        &mut self,
        desk: &mut Desk<'_>,
        database: &Database,
        status: &PgStatus,
        instance: &InstanceId,
    ) {
        let barrier = *self.barrier.get_or_insert(status.lsn);
        let peer = status
            .peers
            .iter()
            .find(|peer| peer.application_name == instance.as_str());
        let caught_up = peer
            .is_some_and(|peer| peer.streaming && peer.synchronous && peer.flush_lsn >= barrier);
        if caught_up || desk.planted(Bug::TrustWithoutCatchUp) {
            desk.emit(EventKind::StandbyInSync {
                db_instance: self.id.clone(),
                instance: instance.clone(),
            });
            if database.status != DbInstanceStatus::Creating {
                self.rds_event(desk, rds_event::STANDBY_RECOVERY_COMPLETED);
            }
        }
    }

    /// Why commits must not wait for the standby any longer, if so. `asked` is when the primary was asked for `status`: it tells
    /// of a stall up to then and not beyond, or a primary that fell silent would take its standby's title with it.
    fn trouble(
        &mut self,
        asked: Time,
        status: &PgStatus,
        standby: &InstanceId,
    ) -> Option<&'static str> {
        let lost = self
            .hosts
            .get(standby)
            .and_then(|host| host.liveness.lost());
        if let Some(loss) = lost {
            return Some(loss.as_str());
        }
        if status.synchronous_standby_names.is_empty() {
            self.stalled = None;
            return None;
        }
        let flushed = status
            .peers
            .iter()
            .find(|peer| peer.application_name == standby.as_str())
            .map(|p| p.flush_lsn);
        if flushed.is_some_and(|flushed| flushed >= status.lsn) {
            self.stalled = None;
            return None;
        }
        let at = flushed.unwrap_or_default();
        match self.stalled {
            Some((since, stood)) if stood == at => (asked - since >= STALL)
                .then_some("the link between primary and standby does not carry"),
            Some(_) | None => {
                self.stalled = Some((asked, at));
                None
            }
        }
    }

    fn started(&mut self, desk: &mut Desk<'_>, action: &Action, outcome: &Outcome) {
        let Some(host) = self.hosts.get_mut(action.instance()) else {
            return;
        };
        if *outcome != Outcome::Done {
            let start = matches!(
                action,
                Action::StartDatabase {
                    role: DbRole::Standby { .. },
                    ..
                }
            );
            self.spoilt |= start && !desk.planted(Bug::RestartTornData);
            return;
        }
        self.spoilt = false;
        host.started = true;
        host.liveness.forget(desk.now);
        host.status = None;
        let world = desk.world().databases.get(&self.id);
        let standby = world
            .and_then(|db| db.standby.as_ref())
            .map(|standby| standby.instance.clone());
        if standby.as_ref() == Some(action.instance()) && matches!(action, Action::Rejoin { .. }) {
            self.apart = None;
            desk.emit(EventKind::StandbyJoined {
                db_instance: self.id.clone(),
                instance: action.instance().clone(),
            });
        }
    }

    fn announce_available(&self, desk: &mut Desk<'_>) {
        let Some(database) = desk.world().databases.get(&self.id) else {
            return;
        };
        let in_sync = database
            .standby
            .as_ref()
            .is_none_or(|standby| standby.in_sync);
        if database.status == DbInstanceStatus::Creating && self.configured && in_sync {
            self.rds_event(desk, rds_event::CREATED);
            let status = DbInstanceStatus::Available;
            desk.emit(EventKind::DbInstanceStatusChanged {
                db_instance: self.id.clone(),
                status,
            });
        }
    }

    fn keeps_up(&self, status: &PgStatus, standby: &InstanceId) -> bool {
        let peer = status
            .peers
            .iter()
            .find(|peer| peer.application_name == standby.as_str());
        peer.is_some_and(|peer| peer.streaming && peer.flush_lsn >= self.previous)
    }

    fn streaming(&self, database: &Database, standby: &InstanceId) -> bool {
        self.status(&database.primary).is_some_and(|status| {
            status
                .peers
                .iter()
                .any(|peer| peer.application_name == standby.as_str() && peer.streaming)
        })
    }

    fn start(&mut self, desk: &mut Desk<'_>, action: Action) {
        if let Some(host) = self.hosts.get_mut(action.instance()) {
            host.start(desk, action);
        }
    }

    /// The host's own account, if it answers.
    fn status(&self, instance: &InstanceId) -> Option<&PgStatus> {
        let host = self.hosts.get(instance)?;
        host.status
            .as_ref()
            .filter(|_| host.liveness.well())
            .map(|(_, status)| status)
    }

    /// The primary's own account if it was asked for after whom commits wait for was last ordered or judged: what was asked for
    /// before may show a setting, or a stream, that is no more.
    fn settled_status(&self, desk: &Desk<'_>, primary: &InstanceId) -> Option<(Time, &PgStatus)> {
        let asked = self.hosts.get(primary)?.status.as_ref()?.0;
        let settled = asked >= self.settled || desk.planted(Bug::BelieveOldAccounts);
        self.status(primary)
            .filter(|status| settled && !status.in_recovery)
            .map(|status| (asked, status))
    }

    fn rds_event(&self, desk: &mut Desk<'_>, (id, message): (u16, &str)) {
        desk.emit(EventKind::RdsEvent {
            source: self.id.clone(),
            id,
            message: message.to_owned(),
        });
    }
}

fn rejoin(desk: &Desk<'_>, instance: &InstanceId, source: &InstanceId) -> Action {
    if desk.planted(Bug::RestartOldPrimaryAsWriter) {
        return Action::StartDatabase {
            instance: instance.clone(),
            role: DbRole::Primary {
                synchronous_standby: None,
            },
        };
    }
    Action::Rejoin {
        instance: instance.clone(),
        source: source.clone(),
    }
}
