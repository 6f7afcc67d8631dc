//! Listeners: created, changed, deleted.

use serde_json::{Value, json};
use topologies::defaults;
use topologies::event::EventKind;
use topologies::id::RegionId;
use topologies::topology::{Listener, LoadBalancer, LoadBalancerType, Protocol};
use wire::{Fault, Record};

use super::actions::action;
use super::balancers::{self, put};
use super::names::{self, LISTENER_RECORD, RULE_RECORD};
use super::{describe, tagging};
use crate::aws::input::{not_implemented, only, text};
use crate::aws::{Change, Decision, View};

/// Digits at the end of a listener's ARN.
const DIGITS: usize = 16;

pub(super) fn create(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let built = [
        "LoadBalancerArn",
        "Protocol",
        "Port",
        "DefaultActions",
        "Tags",
    ];
    only("CreateListener", input, &built)?;
    let arn = text(input, "LoadBalancerArn").unwrap_or_default();
    let old = names::find_balancer(view, arn)?;
    let (Some(port), true) = (port(input), input["Protocol"].is_string()) else {
        let text = "A protocol and a port must be specified";
        return Err(view.fault("ValidationError", text));
    };
    let listener = Listener {
        port,
        protocol: protocol(view, old, input)?,
        rules: Vec::new(),
        default_action: action(view, old, &input["DefaultActions"])?,
    };
    if let Some(there) = old.listeners.iter().find(|it| it.port == port) {
        if there.default_action == listener.default_action {
            return Ok((list(describe::listener(view, old, there)), Vec::new()));
        }
        return Err(duplicate(view, old));
    }
    if old.listeners.len() >= defaults::LISTENERS_MAX {
        let text =
            format!("The maximum number of listeners has been reached on load balancer '{arn}'");
        return Err(view.fault("TooManyListenersException", text));
    }
    let digits = view.draw("listener", DIGITS);
    let own = names::listener_arn(view, old, &digits);
    let shown = describe::listener(view, old, &listener).set("ListenerArn", own.as_str());
    let mut lb = old.clone();
    let mut changes = vec![recorded(view, &lb, port, &digits)];
    changes.extend(tagging::first(view, &own, input)?);
    lb.listeners.push(listener);
    changes.push(put("elbv2:CreateListener", lb));
    Ok((list(shown), changes))
}

pub(super) fn modify(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let built = ["ListenerArn", "Protocol", "Port", "DefaultActions"];
    only("ModifyListener", input, &built)?;
    let arn = text(input, "ListenerArn").unwrap_or_default();
    let (old, listener) = names::find_listener(view, arn)?;
    let mut lb = old.clone();
    if input["Protocol"].is_string() {
        protocol(view, old, input)?;
    }
    let port = port(input).unwrap_or(listener.port);
    let taken = old.listeners.iter().any(|it| it.port == port);
    if port != listener.port && taken {
        return Err(duplicate(view, old));
    }
    let default_action = match &input["DefaultActions"] {
        Value::Null => listener.default_action.clone(),
        Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => action(view, old, &input["DefaultActions"])?,
    };
    let changed = Listener {
        port,
        default_action,
        ..listener.clone()
    };
    let shown = describe::listener(view, old, &changed).set("ListenerArn", arn);
    let mut changes = Vec::new();
    if port != listener.port {
        // Its ARN stays what it was.
        let digits = names::listener_digits(view, old, listener);
        changes.push(unrecorded(view, old, listener.port));
        changes.push(recorded(view, old, port, &digits));
    }
    if let Some(it) = lb.listeners.iter_mut().find(|it| it.port == listener.port) {
        *it = changed;
    }
    changes.push(put("elbv2:ModifyListener", lb));
    Ok((list(shown), changes))
}

pub(super) fn delete(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let arn = text(input, "ListenerArn").unwrap_or_default();
    let (old, listener) = names::find_listener(view, arn)?;
    let mut lb = old.clone();
    lb.listeners.retain(|it| it.port != listener.port);
    let mut changes = vec![put("elbv2:DeleteListener", lb)];
    changes.extend(forgotten(view, old, listener));
    Ok((Record::new(), changes))
}

/// Nothing is kept of a listener and its rules.
pub(super) fn forgotten(view: &View<'_>, lb: &LoadBalancer, listener: &Listener) -> Vec<Change> {
    let own = names::listener_digits(view, lb, listener);
    let arn = names::listener_arn(view, lb, &own);
    let id = names::listener_record(lb, listener.port);
    let mut changes = vec![balancers::forgotten(view, LISTENER_RECORD, &id, arn)];
    for rule in &listener.rules {
        let arn = names::rule(view, lb, listener, rule.priority);
        let id = names::rule_record(lb, &own, rule.priority);
        changes.push(balancers::forgotten(view, RULE_RECORD, &id, arn));
    }
    changes
}

fn recorded(view: &View<'_>, lb: &LoadBalancer, port: u16, digits: &str) -> Change {
    Change::Note(EventKind::ResourceRecorded {
        resource: LISTENER_RECORD.to_owned(),
        region: RegionId::from(view.region),
        id: names::listener_record(lb, port),
        attributes: json!({ names::DIGITS: digits }),
    })
}

/// The record goes, the tags of the ARN stay.
fn unrecorded(view: &View<'_>, lb: &LoadBalancer, port: u16) -> Change {
    let id = names::listener_record(lb, port);
    balancers::forgotten(view, LISTENER_RECORD, &id, String::new())
}

fn list(shown: Record) -> Record {
    Record::new().list("Listeners", [shown])
}

fn port(input: &Value) -> Option<u16> {
    input["Port"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok())
}

fn protocol(view: &View<'_>, lb: &LoadBalancer, input: &Value) -> Result<Protocol, Fault> {
    let asked = text(input, "Protocol").unwrap_or_default();
    match (lb.kind, asked) {
        (LoadBalancerType::Application, "HTTP") => Ok(Protocol::Http),
        (LoadBalancerType::Network, "TCP") => Ok(Protocol::Tcp),
        (LoadBalancerType::Application, "TCP") | (LoadBalancerType::Network, "HTTP" | "HTTPS") => {
            let text = format!("Protocol '{asked}' is not supported by this type of load balancer");
            Err(view.fault("UnsupportedProtocolException", text))
        }
        (_, other) => Err(not_implemented(format!("a listener with protocol {other}"))),
    }
}

fn duplicate(view: &View<'_>, lb: &LoadBalancer) -> Fault {
    let arn = names::load_balancer(view, lb);
    let text = format!("A listener already exists on this port for this load balancer '{arn}'");
    view.fault("DuplicateListenerException", text)
}
