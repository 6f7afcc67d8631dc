//! Actions of listeners and rules.

use std::collections::BTreeSet;

use super::Checker;
use super::balancers::Groups;
use crate::defaults;
use crate::id::TargetGroupId;
use crate::notes::Span;
use crate::spec::{ActionSpec, At, FixedResponseSpec, ForwardConfigSpec, RedirectSpec};
use crate::topology::{LoadBalancerType, Protocol, Redirect, RuleAction, Share};

/// The action of a listener or a rule.
pub(super) fn action(
    checker: &mut Checker<'_>,
    balancer: &At<String>,
    kind: LoadBalancerType,
    written: &At<ActionSpec>,
    groups: &mut Groups<'_>,
) -> Option<RuleAction> {
    let ActionSpec {
        forward: group,
        forward_config,
        redirect: to,
        fixed_response: response,
    } = &written.value;
    if kind == LoadBalancerType::Network {
        let spans = [
            forward_config.as_ref().map(|it| it.span),
            to.as_ref().map(|it| it.span),
            response.as_ref().map(|it| it.span),
        ];
        for span in spans.into_iter().flatten() {
            checker.error(span, "a Network Load Balancer's listener can only forward");
        }
    }
    match (group, forward_config, to, response) {
        (Some(group), None, None, None) => {
            forward(checker, balancer, kind, group, groups).map(RuleAction::Forward)
        }
        (None, Some(config), None, None) => split(checker, balancer, kind, config, groups),
        (None, None, Some(to), None) => redirect(checker, to),
        (None, None, None, Some(response)) => fixed_response(checker, response),
        _ => {
            checker.error_with(
                written.span,
                "an action is one of `forward`, `forward-config`, `redirect` and `fixed-response`",
                "for example `{ forward: web }`",
            );
            None
        }
    }
}

/// Target groups by weight; one without stickiness is a plain forward.
fn split(
    checker: &mut Checker<'_>,
    balancer: &At<String>,
    kind: LoadBalancerType,
    written: &At<ForwardConfigSpec>,
    groups: &mut Groups<'_>,
) -> Option<RuleAction> {
    let ForwardConfigSpec {
        target_groups,
        stickiness,
    } = &written.value;
    let count = target_groups.value.len();
    if count == 0 || count > defaults::FORWARD_GROUPS_MAX {
        checker.error_with(
            target_groups.span,
            format!("this forwards to {count} target groups"),
            format!("an action has 1 to {}", defaults::FORWARD_GROUPS_MAX),
        );
    }
    let mut named = BTreeSet::new();
    let mut shares = Vec::new();
    for share in &target_groups.value {
        let group = &share.target_group;
        if !named.insert(&group.value) {
            checker.error_with(
                group.span,
                format!("target group `{}` is here twice", group.value),
                "give it one weight",
            );
        }
        let target_group = forward(checker, balancer, kind, group, groups);
        shares.extend(target_group.map(|target_group| Share {
            target_group,
            weight: share.weight.as_ref().map_or(1, |weight| weight.value),
        }));
    }
    let stickiness = stickiness.as_ref().map(|written| {
        let range = ("stickiness", defaults::STICKINESS_RANGE);
        super::target_groups::ranged(checker, Some(written), written.value.0, range)
    });
    let sticky = |share: &&Share| groups.sticky.contains(share.target_group.as_str());
    if count > 1
        && stickiness.is_none()
        && let Some(share) = shares.iter().find(sticky)
    {
        checker.error_with(
            written.span,
            format!(
                "clients of target group `{}` are to stay with a target, but not with the group",
                share.target_group
            ),
            "give this `stickiness` too",
        );
    }
    (shares.len() == count).then(|| RuleAction::of_shares(shares, stickiness))
}

