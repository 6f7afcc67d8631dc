//! Does to hosts what a fault says, and ends it: beside the driver, which must not wait while a zone's hosts are being killed.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use topologies::runtime::{Affliction, Runtime};

/// Changes of faults that may wait.
const QUEUE: usize = 64;

/// Called when a change has been brought about, or has failed.
pub type Done = Box<dyn FnOnce(Result<(), String>) + Send>;

/// Brings changes of faults about, one after the other.
pub struct Harm {
    queue: mpsc::Sender<Change>,
}

struct Change {
    relieve: Vec<Affliction>,
    afflict: Vec<Affliction>,
    done: Done,
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
    pub fn bring_about(&self, relieve: Vec<Affliction>, afflict: Vec<Affliction>, done: Done) {
        if let Err(refused) = self.queue.try_send(Change {
            relieve,
            afflict,
            done,
        }) {
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
        let failures: Vec<String> = results
            .filter_map(|result| result.err().map(|cause| cause.to_string()))
            .collect();
        done(if failures.is_empty() {
            Ok(())
        } else {
            Err(failures.join("; "))
        });
    }
}
