//! What is asked of a DB instance: a reboot, a failover, a stop, a start (aws-behaviour §1.1, "Reboot rules").
//!
//! ```text
//!  rebooting ──primary stopped──► started ──answers──► available
//!  rebooting, with failover ──as if the primary were lost──► available once the standby is promoted
//!  stopping  ──primary stopped──► standby stopped ──► stopped ──asked──► starting ──answers──► available
//!  modifying, resetting-master-credentials: see `conversion`
//! ```
//! The world holds what was asked, so that whoever takes over a stack goes on with it; a stop that was carried out twice is one.
//! A host that can not be reached for it ends a reboot or a start: then it is as lost as any other, and its standby may take over.

use std::collections::{BTreeMap, BTreeSet};

use topologies::event::{DbInstanceStatus, DbRequest, EventKind};
use topologies::id::InstanceId;
use topologies::time::Time;
use topologies::world::Database;

use super::DatabaseMachine;
use super::conversion::Conversion;
use crate::control::action::{Action, DbRole, Outcome, Ticket};
use crate::control::desk::{Desk, Order};
use crate::control::rds_event;

/// Servers that are ended because somebody asked for it.
#[derive(Clone, Debug, Default)]
pub(in crate::control) struct Errand {
    orders: BTreeMap<InstanceId, Order>,
    stopped: BTreeSet<InstanceId>,
    /// Hosts that could not be reached to end their servers.
    refused: BTreeSet<InstanceId>,
}

impl Errand {
    /// Has a host's server ended; whether it is.
    pub(in crate::control) fn stop(&mut self, desk: &mut Desk<'_>, instance: &InstanceId) -> bool {
        if self.stopped.contains(instance) {
            return true;
        }
        let action = Action::Stop {
            instance: instance.clone(),
        };
        let order = self.orders.entry(instance.clone()).or_default();
        order.issue(desk, action);
        false
    }

    /// Takes in an order's outcome; the host whose server has ended by it.
    pub(in crate::control) fn settle(
        &mut self,
        desk: &mut Desk<'_>,
        ticket: Ticket,
        outcome: &Outcome,
    ) -> Option<InstanceId> {
        let mut orders = self.orders.iter_mut();
        let (instance, outcome) = orders.find_map(|(instance, order)| {
            let (_, outcome) = order.settle(desk, ticket, outcome)?;
            Some((instance.clone(), outcome))
        })?;
        if outcome != Outcome::Done {
            self.refused.insert(instance);
            return None;
        }
        self.stopped.insert(instance.clone());
        Some(instance)
    }

    /// Whether a host's server was ended.
    pub(in crate::control) fn has_stopped(&self, instance: &InstanceId) -> bool {
        self.stopped.contains(instance)
    }

    /// Whether a host could not be reached to end its server: it is lost, or will be.
    pub(in crate::control) fn is_refused(&self, instance: &InstanceId) -> bool {
        self.refused.contains(instance)
    }

    pub(in crate::control) fn deadline(&self) -> Option<Time> {
        self.orders.values().filter_map(Order::deadline).min()
    }
}

impl DatabaseMachine {
    /// Does what was asked. Says whether that is all there is to decide now.
    pub(super) fn serve(
        &mut self,
        desk: &mut Desk<'_>,
        database: &Database,
        request: DbRequest,
    ) -> bool {
        match request {
            DbRequest::Failover => {
                let may = self.may_promote(desk, database);
                let standby = database.standby.as_ref();
                if may {
                    self.start_failover(desk, database, Some(REQUESTED));
                } else if !standby.is_some_and(|standby| standby.in_sync) {
                    // It was when it was asked for. It is not made up for later, when nobody expects it.
                    self.done(desk, DbInstanceStatus::Available);
                }
                may
            }
            DbRequest::Reboot => {
                self.reboot(desk, database);
                true
            }
            DbRequest::Stop => {
                let standby = database.standby.as_ref().map(|standby| &standby.instance);
                let hosts = std::iter::once(&database.primary).chain(standby);
                // The primary first: the standby gets all that it wrote.
                let mut left = hosts.filter(|host| !self.errand.stop(desk, host));
                if left.next().is_none() {
                    self.rds_event(desk, rds_event::STOPPED);
                    self.done(desk, DbInstanceStatus::Stopped);
                }
                true
            }
            DbRequest::Start => {
                let host = self.hosts.get(&database.primary);
                if self.restarted && host.is_some_and(|host| host.liveness.lost().is_some()) {
                    // It was started and is gone again: that is an outage like any other.
                    self.done(desk, DbInstanceStatus::Available);
                    return true;
                }
                self.keep_primary(desk, database);
                if database.standby.is_some() {
                    self.keep_standby(desk, database);
                }
                if self.writes(database) {
                    self.rds_event(desk, rds_event::STARTED);
                    self.done(desk, DbInstanceStatus::Available);
                }
                true
            }
            DbRequest::ResetMasterCredentials => self.reset_credentials(desk),
            DbRequest::ConvertToMultiAz => self.convert_to_multi_az(desk, database),
            DbRequest::ConvertToSingleAz => self.convert_to_single_az(desk, database),
            DbRequest::Promote => self.begin_alone(desk),
        }
    }

