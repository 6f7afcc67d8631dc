//! Load balancers: created, changed, deleted. What is created stands in the data plane with the next event.

use std::time::Duration;

use serde_json::{Value, json};
use topologies::defaults;
use topologies::edit::Edit;
use topologies::event::EventKind;
use topologies::id::{LoadBalancerId, RegionId, SecurityGroupId, ZoneId};
use topologies::security_group::Guarded;
use topologies::topology::{Headers, LoadBalancer, LoadBalancerType};
use topologies::zonal_shift::ZonalShiftStatus;
use wire::{Fault, Record};

use super::describe::{self, words};
use super::names::{self, BALANCER_RECORD};
use super::targets::edited;
use super::{headers, tagging};
use crate::aws::input::{not_implemented, only, text};
use crate::aws::security_groups::{give, of_load_balancer, resolve};
use crate::aws::{Change, Decision, View, ids};

/// Characters of a name at most (CreateLoadBalancer, CreateTargetGroup).
const NAME_MAX: usize = 32;

pub(super) fn create(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let built = [
        "Name",
        "Subnets",
        "SubnetMappings",
        "SecurityGroups",
        "Scheme",
        "Tags",
        "Type",
        "IpAddressType",
    ];
    only("CreateLoadBalancer", input, &built)?;
    match text(input, "IpAddressType") {
        None | Some("ipv4") => {}
        Some(other) => return Err(not_implemented(format!("the IP address type {other}"))),
    }
    let (kind, idle_timeout, cross_zone) = match text(input, "Type").unwrap_or("application") {
        "application" => (
            LoadBalancerType::Application,
            defaults::ALB_IDLE_TIMEOUT,
            defaults::ALB_CROSS_ZONE,
        ),
        "network" => (
            LoadBalancerType::Network,
            defaults::NLB_IDLE_TIMEOUT,
            defaults::NLB_CROSS_ZONE,
        ),
        other => return Err(not_implemented(format!("a load balancer of type {other}"))),
    };
    let lb = LoadBalancer {
        id: LoadBalancerId::from(name(view, "Load balancer", input)?),
        kind,
        region: RegionId::from(view.region),
        zones: zones(view, kind, input)?,
        cross_zone,
        idle_timeout,
        listeners: Vec::new(),
        headers: Headers::default(),
    };
    let attributes = json!({
        "Scheme": text(input, "Scheme").unwrap_or("internet-facing"),
    });
    let groups = security_groups(view, input)?;
    if let Some(there) = there(view, &lb) {
        return match same(view, there, &lb, (&attributes, groups.as_deref())) {
            true => Ok((list(describe::load_balancer(view, there)), Vec::new())),
            false => Err(view.fault(
                "DuplicateLoadBalancerNameException",
                format!(
                    "A load balancer with the same name '{}' exists, but with different settings",
                    lb.id
                ),
            )),
        };
    }
    let shown = describe::load_balancer(view, &lb)
        .set("Scheme", attributes["Scheme"].clone())
        .set("State", Record::new().set("Code", "provisioning"))
        .time("CreatedTime", view.now);
    let shown = match &groups {
        Some(groups) => shown.list("SecurityGroups", groups.iter().map(|it| it.as_str())),
        None => shown,
    };
    let arn = names::load_balancer(view, &lb);
    let mut changes = vec![recorded(&lb, attributes)];
    let given = groups.map(|groups| give(view, Guarded::LoadBalancer(lb.id.clone()), groups));
    changes.extend(given);
    changes.extend(tagging::first(view, &arn, input)?);
    changes.push(put("elbv2:CreateLoadBalancer", lb));
    Ok((list(shown), changes))
}

fn list(shown: Record) -> Record {
    Record::new().list("LoadBalancers", [shown])
}

/// Names are one space over all regions here; another region's is as much in the way.
fn there<'a>(view: &View<'a>, lb: &LoadBalancer) -> Option<&'a LoadBalancer> {
    let mut all = view.topology().load_balancers.iter();
    all.find(|it| it.id == lb.id)
}

