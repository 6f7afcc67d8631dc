//! What passes through the data plane, in numbers: counted per core, without a lock, added up when somebody asks.
//!
//! Numbers only grow. Whoever wants to know what passed in a time keeps those of its beginning.

mod times;

use std::collections::BTreeMap;
use std::iter::Sum;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use topologies::id::{InstanceId, LoadBalancerId, TargetGroupId, ZoneId};

pub use times::Times;
use times::TimesCell;

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An instance's network interface.
    Eni(InstanceId),
    /// An instance's management interface: probes and commands of the control plane.
    Management(InstanceId),
    /// A load balancer's listener on its node in a zone, by port.
    Listener(LoadBalancerId, ZoneId, u16),
    /// What an Application Load Balancer's node in a zone sends to a target group.
    TargetGroup(LoadBalancerId, ZoneId, TargetGroupId),
    /// The resolvers.
    Resolver,
}

macro_rules! counts {
    ($($(#[$doc:meta])* $field:ident $count:ident,)*) => {
        /// Numbers of one subject since the start.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Traffic {
            $($(#[$doc])* pub $field: u64,)*
        }

        /// A number counted.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Count {
            $($count,)*
        }

        const COUNTS: usize = [$(Count::$count),*].len();

        impl Counters {
            fn traffic(&self) -> Traffic {
                Traffic { $($field: self.sum(Count::$count),)* }
            }
        }

        impl Traffic {
            /// What has passed since these were the numbers.
            #[must_use]
            pub fn since(&self, before: &Self) -> Self {
                Self { $($field: self.$field.saturating_sub(before.$field),)* }
            }
        }

        impl Sum for Traffic {
            fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
                all.fold(Self::default(), |sum, one| Self { $($field: sum.$field + one.$field,)* })
            }
        }
    };
}

counts! {
    /// Connections accepted.
    connections Connections,
    /// Connections ended; those that are open are the difference.
    connections_ended ConnectionsEnded,
    /// Connections served: their clients were still there.
    served Served,
    /// Connections from an ALB's node to targets.
    target_connections TargetConnections,
    /// Those of them that have ended.
    target_connections_ended TargetConnectionsEnded,
    /// Requests: of HTTP on an ALB, queries on a resolver.
    requests Requests,
    /// Requests for which a target was chosen.
    routed Routed,
    /// `HTTP_Fixed_Response_Count`.
    fixed_responses FixedResponses,
    /// `HTTP_Redirect_Count`.
    redirects Redirects,
    /// `HTTP_Redirect_Url_Limit_Exceeded_Count`.
    redirects_too_long RedirectsTooLong,
    /// `HTTPCode_ELB_3XX_Count`.
    elb_3xx Elb3xx,
    /// `HTTPCode_ELB_4XX_Count`.
    elb_4xx Elb4xx,
    /// `HTTPCode_ELB_5XX_Count`.
    elb_5xx Elb5xx,
    /// `HTTPCode_ELB_500_Count`.
    elb_500 Elb500,
    /// `HTTPCode_ELB_502_Count`.
    elb_502 Elb502,
    /// `HTTPCode_ELB_503_Count`.
    elb_503 Elb503,
    /// `HTTPCode_ELB_504_Count`.
    elb_504 Elb504,
    /// `HTTPCode_Target_2XX_Count`.
    target_2xx Target2xx,
    /// `HTTPCode_Target_3XX_Count`.
    target_3xx Target3xx,
    /// `HTTPCode_Target_4XX_Count`.
    target_4xx Target4xx,
    /// `HTTPCode_Target_5XX_Count`.
    target_5xx Target5xx,
    /// `TargetConnectionErrorCount`: targets that could not be connected to.
    target_connection_errors TargetConnectionErrors,
    /// Connections reset, by whomever.
    resets Resets,
    /// Relayed connections that the client reset: `TCP_Client_Reset_Count`.
    client_resets ClientResets,
    /// Relayed connections that the server reset or refused: `TCP_Target_Reset_Count`.
    target_resets TargetResets,
    /// Relayed connections that were reset in between: `TCP_ELB_Reset_Count`.
    elb_resets ElbResets,
    /// Bytes relayed, both ways.
    bytes Bytes,
}

impl Traffic {
    /// Connections that were accepted and have not ended.
    pub fn open(&self) -> u64 {
        self.connections.saturating_sub(self.connections_ended)
    }

    /// Connections from an ALB's node to targets that have not ended.
    pub fn open_to_targets(&self) -> u64 {
        let ended = self.target_connections_ended;
        self.target_connections.saturating_sub(ended)
    }
}

/// The numbers that one core counts; on cache lines of its own, so that cores do not take them from each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Cell([AtomicU64; COUNTS]);

/// The counters of one subject.
#[derive(Debug)]
pub(crate) struct Counters {
    cores: Box<[Cell]>,
    /// How long its answers took, of a target group.
    times: Option<Box<[TimesCell]>>,
}

impl Counters {
    fn new(cores: usize, timed: bool) -> Self {
        Self {
            cores: (0..cores).map(|_| Cell::default()).collect(),
            times: timed.then(|| (0..cores).map(|_| TimesCell::default()).collect()),
        }
    }

    /// Counts one.
    pub(crate) fn add(&self, core: usize, count: Count) {
        self.add_many(core, count, 1);
    }

    /// Counts some.
    pub(crate) fn add_many(&self, core: usize, count: Count, some: u64) {
        if let Some(cell) = self.cores.get(core) {
            cell.0[count as usize].fetch_add(some, Ordering::Relaxed);
        }
    }

    /// Counts a time that an answer took.
    pub(crate) fn took(&self, core: usize, time: Duration) {
        if let Some(cell) = self.times.as_ref().and_then(|cells| cells.get(core)) {
            cell.add(time);
        }
    }

    fn sum(&self, count: Count) -> u64 {
        let cores = self.cores.iter();
        cores
            .map(|cell| cell.0[count as usize].load(Ordering::Relaxed))
            .sum()
    }
}

/// Counts of a connection at one subject, by the core that serves it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter<'a> {
    pub(crate) counters: &'a Counters,
    pub(crate) core: usize,
}

