//! What there is: load balancers, listeners, rules, target groups, their attributes and tags.

mod shown;

use serde_json::Value;
use topologies::id::RegionId;
use topologies::names as endpoints;
use topologies::time::Time;
use topologies::topology::{Listener, LoadBalancer, LoadBalancerType, Protocol, TargetGroup};
use topologies::yaml::values::StatusCodes;
use wire::{Call, Fault, Record, page};

use super::names::{self, Found};
use super::{balancers, headers, routing};
use crate::aws::security_groups::of_load_balancer;
use crate::aws::{View, ids};
pub(super) use shown::{listener, rule};

/// The hosted zone of all load balancers' names, as Seoul's ALBs have it (General Reference, "Elastic Load Balancing endpoints").
pub(in crate::aws) const CANONICAL_ZONE: &str = "ZWKZPGTI48KDX";

pub(super) fn load_balancers(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let mut found: Vec<&LoadBalancer> = names::load_balancers(view).collect();
    if let Some(arns) = words(input, "LoadBalancerArns") {
        let arns = arns.iter().map(|arn| names::find_balancer(view, arn));
        found = arns.collect::<Result<_, _>>()?;
    } else if let Some(wanted) = words(input, "Names") {
        if let Some(lost) = wanted
            .iter()
            .find(|it| !found.iter().any(|lb| lb.id.as_str() == **it))
        {
            let text = format!("Load balancers '[{lost}]' not found");
            return Err(view.fault("LoadBalancerNotFound", text));
        }
        found.retain(|lb| wanted.contains(&lb.id.as_str()));
    }
    found.sort_by_key(|lb| &lb.id);
    found.dedup_by_key(|lb| &lb.id);
    let page = page(call, input, &found, |lb| lb.id.as_str())?;
    let shown = page.items.iter().map(|lb| load_balancer(view, lb));
    let mut output = Record::new().list("LoadBalancers", shown);
    page.write(&mut output);
    Ok(output)
}

pub(super) fn target_groups(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let mut found: Vec<&TargetGroup> = names::target_groups(view).collect();
    if let Some(arn) = input["LoadBalancerArn"].as_str() {
        let lb = names::find_balancer(view, arn)?;
        found.retain(|group| names::users(view, group).iter().any(|it| it.id == lb.id));
    }
    if let Some(arns) = words(input, "TargetGroupArns") {
        let arns = arns.iter().map(|arn| names::find_group(view, arn));
        found = arns.collect::<Result<_, _>>()?;
    } else if let Some(wanted) = words(input, "Names") {
        if !wanted
            .iter()
            .all(|it| found.iter().any(|group| group.id.as_str() == *it))
        {
            let text = "One or more target groups not found";
            return Err(view.fault("TargetGroupNotFound", text));
        }
        found.retain(|group| wanted.contains(&group.id.as_str()));
    }
    found.sort_by_key(|group| &group.id);
    found.dedup_by_key(|group| &group.id);
    let page = page(call, input, &found, |group| group.id.as_str())?;
    let shown = page.items.iter().map(|group| target_group(view, group));
    let mut output = Record::new().list("TargetGroups", shown);
    page.write(&mut output);
    Ok(output)
}

pub(super) fn listeners(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let found: Vec<(&LoadBalancer, &Listener)> = if let Some(arns) = words(input, "ListenerArns") {
        let arns = arns.iter().map(|arn| names::find_listener(view, arn));
        arns.collect::<Result<_, _>>()?
    } else if let Some(arn) = input["LoadBalancerArn"].as_str() {
        let lb = names::find_balancer(view, arn)?;
        lb.listeners.iter().map(|it| (lb, it)).collect()
    } else {
        let text = "You must specify either listener ARNs or a load balancer ARN";
        return Err(view.fault("ValidationError", text));
    };
    let mut keyed: Vec<(String, Record)> = Vec::new();
    for (lb, it) in found {
        keyed.push((names::listener(view, lb, it), listener(view, lb, it)));
    }
    paged(call, input, "Listeners", keyed)
}

