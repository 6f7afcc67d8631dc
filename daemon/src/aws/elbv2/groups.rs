//! Target groups: created, changed, deleted. Targets are instances and listen on the group's port.

use std::time::Duration;

use serde_json::Value;
use topologies::defaults;
use topologies::edit::Edit;
use topologies::event::EventKind;
use topologies::id::{RegionId, TargetGroupId};
use topologies::topology::{Balancing, Protocol, TargetGroup, TargetHealthCheck};
use wire::{Fault, Record};

use super::balancers::{as_it_is, forgotten, name, pairs, seconds};
use super::names::{self, GROUP_RECORD};
use super::routing::attribute;
use super::targets::edited;
use super::{describe, tagging};
use crate::aws::input::{not_implemented, only, text};
use crate::aws::{Change, Decision, View, ids};

/// What CreateTargetGroup and ModifyTargetGroup may say of health checks.
const CHECK: [&str; 9] = [
    "HealthCheckProtocol",
    "HealthCheckPort",
    "HealthCheckEnabled",
    "HealthCheckPath",
    "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
    "Matcher",
];

pub(super) fn create(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let group = read(view, input)?;
    if let Some(there) = view
        .topology()
        .target_groups
        .iter()
        .find(|it| it.id == group.id)
    {
        let same = there.protocol == group.protocol
            && there.port == group.port
            && there.health_check == group.health_check;
        if same {
            return Ok((list(describe::target_group(view, there)), Vec::new()));
        }
        let text = format!(
            "A target group with the same name '{}' exists, but with different settings",
            group.id
        );
        return Err(view.fault("DuplicateTargetGroupNameException", text));
    }
    let recorded = EventKind::ResourceRecorded {
        resource: GROUP_RECORD.to_owned(),
        region: RegionId::from(view.region),
        id: group.id.to_string(),
        attributes: Value::Object(serde_json::Map::new()),
    };
    let shown = describe::target_group(view, &group);
    let mut changes = vec![Change::Note(recorded)];
    let arn = names::target_group(view, &group);
    changes.extend(tagging::first(view, &arn, input)?);
    changes.push(put("elbv2:CreateTargetGroup", group));
    Ok((list(shown), changes))
}

/// The target group that is asked for.
fn read(view: &View<'_>, input: &Value) -> Result<TargetGroup, Fault> {
    let mut built = CHECK.to_vec();
    built.extend([
        "Name",
        "Protocol",
        "ProtocolVersion",
        "Port",
        "VpcId",
        "TargetType",
        "Tags",
        "IpAddressType",
    ]);
    only("CreateTargetGroup", input, &built)?;
    for (member, only) in [
        ("ProtocolVersion", "HTTP1"),
        ("TargetType", "instance"),
        ("IpAddressType", "ipv4"),
    ] {
        if let Some(other) = text(input, member).filter(|it| *it != only) {
            return Err(not_implemented(format!(
                "a target group with {member} {other}"
            )));
        }
    }
    let invalid = |text: String| view.fault("ValidationError", text);
    let protocol = match text(input, "Protocol") {
        Some("HTTP") => Protocol::Http,
        Some("TCP") => Protocol::Tcp,
        Some(other) => {
            return Err(not_implemented(format!(
                "a target group with protocol {other}"
            )));
        }
        None => return Err(invalid("A protocol must be specified".to_owned())),
    };
    let port = input["Port"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or_else(|| invalid("A port must be specified".to_owned()))?;
    let vpc = text(input, "VpcId");
    if vpc != Some(ids::vpc(view.region).as_str()) {
        let vpc = vpc.unwrap_or_default();
        return Err(invalid(format!("The VPC ID '{vpc}' is not found")));
    }
    Ok(TargetGroup {
        id: TargetGroupId::from(name(view, "Target group", input)?),
        protocol,
        port,
        targets: Vec::new(),
        health_check: check(view, protocol, input, None)?,
        cross_zone: None,
        deregistration_delay: defaults::DEREGISTRATION_DELAY,
        routing: Balancing::default(),
    })
}

fn list(shown: Record) -> Record {
    Record::new().list("TargetGroups", [shown])
}

fn put(by: &str, group: TargetGroup) -> Change {
    edited(by, vec![Edit::PutTargetGroup(Box::new(group))])
}

fn found<'a>(view: &View<'a>, input: &Value) -> Result<&'a TargetGroup, Fault> {
    names::find_group(view, text(input, "TargetGroupArn").unwrap_or_default())
}

pub(super) fn modify(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let mut built = CHECK.to_vec();
    built.push("TargetGroupArn");
    only("ModifyTargetGroup", input, &built)?;
    let old = found(view, input)?;
    let group = TargetGroup {
        health_check: check(view, old.protocol, input, Some(&old.health_check))?,
        ..old.clone()
    };
    let shown = describe::target_group(view, &group);
    Ok((list(shown), vec![put("elbv2:ModifyTargetGroup", group)]))
}

/// One that is gone is deleted already (DeleteTargetGroup).
pub(super) fn delete(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let Ok(group) = found(view, input) else {
        return Ok((Record::new(), Vec::new()));
    };
    let arn = names::target_group(view, group);
    if !names::users(view, group).is_empty() {
        let text = format!("Target group '{arn}' is currently in use by a listener or a rule");
        return Err(view.fault("ResourceInUseException", text));
    }
    let removed = vec![Edit::RemoveTargetGroup(group.id.clone())];
    let changes = vec![
        edited("elbv2:DeleteTargetGroup", removed),
        forgotten(view, GROUP_RECORD, group.id.as_str(), arn),
    ];
    Ok((Record::new(), changes))
}

