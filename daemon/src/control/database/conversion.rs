//! What ModifyDBInstance asks for while a DB instance serves: a standby or none, and another master password (aws-behaviour §1.1).
//!
//! ```text
//!  modifying, to Multi-AZ  ──a copy of the primary joins, in sync──► available
//!  modifying, to Single-AZ ──recorded out of sync──► nobody waits for it ──its host removed──► out of the plan ──► available
//!  resetting-master-credentials ──the primary is configured anew──► available
//! ```
//! The primary is kept all the while, and a failover that comes in between does not end what was asked.

use topologies::edit::Edit;
use topologies::event::{DbInstanceStatus, EventKind};
use topologies::id::InstanceId;
use topologies::time::Time;
use topologies::world::Database;

use super::DatabaseMachine;
use crate::control::action::{Action, Outcome, Ticket};
use crate::control::desk::{Desk, Order};
use crate::control::rds_event;

/// How far it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Conversion {
    /// Whether the primary is being configured anew.
    configures: bool,
    remove: Order,
    /// Whether the standby's host is gone.
    removed: bool,
}

impl Conversion {
    pub(super) fn settle(&mut self, desk: &mut Desk<'_>, ticket: Ticket, outcome: &Outcome) {
        if let Some((_, Outcome::Done)) = self.remove.settle(desk, ticket, outcome) {
            self.removed = true;
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.remove.deadline()
    }
}

/// These say, as `serve` does, whether that is all there is to decide now.
impl DatabaseMachine {
    pub(super) fn reset_credentials(&mut self, desk: &mut Desk<'_>) -> bool {
        if !std::mem::replace(&mut self.conversion.configures, true) {
            self.configured = false;
            self.configure.abandon();
        } else if self.configured {
            self.rds_event(desk, rds_event::CREDENTIALS_RESET);
            self.done(desk, DbInstanceStatus::Available);
        }
        false
    }

    /// The standby is planned, and made as one that comes back.
    pub(super) fn convert_to_multi_az(&mut self, desk: &mut Desk<'_>, database: &Database) -> bool {
        let standby = database.standby.as_ref();
        if standby.is_some_and(|standby| standby.in_sync) {
            self.rds_event(desk, rds_event::IS_MULTI_AZ);
            self.done(desk, DbInstanceStatus::Available);
        }
        false
    }

    pub(super) fn convert_to_single_az(
        &mut self,
        desk: &mut Desk<'_>,
        database: &Database,
    ) -> bool {
        let protects = database.standby.as_ref().is_some_and(|it| it.in_sync);
        if protects && !self.writes(database) {
            // A primary that just fell silent may be lost, and then the standby is all that is left: it goes when nobody needs it.
            return false;
        }
        self.keep_primary(desk, database);
        let Some(standby) = &database.standby else {
            // It has left the plan.
            self.rds_event(desk, rds_event::IS_SINGLE_AZ);
            self.done(desk, DbInstanceStatus::Available);
            return true;
        };
        let instance = standby.instance.clone();
        if standby.in_sync {
            desk.emit(EventKind::StandbyOutOfSync {
                db_instance: self.id.clone(),
                instance,
                why: "it is to be removed".to_owned(),
            });
            self.barrier = None;
            self.settled = desk.now;
        } else if self.waits_for_nobody(desk, database) {
            if self.conversion.removed {
                self.let_go(desk, &instance);
            } else {
                self.conversion
                    .remove
                    .issue(desk, Action::Remove { instance });
            }
        }
        true
    }

    /// Whether the primary is known to acknowledge alone; it is told to if it does not.
    fn waits_for_nobody(&mut self, desk: &mut Desk<'_>, database: &Database) -> bool {
        let Some((_, status)) = self.settled_status(desk, &database.primary) else {
            return false;
        };
        let waits = status.synchronous_standby.is_some();
        if waits {
            let action = Action::SetSynchronousStandby {
                primary: database.primary.clone(),
                standby: None,
            };
            self.synchronous.issue(desk, action);
        }
        !waits && self.synchronous.pending().is_none()
    }

    /// The host that was the standby's leaves the plan.
    fn let_go(&self, desk: &mut Desk<'_>, host: &InstanceId) {
        let mut databases = desk.plan.topology.db_instances.iter();
        let Some(mut without) = databases.find(|db| db.id == self.id).cloned() else {
            return;
        };
        without.hosts.retain(|member| member.id != *host);
        desk.emit(EventKind::TopologyEdited {
            by: "rds:ModifyDBInstance".to_owned(),
            edits: vec![Edit::PutDbInstance(Box::new(without))],
        });
    }

    /// A read replica was promoted and is a DB instance of its own: it is one once it is configured.
    pub(super) fn begin_alone(&mut self, desk: &mut Desk<'_>) -> bool {
        if self.configured {
            self.done(desk, DbInstanceStatus::Available);
        }
        false
    }
}
