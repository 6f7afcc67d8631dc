//! ListMetrics.

use serde_json::Value;
use wire::{Call, Fault, Record, page_of};

use super::store::Metric;
use crate::aws::View;
use crate::aws::input::{is_on, not_implemented, text};

/// "Up to 500 results are returned for any one call" (ListMetrics).
const PAGE: usize = 500;
/// `RecentlyActive` has one value: those "that have received data points in the past three hours".
const RECENT: i64 = 3 * 60 * 60;

pub(super) fn list(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    if is_on(input, "IncludeLinkedAccounts") {
        return Err(not_implemented("ListMetrics of linked accounts"));
    }
    let recently = text(input, "RecentlyActive").is_some();
    let since = view.now.div_euclid(1_000) - RECENT;
    let all = view.facts.metrics.list(view.region).into_iter();
    let kept = all.filter(|(metric, last)| matches(metric, input) && (!recently || *last >= since));
    let mut keyed: Vec<(String, Metric)> = kept.map(|(it, _)| (key(&it), it)).collect();
    keyed.sort_by(|one, other| one.0.cmp(&other.0));
    let page = page_of(call, input, &keyed, PAGE, |(key, _)| key.as_str())?;
    let shown = page.items.iter().map(|(_, metric)| shown(metric));
    let mut output = Record::new().list("Metrics", shown);
    page.write(&mut output);
    Ok(output)
}

/// "The dimensions to filter against. Only the dimension with names specified and values specified, if any, are returned."
fn matches(metric: &Metric, input: &Value) -> bool {
    let is = |name: &str, value: &str| text(input, name).is_none_or(|asked| asked == value);
    let mut dimensions = input["Dimensions"].as_array().into_iter().flatten();
    is("Namespace", &metric.namespace)
        && is("MetricName", &metric.name)
        && dimensions.all(|filter| {
            let (name, value) = (text(filter, "Name"), text(filter, "Value"));
            metric.dimensions.iter().any(|(own, is)| {
                Some(own.as_ref()) == name && value.is_none_or(|value| value == is)
            })
        })
}

/// What tells it from others, in an order that stays: markers are made of it, so it must not be long.
fn key(metric: &Metric) -> String {
    let mut texts = vec![metric.namespace.as_ref(), metric.name.as_ref()];
    for (name, value) in &metric.dimensions {
        texts.extend([name.as_ref(), value]);
    }
    let all = texts.join("\u{0}");
    let head: String = all.chars().take(200).collect();
    format!("{head}\u{0}{}", crate::aws::ids::digits("metric", &all, 32))
}

/// As it is listed.
fn shown(metric: &Metric) -> Record {
    let dimensions = metric.dimensions.iter().map(|(name, value)| {
        Record::new()
            .set("Name", name.as_ref())
            .set("Value", value.as_str())
    });
    Record::new()
        .set("Namespace", metric.namespace.as_ref())
        .set("MetricName", metric.name.as_ref())
        .list("Dimensions", dimensions)
}
