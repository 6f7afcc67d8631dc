//! A HealthCheckConfig and what it means, both ways (aws-behaviour §6.4).

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;
use topologies::defaults;
use topologies::id::{AlarmId, HealthCheckId, RegionId};
use topologies::records::{counts_itself, domain, unreachable};
use topologies::topology::{
    AlarmCheck, EndpointCheck, HealthCheck, HealthCheckKind, Protocol, Unsure,
};
use wire::{Fault, Record};

use super::{find, uuid};
use crate::aws::View;
use crate::aws::input::{is_on, not_implemented, only, text, texts};

/// Members that any health check may have.
const ANY: [&str; 3] = ["Type", "Inverted", "Disabled"];
/// Members that only an endpoint's has, and those of one that is asked over HTTP, and for a text.
const ENDPOINT: [&str; 5] = [
    "IPAddress",
    "Port",
    "FullyQualifiedDomainName",
    "RequestInterval",
    "FailureThreshold",
];
const HTTP: [&str; 1] = ["ResourcePath"];
const SEARCH: [&str; 1] = ["SearchString"];
/// Those of one that counts others, and of an alarm's.
const CALCULATED: [&str; 2] = ["HealthThreshold", "ChildHealthChecks"];
const ALARM: [&str; 2] = ["AlarmIdentifier", "InsufficientDataHealthStatus"];

/// Takes out what asks for nothing: flags with the value that they have anyway, and lists without members.
fn asked(config: &Value) -> Value {
    let idle = ["MeasureLatency", "EnableSNI"];
    let empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    let mut asked = config.clone();
    if let Some(members) = asked.as_object_mut() {
        members.retain(|name, value| {
            !(idle.contains(&name.as_str()) && *value == false || empty(value))
        });
    }
    asked
}

/// What a HealthCheckConfig means.
pub(super) fn read(
    view: &View<'_>,
    id: HealthCheckId,
    config: &Value,
) -> Result<HealthCheck, Fault> {
    let config = &asked(config);
    let kind = text(config, "Type").unwrap_or_default();
    let own: Vec<&str> = match kind {
        "HTTP" => [&ENDPOINT[..], &HTTP].concat(),
        "HTTP_STR_MATCH" => [&ENDPOINT[..], &HTTP, &SEARCH].concat(),
        "TCP" => ENDPOINT.to_vec(),
        "CALCULATED" => CALCULATED.to_vec(),
        "CLOUDWATCH_METRIC" => ALARM.to_vec(),
        other => return Err(not_implemented(format!("a health check of type {other}"))),
    };
    let all = [&ENDPOINT[..], &HTTP, &SEARCH, &CALCULATED, &ALARM].concat();
    let said = |name: &&&str| !config[**name].is_null();
    let mut strange = all.iter().filter(|name| !own.contains(name));
    if let Some(name) = strange.find(said) {
        let text = format!("{name} must not be specified for a {kind} health check.");
        return Err(view.fault("InvalidInput", text));
    }
    only("a health check", config, &[&ANY[..], &own].concat())?;
    let kind = match kind {
        "CALCULATED" => calculated(view, &id, config)?,
        "CLOUDWATCH_METRIC" => alarm(view, config)?,
        _ => HealthCheckKind::Endpoint(endpoint(view, kind, config)?),
    };
    Ok(HealthCheck {
        id,
        kind,
        inverted: is_on(config, "Inverted"),
        disabled: is_on(config, "Disabled"),
    })
}

fn endpoint(view: &View<'_>, kind: &str, config: &Value) -> Result<EndpointCheck, Fault> {
    let invalid = |text: String| view.fault("InvalidInput", text);
    let name = text(config, "FullyQualifiedDomainName").map(|name| {
        domain(name).ok_or_else(|| invalid(format!("'{name}' is not a valid domain name")))
    });
    let name = name.transpose()?;
    let address = text(config, "IPAddress").map(|written| address(view, written));
    let address = address.transpose()?;
    if name.is_none() && address.is_none() {
        let text = "Either an IP address or a fully qualified domain name must be specified.";
        return Err(invalid(text.to_owned()));
    }
    let port = config["Port"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok());
    if kind == "TCP" && port.is_none() {
        return Err(invalid(
            "Port must be specified for a TCP health check.".to_owned(),
        ));
    }
    let path = text(config, "ResourcePath").unwrap_or("/");
    if !path.starts_with('/') || path.contains(char::is_whitespace) {
        return Err(invalid(format!(
            "Invalid parameter : ResourcePath '{path}'"
        )));
    }
    let search_string = text(config, "SearchString").filter(|text| !text.is_empty());
    if kind == "HTTP_STR_MATCH" && search_string.is_none() {
        let text = "SearchString must be specified for a HTTP_STR_MATCH health check.";
        return Err(invalid(text.to_owned()));
    }
    let interval = config["RequestInterval"].as_u64().map(Duration::from_secs);
    let interval = interval.unwrap_or(defaults::HEALTH_CHECK_INTERVAL);
    let allowed = [
        defaults::HEALTH_CHECK_INTERVAL,
        defaults::HEALTH_CHECK_FAST_INTERVAL,
    ];
    if !allowed.contains(&interval) {
        return Err(invalid(
            "Invalid parameter : RequestInterval must be either 10 or 30.".to_owned(),
        ));
    }
    let threshold = config["FailureThreshold"].as_u64();
    let threshold = threshold.and_then(|threshold| u32::try_from(threshold).ok());
    Ok(EndpointCheck {
        address,
        fully_qualified_domain_name: name,
        port: port.unwrap_or(defaults::HEALTH_CHECK_PORT),
        protocol: if kind == "TCP" {
            Protocol::Tcp
        } else {
            Protocol::Http
        },
        resource_path: path.to_owned(),
        search_string: search_string.map(str::to_owned),
        request_interval: interval,
        failure_threshold: threshold.unwrap_or(defaults::HEALTH_CHECK_THRESHOLD),
    })
}