pub(super) fn rules(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let found: Vec<Found<'_>> = if let Some(arns) = words(input, "RuleArns") {
        let arns = arns.iter().map(|arn| names::find_rule(view, arn));
        arns.collect::<Result<_, _>>()?
    } else if let Some(arn) = input["ListenerArn"].as_str() {
        let (lb, listener) = names::find_listener(view, arn)?;
        names::all_rules(lb, listener).collect()
    } else {
        let text = "You must specify either listener rule ARNs or a listener ARN";
        return Err(view.fault("ValidationError", text));
    };
    let key = |it: &Found<'_>| format!("{:06}", it.2.map_or(999_999, |rule| rule.priority));
    let keyed = found.into_iter().map(|it| (key(&it), rule(view, it)));
    paged(call, input, "Rules", keyed.collect())
}

fn paged(
    call: &Call<'_>,
    input: &Value,
    name: &str,
    mut keyed: Vec<(String, Record)>,
) -> Result<Record, Fault> {
    keyed.sort_by(|one, other| one.0.cmp(&other.0));
    let page = page(call, input, &keyed, |(key, _)| key.as_str())?;
    let shown = page.items.iter().map(|(_, record)| record.clone());
    let mut output = Record::new().list(name, shown);
    page.write(&mut output);
    Ok(output)
}

/// The words of a list; none if it is not there or empty.
pub(super) fn words<'i>(input: &'i Value, name: &str) -> Option<Vec<&'i str>> {
    let list = input[name].as_array().filter(|list| !list.is_empty())?;
    Some(list.iter().filter_map(Value::as_str).collect())
}

/// When a resource was made; the file's are as old as the stack.
fn created(view: &View<'_>, kind: &str, id: &str) -> i64 {
    let region = RegionId::from(view.region);
    let record = view.world.account.resource(kind, &region, id);
    view.wall(record.map_or(Time::ZERO, |record| record.created))
}

pub(super) fn load_balancer(view: &View<'_>, lb: &LoadBalancer) -> Record {
    let kind = match lb.kind {
        LoadBalancerType::Application => "application",
        LoadBalancerType::Network => "network",
    };
    let region = RegionId::from(view.region);
    let record = view
        .world
        .account
        .resource(names::BALANCER_RECORD, &region, lb.id.as_str());
    let recorded = |name: &str| record.and_then(|it| it.attributes.get(name)).cloned();
    let scheme = recorded("Scheme").unwrap_or_else(|| "internet-facing".into());
    let groups = of_load_balancer(view.world, lb);
    let zones = lb.zones.iter().map(|zone| {
        Record::new()
            .set("ZoneName", zone.as_str())
            .set("SubnetId", ids::subnet(zone))
            .list("LoadBalancerAddresses", Vec::<Value>::new())
    });
    let name = endpoints::load_balancer(view.topology(), &lb.id, lb.kind, &lb.region);
    Record::new()
        .set("LoadBalancerArn", names::load_balancer(view, lb))
        .set("DNSName", name)
        .set("CanonicalHostedZoneId", CANONICAL_ZONE)
        .time(
            "CreatedTime",
            created(view, names::BALANCER_RECORD, lb.id.as_str()),
        )
        .set("LoadBalancerName", lb.id.as_str())
        .set("Scheme", scheme)
        .set("VpcId", ids::vpc(view.region))
        .set("State", Record::new().set("Code", "active"))
        .set("Type", kind)
        .list("AvailabilityZones", zones)
        .list("SecurityGroups", groups.iter().map(|it| it.as_str()))
        .set("IpAddressType", "ipv4")
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "HTTP",
        Protocol::Tcp => "TCP",
    }
}

pub(super) fn target_group(view: &View<'_>, group: &TargetGroup) -> Record {
    let checks = &group.health_check;
    let users = names::users(view, group).into_iter();
    let http = (checks.protocol == Protocol::Http).then_some(checks.path.as_str());
    let codes = StatusCodes(checks.matcher.clone()).to_string();
    let matcher = http.map(|_| Record::new().set("HttpCode", codes));
    let version = (group.protocol == Protocol::Http).then_some("HTTP1");
    Record::new()
        .set("TargetGroupArn", names::target_group(view, group))
        .set("TargetGroupName", group.id.as_str())
        .set("Protocol", word(group.protocol))
        .set("Port", group.port)
        .set("VpcId", ids::vpc(view.region))
        .set("HealthCheckProtocol", word(checks.protocol))
        .set("HealthCheckPort", "traffic-port")
        .set("HealthCheckEnabled", true)
        .set("HealthCheckIntervalSeconds", checks.interval.as_secs())
        .set("HealthCheckTimeoutSeconds", checks.timeout.as_secs())
        .set("HealthyThresholdCount", checks.healthy_threshold)
        .set("UnhealthyThresholdCount", checks.unhealthy_threshold)
        .maybe("HealthCheckPath", http)
        .maybe("Matcher", matcher)
        .list(
            "LoadBalancerArns",
            users.map(|lb| names::load_balancer(view, lb)),
        )
        .set("TargetType", "instance")
        .maybe("ProtocolVersion", version)
        .set("IpAddressType", "ipv4")
}

