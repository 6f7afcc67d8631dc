//! Listeners and their rules, written out.

use serde_json::{Value as Json, json};

use super::{period, protocol};
use crate::topology::{Listener, Redirect, Rule, RuleAction, Split};

pub(super) fn listener(listener: &Listener) -> Json {
    let Listener {
        port,
        protocol: own,
        rules,
        default_action,
    } = listener;
    json!({
        "port": port,
        "protocol": protocol(*own),
        "default-action": action(default_action),
        "rules": rules.iter().map(rule).collect::<Vec<_>>(),
    })
}

fn rule(rule: &Rule) -> Json {
    let Rule {
        priority,
        host_header,
        path_pattern,
        http_header,
        http_request_method,
        query_string,
        source_ip,
        action: own,
    } = rule;
    let headers = http_header.iter();
    let headers = headers.map(|it| json!({ "name": it.name, "values": it.values }));
    let queries = query_string.iter().map(|pairs| {
        let pairs = pairs.iter();
        let pairs = pairs.map(|pair| json!({ "key": pair.key, "value": pair.value }));
        json!({ "values": pairs.collect::<Vec<_>>() })
    });
    json!({
        "priority": priority,
        "host-header": host_header,
        "path-pattern": path_pattern,
        "http-header": headers.collect::<Vec<_>>(),
        "http-request-method": http_request_method,
        "query-string": queries.collect::<Vec<_>>(),
        "source-ip": source_ip,
        "action": action(own),
    })
}

fn action(action: &RuleAction) -> Json {
    match action {
        RuleAction::Forward(group) => json!({ "forward": group.as_str() }),
        RuleAction::Split(Split { shares, stickiness }) => {
            let shares = shares.iter();
            let shares =
                shares.map(|it| json!({ "target-group": it.target_group, "weight": it.weight }));
            json!({
                "forward-config": {
                    "target-groups": shares.collect::<Vec<_>>(),
                    "stickiness": stickiness.map(period),
                },
            })
        }
        RuleAction::FixedResponse {
            status_code,
            content_type,
            message_body,
        } => json!({
            "fixed-response": {
                "status-code": status_code,
                "content-type": content_type,
                "message-body": message_body,
            },
        }),
        RuleAction::Redirect(Redirect {
            status_code,
            protocol,
            host,
            port,
            path,
            query,
        }) => json!({
            "redirect": {
                "status-code": status_code,
                "protocol": protocol,
                "host": host,
                "port": port,
                "path": path,
                "query": query,
            },
        }),
    }
}
