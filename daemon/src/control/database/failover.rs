//! The failover: when it begins, the promotion that is ordered until it is confirmed, and the marking of the primary that was given up.
//!
//! Fenced by [`EventKind::FailoverStarted`] first; demoted on its disk once a promotion is ordered, so that no start can bring it back
//! as a writer. Until then the failover can be abandoned: the standby may be lost, too, and the primary come back. From then on only the
//! standby knows whether it was promoted.

use topologies::event::{DbInstanceStatus, DbRequest, EventKind};
use topologies::id::InstanceId;
use topologies::world::{Database, StackPhase};

use super::DatabaseMachine;
use super::conversion::Conversion;
use crate::control::action::{Action, DbRole, Outcome};
use crate::control::apart::Apart;
use crate::control::bugs::Bug;
use crate::control::desk::Desk;
use crate::control::liveness::Loss;
use crate::control::rds_event;

/// RDS's failover reasons, word for word (aws-behaviour §1.1).
mod reason {
    pub(super) const UNHEALTHY: &str =
        "The primary host of the RDS Multi-AZ instance is unhealthy.";
    pub(super) const BUSY: &str = "The RDS Multi-AZ primary instance is busy and unresponsive.";
    pub(super) const UNREACHABLE: &str = "The primary host of the RDS Multi-AZ instance is unreachable due to loss of network connectivity.";
}

impl DatabaseMachine {
    pub(super) fn should_fail_over(&self, desk: &Desk<'_>, database: &Database) -> bool {
        let primary_lost = self
            .hosts
            .get(&database.primary)
            .is_some_and(|host| host.liveness.lost().is_some());
        // A stack that was taken down starts both: the one that is quicker is not to take over from the other.
        let seen = desk.world().instances.get(&database.primary);
        let seen = seen.is_some_and(|primary| primary.reachable.is_some());
        if !seen && desk.world().phase == StackPhase::Creating {
            return false;
        }
        primary_lost && self.may_promote(desk, database)
    }

    /// Whether there is a standby that holds everything acknowledged, and answers.
    pub(super) fn may_promote(&self, desk: &Desk<'_>, database: &Database) -> bool {
        let Some(standby) = &database.standby else {
            return false;
        };
        let answers = self
            .status(&standby.instance)
            .is_some_and(|status| status.in_recovery);
        answers && (standby.in_sync || desk.planted(Bug::PromoteOutOfSync))
    }

    /// Begins a failover: for the reason that is given, or for what the primary is lost for.
    pub(super) fn start_failover(
        &mut self,
        desk: &mut Desk<'_>,
        database: &Database,
        reason: Option<&str>,
    ) {
        let Some(standby) = &database.standby else {
            return;
        };
        let lost = self
            .hosts
            .get(&database.primary)
            .and_then(|host| host.liveness.lost());
        let why = reason.unwrap_or(match lost {
            Some(Loss::Silent) => reason::UNREACHABLE,
            Some(Loss::Mute) => reason::BUSY,
            Some(Loss::Refused | Loss::Exited) | None => reason::UNHEALTHY,
        });
        self.tell_failover_instead(desk);
        self.rds_event(desk, rds_event::FAILOVER_STARTED);
        desk.emit(EventKind::FailoverStarted {
            db_instance: self.id.clone(),
            from: database.primary.clone(),
            to: standby.instance.clone(),
            reason: why.to_owned(),
        });
        self.synchronous.abandon();
        self.waited_for = None;
        self.configure.abandon();
        self.demote.abandon();
        self.promote.abandon();
        self.demoted = None;
        self.reversible = true;
        let delay = desk.draw(desk.plan.topology.timing.db_failover);
        self.promote.pause_until(desk.now + delay);
        self.drive_failover(desk, database, &standby.instance);
    }

