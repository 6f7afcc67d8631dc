//! GetMetricData: many metrics and expressions of them, in pages of datapoints.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wire::{Call, Fault, Record, marker, seal};

use super::expression::{Ground, Term, Values};
use super::figures::statistic;
use super::span::{self, Span, invalid};
use super::statistics::Statistic;
use crate::aws::View;
use crate::aws::input::{not_implemented, text};

/// "A single GetMetricData call can include up to 500 MetricDataQuery structures" (GetMetricData).
const QUERIES_MAX: usize = 500;
/// "The maximum number of data points the request should return before paginating ... the default of 100,800 is used."
const POINTS_MAX: i64 = 100_800;

/// A query.
struct Query<'i> {
    id: &'i str,
    label: Option<&'i str>,
    shown: bool,
    what: What<'i>,
}

enum What<'i> {
    Metric {
        stat: &'i Value,
        statistic: Statistic,
        length: i64,
    },
    Expression {
        term: Term,
        length: Option<i64>,
    },
}

pub(super) fn get(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let queries = queries(input)?;
    let span = Span::of(input)?;
    let points_max = match input["MaxDatapoints"].as_i64() {
        None => POINTS_MAX,
        Some(asked) if (1..=POINTS_MAX).contains(&asked) => asked,
        Some(_) => {
            let text = format!("The parameter MaxDatapoints must be from 1 to {POINTS_MAX}.");
            return Err(invalid(text));
        }
    };
    let ascending = text(input, "ScanBy") == Some("TimestampAscending");
    let after = match marker(call, input)? {
        Some(key) => Some(Place::read(&key).ok_or_else(|| {
            view.fault("InvalidNextToken", "The specified NextToken is not valid.")
        })?),
        None => None,
    };
    let all = evaluated(view, &queries, span)?;
    let mut page = Page {
        left: usize::try_from(points_max).unwrap_or(usize::MAX),
        after,
        ascending,
        last: None,
        whole: true,
    };
    let mut results = Vec::new();
    for (number, query) in queries.iter().enumerate().filter(|(_, query)| query.shown) {
        let values = all.get(query.id).map(|it| page.cut(number, it));
        if let Some(cut) = values.flatten() {
            results.push(result(query, &cut));
        }
    }
    let mut output = Record::new()
        .list("MetricDataResults", results)
        .list("Messages", Vec::<Record>::new());
    if let (false, Some(last)) = (page.whole, page.last) {
        output.put("NextToken", seal(call, &last.written()));
    }
    Ok(output)
}

fn queries(input: &Value) -> Result<Vec<Query<'_>>, Fault> {
    let list = input["MetricDataQueries"].as_array();
    let list = list.map_or(&[][..], Vec::as_slice);
    if list.is_empty() || list.len() > QUERIES_MAX {
        let text = format!("The parameter MetricDataQueries must have 1 to {QUERIES_MAX} members.");
        return Err(invalid(text));
    }
    let mut queries = Vec::with_capacity(list.len());
    for (query, number) in list.iter().zip(1..) {
        queries.push(read(query, &format!("MetricDataQueries.member.{number}"))?);
    }
    let ids: BTreeSet<&str> = queries.iter().map(|query| query.id).collect();
    if ids.len() < queries.len() {
        let text = "The values for parameter id in MetricDataQueries are not unique.";
        return Err(invalid(text));
    }
    if !queries.iter().any(|query| query.shown) {
        let text = "At least one query in MetricDataQueries must return data.";
        return Err(invalid(text));
    }
    for query in &queries {
        if let What::Expression { term, .. } = &query.what
            && let Some(stranger) = term.names().into_iter().find(|name| !ids.contains(name))
        {
            let text = format!(
                "Error in expression '{}': undefined variable {stranger}",
                query.id
            );
            return Err(invalid(text));
        }
    }
    Ok(queries)
}