fn same(
    view: &View<'_>,
    there: &LoadBalancer,
    lb: &LoadBalancer,
    (attributes, groups): (&Value, Option<&[SecurityGroupId]>),
) -> bool {
    let has = of_load_balancer(view.world, there);
    let own = record(view, there);
    let scheme = own.and_then(|own| own["Scheme"].as_str());
    there.region == lb.region
        && there.kind == lb.kind
        && there.zones == lb.zones
        && groups.is_none_or(|groups| groups == has)
        && scheme.unwrap_or("internet-facing") == attributes["Scheme"]
}

pub(super) fn set_subnets(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    only(
        "SetSubnets",
        input,
        &["LoadBalancerArn", "Subnets", "SubnetMappings"],
    )?;
    let old = found(view, input)?;
    let lb = LoadBalancer {
        zones: zones(view, old.kind, input)?,
        ..old.clone()
    };
    let zones = lb.zones.iter().map(|zone| {
        Record::new()
            .set("ZoneName", zone.as_str())
            .set("SubnetId", ids::subnet(zone))
    });
    let output = Record::new()
        .list("AvailabilityZones", zones)
        .set("IpAddressType", "ipv4");
    Ok((output, vec![put("elbv2:SetSubnets", lb)]))
}

/// "If the load balancer does not exist or has already been deleted, the call succeeds" (DeleteLoadBalancer). Its listeners go with it.
pub(super) fn delete(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let Ok(lb) = found(view, input) else {
        return Ok((Record::new(), Vec::new()));
    };
    let arn = names::load_balancer(view, lb);
    if is_protected(view, lb) {
        let text = format!(
            "Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
        );
        return Err(view.fault("OperationNotPermittedException", text));
    }
    let mut changes = vec![edited(
        "elbv2:DeleteLoadBalancer",
        vec![Edit::RemoveLoadBalancer(lb.id.clone())],
    )];
    for listener in &lb.listeners {
        changes.extend(super::listeners::forgotten(view, lb, listener));
    }
    let id = lb.id.as_str();
    changes.push(forgotten(view, BALANCER_RECORD, id, arn));
    Ok((Record::new(), changes))
}

pub(super) fn modify_attributes(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let mut lb = found(view, input)?.clone();
    let mut record = record(view, &lb).cloned().unwrap_or_else(|| json!({}));
    let range = match lb.kind {
        LoadBalancerType::Application => defaults::ALB_IDLE_TIMEOUT_RANGE,
        LoadBalancerType::Network => defaults::NLB_IDLE_TIMEOUT_RANGE,
    };
    let shown = describe::attributes_of(view, &lb);
    for (key, value) in pairs(input) {
        match (key, value) {
            ("idle_timeout.timeout_seconds", value) if lb.kind == LoadBalancerType::Application => {
                lb.idle_timeout = seconds(view, key, value, range)?;
            }
            ("load_balancing.cross_zone.enabled", "true" | "false")
                if lb.kind == LoadBalancerType::Network =>
            {
                lb.cross_zone = value == "true";
            }
            ("deletion_protection.enabled", "true" | "false") => {
                record[PROTECTED] = Value::Bool(value == "true");
            }
            ("zonal_shift.config.enabled", "true" | "false") => {
                record[ZONAL_SHIFT] = Value::Bool(value == "true");
            }
            _ if lb.kind == LoadBalancerType::Application
                && headers::attribute(view, &mut lb.headers, (key, value))? => {}
            _ => as_it_is(view, "Load balancer", &shown, (key, value))?,
        }
    }
    let attributes = describe::attributes_of(view, &lb).into_iter().map(|pair| {
        let kept = match Value::from(pair.clone())["Key"].as_str() {
            Some("deletion_protection.enabled") => PROTECTED,
            Some("zonal_shift.config.enabled") => ZONAL_SHIFT,
            _ => return pair,
        };
        pair.set("Value", (record[kept] == true).to_string())
    });
    let output = Record::new().list("Attributes", attributes);
    // One that can not be shifted is not.
    let ended = (record[ZONAL_SHIFT] != true).then(|| view.world.account.zonal_shifts.of(&lb.id));
    let ended = ended.flatten().map(|(shift, _)| {
        Change::Note(EventKind::ZonalShiftEnded {
            shift: shift.clone(),
            load_balancer: lb.id.clone(),
            status: ZonalShiftStatus::Canceled,
        })
    });
    let mut changes = vec![
        recorded(&lb, record),
        put("elbv2:ModifyLoadBalancerAttributes", lb),
    ];
    changes.extend(ended);
    Ok((output, changes))
}

