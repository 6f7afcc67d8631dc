//! The standby: its making, its restarts, and the way back of a primary that was given up.

use topologies::event::{DbInstanceStatus, DbRequest};
use topologies::id::InstanceId;
use topologies::world::Database;

use super::DatabaseMachine;
use crate::control::action::{Action, DbRole, Means};
use crate::control::apart::Line;
use crate::control::bugs::Bug;
use crate::control::desk::Desk;
use crate::control::rds_event;

impl DatabaseMachine {
    /// Makes the other host a standby of the primary and keeps it one.
    pub(super) fn keep_standby(&mut self, desk: &mut Desk<'_>, database: &Database) {
        let Some(standby) = &database.standby else {
            return;
        };
        let instance = standby.instance.clone();
        let primary_answers = self
            .status(&database.primary)
            .is_some_and(|status| !status.in_recovery);
        let streamed_to = self.status(&database.primary).is_some_and(|status| {
            let mut peers = status.peers.iter();
            peers.any(|peer| peer.application_name == instance.as_str() && peer.streaming)
        });
        let line = self.line(desk, database, &instance);
        let anew = match line {
            Some(line) => self.apart.due(line, desk),
            None => {
                self.apart.begin();
                false
            }
        };
        let Some(host) = self.hosts.get_mut(&instance) else {
            return;
        };
        if line == Some(Line::Streams) {
            host.streams();
        }
        // One that is new has nothing that could be rewound, and nothing to be recovered from.
        let new = database.requested == Some(DbRequest::ConvertToMultiAz);
        let by = if new {
            Means::Copy
        } else {
            host.means(desk.now)
        };
        let rejoin = |desk: &Desk<'_>| rejoin(desk, &instance, &database.primary, by);
        if database.status == DbInstanceStatus::Creating && !host.started {
            let role = DbRole::Standby {
                of: database.primary.clone(),
            };
            host.issue(desk, Action::StartDatabase { instance, role });
        } else if !standby.joined && database.status != DbInstanceStatus::Creating {
            if self.keep_demoted(desk, &instance) && primary_answers {
                if !std::mem::replace(&mut self.recovering, true)
                    && !new
                    && !desk.planted(Bug::ForgetToTellOfRecovery)
                {
                    self.rds_event(desk, rds_event::STANDBY_RECOVERY_STARTED);
                }
                self.start(desk, rejoin(desk));
            }
        } else if (self.spoilt || host.lame(desk.now, streamed_to))
            && primary_answers
            && !standby.in_sync
        {
            host.issue(desk, rejoin(desk));
        } else if host.liveness.lost().is_some() {
            let role = DbRole::Standby {
                of: database.primary.clone(),
            };
            host.issue(desk, Action::StartDatabase { instance, role });
        } else if anew && !standby.in_sync && host.issue(desk, rejoin(desk)) {
            self.apart.tried();
        }
    }

    /// How the standby stands to its primary, if both answer.
    fn line(
        &mut self,
        desk: &Desk<'_>,
        database: &Database,
        instance: &InstanceId,
    ) -> Option<Line> {
        let primary = self.status(&database.primary)?;
        let status = self.status(instance)?.clone();
        let timeline = primary.timeline;
        let sends = primary
            .peers
            .iter()
            .any(|peer| peer.application_name == instance.as_str() && peer.streaming);
        if primary.in_recovery {
            return None;
        }
        let from = desk.replication_address(instance, &database.primary);
        let receiver = status.receiver.as_ref();
        let receives =
            receiver.is_some_and(|it| it.streaming && Some(&it.sender_host) == from.as_ref());
        let line = self.apart.judge(&status, receives, database);
        let in_line = status.in_recovery && status.timeline >= timeline;
        Some(if sends && in_line {
            Line::Streams
        } else {
            line
        })
    }

    fn start(&mut self, desk: &mut Desk<'_>, action: Action) {
        if let Some(host) = self.hosts.get_mut(action.instance()) {
            host.issue(desk, action);
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
