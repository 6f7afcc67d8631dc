//! What hosts say of themselves that nobody decides by: numbers for who measures.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use topologies::id::InstanceId;
use topologies::time::Time;

use crate::engines::postgres;
use crate::engines::redis;

/// The numbers of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Of a database host.
    Database {
        /// Connections of who follows it.
        followers: u64,
        /// How old what it replayed last is, of a follower.
        replica_lag: Option<Duration>,
    },
    /// Of a cache node.
    Cache {
        /// Who follows it, and how long ago each confirmed the stream, in whole seconds.
        followers: Vec<(Ipv4Addr, Option<u64>)>,
    },
}

/// The last numbers of every host, and when they were told.
#[derive(Debug, Default)]
pub struct Figures(Mutex<BTreeMap<InstanceId, (Time, Figure)>>);

impl Figures {
    /// Those that were told since a moment; older ones are forgotten.
    pub fn since(&self, moment: Time) -> BTreeMap<InstanceId, Figure> {
        // Every change is one step.
        let mut figures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        figures.retain(|_, (told, _)| *told >= moment);
        let figures = figures.iter();
        figures
            .map(|(instance, (_, figure))| (instance.clone(), figure.clone()))
            .collect()
    }

    pub(super) fn database(&self, host: &InstanceId, probe: &postgres::DbProbe, now: Time) {
        if let postgres::DbProbe::Answered(status) = probe {
            let figure = Figure::Database {
                followers: u64::try_from(status.peers.len()).unwrap_or(u64::MAX),
                replica_lag: status.replica_lag,
            };
            self.note(host, figure, now);
        }
    }

    pub(super) fn cache(&self, node: &InstanceId, probe: &redis::CacheProbe, now: Time) {
        if let redis::CacheProbe::Answered(status) = probe {
            let followers = status.replicas.iter();
            let followers = followers.map(|replica| (replica.address, replica.lag));
            let followers = followers.collect();
            self.note(node, Figure::Cache { followers }, now);
        }
    }

    fn note(&self, host: &InstanceId, figure: Figure, now: Time) {
        let mut figures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match figures.get_mut(host) {
            Some(known) => *known = (now, figure),
            None => {
                figures.insert(host.clone(), (now, figure));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_get_old() {
        let figures = Figures::default();
        let figure = Figure::Cache {
            followers: Vec::new(),
        };
        figures.note(&"old".into(), figure.clone(), Time::from_millis(1));
        figures.note(&"new".into(), figure, Time::from_millis(5));
        let names = |since| {
            let known = figures.since(Time::from_millis(since)).into_keys();
            known.map(|id| id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(0), ["new", "old"]);
        assert_eq!(names(5), ["new"]);
        assert_eq!(
            names(0),
            ["new"],
            "what was too old for one is gone for all"
        );
    }
}
