//! DB subnet groups: in which zones a DB instance may be placed. There is always the default one, with the default subnets.

use serde_json::{Value, json};
use topologies::event::EventKind;
use topologies::id::{RegionId, ZoneId};
use wire::{Call, Fault, Record, page};

use super::names;
use crate::aws::input::{text, texts};
use crate::aws::{Change, Decision, View, ids, tags};

/// Under which they are recorded.
const RECORD: &str = "rds:subgrp";
/// The group of the default VPC.
pub(super) const DEFAULT: &str = "default";
/// "At least one subnet in at least two Availability Zones" (CreateDBSubnetGroup).
const ZONES_MIN: usize = 2;

/// A subnet group.
pub(super) struct Group {
    name: String,
    description: String,
    zones: Vec<ZoneId>,
}

pub(super) fn describe(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let found = match text(input, "DBSubnetGroupName") {
        Some(name) => vec![find(view, name)?],
        None => all(view),
    };
    let page = page(call, input, &found, |group| group.name.as_str())?;
    let shown = page.items.iter().map(|group| record(view, group));
    let mut output = Record::new().list("DBSubnetGroups", shown);
    page.write(&mut output);
    Ok(output)
}

pub(super) fn create(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let name = text(input, "DBSubnetGroupName")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let fits = (1..=255).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_. ".contains(&byte));
    if !fits || name == DEFAULT {
        let text = format!(
            "The parameter DBSubnetGroupName is not a valid identifier: '{name}' must have 1 to 255 letters, digits, periods, \
             underscores, spaces or hyphens, and must not be default."
        );
        return Err(Fault::sender("InvalidParameterValue", text));
    }
    if find(view, &name).is_ok() {
        let text = format!("The DB subnet group '{name}' already exists.");
        return Err(view.fault("DBSubnetGroupAlreadyExistsFault", text));
    }
    let tagged = tags::put(view, &arn(view, &name), tags::read(&input["Tags"]));
    let (output, mut changes) = put(view, input, name)?;
    changes.extend(tagged);
    Ok((output, changes))
}

pub(super) fn modify(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let group = find(view, text(input, "DBSubnetGroupName").unwrap_or_default())?;
    if group.name == DEFAULT {
        let text = "The default DB subnet group can not be modified.";
        return Err(Fault::sender("InvalidParameterValue", text));
    }
    put(view, input, group.name)
}

pub(super) fn delete(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let group = find(view, text(input, "DBSubnetGroupName").unwrap_or_default())?;
    let region = RegionId::from(view.region);
    let account = &view.world.account;
    let mut dbs = names::all(view).into_iter();
    let user = dbs.find(|db| {
        let record = account.resource(names::RECORD, &region, db.id().as_str());
        let own = record.and_then(|it| it.attributes["DBSubnetGroupName"].as_str());
        own.unwrap_or(DEFAULT) == group.name
    });
    if user.is_some() || group.name == DEFAULT {
        let text = format!(
            "Cannot delete the subnet group '{}' because at least one database instance: {} is still using it.",
            group.name,
            user.map_or("(the default)", |it| it.id().as_str())
        );
        return Err(view.fault("InvalidDBSubnetGroupStateFault", text));
    }
    let forgotten = EventKind::ResourceForgotten {
        resource: RECORD.to_owned(),
        region,
        arn: arn(view, &group.name),
        id: group.name,
    };
    Ok((Record::new(), vec![Change::Note(forgotten)]))
}

fn put(view: &View<'_>, input: &Value, name: String) -> Result<Decision, Fault> {
    let zones = subnets(view, input)?;
    let known = find(view, &name).ok();
    let description = text(input, "DBSubnetGroupDescription").map(str::to_owned);
    let group = Group {
        description: description
            .or(known.map(|it| it.description))
            .unwrap_or_default(),
        zones,
        name,
    };
    let recorded = EventKind::ResourceRecorded {
        resource: RECORD.to_owned(),
        region: RegionId::from(view.region),
        id: group.name.clone(),
        attributes: json!({
            "DBSubnetGroupDescription": group.description,
            "Zones": group.zones,
        }),
    };
    let output = Record::new().set("DBSubnetGroup", record(view, &group));
    Ok((output, vec![Change::Note(recorded)]))
}