    fn reboot(&mut self, desk: &mut Desk<'_>, database: &Database) {
        let primary = &database.primary;
        if self.errand.is_refused(primary) {
            return self.done(desk, DbInstanceStatus::Available);
        }
        if !self.errand.stop(desk, primary) {
            return;
        }
        let Some(host) = self.hosts.get_mut(primary) else {
            return;
        };
        if self.restarted {
            if host.liveness.lost().is_some() {
                // It was started and is gone again.
                self.done(desk, DbInstanceStatus::Available);
            } else if self.writes(database) {
                self.rds_event(desk, rds_event::RESTARTED);
                self.done(desk, DbInstanceStatus::Available);
            }
            return;
        }
        // Once its end was seen: a sign of it that came after the start would be one of another end.
        if host.liveness.lost().is_some() {
            let action = start_primary(database);
            host.issue(desk, action);
        }
    }

    /// Takes in the end of an order that an errand gave.
    pub(super) fn settle_errand(&mut self, desk: &mut Desk<'_>, ticket: Ticket, outcome: &Outcome) {
        let Some(stopped) = self.errand.settle(desk, ticket, outcome) else {
            return;
        };
        let database = desk.world().databases.get(&self.id);
        let reboots = database.is_some_and(|database| {
            database.requested == Some(DbRequest::Reboot)
                && database.primary == stopped
                && database.standby.is_some()
        });
        // A Single-AZ instance tells of its restart only.
        if reboots {
            self.rds_event(desk, rds_event::SHUTDOWN);
        }
    }

    /// Takes in that an order to start a host ended, while something is asked of the DB instance.
    pub(super) fn started_on_request(
        &mut self,
        desk: &mut Desk<'_>,
        instance: &InstanceId,
        outcome: &Outcome,
    ) {
        let Some(database) = desk.world().databases.get(&self.id) else {
            return;
        };
        let starts = matches!(
            database.requested,
            Some(DbRequest::Reboot | DbRequest::Start)
        );
        if !starts || database.primary != *instance {
            return;
        }
        if *outcome == Outcome::Done {
            self.restarted = true;
        } else {
            self.done(desk, DbInstanceStatus::Available);
        }
    }

    /// The request is done with.
    pub(super) fn done(&mut self, desk: &mut Desk<'_>, status: DbInstanceStatus) {
        self.errand = Errand::default();
        self.restarted = false;
        self.conversion = Conversion::default();
        desk.emit(EventKind::DbInstanceStatusChanged {
            db_instance: self.id.clone(),
            status,
        });
    }

    /// Whether the primary takes writes.
    pub(super) fn writes(&self, database: &Database) -> bool {
        self.status(&database.primary)
            .is_some_and(|status| !status.in_recovery)
    }
}

/// The order to start the primary where it is, as one that waits for its standby if that is in sync.
pub(super) fn start_primary(database: &Database) -> Action {
    let in_sync = database.standby.as_ref().filter(|standby| standby.in_sync);
    Action::StartDatabase {
        instance: database.primary.clone(),
        role: DbRole::Primary {
            synchronous_standby: in_sync.map(|standby| standby.instance.clone()),
        },
    }
}

/// The reason of a failover that was asked for, in RDS's words (aws-behaviour §1.1).
pub(super) const REQUESTED: &str = "The user requested a failover of the DB instance.";
