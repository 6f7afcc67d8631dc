//! Rules of listeners: their conditions and AWS's limits on these.

use super::actions::action;
use super::balancers::Groups;
use super::{Checker, identifiers};
use crate::cidr::Cidr;
use crate::defaults;
use crate::notes::Span;
use crate::spec::{At, HttpHeaderSpec, QueryStringSpec, RuleSpec};
use crate::topology::{HttpHeader, LoadBalancerType, QueryPair, Rule};
use crate::yaml::values::Words;

/// A rule of an Application Load Balancer's listener.
pub(super) fn rule(
    checker: &mut Checker<'_>,
    balancer: &At<String>,
    written: &At<RuleSpec>,
    groups: &mut Groups<'_>,
) -> Option<Rule> {
    let action = action(
        checker,
        balancer,
        LoadBalancerType::Application,
        &written.action,
        groups,
    );
    let mut rule = Rule::new(written.priority.value, action?);
    rule.host_header = patterns(checker, "host-header", written.host_header.as_ref());
    rule.path_pattern = patterns(checker, "path-pattern", written.path_pattern.as_ref());
    let headers = written.http_header.iter();
    rule.http_header = headers.map(|it| http_header(checker, it)).collect();
    let methods = written.http_request_method.as_ref();
    rule.http_request_method = methods.map_or_else(Vec::new, |it| self::methods(checker, it));
    let queries = written.query_string.iter();
    rule.query_string = queries.map(|it| query_string(checker, it)).collect();
    let blocks = written.source_ip.as_ref();
    rule.source_ip = blocks.map_or_else(Vec::new, |it| source_ip(checker, it));
    // A condition whose value is mistaken is told of as such.
    if rule.values() == 0 && blocks.is_none() {
        checker.error_with(
            written.span,
            format!("the rule with priority {} has no condition", rule.priority),
            "give `path-pattern: /api/*` or `host-header: api.example.com`",
        );
    }
    for (count, what) in [(rule.values(), "values"), (rule.wildcards(), "wildcards")] {
        if count > defaults::RULE_VALUES_MAX {
            checker.error_with(
                written.span,
                format!(
                    "the rule with priority {} has {count} {what}",
                    rule.priority
                ),
                format!("AWS allows {} per rule", defaults::RULE_VALUES_MAX),
            );
        }
    }
    Some(rule)
}

/// Holds the number of a condition's values against AWS's limit.
fn counted(checker: &mut Checker<'_>, field: &str, span: Span, count: usize) {
    if count == 0 || count > defaults::CONDITION_VALUES_MAX {
        checker.error_with(
            span,
            format!("`{field}` has {count} values"),
            format!("a condition has 1 to {}", defaults::CONDITION_VALUES_MAX),
        );
    }
}

fn patterns(checker: &mut Checker<'_>, field: &str, written: Option<&At<Words>>) -> Vec<String> {
    let Some(At {
        span,
        value: Words(words),
    }) = written
    else {
        return Vec::new();
    };
    counted(checker, field, *span, words.len());
    for word in words {
        if word.value.is_empty()
            || word.value.chars().count() > defaults::PATTERN_LENGTH_MAX
            || !identifiers::printable(&word.value, "")
        {
            checker.error_with(
                word.span,
                format!(
                    "`{}` is not a pattern for `{field}`",
                    word.value.escape_debug()
                ),
                format!(
                    "1 to {} characters, no spaces; `*` and `?` are wildcards",
                    defaults::PATTERN_LENGTH_MAX
                ),
            );
        }
        if field == "path-pattern" && !word.value.starts_with(['/', '*', '?']) {
            checker.warning(
                word.span,
                format!("`{}` matches no path", word.value),
                "paths begin with `/`",
            );
        }
    }
    words.iter().map(|word| word.value.clone()).collect()
}

fn http_header(checker: &mut Checker<'_>, written: &At<HttpHeaderSpec>) -> HttpHeader {
    let HttpHeaderSpec { name, values } = &written.value;
    if !HttpHeader::is_name(&name.value) {
        checker.error_with(
            name.span,
            format!("`{}` is not a header's name", name.value.escape_debug()),
            format!(
                "1 to {} letters, digits and hyphens; no wildcards, and `host-header` for the host",
                defaults::HEADER_NAME_MAX
            ),
        );
    }
    let words = &values.value.0;
    counted(checker, "http-header", values.span, words.len());
    for word in words {
        if word.value.is_empty() || word.value.chars().count() > defaults::PATTERN_LENGTH_MAX {
            pattern_length(checker, word.span, "http-header");
        }
    }
    HttpHeader {
        name: name.value.clone(),
        values: words.iter().map(|word| word.value.clone()).collect(),
    }
}

fn pattern_length(checker: &mut Checker<'_>, span: Span, field: &str) {
    let most = defaults::PATTERN_LENGTH_MAX;
    checker.error_with(
        span,
        format!("this is not a pattern for `{field}`"),
        format!("1 to {most} characters; `*` and `?` are wildcards"),
    );
}

fn methods(checker: &mut Checker<'_>, written: &At<Words>) -> Vec<String> {
    let words = &written.value.0;
    counted(checker, "http-request-method", written.span, words.len());
    for word in words {
        if !Rule::is_method(&word.value) {
            checker.error_with(
                word.span,
                format!("`{}` is not a method", word.value.escape_debug()),
                "capitals, hyphens and underscores, at most 40; no wildcards",
            );
        }
    }
    words.iter().map(|word| word.value.clone()).collect()
}

fn query_string(checker: &mut Checker<'_>, written: &At<QueryStringSpec>) -> Vec<QueryPair> {
    let pairs = &written.values.value;
    counted(checker, "query-string", written.values.span, pairs.len());
    let mut read = Vec::new();
    for pair in pairs {
        let key = pair.key.as_ref().map(|key| &key.value.0);
        let value = &pair.value.value.0;
        let bad =
            |text: &String| text.is_empty() || text.chars().count() > defaults::PATTERN_LENGTH_MAX;
        if bad(value) || key.is_some_and(bad) {
            pattern_length(checker, pair.span, "query-string");
        }
        read.push(QueryPair {
            key: key.cloned(),
            value: value.clone(),
        });
    }
    read
}

fn source_ip(checker: &mut Checker<'_>, written: &At<Words>) -> Vec<Cidr> {
    let words = &written.value.0;
    counted(checker, "source-ip", written.span, words.len());
    let mut blocks = Vec::new();
    for word in words {
        match word.value.parse() {
            Ok(block) => blocks.push(block),
            Err(_) => checker.error_with(
                word.span,
                format!(
                    "`{}` is not a block of IPv4 addresses",
                    word.value.escape_debug()
                ),
                "for example `10.0.0.0/8`",
            ),
        }
    }
    blocks
}