/// Checkers do not reach private addresses, and here none of IPv6. A public one that is not the stack's is taken; nobody is asked
/// there, so it is unhealthy.
fn address(view: &View<'_>, written: &str) -> Result<Ipv4Addr, Fault> {
    if written.contains(':') {
        return Err(not_implemented("a health check of an IPv6 address"));
    }
    let address = written.parse().ok().filter(|it| !unreachable(*it));
    address.ok_or_else(|| {
        let text = format!(
            "Invalid parameter : IPAddress '{written}' is not an address that health checkers reach."
        );
        view.fault("InvalidInput", text)
    })
}

fn calculated(
    view: &View<'_>,
    id: &HealthCheckId,
    config: &Value,
) -> Result<HealthCheckKind, Fault> {
    let invalid = |text: String| view.fault("InvalidInput", text);
    let mut children = Vec::new();
    for written in texts(config, "ChildHealthChecks") {
        let child = find(view, written)
            .map_err(|_| invalid(format!("The child health check {written} does not exist.")))?;
        if children.contains(&child.id) {
            return Err(invalid(format!(
                "The child health check {written} is there twice."
            )));
        }
        children.push(child.id.clone());
    }
    let most = defaults::CHILD_HEALTH_CHECKS_MAX;
    if children.is_empty() || children.len() > most {
        let text = format!("A CALCULATED health check has 1 to {most} child health checks.");
        return Err(invalid(text));
    }
    let threshold = config["HealthThreshold"].as_u64();
    let threshold = threshold.and_then(|it| u32::try_from(it).ok());
    let threshold = threshold.ok_or_else(|| {
        invalid("HealthThreshold must be specified for a CALCULATED health check.".to_owned())
    })?;
    let kind = HealthCheckKind::Calculated {
        children,
        threshold,
    };
    let mut all = view.topology().health_checks.clone();
    all.retain(|it| it.id != *id);
    all.push(HealthCheck {
        id: id.clone(),
        kind: kind.clone(),
        inverted: false,
        disabled: false,
    });
    if counts_itself(&all, id) {
        let text = "A CALCULATED health check can not be a child of itself.";
        return Err(invalid(text.to_owned()));
    }
    Ok(kind)
}

fn alarm(view: &View<'_>, config: &Value) -> Result<HealthCheckKind, Fault> {
    let invalid = |text: String| view.fault("InvalidInput", text);
    let named = &config["AlarmIdentifier"];
    let (region, name) = (text(named, "Region"), text(named, "Name"));
    let (Some(region), Some(name)) = (region, name) else {
        let text = "AlarmIdentifier must be specified for a CLOUDWATCH_METRIC health check.";
        return Err(invalid(text.to_owned()));
    };
    if view.world.account.alarms.get(region, name).is_none() {
        let text = format!("The CloudWatch alarm {name} in region {region} does not exist.");
        return Err(invalid(text));
    }
    let insufficient_data = match text(config, "InsufficientDataHealthStatus") {
        Some("Healthy") => Unsure::Healthy,
        Some("Unhealthy") => Unsure::Unhealthy,
        _ => Unsure::LastKnownStatus,
    };
    Ok(HealthCheckKind::Alarm(AlarmCheck {
        region: RegionId::from(region),
        alarm: AlarmId::from(name),
        insufficient_data,
    }))
}

/// The HealthCheckConfig that means a health check.
pub(super) fn config(check: &HealthCheck) -> Record {
    let flags = Record::new()
        .set("Inverted", check.inverted)
        .set("Disabled", check.disabled);
    match &check.kind {
        HealthCheckKind::Endpoint(endpoint) => of_endpoint(flags, endpoint),
        HealthCheckKind::Calculated {
            children,
            threshold,
        } => flags
            .set("Type", "CALCULATED")
            .set("HealthThreshold", *threshold)
            .list("ChildHealthChecks", children.iter().map(uuid)),
        HealthCheckKind::Alarm(of) => flags
            .set("Type", "CLOUDWATCH_METRIC")
            .set(
                "AlarmIdentifier",
                Record::new()
                    .set("Region", of.region.as_str())
                    .set("Name", of.alarm.as_str()),
            )
            .set(
                "InsufficientDataHealthStatus",
                of.insufficient_data.as_str(),
            ),
    }
}

fn of_endpoint(flags: Record, check: &EndpointCheck) -> Record {
    let (kind, path) = match (check.protocol, &check.search_string) {
        (Protocol::Http, None) => ("HTTP", Some(check.resource_path.as_str())),
        (Protocol::Http, Some(_)) => ("HTTP_STR_MATCH", Some(check.resource_path.as_str())),
        (Protocol::Tcp, _) => ("TCP", None),
    };
    flags
        .set("Type", kind)
        .maybe("IPAddress", check.address.map(|it| it.to_string()))
        .maybe(
            "FullyQualifiedDomainName",
            check.fully_qualified_domain_name.as_deref(),
        )
        .set("Port", check.port)
        .maybe("ResourcePath", path)
        .maybe("SearchString", check.search_string.as_deref())
        .set("RequestInterval", check.request_interval.as_secs())
        .set("FailureThreshold", check.failure_threshold)
}
