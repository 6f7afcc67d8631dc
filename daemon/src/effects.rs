//! Performs orders: one task each, bounded in time, orders for one instance in the order in which they were given. The outcome
//! goes back to Control with the order's ticket.

mod cache;
mod database;
mod failure;
mod orders;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use topologies::id::InstanceId;
use topologies::plan::Plan;
use topologies::runtime::Runtime;

use crate::apps::Apps;
use crate::control::Stimulus;
use crate::control::action::{Action, Outcome, Ticket};
use crate::estate::Estates;
use failure::Failure;
use orders::Performer;

/// Orders that may wait for an instance's turn.
const QUEUE: usize = 16;
/// The longest that a promotion waits until the old primary is fenced on every core of the data plane; it is tried again then.
const FENCE_LIMIT: Duration = Duration::from_secs(2);
/// The longest that any order may take: a fresh copy of a large database.
const ORDER_LIMIT: Duration = Duration::from_secs(1_900);

/// Performs orders.
pub struct Effects {
    /// One queue for each instance: orders for one are performed one after the other, as they were given.
    queues: BTreeMap<InstanceId, mpsc::Sender<Order>>,
    outcomes: mpsc::Sender<Stimulus>,
    tasks: TaskTracker,
    cancelled: CancellationToken,
    performer: Arc<Performer>,
}

/// Resolves once every core of the data plane serves the routes that were published last.
pub type Fence = futures_util::future::Shared<BoxFuture<'static, ()>>;

/// An order, and the fence that has to be in force before it may promote anybody.
struct Order {
    ticket: Ticket,
    action: Action,
    fence: Fence,
}

impl Effects {
    /// Performs orders until `cancelled`; outcomes go to `outcomes`. One task for each instance.
    pub fn start(
        estates: &Estates,
        runtime: Arc<dyn Runtime>,
        apps: Apps,
        outcomes: mpsc::Sender<Stimulus>,
        cancelled: CancellationToken,
    ) -> Self {
        let performer = Performer::new(estates, runtime, apps);
        let plan = Arc::clone(&performer.estate().plan);
        let mut effects = Self {
            performer: Arc::new(performer),
            cancelled,
            queues: BTreeMap::new(),
            outcomes,
            tasks: TaskTracker::new(),
        };
        effects.follow(&plan);
        effects
    }

    /// Takes orders for the instances of this plan. Those that were given for others are still performed.
    pub fn follow(&mut self, plan: &Plan) {
        self.queues.retain(|id, _| plan.instance(id).is_some());
        for instance in &plan.instances {
            let performer = &self.performer;
            let (tasks, cancelled) = (&self.tasks, &self.cancelled);
            let outcomes = &self.outcomes;
            self.queues.entry(instance.id.clone()).or_insert_with(|| {
                let (queue, orders) = mpsc::channel(QUEUE);
                let orders = perform_in_turn(Arc::clone(performer), orders, outcomes.clone());
                let cancelled = cancelled.clone();
                tasks.spawn(async move { cancelled.run_until_cancelled(orders).await });
                queue
            });
        }
    }

    /// Watches a fence to its end, so that it comes into force and is logged whether or not an order waits for it.
    pub fn watch(&self, fence: Fence) {
        self.tasks.spawn(fence);
    }

    /// Takes an order; its outcome comes later. A promotion waits for `fence`: the primary that is given up must not be able to
    /// acknowledge anything any more.
    pub fn perform(&self, ticket: Ticket, action: Action, fence: Fence) {
        tracing::debug!(?ticket, %action, "order given");
        let instance = action.instance().clone();
        let refused = match self.queues.get(&instance) {
            None => Some(format!("instance `{instance}` is not planned")),
            Some(queue) => queue
                .try_send(Order {
                    ticket,
                    action,
                    fence,
                })
                .err()
                .map(|_| format!("{QUEUE} orders wait already")),
        };
        if let Some(why) = refused {
            let outcomes = self.outcomes.clone();
            self.tasks.spawn(async move {
                // Nobody takes it if the driver has ended.
                let _ended = outcomes
                    .send(Stimulus::Outcome(ticket, Outcome::Failed(why)))
                    .await;
            });
        }
    }

    /// Waits until every order has ended or was cancelled, and nothing is written any more that one began.
    pub async fn finished(self) {
        drop(self.queues);
        self.tasks.close();
        self.tasks.wait().await;
        self.performer.finished().await;
    }
}

async fn perform_in_turn(
    performer: Arc<Performer>,
    mut orders: mpsc::Receiver<Order>,
    outcomes: mpsc::Sender<Stimulus>,
) {
    while let Some(order) = orders.recv().await {
        let Order {
            ticket,
            action,
            fence,
        } = order;
        let work = async {
            if action.promotes() {
                in_force(fence, FENCE_LIMIT).await?;
            }
            performer.run(&action).await
        };
        let outcome = match tokio::time::timeout(ORDER_LIMIT, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(cause)) => failure::outcome(cause.as_ref()),
            Err(_) => Outcome::Failed(format!("not done within {ORDER_LIMIT:?}")),
        };
        tracing::debug!(?ticket, %action, ?outcome, "order ended");
        if outcomes
            .send(Stimulus::Outcome(ticket, outcome))
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Waits until the old primary's interface is closed on every core of the data plane.
async fn in_force(fence: Fence, limit: Duration) -> Result<(), Failure> {
    tokio::time::timeout(limit, fence)
        .await
        .map_err(|_| "the old primary's interface is not closed on every core yet".into())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_promotion_fails_while_a_core_may_still_speak_to_the_old_primary() {
        let never: Fence = std::future::pending().boxed().shared();
        assert!(in_force(never, Duration::ZERO).await.is_err());
        let (closed, fence) = tokio::sync::oneshot::channel::<()>();
        let fence: Fence = fence.map(|_| ()).boxed().shared();
        assert!(fence.peek().is_none());
        drop(closed);
        assert!(in_force(fence, FENCE_LIMIT).await.is_ok());
    }
}
