//! Application instances: each is kept running, started again when it ends; after a growing pause if it did not live long.
//!
//! ```text
//!  wanted ──order──► starting ──running──► running ──exited──► wanted, at once or after a pause
//!    ▲                  │  └─ exited ──► wanted as soon as the order has ended
//!    └──── failed ──────┘
//! ```
//! That an order to start is done says nothing of how the program fares: what its host reported does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use topologies::id::InstanceId;
use topologies::runtime::InstanceStatus;
use topologies::time::Time;
use topologies::world::Wanted;

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
#[derive(Clone, Debug, Default)]
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
    /// Goes on with these instances; none that is new runs, as far as is known.
    pub fn follow(&mut self, instances: impl Iterator<Item = InstanceId>) {
        let instances: BTreeSet<InstanceId> = instances.collect();
        self.apps.retain(|id, _| instances.contains(id));
        for id in instances {
            self.apps.entry(id).or_insert_with(App::new);
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
            if let Some((action, outcome)) = app.order.settle(desk, ticket, outcome) {
                if let Action::Stop { .. } = action {
                    app.stopped(&outcome);
                    continue;
                }
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
        for (id, app) in &mut self.apps {
            let asked = desk.world().instances.get(id).map(|state| state.wanted);
            let instance = id.clone();
            match asked {
                Some(Wanted::Running) if app.wanted => {
                    if app.order.issue(desk, Action::StartApp { instance }) {
                        app.wanted = false;
                        app.started = Some(desk.now);
                    }
                }
                Some(Wanted::Stopped) if app.since.is_some() => {
                    app.order.issue(desk, Action::Stop { instance });
                }
                Some(Wanted::Running | Wanted::Stopped | Wanted::Terminated) | None => {}
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
        let checked = |id: &InstanceId| groups.iter().any(|group| group.targets.contains(id));
        let asked = |id: &InstanceId| desk.world().instances.get(id).map(|state| state.wanted);
        let mut wanted = self
            .apps
            .iter()
            .filter(|(id, _)| asked(id) == Some(Wanted::Running));
        wanted.all(|(id, app)| {
            let proven = |since: Time| checked(id) || desk.now.since(since) >= PROOF;
            app.since.is_some_and(proven)
        })
    }
}

impl App {
    fn new() -> Self {
        Self {
            order: Order::default(),
            wanted: true,
            started: None,
            short_lives: 0,
            since: None,
        }
    }

    /// An instance that was stopped on purpose starts at once when that is asked for.
    fn stopped(&mut self, outcome: &Outcome) {
        if *outcome == Outcome::Done {
            *self = Self::new();
        }
    }

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
