//! What listeners and rules are to do: forward to target groups, send the client elsewhere, or answer by themselves (aws-behaviour §4.2).

use std::time::Duration;

use serde_json::Value;
use topologies::defaults;
use topologies::id::TargetGroupId;
use topologies::topology::{LoadBalancer, LoadBalancerType, Protocol, Redirect, RuleAction, Share};
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
        "redirect" if lb.kind == LoadBalancerType::Application => redirect(view, action),
        kind @ ("fixed-response" | "redirect") => {
            let text = format!("Action type '{kind}' is not supported by network load balancers");
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
    only(
        "an action",
        config,
        &["TargetGroups", "TargetGroupStickinessConfig"],
    )?;
    let invalid = |text: String| view.fault("InvalidLoadBalancerActionException", text);
    let groups = config["TargetGroups"].as_array().map(Vec::as_slice);
    let groups = groups.unwrap_or_default();
    let most = match lb.kind {
        LoadBalancerType::Application => defaults::FORWARD_GROUPS_MAX,
        LoadBalancerType::Network => 1,
    };
    if groups.len() > most {
        return Err(invalid(format!(
            "A forward action can have at most {most} target groups"
        )));
    }
    let top = text(action, "TargetGroupArn");
    let mut shares: Vec<Share> = Vec::new();
    for group in groups {
        let arn = text(group, "TargetGroupArn").unwrap_or_default();
        if top.is_some_and(|top| groups.len() > 1 || top != arn) {
            let text = "If you specify both ForwardConfig and TargetGroupArn, you can specify only one target group using ForwardConfig and it must be the same target group specified in TargetGroupArn";
            return Err(invalid(text.to_owned()));
        }
        let target_group = forwardable(view, lb, arn)?;
        if shares.iter().any(|it| it.target_group == target_group) {
            return Err(invalid(format!("Target group '{arn}' is specified twice")));
        }
        shares.push(Share {
            target_group,
            weight: weight(view, group)?,
        });
    }
    match top {
        Some(arn) if shares.is_empty() => shares.push(Share {
            target_group: forwardable(view, lb, arn)?,
            weight: 1,
        }),
        Some(_) => {}
        None if shares.is_empty() => {
            let text = "A target group ARN must be specified";
            return Err(view.fault("ValidationError", text));
        }
        None => {}
    }
    let stickiness = stickiness(view, lb, &config["TargetGroupStickinessConfig"])?;
    let sticky = |share: &Share| {
        let mut groups = view.topology().target_groups.iter();
        groups.any(|it| it.id == share.target_group && it.routing.stickiness.enabled)
    };
    if shares.len() > 1 && stickiness.is_none() && shares.iter().any(sticky) {
        let text = "You must enable target group stickiness on the action if one of its target groups has stickiness enabled";
        return Err(view.fault("InvalidConfigurationRequestException", text));
    }
    Ok(RuleAction::of_shares(shares, stickiness))
}

fn weight(view: &View<'_>, group: &Value) -> Result<u16, Fault> {
    let Some(written) = group["Weight"].as_i64() else {
        return Ok(1);
    };
    let weight = u16::try_from(written).ok();
    weight
        .filter(|it| *it <= defaults::WEIGHT_MAX)
        .ok_or_else(|| {
            let most = defaults::WEIGHT_MAX;
            let text = format!("Weight '{written}' must be between 0 and {most}");
            view.fault("InvalidLoadBalancerActionException", text)
        })
}

/// For how long clients stay with their target group; none if they do not.
fn stickiness(
    view: &View<'_>,
    lb: &LoadBalancer,
    config: &Value,
) -> Result<Option<Duration>, Fault> {
    if config["Enabled"] != true {
        return Ok(None);
    }
    let invalid = |text: String| view.fault("InvalidLoadBalancerActionException", text);
    if lb.kind == LoadBalancerType::Network {
        let text = "Target group stickiness is not supported by network load balancers";
        return Err(invalid(text.to_owned()));
    }
    let (least, most) = defaults::STICKINESS_RANGE;
    let lasts = config["DurationSeconds"].as_u64().map(Duration::from_secs);
    let lasts = lasts.filter(|it| (least..=most).contains(it));
    let lasts = lasts.ok_or_else(|| {
        let (least, most) = (least.as_secs(), most.as_secs());
        invalid(format!(
            "Target group stickiness duration must be between {least} and {most} seconds"
        ))
    })?;
    Ok(Some(lasts))
}

/// A target group that this load balancer may forward to.
fn forwardable(view: &View<'_>, lb: &LoadBalancer, arn: &str) -> Result<TargetGroupId, Fault> {
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
    Ok(group.id.clone())
}

/// A part that is left out stays the request's ("RedirectActionConfig").
fn redirect(view: &View<'_>, action: &Value) -> Result<RuleAction, Fault> {
    only("an action", action, &["Type", "Order", "RedirectConfig"])?;
    let config = &action["RedirectConfig"];
    let invalid = |text: String| view.fault("InvalidLoadBalancerActionException", text);
    let usual = Redirect::default();
    let part = |name: &str, usual: String| text(config, name).map_or(usual, str::to_owned);
    let status_code = match text(config, "StatusCode").unwrap_or_default() {
        "HTTP_301" => 301,
        "HTTP_302" => 302,
        other => return Err(invalid(format!("Status code '{other}' is not valid"))),
    };
    let redirect = Redirect {
        status_code,
        protocol: part("Protocol", usual.protocol),
        host: part("Host", usual.host),
        port: part("Port", usual.port),
        path: part("Path", usual.path),
        query: part("Query", usual.query),
    };
    if let Some((part, form)) = redirect.malformed() {
        return Err(invalid(format!("The redirect {part} must be {form}")));
    }
    if redirect.is_loop() {
        let text = "You must modify at least one of the following components to avoid a redirect loop: protocol, port, hostname or path";
        return Err(invalid(text.to_owned()));
    }
    Ok(RuleAction::Redirect(redirect))
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
