//! Finds a name's records: apexes, wildcards, aliases, chains of CNAMEs. Pure; knows nothing of packets.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use topologies::topology::RecordType;

use crate::dns::asker::Asker;
use crate::dns::select::{Selection, select};
use crate::routes::{Apex, Policy, RecordSet, Routes, Value};

/// CNAMEs and aliases followed for one question; a chain longer than that is a loop.
const HOPS_MAX: usize = topologies::records::ALIASES_MAX;

/// A record's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    A(Ipv4Addr),
    Cname(String),
    /// Of another type, as packets have them.
    Other(RecordType, Arc<[u8]>),
}

/// A record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its name if it is not the one asked for.
    pub(crate) name: Option<String>,
    pub(crate) ttl: Duration,
    pub(crate) data: Data,
}

/// How a question is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolution<'a> {
    /// With these records.
    Found(Vec<Found>),
    /// The name exists, but has no such record; what led to it comes first.
    NoData(Vec<Found>, &'a Apex),
    /// There is no such name; what led to it comes first.
    NoName(Vec<Found>, &'a Apex),
    /// The name is under none of our apexes.
    NotOurs,
    /// The records lead in a circle, or to name servers that can not be asked from here.
    Lost,
}

/// The most specific apex above `name`.
pub(crate) fn apex_of<'a>(routes: &'a Routes, name: &str) -> Option<&'a Apex> {
    let above = |apex: &&Apex| under(name, &apex.name);
    routes
        .apexes
        .iter()
        .filter(above)
        .max_by_key(|apex| apex.name.len())
}

/// Whether `name` is `apex` or below it.
fn under(name: &str, apex: &str) -> bool {
    name.strip_suffix(apex)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Answers for `name`, in lower case without the final dot. A type that we have no records of is none.
pub(crate) fn resolve<'a>(
    routes: &'a Routes,
    name: &str,
    wanted: Option<RecordType>,
    asker: &mut Asker<'_>,
) -> Resolution<'a> {
    let mut found = Vec::new();
    let mut current = name.to_owned();
    for hop in 0..HOPS_MAX {
        let Some(apex) = apex_of(routes, &current) else {
            // A chain may leave our zones; following it is up to the asker.
            return if hop == 0 {
                Resolution::NotOurs
            } else {
                Resolution::Found(found)
            };
        };
        if delegated(routes, apex, &current, wanted) {
            return Resolution::Lost;
        }
        let owner = (hop > 0).then(|| current.clone());
        let step = step(routes, &current, wanted, asker, HOPS_MAX);
        match step {
            Step::Records(records) => {
                found.extend(records.into_iter().map(|(ttl, data)| Found {
                    name: owner.clone(),
                    ttl,
                    data,
                }));
                return Resolution::Found(found);
            }
            Step::Cname(ttl, target) => {
                found.push(Found {
                    name: owner,
                    ttl,
                    data: Data::Cname(target.clone()),
                });
                current = target;
            }
            Step::NoData => return Resolution::NoData(found, apex),
            Step::NoName => return Resolution::NoName(found, apex),
            Step::Loop => return Resolution::Lost,
        }
    }
    Resolution::Lost
}

/// Whether name servers of its own answer for a name: NS records at or above it, below the apex. What is asked of the delegation
/// itself is ours.
fn delegated(routes: &Routes, apex: &Apex, name: &str, wanted: Option<RecordType>) -> bool {
    let mut above = Some(name);
    while let Some(at) = above.filter(|at| at.len() > apex.name.len()) {
        let sets = routes.names.get(at).into_iter().flatten();
        if sets.into_iter().any(|set| set.kind == RecordType::Ns) {
            let of_itself = [Some(RecordType::Ns), Some(RecordType::Ds)];
            return at != name || !of_itself.contains(&wanted);
        }
        above = at.split_once('.').map(|(_, above)| above);
    }
    false
}

enum Step {
    Records(Vec<(Duration, Data)>),
    Cname(Duration, String),
    NoData,
    NoName,
    Loop,
}

