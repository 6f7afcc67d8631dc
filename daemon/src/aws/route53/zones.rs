//! Hosted zones: created, told of, deleted.

use serde_json::{Value, json};
use topologies::edit::Edit;
use topologies::event::EventKind;
use topologies::records::domain;
use topologies::topology::HostedZone;
use wire::{Call, Fault, Record};

use super::pages::{self, PAGE_MAX};
use super::records::{count_of, is_required};
use super::{dotted, find_zone, nowhere, order, propagation, tags, zone_id};
use crate::aws::input::{only, text};
use crate::aws::{Change, Decision, View, ids};

/// What CreateHostedZone was asked beyond what the topology knows.
const CREATED: &str = "route53:hostedzone";

pub(super) fn get(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let zone = find_zone(view, text(input, "Id").unwrap_or_default())?;
    let shown = Record::new()
        .set("HostedZone", shown(view, zone))
        .set("DelegationSet", delegation_set());
    Ok(match recorded(view, zone, "VPC") {
        Some(vpc) => shown.list("VPCs", [vpc.clone()]),
        None => shown,
    })
}

pub(super) fn count(view: &View<'_>, _: &Call<'_>, _: &Value) -> Result<Record, Fault> {
    let count = view.topology().hosted_zones.len();
    Ok(Record::new().set("HostedZoneCount", count))
}

pub(super) fn list(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let private = text(input, "HostedZoneType") == Some("PrivateHostedZone");
    let zones = view.topology().hosted_zones.iter();
    let zones = zones.filter(|zone| !private || recorded(view, zone, "VPC").is_some());
    let zones = zones.map(|zone| (zone_id(zone), zone)).collect();
    let shown = |zone: &&HostedZone| shown(view, zone);
    pages::by_id(view, call, input, zones, ("HostedZones", shown))
}

/// In the order of names, from a name on.
pub(super) fn list_by_name(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let size = pages::size(view, input, PAGE_MAX)?;
    let from = text(input, "DNSName").map(|name| name.trim_end_matches('.').to_ascii_lowercase());
    let mut zones: Vec<&HostedZone> = view.topology().hosted_zones.iter().collect();
    zones.sort_by_key(|zone| order(&zone.name));
    zones.retain(|zone| {
        from.as_ref()
            .is_none_or(|from| order(&zone.name) >= order(from))
    });
    let next = pages::cut(&mut zones, size);
    let next_name = next.map(|zone| dotted(&zone.name));
    Ok(Record::new()
        .list(
            "HostedZones",
            zones.into_iter().map(|zone| shown(view, zone)),
        )
        .maybe("DNSName", text(input, "DNSName"))
        .maybe("HostedZoneId", text(input, "HostedZoneId"))
        .set("IsTruncated", next.is_some())
        .maybe("NextDNSName", next_name)
        .maybe("NextHostedZoneId", next.map(zone_id))
        .set("MaxItems", size.to_string()))
}

pub(super) fn create(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let built = ["Name", "CallerReference", "HostedZoneConfig", "VPC"];
    only("CreateHostedZone", input, &built)?;
    let reference = text(input, "CallerReference").unwrap_or_default();
    let zones = &view.topology().hosted_zones;
    if zones
        .iter()
        .any(|zone| caller_reference(view, zone) == reference)
    {
        let text = "A hosted zone has already been created with the specified caller reference.";
        return Err(view.fault("HostedZoneAlreadyExists", text));
    }
    let zone = new_zone(view, text(input, "Name").unwrap_or_default())?;
    let vpc = input.get("VPC").map(|vpc| own_vpc(view, vpc));
    let vpc = vpc.transpose()?;
    let comment = text(&input["HostedZoneConfig"], "Comment");
    let recorded = EventKind::ResourceRecorded {
        resource: CREATED.to_owned(),
        region: nowhere(),
        id: zone.name.clone(),
        attributes: json!({ "CallerReference": reference, "Comment": comment, "VPC": vpc }),
    };
    let edited = EventKind::TopologyEdited {
        by: "route53:CreateHostedZone".to_owned(),
        edits: vec![Edit::PutHostedZone(Box::new(zone.clone()))],
    };
    let id = zone_id(&zone);
    let place = format!(
        "https://route53.{}/2013-04-01/hostedzone/{id}",
        view.topology().suffix
    );
    let output = Record::new()
        .set(
            "HostedZone",
            describe(&zone, reference, comment, vpc.is_some()),
        )
        .set("ChangeInfo", propagation::begun(view, None))
        .set("DelegationSet", delegation_set())
        .maybe("VPC", vpc)
        .set("Location", place);
    Ok((output, vec![Change::Note(recorded), Change::Note(edited)]))
}

