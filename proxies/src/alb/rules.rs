//! Which rule a request matches, and which target group of several is its. Pure.

use std::net::Ipv4Addr;

use http::{HeaderMap, Method};
use topologies::cidr::Cidr;
use topologies::topology::{HttpHeader, QueryPair, Rule, RuleAction, Share, Split};

use crate::routes::Listener;

/// What rules look at of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// The host, without its port.
    pub(crate) host: &'a str,
    /// The path, without the query.
    pub(crate) path: &'a str,
    /// The query, without its leading `?`; empty if there is none.
    pub(crate) query: &'a str,
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    /// Who asks: the peer, whatever `X-Forwarded-For` says.
    pub(crate) client: Ipv4Addr,
}

/// What the listener does with a request.
pub(crate) fn action<'a>(listener: &'a Listener, asked: Asked<'_>) -> &'a RuleAction {
    listener
        .rules
        .iter()
        .find(|rule| matches(rule, asked))
        .map_or(&listener.default_action, |rule| &rule.action)
}

/// The target group of a split: the one that the client is to stay with if it is still one of them, else by weight; `draw` is any number.
/// None if no group has a weight.
pub(crate) fn share(split: &Split, stays: impl Fn(&Share) -> bool, draw: u64) -> Option<&Share> {
    if split.stickiness.is_some()
        && let Some(share) = split.shares.iter().find(|share| stays(share))
    {
        return Some(share);
    }
    let total: u64 = split.shares.iter().map(|it| u64::from(it.weight)).sum();
    let mut at = draw.checked_rem(total)?;
    split.shares.iter().find(|share| {
        let weight = u64::from(share.weight);
        let here = at < weight;
        at = at.saturating_sub(weight);
        here
    })
}

/// Any value of a condition is enough; every condition has to be met ("Condition types for listener rules").
fn matches(rule: &Rule, asked: Asked<'_>) -> bool {
    let any = |patterns: &[String], text: &str, case: Case| {
        patterns.is_empty() || patterns.iter().any(|pattern| like(pattern, text, case))
    };
    let methods = &rule.http_request_method;
    any(&rule.path_pattern, asked.path, Case::Sensitive)
        && any(&rule.host_header, asked.host, Case::Insensitive)
        && (methods.is_empty() || methods.iter().any(|it| it == asked.method.as_str()))
        && (rule.source_ip.is_empty() || {
            let client = Cidr::host(asked.client);
            rule.source_ip.iter().any(|block| block.contains(client))
        })
        && rule
            .http_header
            .iter()
            .all(|it| has_header(it, asked.headers))
        && rule.query_string.iter().all(|it| has_pair(it, asked.query))
}

fn has_header(condition: &HttpHeader, headers: &HeaderMap) -> bool {
    let mut found = headers.get_all(condition.name.as_str()).iter();
    found.any(|value| {
        let mut patterns = condition.values.iter();
        patterns.any(|pattern| like_bytes(pattern.as_bytes(), value.as_bytes(), Case::Insensitive))
    })
}

/// A pair without a key asks for the value of any.
fn has_pair(pairs: &[QueryPair], query: &str) -> bool {
    query.split('&').filter(|it| !it.is_empty()).any(|field| {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        pairs.iter().any(|pair| {
            let is_key = |pattern: &String| like(pattern, key, Case::Escaped);
            pair.key.as_ref().is_none_or(is_key) && like(&pair.value, value, Case::Escaped)
        })
    })
}

/// How a pattern is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// A path's.
    Sensitive,
    /// A host's or a header's.
    Insensitive,
    /// A query string's: in any case, and a backslash before a wildcard makes it a plain character ("QueryStringConditionConfig").
    Escaped,
}

fn like(pattern: &str, text: &str, case: Case) -> bool {
    like_bytes(pattern.as_bytes(), text.as_bytes(), case)
}

