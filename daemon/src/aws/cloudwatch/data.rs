//! GetMetricData: many metrics and expressions of them, in pages of datapoints.

use serde_json::Value;
use wire::{Call, Fault, Record, marker, seal};

use super::expression::Values;
use super::queries::{Evaluation, Lookup, POINTS_MAX, Query, What, queries};
use super::span::{Span, invalid};
use crate::aws::View;
use crate::aws::input::text;

pub(super) fn get(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let queries = queries(&input["MetricDataQueries"], "MetricDataQueries")?;
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
    let lookup = Lookup {
        metrics: &view.facts.metrics,
        region: view.region,
        now: view.now.div_euclid(1_000),
    };
    let mut evaluation = Evaluation::new(lookup, &queries, span)?;
    let mut page = Page {
        left: usize::try_from(points_max).unwrap_or(usize::MAX),
        after,
        ascending,
        last: None,
        whole: true,
    };
    let mut results = Vec::new();
    for (number, query) in queries.iter().enumerate().filter(|(_, query)| query.shown) {
        // What was on a page before, or will be on one to come, is not made for this one.
        if page.is_past(number) {
            continue;
        }
        if !page.whole {
            break;
        }
        if let Some(cut) = page.cut(number, evaluation.values(query.id)?) {
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
    /// Whether all of a query was on a page before.
    fn is_past(&self, number: usize) -> bool {
        self.after.is_some_and(|Place(before, _)| number < before)
    }

    /// What of a query's values is on this page; none if all of them were on one before, or only on one to come.
    fn cut(&mut self, number: usize, values: &Values) -> Option<Cut> {
        if self.is_past(number) {
            return None;
        }
        let after = match self.after {
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
