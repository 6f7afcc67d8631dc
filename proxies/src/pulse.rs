//! Whether the cores run: each notes at a steady pace that it does, for as long as somebody wants to know. Who waits in vain for
//! an answer through a core that was held up has learned nothing of whom he asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How often a watched core notes that it runs.
const BEAT: Duration = Duration::from_millis(50);
/// A core that is later than this was held up. An ordinary machine's scheduler lets nobody wait for so long.
const SLACK: Duration = Duration::from_millis(50);

/// One core's pulse. It beats only while it is watched: at rest nobody is in doubt, and a core that nobody needs sleeps.
#[derive(Clone, Debug)]
pub(crate) struct Pulse(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    notes: Mutex<Notes>,
    watched: Notify,
}

#[derive(Debug)]
struct Notes {
    watchers: usize,
    /// The latest beat.
    last: Instant,
    /// The end of the latest hold-up.
    late: Option<Instant>,
}

/// Keeps a core's pulse beating while it lives.
#[derive(Debug)]
pub(crate) struct Watcher {
    pulse: Pulse,
    since: Instant,
}

impl Pulse {
    /// A core that runs now.
    pub(crate) fn new() -> Self {
        let notes = Notes {
            watchers: 0,
            last: Instant::now(),
            late: None,
        };
        Self(Arc::new(Shared {
            notes: Mutex::new(notes),
            watched: Notify::new(),
        }))
    }

    /// Beats for as long as it is polled and somebody watches.
    pub(crate) async fn beat(self) {
        loop {
            if self.notes().watchers == 0 {
                // A watcher that comes between the two lines leaves a permit.
                self.0.watched.notified().await;
            }
            self.notes().beat(Instant::now());
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Watches from `now` on.
    pub(crate) fn watch(&self, now: Instant) -> Watcher {
        let mut notes = self.notes();
        notes.watchers += 1;
        if notes.watchers == 1 {
            // It is to beat at once: later than the slack from now is late.
            notes.last = now.checked_sub(BEAT).unwrap_or(now);
            self.0.watched.notify_one();
        }
        drop(notes);
        Watcher {
            pulse: self.clone(),
            since: now,
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        // Every note is whole after any panic.
        self.0.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn beat(&mut self, now: Instant) {
        if self.watchers > 0 && self.overdue(now) {
            self.late = Some(now);
        }
        self.last = now;
    }

    fn overdue(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) > BEAT + SLACK
    }
}

impl Watcher {
    /// Whether the core was held up at some time until `now` since this watches.
    pub(crate) fn held_up(&self, now: Instant) -> bool {
        let notes = self.pulse.notes();
        notes.overdue(now) || notes.late.is_some_and(|late| late >= self.since)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.pulse.notes().watchers -= 1;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[test]
    fn a_hold_up_counts_while_it_lasts_and_for_those_who_waited_then() {
        let (pulse, start) = (Pulse::new(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let beat = |ms| pulse.notes().beat(at(ms));
        let first = pulse.watch(at(0));
        beat(1);
        beat(50);
        beat(140);
        assert!(!first.held_up(at(200)), "as late as others");
        let second = pulse.watch(at(240));
        assert!(second.held_up(at(250)), "it does not beat");
        beat(260);
        assert!(second.held_up(at(270)), "watched during it");
        assert!(!pulse.watch(at(261)).held_up(at(270)), "asked after it");
    }

    #[test]
    fn a_core_that_nobody_watched_was_not_held_up() {
        let (pulse, start) = (Pulse::new(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        drop(pulse.watch(at(0)));
        pulse.notes().beat(at(5_000));
        let watcher = pulse.watch(at(10_000));
        assert!(!watcher.held_up(at(10_040)));
        assert!(watcher.held_up(at(10_060)), "it was to beat at once");
        pulse.notes().beat(at(10_070));
        assert!(watcher.held_up(at(10_080)));
    }

    #[tokio::test]
    async fn it_beats_only_while_it_is_watched() {
        let pulse = Pulse::new();
        let mut beats = Box::pin(pulse.clone().beat());
        let last = || pulse.notes().last;
        let before = last();
        assert!(poll!(&mut beats).is_pending());
        assert_eq!(last(), before, "nobody watches");
        let watcher = pulse.watch(Instant::now());
        let expected = last();
        assert!(poll!(&mut beats).is_pending());
        assert!(last() > expected, "at once");
        drop(watcher);
        assert_eq!(pulse.notes().watchers, 0);
    }
}