    /// A failover that was decided is carried through while the standby answers, or may have been promoted by an order whose outcome
    /// never came back. Promotion is idempotent, so it is ordered until it is confirmed.
    pub(super) fn drive_failover(
        &mut self,
        desk: &mut Desk<'_>,
        database: &Database,
        to: &InstanceId,
    ) {
        let Some(host) = self.hosts.get_mut(to) else {
            return;
        };
        let lost = host.liveness.lost().is_some();
        if !self.reversible {
            self.keep_demoted(desk, &database.primary);
        } else if lost && self.primary_is_back(database) {
            return self.abandon_failover(desk, database, to);
        }
        let Some(host) = self.hosts.get_mut(to) else {
            return;
        };
        if host.liveness.lost() == Some(Loss::Exited) || host.liveness.lost() == Some(Loss::Refused)
        {
            let of = database.primary.clone();
            let role = if desk.planted(Bug::ForgetPromotion) {
                DbRole::Standby { of }
            } else {
                DbRole::Successor { of }
            };
            host.issue(
                desk,
                Action::StartDatabase {
                    instance: to.clone(),
                    role,
                },
            );
        } else if host.liveness.alive() {
            let instance = to.clone();
            if self.promote.issue(desk, Action::Promote { instance }) {
                self.reversible = false;
                self.keep_demoted(desk, &database.primary);
            }
        }
    }

    /// Whether the primary that was given up answers as one that accepts writes.
    fn primary_is_back(&self, database: &Database) -> bool {
        let status = self.status(&database.primary);
        status.is_some_and(|status| !status.in_recovery)
    }

    /// The primary goes on as it was, and waits for the standby until that is recorded out of sync.
    fn abandon_failover(&mut self, desk: &mut Desk<'_>, database: &Database, to: &InstanceId) {
        self.promote.abandon();
        self.reversible = false;
        desk.emit(EventKind::FailoverAbandoned {
            db_instance: self.id.clone(),
            from: database.primary.clone(),
            to: to.clone(),
        });
        self.rds_event(desk, rds_event::FAILOVER_ABANDONED);
        // One that was asked for is not made up for later, when nobody expects it.
        if database.requested.is_some_and(DbRequest::restarts) {
            self.done(desk, DbInstanceStatus::Available);
        }
        self.barrier = None;
        self.settled = desk.now;
    }

    /// A primary that was given up is marked as such, whichever control plane gave it up; says whether it is.
    pub(super) fn keep_demoted(&mut self, desk: &mut Desk<'_>, instance: &InstanceId) -> bool {
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

    pub(super) fn promoted(&mut self, desk: &mut Desk<'_>, to: &InstanceId, outcome: &Outcome) {
        let Outcome::Promoted { timeline, offset } = outcome else {
            return;
        };
        let database = desk.world().databases.get(&self.id);
        let requested = database.and_then(|db| db.requested);
        let Some(why) = database.and_then(|db| db.failover_reason.clone()) else {
            return;
        };
        desk.emit(EventKind::WriterPromoted {
            db_instance: self.id.clone(),
            instance: to.clone(),
            timeline: *timeline,
            forked_at: *offset,
        });
        // The reason is told at completion, in the same moment, and "restarted" comes last (aws-behaviour §1.1).
        self.rds_event(desk, rds_event::FAILOVER_COMPLETED);
        self.rds_event(desk, (rds_event::FAILOVER_COMPLETED.0, &why));
        self.rds_event(desk, rds_event::RESTARTED);
        if requested.is_some_and(DbRequest::restarts) {
            self.done(desk, DbInstanceStatus::Available);
        }
        // What is not done yet is done to the new primary.
        self.conversion = Conversion::default();
        self.barrier = None;
        self.settled = desk.now;
        self.recovering = false;
        self.spoilt = false;
        self.stalled = None;
        self.apart = Apart::default();
        self.configured = true;
        for host in self.hosts.values_mut() {
            host.order.abandon();
            host.status = None;
        }
    }
}
