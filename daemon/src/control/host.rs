//! A database host as the control plane knows it: its liveness, its own account, and the order to start it.

use std::time::Duration;

use topologies::event::EventKind;
use topologies::id::InstanceId;
use topologies::runtime::InstanceStatus;
use topologies::time::Time;
use topologies::world::StackPhase;

use super::action::{Action, Means};
use super::desk::{Desk, Order};
use super::hung::Hung;
use super::liveness::{Life, Liveness, Loss, Sign};
use super::probe::{DbProbe, PgStatus};

/// What is known of a host.
#[derive(Clone, Debug)]
pub(super) struct DbHost {
    pub(super) liveness: Liveness,
    /// Its last account, from a probe sent after it was last started, and when that was sent.
    pub(super) status: Option<(Time, PgStatus)>,
    /// The order to start, rejoin or re-point it.
    pub(super) order: Order,
    /// Whether an order of this control plane to start it was carried out.
    pub(super) started: bool,
    /// Since when it has been there without accepting sessions.
    starting: Option<Time>,
    /// Whether it was rejoined and has not streamed since.
    rejoined: bool,
    hung: Hung,
}

/// A follower that is there and accepts no sessions for this long waits for log that its source no longer has, or can not apply what
/// it got: a recovery after a crash is over sooner by far.
const NEVER_CONSISTENT: Duration = Duration::from_secs(30);

impl DbHost {
    pub(super) fn new(threshold: u32) -> Self {
        Self {
            liveness: Liveness::new(threshold),
            status: None,
            order: Order::default(),
            started: false,
            starting: None,
            rejoined: false,
            hung: Hung::default(),
        }
    }

    /// An order to start or to rejoin it was carried out: what was seen of it before does not count. A start finds the same data
    /// again, and a server that runs already.
    pub(super) fn began(&mut self, action: &Action, now: Time) {
        self.started = true;
        self.liveness.forget(now);
        self.status = None;
        if let Action::Rejoin { .. } = action {
            self.starting = None;
            self.rejoined = true;
            self.hung.tried();
        }
    }

    /// It streams from its source: its data are in line.
    pub(super) fn streams(&mut self) {
        self.rejoined = false;
    }

    /// How to bring its data in line. To a rewind a follower of the source's own timeline has nothing amiss, even if the source
    /// lacks log that it needs: what did not help once does not help the next time.
    pub(super) fn means(&self, now: Time) -> Means {
        // One that hangs has nothing amiss with its data, however often.
        if self.stuck(now) || (self.rejoined && !self.hung.due(now)) {
            Means::Copy
        } else {
            Means::Rewind
        }
    }

    /// Whether it has been starting for so long that it never will have started.
    pub(super) fn stuck(&self, now: Time) -> bool {
        self.starting
            .is_some_and(|since| now - since > NEVER_CONSISTENT)
    }

    /// Whether it, a follower, is to be made anew where it stands: it never will have started, or hangs. One that its source streams to
    /// does not hang: it is the way to it that is slow.
    pub(super) fn lame(&self, now: Time, streamed_to: bool) -> bool {
        self.stuck(now) || (self.hung.due(now) && !streamed_to)
    }

    pub(super) fn observe(
        &mut self,
        desk: &mut Desk<'_>,
        instance: &InstanceId,
        status: &InstanceStatus,
    ) {
        if let InstanceStatus::Exited { .. } = status {
            // A process that an order under way stops on purpose is not lost.
            let change = self.liveness.take(Sign::Exited, desk.now);
            announce(desk, instance, change);
        }
    }

    pub(super) fn probed(
        &mut self,
        desk: &mut Desk<'_>,
        instance: &InstanceId,
        sent: Time,
        probe: &DbProbe,
    ) {
        let sign = match probe {
            DbProbe::Answered(_) => Sign::Answered,
            DbProbe::Refused => Sign::Refused,
            DbProbe::TimedOut => Sign::Silent,
            DbProbe::NoAnswer | DbProbe::Starting | DbProbe::Failed(_) => Sign::Mute,
        };
        match probe {
            DbProbe::Starting => {
                self.starting.get_or_insert(sent);
            }
            // It may still be starting.
            DbProbe::TimedOut | DbProbe::NoAnswer => {}
            DbProbe::Answered(_) | DbProbe::Refused | DbProbe::Failed(_) => self.starting = None,
        }
        match probe {
            DbProbe::NoAnswer => self.hung.mute(sent),
            DbProbe::TimedOut | DbProbe::Refused => self.hung.unreached(),
            DbProbe::Answered(_) | DbProbe::Starting | DbProbe::Failed(_) => self.hung.spoke(),
        }
        let change = self.liveness.take(sign, sent);
        if let DbProbe::Answered(status) = probe
            && self.liveness.well()
        {
            self.status = Some((sent, status.clone()));
        }
        announce(desk, instance, change);
    }

    /// Orders it to start, to follow or to rejoin unless an order is under way; says whether it did.
    pub(super) fn issue(&mut self, desk: &mut Desk<'_>, action: Action) -> bool {
        if matches!(action, Action::Rejoin { .. }) && self.hung.due(desk.now) {
            return self.order.issue_for_hung(desk, action);
        }
        self.order.issue(desk, action)
    }
}

/// Records that a host was found or lost.
pub(super) fn announce(desk: &mut Desk<'_>, instance: &InstanceId, change: Option<Life>) {
    let world = desk.world();
    let state = world.instances.get(instance);
    let known = state.and_then(|state| state.reachable);
    // Who ran for the last control plane and was never heard by this one is not on its way.
    let unheard = known.is_none() && world.phase == StackPhase::Resuming;
    match change {
        Some(Life::Alive) if known != Some(true) => {
            desk.emit(EventKind::HostReachable {
                instance: instance.clone(),
            });
        }
        Some(Life::Lost(loss)) if known == Some(true) || unheard && loss != Loss::Exited => {
            let why = loss.as_str().to_owned();
            desk.emit(EventKind::HostUnreachable {
                instance: instance.clone(),
                why,
            });
        }
        Some(Life::Alive | Life::Lost(_) | Life::Unknown) | None => {}
    }
}
