//! Listeners: rules, what they ask of a request, and what they do with it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Protocol;
use crate::cidr::Cidr;
use crate::defaults;
use crate::id::TargetGroupId;

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The port.
    pub port: u16,
    /// HTTP on an ALB, TCP on an NLB.
    pub protocol: Protocol,
    /// Rules by ascending priority; always empty on an NLB.
    pub rules: Vec<Rule>,
    /// What happens when no rule matches.
    pub default_action: RuleAction,
}

impl Listener {
    /// The target groups that it forwards to, one as often as it is named.
    pub fn target_groups(&self) -> impl Iterator<Item = &TargetGroupId> {
        let rules = self.rules.iter().map(|rule| &rule.action);
        let actions = rules.chain([&self.default_action]);
        actions.flat_map(RuleAction::target_groups)
    }
}

/// A listener rule: every condition that it has must be met, and any of a condition's values is enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// 1 to 50,000, ascending.
    pub priority: u32,
    /// Host patterns, any of which must match; empty matches all.
    pub host_header: Vec<String>,
    /// Path patterns, any of which must match; empty matches all.
    pub path_pattern: Vec<String>,
    /// Headers, each of which must be there with a value that matches.
    #[serde(default)]
    pub http_header: Vec<HttpHeader>,
    /// Methods, one of which must be the request's; empty matches all.
    #[serde(default)]
    pub http_request_method: Vec<String>,
    /// Conditions on the query string, each a list of pairs of which one must be there.
    #[serde(default)]
    pub query_string: Vec<Vec<QueryPair>>,
    /// Blocks, one of which must have the client's address; empty matches all.
    #[serde(default)]
    pub source_ip: Vec<Cidr>,
    /// What happens then.
    pub action: RuleAction,
}

impl Rule {
    /// A rule without conditions yet.
    pub fn new(priority: u32, action: RuleAction) -> Self {
        Self {
            priority,
            host_header: Vec::new(),
            path_pattern: Vec::new(),
            http_header: Vec::new(),
            http_request_method: Vec::new(),
            query_string: Vec::new(),
            source_ip: Vec::new(),
            action,
        }
    }

    /// Whether this may be a method: capitals, hyphens and underscores, at most 40 ("HttpRequestMethodConditionConfig").
    pub fn is_method(text: &str) -> bool {
        let may = |byte: u8| byte.is_ascii_uppercase() || byte == b'-' || byte == b'_';
        (1..=defaults::HEADER_NAME_MAX).contains(&text.len()) && text.bytes().all(may)
    }

    /// How many values its conditions have.
    pub fn values(&self) -> usize {
        let headers: usize = self.http_header.iter().map(|it| it.values.len()).sum();
        let queries: usize = self.query_string.iter().map(Vec::len).sum();
        self.host_header.len()
            + self.path_pattern.len()
            + headers
            + self.http_request_method.len()
            + queries
            + self.source_ip.len()
    }

    /// How many wildcards its conditions have. Methods and addresses have none.
    pub fn wildcards(&self) -> usize {
        let headers = self.http_header.iter().flat_map(|it| &it.values);
        let pairs = self.query_string.iter().flatten();
        let queries = pairs.flat_map(|pair| pair.key.iter().chain([&pair.value]));
        let patterns = self.host_header.iter().chain(&self.path_pattern);
        let patterns = patterns.chain(headers).chain(queries);
        patterns.map(|it| it.matches(['*', '?']).count()).sum()
    }
}

/// A condition on a request header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpHeader {
    /// The header's name, in any case, without wildcards.
    pub name: String,
    /// Patterns, any of which must match, in any case.
    pub values: Vec<String>,
}

impl HttpHeader {
    /// Whether this may be a header's name: at most 40 characters, no wildcards, and not the host ("HttpHeaderConditionConfig").
    pub fn is_name(text: &str) -> bool {
        let may = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=defaults::HEADER_NAME_MAX).contains(&text.len())
            && text.bytes().all(may)
            && !text.eq_ignore_ascii_case("host")
    }
}

/// A key and a value of a query string, both of them patterns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryPair {
    /// The key; any if absent.
    pub key: Option<String>,
    /// The value.
    pub value: String,
}

/// What a listener does with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleAction {
    /// Hands it to a target of the group.
    Forward(TargetGroupId),
    /// Hands it to a target of one of several groups.
    Split(Split),
    /// Answers it.
    FixedResponse {
        /// The status, 2xx, 4xx or 5xx.
        status_code: u16,
        /// The content type.
        content_type: String,
        /// The body, at most 1,024 characters.
        message_body: String,
    },
    /// Sends the client elsewhere.
    Redirect(Redirect),
}