/// The attribute of a load balancer's record that lets it be shifted away from a zone (aws-behaviour §6.6).
const ZONAL_SHIFT: &str = "ZonalShift";

pub(super) fn has_zonal_shift(view: &View<'_>, lb: &LoadBalancer) -> bool {
    record(view, lb).is_some_and(|record| record[ZONAL_SHIFT] == true)
}

/// The attribute of a load balancer's record that keeps it from being deleted.
const PROTECTED: &str = "DeletionProtection";

pub(super) fn is_protected(view: &View<'_>, lb: &LoadBalancer) -> bool {
    record(view, lb).is_some_and(|record| record[PROTECTED] == true)
}

fn record<'a>(view: &View<'a>, lb: &LoadBalancer) -> Option<&'a Value> {
    let account = &view.world.account;
    let record = account.resource(BALANCER_RECORD, &lb.region, lb.id.as_str())?;
    Some(&record.attributes)
}

fn recorded(lb: &LoadBalancer, attributes: Value) -> Change {
    Change::Note(EventKind::ResourceRecorded {
        resource: BALANCER_RECORD.to_owned(),
        region: lb.region.clone(),
        id: lb.id.to_string(),
        attributes,
    })
}

/// A resource has no record and no tags any more.
pub(super) fn forgotten(view: &View<'_>, resource: &str, id: &str, arn: String) -> Change {
    Change::Note(EventKind::ResourceForgotten {
        resource: resource.to_owned(),
        region: RegionId::from(view.region),
        id: id.to_owned(),
        arn,
    })
}

/// The load balancer is this from now on.
pub(super) fn put(by: &str, lb: LoadBalancer) -> Change {
    edited(by, vec![Edit::PutLoadBalancer(Box::new(lb))])
}

fn found<'a>(view: &View<'a>, input: &Value) -> Result<&'a LoadBalancer, Fault> {
    names::find_balancer(view, text(input, "LoadBalancerArn").unwrap_or_default())
}

/// Letters, digits and hyphens, none of these first or last. Capitals are not built: names are those of DNS here.
pub(super) fn name<'i>(view: &View<'_>, what: &str, input: &'i Value) -> Result<&'i str, Fault> {
    let name = text(input, "Name").unwrap_or_default();
    let invalid = |text| Err(view.fault("ValidationError", text));
    if name.is_empty() || name.len() > NAME_MAX {
        return invalid(format!(
            "{what} name '{name}' cannot be longer than '{NAME_MAX}' characters"
        ));
    }
    if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        return invalid(format!(
            "{what} name '{name}' can only contain characters that are alphanumeric characters and hyphens(-)"
        ));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return invalid(format!(
            "{what} name '{name}' cannot begin or end with a hyphen(-)"
        ));
    }
    if what == "Load balancer" && name.starts_with("internal-") {
        return invalid(format!(
            "{what} name '{name}' cannot begin with 'internal-'"
        ));
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(not_implemented(format!("a name with capitals, '{name}',")));
    }
    Ok(name)
}

