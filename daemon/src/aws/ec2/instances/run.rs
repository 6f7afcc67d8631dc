//! RunInstances: new instances of a program that the stack has.

use serde_json::Value;
use topologies::edit::Edit;
use topologies::event::EventKind;
use topologies::id::{InstanceId, RegionId, SecurityGroupId, ServiceId, ZoneId};
use topologies::security_group;
use topologies::topology::{Member, Service};
use wire::{Fault, Record};

use super::shown::{common, record, reservation};
use super::{INSTANCE_TYPE, LAUNCHED, PENDING, state};
use crate::aws::ec2::{security_groups, tags};
use crate::aws::input::{not_implemented, texts};
use crate::aws::security_groups::{default_group, give};
use crate::aws::{Change, Decision, View, ids};

/// Instances of one RunInstances at most: the addresses of a zone.
const COUNT_MAX: i64 = 240;

pub(in crate::aws::ec2) fn run(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (min, max) = (count(&input["MinCount"]), count(&input["MaxCount"]));
    if min < 1 || max < min || max > COUNT_MAX {
        let text = format!(
            "Value ({max}) for parameter MaxCount is invalid: 1 to {COUNT_MAX}, not less than MinCount."
        );
        return Err(Fault::sender("InvalidParameterValue", text));
    }
    if let Some(token) = input["ClientToken"].as_str()
        && let Some(launched) = launched_by(view, token)
    {
        return Ok((launched, Vec::new()));
    }
    let image = input["ImageId"].as_str().unwrap_or_default();
    let mut services = view.topology().services.iter();
    let Some(template) = services.find(|service| ids::image(service) == image) else {
        let text = format!("The image id '[{image}]' does not exist");
        return Err(Fault::sender("InvalidAMIID.NotFound", text));
    };
    let zone = zone(view, input)?;
    let groups = groups(view, input)?;
    let reservation_id = format!("r-{}", view.draw("reservation", 17));
    let members: Vec<Member> = (0..max)
        .map(|index| Member {
            id: InstanceId::from(format!("i-{}", view.draw(&format!("instance {index}"), 17))),
            zone: zone.clone(),
        })
        .collect();
    let service = Service {
        id: ServiceId::from(reservation_id.as_str()),
        instances: members.clone(),
        ..template.clone()
    };
    let mut changes = vec![Change::Note(EventKind::TopologyEdited {
        by: "ec2:RunInstances".to_owned(),
        edits: vec![Edit::PutService(Box::new(service))],
    })];
    let (default, _) = default_group(&RegionId::from(view.region));
    let mut instances = Vec::new();
    for (index, member) in members.iter().enumerate() {
        changes.extend(launch(view, input, member, index, &reservation_id));
        if let Some(groups) = &groups {
            let member = security_group::Guarded::Instance(member.id.clone());
            changes.push(give(view, member, groups.clone()));
        }
        let shown = groups.clone().unwrap_or_else(|| vec![default.clone()]);
        let shown = security_groups::identifiers(view, &shown);
        instances.push(pending(view, input, member, index, image).list("SecurityGroups", shown));
    }
    Ok((reservation(view, &reservation_id, instances), changes))
}

/// What is recorded of an instance that is launched: the echoes, and its tags.
fn launch(
    view: &View<'_>,
    input: &Value,
    member: &Member,
    index: usize,
    reservation: &str,
) -> Vec<Change> {
    let attributes = serde_json::json!({
        "InstanceType": kind(input),
        "ClientToken": input["ClientToken"].as_str().unwrap_or_default(),
        "AmiLaunchIndex": index,
        "ReservationId": reservation,
        "LaunchTime": view.now,
    });
    let recorded = EventKind::ResourceRecorded {
        resource: LAUNCHED.to_owned(),
        region: RegionId::from(view.region),
        id: member.id.to_string(),
        attributes,
    };
    let tags = launch_tags(input);
    let tagged = (!tags.is_empty()).then(|| EventKind::TagsChanged {
        arn: tags::arn(view, "instance", member.id.as_str()),
        tags: tags.into_iter().collect(),
    });
    [Some(recorded), tagged]
        .into_iter()
        .flatten()
        .map(Change::Note)
        .collect()
}

