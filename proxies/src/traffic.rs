//! What passes through the data plane, in numbers: counted per core, without a lock, added up when somebody asks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use topologies::id::{InstanceId, LoadBalancerId};

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An instance's network interface.
    Eni(InstanceId),
    /// An instance's management interface: probes and commands of the control plane.
    Management(InstanceId),
    /// A load balancer's listener, over all its nodes, by port.
    Listener(LoadBalancerId, u16),
    /// The resolvers.
    Resolver,
}

/// Numbers of one subject since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections accepted.
    pub connections: u64,
    /// Connections ended; those that are open are the difference.
    pub connections_ended: u64,
    /// Requests: of HTTP on an ALB, queries on a resolver.
    pub requests: u64,
    /// `HTTPCode_ELB_4XX_Count`.
    pub elb_4xx: u64,
    /// `HTTPCode_ELB_5XX_Count`.
    pub elb_5xx: u64,
    /// `HTTPCode_Target_4XX_Count`.
    pub target_4xx: u64,
    /// `HTTPCode_Target_5XX_Count`.
    pub target_5xx: u64,
    /// `TargetConnectionErrorCount`: targets that could not be connected to.
    pub target_connection_errors: u64,
    /// Connections reset, by whomever.
    pub resets: u64,
}

/// A number counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Connections,
    ConnectionsEnded,
    Requests,
    Elb4xx,
    Elb5xx,
    Target4xx,
    Target5xx,
    TargetConnectionErrors,
    Resets,
}

const COUNTS: usize = Count::Resets as usize + 1;

/// The numbers that one core counts; on a cache line of its own, so that cores do not take it from each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Cell([AtomicU64; COUNTS]);

/// The counters of one subject.
#[derive(Debug)]
pub(crate) struct Counters {
    cores: Box<[Cell]>,
}

impl Counters {
    fn new(cores: usize) -> Self {
        Self {
            cores: (0..cores).map(|_| Cell::default()).collect(),
        }
    }

    /// Counts one.
    pub(crate) fn add(&self, core: usize, count: Count) {
        if let Some(cell) = self.cores.get(core) {
            cell.0[count as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn traffic(&self) -> Traffic {
        let sum = |count: Count| {
            self.cores
                .iter()
                .map(|cell| cell.0[count as usize].load(Ordering::Relaxed))
                .sum()
        };
        Traffic {
            connections: sum(Count::Connections),
            connections_ended: sum(Count::ConnectionsEnded),
            requests: sum(Count::Requests),
            elb_4xx: sum(Count::Elb4xx),
            elb_5xx: sum(Count::Elb5xx),
            target_4xx: sum(Count::Target4xx),
            target_5xx: sum(Count::Target5xx),
            target_connection_errors: sum(Count::TargetConnectionErrors),
            resets: sum(Count::Resets),
        }
    }
}

/// The counters of all subjects that there have been.
#[derive(Debug)]
pub(crate) struct Ledger {
    cores: usize,
    subjects: Mutex<BTreeMap<Subject, Arc<Counters>>>,
}

impl Ledger {
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            cores,
            subjects: Mutex::default(),
        }
    }

    /// The counters of `subject`.
    pub(crate) fn counters(&self, subject: Subject) -> Arc<Counters> {
        let mut subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = subjects
            .entry(subject)
            .or_insert_with(|| Arc::new(Counters::new(self.cores)));
        Arc::clone(counters)
    }

    /// The sums of all cores.
    pub(crate) fn traffic(&self) -> BTreeMap<Subject, Traffic> {
        let subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        subjects
            .iter()
            .map(|(subject, counters)| (subject.clone(), counters.traffic()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_add_up() {
        let ledger = Ledger::new(2);
        let counters = ledger.counters(Subject::Resolver);
        counters.add(0, Count::Requests);
        counters.add(1, Count::Requests);
        counters.add(1, Count::Resets);
        let traffic = ledger.traffic()[&Subject::Resolver];
        assert_eq!(
            (traffic.requests, traffic.resets, traffic.connections),
            (2, 1, 0)
        );
    }
}
