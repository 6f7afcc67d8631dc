//! Which hosts are asked less often than every interval: followers that no write waits for, while all is well.
//!
//! Decided by what the control plane itself knows and hears. A fault that nobody noticed yet changes nothing.

use std::time::Duration;

use topologies::event::{DbInstanceStatus, ReplicationGroupStatus, ReplicationStatus};
use topologies::plan::InstanceKind;
use topologies::world::World;

use crate::control::probe::{CacheProbe, DbProbe, Probe, RedisRole};

/// A follower that answered this many times in a row, and nobody was missed meanwhile, rests between questions.
const STEADY: u32 = 10;
/// How long it rests at most, in whole intervals. It is lost that much later to whoever reads from it; reads of a lost host
/// fail meanwhile, and writes go on.
const REST: Duration = Duration::from_millis(400);

/// When one host is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    /// Answers in a row.
    steady: u32,
    /// Intervals since it was asked.
    passed: u32,
    /// It is asked once in so many intervals while it rests.
    rounds: u32,
}

impl Rest {
    /// For a host that is asked every `interval` while it does not rest.
    pub(crate) fn new(interval: Duration) -> Self {
        let rounds = REST.as_millis() / interval.as_millis().max(1);
        Self {
            steady: 0,
            passed: 0,
            rounds: u32::try_from(rounds).unwrap_or(u32::MAX),
        }
    }

    /// Whether it rests.
    pub(crate) fn rests(&self) -> bool {
        self.steady >= STEADY && self.rounds > 1
    }

    /// An interval has passed: whether the host is left alone. One of a resource that is not `settled` is not.
    pub(crate) fn skips(&mut self, settled: bool) -> bool {
        if !settled {
            self.rouse();
        }
        self.passed = self.passed.saturating_add(1);
        self.rests() && self.passed < self.rounds
    }

    /// Somebody was missed: it does not rest until nobody was for a while.
    pub(crate) fn rouse(&mut self) {
        self.steady = 0;
    }

    /// Takes in what it said.
    pub(crate) fn take(&mut self, probe: &Probe) {
        self.passed = 0;
        self.steady = match follows(probe) {
            true => self.steady.saturating_add(1),
            false => 0,
        };
    }
}

/// Whether an answer tells how its host is.
pub(crate) fn tells(probe: &Probe) -> bool {
    matches!(
        probe,
        Probe::Database(_, DbProbe::Answered(_)) | Probe::Cache(_, CacheProbe::Answered(_))
    )
}

/// Whether nothing is under way with what an instance belongs to, and no write waits for it: a read replica that replicates from an
/// available source, or a node of an available replication group. A Multi-AZ standby is waited for by every commit.
pub(crate) fn settled(kind: &InstanceKind, world: &World) -> bool {
    match kind {
        InstanceKind::DbHost(db) => world.replicas.get(db).is_some_and(|replica| {
            let source = world.databases.get(&replica.of);
            replica.status == DbInstanceStatus::Available
                && replica.replication == ReplicationStatus::Replicating
                && source.is_some_and(|it| it.status == DbInstanceStatus::Available)
        }),
        InstanceKind::CacheNode(group) => {
            let group = world.caches.get(group);
            group.is_some_and(|it| it.status == ReplicationGroupStatus::Available)
        }
        InstanceKind::App(_) => false,
    }
}

/// Whether it says that it follows another.
fn follows(probe: &Probe) -> bool {
    match probe {
        Probe::Database(_, DbProbe::Answered(status)) => {
            let streams = status.receiver.as_ref().is_some_and(|it| it.streaming);
            status.in_recovery && streams
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
    fn asked(millis: u64, probe: &Probe, settled: bool) -> usize {
        let mut rest = Rest::new(Duration::from_millis(millis));
        let rounds = (0..100).filter(|_| {
            let asks = !rest.skips(settled);
            if asks {
                rest.take(probe);
            }
            asks
        });
        rounds.count()
    }

    #[test]
    fn only_followers_rest_and_only_while_nothing_is_under_way() {
        let steady = 10 + 90 / 4;
        let silent = Probe::Cache("sessions-2".into(), CacheProbe::TimedOut);
        let table = [
            (database(true, true), steady),
            (database(true, false), 100),
            (database(false, false), 100),
            (cache(replica(true)), steady),
            (cache(replica(false)), 100),
            (cache(RedisRole::Primary), 100),
            (silent, 100),
        ];
        for (probe, times) in table {
            assert_eq!(asked(100, &probe, true), times, "{probe:?}");
            assert_eq!(asked(100, &probe, false), 100, "{probe:?}");
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
    fn whoever_is_missed_ends_a_rest_until_nobody_was_for_a_while() {
        let mut rest = Rest::new(Duration::from_millis(100));
        let follower = database(true, true);
        for _ in 0..STEADY {
            assert!(!rest.skips(true));
            rest.take(&follower);
        }
        assert!(rest.rests() && rest.skips(true));
        rest.rouse();
        for _ in 0..STEADY {
            assert!(!rest.rests() && !rest.skips(true));
            rest.take(&follower);
        }
        assert!(rest.rests() && rest.skips(true));
        assert!(!rest.skips(false), "a failover began");
    }
}
