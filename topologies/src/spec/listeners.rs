//! Listeners, their rules and actions as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, ProtocolSpec};
use crate::yaml::values::{Literal, Period, Words};

/// A listener.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ListenerSpec {
    /// The port.
    #[schemars(range(min = 1))]
    pub port: At<u16>,
    /// HTTP on an ALB, TCP on an NLB; may be left out.
    pub protocol: Option<At<ProtocolSpec>>,
    /// What happens when no rule matches.
    pub default_action: At<ActionSpec>,
    /// Rules of an ALB's listener.
    pub rules: Option<At<Vec<At<RuleSpec>>>>,
}

/// What a listener does with a request: one of `forward`, `forward-config`, `redirect` and `fixed-response`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ActionSpec {
    /// The target group to hand it to.
    pub forward: Option<At<String>>,
    /// Target groups by weight, or one with stickiness.
    pub forward_config: Option<At<ForwardConfigSpec>>,
    /// Where to send the client.
    pub redirect: Option<At<RedirectSpec>>,
    /// The answer to give.
    pub fixed_response: Option<At<FixedResponseSpec>>,
}

/// A forward to one to five target groups.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ForwardConfigSpec {
    /// The target groups and their weights.
    pub target_groups: At<Vec<At<ShareSpec>>>,
    /// For how long a client stays with the target group that it was given to, 1 second to 7 days; not at all if absent.
    pub stickiness: Option<At<Period>>,
}

/// A target group's share of the requests.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ShareSpec {
    /// The target group.
    pub target_group: At<String>,
    /// Its share against the sum of all; 1 if absent.
    #[schemars(range(max = 999))]
    pub weight: Option<At<u16>>,
}

/// A redirect. Parts that are absent stay the request's; `#{protocol}`, `#{host}`, `#{port}`, `#{path}` and `#{query}` stand for these.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RedirectSpec {
    /// 301 or 302.
    #[schemars(range(min = 301, max = 302))]
    pub status_code: At<u16>,
    /// `HTTP`, `HTTPS` or `#{protocol}`.
    pub protocol: Option<At<String>>,
    /// The host.
    pub host: Option<At<String>>,
    /// The port.
    pub port: Option<At<Literal>>,
    /// The path, with its leading `/`.
    pub path: Option<At<String>>,
    /// The query, without its leading `?`.
    pub query: Option<At<Literal>>,
}

/// An answer that a listener gives by itself.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FixedResponseSpec {
    /// The status: 2xx, 4xx or 5xx.
    #[schemars(range(min = 200, max = 599))]
    pub status_code: At<u16>,
    /// The content type; `text/plain` if absent.
    pub content_type: Option<At<String>>,
    /// The body, at most 1,024 characters.
    pub message_body: Option<At<String>>,
}

/// A listener rule: conditions, all of which must hold, and an action.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RuleSpec {
    /// Rules are tried from the lowest priority up.
    #[schemars(range(min = 1, max = 50000))]
    pub priority: At<u32>,
    /// Host patterns, any of which must match.
    pub host_header: Option<At<Words>>,
    /// Path patterns, any of which must match.
    pub path_pattern: Option<At<Words>>,
    /// Headers, each of which must be there with a value that matches.
    #[serde(default)]
    pub http_header: Vec<At<HttpHeaderSpec>>,
    /// Methods, one of which must be the request's.
    pub http_request_method: Option<At<Words>>,
    /// Conditions on the query string, each of which must hold.
    #[serde(default)]
    pub query_string: Vec<At<QueryStringSpec>>,
    /// Blocks of addresses, `10.0.0.0/8`, one of which must have the client's.
    pub source_ip: Option<At<Words>>,
    /// What happens then.
    pub action: At<ActionSpec>,
}

/// A condition on a request header.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HttpHeaderSpec {
    /// The header's name, without wildcards.
    pub name: At<String>,
    /// Patterns, any of which must match.
    pub values: At<Words>,
}

/// A condition on the query string.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct QueryStringSpec {
    /// Pairs, one of which must be there.
    pub values: At<Vec<At<QueryPairSpec>>>,
}

/// A key and a value of a query string.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct QueryPairSpec {
    /// The key; any if absent.
    pub key: Option<At<Literal>>,
    /// The value; `*` and `?` are wildcards, with a backslash before them they are not.
    pub value: At<Literal>,
}
