//! Which hosts are asked less often than every interval: followers that no write waits for, while nothing happens.

use std::time::Duration;

use crate::control::probe::{CacheProbe, DbProbe, Probe, RedisRole};

/// A follower that answered this many times in a row without anything happening rests between questions.
const STEADY: u32 = 10;
/// How long it rests at most, in whole intervals. It is lost that much later to whoever reads from it; reads of a lost host
/// fail meanwhile, and writes go on.
const REST: Duration = Duration::from_millis(400);

/// When one host is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    /// Answers in a row.
    steady: u32,
    /// Intervals since it was asked.
    passed: u32,
    /// It is asked once in so many intervals while it rests.
    rounds: u32,
}

impl Rest {
    /// For a host that is asked every `interval` while it does not rest.
    pub(super) fn new(interval: Duration) -> Self {
        let rounds = REST.as_millis() / interval.as_millis().max(1);
        Self {
            steady: 0,
            passed: 0,
            rounds: u32::try_from(rounds).unwrap_or(u32::MAX),
        }
    }

    /// Whether it rests.
    pub(super) fn rests(&self) -> bool {
        self.steady >= STEADY && self.rounds > 1
    }

    /// An interval has passed: whether the host is left alone.
    pub(super) fn skips(&mut self) -> bool {
        self.passed = self.passed.saturating_add(1);
        self.rests() && self.passed < self.rounds
    }

    /// Something happened: it does not rest until nothing did for a while.
    pub(super) fn rouse(&mut self) {
        self.steady = 0;
    }

    /// Takes in what it said; `replica` if it is a read replica's.
    pub(super) fn take(&mut self, probe: &Probe, replica: bool) {
        self.passed = 0;
        self.steady = match follows(probe, replica) {
            true => self.steady.saturating_add(1),
            false => 0,
        };
    }
}

/// Whether it says that it follows another, and nobody's commit waits until it has.
fn follows(probe: &Probe, replica: bool) -> bool {
    match probe {
        Probe::Database(_, DbProbe::Answered(status)) => {
            let streams = status.receiver.as_ref().is_some_and(|it| it.streaming);
            replica && status.in_recovery && streams
        }
        Probe::Cache(_, CacheProbe::Answered(status)) => {
            matches!(status.role, RedisRole::Replica { link_up: true, .. })
        }
        Probe::Database(..)
        | Probe::Cache(..)
        | Probe::Target { .. }
        | Probe::Node { .. }
        | Probe::HealthCheck(..) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::probe::{PgStatus, RedisStatus, WalReceiver};

    fn database(in_recovery: bool, streaming: bool) -> Probe {
        let receiver = in_recovery.then(|| WalReceiver {
            streaming,
            sender_host: "127.64.16.10".to_owned(),
        });
        let status = PgStatus {
            in_recovery,
            receiver,
            ..PgStatus::default()
        };
        Probe::Database("orders-1".into(), DbProbe::Answered(status))
    }

    fn cache(role: RedisRole) -> Probe {
        let status = RedisStatus {
            role,
            offset: 7,
            replication_id: "a".to_owned(),
            replicas: Vec::new(),
        };
        Probe::Cache("sessions-2".into(), CacheProbe::Answered(status))
    }

    fn replica(link_up: bool) -> RedisRole {
        let source = "127.64.16.20".to_owned();
        RedisRole::Replica { source, link_up }
    }

    /// In how many of a hundred intervals of `millis` a host is asked that always says `probe`.
    fn asked(millis: u64, probe: &Probe, is_replica: bool) -> usize {
        let mut rest = Rest::new(Duration::from_millis(millis));
        let rounds = (0..100).filter(|_| {
            let asks = !rest.skips();
            if asks {
                rest.take(probe, is_replica);
            }
            asks
        });
        rounds.count()
    }

    #[test]
    fn only_followers_that_no_write_waits_for_rest() {
        let steady = 10 + 90 / 4;
        let table = [
            (database(true, true), true, steady),
            (database(true, true), false, 100),
            (database(true, false), true, 100),
            (database(false, false), true, 100),
            (cache(replica(true)), false, steady),
            (cache(replica(false)), false, 100),
            (cache(RedisRole::Primary), false, 100),
            (
                Probe::Cache("sessions-2".into(), CacheProbe::TimedOut),
                false,
                100,
            ),
        ];
        for (probe, is_replica, times) in table {
            assert_eq!(asked(100, &probe, is_replica), times, "{probe:?}");
        }
    }

    #[test]
    fn long_intervals_are_rest_enough() {
        for (millis, times) in [(1, 10), (100, 32), (201, 100), (1_000, 100)] {
            assert_eq!(
                asked(millis, &database(true, true), true),
                times,
                "{millis} ms"
            );
        }
    }

    #[test]
    fn what_happens_ends_a_rest_until_nothing_did_for_a_while() {
        let mut rest = Rest::new(Duration::from_millis(100));
        for _ in 0..STEADY {
            assert!(!rest.skips());
            rest.take(&database(true, true), true);
        }
        assert!(rest.rests() && rest.skips());
        rest.rouse();
        assert!(!rest.rests() && !rest.skips());
        rest.take(&database(true, true), true);
        assert!(!rest.skips());
    }
}
