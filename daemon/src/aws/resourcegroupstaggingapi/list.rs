//! GetResources, GetTagKeys and GetTagValues.

use std::collections::BTreeSet;

use serde_json::Value;
use wire::{Call, Fault, Record, page_of};

use super::{bad, service, tagged};
use crate::aws::View;
use crate::aws::input::{is_on, not_implemented, text, texts};
use crate::aws::tags::{self, Tags};

/// "ResourcesPerPage: minimum 1, maximum 100"; 50 if nobody says.
const RESOURCES: (i64, i64, usize) = (1, 100, 50);
/// "TagsPerPage: You can set a minimum of 100 and a maximum of 500", and whole hundreds only.
const TAGS: (i64, i64) = (100, 500);

pub(super) fn resources(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    if is_on(input, "IncludeComplianceDetails") || is_on(input, "ExcludeCompliantResources") {
        return Err(not_implemented("GetResources with tag policies"));
    }
    let arns = texts(input, "ResourceARNList");
    let paged = ["ResourcesPerPage", "TagsPerPage", "PaginationToken"];
    if !arns.is_empty() && paged.iter().any(|name| input.get(*name).is_some()) {
        let text = "ResourceARNList can not be combined with pagination parameters";
        return Err(bad(view, text));
    }
    let filters = input["TagFilters"].as_array();
    let filters = filters.map_or(&[][..], Vec::as_slice);
    if filters.iter().any(|filter| text(filter, "Key").is_none()) {
        return Err(bad(view, "A tag filter must have a Key"));
    }
    let types = texts(input, "ResourceTypeFilters");
    let mut found = tagged(view);
    found.retain(|(arn, tags)| {
        (arns.is_empty() || arns.contains(&arn.as_str()))
            && (types.is_empty() || types.iter().any(|asked| is_of_type(arn, asked)))
            && filters.iter().all(|filter| matches(filter, tags))
    });
    let size = size(view, call, input, &found)?;
    let page = page_of(call, input, &found, size, |(arn, _)| arn.as_str())
        .map_err(|fault| bad(view, fault.message))?;
    let shown = page.items.iter().map(|(arn, tags)| {
        Record::new()
            .set("ResourceARN", arn.as_str())
            .list("Tags", tags::shown(tags))
    });
    Ok(Record::new()
        .list("ResourceTagMappingList", shown)
        .set("PaginationToken", page.next().unwrap_or_default()))
}

pub(super) fn keys(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let all = tagged(view).into_iter();
    let keys: BTreeSet<String> = all.flat_map(|(_, tags)| tags.into_keys()).collect();
    let keys: Vec<String> = keys.into_iter().collect();
    let (keys, next) = super::texts(view, call, input, &keys)?;
    Ok(Record::new()
        .list("TagKeys", keys)
        .set("PaginationToken", next))
}

pub(super) fn values(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let key = text(input, "Key").unwrap_or_default();
    let all = tagged(view).into_iter();
    let values: BTreeSet<String> = all.filter_map(|(_, mut tags)| tags.remove(key)).collect();
    let values: Vec<String> = values.into_iter().collect();
    let (values, next) = super::texts(view, call, input, &values)?;
    Ok(Record::new()
        .list("TagValues", values)
        .set("PaginationToken", next))
}

/// How many resources the page takes: as many as asked for, or as many as have the tags asked for.
fn size(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
    found: &[(String, Tags)],
) -> Result<usize, Fault> {
    let (least, most, default) = RESOURCES;
    let size = match input["ResourcesPerPage"].as_i64() {
        None => default,
        Some(asked) if (least..=most).contains(&asked) => usize::try_from(asked).unwrap_or(default),
        Some(asked) => {
            let text = format!("ResourcesPerPage must be from {least} to {most}, not {asked}");
            return Err(bad(view, text));
        }
    };
    let (least, most) = TAGS;
    let Some(asked) = input["TagsPerPage"].as_i64() else {
        // An answer to one who names resources has all of them.
        let whole = input.get("ResourceARNList").is_some();
        return Ok(if whole { found.len().max(1) } else { size });
    };
    if !(least..=most).contains(&asked) || asked % least != 0 {
        let text = format!("TagsPerPage must be a multiple of {least} up to {most}, not {asked}");
        return Err(bad(view, text));
    }
    let before = wire::marker(call, input).map_err(|fault| bad(view, fault.message))?;
    let before = before.unwrap_or_default();
    let rest = found.iter().filter(|(arn, _)| *arn > before);
    let mut left = asked;
    let fitting = rest.take_while(|(_, tags)| {
        left -= i64::try_from(tags.len()).unwrap_or(i64::MAX);
        left >= 0
    });
    Ok(fitting.count().clamp(1, size))
}

/// `rds`, `rds:db`: a service, and the beginning of what it calls the resource.
fn is_of_type(arn: &str, asked: &str) -> bool {
    let (wanted, kind) = asked.split_once(':').unwrap_or((asked, ""));
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    let rest = resource.strip_prefix(kind);
    service(arn) == wanted
        && rest.is_some_and(|rest| kind.is_empty() || rest.starts_with([':', '/']))
}

/// "If you specify a filter that contains only one key with no values, the response returns all resources that are tagged with
/// that key": otherwise one of the values.
fn matches(filter: &Value, tags: &Tags) -> bool {
    let values = texts(filter, "Values");
    let key = text(filter, "Key").unwrap_or_default();
    tags.get(key)
        .is_some_and(|value| values.is_empty() || values.contains(&value.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_are_read_from_arns() {
        let db = "arn:aws:rds:eu-west-1:123456789012:db:orders";
        let lb = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/site/0123456789abcdef";
        for (arn, asked, is) in [
            (db, "rds", true),
            (db, "rds:db", true),
            (db, "rds:d", false),
            (db, "rds:cluster", false),
            (db, "ec2", false),
            (lb, "elasticloadbalancing:loadbalancer", true),
            (lb, "elasticloadbalancing:loadbalancer/app", true),
            (lb, "elasticloadbalancing:loadbalancer/net", false),
            (lb, "elasticloadbalancing:targetgroup", false),
        ] {
            assert_eq!(is_of_type(arn, asked), is, "{arn} {asked}");
        }
    }

    #[test]
    fn a_filter_without_values_asks_for_the_key() {
        let tags = Tags::from([("team".to_owned(), "shop".to_owned())]);
        for (filter, is) in [
            (json!({ "Key": "team" }), true),
            (json!({ "Key": "team", "Values": [] }), true),
            (json!({ "Key": "team", "Values": ["ops", "shop"] }), true),
            (json!({ "Key": "team", "Values": ["Shop"] }), false),
            (json!({ "Key": "Team" }), false),
        ] {
            assert_eq!(matches(&filter, &tags), is, "{filter}");
        }
    }
}
