//! What is wrong with a zone's records beside each other, in Route 53's words as far as they are known.

use std::collections::{BTreeMap, BTreeSet};

use topologies::records::{Clash, Node, SET_MAX, circles, clashes};
use topologies::topology::{HostedZone, Record as Own, RecordType, RecordValue, Routing};

use super::super::{dotted, zone_id};

type Sets<'a> = BTreeMap<(&'a str, RecordType), Vec<&'a Own>>;

/// Everything that is wrong.
pub(super) fn together(zone: &HostedZone, records: &[Own]) -> Vec<String> {
    let mut sets = Sets::new();
    for record in records {
        let key = (record.name.as_str(), record.value.kind());
        sets.entry(key).or_default().push(record);
    }
    let mut wrong = Vec::new();
    for ((name, kind), set) in &sets {
        if *kind == RecordType::Cname {
            wrong.extend(cname(zone, name, &sets));
        }
        let clashes = clashes(set).into_iter();
        wrong.extend(clashes.map(|(at, clash)| told(set[at], set[0], clash)));
    }
    let circles = circles(records.iter());
    let aliases = records.iter();
    wrong.extend(aliases.filter_map(|it| alias(zone, &sets, &circles, it)));
    wrong
}

/// A CNAME stands alone, and not at the apex.
fn cname(zone: &HostedZone, name: &str, sets: &Sets<'_>) -> Option<String> {
    let (shown, apex) = (dotted(name), dotted(&zone.name));
    if name == zone.name {
        return Some(format!(
            "RRSet of type CNAME with DNS name {shown} is not permitted at apex in zone {apex}"
        ));
    }
    let mut others = sets.keys();
    let others = others.any(|(other, it)| *other == name && *it != RecordType::Cname);
    others.then(|| {
        format!(
            "RRSet of type CNAME with DNS name {shown} is not permitted as it conflicts with other records with the same DNS name in zone {apex}"
        )
    })
}

fn told(record: &Own, first: &Own, clash: Clash) -> String {
    let (shown, kind) = (dotted(&record.name), record.value.kind().as_str());
    let id = record.set_identifier.as_deref().unwrap_or("null");
    let of_set = format!("RRSet with DNS name {shown}, type {kind}, SetIdentifier {id}");
    match clash {
        Clash::Alone => format!(
            "RRSet with DNS name {shown}, type {kind} cannot be created as other RRSets exist with the same name and type."
        ),
        Clash::Policy if Routing::Simple == record.routing || Routing::Simple == first.routing => {
            format!("{of_set} cannot be created as other RRSets exist with the same name and type.")
        }
        Clash::Policy if record.routing == Routing::MultiValue => format!(
            "{of_set} cannot be created because a non multivalue answer rrset exists with the same name and type."
        ),
        Clash::Policy => {
            let policy = record.routing.policy();
            format!(
                "{of_set} cannot be created as a non-{policy} set exists with the same name and type."
            )
        }
        Clash::NoIdentifier => format!("{of_set} has no set identifier"),
        Clash::Identifier => format!("{of_set} is there twice"),
        Clash::Same => {
            let policy = record.routing.policy();
            format!(
                "{of_set} cannot be created as a {policy} set for the same exists with the same name and type."
            )
        }
        Clash::Ttl => format!(
            "RRSet with DNS name {shown} and type {kind}, SetIdentifier {id} cannot be created as weighted sets must contain the same TTL."
        ),
        Clash::Collection => format!(
            "{of_set} cannot be created as a set of another CIDR collection exists with the same name and type."
        ),
        Clash::Many => {
            format!(
                "{of_set} cannot be created as {SET_MAX} RRSets exist with the same name and type."
            )
        }
        Clash::Type => {
            format!("{of_set} cannot be created as a multivalue answer has another type.")
        }
    }
}

/// What is wrong with where a record leads as an alias.
fn alias(
    zone: &HostedZone,
    sets: &Sets<'_>,
    circles: &BTreeSet<Node<'_>>,
    record: &Own,
) -> Option<String> {
    let RecordValue::AliasRecord { name, kind, .. } = &record.value else {
        return None;
    };
    let target = format!(
        "Tried to create an alias that targets {}, type {} in zone {}",
        dotted(name),
        kind.as_str(),
        zone_id(zone)
    );
    if !sets.contains_key(&(name.as_str(), *kind)) {
        return Some(format!("{target}, but that target was not found"));
    }
    let round = circles.contains(&(record.name.as_str(), *kind));
    round.then(|| format!("{target}, but that leads back to the alias itself"))
}
