//! Whom commits wait for: the standby while it keeps up, nobody while it does not, and never without a record of it.
//!
//! The record comes before the setting when commits stop waiting, and after the standby has caught up when they begin. That they wait
//! is known from an order that was done: one that failed may have changed the setting, and nobody knows when it comes into force.

use std::time::Duration;

use topologies::event::{DbInstanceStatus, DbRequest, EventKind};
use topologies::id::InstanceId;
use topologies::time::Time;
use topologies::world::Database;

use super::DatabaseMachine;
use crate::control::action::Action;
use crate::control::bugs::Bug;
use crate::control::desk::Desk;
use crate::control::probe::PgStatus;
use crate::control::rds_event;

/// A standby whose flush position stands still for this long while the primary's is ahead holds commits up: it is declared lost.
const STALL: Duration = Duration::from_millis(1_000);

impl DatabaseMachine {
    /// Has commits wait for a standby that keeps up, and for none that does not.
    pub(super) fn keep_synchronous(&mut self, desk: &mut Desk<'_>) {
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
        let waits = status.synchronous_standby.as_ref() == Some(instance);
        let trouble = match self.trouble(asked, &status, instance) {
            // Nobody told this machine: the setting was changed behind its back. What is acknowledged now may be missing from the
            // standby, which must not be promoted until it was made to wait for and has caught up again.
            None if standby.in_sync && !waits => Some("the primary does not wait for it any more"),
            trouble => trouble,
        };
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
            if status.synchronous_standby.is_some() && !desk.planted(Bug::NeverRunAlone) {
                let action = Action::SetSynchronousStandby {
                    primary: database.primary.clone(),
                    standby: None,
                };
                self.synchronous.issue(desk, action);
            }
            return;
        }
        // One that only its primary hears would be given up again as soon as that is noticed.
        let host = self.hosts.get(instance);
        let heard = host.is_some_and(|host| host.liveness.alive());
        if self.synchronous.pending().is_some() || standby.in_sync || !heard {
            return;
        }
        if !waits || self.waited_for.as_ref() != Some(instance) {
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
            let new = database.status == DbInstanceStatus::Creating
                || database.requested == Some(DbRequest::ConvertToMultiAz);
            if !new {
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
        if status.synchronous_standby.is_none() {
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

    fn keeps_up(&self, status: &PgStatus, standby: &InstanceId) -> bool {
        let peer = status
            .peers
            .iter()
            .find(|peer| peer.application_name == standby.as_str());
        peer.is_some_and(|peer| peer.streaming && peer.flush_lsn >= self.previous)
    }

    /// The primary's own account if it was asked for after whom commits wait for was last ordered or judged: what was asked for
    /// before may show a setting, or a stream, that is no more.
    pub(super) fn settled_status(
        &self,
        desk: &Desk<'_>,
        primary: &InstanceId,
    ) -> Option<(Time, &PgStatus)> {
        let asked = self.hosts.get(primary)?.status.as_ref()?.0;
        let settled = asked >= self.settled || desk.planted(Bug::BelieveOldAccounts);
        self.status(primary)
            .filter(|status| settled && !status.in_recovery)
            .map(|status| (asked, status))
    }
}
