//! Does to hosts what a fault says, and ends it: beside the driver, which must not wait while a zone's hosts are being killed.

use std::sync::Arc;
use std::time::Duration;

use proxies::plane::Applied;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use topologies::runtime::{Affliction, Runtime};

/// Changes of faults that may wait.
const QUEUE: usize = 64;
/// A core of the data plane takes a change before anything else: in microseconds, unless the machine stalls.
const NETWORK_LIMIT: Duration = Duration::from_secs(10);

/// Called when a change has been brought about, or has failed.
pub type Done = Box<dyn FnOnce(Result<(), String>) + Send>;

/// Brings changes of faults about, one after the other.
pub struct Harm {
    queue: mpsc::Sender<Change>,
}

/// A change of faults.
pub struct Change {
    /// The network's part of it, which is under way.
    pub network: Applied,
    /// What ends.
    pub relieve: Vec<Affliction>,
    /// What begins.
    pub afflict: Vec<Affliction>,
    /// Who asked for it.
    pub done: Done,
}

impl Harm {
    /// Starts the task that does it.
    pub fn start(
        runtime: Arc<dyn Runtime>,
        tasks: &TaskTracker,
        cancelled: CancellationToken,
    ) -> Self {
        let (queue, changes) = mpsc::channel(QUEUE);
        tasks.spawn(async move { cancelled.run_until_cancelled(work(runtime, changes)).await });
        Self { queue }
    }

    /// Relieves first, then afflicts; hosts of each side by side.
    pub fn bring_about(&self, change: Change) {
        if let Err(refused) = self.queue.try_send(change) {
            let (mpsc::error::TrySendError::Full(change)
            | mpsc::error::TrySendError::Closed(change)) = refused;
            (change.done)(Err(
                "the stack is busy with other faults, or ending".to_owned()
            ));
        }
    }
}

async fn work(runtime: Arc<dyn Runtime>, mut changes: mpsc::Receiver<Change>) {
    while let Some(Change {
        network,
        relieve,
        afflict,
        done,
    }) = changes.recv().await
    {
        let relieved =
            futures_util::future::join_all(relieve.iter().map(|a| runtime.relieve(a))).await;
        let afflicted =
            futures_util::future::join_all(afflict.iter().map(|a| runtime.afflict(a))).await;
        let results = relieved.into_iter().chain(afflicted);
        let mut failures: Vec<String> = results
            .filter_map(|result| result.err().map(|cause| cause.to_string()))
            .collect();
        // Addresses that could not be listened on are another matter, and tried again with every change.
        if tokio::time::timeout(NETWORK_LIMIT, network.everywhere())
            .await
            .is_err()
        {
            failures.push(format!(
                "the network has not changed within {NETWORK_LIMIT:?}"
            ));
        }
        done(if failures.is_empty() {
            Ok(())
        } else {
            Err(failures.join("; "))
        });
    }
}
