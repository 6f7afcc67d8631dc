//! The primary: its making, and its return to where it stood when no standby may take its place.

use topologies::event::DbInstanceStatus;
use topologies::world::{Database, StackPhase};

use super::DatabaseMachine;
use super::request::start_primary;
use crate::control::action::Action;
use crate::control::desk::Desk;
use crate::control::liveness::Loss;
use crate::control::rds_event;

/// How far a primary's return to where it stood has been told (aws-behaviour §1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comeback {
    /// There is none.
    None,
    /// It alone was lost, and is started again: shut down, then restarted.
    Restart,
    /// Both copies were lost: a recovery has begun, which ends when one of them takes orders again.
    Recovery,
    /// The primary takes orders again: it is being activated in the zone where it stood.
    Activation,
}

impl DatabaseMachine {
    /// Starts the primary where it stands: at creation, and when it was lost and no standby may take over.
    pub(super) fn keep_primary(&mut self, desk: &mut Desk<'_>, database: &Database) {
        let creating = database.status == DbInstanceStatus::Creating;
        let Some(host) = self.hosts.get_mut(&database.primary) else {
            return;
        };
        let lost = host.liveness.lost();
        let silent = matches!(lost, Some(Loss::Silent | Loss::Mute));
        let unconfigured = silent && creating && host.started && !self.configured;
        if (lost.is_some() && !unconfigured) || (creating && !host.started) {
            if lost.is_some() && !creating {
                self.tell_loss(desk, database);
            }
            let Some(host) = self.hosts.get_mut(&database.primary) else {
                return;
            };
            host.issue(desk, start_primary(database));
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
            self.tell_return(desk);
        }
    }

    fn tell_loss(&mut self, desk: &mut Desk<'_>, database: &Database) {
        // A stack that comes up after it was taken down has lost nothing.
        let up = desk.world().phase != StackPhase::Creating;
        if self.comeback != Comeback::None || !up || database.status != DbInstanceStatus::Available
        {
            return;
        }
        let standby = database.standby.as_ref();
        let standby = standby.and_then(|standby| self.hosts.get(&standby.instance));
        let both = standby.is_some_and(|host| host.liveness.lost().is_some());
        let (comeback, event) = if both {
            (Comeback::Recovery, rds_event::RECOVERY_STARTED)
        } else {
            (Comeback::Restart, rds_event::SHUTDOWN)
        };
        self.comeback = comeback;
        self.rds_event(desk, event);
    }

    /// The primary takes orders again.
    pub(super) fn tell_activation(&mut self, desk: &mut Desk<'_>) {
        if self.comeback == Comeback::Recovery {
            self.comeback = Comeback::Activation;
            self.rds_event(desk, rds_event::RECOVERY_COMPLETED);
            self.rds_event(desk, rds_event::ACTIVATION_STARTED);
        }
    }

    /// The standby takes orders again before the primary does, and takes its place.
    pub(super) fn tell_failover_instead(&mut self, desk: &mut Desk<'_>) {
        if std::mem::replace(&mut self.comeback, Comeback::None) == Comeback::Recovery {
            self.rds_event(desk, rds_event::RECOVERY_COMPLETED);
        }
    }

    /// The primary answers again.
    fn tell_return(&mut self, desk: &mut Desk<'_>) {
        // It answers without having been started: a network that carries again.
        self.tell_activation(desk);
        match std::mem::replace(&mut self.comeback, Comeback::None) {
            Comeback::Restart => self.rds_event(desk, rds_event::RESTARTED),
            Comeback::Activation => self.rds_event(desk, rds_event::ACTIVATION_COMPLETED),
            Comeback::None | Comeback::Recovery => {}
        }
    }
}
