//! Has CloudWatch's alarms evaluated when it is time, and what is found recorded.
//!
//! One task. Without alarms it waits for one; with alarms it wakes once a minute, or once a second for periods of seconds, and when one
//! is put. While states stay as they are nothing is recorded. It ends with the driver.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use super::cloudwatch::{Found, Watch, found};
use super::gateway::now;
use super::session::Issuer;
use super::view::Facts;
use crate::stack::{Request, Stack};

/// Evaluates the alarms of a stack.
pub struct Evaluator {
    stack: Stack,
    facts: Facts,
}

/// The driver is gone.
struct Gone;

impl Evaluator {
    /// For a stack.
    pub fn new(stack: Stack) -> Self {
        // Nobody is given credentials by an alarm.
        let facts = Facts::of(&stack, now(), Issuer::new([0; 32]));
        Self { stack, facts }
    }

    /// Works until the driver is gone.
    pub async fn run(self) {
        let mut changes = self.stack.world.clone();
        let mut watch = Watch::new(self.stack.clock.now());
        loop {
            let world = changes.borrow_and_update().clone();
            let wait = watch.due(&world, now()).map(|at| at - now());
            if wait.is_some_and(|wait| wait <= 0) {
                let all = watch.evaluate(&world, &self.facts, now());
                if !all.is_empty() && self.record(all).await.is_err() {
                    return;
                }
                continue;
            }
            let due = async {
                match wait.and_then(|wait| u64::try_from(wait).ok()) {
                    Some(wait) => tokio::time::sleep(Duration::from_millis(wait)).await,
                    None => std::future::pending().await,
                }
            };
            // Both branches only wait.
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    return;
                },
                () = due => {}
            }
        }
    }

    /// Has the driver record what was found, as far as it is still so.
    async fn record(&self, all: Vec<Found>) -> Result<(), Gone> {
        let (answer, answered) = oneshot::channel();
        let decide = Box::new(move |world: &_, _| {
            let still = all.into_iter().filter(|it| it.holds(world));
            let still = still.map(|it| (it.region, it.alarm, it.finding));
            Ok((Value::Null, found(world, still)))
        });
        let sent = self.stack.requests.send(Request::Call { decide, answer });
        sent.await.map_err(|_| Gone)?;
        if let Err(fault) = answered.await.map_err(|_| Gone)? {
            tracing::error!(code = %fault.code, fault.message, "alarms' states were not recorded");
        }
        Ok(())
    }
}
