//! An instance as EC2 shows it.

use serde_json::Value;
use topologies::address::ZoneNumber;
use topologies::id::{RegionId, ZoneId};
use topologies::plan::Instance;
use topologies::security_group::Guarded;
use wire::Record;

use super::{INSTANCE_TYPE, LAUNCHED, called, service_of};
use crate::aws::ec2::{security_groups, tags};
use crate::aws::security_groups::of;
use crate::aws::tags::shown;
use crate::aws::{View, ids};

pub(super) fn reservation(view: &View<'_>, id: &str, instances: Vec<Record>) -> Record {
    Record::new()
        .set("ReservationId", id)
        .set("OwnerId", view.account)
        .list("Groups", Vec::<Record>::new())
        .list("Instances", instances)
}

pub(super) fn record(view: &View<'_>, instance: &Instance, state: (i64, &str)) -> Record {
    let id = ids::instance(&instance.id);
    let region = RegionId::from(view.region);
    let launched = view.world.account.resource(LAUNCHED, &region, &id);
    let attribute = |name: &str| launched.map(|it| &it.attributes[name]);
    let kind = attribute("InstanceType").and_then(Value::as_str);
    let since = attribute("LaunchTime").and_then(Value::as_i64);
    let image = service_of(view, instance).map(ids::image);
    let address = instance.address.seen_from(ZoneNumber::OUTSIDE);
    let tags = tags::of(view, "instance", &id, called(instance, &id));
    let groups = of(view.world, &region, &Guarded::Instance(instance.id.clone()));
    common(
        view,
        &id,
        &instance.zone,
        kind.unwrap_or(INSTANCE_TYPE),
        state,
    )
    .maybe("ImageId", image)
    .set("PrivateIpAddress", address.to_string())
    .set("PrivateDnsName", dns_name(view, &address.to_string()))
    .set(
        "AmiLaunchIndex",
        attribute("AmiLaunchIndex")
            .cloned()
            .unwrap_or(Value::from(0)),
    )
    .maybe("ClientToken", attribute("ClientToken").cloned())
    .time("LaunchTime", since.unwrap_or(view.facts.epoch))
    .list(
        "SecurityGroups",
        security_groups::identifiers(view, &groups),
    )
    .list("Tags", shown(&tags))
}

pub(super) fn common(
    view: &View<'_>,
    id: &str,
    zone: &ZoneId,
    kind: &str,
    state: (i64, &str),
) -> Record {
    Record::new()
        .set("InstanceId", id)
        .set("InstanceType", kind)
        .set("State", state_record(state))
        .set("Architecture", "x86_64")
        .set("VirtualizationType", "hvm")
        .set("RootDeviceType", "ebs")
        .set("Monitoring", Record::new().set("State", "disabled"))
        .set(
            "Placement",
            Record::new()
                .set("AvailabilityZone", zone.as_str())
                .set("Tenancy", "default"),
        )
        .set("SubnetId", ids::subnet(zone))
        .set("VpcId", ids::vpc(view.region))
}

/// `ip-127-64-1-12.ap-northeast-2.compute.internal` ("Private DNS names for your EC2 instances").
fn dns_name(view: &View<'_>, address: &str) -> String {
    format!(
        "ip-{}.{}.compute.internal",
        address.replace('.', "-"),
        view.region
    )
}

pub(super) fn state_record((code, name): (i64, &str)) -> Record {
    Record::new().set("Code", code).set("Name", name)
}
