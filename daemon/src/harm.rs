//! Does to hosts what faults say, and ends it: beside the driver, which must not wait while a zone's hosts are being killed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use proxies::plane::Applied;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use topologies::runtime::{Affliction, Runtime};

/// Changes of faults that may wait.
const QUEUE: usize = 64;
/// A core of the data plane takes a change before anything else: in microseconds, unless the machine stalls.
const NETWORK_LIMIT: Duration = Duration::from_secs(10);

/// What is to be done to hosts: first relieve, then afflict; hosts of each side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Harm to end.
    pub relieve: Vec<Affliction>,
    /// Harm to do.
    pub afflict: Vec<Affliction>,
}

/// What could not be done, with the reason in words.
pub type Failures = Vec<(Affliction, String)>;

/// Brings changes of faults about, one after the other. `P` says what each was for.
pub struct Harm<P> {
    queue: mpsc::Sender<(Orders, Applied, P)>,
    done: mpsc::Receiver<(P, Failures)>,
}

impl<P: Send + 'static> Harm<P> {
    /// Starts the task that does it.
    pub fn start(
        runtime: Arc<dyn Runtime>,
        tasks: &TaskTracker,
        cancelled: CancellationToken,
    ) -> Self {
        let (queue, changes) = mpsc::channel(QUEUE);
        let (ended, done) = mpsc::channel(QUEUE);
        let work = work(runtime, changes, ended);
        tasks.spawn(async move { cancelled.run_until_cancelled(work).await });
        Self { queue, done }
    }

    /// Takes orders, and the network's part of the change, which is under way; how they ended comes from [`Harm::next`] when both
    /// are as ordered.
    ///
    /// # Errors
    /// What they were for, when too many wait or the stack is ending: nothing of them is done.
    pub fn bring_about(&self, orders: Orders, network: Applied, purpose: P) -> Result<(), P> {
        let change = (orders, network, purpose);
        self.queue.try_send(change).map_err(|refused| {
            let (mpsc::error::TrySendError::Full((.., purpose))
            | mpsc::error::TrySendError::Closed((.., purpose))) = refused;
            purpose
        })
    }

    /// The next orders that have ended. Cancel-safe; none once the task has ended.
    pub async fn next(&mut self) -> Option<(P, Failures)> {
        self.done.recv().await
    }
}

async fn work<P>(
    runtime: Arc<dyn Runtime>,
    mut changes: mpsc::Receiver<(Orders, Applied, P)>,
    ended: mpsc::Sender<(P, Failures)>,
) {
    while let Some((orders, network, purpose)) = changes.recv().await {
        let failures = perform(&*runtime, &orders).await;
        // Addresses that could not be listened on are another matter, and tried again with every change.
        let applied = tokio::time::timeout(NETWORK_LIMIT, network.everywhere());
        if applied.await.is_err() {
            tracing::error!(limit = ?NETWORK_LIMIT, "a core of the data plane has not taken a fault's network");
        }
        if ended.send((purpose, failures)).await.is_err() {
            return;
        }
    }
}

/// Does what is ordered; what fails keeps nothing else from being done.
pub async fn perform(runtime: &dyn Runtime, Orders { relieve, afflict }: &Orders) -> Failures {
    let relieved = join_all(relieve.iter().map(|harm| runtime.relieve(harm))).await;
    let afflicted = join_all(afflict.iter().map(|harm| runtime.afflict(harm))).await;
    let relieved = relieve.iter().zip(relieved);
    let afflicted = afflict.iter().zip(afflicted);
    relieved
        .chain(afflicted)
        .filter_map(|(harm, result)| Some((harm.clone(), result.err()?.to_string())))
        .collect()
}

/// What brings a runtime that was left with the harm `present` to the harm that faults in force `want`. A daemon that is killed
/// between the two leaves them apart.
///
/// Harm that is wanted and present is done again, for the daemon may have died half-way. A freeze that the runtime does not know
/// of is left alone: the process that it hit has ended since, and its successor is not frozen.
pub fn reconciled(present: &BTreeSet<Affliction>, want: &BTreeSet<Affliction>) -> Orders {
    let holds =
        |harm: &&Affliction| !matches!(harm, Affliction::Freeze(_)) || present.contains(*harm);
    Orders {
        relieve: present.difference(want).cloned().collect(),
        afflict: want.iter().filter(holds).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_daemon_left_half_done_is_brought_about() {
        let dark = Affliction::PowerLoss("a".into());
        let held = Affliction::Stop("web-1".into());
        let frozen = Affliction::Freeze("web-2".into());
        let check = |present: &[&Affliction], want: &[&Affliction], relieve, afflict| {
            let set = |harm: &[&Affliction]| harm.iter().copied().cloned().collect();
            let orders = Orders { relieve, afflict };
            assert_eq!(
                reconciled(&set(present), &set(want)),
                orders,
                "{present:?} to {want:?}"
            );
        };
        // Killed before the zone lost its power, while it did, and while it was healed.
        check(&[], &[&dark], vec![], vec![dark.clone()]);
        check(&[&dark], &[&dark], vec![], vec![dark.clone()]);
        check(
            &[&dark, &held],
            &[&held],
            vec![dark.clone()],
            vec![held.clone()],
        );
        // The frozen process still stands, or has been followed by another.
        check(&[&frozen], &[&frozen], vec![], vec![frozen.clone()]);
        check(&[], &[&frozen], vec![], vec![]);
        check(&[&frozen], &[], vec![frozen.clone()], vec![]);
    }
}
