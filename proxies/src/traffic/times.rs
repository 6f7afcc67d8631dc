//! How long something took, as a histogram: counted without a lock, exact to 1/16 of each time, in a fixed amount of memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Each doubling of the time has this many buckets.
const STEPS: u64 = 1 << STEP_BITS;
const STEP_BITS: u32 = 4;
/// Times from 2^27 µs on, which is over two minutes, share the last bucket.
const DOUBLINGS: u64 = 24;
const BUCKETS: usize = (STEPS * (DOUBLINGS + 1)) as usize;

/// The times that one core counts.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct TimesCell {
    buckets: [AtomicU64; BUCKETS],
    micros: AtomicU64,
}

impl Default for TimesCell {
    fn default() -> Self {
        Self {
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            micros: AtomicU64::new(0),
        }
    }
}

impl TimesCell {
    pub(super) fn add(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

/// How long all answers took since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    buckets: Vec<u64>,
    /// All of them together.
    pub total: Duration,
}

impl Times {
    pub(super) fn of(cells: &[TimesCell]) -> Self {
        let mut buckets = vec![0; BUCKETS];
        let mut micros: u64 = 0;
        for cell in cells {
            for (sum, bucket) in buckets.iter_mut().zip(&cell.buckets) {
                *sum += bucket.load(Ordering::Relaxed);
            }
            micros = micros.saturating_add(cell.micros.load(Ordering::Relaxed));
        }
        Self {
            buckets,
            total: Duration::from_micros(micros),
        }
    }

    /// Those since these were all.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let pairs = self.buckets.iter().zip(&before.buckets);
        Self {
            buckets: pairs.map(|(now, old)| now.saturating_sub(*old)).collect(),
            total: self.total.saturating_sub(before.total),
        }
    }

    /// The times in ascending order, each with how many took about as long.
    pub fn counted(&self) -> impl Iterator<Item = (Duration, u64)> {
        let counts = (0_u64..).zip(&self.buckets);
        let some = counts.filter(|(_, count)| **count > 0);
        some.map(|(bucket, count)| (Duration::from_micros(middle(bucket)), *count))
    }
}

/// The bucket of a time: the number of its doubling, and its first bits behind the leading one.
fn bucket(micros: u64) -> usize {
    let bucket = if micros < STEPS {
        micros
    } else {
        let shift = u64::from(micros.ilog2() - STEP_BITS);
        let steps = (micros >> shift) - STEPS;
        ((shift + 1) * STEPS + steps).min(BUCKETS as u64 - 1)
    };
    usize::try_from(bucket).unwrap_or(BUCKETS - 1)
}

/// The time in the middle of a bucket.
fn middle(bucket: u64) -> u64 {
    let Some(shift) = (bucket / STEPS).checked_sub(1) else {
        return bucket;
    };
    let first = (STEPS + bucket % STEPS) << shift;
    first + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_within_a_thirty_second_part() {
        let mut micros = 0;
        while micros < 1 << 27 {
            let seen = middle(bucket(micros) as u64);
            assert!(
                seen.abs_diff(micros) * 32 <= micros.max(1),
                "{micros} {seen}"
            );
            micros += 1 + micros / 100;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn buckets_are_in_the_order_of_their_times() {
        let times: Vec<u64> = (0..BUCKETS as u64).map(middle).collect();
        assert!(times.is_sorted());
        assert!(times.iter().zip(0..).all(|(time, at)| bucket(*time) == at));
    }

    #[test]
    fn what_came_since_is_the_difference() {
        let cells = [TimesCell::default(), TimesCell::default()];
        cells[0].add(Duration::from_micros(3));
        let before = Times::of(&cells);
        cells[1].add(Duration::from_micros(3));
        cells[0].add(Duration::from_micros(10));
        let since = Times::of(&cells).since(&before);
        let counted: Vec<_> = since
            .counted()
            .map(|(time, n)| (time.as_micros(), n))
            .collect();
        assert_eq!(counted, [(3, 1), (10, 1)]);
        assert_eq!(since.total, Duration::from_micros(13));
    }
}