fn step(
    routes: &Routes,
    name: &str,
    wanted: Option<RecordType>,
    asker: &mut Asker<'_>,
    hops: usize,
) -> Step {
    if hops == 0 {
        return Step::Loop;
    }
    let Some((key, sets)) = sets_of(routes, name) else {
        return if exists(routes, name) {
            Step::NoData
        } else {
            Step::NoName
        };
    };
    let of = |kind| sets.iter().find(|set| set.kind == kind);
    if let Some(set) = of(RecordType::Cname) {
        let selection = chosen(set, key, asker);
        return match selection.values.first() {
            Some(Value::Cname(target)) if wanted == Some(RecordType::Cname) => {
                Step::Records(vec![(selection.ttl, Data::Cname(target.clone()))])
            }
            Some(Value::Cname(target)) => Step::Cname(selection.ttl, target.to_ascii_lowercase()),
            _ => Step::NoData,
        };
    }
    let Some(set) = wanted.and_then(of) else {
        return Step::NoData;
    };
    let selection = chosen(set, key, asker);
    let ttl = selection.ttl;
    let mut records = Vec::new();
    for value in selection.values {
        match value {
            Value::Host(host) => records.push((ttl, Data::A(host.seen_from(asker.view)))),
            Value::Address(address) => records.push((ttl, Data::A(*address))),
            Value::Data(data) => records.push((ttl, Data::Other(set.kind, Arc::clone(data)))),
            Value::Cname(_) => {}
            Value::Alias(target) => match aliased(routes, target, wanted, asker, hops) {
                Ok(more) => records.extend(more),
                Err(Looped) => return Step::Loop,
            },
        }
    }
    if records.is_empty() {
        Step::NoData
    } else {
        Step::Records(records)
    }
}

/// What a set answers the asker.
fn chosen<'a>(set: &'a RecordSet, key: &str, asker: &mut Asker<'_>) -> Selection<'a> {
    let chance = asker.rotation.next(key);
    asker.located |= set.policy == Policy::Suited;
    select(set, asker.client, asker.address, chance)
}

struct Looped;

/// What an alias's target answers; its names do not show.
fn aliased(
    routes: &Routes,
    target: &str,
    wanted: Option<RecordType>,
    asker: &mut Asker<'_>,
    hops: usize,
) -> Result<Vec<(Duration, Data)>, Looped> {
    let mut current = target.to_owned();
    for hops in (0..hops).rev() {
        match step(routes, &current, wanted, asker, hops) {
            Step::Records(records) => return Ok(records),
            Step::Cname(_, further) => current = further,
            Step::NoData | Step::NoName => return Ok(Vec::new()),
            Step::Loop => return Err(Looped),
        }
    }
    Err(Looped)
}

/// The record sets of `name` or of the nearest wildcard above it, with the name that they are written under.
fn sets_of<'a>(routes: &'a Routes, name: &str) -> Option<(&'a str, &'a [RecordSet])> {
    let entry = |name: &str| {
        let (key, sets) = routes.names.get_key_value(name)?;
        Some((key.as_str(), sets.as_slice()))
    };
    if let Some(found) = entry(name) {
        return Some(found);
    }
    if exists(routes, name) {
        return None;
    }
    let apex = apex_of(routes, name)?;
    let mut rest = name;
    while let Some((_, above)) = rest.split_once('.') {
        if !under(above, &apex.name) {
            return None;
        }
        if let Some(found) = entry(&format!("*.{above}")) {
            return Some(found);
        }
        // The nearest name that exists keeps wildcards above it away.
        if routes.names.contains_key(above) {
            return None;
        }
        rest = above;
    }
    None
}

/// Whether there is something at or below `name`.
fn exists(routes: &Routes, name: &str) -> bool {
    routes.apexes.iter().any(|apex| under(&apex.name, name))
        || routes.names.keys().any(|key| under(key, name))
}

#[cfg(test)]
mod tests;
