//! Whether the cores run: each notes at a steady pace that it does. Who waits in vain for an answer through a core that was
//! held up has learned nothing of whom he asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a core notes that it runs.
const BEAT: Duration = Duration::from_millis(50);
/// A core that is later than this was held up. An ordinary machine's scheduler lets nobody wait for so long.
const SLACK: Duration = Duration::from_millis(50);

/// One core's pulse.
#[derive(Clone, Debug)]
pub(crate) struct Pulse(Arc<Notes>);

/// Microseconds since `started`.
#[derive(Debug)]
struct Notes {
    started: Instant,
    last: AtomicU64,
    /// The end of the latest hold-up; zero for none.
    late: AtomicU64,
}

impl Pulse {
    /// A core that runs now.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Notes {
            started: Instant::now(),
            last: AtomicU64::new(0),
            late: AtomicU64::new(0),
        }))
    }

    /// Beats for as long as it is polled.
    pub(crate) async fn beat(self) {
        loop {
            tokio::time::sleep(BEAT).await;
            self.note(Instant::now());
        }
    }

    fn note(&self, now: Instant) {
        let now = self.micros(now);
        if overdue(self.0.last.swap(now, Ordering::Relaxed), now) {
            self.0.late.store(now, Ordering::Relaxed);
        }
    }

    /// Whether the core was held up at some time between `since` and `now`.
    pub(crate) fn held_up(&self, since: Instant, now: Instant) -> bool {
        let late = self.0.late.load(Ordering::Relaxed);
        let still = overdue(self.0.last.load(Ordering::Relaxed), self.micros(now));
        still || (late > 0 && late >= self.micros(since))
    }

    fn micros(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.0.started);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}

fn overdue(last: u64, now: u64) -> bool {
    Duration::from_micros(now.saturating_sub(last)) > BEAT + SLACK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_up_counts_while_it_lasts_and_for_those_who_waited_then() {
        let pulse = Pulse::new();
        let at = |ms| pulse.0.started + Duration::from_millis(ms);
        pulse.note(at(50));
        pulse.note(at(140));
        assert!(!pulse.held_up(at(0), at(200)), "as late as others");
        assert!(pulse.held_up(at(0), at(250)), "it does not beat");
        pulse.note(at(260));
        assert!(pulse.held_up(at(240), at(270)), "waited during it");
        assert!(!pulse.held_up(at(261), at(270)), "asked after it");
    }
}