pub(super) fn modify_attributes(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let mut group = found(view, input)?.clone();
    let shown = describe::group_attributes(&group);
    for (key, value) in pairs(input) {
        match (key, value) {
            ("deregistration_delay.timeout_seconds", value) => {
                let range = defaults::DEREGISTRATION_DELAY_RANGE;
                group.deregistration_delay = seconds(view, key, value, range)?;
            }
            ("load_balancing.cross_zone.enabled", "true") => group.cross_zone = Some(true),
            ("load_balancing.cross_zone.enabled", "false") => group.cross_zone = Some(false),
            ("load_balancing.cross_zone.enabled", "use_load_balancer_configuration") => {
                group.cross_zone = None;
            }
            _ if attribute(view, &mut group, (key, value))? => {}
            _ => as_it_is(view, "Target group", &shown, (key, value))?,
        }
    }
    if let Some(what) = group.routing.contradiction(group.cross_zone) {
        return Err(view.fault("InvalidConfigurationRequestException", what));
    }
    let output = Record::new().list("Attributes", describe::group_attributes(&group));
    let changes = vec![put("elbv2:ModifyTargetGroupAttributes", group)];
    Ok((output, changes))
}

/// How targets are to be checked: as asked for, else as before, else as AWS does.
fn check(
    view: &View<'_>,
    group: Protocol,
    input: &Value,
    old: Option<&TargetHealthCheck>,
) -> Result<TargetHealthCheck, Fault> {
    if let Some(port) = text(input, "HealthCheckPort").filter(|port| *port != "traffic-port") {
        return Err(not_implemented(format!("a health check on port {port}")));
    }
    if input["HealthCheckEnabled"] == false {
        return Err(not_implemented("a target group without health checks"));
    }
    let protocol = match (text(input, "HealthCheckProtocol"), old) {
        (Some("HTTP"), _) => Protocol::Http,
        (Some("TCP"), _) if group == Protocol::Tcp => Protocol::Tcp,
        (Some("TCP"), _) => {
            let text =
                "Health check protocol 'TCP' is not supported for target groups with protocol HTTP";
            return Err(view.fault("ValidationError", text));
        }
        (Some(other), _) => return Err(not_implemented(format!("a health check over {other}"))),
        (None, Some(old)) => old.protocol,
        (None, None) => group,
    };
    let (interval, timeout) = pace(view, (group, protocol), input, old)?;
    let path = text(input, "HealthCheckPath");
    if let Some(path) =
        path.filter(|path| !path.starts_with('/') || path.contains(char::is_whitespace))
    {
        let text = format!(
            "Health check path '{path}' must begin with a '/' character and have no spaces"
        );
        return Err(view.fault("ValidationError", text));
    }
    let path = path.or(old.map(|old| old.path.as_str()));
    let count = |name: &str| {
        input[name]
            .as_u64()
            .and_then(|count| u32::try_from(count).ok())
    };
    let healthy = count("HealthyThresholdCount").or(old.map(|old| old.healthy_threshold));
    let unhealthy = count("UnhealthyThresholdCount").or(old.map(|old| old.unhealthy_threshold));
    Ok(TargetHealthCheck {
        protocol,
        path: path.unwrap_or(defaults::CHECK_PATH).to_owned(),
        matcher: matcher(view, group, input, old)?,
        interval,
        timeout,
        healthy_threshold: healthy.unwrap_or(defaults::HEALTHY_THRESHOLD),
        unhealthy_threshold: unhealthy.unwrap_or(defaults::UNHEALTHY_THRESHOLD),
    })
}

/// Interval and timeout.
fn pace(
    view: &View<'_>,
    (group, check): (Protocol, Protocol),
    input: &Value,
    old: Option<&TargetHealthCheck>,
) -> Result<(Duration, Duration), Fault> {
    let (usual_interval, usual_timeout) = defaults::usual_pace(group, check);
    let asked = |name: &str| input[name].as_u64().map(Duration::from_secs);
    let before = |of: fn(&TargetHealthCheck) -> Duration, usual| {
        old.filter(|old| old.protocol == check).map_or(usual, of)
    };
    let interval = asked("HealthCheckIntervalSeconds")
        .unwrap_or_else(|| before(|old| old.interval, usual_interval));
    let timeout = asked("HealthCheckTimeoutSeconds")
        .unwrap_or_else(|| before(|old| old.timeout, usual_timeout).min(interval));
    if timeout > interval {
        let text = format!(
            "Health check timeout '{}' must be smaller than or equal to the interval '{}'",
            timeout.as_secs(),
            interval.as_secs()
        );
        return Err(view.fault("ValidationError", text));
    }
    Ok((interval, timeout))
}

/// `200`, `200-299`, `200,301-302`.
fn matcher(
    view: &View<'_>,
    group: Protocol,
    input: &Value,
    old: Option<&TargetHealthCheck>,
) -> Result<Vec<(u16, u16)>, Fault> {
    let (usual, (least, most)) = defaults::usual_matcher(group);
    let Some(written) = text(&input["Matcher"], "HttpCode") else {
        return Ok(old.map_or_else(|| vec![usual], |old| old.matcher.clone()));
    };
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (least <= first && first <= last && last <= most).then_some((first, last))
    };
    let ranges: Option<Vec<(u16, u16)>> = written.split(',').map(range).collect();
    ranges.ok_or_else(|| {
        let text = format!(
            "Health check matcher HTTP code '{written}' must be within '{least}-{most}' inclusive"
        );
        view.fault("ValidationError", text)
    })
}
