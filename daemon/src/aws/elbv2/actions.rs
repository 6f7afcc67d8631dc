//! What listeners and rules are to do: forward to one target group, or answer by themselves.

use serde_json::Value;
use topologies::defaults;
use topologies::topology::{LoadBalancer, LoadBalancerType, Protocol, RuleAction};
use wire::Fault;

use super::names;
use crate::aws::View;
use crate::aws::input::{not_implemented, only, text};

/// The action of a listener or a rule of this load balancer.
pub(super) fn action(
    view: &View<'_>,
    lb: &LoadBalancer,
    actions: &Value,
) -> Result<RuleAction, Fault> {
    let actions = actions.as_array().map(Vec::as_slice).unwrap_or_default();
    let [action] = actions else {
        return Err(match actions.len() {
            0 => view.fault("ValidationError", "An action must be specified"),
            _ => not_implemented("more than one action"),
        });
    };
    match text(action, "Type").unwrap_or_default() {
        "forward" => forward(view, lb, action),
        "fixed-response" if lb.kind == LoadBalancerType::Application => fixed(view, action),
        "fixed-response" => {
            let text = "Action type 'fixed-response' is not supported by network load balancers";
            Err(view.fault("InvalidLoadBalancerActionException", text))
        }
        other => Err(not_implemented(format!("an action of type {other}"))),
    }
}

fn forward(view: &View<'_>, lb: &LoadBalancer, action: &Value) -> Result<RuleAction, Fault> {
    only(
        "an action",
        action,
        &["Type", "Order", "TargetGroupArn", "ForwardConfig"],
    )?;
    let config = &action["ForwardConfig"];
    let groups = config["TargetGroups"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if groups.len() > 1 {
        return Err(not_implemented(
            "an action that forwards to several target groups",
        ));
    }
    if config["TargetGroupStickinessConfig"]["Enabled"] == true {
        return Err(not_implemented("stickiness of target groups"));
    }
    let in_config = groups
        .first()
        .and_then(|group| text(group, "TargetGroupArn"));
    let Some(arn) = text(action, "TargetGroupArn").or(in_config) else {
        let text = "A target group ARN must be specified";
        return Err(view.fault("ValidationError", text));
    };
    let group = names::find_group(view, arn)?;
    let wanted = match lb.kind {
        LoadBalancerType::Application => Protocol::Http,
        LoadBalancerType::Network => Protocol::Tcp,
    };
    if group.protocol != wanted {
        let text =
            format!("The protocol of target group '{arn}' is not compatible with the listener's");
        return Err(view.fault("IncompatibleProtocolsException", text));
    }
    if names::users(view, group)
        .iter()
        .any(|user| user.id != lb.id)
    {
        let text = format!(
            "The following target groups cannot be associated with more than one load balancer: {arn}"
        );
        return Err(view.fault("TargetGroupAssociationLimitException", text));
    }
    Ok(RuleAction::Forward(group.id.clone()))
}

fn fixed(view: &View<'_>, action: &Value) -> Result<RuleAction, Fault> {
    only(
        "an action",
        action,
        &["Type", "Order", "FixedResponseConfig"],
    )?;
    let config = &action["FixedResponseConfig"];
    let invalid = |text: String| view.fault("InvalidLoadBalancerActionException", text);
    let code = text(config, "StatusCode").unwrap_or_default();
    let status = code
        .parse()
        .ok()
        .filter(|it| matches!(it, 200..=299 | 400..=599));
    let status_code =
        status.ok_or_else(|| invalid(format!("Status code '{code}' must be 2XX, 4XX or 5XX")))?;
    let content_type = text(config, "ContentType").unwrap_or("text/plain");
    if !defaults::FIXED_CONTENT_TYPES.contains(&content_type) {
        return Err(invalid(format!(
            "Content type '{content_type}' is not supported"
        )));
    }
    let body = text(config, "MessageBody").unwrap_or_default();
    if body.chars().count() > defaults::FIXED_BODY_MAX {
        let most = defaults::FIXED_BODY_MAX;
        return Err(invalid(format!(
            "Message body cannot be longer than {most} characters"
        )));
    }
    Ok(RuleAction::FixedResponse {
        status_code,
        content_type: content_type.to_owned(),
        message_body: body.to_owned(),
    })
}
