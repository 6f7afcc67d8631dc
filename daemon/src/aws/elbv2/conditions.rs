//! Conditions of rules, with AWS's limits on each and on all of a rule (aws-behaviour §4.2).

use serde_json::Value;
use topologies::defaults;
use topologies::topology::{HttpHeader, QueryPair, Rule};
use wire::Fault;

use super::describe::words;
use crate::aws::View;
use crate::aws::input::{not_implemented, only, text};

/// A rule with these conditions.
pub(super) fn conditioned(
    view: &View<'_>,
    mut rule: Rule,
    conditions: &Value,
) -> Result<Rule, Fault> {
    let invalid = |text: String| view.fault("ValidationError", text);
    let conditions = conditions.as_array().into_iter().flatten();
    let mut single: Vec<&str> = Vec::new();
    for condition in conditions {
        let field = text(condition, "Field").unwrap_or_default();
        match field {
            "http-header" | "query-string" => {}
            _ if single.contains(&field) => {
                return Err(invalid(format!(
                    "A rule can only have one '{field}' condition"
                )));
            }
            _ => single.push(field),
        }
        condition_of(view, &mut rule, field, condition)?;
    }
    let most = defaults::RULE_VALUES_MAX;
    if rule.values() == 0 {
        return Err(invalid("A condition must be specified".to_owned()));
    }
    if rule.values() > most || rule.wildcards() > most {
        return Err(invalid(format!(
            "A rule can only have {most} condition values and {most} wildcards"
        )));
    }
    Ok(rule)
}

fn condition_of(
    view: &View<'_>,
    rule: &mut Rule,
    field: &str,
    condition: &Value,
) -> Result<(), Fault> {
    let invalid = |text: String| view.fault("ValidationError", text);
    match field {
        "host-header" => {
            rule.host_header = patterns(view, field, condition, "HostHeaderConfig", true)?;
        }
        "path-pattern" => {
            rule.path_pattern = patterns(view, field, condition, "PathPatternConfig", true)?;
        }
        "http-header" => {
            let values = patterns(view, field, condition, "HttpHeaderConfig", false)?;
            let name = text(&condition["HttpHeaderConfig"], "HttpHeaderName").unwrap_or_default();
            if !HttpHeader::is_name(name) {
                return Err(invalid(format!("HTTP header name '{name}' is not valid")));
            }
            let name = name.to_owned();
            rule.http_header.push(HttpHeader { name, values });
        }
        "http-request-method" => {
            let methods = patterns(view, field, condition, "HttpRequestMethodConfig", false)?;
            if let Some(method) = methods.iter().find(|it| !Rule::is_method(it)) {
                return Err(invalid(format!(
                    "HTTP request method '{method}' is not valid"
                )));
            }
            rule.http_request_method = methods;
        }
        "query-string" => rule.query_string.push(pairs(view, condition)?),
        "source-ip" => {
            let blocks = patterns(view, field, condition, "SourceIpConfig", false)?;
            let blocks = blocks.iter().map(|block| {
                let wrong = || invalid(format!("The value '{block}' must be in CIDR format"));
                match block.parse() {
                    Ok(block) => Ok(block),
                    Err(_) if block.contains(':') => {
                        Err(not_implemented(format!("the IPv6 block {block}")))
                    }
                    Err(_) => Err(wrong()),
                }
            });
            rule.source_ip = blocks.collect::<Result<_, _>>()?;
        }
        other => {
            let text = format!(
                "Condition field '{other}' must be one of '[path-pattern, host-header, http-header, http-request-method, query-string, source-ip]'"
            );
            return Err(invalid(text));
        }
    }
    Ok(())
}

/// The values of a condition, in the member of its kind or, for the two kinds that AWS began with, beside it.
fn patterns(
    view: &View<'_>,
    field: &str,
    condition: &Value,
    config: &str,
    beside: bool,
) -> Result<Vec<String>, Fault> {
    let members = ["Field", config, "Values"];
    only(
        "a condition",
        condition,
        &members[..if beside { 3 } else { 2 }],
    )?;
    // `RegexValues` is not built, and refused here by its name.
    let name = ["Values", "HttpHeaderName"];
    let named = field == "http-header";
    only(
        "a condition",
        &condition[config],
        &name[..if named { 2 } else { 1 }],
    )?;
    let own = words(condition, "Values").filter(|_| beside);
    let written = own.or_else(|| words(&condition[config], "Values"));
    let written = written.unwrap_or_default();
    counted(view, field, written.len())?;
    for value in &written {
        measured(view, value)?;
    }
    Ok(written.into_iter().map(str::to_owned).collect())
}

/// The pairs of a condition on the query string.
fn pairs(view: &View<'_>, condition: &Value) -> Result<Vec<QueryPair>, Fault> {
    let config = &condition["QueryStringConfig"];
    only("a condition", condition, &["Field", "QueryStringConfig"])?;
    only("a condition", config, &["Values"])?;
    let written = config["Values"].as_array().map(Vec::as_slice);
    let written = written.unwrap_or_default();
    counted(view, "query-string", written.len())?;
    let pairs = written.iter().map(|pair| {
        let key = text(pair, "Key").filter(|key| !key.is_empty());
        let value = text(pair, "Value").unwrap_or_default();
        for text in key.into_iter().chain([value]) {
            measured(view, text)?;
        }
        Ok(QueryPair {
            key: key.map(str::to_owned),
            value: value.to_owned(),
        })
    });
    pairs.collect()
}

fn counted(view: &View<'_>, field: &str, count: usize) -> Result<(), Fault> {
    let most = defaults::CONDITION_VALUES_MAX;
    if (1..=most).contains(&count) {
        return Ok(());
    }
    let text = format!("A '{field}' condition must have 1 to {most} values");
    Err(view.fault("ValidationError", text))
}

fn measured(view: &View<'_>, value: &str) -> Result<(), Fault> {
    let most = defaults::PATTERN_LENGTH_MAX;
    if (1..=most).contains(&value.chars().count()) {
        return Ok(());
    }
    let text = format!("Condition value '{value}' must have 1 to {most} characters");
    Err(view.fault("ValidationError", text))
}
