//! Application instances: each is kept running, started again when it ends; after a growing pause if it did not live long.
//!
//! ```text
//!  wanted ──order──► starting ──running──► running ──exited──► wanted, at once or after a pause
//!    ▲                  │  └─ exited ──► wanted as soon as the order has ended
//!    └──── failed ──────┘
//! ```
//! That an order to start is done says nothing of how the program fares: what its host reported does.

use std::collections::BTreeMap;
use std::time::Duration;

use topologies::id::InstanceId;
use topologies::plan::InstanceKind;
use topologies::runtime::InstanceStatus;
use topologies::time::Time;

use super::action::{Action, Outcome, Ticket};
use super::bugs::Bug;
use super::desk::{Desk, Order, growing};

/// A program that ran for this long was well: when it ends it is started again at once.
const STEADY: Duration = Duration::from_secs(10);
/// The first pause after a short life; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// Pauses are no longer than this: a program that needs a database is soon back once that is.
const PAUSE_LONGEST: Duration = Duration::from_secs(5);

/// How long a program that no health check looks at has run when it is taken for started.
const PROOF: Duration = Duration::from_millis(500);
/// Decides on every application instance of the stack.
#[derive(Clone, Debug)]
pub struct AppsMachine {
    apps: BTreeMap<InstanceId, App>,
}

#[derive(Clone, Debug)]
struct App {
    order: Order,
    wanted: bool,
    /// When it was last ordered to start.
    started: Option<Time>,
    /// Lives in a row that were short.
    short_lives: u32,
    /// Since when it runs, if it does.
    since: Option<Time>,
}

impl AppsMachine {
    /// None of them runs, as far as is known.
    pub fn new(instances: impl Iterator<Item = InstanceId>) -> Self {
        let app = App {
            order: Order::default(),
            wanted: true,
            started: None,
            short_lives: 0,
            since: None,
        };
        Self {
            apps: instances.map(|id| (id, app.clone())).collect(),
        }
    }

    /// Takes in what the instance's runtime reported at `now`.
    pub fn handle_observation(
        &mut self,
        instance: &InstanceId,
        status: &InstanceStatus,
        now: Time,
    ) {
        if let Some(app) = self.apps.get_mut(instance) {
            match status {
                InstanceStatus::Exited { .. } => app.ended(now),
                InstanceStatus::Absent => {
                    app.since = None;
                    app.wanted = true;
                }
                InstanceStatus::Running { .. } => {
                    app.since.get_or_insert(now);
                    app.wanted = false;
                }
            }
        }
    }

    /// Takes in an order's outcome.
    pub fn handle_outcome(&mut self, desk: &mut Desk<'_>, ticket: Ticket, outcome: &Outcome) {
        for app in self.apps.values_mut() {
            if let Some((_, outcome)) = app.order.settle(desk, ticket, outcome) {
                if outcome != Outcome::Done {
                    app.wanted = true;
                } else if desk.planted(Bug::BelieveStarts) {
                    app.wanted = false;
                }
                app.hold_back();
            }
        }
    }

    /// Decides.
    pub fn decide(&mut self, desk: &mut Desk<'_>) {
        for (instance, app) in &mut self.apps {
            let action = Action::StartApp {
                instance: instance.clone(),
            };
            if app.wanted && app.order.issue(desk, action) {
                app.wanted = false;
                app.started = Some(desk.now);
            }
        }
    }

    /// When after `decided` to decide anew without a stimulus, and why.
    pub fn deadline(&self, decided: Time) -> Option<(Time, &'static str)> {
        let wanted = self.apps.values().filter(|app| app.wanted);
        let retries = wanted.filter_map(|app| app.order.deadline());
        let retries = retries.map(|at| (at, "retry of an instance start"));
        let starts = self.apps.values().filter_map(|app| app.since);
        let proofs = starts.map(|since| (since + PROOF, "proof of an instance start"));
        let all = retries.chain(proofs);
        all.filter(|(at, _)| *at > decided).min()
    }

    /// Whether every application instance runs. One that no health check looks at must have run for a while: a program that ends
    /// at once runs for a moment, too.
    pub fn all_run(&self, desk: &Desk<'_>) -> bool {
        let groups = &desk.plan.topology.target_groups;
        let checked = |id: &InstanceId| {
            let kind = desk.plan.instance(id).map(|instance| &instance.kind);
            let Some(InstanceKind::App(service)) = kind else {
                return false;
            };
            groups.iter().any(|group| group.service == *service)
        };
        self.apps.iter().all(|(id, app)| {
            let proven = |since: Time| checked(id) || desk.now.since(since) >= PROOF;
            app.since.is_some_and(proven)
        })
    }
}

impl App {
    fn ended(&mut self, now: Time) {
        self.since = None;
        if std::mem::replace(&mut self.wanted, true) {
            // It is told again.
            return;
        }
        self.short_lives = match self.started {
            Some(started) if now - started < STEADY => self.short_lives + 1,
            Some(_) | None => 0,
        };
        self.hold_back();
    }

    /// After short lives, the next order waits; counted from the start of the life before, for an order forgets its pause.
    fn hold_back(&mut self) {
        if let Some(started) = self.started
            && let Some(times) = self.short_lives.checked_sub(1)
        {
            let pause = growing(PAUSE_FIRST, times, PAUSE_LONGEST);
            self.order.pause_until(started + pause);
        }
    }
}
