//! Finds a name's records: apexes, wildcards, aliases, chains of CNAMEs. Pure; knows nothing of packets.

use std::net::Ipv4Addr;
use std::time::Duration;

use topologies::address::ZoneNumber;

use crate::dns::select::{Rotation, select};
use crate::routes::{Apex, RecordSet, Routes, Value};

/// CNAMEs and aliases followed for one question; a chain longer than that is a loop.
const HOPS_MAX: usize = 8;

/// The types of record that names have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    A,
    Cname,
    Txt,
    /// Any other: our names have none.
    Other,
}

/// A record's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    A(Ipv4Addr),
    Cname(String),
    Txt(String),
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
    /// The records lead in a circle.
    Loop,
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

/// Answers for `name`, in lower case without the final dot, as seen from `view`.
pub(crate) fn resolve<'a>(
    routes: &'a Routes,
    view: ZoneNumber,
    name: &str,
    wanted: Type,
    rotation: &mut Rotation,
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
        let owner = (hop > 0).then(|| current.clone());
        let step = step(routes, view, &current, wanted, rotation, HOPS_MAX);
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
            Step::Loop => return Resolution::Loop,
        }
    }
    Resolution::Loop
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
    view: ZoneNumber,
    name: &str,
    wanted: Type,
    rotation: &mut Rotation,
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
    let cname = sets.iter().find(|set| type_of(set) == Some(Type::Cname));
    if let Some(set) = cname {
        return match select(set, rotation.next(key)).first() {
            Some(Value::Cname(target)) if wanted == Type::Cname => {
                Step::Records(vec![(set.ttl, Data::Cname(target.clone()))])
            }
            Some(Value::Cname(target)) => Step::Cname(set.ttl, target.to_ascii_lowercase()),
            _ => Step::NoData,
        };
    }
    let Some(set) = sets.iter().find(|set| type_of(set) == Some(wanted)) else {
        return Step::NoData;
    };
    let mut records = Vec::new();
    for value in select(set, rotation.next(key)) {
        match value {
            Value::Host(host) => records.push((set.ttl, Data::A(host.seen_from(view)))),
            Value::Address(address) => records.push((set.ttl, Data::A(*address))),
            Value::Text(text) => records.push((set.ttl, Data::Txt(text.clone()))),
            Value::Cname(_) => {}
            Value::Alias(target) => match aliased(routes, view, target, wanted, rotation, hops) {
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

struct Looped;

/// What an alias's target answers; its names do not show.
fn aliased(
    routes: &Routes,
    view: ZoneNumber,
    target: &str,
    wanted: Type,
    rotation: &mut Rotation,
    hops: usize,
) -> Result<Vec<(Duration, Data)>, Looped> {
    match step(routes, view, target, wanted, rotation, hops - 1) {
        Step::Records(records) => Ok(records),
        Step::Cname(_, further) => {
            aliased_further(routes, view, &further, wanted, rotation, hops - 1)
        }
        Step::NoData | Step::NoName => Ok(Vec::new()),
        Step::Loop => Err(Looped),
    }
}

fn aliased_further(
    routes: &Routes,
    view: ZoneNumber,
    target: &str,
    wanted: Type,
    rotation: &mut Rotation,
    hops: usize,
) -> Result<Vec<(Duration, Data)>, Looped> {
    if hops == 0 {
        return Err(Looped);
    }
    aliased(routes, view, target, wanted, rotation, hops)
}

/// The type of a set: its values are all of one. An alias stands for addresses.
fn type_of(set: &RecordSet) -> Option<Type> {
    let value = set.candidates.iter().flat_map(|it| &it.values).next()?;
    Some(match value {
        Value::Host(_) | Value::Address(_) | Value::Alias(_) => Type::A,
        Value::Cname(_) => Type::Cname,
        Value::Text(_) => Type::Txt,
    })
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
mod tests {
    use std::collections::BTreeMap;

    use topologies::address::{HostAddress, Slot};

    use super::*;
    use crate::routes::{Candidate, Policy};

    fn set(values: Vec<Value>) -> RecordSet {
        RecordSet {
            ttl: Duration::from_secs(5),
            policy: Policy::Simple,
            candidates: vec![Candidate {
                healthy: true,
                failover: None,
                values,
            }],
        }
    }

    fn host() -> HostAddress {
        HostAddress {
            slot: Slot::new(100).unwrap(),
            zone: ZoneNumber::zone(2).unwrap(),
            host: 7,
        }
    }

    fn routes() -> Routes {
        let cname = |name: &str| vec![set(vec![Value::Cname(name.into())])];
        let alias = |name: &str| vec![set(vec![Value::Alias(name.into())])];
        let apex = |name: &str| Apex {
            name: name.into(),
            soa_minimum: Duration::from_secs(9),
        };
        Routes {
            apexes: vec![apex("internal"), apex("shop.internal")],
            names: BTreeMap::from([
                (
                    "db.eu.internal".into(),
                    vec![set(vec![Value::Host(host())])],
                ),
                ("shop.internal".into(), alias("db.eu.internal")),
                ("www.shop.internal".into(), cname("DB.eu.internal")),
                ("out.shop.internal".into(), cname("example.org")),
                ("gone.shop.internal".into(), cname("nothing.shop.internal")),
                ("a.shop.internal".into(), cname("b.shop.internal")),
                ("b.shop.internal".into(), cname("a.shop.internal")),
                ("x.shop.internal".into(), alias("y.shop.internal")),
                ("y.shop.internal".into(), alias("x.shop.internal")),
                ("via.shop.internal".into(), alias("www.shop.internal")),
                (
                    "t.shop.internal".into(),
                    vec![set(vec![Value::Text("v=1".into())])],
                ),
                (
                    "*.w.shop.internal".into(),
                    vec![set(vec![Value::Host(host())])],
                ),
                (
                    "own.w.shop.internal".into(),
                    vec![set(vec![Value::Text("own".into())])],
                ),
            ]),
            ..Routes::default()
        }
    }

    fn check(name: &str, wanted: Type, expected: &str) {
        let routes = routes();
        let mut rotation = Rotation::default();
        let view = ZoneNumber::zone(1).unwrap();
        let records = |found: &[Found]| {
            let line = |it: &Found| {
                let name = it.name.as_deref().unwrap_or("@");
                match &it.data {
                    Data::A(address) => format!("{name} A {address}"),
                    Data::Cname(target) => format!("{name} CNAME {target}"),
                    Data::Txt(text) => format!("{name} TXT {text}"),
                }
            };
            found.iter().map(line).collect::<Vec<_>>().join(", ")
        };
        let found = match resolve(&routes, view, name, wanted, &mut rotation) {
            Resolution::Found(found) => records(&found),
            Resolution::NoData(found, apex) => {
                format!("{} no data in {}", records(&found), apex.name)
            }
            Resolution::NoName(found, apex) => {
                format!("{} no name in {}", records(&found), apex.name)
            }
            Resolution::NotOurs => "not ours".to_owned(),
            Resolution::Loop => "loop".to_owned(),
        };
        assert_eq!(found.trim_start(), expected, "{name} {wanted:?}");
    }

    #[test]
    fn addresses_are_those_seen_from_the_view() {
        check("db.eu.internal", Type::A, "@ A 127.100.18.7");
    }

    #[test]
    fn aliases_show_no_other_name() {
        check("shop.internal", Type::A, "@ A 127.100.18.7");
        check("via.shop.internal", Type::A, "@ A 127.100.18.7");
        check("x.shop.internal", Type::A, "loop");
    }

    #[test]
    fn cnames_are_followed_as_far_as_they_are_ours() {
        check(
            "www.shop.internal",
            Type::A,
            "@ CNAME db.eu.internal, db.eu.internal A 127.100.18.7",
        );
        check("www.shop.internal", Type::Cname, "@ CNAME DB.eu.internal");
        check("out.shop.internal", Type::A, "@ CNAME example.org");
        check(
            "gone.shop.internal",
            Type::A,
            "@ CNAME nothing.shop.internal no name in shop.internal",
        );
        check("a.shop.internal", Type::A, "loop");
    }

    #[test]
    fn what_is_missing_is_missing_in_the_right_way() {
        check("db.eu.internal", Type::Other, "no data in internal");
        check("eu.internal", Type::A, "no data in internal");
        check("internal", Type::A, "no data in internal");
        check("t.shop.internal", Type::A, "no data in shop.internal");
        check("t.shop.internal", Type::Txt, "@ TXT v=1");
        check("no.shop.internal", Type::A, "no name in shop.internal");
        check("example.org", Type::A, "not ours");
        check("notshop.example", Type::A, "not ours");
        check("xinternal", Type::A, "not ours");
    }

    #[test]
    fn wildcards_cover_what_does_not_exist() {
        check("any.w.shop.internal", Type::A, "@ A 127.100.18.7");
        check("a.b.w.shop.internal", Type::A, "@ A 127.100.18.7");
        check("own.w.shop.internal", Type::A, "no data in shop.internal");
        check(
            "below.own.w.shop.internal",
            Type::A,
            "no name in shop.internal",
        );
        check("w.shop.internal", Type::A, "no data in shop.internal");
    }
}