fn read<'i>(query: &'i Value, place: &str) -> Result<Query<'i>, Fault> {
    let id = text(query, "Id").unwrap_or_default();
    let fits = id.starts_with(|first: char| first.is_ascii_lowercase())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !fits {
        let text = format!(
            "The value {id} for parameter {place}.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
        );
        return Err(invalid(text));
    }
    let what = match (query.get("MetricStat"), text(query, "Expression")) {
        (Some(stat), None) => What::Metric {
            statistic: statistic(text(stat, "Stat").unwrap_or_default())?,
            length: span::length(&stat["Period"])?,
            stat,
        },
        (None, Some(expression)) => What::Expression {
            term: Term::read(expression)?,
            length: query.get("Period").map(span::length).transpose()?,
        },
        _ => {
            let text = format!(
                "The parameter {place} must have exactly one of MetricStat and Expression."
            );
            return Err(invalid(text));
        }
    };
    if text(query, "AccountId").is_some() {
        return Err(not_implemented("GetMetricData of another account"));
    }
    Ok(Query {
        id,
        label: text(query, "Label"),
        shown: query["ReturnData"] != false,
        what,
    })
}

/// The values of every query: of metrics first, then of expressions, each when all that it refers to is there.
fn evaluated<'q>(
    view: &View<'_>,
    queries: &'q [Query<'_>],
    span: Span,
) -> Result<BTreeMap<&'q str, Values>, Fault> {
    let now = view.now.div_euclid(1_000);
    let mut all: BTreeMap<&str, Values> = BTreeMap::new();
    let mut waiting: Vec<(&str, &Term, Option<i64>)> = Vec::new();
    let (mut metrics, mut longest) = (Vec::new(), 0);
    for query in queries {
        match &query.what {
            What::Metric {
                stat,
                statistic,
                length,
            } => {
                let span = span.in_periods(*length, now);
                let told = told(view, stat, (span, *length), *statistic);
                all.insert(query.id, told);
                metrics.push(query.id);
                longest = longest.max(*length);
            }
            What::Expression { term, length } => waiting.push((query.id, term, *length)),
        }
    }
    while !waiting.is_empty() {
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, term, _)| {
            let mut names = term.names().into_iter();
            names.all(|name| all.contains_key(name))
        });
        if ready.is_empty() {
            let text = "Error in expression: expressions refer to each other in a circle";
            return Err(invalid(text));
        }
        for (id, term, length) in ready {
            let length = length.unwrap_or(longest).max(1);
            let mut span = span.in_periods(length, now);
            span.to = span.to.min(now.saturating_add(1));
            if span.periods(length) > POINTS_MAX {
                let text = "You have requested more datapoints than 100,800: increase Period, or decrease the time range.";
                return Err(invalid(text));
            }
            let ground = Ground {
                known: &all,
                metrics: &metrics,
                span,
                length,
            };
            let values = ground.values(term)?;
            all.insert(id, values);
        }
        waiting = rest;
    }
    Ok(all)
}

/// A metric's values; where it was told in several units, those of the last one in the alphabet count.
fn told(
    view: &View<'_>,
    stat: &Value,
    (span, length): (Span, i64),
    statistic: Statistic,
) -> Values {
    let metric = span::metric(view, &stat["Metric"]);
    let metrics = &view.facts.metrics;
    let told = metrics.told(&metric, text(stat, "Unit"), (span.from, span.to), length);
    let periods = told.iter().flat_map(|(_, periods)| periods);
    periods
        .filter_map(|(at, all)| Some((*at, all.get(statistic)?)))
        .collect()
}

/// A place among all datapoints of a call: the number of a query, and a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(usize, i64);

impl Place {
    fn read(key: &str) -> Option<Self> {
        let (number, at) = key.split_once(' ')?;
        Some(Self(number.parse().ok()?, at.parse().ok()?))
    }

    fn written(self) -> String {
        format!("{} {}", self.0, self.1)
    }
}

