//! CIDR collections: blocks of addresses by locations, which IP-based records go by.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use topologies::edit::Edit;
use topologies::event::EventKind;
use topologies::prefix::Prefix;
use topologies::records::is_cidr_block;
use topologies::topology::CidrCollection;
use wire::{Call, Fault, Record};

use super::{nowhere, propagation};
use crate::aws::input::{text, texts};
use crate::aws::{Change, Decision, View, ids};

/// What CreateCidrCollection was asked beyond what the topology knows, and how often the collection was changed.
const CREATED: &str = "route53:cidrcollection";
/// Collections of an account, and blocks of a collection, at most ("Quotas").
const COLLECTIONS_MAX: usize = 5;
const BLOCKS_MAX: usize = 1_000;
/// Items of a page at most.
const PAGE_MAX: usize = 100;

/// The id of the collection of a name.
pub(super) fn id_of(name: &str) -> String {
    ids::hyphenated(&ids::digits("cidrcollection", name, 32))
}

/// The collection of an id.
pub(super) fn find<'a>(view: &View<'a>, id: &str) -> Option<&'a CidrCollection> {
    let mut all = view.topology().cidr_collections.iter();
    all.find(|it| id_of(&it.name) == id)
}

fn named<'a>(view: &View<'a>, id: &str) -> Result<&'a CidrCollection, Fault> {
    find(view, id).ok_or_else(|| {
        let text = format!("The CIDR collection with id {id} does not exist.");
        view.fault("NoSuchCidrCollectionException", text)
    })
}

fn recorded<'a>(view: &View<'a>, name: &str, member: &str) -> Option<&'a Value> {
    let account = &view.world.account;
    let record = account.resource(CREATED, &nowhere(), name)?;
    record.attributes.get(member)
}

fn version(view: &View<'_>, name: &str) -> i64 {
    let recorded = recorded(view, name, "Version").and_then(Value::as_i64);
    recorded.unwrap_or(1)
}

/// A collection of the topology file is its own reference.
fn reference<'a>(view: &View<'a>, collection: &'a CidrCollection) -> &'a str {
    let recorded = recorded(view, &collection.name, "CallerReference");
    recorded.and_then(Value::as_str).unwrap_or(&collection.name)
}

fn shown(view: &View<'_>, name: &str, version: i64) -> Record {
    let id = id_of(name);
    let arn = super::tags::arn(view, "cidrcollection", &id);
    Record::new()
        .set("Arn", arn)
        .set("Id", id)
        .set("Name", name)
        .set("Version", version)
}

fn put(collection: CidrCollection, reference: &str, version: i64, by: &str) -> Vec<Change> {
    let recorded = EventKind::ResourceRecorded {
        resource: CREATED.to_owned(),
        region: nowhere(),
        id: collection.name.clone(),
        attributes: json!({ "CallerReference": reference, "Version": version }),
    };
    let edited = EventKind::TopologyEdited {
        by: by.to_owned(),
        edits: vec![Edit::PutCidrCollection(Box::new(collection))],
    };
    vec![Change::Note(recorded), Change::Note(edited)]
}

pub(super) fn create(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let name = text(input, "Name").unwrap_or_default();
    let asked = text(input, "CallerReference").unwrap_or_default();
    let all = &view.topology().cidr_collections;
    if all
        .iter()
        .any(|it| it.name == name || reference(view, it) == asked)
    {
        let text = format!(
            "A CIDR collection with the name {name} or the same caller reference exists already."
        );
        return Err(view.fault("CidrCollectionAlreadyExistsException", text));
    }
    if all.len() >= COLLECTIONS_MAX {
        let text = format!("The limit of {COLLECTIONS_MAX} CIDR collections is reached.");
        return Err(view.fault("LimitsExceeded", text));
    }
    let place = format!(
        "https://route53.{}/2013-04-01/cidrcollection/{}",
        view.topology().suffix,
        id_of(name)
    );
    let output = Record::new()
        .set("Collection", shown(view, name, 1))
        .set("Location", place);
    let collection = CidrCollection {
        name: name.to_owned(),
        locations: BTreeMap::new(),
    };
    Ok((
        output,
        put(collection, asked, 1, "route53:CreateCidrCollection"),
    ))
}

