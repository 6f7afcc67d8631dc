//! A DB instance: its primary, with Multi-AZ its synchronous standby, and the failover between them.
//!
//! An outside observer decides (aws-behaviour §1.1): hosts never elect themselves.
//! ```text
//!  creating ──configured, standby in sync──► available ──primary lost, standby in sync──► failing over
//!                                              ▲  │ standby lost: recorded out of sync,        │ fence, promote
//!                                              │  └─ then the primary may run alone            │
//!                                              ├── rejoin old primary, catch up, in sync ◄─────┤ promoted
//!                                              └── the primary is back, the standby is not ◄───┘ abandoned
//! ```
//! Three rules hold at every step, and the simulator checks them: only a standby recorded in sync is promoted; before the primary
//! may acknowledge alone, the standby is recorded out of sync; a primary that was given up is fenced before another is made.

mod conversion;
mod failover;
mod primary;
mod request;
mod standby;
mod synchronous;

use std::collections::{BTreeMap, BTreeSet};

use topologies::event::{DbInstanceStatus, EventKind};
use topologies::id::{DbInstanceId, InstanceId};
use topologies::runtime::InstanceStatus;
use topologies::time::Time;

use super::action::{Action, DbRole, Outcome, Ticket};
use super::apart::Apart;
use super::bugs::Bug;
use super::desk::{Desk, Order};
use super::host::DbHost;
use super::probe::{DbProbe, Lsn, PgStatus};
use super::rds_event;

use conversion::Conversion;
use primary::Comeback;
pub(super) use request::Errand;

/// Decides for one DB instance.
#[derive(Clone, Debug)]
pub struct DatabaseMachine {
    id: DbInstanceId,
    hosts: BTreeMap<InstanceId, DbHost>,
    configured: bool,
    configure: Order,
    synchronous: Order,
    /// The standby that commits wait for in every session: an order to have them wait was done. The primary's setting alone does not tell
    /// that it is in force.
    waited_for: Option<InstanceId>,
    promote: Order,
    demote: Order,
    /// The position that the standby must have flushed before it counts as in sync: the primary's, seen after commits began to wait.
    barrier: Option<Lsn>,
    /// When an order about whom commits wait for last ended, or the standby was last recorded out of sync.
    settled: Time,
    /// Whether this control plane decided on the failover that goes on, and has ordered nobody to be promoted or demoted yet.
    reversible: bool,
    /// The former primary that is known to be demoted.
    demoted: Option<InstanceId>,
    /// Whether the standby refused to start with the data that it has: a rewind was interrupted.
    spoilt: bool,
    /// Since when the standby's flush position has stood still, and where.
    stalled: Option<(Time, Lsn)>,
    /// The primary's position at the probe before the last: a standby that has flushed it keeps up.
    previous: Lsn,
    /// Whether a joined standby that does not stream is to be made anew.
    apart: Apart,
    /// How far the primary's return to where it stood has been told.
    comeback: Comeback,
    /// Whether the standby's way back after a failover has been told.
    recovering: bool,
    /// Servers that somebody asked to end.
    errand: Errand,
    /// Whether the primary was started by the reboot or the start that is asked for.
    restarted: bool,
    /// How far a conversion is, or a change of the password.
    conversion: Conversion,
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
            waited_for: None,
            promote: Order::default(),
            demote: Order::default(),
            barrier: None,
            settled: Time::ZERO,
            reversible: false,
            demoted: None,
            spoilt: false,
            stalled: None,
            previous: Lsn::default(),
            apart: Apart::default(),
            comeback: Comeback::None,
            recovering: false,
            errand: Errand::default(),
            restarted: false,
            conversion: Conversion::default(),
        }
    }

    /// Goes on with these hosts; it knows nothing of one that is new.
    pub fn follow(&mut self, hosts: impl Iterator<Item = InstanceId>, threshold: u32) {
        let hosts: BTreeSet<InstanceId> = hosts.collect();
        self.hosts.retain(|host, _| hosts.contains(host));
        for host in hosts {
            let known = self.hosts.entry(host);
            known.or_insert_with(|| DbHost::new(threshold));
        }
    }

    /// Whose machine it is.
    pub fn id(&self) -> &DbInstanceId {
        &self.id
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
        if let Some((action, outcome)) = self.synchronous.settle(desk, ticket, outcome) {
            self.barrier = None;
            self.settled = desk.now;
            let in_force = outcome == Outcome::Done || desk.planted(Bug::TrustFailedOrders);
            self.waited_for = action.waits_for().filter(|_| in_force).cloned();
        }
        if let Some((action, Outcome::Done)) = self.demote.settle(desk, ticket, outcome) {
            self.demoted = Some(action.instance().clone());
        }
        self.settle_errand(desk, ticket, outcome);
        self.conversion.settle(desk, ticket, outcome);
        let settled: Vec<(Action, Outcome)> = self
            .hosts
            .values_mut()
            .filter_map(|host| host.order.settle(desk, ticket, outcome))
            .collect();
        for (action, outcome) in settled {
            self.started(desk, &action, &outcome);
            self.started_on_request(desk, action.instance(), &outcome);
        }
    }

    /// Decides. Called after every stimulus and when [`DatabaseMachine::deadline`] has passed.
    pub fn decide(&mut self, desk: &mut Desk<'_>) {
        let Some(database) = desk.world().databases.get(&self.id).cloned() else {
            return;
        };
        if matches!(
            database.status,
            DbInstanceStatus::Deleting | DbInstanceStatus::Stopped
        ) {
            return;
        }
        if let Some(to) = database.failover_to.clone() {
            return self.drive_failover(desk, &database, &to);
        }
        if let Some(request) = database.requested
            && self.serve(desk, &database, request)
        {
            return;
        }
        if self.should_fail_over(desk, &database) {
            return self.start_failover(desk, &database, None);
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
            .chain(self.errand.deadline())
            .chain(self.conversion.deadline())
            .min()
            .map(|at| (at, "retry of a database order"))
    }

    fn started(&mut self, desk: &mut Desk<'_>, action: &Action, outcome: &Outcome) {
        if *outcome != Outcome::Done {
            let start = matches!(
                action,
                Action::StartDatabase {
                    role: DbRole::Standby { .. },
                    ..
                }
            );
            let refused = start && matches!(outcome, Outcome::Refused(_));
            self.spoilt |= refused && !desk.planted(Bug::RestartTornData);
            return;
        }
        if matches!(
            action,
            Action::StartDatabase {
                role: DbRole::Primary { .. },
                ..
            }
        ) {
            self.tell_activation(desk);
        }
        let Some(host) = self.hosts.get_mut(action.instance()) else {
            return;
        };
        self.spoilt = false;
        host.began(action, desk.now);
        let world = desk.world().databases.get(&self.id);
        let standby = world
            .and_then(|db| db.standby.as_ref())
            .map(|standby| standby.instance.clone());
        if standby.as_ref() == Some(action.instance()) && matches!(action, Action::Rejoin { .. }) {
            self.apart.begin();
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

    /// The host's own account, if it answers.
    fn status(&self, instance: &InstanceId) -> Option<&PgStatus> {
        let host = self.hosts.get(instance)?;
        host.status
            .as_ref()
            .filter(|_| host.liveness.well())
            .map(|(_, status)| status)
    }

    fn rds_event(&self, desk: &mut Desk<'_>, published: (u16, &str)) {
        desk.emit(rds_event::of(&self.id, published));
    }
}
