//! The standby: its making, its restarts, and the way back of a primary that was given up.

use std::time::Duration;

use topologies::event::DbInstanceStatus;
use topologies::id::InstanceId;
use topologies::world::Database;

use super::{DatabaseMachine, rds_event};
use crate::control::action::{Action, DbRole, Means};
use crate::control::bugs::Bug;
use crate::control::desk::Desk;
use crate::control::probe::PgStatus;

/// A joined standby that does not stream for this long is made anew: its history may have parted from the primary's.
const NOT_STREAMING: Duration = Duration::from_secs(4);

impl DatabaseMachine {
    /// Makes the other host a standby of the primary and keeps it one.
    pub(super) fn keep_standby(&mut self, desk: &mut Desk<'_>, database: &Database) {
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
        if streams {
            host.streams();
        }
        let by = host.means(desk.now);
        let rejoin = |desk: &Desk<'_>| rejoin(desk, &instance, &database.primary, by);
        if database.status == DbInstanceStatus::Creating && !host.started {
            let role = DbRole::Standby {
                of: database.primary.clone(),
            };
            host.start(desk, Action::StartDatabase { instance, role });
        } else if !standby.joined && database.status != DbInstanceStatus::Creating {
            if self.keep_demoted(desk, &instance) && primary_answers {
                if !std::mem::replace(&mut self.recovering, true)
                    && !desk.planted(Bug::ForgetToTellOfRecovery)
                {
                    self.rds_event(desk, rds_event::STANDBY_RECOVERY_STARTED);
                }
                self.start(desk, rejoin(desk));
            }
        } else if (self.spoilt || host.stuck(desk.now)) && primary_answers && !standby.in_sync {
            host.start(desk, rejoin(desk));
        } else if host.liveness.lost().is_some() {
            let role = DbRole::Standby {
                of: database.primary.clone(),
            };
            host.start(desk, Action::StartDatabase { instance, role });
        } else if apart_for_long && host.liveness.alive() && !standby.in_sync {
            self.apart = None;
            host.start(desk, rejoin(desk));
        }
    }

    /// Whether the primary sends to the standby what it writes. One whose log parted from the primary's streams again and again up to
    /// where they part, on its own timeline.
    fn streaming(&self, database: &Database, standby: &InstanceId) -> bool {
        let Some(primary) = self.status(&database.primary) else {
            return false;
        };
        let mut peers = primary.peers.iter();
        let streams = peers.any(|peer| peer.application_name == standby.as_str() && peer.streaming);
        let in_line = |status: &PgStatus| status.timeline >= primary.timeline;
        streams && self.status(standby).is_none_or(in_line)
    }

    fn start(&mut self, desk: &mut Desk<'_>, action: Action) {
        if let Some(host) = self.hosts.get_mut(action.instance()) {
            host.start(desk, action);
        }
    }
}

fn rejoin(desk: &Desk<'_>, instance: &InstanceId, source: &InstanceId, by: Means) -> Action {
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
        by,
    }
}