fn new_zone(view: &View<'_>, written: &str) -> Result<HostedZone, Fault> {
    let Some(name) = domain(written) else {
        let text = format!("{written} is not a valid domain name");
        return Err(view.fault("InvalidDomainName", text));
    };
    let suffix = &view.topology().suffix;
    if *suffix == name || suffix.ends_with(&format!(".{name}")) {
        let text = format!(
            "{name} would hide the names of the stack's own endpoints, which are under {suffix}"
        );
        return Err(view.fault("InvalidDomainName", text));
    }
    if view
        .topology()
        .hosted_zones
        .iter()
        .any(|zone| zone.name == name)
    {
        let text = format!(
            "There is a hosted zone {name} already, and no name server can tell two apart."
        );
        return Err(view.fault("ConflictingDomainExists", text));
    }
    Ok(HostedZone {
        name,
        records: Vec::new(),
    })
}

fn own_vpc(view: &View<'_>, vpc: &Value) -> Result<Value, Fault> {
    let region = text(vpc, "VPCRegion").unwrap_or(view.region);
    let id = text(vpc, "VPCId").unwrap_or_default();
    let regions = &view.topology().regions;
    let there = regions.iter().any(|it| it.id.as_str() == region);
    if !there || ids::vpc(region) != id {
        let text = format!(
            "The VPC {id} in region {region} that you provided is not authorized to make the association."
        );
        return Err(view.fault("InvalidVPCId", text));
    }
    Ok(json!({ "VPCRegion": region, "VPCId": id }))
}

pub(super) fn delete(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let zone = find_zone(view, text(input, "Id").unwrap_or_default())?;
    if !zone.records.iter().all(|record| is_required(zone, record)) {
        let text = "The specified hosted zone contains non-required resource record sets and so cannot be deleted.";
        return Err(view.fault("HostedZoneNotEmpty", text));
    }
    let edited = EventKind::TopologyEdited {
        by: "route53:DeleteHostedZone".to_owned(),
        edits: vec![Edit::RemoveHostedZone(zone.name.clone())],
    };
    let forgotten = EventKind::ResourceForgotten {
        resource: CREATED.to_owned(),
        region: nowhere(),
        id: zone.name.clone(),
        arn: tags::arn(view, "hostedzone", &zone_id(zone)),
    };
    let output = Record::new().set("ChangeInfo", propagation::begun(view, None));
    Ok((output, vec![Change::Note(edited), Change::Note(forgotten)]))
}

fn recorded<'a>(view: &View<'a>, zone: &HostedZone, name: &str) -> Option<&'a Value> {
    let record = view
        .world
        .account
        .resource(CREATED, &nowhere(), &zone.name)?;
    record.attributes.get(name).filter(|value| !value.is_null())
}

/// A zone of the topology file is its own reference.
fn caller_reference(view: &View<'_>, zone: &HostedZone) -> String {
    let recorded = recorded(view, zone, "CallerReference").and_then(Value::as_str);
    recorded.unwrap_or(&zone.name).to_owned()
}

fn shown(view: &View<'_>, zone: &HostedZone) -> Record {
    let comment = recorded(view, zone, "Comment").and_then(Value::as_str);
    let private = recorded(view, zone, "VPC").is_some();
    describe(zone, &caller_reference(view, zone), comment, private)
}

fn describe(zone: &HostedZone, reference: &str, comment: Option<&str>, private: bool) -> Record {
    let config = Record::new()
        .maybe("Comment", comment)
        .set("PrivateZone", private);
    Record::new()
        .set("Id", format!("/hostedzone/{}", zone_id(zone)))
        .set("Name", dotted(&zone.name))
        .set("CallerReference", reference)
        .set("Config", config)
        .set("ResourceRecordSetCount", count_of(zone))
}

fn delegation_set() -> Record {
    let servers = proxies::dns::NAME_SERVERS.iter();
    Record::new().list(
        "NameServers",
        servers.map(|name| name.trim_end_matches('.')),
    )
}
