//! Application instances: each is kept running, started again with a growing pause when it ends.

use std::collections::BTreeMap;

use topologies::id::InstanceId;
use topologies::runtime::InstanceStatus;
use topologies::time::Time;

use super::action::{Action, Outcome, Ticket};
use super::desk::{Desk, Order};

/// Decides on every application instance of the stack.
#[derive(Clone, Debug)]
pub struct AppsMachine {
    apps: BTreeMap<InstanceId, App>,
}

#[derive(Clone, Debug, Default)]
struct App {
    order: Order,
    wanted: bool,
}

impl AppsMachine {
    /// None of them runs, as far as is known.
    pub fn new(instances: impl Iterator<Item = InstanceId>) -> Self {
        let app = App {
            order: Order::default(),
            wanted: true,
        };
        Self {
            apps: instances.map(|id| (id, app.clone())).collect(),
        }
    }

    /// Takes in what the instance's runtime reported.
    pub fn handle_observation(&mut self, instance: &InstanceId, status: &InstanceStatus) {
        if let Some(app) = self.apps.get_mut(instance) {
            match status {
                InstanceStatus::Exited { .. } | InstanceStatus::Absent => app.wanted = true,
                InstanceStatus::Running { .. } => app.wanted = false,
            }
        }
    }

    /// Takes in an order's outcome.
    pub fn handle_outcome(&mut self, desk: &mut Desk<'_>, ticket: Ticket, outcome: &Outcome) {
        for app in self.apps.values_mut() {
            if let Some((_, outcome)) = app.order.settle(desk, ticket, outcome) {
                app.wanted = outcome != Outcome::Done;
            }
        }
    }

    /// Decides.
    pub fn decide(&mut self, desk: &mut Desk<'_>) {
        for (instance, app) in &mut self.apps {
            if app.wanted {
                app.order.issue(
                    desk,
                    Action::StartApp {
                        instance: instance.clone(),
                    },
                );
            }
        }
    }

    /// When to decide anew without a stimulus, and why.
    pub fn deadline(&self) -> Option<(Time, &'static str)> {
        let retries = self.apps.values().filter_map(|app| app.order.deadline());
        retries.min().map(|at| (at, "retry of an instance start"))
    }
}