fn redirect(checker: &mut Checker<'_>, written: &At<RedirectSpec>) -> Option<RuleAction> {
    let RedirectSpec {
        status_code,
        protocol,
        host,
        port,
        path,
        query,
    } = &written.value;
    let usual = Redirect::default();
    let text =
        |at: &Option<At<String>>, usual: String| at.as_ref().map_or(usual, |it| it.value.clone());
    let redirect = Redirect {
        status_code: status_code.value,
        protocol: text(protocol, usual.protocol),
        host: text(host, usual.host),
        port: port.as_ref().map_or(usual.port, |it| it.value.0.clone()),
        path: text(path, usual.path),
        query: query.as_ref().map_or(usual.query, |it| it.value.0.clone()),
    };
    if let Some((part, form)) = redirect.malformed() {
        let span = match part {
            "protocol" => protocol.as_ref().map(|it| it.span),
            "host" => host.as_ref().map(|it| it.span),
            "port" => port.as_ref().map(|it| it.span),
            "path" => path.as_ref().map(|it| it.span),
            _ => query.as_ref().map(|it| it.span),
        };
        checker.error_with(
            span.unwrap_or(written.span),
            format!("this is not the {part} of a redirect"),
            format!("it is {form}"),
        );
    } else if redirect.is_loop() {
        checker.error_with(
            written.span,
            "this redirect leads back to where it is given",
            "change at least one of `protocol`, `host`, `port` and `path`",
        );
    }
    Some(RuleAction::Redirect(redirect))
}

/// A target group that this load balancer may forward to.
fn forward(
    checker: &mut Checker<'_>,
    balancer: &At<String>,
    kind: LoadBalancerType,
    group: &At<String>,
    groups: &mut Groups<'_>,
) -> Option<TargetGroupId> {
    if !groups.declared.contains(&group.value.as_str()) {
        checker.undeclared("target group", group, &groups.declared);
        return None;
    }
    let (wanted, word) = match kind {
        LoadBalancerType::Application => (Protocol::Http, "HTTP"),
        LoadBalancerType::Network => (Protocol::Tcp, "TCP"),
    };
    if groups
        .protocols
        .get(group.value.as_str())
        .is_some_and(|protocol| *protocol != wanted)
    {
        checker.error_with(
            group.span,
            format!(
                "target group `{}` has the wrong protocol for this load balancer",
                group.value
            ),
            format!("give it `protocol: {word}`, or forward to another one"),
        );
    }
    let other = groups
        .used
        .entry(group.value.clone())
        .or_insert_with(|| balancer.value.clone());
    if *other != balancer.value {
        let hint = format!(
            "`{other}` forwards to it too; declare a second target group with the same targets"
        );
        checker.error_with(
            group.span,
            format!(
                "target group `{}` belongs to two load balancers",
                group.value
            ),
            hint,
        );
    }
    Some(TargetGroupId::from(group.value.as_str()))
}

fn fixed_response(
    checker: &mut Checker<'_>,
    written: &At<FixedResponseSpec>,
) -> Option<RuleAction> {
    let FixedResponseSpec {
        status_code,
        content_type,
        message_body,
    } = &written.value;
    if !matches!(status_code.value, 200..=299 | 400..=599) {
        let message = format!("status {} can not be a fixed response", status_code.value);
        checker.error_with(status_code.span, message, "it is 2xx, 4xx or 5xx");
    }
    if let Some(kind) = content_type
        && !defaults::FIXED_CONTENT_TYPES.contains(&kind.value.as_str())
    {
        let message = format!(
            "content type `{}` can not be a fixed response's",
            kind.value.escape_debug()
        );
        checker.error_with(
            kind.span,
            message,
            format!("allowed: {}", defaults::FIXED_CONTENT_TYPES.join(", ")),
        );
    }
    let body = |at: &At<String>| at.value.chars().count();
    if let Some(at) = message_body
        && body(at) > defaults::FIXED_BODY_MAX
    {
        let span = Span {
            length: 1,
            ..at.span
        };
        checker.error(
            span,
            format!(
                "this body has {} characters; AWS allows {}",
                body(at),
                defaults::FIXED_BODY_MAX
            ),
        );
    }
    Some(RuleAction::FixedResponse {
        status_code: status_code.value,
        content_type: content_type
            .as_ref()
            .map_or("text/plain", |kind| kind.value.as_str())
            .to_owned(),
        message_body: message_body
            .as_ref()
            .map(|body| body.value.clone())
            .unwrap_or_default(),
    })
}
