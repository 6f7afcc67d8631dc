//! Listeners and rules as answers show them: conditions and actions.

use serde_json::Value;
use topologies::id::TargetGroupId;
use topologies::topology::{Listener, LoadBalancer, Redirect, Rule, RuleAction, Share, Split};
use wire::Record;

use super::word;
use crate::aws::View;
use crate::aws::elbv2::names::{self, Found};

pub(in crate::aws::elbv2) fn listener(
    view: &View<'_>,
    lb: &LoadBalancer,
    listener: &Listener,
) -> Record {
    Record::new()
        .set("ListenerArn", names::listener(view, lb, listener))
        .set("LoadBalancerArn", names::load_balancer(view, lb))
        .set("Port", listener.port)
        .set("Protocol", word(listener.protocol))
        .list("DefaultActions", [action(view, &listener.default_action)])
}

pub(in crate::aws::elbv2) fn rule(view: &View<'_>, (lb, listener, rule): Found<'_>) -> Record {
    let priority = rule.map_or(0, |rule| rule.priority);
    let shown = rule.map_or("default".to_owned(), |rule| rule.priority.to_string());
    let what = rule.map_or(&listener.default_action, |rule| &rule.action);
    Record::new()
        .set("RuleArn", names::rule(view, lb, listener, priority))
        .set("Priority", shown)
        .list("Conditions", rule.map_or_else(Vec::new, conditions))
        .list("Actions", [action(view, what)])
        .set("IsDefault", rule.is_none())
}

fn conditions(rule: &Rule) -> Vec<Record> {
    let of = |field: &str, config: &str, values: Vec<Value>| {
        let values = Record::new().set("Values", values);
        Record::new().set("Field", field).set(config, values)
    };
    let texts =
        |values: &[String]| -> Vec<Value> { values.iter().map(|it| it.as_str().into()).collect() };
    let mut shown = Vec::new();
    for (field, config, values) in [
        ("host-header", "HostHeaderConfig", &rule.host_header),
        ("path-pattern", "PathPatternConfig", &rule.path_pattern),
    ] {
        if !values.is_empty() {
            // The two kinds that AWS began with show their values twice.
            shown.push(of(field, config, texts(values)).set("Values", texts(values)));
        }
    }
    for header in &rule.http_header {
        let config = Record::new()
            .set("HttpHeaderName", header.name.as_str())
            .set("Values", texts(&header.values));
        let condition = Record::new().set("Field", "http-header");
        shown.push(condition.set("HttpHeaderConfig", config));
    }
    if !rule.http_request_method.is_empty() {
        let methods = texts(&rule.http_request_method);
        shown.push(of(
            "http-request-method",
            "HttpRequestMethodConfig",
            methods,
        ));
    }
    for pairs in &rule.query_string {
        let pairs = pairs.iter().map(|pair| {
            Record::new()
                .maybe("Key", pair.key.as_deref())
                .set("Value", pair.value.as_str())
        });
        let config = Record::new().list("Values", pairs);
        let condition = Record::new().set("Field", "query-string");
        shown.push(condition.set("QueryStringConfig", config));
    }
    if !rule.source_ip.is_empty() {
        let blocks = rule.source_ip.iter();
        let blocks = blocks.map(|it| it.to_string().into()).collect();
        shown.push(of("source-ip", "SourceIpConfig", blocks));
    }
    shown
}

fn action(view: &View<'_>, action: &RuleAction) -> Record {
    match action {
        RuleAction::Forward(group) => {
            let shares = vec![Share {
                target_group: group.clone(),
                weight: 1,
            }];
            let stickiness = None;
            forward(view, &Split { shares, stickiness })
        }
        RuleAction::Split(split) => forward(view, split),
        RuleAction::FixedResponse {
            status_code,
            content_type,
            message_body,
        } => {
            let config = Record::new()
                .set("StatusCode", status_code.to_string())
                .set("ContentType", content_type.as_str())
                .set("MessageBody", message_body.as_str());
            of_type("fixed-response").set("FixedResponseConfig", config)
        }
        RuleAction::Redirect(Redirect {
            status_code,
            protocol,
            host,
            port,
            path,
            query,
        }) => {
            let config = Record::new()
                .set("Protocol", protocol.as_str())
                .set("Port", port.as_str())
                .set("Host", host.as_str())
                .set("Path", path.as_str())
                .set("Query", query.as_str())
                .set("StatusCode", format!("HTTP_{status_code}"));
            of_type("redirect").set("RedirectConfig", config)
        }
    }
}

fn of_type(kind: &str) -> Record {
    Record::new().set("Type", kind).set("Order", 1)
}

/// A forward to one group shows it twice.
fn forward(view: &View<'_>, split: &Split) -> Record {
    let arn = |id: &TargetGroupId| {
        let mut groups = view.topology().target_groups.iter();
        let group = groups.find(|it| it.id == *id);
        let arn = group.map(|group| names::target_group(view, group));
        arn.unwrap_or_default()
    };
    let groups = split.shares.iter().map(|share| {
        Record::new()
            .set("TargetGroupArn", arn(&share.target_group))
            .set("Weight", share.weight)
    });
    let only = match split.shares.as_slice() {
        [only] => Some(arn(&only.target_group)),
        _ => None,
    };
    let lasts = split.stickiness.map(|it| it.as_secs());
    let stickiness = Record::new()
        .set("Enabled", lasts.is_some())
        .maybe("DurationSeconds", lasts);
    let config = Record::new()
        .list("TargetGroups", groups)
        .set("TargetGroupStickinessConfig", stickiness);
    of_type("forward")
        .maybe("TargetGroupArn", only)
        .set("ForwardConfig", config)
}