/// Whether `text` is like `pattern`, in which `*` stands for any number of characters and `?` for one.
///
/// On a mismatch it returns to the last `*` and lets that one take a character more; earlier ones need no second thought.
fn like_bytes(pattern: &[u8], text: &[u8], case: Case) -> bool {
    let equal = |a: u8, b: u8| match case {
        Case::Sensitive => a == b,
        Case::Insensitive | Case::Escaped => a.eq_ignore_ascii_case(&b),
    };
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let rest = pattern.get(p..).unwrap_or_default();
        let step = match rest {
            [b'*', ..] => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            [b'?', ..] => Some(1),
            [b'\\', c @ (b'*' | b'?'), ..] if case == Case::Escaped => (*c == text[t]).then_some(2),
            [c, ..] => equal(*c, text[t]).then_some(1),
            [] => None,
        };
        match (step, star) {
            (Some(step), _) => (p, t) = (p + step, t + 1),
            (None, Some((at, taken))) => {
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use topologies::topology::Protocol;

    use super::*;

    #[test]
    fn patterns() {
        let table = [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("/img/*", "/img/a/b.png", true),
            ("/img/*", "/img", false),
            ("/img/*", "/IMG/a", false),
            ("/a?c", "/abc", true),
            ("/a?c", "/ac", false),
            ("*/b/*", "/a/b/b/c", true),
            ("*.png", "/a.png.gif", false),
            ("*a*a*a*b", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("/**", "/", true),
        ];
        for (pattern, text, expected) in table {
            let found = like(pattern, text, Case::Sensitive);
            assert_eq!(found, expected, "{pattern} {text}");
        }
    }

    fn rule(priority: u32, hosts: &[&str], paths: &[&str]) -> Rule {
        let action = RuleAction::Forward(priority.to_string().into());
        let mut rule = Rule::new(priority, action);
        rule.host_header = hosts.iter().map(ToString::to_string).collect();
        rule.path_pattern = paths.iter().map(ToString::to_string).collect();
        rule
    }

    fn asked<'a>(host: &'a str, path: &'a str, headers: &'a HeaderMap) -> Asked<'a> {
        Asked {
            host,
            path,
            query: "",
            method: &Method::GET,
            headers,
            client: Ipv4Addr::LOCALHOST,
        }
    }

    fn conditioned(change: impl Fn(&mut Rule), asked: Asked<'_>) -> bool {
        let mut conditioned = rule(1, &[], &[]);
        change(&mut conditioned);
        matches(&conditioned, asked)
    }

    /// Names and values in any case, wildcards in values, any of a header's values.
    #[test]
    fn s4_2_http_header() {
        let mut headers = HeaderMap::new();
        for value in ["first", "Mozilla/5.0 Chrome/1"] {
            let name = HeaderName::from_static("user-agent");
            headers.append(name, HeaderValue::from_static(value));
        }
        let table = [
            ("User-Agent", "*chrome*", true),
            ("user-agent", "FIRST", true),
            ("user-agent", "mozilla", false),
            ("user-*", "*", false),
            ("x-other", "*", false),
        ];
        for (name, value, expected) in table {
            let condition = HttpHeader {
                name: name.to_owned(),
                values: vec!["never".to_owned(), value.to_owned()],
            };
            let change = |rule: &mut Rule| rule.http_header = vec![condition.clone()];
            let met = conditioned(change, asked("a", "/", &headers));
            assert_eq!(met, expected, "{name}: {value}");
        }
    }

    /// In any case; a key and a value, or the value of any key; escaped wildcards are plain.
    #[test]
    fn s4_2_query_string() {
        let table = [
            (Some("version"), "v1", "version=v1", true),
            (Some("VERSION"), "V1", "a=b&version=v1", true),
            (Some("version"), "v1", "version=v2&other=v1", false),
            (None, "v1", "other=v1", true),
            (None, "*exam*", "a=EXAMPLE", true),
            (Some("flag"), "*", "flag", true),
            (None, "*", "", false),
            (None, r"\*", "a=*", true),
            (None, r"\*", "a=b", false),
            (None, r"a\?*", "a=a?b", true),
        ];
        let none = HeaderMap::new();
        for (key, value, query, expected) in table {
            let pair = QueryPair {
                key: key.map(str::to_owned),
                value: value.to_owned(),
            };
            let mut asked = asked("a", "/", &none);
            asked.query = query;
            let change = |rule: &mut Rule| rule.query_string = vec![vec![pair.clone()]];
            assert_eq!(
                conditioned(change, asked),
                expected,
                "{key:?}={value} {query}"
            );
        }
    }

    /// Methods are exact, and the address is the peer's.
    #[test]
    fn s4_2_method_and_source_ip() {
        let none = HeaderMap::new();
        let asked = asked("a", "/", &none);
        for (method, expected) in [("GET", true), ("get", false), ("PUT", false)] {
            let change = |rule: &mut Rule| rule.http_request_method = vec![method.to_owned()];
            assert_eq!(conditioned(change, asked), expected, "{method}");
        }
        for (block, expected) in [("127.0.0.0/8", true), ("10.0.0.0/8", false)] {
            let change = |rule: &mut Rule| rule.source_ip = vec![block.parse().unwrap()];
            assert_eq!(conditioned(change, asked), expected, "{block}");
        }
    }

    /// By weight, and where there is stickiness with the group of before, even one that gets nothing new.
    #[test]
    fn s4_2_weighted_groups() {
        let split = |weights: &[u16], sticky: bool| Split {
            shares: weights
                .iter()
                .zip(["a", "b", "c"])
                .map(|(weight, group)| Share {
                    target_group: group.into(),
                    weight: *weight,
                })
                .collect(),
            stickiness: sticky.then_some(std::time::Duration::from_secs(60)),
        };
        let chosen = |split: &Split, before: &str| -> String {
            let stays = |it: &Share| it.target_group.as_str() == before;
            let chosen = (0..6).filter_map(|draw| share(split, stays, draw));
            chosen.map(|it| it.target_group.as_str()).collect()
        };
        assert_eq!(chosen(&split(&[1, 2, 0], false), "c"), "abbabb");
        assert_eq!(chosen(&split(&[1, 2, 0], true), "c"), "cccccc");
        assert_eq!(chosen(&split(&[1, 2], true), "gone"), "abbabb");
        assert_eq!(chosen(&split(&[0, 0], false), "a"), "");
    }

    #[test]
    fn the_first_rule_whose_conditions_are_all_met() {
        let listener = Listener {
            port: 80,
            protocol: Protocol::Http,
            rules: vec![
                rule(10, &["*.example.com", "api.example.org"], &["/v1/*"]),
                rule(20, &["*.example.com"], &[]),
                rule(30, &[], &["/static/*"]),
            ],
            default_action: RuleAction::Forward("default".into()),
        };
        let table = [
            ("a.example.com", "/v1/x", "10"),
            ("A.EXAMPLE.Com", "/v1/x", "10"),
            ("api.example.org", "/v1/", "10"),
            ("a.example.com", "/V1/x", "20"),
            ("example.com", "/", "default"),
            ("other", "/static/x", "30"),
            ("other", "/", "default"),
        ];
        for (host, path, expected) in table {
            let expected = RuleAction::Forward(expected.into());
            let none = HeaderMap::new();
            let asked = asked(host, path, &none);
            assert_eq!(*action(&listener, asked), expected, "{host} {path}");
        }
    }
}
