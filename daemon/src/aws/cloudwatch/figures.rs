//! GetMetricStatistics: one metric, all of its statistics that are asked for.

use serde_json::{Map, Value};
use wire::{Call, Fault, Record};

use super::span::{self, Span, invalid};
use super::statistics::{Statistic, Statistics};
use crate::aws::View;
use crate::aws::input::{not_implemented, text, texts};

/// "The maximum number of data points returned from a single call is 1,440" (GetMetricStatistics).
const POINTS_MAX: i64 = 1_440;

pub(super) fn get(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let (plain, extended) = (
        texts(input, "Statistics"),
        texts(input, "ExtendedStatistics"),
    );
    if plain.is_empty() == extended.is_empty() {
        let text = if plain.is_empty() {
            "Must specify either Statistics or ExtendedStatistics"
        } else {
            "Must specify Statistics or ExtendedStatistics, not both"
        };
        return Err(view.fault("InvalidParameterCombinationException", text));
    }
    let named: Result<Vec<(&str, Statistic)>, Fault> = plain
        .iter()
        .chain(&extended)
        .map(|name| Ok((*name, statistic(name)?)))
        .collect();
    let named = named?;
    let length = span::length(&input["Period"])?;
    let now = view.now.div_euclid(1_000);
    let span = Span::of(input)?.in_periods(length, now);
    let asked = span.periods(length) - 1;
    if asked > POINTS_MAX {
        let text = format!(
            "You have requested up to {asked} datapoints, which exceeds the limit of {POINTS_MAX}. You may reduce the datapoints \
             requested by increasing Period, or decreasing the time range."
        );
        return Err(view.fault("InvalidParameterCombinationException", text));
    }
    let metric = span::metric(view.region, input);
    let metrics = &view.facts.metrics;
    let told = metrics.told(&metric, text(input, "Unit"), (span.from, span.to), length);
    let points = told.iter().flat_map(|(unit, periods)| {
        let named = &named;
        let points = periods.iter();
        points.filter_map(move |(at, all)| datapoint(*at, unit, all, named))
    });
    Ok(Record::new()
        .set("Label", metric.name.as_ref())
        .list("Datapoints", points))
}

/// A statistic by its name.
pub(super) fn statistic(name: &str) -> Result<Statistic, Fault> {
    Statistic::read(name).ok_or_else(|| {
        // "IQM, TM, WM, TC, TS, PR" in their forms: `tm90`, `TM(10%:90%)`.
        let word: String = name
            .chars()
            .take_while(char::is_ascii_alphabetic)
            .map(|it| it.to_ascii_lowercase())
            .collect();
        if ["iqm", "tm", "wm", "tc", "ts", "pr"].contains(&word.as_str()) {
            return not_implemented(format!("the statistic {name}"));
        }
        invalid(format!(
            "The value {name} for parameter Stat is not supported."
        ))
    })
}

/// A period's; none of one of which nothing that was asked for can be told.
fn datapoint(at: i64, unit: &str, all: &Statistics, named: &[(&str, Statistic)]) -> Option<Record> {
    let mut point = Record::new()
        .time("Timestamp", at.saturating_mul(1_000))
        .set("Unit", unit);
    let mut extended = Map::new();
    let mut some = false;
    for (name, statistic) in named {
        let Some(value) = all.get(*statistic) else {
            continue;
        };
        some = true;
        if matches!(statistic, Statistic::Percentile(_)) {
            extended.insert((*name).to_owned(), value.into());
        } else {
            point.put(name, value);
        }
    }
    if !extended.is_empty() {
        point.put("ExtendedStatistics", Value::Object(extended));
    }
    some.then_some(point)
}
