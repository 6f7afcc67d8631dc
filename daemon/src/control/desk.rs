//! What a machine works with: the plan, the present moment, the world, and a tray for events and orders.
//!
//! An event is applied to the world the moment it is emitted, so a machine always decides on the world as it is. An order
//! leaves with a ticket; [`Order`] remembers it, drops late outcomes and spaces retries.

use std::collections::VecDeque;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use topologies::event::{Event, EventKind};
use topologies::id::InstanceId;
use topologies::plan::Plan;
use topologies::time::Time;
use topologies::world::World;

use super::action::{Action, Outcome, Ticket};
use super::bugs::Bug;

/// The first retry of a failed order comes after this time; each further one after twice the time before.
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// A start that failed this many times in a row is told once more: after some five seconds it looks hopeless.
pub const REPEATED: u32 = 6;
/// Retries come at least this often.
const RETRY_SLOWEST: Duration = Duration::from_secs(2);

/// A machine's desk for the length of one stimulus.
pub struct Desk<'a> {
    /// What was planned.
    pub plan: &'a Plan,
    /// Now.
    pub now: Time,
    /// The world; changed by [`Desk::emit`] only.
    world: &'a mut World,
    events: &'a mut VecDeque<Event>,
    actions: &'a mut VecDeque<(Ticket, Action)>,
    next_ticket: &'a mut u64,
    rng: &'a mut ChaCha8Rng,
    bug: Option<Bug>,
}

/// The parts of control that a desk lends to a machine.
pub(super) struct Trays {
    pub(super) world: World,
    pub(super) events: VecDeque<Event>,
    pub(super) actions: VecDeque<(Ticket, Action)>,
    pub(super) next_ticket: u64,
    pub(super) rng: ChaCha8Rng,
    pub(super) bug: Option<Bug>,
}

impl Trays {
    pub(super) fn desk<'a>(&'a mut self, plan: &'a Plan, now: Time) -> Desk<'a> {
        Desk {
            plan,
            now,
            world: &mut self.world,
            events: &mut self.events,
            actions: &mut self.actions,
            next_ticket: &mut self.next_ticket,
            rng: &mut self.rng,
            bug: self.bug,
        }
    }
}

impl Desk<'_> {
    /// The world as it is.
    pub fn world(&self) -> &World {
        self.world
    }

    /// Records that something happened.
    pub fn emit(&mut self, kind: EventKind) {
        let event = Event {
            seq: self.world.seq + 1,
            at: self.now,
            event: kind,
        };
        self.world.apply(&event);
        self.events.push_back(event);
    }

    /// Draws a duration between two bounds.
    pub fn draw(&mut self, (shortest, longest): (Duration, Duration)) -> Duration {
        let span = longest.saturating_sub(shortest).as_secs_f64();
        shortest + Duration::from_secs_f64(span * self.rng.random::<f64>())
    }

    /// Whether this fault is planted in the control logic: never, but in the simulator's tests of itself.
    pub fn planted(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// The address of `host` at which `from` replicates it.
    pub fn replication_address(&self, from: &InstanceId, host: &InstanceId) -> Option<String> {
        let zone = self.plan.instance(from)?.address.zone;
        let address = self.plan.instance(host)?.address;
        Some(address.replication(zone).to_string())
    }

    fn order(&mut self, action: Action) -> Ticket {
        *self.next_ticket += 1;
        let ticket = Ticket(*self.next_ticket);
        self.actions.push_back((ticket, action));
        ticket
    }
}

/// At most one order of a kind under way, retried after a growing pause when it fails.
#[derive(Clone, Debug, Default)]
pub struct Order {
    pending: Option<(Ticket, Action)>,
    not_before: Time,
    failures: u32,
    /// Whether somebody asked for the pause.
    paused: bool,
}

impl Order {
    /// Whether an order is under way.
    pub fn pending(&self) -> Option<&Action> {
        self.pending.as_ref().map(|(_, action)| action)
    }

    /// Issues the order unless one is under way or the pause after a failure lasts; says whether it did.
    pub fn issue(&mut self, desk: &mut Desk<'_>, action: Action) -> bool {
        if self.pending.is_some() || desk.now < self.not_before {
            return false;
        }
        let ticket = desk.order(action.clone());
        self.pending = Some((ticket, action));
        self.paused = false;
        true
    }

    /// The same for one that ends a server which hangs, and tells of that: once, however often the order has to be repeated.
    pub fn issue_for_hung(&mut self, desk: &mut Desk<'_>, action: Action) -> bool {
        let (again, instance) = (self.failed(), action.instance().clone());
        let issued = self.issue(desk, action);
        if issued && !again {
            desk.emit(EventKind::HostHangs { instance });
        }
        issued
    }

    /// Takes the outcome if its ticket is the one under way; an outcome of an older order is dropped.
    pub fn settle(
        &mut self,
        desk: &mut Desk<'_>,
        ticket: Ticket,
        outcome: &Outcome,
    ) -> Option<(Action, Outcome)> {
        if self
            .pending
            .as_ref()
            .is_none_or(|(pending, _)| *pending != ticket)
        {
            return None;
        }
        let (_, action) = self.pending.take()?;
        if let Outcome::Failed(why) | Outcome::Refused(why) = outcome {
            let pause = growing(RETRY_FIRST, self.failures, RETRY_SLOWEST);
            self.failures += 1;
            // A zone without power refuses every retry alike: one line tells it.
            let hopeless = self.failures == REPEATED && action.is_start();
            if self.failures == 1 || hopeless {
                desk.emit(EventKind::ActionFailed {
                    action: action.to_string(),
                    why: why.clone(),
                    times: self.failures,
                });
            }
            let pause = if desk.planted(Bug::NeverRetry) {
                Duration::MAX
            } else {
                pause
            };
            self.not_before = desk.now + pause;
        } else {
            self.failures = 0;
            // A pause that was asked for meanwhile still holds.
            self.not_before = self.not_before.max(desk.now);
        }
        Some((action, outcome.clone()))
    }

    /// Forgets the order under way: its outcome will be dropped.
    pub fn abandon(&mut self) {
        *self = Self::default();
    }

    /// Nothing is issued before `time`.
    pub fn pause_until(&mut self, time: Time) {
        self.not_before = self.not_before.max(time);
        self.paused = true;
    }

    /// Whether the last one failed.
    pub fn failed(&self) -> bool {
        self.failures > 0
    }

    /// When an order becomes possible again; none while one is under way or nothing holds it back.
    pub fn deadline(&self) -> Option<Time> {
        let held_back = self.failures > 0 || self.paused;
        (self.pending.is_none() && held_back).then_some(self.not_before)
    }
}

/// A pause that doubles with every time before, up to `slowest`.
pub(super) fn growing(first: Duration, times: u32, slowest: Duration) -> Duration {
    first.saturating_mul(1 << times.min(8)).min(slowest)
}