/// The zones of the subnets, in the region's order.
fn zones(view: &View<'_>, kind: LoadBalancerType, input: &Value) -> Result<Vec<ZoneId>, Fault> {
    let mappings = input["SubnetMappings"].as_array().into_iter().flatten();
    let mut asked = words(input, "Subnets").unwrap_or_default();
    for mapping in mappings {
        only("a subnet mapping", mapping, &["SubnetId"])?;
        asked.extend(text(mapping, "SubnetId"));
    }
    let known = view.here().into_iter().flat_map(|region| &region.zones);
    let known: Vec<(String, &ZoneId)> = known
        .map(|zone| (ids::subnet(&zone.id), &zone.id))
        .collect();
    if let Some(lost) = asked
        .iter()
        .find(|id| !known.iter().any(|(it, _)| it == *id))
    {
        let text = format!("The subnet ID '{lost}' does not exist");
        return Err(view.fault("SubnetNotFoundException", text));
    }
    let zones = known.iter().filter(|(id, _)| asked.contains(&id.as_str()));
    let zones: Vec<ZoneId> = zones.map(|(_, zone)| (*zone).clone()).collect();
    let least = match kind {
        LoadBalancerType::Application => defaults::ALB_ZONES_MIN,
        LoadBalancerType::Network => 1,
    };
    if zones.len() < least {
        let text = match least {
            1 => "At least one subnet must be specified",
            _ => "At least two subnets in two different Availability Zones must be specified",
        };
        return Err(view.fault("ValidationError", text));
    }
    Ok(zones)
}

/// An NLB that was made without security groups never gets any ("Update the security groups for your Network Load Balancer").
pub(super) fn set_security_groups(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    only(
        "SetSecurityGroups",
        input,
        &["LoadBalancerArn", "SecurityGroups"],
    )?;
    let lb = found(view, input)?;
    let member = Guarded::LoadBalancer(lb.id.clone());
    if of_load_balancer(view.world, lb).is_empty() {
        let text = format!(
            "Security groups cannot be set on load balancer '{}': it was created without any",
            names::load_balancer(view, lb)
        );
        return Err(view.fault("InvalidConfigurationRequestException", text));
    }
    let Some(groups) = security_groups(view, input)? else {
        let text = "At least one security group must be specified";
        return Err(view.fault("InvalidConfigurationRequestException", text));
    };
    let ids = groups.iter().map(|it| it.as_str());
    let output = Record::new().list("SecurityGroupIds", ids);
    Ok((output, vec![give(view, member, groups)]))
}

/// Those that are named; none if none is.
fn security_groups(view: &View<'_>, input: &Value) -> Result<Option<Vec<SecurityGroupId>>, Fault> {
    let Some(asked) = words(input, "SecurityGroups") else {
        return Ok(None);
    };
    let found = resolve(view, &asked).map_err(|lost| {
        let text = format!("One or more security groups are invalid: {lost}");
        view.fault("InvalidSecurityGroupException", text)
    })?;
    Ok(Some(found))
}

/// The keys and values of attributes.
pub(super) fn pairs(input: &Value) -> impl Iterator<Item = (&str, &str)> {
    let attributes = input["Attributes"].as_array().into_iter().flatten();
    attributes.map(|it| {
        let word = |name: &str| it[name].as_str().unwrap_or_default();
        (word("Key"), word("Value"))
    })
}

/// An attribute that is not built may be asked for as it is anyway.
pub(super) fn as_it_is(
    view: &View<'_>,
    what: &str,
    shown: &[Record],
    (key, value): (&str, &str),
) -> Result<(), Fault> {
    let shown = shown.iter().map(|pair| Value::from(pair.clone()));
    match shown.into_iter().find(|pair| pair["Key"] == key) {
        Some(pair) if pair["Value"] == value => Ok(()),
        Some(_) => Err(not_implemented(format!(
            "the value '{value}' of the attribute {key}"
        ))),
        None => {
            let text = format!("{what} attribute key '{key}' is not recognized");
            Err(view.fault("InvalidConfigurationRequestException", text))
        }
    }
}

/// Whole seconds within AWS's range.
pub(super) fn seconds(
    view: &View<'_>,
    key: &str,
    value: &str,
    (least, most): (Duration, Duration),
) -> Result<Duration, Fault> {
    let parsed = value.parse().ok().map(Duration::from_secs);
    parsed
        .filter(|it| (least..=most).contains(it))
        .ok_or_else(|| {
            let (least, most) = (least.as_secs(), most.as_secs());
            let text = format!(
                "Attribute {key} must be a number of seconds from {least} to {most}, not '{value}'"
            );
            view.fault("InvalidConfigurationRequestException", text)
        })
}