/// What is said of an instance whose address is not known yet.
fn pending(view: &View<'_>, input: &Value, member: &Member, index: usize, image: &str) -> Record {
    let tags = launch_tags(input);
    let tags = tags.iter().map(|(key, value)| tag(key, value));
    common(view, member.id.as_str(), &member.zone, kind(input), PENDING)
        .set("ImageId", image)
        .set("AmiLaunchIndex", index)
        .maybe("ClientToken", input["ClientToken"].as_str())
        .time("LaunchTime", view.now)
        .list("Tags", tags)
}

fn tag(key: &str, value: &str) -> Record {
    Record::new().set("Key", key).set("Value", value)
}

fn launch_tags(input: &Value) -> Vec<(String, String)> {
    let specifications = input["TagSpecifications"].as_array().into_iter().flatten();
    let own = specifications.filter(|it| it["ResourceType"] == "instance");
    let tags = own.flat_map(|it| it["Tags"].as_array().into_iter().flatten());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    tags.map(|tag| (text(&tag["Key"]), text(&tag["Value"])))
        .collect()
}

fn kind(input: &Value) -> &str {
    input["InstanceType"].as_str().unwrap_or(INSTANCE_TYPE)
}

fn count(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// Where to run: the zone, or that of the subnet, that was named; else the region's first.
pub(super) fn zone(view: &View<'_>, input: &Value) -> Result<ZoneId, Fault> {
    let zones = view.here().map(|region| region.zones.as_slice());
    let zones = zones.unwrap_or_default();
    let placement = input["Placement"]["AvailabilityZone"].as_str();
    let interface = &input["NetworkInterfaces"][0];
    let subnet = input["SubnetId"].as_str();
    let subnet = subnet.or_else(|| interface["SubnetId"].as_str());
    let found = zones.iter().find(|zone| {
        placement.is_none_or(|named| zone.id.as_str() == named)
            && subnet.is_none_or(|named| ids::subnet(&zone.id) == named)
    });
    found
        .map(|zone| zone.id.clone())
        .ok_or_else(|| match (subnet, placement) {
            (Some(subnet), _) => {
                let text = format!("The subnet ID '{subnet}' does not exist");
                Fault::sender("InvalidSubnetID.NotFound", text)
            }
            (None, zone) => {
                let zone = zone.unwrap_or(view.region);
                let text = format!("Value ({zone}) for parameter availabilityZone is invalid.");
                Fault::sender("InvalidParameterValue", text)
            }
        })
}

/// The security groups that were named, of the call or of its network interface; none if nobody named any.
fn groups(view: &View<'_>, input: &Value) -> Result<Option<Vec<SecurityGroupId>>, Fault> {
    let interfaces = input["NetworkInterfaces"].as_array();
    let (mut ids, names) = (
        texts(input, "SecurityGroupIds"),
        texts(input, "SecurityGroups"),
    );
    match interfaces.map(Vec::as_slice).unwrap_or_default() {
        [] => {}
        [_] if !ids.is_empty() || !names.is_empty() => {
            let text = "Network interfaces and an instance-level security groups may not be specified on the same request";
            return Err(Fault::sender("InvalidParameterCombination", text));
        }
        [interface] => ids.extend(texts(interface, "Groups")),
        [_, ..] => {
            return Err(not_implemented(
                "RunInstances with several network interfaces",
            ));
        }
    }
    let found = security_groups::for_interface(view, &ids, &names)?;
    Ok(Some(found).filter(|it| !it.is_empty()))
}

/// The launch that was asked for with this token before ("Ensuring idempotency in Amazon EC2 API requests").
fn launched_by(view: &View<'_>, token: &str) -> Option<Record> {
    let region = RegionId::from(view.region);
    let launches = view.world.account.resources(LAUNCHED, &region);
    let own = launches.filter(|(_, it)| it.attributes["ClientToken"] == token);
    let own: Vec<_> = own.collect();
    let id = own.first()?.1.attributes["ReservationId"].as_str()?;
    let instances = own.iter().filter_map(|(id, _)| {
        let instance = ids::find_instance(view.plan, id)?;
        Some(record(view, instance, state(view, &instance.id)))
    });
    let instances = instances.collect();
    Some(reservation(view, id, instances))
}