fn pair((key, value): (&str, &str)) -> Record {
    Record::new().set("Key", key).set("Value", value)
}

/// What is built, and what is always as AWS has it by default (aws-behaviour §4.1, §5).
pub(super) fn load_balancer_attributes(
    view: &View<'_>,
    _: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let lb = names::find_balancer(view, input["LoadBalancerArn"].as_str().unwrap_or_default())?;
    Ok(Record::new().list("Attributes", attributes_of(view, lb)))
}

pub(super) fn attributes_of(view: &View<'_>, lb: &LoadBalancer) -> Vec<Record> {
    let cross_zone = lb.cross_zone.to_string();
    let protected = balancers::is_protected(view, lb).to_string();
    let shifts = balancers::has_zonal_shift(view, lb).to_string();
    let idle = lb.idle_timeout.as_secs().to_string();
    let mut attributes = vec![
        ("deletion_protection.enabled", protected.as_str()),
        ("load_balancing.cross_zone.enabled", cross_zone.as_str()),
        ("access_logs.s3.enabled", "false"),
        ("zonal_shift.config.enabled", shifts.as_str()),
    ];
    if lb.kind == LoadBalancerType::Application {
        attributes.extend([
            ("idle_timeout.timeout_seconds", idle.as_str()),
            ("routing.http2.enabled", "true"),
            ("routing.http.desync_mitigation_mode", "defensive"),
            ("client_keep_alive.seconds", "3600"),
        ]);
        attributes.extend(headers::shown(&lb.headers));
    }
    attributes.into_iter().map(pair).collect()
}

/// What is built, and what is always as AWS has it by default (aws-behaviour §4.3).
pub(super) fn target_group_attributes(
    view: &View<'_>,
    _: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let group = names::find_group(view, input["TargetGroupArn"].as_str().unwrap_or_default())?;
    Ok(Record::new().list("Attributes", group_attributes(group)))
}

pub(super) fn group_attributes(group: &TargetGroup) -> Vec<Record> {
    let delay = group.deregistration_delay.as_secs().to_string();
    let cross_zone = match group.cross_zone {
        Some(true) => "true",
        Some(false) => "false",
        None => "use_load_balancer_configuration",
    };
    let own = |key, value: &str| (key, value.to_owned());
    let mut attributes = vec![
        own("deregistration_delay.timeout_seconds", &delay),
        own("load_balancing.cross_zone.enabled", cross_zone),
    ];
    if group.protocol == Protocol::Http {
        attributes.extend(routing::shown(&group.routing));
    } else {
        attributes.extend([
            own("stickiness.enabled", "false"),
            own("proxy_protocol_v2.enabled", "false"),
            own("stickiness.type", "source_ip"),
        ]);
    }
    let attributes = attributes.iter();
    attributes.map(|(key, value)| pair((key, value))).collect()
}

pub(super) fn tags(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let mut shown = Vec::new();
    for arn in words(input, "ResourceArns").unwrap_or_default() {
        exists(view, arn)?;
        let tags = view.world.account.tags(arn).map(pair);
        shown.push(Record::new().set("ResourceArn", arn).list("Tags", tags));
    }
    Ok(Record::new().list("TagDescriptions", shown))
}

/// Whether there is what an ARN names.
pub(super) fn exists(view: &View<'_>, arn: &str) -> Result<(), Fault> {
    let kind = arn
        .split(':')
        .nth(5)
        .and_then(|rest| rest.split('/').next());
    match kind {
        Some("targetgroup") => names::find_group(view, arn).map(|_| ()),
        Some("listener") => names::find_listener(view, arn).map(|_| ()),
        Some("listener-rule") => names::find_rule(view, arn).map(|_| ()),
        Some("loadbalancer") => names::find_balancer(view, arn).map(|_| ()),
        _ => {
            let text = format!("'{arn}' is not a valid ARN");
            Err(view.fault("ValidationError", text))
        }
    }
}