impl Meter<'_> {
    /// Counts bytes that have passed.
    pub(crate) fn passed(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.counters.add_many(self.core, Count::Bytes, bytes);
    }
}

/// The counters of all subjects.
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
        let timed = matches!(subject, Subject::TargetGroup(..));
        let mut subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = subjects
            .entry(subject)
            .or_insert_with(|| Arc::new(Counters::new(self.cores, timed)));
        Arc::clone(counters)
    }

    /// Forgets the subjects that nobody counts at any more: what came and went must not take memory for ever.
    pub(crate) fn forget_unused(&self) {
        let mut subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        subjects.retain(|_, counters| Arc::strong_count(counters) > 1);
    }

    /// The sums of all cores.
    pub(crate) fn traffic(&self) -> BTreeMap<Subject, Traffic> {
        let subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        subjects
            .iter()
            .map(|(subject, counters)| (subject.clone(), counters.traffic()))
            .collect()
    }

    /// How long answers took, of every subject that has any.
    pub(crate) fn times(&self) -> BTreeMap<Subject, Times> {
        let subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        let timed = subjects.iter().filter_map(|(subject, counters)| {
            let times = counters.times.as_ref()?;
            Some((subject.clone(), Times::of(times)))
        });
        timed.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_counts_at_a_subject_keeps_it() {
        let ledger = Ledger::new(1);
        let kept = ledger.counters(Subject::Resolver);
        drop(ledger.counters(Subject::Eni("web-1".into())));
        ledger.forget_unused();
        let subjects: Vec<Subject> = ledger.traffic().into_keys().collect();
        assert_eq!(subjects, [Subject::Resolver]);
        drop(kept);
    }

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