/// The zones of the subnets that are named, of which there have to be enough.
fn subnets(view: &View<'_>, input: &Value) -> Result<Vec<ZoneId>, Fault> {
    let there = default_zones(view);
    let mut zones = Vec::new();
    for subnet in texts(input, "SubnetIds") {
        let Some(zone) = there.iter().find(|zone| ids::subnet(zone) == subnet) else {
            let text = format!("The subnet ID '{subnet}' does not exist");
            return Err(view.fault("InvalidSubnet", text));
        };
        if !zones.contains(zone) {
            zones.push(zone.clone());
        }
    }
    if zones.len() < ZONES_MIN {
        return Err(view.fault(
            "DBSubnetGroupDoesNotCoverEnoughAZs",
            "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage is too small: add \
             subnets to cover at least 2 AZs.",
        ));
    }
    Ok(zones)
}

fn default_zones(view: &View<'_>) -> Vec<ZoneId> {
    let region = view.here().into_iter();
    region
        .flat_map(|region| &region.zones)
        .map(|zone| zone.id.clone())
        .collect()
}

fn all(view: &View<'_>) -> Vec<Group> {
    let region = RegionId::from(view.region);
    let recorded = view.world.account.resources(RECORD, &region);
    let recorded = recorded.map(|(name, it)| Group {
        name: name.to_owned(),
        description: it.attributes["DBSubnetGroupDescription"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        zones: texts(&it.attributes, "Zones")
            .into_iter()
            .map(ZoneId::from)
            .collect(),
    });
    let default = view.here().map(|_| Group {
        name: DEFAULT.to_owned(),
        description: DEFAULT.to_owned(),
        zones: default_zones(view),
    });
    let mut all: Vec<Group> = recorded.chain(default).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// The one with this name.
pub(super) fn find(view: &View<'_>, name: &str) -> Result<Group, Fault> {
    let name = name.to_ascii_lowercase();
    let found = all(view).into_iter().find(|group| group.name == name);
    found.ok_or_else(|| {
        let text = format!("DB subnet group '{name}' does not exist.");
        view.fault("DBSubnetGroupNotFoundFault", text)
    })
}

/// The zones of the group with this name, or of the default one.
pub(super) fn named(view: &View<'_>, name: Option<&str>) -> Result<Vec<ZoneId>, Fault> {
    match name {
        Some(name) => find(view, name).map(|group| group.zones),
        None => Ok(default_zones(view)),
    }
}

/// As a DB instance shows its group.
pub(super) fn shown(view: &View<'_>, name: &str) -> Option<Record> {
    find(view, name).ok().map(|group| record(view, &group))
}

fn arn(view: &View<'_>, name: &str) -> String {
    view.arn("rds", &format!("subgrp:{name}"))
}

fn record(view: &View<'_>, group: &Group) -> Record {
    let subnets = group.zones.iter().map(|zone| {
        Record::new()
            .set("SubnetIdentifier", ids::subnet(zone))
            .set(
                "SubnetAvailabilityZone",
                Record::new().set("Name", zone.as_str()),
            )
            .set("SubnetOutpost", Record::new())
            .set("SubnetStatus", "Active")
    });
    Record::new()
        .set("DBSubnetGroupName", group.name.as_str())
        .set("DBSubnetGroupDescription", group.description.as_str())
        .set("VpcId", ids::vpc(view.region))
        .set("SubnetGroupStatus", "Complete")
        .list("Subnets", subnets)
        .set("DBSubnetGroupArn", arn(view, &group.name))
        .list("SupportedNetworkTypes", ["IPV4"])
}
