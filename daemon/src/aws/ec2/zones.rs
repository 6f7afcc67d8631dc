//! Regions and Availability Zones, and what the account is by default.

use serde_json::Value;
use topologies::topology::{Region, Zone};
use wire::{Call, Fault, Record};

use super::filter::{self, Shown};
use crate::aws::input::texts;
use crate::aws::{View, ids};

pub(super) fn describe_regions(
    view: &View<'_>,
    _: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let asked = texts(input, "RegionNames");
    let there = |name: &&&str| {
        let mut regions = view.topology().regions.iter();
        regions.any(|region| region.id.as_str() == **name)
    };
    if let Some(lost) = asked.iter().find(|name| !there(name)) {
        let text = format!("Invalid region name: {lost}");
        return Err(Fault::sender("InvalidParameterValue", text));
    }
    let regions = view.topology().regions.iter();
    let regions = regions.filter(|it| asked.is_empty() || asked.contains(&it.id.as_str()));
    let regions = regions.map(|region| {
        let record = Record::new()
            .set("RegionName", region.id.as_str())
            .set(
                "Endpoint",
                format!("ec2.{}.{}", region.id, view.topology().suffix),
            )
            .set("OptInStatus", "opt-in-not-required");
        Shown {
            id: region.id.to_string(),
            group: String::new(),
            record,
        }
    });
    let kept = filter::keep(input, regions.collect())?;
    Ok(Record::new().list("Regions", kept.into_iter().map(|it| it.record)))
}

pub(super) fn describe_availability_zones(
    view: &View<'_>,
    _: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let zones = view.here().into_iter().flat_map(|region| {
        let zones = region.zones.iter();
        zones.map(move |zone| (zone.id.as_str(), ids::zone(&zone.id), region, zone))
    });
    let mut zones: Vec<(&str, String, &Region, &Zone)> = zones.collect();
    let (names, numbers) = (texts(input, "ZoneNames"), texts(input, "ZoneIds"));
    let unknown = |asked: &&&str| {
        let mut all = zones.iter();
        !all.any(|(name, id, ..)| name == *asked || id == *asked)
    };
    if let Some(lost) = names.iter().chain(&numbers).find(unknown) {
        let text = format!("Invalid availability zone: [{lost}]");
        return Err(Fault::sender("InvalidParameterValue", text));
    }
    zones.retain(|(name, id, ..)| {
        (names.is_empty() || names.contains(name))
            && (numbers.is_empty() || numbers.contains(&id.as_str()))
    });
    let shown = zones.into_iter().map(|(name, id, region, zone)| Shown {
        id: name.to_owned(),
        group: String::new(),
        record: Record::new()
            .set("ZoneName", name)
            .set("ZoneId", id)
            .set("RegionName", region.id.as_str())
            .set("GroupName", format!("{}-zg-1", region.id))
            .set("NetworkBorderGroup", region.id.as_str())
            .set("ZoneType", "availability-zone")
            .set("OptInStatus", "opt-in-not-required")
            .set("State", state(view, zone))
            .list("Messages", Vec::<Value>::new()),
    });
    let kept = filter::keep(input, shown.collect())?;
    Ok(Record::new().list("AvailabilityZones", kept.into_iter().map(|it| it.record)))
}

/// `unavailable` while the zone is lost, as `localaws status` tells it.
fn state(view: &View<'_>, zone: &Zone) -> &'static str {
    let mut faults = view.world.faults.values();
    let lost = faults.any(|it| it.kind == "kill-az" && it.target == zone.id.as_str());
    if lost { "unavailable" } else { "available" }
}

/// What is so of every account since EC2-Classic is gone.
pub(super) fn describe_account_attributes(
    view: &View<'_>,
    _: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let asked = texts(input, "AttributeNames");
    let vpc = view
        .here()
        .map_or("none".to_owned(), |_| ids::vpc(view.region));
    let attributes = [
        ("supported-platforms", "VPC"),
        ("default-vpc", vpc.as_str()),
    ];
    let attributes = attributes
        .iter()
        .filter(|(name, _)| asked.is_empty() || asked.contains(name));
    let attributes = attributes.map(|(name, value)| {
        let value = Record::new().set("AttributeValue", *value);
        Record::new()
            .set("AttributeName", *name)
            .list("AttributeValues", [value])
    });
    Ok(Record::new().list("AccountAttributes", attributes))
}