/// A page of datapoints while it is being filled.
struct Page {
    /// How many may still come.
    left: usize,
    /// The last place of the page before.
    after: Option<Place>,
    ascending: bool,
    /// The last place of this page.
    last: Option<Place>,
    /// Whether nothing was left out.
    whole: bool,
}

/// What of a query is on a page.
struct Cut {
    values: Vec<(i64, f64)>,
    whole: bool,
}

impl Page {
    /// What of a query's values is on this page; none if all of them were on one before, or only on one to come.
    fn cut(&mut self, number: usize, values: &Values) -> Option<Cut> {
        let after = match self.after {
            Some(Place(before, _)) if number < before => return None,
            Some(Place(before, at)) if number == before => Some(at),
            Some(_) | None => None,
        };
        let pairs = values.iter().map(|(at, value)| (*at, *value));
        let ordered: Vec<(i64, f64)> = if self.ascending {
            pairs
                .filter(|(at, _)| after.is_none_or(|after| *at > after))
                .collect()
        } else {
            pairs
                .rev()
                .filter(|(at, _)| after.is_none_or(|after| *at < after))
                .collect()
        };
        if ordered.is_empty() && after.is_some() {
            return None;
        }
        let taken = self.left.min(ordered.len());
        let whole = taken == ordered.len();
        if !self.whole || (taken == 0 && !whole) {
            self.whole = false;
            return None;
        }
        self.left -= taken;
        self.whole = whole;
        let values = ordered[..taken].to_vec();
        self.last = values
            .last()
            .map(|(at, _)| Place(number, *at))
            .or(self.last);
        Some(Cut { values, whole })
    }
}

fn result(query: &Query<'_>, cut: &Cut) -> Record {
    let label = query.label.or(match &query.what {
        What::Metric { stat, .. } => text(&stat["Metric"], "MetricName"),
        What::Expression { .. } => None,
    });
    let moments = cut.values.iter();
    let moments = moments.map(|(at, _)| wire::timestamp(at.saturating_mul(1_000)));
    let values = cut.values.iter().map(|(_, value)| *value);
    Record::new()
        .set("Id", query.id)
        .set("Label", label.unwrap_or(query.id))
        .list("Timestamps", moments)
        .list("Values", values)
        .set(
            "StatusCode",
            if cut.whole { "Complete" } else { "PartialData" },
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pages of queries with so many values each, as ids and moments.
    fn pages(counts: &[i64], size: usize, ascending: bool) -> Vec<Vec<(usize, Vec<i64>, bool)>> {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let mut page = Page {
                left: size,
                after,
                ascending,
                last: None,
                whole: true,
            };
            let mut shown = Vec::new();
            for (number, count) in counts.iter().enumerate() {
                let values: Values = (0..*count).map(|at| (at, 1.0)).collect();
                if let Some(cut) = page.cut(number, &values) {
                    let moments = cut.values.iter().map(|(at, _)| *at).collect();
                    shown.push((number, moments, cut.whole));
                }
            }
            pages.push(shown);
            if page.whole {
                return pages;
            }
            after = page.last;
            assert!(pages.len() < 100, "it does not end");
        }
    }

    #[test]
    fn pages_hold_every_datapoint_once() {
        assert_eq!(
            pages(&[3, 0, 2], 2, true),
            [
                vec![(0, vec![0, 1], false)],
                vec![(0, vec![2], true), (1, vec![], true), (2, vec![0], false)],
                vec![(2, vec![1], true)],
            ]
        );
        assert_eq!(
            pages(&[3, 2], 3, false),
            [vec![(0, vec![2, 1, 0], true)], vec![(1, vec![1, 0], true)]]
        );
        assert_eq!(
            pages(&[0, 0], 1, true),
            [[(0, vec![], true), (1, vec![], true)]]
        );
    }

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let place = Place(7, -60);
        assert_eq!(Place::read(&place.written()), Some(place));
        for broken in ["", "7", "x 1", "1 x", "-1 1"] {
            assert_eq!(Place::read(broken), None, "{broken}");
        }
    }
}
