//! What happened in a drill, as handed in by whoever ran it: the faults, what the clients saw, what was found afterwards.

use serde::{Deserialize, Serialize};
use topologies::id::FaultId;
use topologies::time::Time;

use crate::blast_radius::Consequence;
use crate::budget::Window;
use crate::drill::Traffic;
use crate::fault::Fault;
use crate::ledger::{Key, Ledger};

/// A drill that is over.
#[derive(Clone, Debug)]
pub struct History {
    /// When the clients began.
    pub began: Time,
    /// When they had ended and everything was healed.
    pub ended: Time,
    /// The faults, in the order of their injection.
    pub faults: Vec<FaultSpan>,
    /// One per endpoint that clients used.
    pub endpoints: Vec<EndpointHistory>,
    /// Every time that a resource lost or regained its redundancy, in order.
    pub redundancy: Vec<Redundancy>,
    /// Stretches in which the emulator itself was gone, from the last that was told to the moment at which its control plane went on.
    pub restarts: Vec<Window>,
    /// Why it ended before its time, if it did; nothing is judged then.
    pub cut_short: Option<String>,
}

/// A fault from its injection to its heal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FaultSpan {
    /// Its identifier.
    pub id: FaultId,
    /// The fault, resolved.
    pub fault: Fault,
    /// When it was in force.
    pub from: Time,
    /// When it was healed; the moment of its injection for a kill, none for a fault that was never healed.
    pub to: Option<Time>,
    /// What it was said to hit.
    pub consequences: Vec<Consequence>,
    /// The timeline's number of its injection, if there is a timeline.
    pub injected_seq: Option<u64>,
    /// The timeline's number of its heal.
    pub healed_seq: Option<u64>,
}

/// What clients did through an endpoint, and what was found there afterwards.
#[derive(Clone, Debug)]
pub struct EndpointHistory {
    /// The endpoint's identifier.
    pub endpoint: String,
    /// What the clients did.
    pub traffic: Traffic,
    /// Their operations.
    pub ledger: Ledger,
    /// The keys found afterwards.
    pub survivors: Survivors,
}

/// Which keys were found after the drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Survivors {
    /// Nothing was written.
    NothingWritten,
    /// Every key found, in any order; one found twice is given twice.
    Found(Vec<Key>),
    /// The endpoint could not be read, and why.
    Unreadable(String),
}

/// A DB instance or replication group that lost or regained its redundancy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Redundancy {
    /// When.
    pub at: Time,
    /// The DB instance or replication group.
    pub resource: String,
    /// Whether its standby is in sync, its replicas follow.
    pub full: bool,
    /// The timeline's number of it, if there is a timeline.
    pub seq: Option<u64>,
}

/// A moment at which the drill changed the stack's condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disturbance<'a> {
    /// When.
    pub at: Time,
    /// Which fault.
    pub fault: &'a FaultSpan,
    /// Injected or healed.
    pub kind: DisturbanceKind,
}

/// How a drill changes a stack's condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DisturbanceKind {
    /// By a fault.
    Injected,
    /// By a fault's end.
    Healed,
}

impl History {
    /// Every injection and every heal of a lasting fault, in order.
    pub fn disturbances(&self) -> Vec<Disturbance<'_>> {
        let mut all: Vec<Disturbance<'_>> = self
            .faults
            .iter()
            .flat_map(|fault| {
                let injected = Disturbance {
                    at: fault.from,
                    fault,
                    kind: DisturbanceKind::Injected,
                };
                let healed = fault.to.filter(|_| fault.fault.lasting());
                let healed = healed.map(|at| Disturbance {
                    at,
                    fault,
                    kind: DisturbanceKind::Healed,
                });
                [Some(injected), healed].into_iter().flatten()
            })
            .collect();
        all.sort_by_key(|disturbance| disturbance.at);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, fault: Fault, from: u64, to: u64) -> FaultSpan {
        FaultSpan {
            id: id.into(),
            fault,
            from: Time::from_millis(from),
            to: Some(Time::from_millis(to)),
            consequences: Vec::new(),
            injected_seq: None,
            healed_seq: None,
        }
    }

    #[test]
    fn a_kill_disturbs_once_and_a_lasting_fault_twice() {
        let instance = || "web-1".into();
        let stop = Fault::Stop {
            instance: instance(),
        };
        let kill = Fault::Kill {
            instance: instance(),
        };
        let history = History {
            began: Time::ZERO,
            ended: Time::from_millis(10),
            faults: vec![span("f1", stop, 1, 5), span("f2", kill, 2, 2)],
            endpoints: Vec::new(),
            redundancy: Vec::new(),
            restarts: Vec::new(),
            cut_short: None,
        };
        let order: Vec<_> = history
            .disturbances()
            .iter()
            .map(|one| (one.fault.id.as_str().to_owned(), one.kind))
            .collect();
        let (f1, f2) = ("f1".to_owned(), "f2".to_owned());
        use DisturbanceKind::{Healed, Injected};
        assert_eq!(
            order,
            [(f1.clone(), Injected), (f2, Injected), (f1, Healed)]
        );
    }
}
