//! The default VPC of a region, with one subnet for each zone ("Default VPCs"), and images: what instances can be made of.

use serde_json::Value;
use topologies::address;
use topologies::topology::Service;
use wire::{Call, Fault, Record, page};

use super::filter::{self, Shown};
use super::tags;
use crate::aws::input::texts;
use crate::aws::tags::shown as shown_tags;
use crate::aws::{View, ids};

pub(super) fn describe_vpcs(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let vpcs = view.here().map(|_| {
        let id = ids::vpc(view.region);
        let record = Record::new()
            .set("VpcId", id.as_str())
            .set("State", "available")
            .set("CidrBlock", address::vpc(view.plan.slot).to_string())
            .set("IsDefault", true)
            .set("InstanceTenancy", "default")
            .set("OwnerId", view.account)
            .list("Tags", tagged(view, "vpc", &id));
        shown(id, record)
    });
    let vpcs = vpcs.into_iter().collect();
    list(
        call,
        input,
        "VpcIds",
        ("InvalidVpcID.NotFound", "vpc"),
        "Vpcs",
        vpcs,
    )
}

pub(super) fn describe_subnets(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let lost = ("InvalidSubnetID.NotFound", "subnet");
    list(call, input, "SubnetIds", lost, "Subnets", subnets(view))
}

/// Every subnet of this region.
pub(super) fn subnets(view: &View<'_>) -> Vec<Shown> {
    let zones = view.here().into_iter().flat_map(|region| &region.zones);
    let subnets = zones.map(|zone| {
        let id = ids::subnet(&zone.id);
        let hosts = topologies::plan::occupied(view.topology()).filter(|it| **it == zone.id);
        let free = topologies::plan::HOSTS_PER_ZONE.saturating_sub(hosts.count());
        let block = address::subnet(view.plan.slot, zone.number);
        let record = Record::new()
            .set("SubnetId", id.as_str())
            .set("SubnetArn", view.arn("ec2", &format!("subnet/{id}")))
            .set("VpcId", ids::vpc(view.region))
            .set("State", "available")
            .set("AvailabilityZone", zone.id.as_str())
            .set("AvailabilityZoneId", ids::zone(&zone.id))
            .set("CidrBlock", block.to_string())
            .set("AvailableIpAddressCount", free)
            .set("DefaultForAz", true)
            .set("MapPublicIpOnLaunch", false)
            .set("OwnerId", view.account)
            .list("Tags", tagged(view, "subnet", &id));
        shown(id, record)
    });
    subnets.collect()
}

/// What of the network can have tags.
pub(super) fn ids(view: &View<'_>) -> Vec<(&'static str, String, Option<String>)> {
    let Some(region) = view.here() else {
        return Vec::new();
    };
    let mut all = vec![("vpc", ids::vpc(view.region), None)];
    let subnets = region.zones.iter().map(|zone| ids::subnet(&zone.id));
    all.extend(subnets.map(|id| ("subnet", id, None)));
    for id in view.topology().services.iter().map(ids::image) {
        if !all.iter().any(|it| it.1 == id) {
            all.push(("image", id, None));
        }
    }
    all
}

fn tagged(view: &View<'_>, kind: &str, id: &str) -> Vec<Record> {
    shown_tags(&tags::of(view, kind, id, None))
}

/// One image for each program that some group of instances runs.
pub(super) fn describe_images(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let mut images: Vec<Shown> = Vec::new();
    let services = view.here().map(|_| &view.topology().services);
    for service in services.into_iter().flatten() {
        let id = ids::image(service);
        if images.iter().any(|it| it.id == id) {
            continue;
        }
        let record = Record::new()
            .set("ImageId", id.as_str())
            .set("Name", service.id.as_str())
            .set("Description", description(service))
            .set("State", "available")
            .set("OwnerId", view.account)
            .set("Public", false)
            .set("Architecture", "x86_64")
            .set("ImageType", "machine")
            .set("RootDeviceType", "ebs")
            .set("VirtualizationType", "hvm")
            .list("Tags", tagged(view, "image", &id));
        images.push(shown(id, record));
    }
    let lost = ("InvalidAMIID.NotFound", "image");
    list(call, input, "ImageIds", lost, "Images", images)
}

pub(super) fn shown(id: String, record: Record) -> Shown {
    Shown {
        group: id.clone(),
        id,
        record,
    }
}

/// What an image runs, which is all that is known of it.
fn description(service: &Service) -> String {
    match &service.image {
        Some(image) if service.command.is_empty() => image.clone(),
        Some(_) | None => service.command.join(" "),
    }
}

pub(super) fn list(
    call: &Call<'_>,
    input: &Value,
    asked: &str,
    (code, what): (&'static str, &str),
    member: &str,
    mut all: Vec<Shown>,
) -> Result<Record, Fault> {
    let asked = texts(input, asked);
    let there = |id: &&&str| all.iter().any(|it| it.id == **id);
    if let Some(lost) = asked.iter().find(|id| !there(id)) {
        let text = format!("The {what} ID '{lost}' does not exist");
        return Err(Fault::sender(code, text));
    }
    all.retain(|it| asked.is_empty() || asked.contains(&it.id.as_str()));
    all.sort_by(|one, other| one.id.cmp(&other.id));
    let kept = filter::keep(input, all)?;
    let page = page(call, input, &kept, |it| it.id.as_str())?;
    let records = page.items.iter().map(|it| it.record.clone());
    let mut output = Record::new().list(member, records);
    page.write(&mut output);
    Ok(output)
}