impl RuleAction {
    /// A forward to these groups: a plain one if there is nothing to choose and nothing to remember.
    pub fn of_shares(mut shares: Vec<Share>, stickiness: Option<Duration>) -> Self {
        match shares.pop() {
            Some(only) if shares.is_empty() && stickiness.is_none() && only.weight > 0 => {
                Self::Forward(only.target_group)
            }
            last => {
                shares.extend(last);
                Self::Split(Split { shares, stickiness })
            }
        }
    }

    /// The target groups that it may hand a request to.
    pub fn target_groups(&self) -> impl Iterator<Item = &TargetGroupId> {
        let (one, several) = match self {
            Self::Forward(group) => (Some(group), &[][..]),
            Self::Split(split) => (None, &split.shares[..]),
            Self::FixedResponse { .. } | Self::Redirect(_) => (None, &[][..]),
        };
        one.into_iter()
            .chain(several.iter().map(|share| &share.target_group))
    }
}

/// A forward to up to five target groups by weight, or to one with stickiness. No group steps in for another: the share of an empty
/// one is answered with 503 (aws-behaviour §4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The groups and their weights.
    pub shares: Vec<Share>,
    /// For how long a client stays with the group that it was given to; none without target group stickiness.
    pub stickiness: Option<Duration>,
}

/// A target group's share of the requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The target group.
    pub target_group: TargetGroupId,
    /// 0 to 999, against the sum of all.
    pub weight: u16,
}

/// Where a client is sent: parts of an URL, with placeholders for those of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// 301 or 302.
    pub status_code: u16,
    /// `HTTP`, `HTTPS` or `#{protocol}`.
    pub protocol: String,
    /// The host, as `#{host}`.
    pub host: String,
    /// The port, as `#{port}`.
    pub port: String,
    /// The path with its leading `/`, as `/#{path}`.
    pub path: String,
    /// The query without its leading `?`, as `#{query}`.
    pub query: String,
}

/// Every part as the request has it, which is what AWS takes for a part that is left out ("RedirectActionConfig").
impl Default for Redirect {
    fn default() -> Self {
        Self {
            status_code: 302,
            protocol: "#{protocol}".to_owned(),
            host: "#{host}".to_owned(),
            port: "#{port}".to_owned(),
            path: "/#{path}".to_owned(),
            query: "#{query}".to_owned(),
        }
    }
}

impl Redirect {
    /// Whether it leads back to where it is given: protocol, host, port and path are all the request's.
    pub fn is_loop(&self) -> bool {
        let same = Self::default();
        (&self.protocol, &self.host, &self.port, &self.path)
            == (&same.protocol, &same.host, &same.port, &same.path)
    }

    /// The first part that is not of its form, and what its form is ("RedirectActionConfig").
    pub fn malformed(&self) -> Option<(&'static str, &'static str)> {
        let port = || self.port.parse::<u16>().is_ok_and(|port| port > 0);
        let lengths = |text: &str| text.chars().count() <= 128;
        let text = |text: &str| {
            let visible = |c: char| !c.is_control() && !c.is_whitespace() && c.is_ascii();
            lengths(text) && text.chars().all(visible)
        };
        if !["HTTP", "HTTPS", "#{protocol}"].contains(&self.protocol.as_str()) {
            Some(("protocol", "HTTP, HTTPS or #{protocol}"))
        } else if self.host.is_empty() || !text(&self.host) {
            Some(("host", "1 to 128 characters without spaces"))
        } else if self.port != "#{port}" && !port() {
            Some(("port", "a number from 1 to 65535 or #{port}"))
        } else if !self.path.starts_with('/') || !text(&self.path) {
            Some((
                "path",
                "1 to 128 characters without spaces, the first a '/'",
            ))
        } else if self.query.starts_with('?') || !text(&self.query) {
            Some((
                "query",
                "up to 128 characters without spaces and without a leading '?'",
            ))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// aws-behaviour §4.2: protocol, host, port or path has to change, and every part has a form.
    #[test]
    fn s4_2_redirects() {
        let with = |change: fn(&mut Redirect)| {
            let mut redirect = Redirect::default();
            change(&mut redirect);
            (redirect.is_loop(), redirect.malformed().map(|it| it.0))
        };
        type Change = fn(&mut Redirect);
        let table: [(Change, (bool, Option<&str>)); 9] = [
            (|_| {}, (true, None)),
            (|it| it.query = "a=1".into(), (true, None)),
            (|it| it.protocol = "HTTPS".into(), (false, None)),
            (|it| it.protocol = "https".into(), (false, Some("protocol"))),
            (|it| it.port = "0".into(), (false, Some("port"))),
            (|it| it.path = "x".into(), (false, Some("path"))),
            (
                |it| it.path = format!("/{}", "x".repeat(128)),
                (false, Some("path")),
            ),
            (|it| it.host = String::new(), (false, Some("host"))),
            (|it| it.query = "?a".into(), (true, Some("query"))),
        ];
        for (at, (change, expected)) in table.into_iter().enumerate() {
            assert_eq!(with(change), expected, "{at}");
        }
    }
}
