//! Readers of observations. Each has a queue of its own, so that no change is lost to a slow one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use topologies::id::InstanceId;
use topologies::runtime::Observation;

/// A reader that has this many changes before it is told only the last of each instance.
const QUEUE_MAX: usize = 4096;

/// Whom a reader works for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// The control plane: hears nothing of zones that are cut off or have no power.
    Control,
    /// The emulated network: hears all.
    Network,
}

/// The readers.
#[derive(Default)]
pub(super) struct Watchers {
    readers: Vec<(Audience, Weak<Queue>)>,
}

impl Watchers {
    /// Adds a reader that is told `present` first. The stream ends when `closing` is cancelled.
    pub(super) fn subscribe(
        &mut self,
        audience: Audience,
        present: Vec<Observation>,
        closing: CancellationToken,
    ) -> BoxStream<'static, Observation> {
        let queue = Arc::new(Queue {
            pending: Mutex::new(present.into()),
            arrived: Notify::new(),
        });
        self.readers.push((audience, Arc::downgrade(&queue)));
        stream::unfold((queue, closing), |(queue, closing)| async move {
            let observation = closing.run_until_cancelled(queue.next()).await?;
            Some((observation, (queue, closing)))
        })
        .boxed()
    }

    /// Tells the readers of `audience`, and forgets those that are gone.
    pub(super) fn tell(&mut self, audience: Audience, observation: &Observation) {
        self.readers.retain(|(reader, queue)| {
            let Some(queue) = queue.upgrade() else {
                return false;
            };
            if *reader == audience {
                queue.push(observation.clone());
            }
            true
        });
    }
}

struct Queue {
    pending: Mutex<VecDeque<Observation>>,
    /// One reader, so the permit that `notify_one` leaves is never another's.
    arrived: Notify,
}

impl Queue {
    fn push(&self, observation: Observation) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.push_back(observation);
        if pending.len() > QUEUE_MAX {
            keep_last_of_each(&mut pending);
        }
        self.arrived.notify_one();
    }

    async fn next(&self) -> Observation {
        loop {
            if let Some(observation) = self.take() {
                return observation;
            }
            self.arrived.notified().await;
        }
    }

    fn take(&self) -> Option<Observation> {
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }
}

fn keep_last_of_each(pending: &mut VecDeque<Observation>) {
    let last: BTreeMap<InstanceId, usize> = pending
        .iter()
        .enumerate()
        .map(|(place, observation)| (observation.instance.clone(), place))
        .collect();
    let mut place = 0;
    pending.retain(|observation| {
        place += 1;
        last.get(&observation.instance) == Some(&(place - 1))
    });
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use topologies::runtime::InstanceStatus;

    use super::*;

    fn exited(instance: &str, how: usize) -> Observation {
        Observation {
            instance: instance.into(),
            status: InstanceStatus::Exited {
                how: how.to_string(),
            },
        }
    }

    #[test]
    fn a_reader_gets_the_present_first_and_then_every_change() {
        let mut watchers = Watchers::default();
        let closing = CancellationToken::new();
        let mut control =
            watchers.subscribe(Audience::Control, vec![exited("a", 0)], closing.clone());
        watchers.tell(Audience::Control, &exited("a", 1));
        watchers.tell(Audience::Network, &exited("a", 2));
        watchers.tell(Audience::Control, &exited("a", 3));
        for how in [0, 1, 3] {
            let next = control
                .next()
                .now_or_never()
                .expect("it waits in the queue");
            assert_eq!(next, Some(exited("a", how)));
        }
        assert!(control.next().now_or_never().is_none());
        closing.cancel();
        assert_eq!(control.next().now_or_never(), Some(None));
    }

    #[test]
    fn a_slow_reader_still_learns_how_each_instance_is() {
        let mut watchers = Watchers::default();
        let mut control =
            watchers.subscribe(Audience::Control, Vec::new(), CancellationToken::new());
        watchers.tell(Audience::Control, &exited("quiet", 7));
        for how in 0..=QUEUE_MAX {
            watchers.tell(Audience::Control, &exited("busy", how));
        }
        let mut seen = Vec::new();
        while let Some(Some(next)) = control.next().now_or_never() {
            seen.push(next);
        }
        assert!(seen.len() <= QUEUE_MAX);
        assert!(seen.contains(&exited("quiet", 7)));
        assert_eq!(seen.last(), Some(&exited("busy", QUEUE_MAX)));
    }
}