pub(super) fn change(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let id = text(input, "Id").unwrap_or_default();
    let old = named(view, id)?;
    let version = version(view, &old.name);
    let asked = input["CollectionVersion"].as_i64();
    if asked.is_some_and(|asked| asked != version) {
        let text = format!("The version of the CIDR collection {id} is {version}.");
        return Err(view.fault("CidrCollectionVersionMismatchException", text));
    }
    let mut locations = old.locations.clone();
    for change in input["Changes"].as_array().into_iter().flatten() {
        let location = text(change, "LocationName").unwrap_or_default();
        let puts = text(change, "Action") == Some("PUT");
        for written in texts(change, "CidrList") {
            let block = block(view, written)?;
            let of = |it: &(&String, &Vec<Prefix>)| it.1.contains(&block);
            let holder = locations.iter().find(of).map(|(name, _)| name.clone());
            match (puts, holder) {
                (true, Some(other)) if other != location => {
                    let text =
                        format!("The CIDR block {block} is in the location {other} already.");
                    return Err(view.fault("CidrBlockInUseException", text));
                }
                (true, Some(_)) => {}
                (true, None) => locations
                    .entry(location.to_owned())
                    .or_default()
                    .push(block),
                (false, _) => {
                    if let Some(blocks) = locations.get_mut(location) {
                        blocks.retain(|it| *it != block);
                    }
                }
            }
        }
        // A location without blocks is none, unless records need it.
        let empty = locations.get(location).is_some_and(Vec::is_empty);
        if empty {
            if used(view, &old.name, Some(location)) {
                let text = format!("The location {location} is in use by records.");
                return Err(view.fault("CidrBlockInUseException", text));
            }
            locations.remove(location);
        }
    }
    if locations.values().map(Vec::len).sum::<usize>() > BLOCKS_MAX {
        let text = format!("The limit of {BLOCKS_MAX} blocks of a CIDR collection is reached.");
        return Err(view.fault("LimitsExceeded", text));
    }
    let collection = CidrCollection {
        name: old.name.clone(),
        locations,
    };
    let id = propagation::id(view.now);
    let output = Record::new().set("Id", id);
    let by = "route53:ChangeCidrCollection";
    Ok((
        output,
        put(collection, reference(view, old), version + 1, by),
    ))
}

fn block(view: &View<'_>, written: &str) -> Result<Prefix, Fault> {
    let block = written.parse::<Prefix>().ok();
    block.filter(|it| is_cidr_block(*it)).ok_or_else(|| {
        let text = format!("The CIDR block {written} is not valid: IPv4 blocks are /1 to /24, IPv6 blocks /1 to /48.");
        view.fault("InvalidInput", text)
    })
}

/// Whether records go by a collection, or by one of its locations.
fn used(view: &View<'_>, name: &str, of: Option<&str>) -> bool {
    let zones = view.topology().hosted_zones.iter();
    let records = zones.flat_map(|zone| &zone.records);
    let mut used = records.filter_map(|record| record.routing.cidr());
    used.any(|(collection, location)| collection == name && of.is_none_or(|of| of == location))
}

pub(super) fn delete(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let id = text(input, "Id").unwrap_or_default();
    let collection = named(view, id)?;
    if used(view, &collection.name, None) || !collection.locations.is_empty() {
        let text = format!("The CIDR collection {id} has locations, or is in use by records.");
        return Err(view.fault("CidrCollectionInUseException", text));
    }
    let edited = EventKind::TopologyEdited {
        by: "route53:DeleteCidrCollection".to_owned(),
        edits: vec![Edit::RemoveCidrCollection(collection.name.clone())],
    };
    let forgotten = EventKind::ResourceForgotten {
        resource: CREATED.to_owned(),
        region: nowhere(),
        id: collection.name.clone(),
        arn: super::tags::arn(view, "cidrcollection", id),
    };
    let changes = vec![Change::Note(edited), Change::Note(forgotten)];
    Ok((Record::new(), changes))
}

/// A page of what has keys, in their order; the token is the last key that was shown.
fn page(
    view: &View<'_>,
    input: &Value,
    mut all: Vec<(String, Record)>,
    member: &str,
) -> Result<Record, Fault> {
    let size = match text(input, "MaxResults").map(str::parse::<usize>) {
        None => PAGE_MAX,
        Some(Ok(size)) if (1..=PAGE_MAX).contains(&size) => size,
        Some(Ok(_) | Err(_)) => {
            let text = format!("MaxResults must be from 1 to {PAGE_MAX}");
            return Err(view.fault("InvalidInput", text));
        }
    };
    all.sort_by(|one, other| one.0.cmp(&other.0));
    if let Some(token) = text(input, "NextToken") {
        all.retain(|(key, _)| key.as_str() > token);
    }
    let more = all.len() > size;
    all.truncate(size);
    let last = all.last().map(|(key, _)| key.clone());
    Ok(Record::new()
        .list(member, all.into_iter().map(|(_, record)| record))
        .maybe("NextToken", last.filter(|_| more)))
}

pub(super) fn list(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let all = view.topology().cidr_collections.iter().map(|it| {
        let record = shown(view, &it.name, version(view, &it.name));
        (id_of(&it.name), record)
    });
    page(view, input, all.collect(), "CidrCollections")
}

pub(super) fn locations(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let collection = named(view, text(input, "CollectionId").unwrap_or_default())?;
    let all = collection.locations.keys();
    let all = all.map(|name| {
        (
            name.clone(),
            Record::new().set("LocationName", name.as_str()),
        )
    });
    page(view, input, all.collect(), "CidrLocations")
}

pub(super) fn blocks(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let collection = named(view, text(input, "CollectionId").unwrap_or_default())?;
    let of = text(input, "LocationName");
    if let Some(of) = of.filter(|of| !collection.locations.contains_key(*of)) {
        let text = format!("The CIDR location {of} does not exist.");
        return Err(view.fault("NoSuchCidrLocationException", text));
    }
    let locations = collection.locations.iter();
    let locations = locations.filter(|(name, _)| of.is_none_or(|of| of == *name));
    let all = locations.flat_map(|(name, blocks)| {
        blocks.iter().map(move |block| {
            let record = Record::new()
                .set("CidrBlock", block.to_string())
                .set("LocationName", name.as_str());
            (format!("{name} {block}"), record)
        })
    });
    page(view, input, all.collect(), "CidrBlocks")
}
