//! Queries of metrics and of expressions of them, as GetMetricData and alarms have them alike.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wire::Fault;

use super::Metrics;
use super::expression::{Ground, Term, Values};
use super::figures::statistic;
use super::span::{self, Span, invalid};
use super::statistics::Statistic;
use crate::aws::input::{not_implemented, text};

/// "A single GetMetricData call can include up to 500 MetricDataQuery structures" (GetMetricData).
const QUERIES_MAX: usize = 500;
/// "The maximum number of data points the request should return before paginating ... the default of 100,800 is used."
pub(super) const POINTS_MAX: i64 = 100_800;
/// Values that are held for one call, some 60 MB: a page, and what it is made of.
const HELD_MAX: usize = 2_016_000;

/// Where values are looked up.
#[derive(Clone, Copy)]
pub(super) struct Lookup<'a> {
    pub(super) metrics: &'a Metrics,
    pub(super) region: &'a str,
    /// The moment, in seconds of the wall clock.
    pub(super) now: i64,
}

/// A query.
pub(super) struct Query<'i> {
    pub(super) id: &'i str,
    pub(super) label: Option<&'i str>,
    pub(super) shown: bool,
    pub(super) what: What<'i>,
}

pub(super) enum What<'i> {
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

/// The queries of a parameter.
pub(super) fn queries<'i>(list: &'i Value, name: &str) -> Result<Vec<Query<'i>>, Fault> {
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    if list.is_empty() || list.len() > QUERIES_MAX {
        let text = format!("The parameter {name} must have 1 to {QUERIES_MAX} members.");
        return Err(invalid(text));
    }
    let mut queries = Vec::with_capacity(list.len());
    for (query, number) in list.iter().zip(1..) {
        queries.push(read(query, &format!("{name}.member.{number}"))?);
    }
    let ids: BTreeSet<&str> = queries.iter().map(|query| query.id).collect();
    if ids.len() < queries.len() {
        let text = format!("The values for parameter id in {name} are not unique.");
        return Err(invalid(text));
    }
    if !queries.iter().any(|query| query.shown) {
        let text = format!("At least one query in {name} must return data.");
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
        return Err(not_implemented("a metric of another account"));
    }
    Ok(Query {
        id,
        label: text(query, "Label"),
        shown: query["ReturnData"] != false,
        what,
    })
}

/// The values of queries, made when they are asked for, each behind all that it refers to.
pub(super) struct Evaluation<'q> {
    lookup: Lookup<'q>,
    queries: &'q [Query<'q>],
    /// The places of queries, each behind those that it refers to.
    order: Vec<usize>,
    span: Span,
    /// The longest period of a metric: that of expressions that do not say theirs.
    longest: i64,
    /// The ids of queries for metrics.
    metrics: Vec<&'q str>,
    known: BTreeMap<&'q str, Values>,
    /// How many values are known.
    held: usize,
}

impl<'q> Evaluation<'q> {
    /// Of queries in a span.
    ///
    /// # Errors
    /// When expressions refer to each other in a circle.
    pub(super) fn new(
        lookup: Lookup<'q>,
        queries: &'q [Query<'q>],
        span: Span,
    ) -> Result<Self, Fault> {
        let lengths = queries.iter().filter_map(|query| match &query.what {
            What::Metric { length, .. } => Some((query.id, *length)),
            What::Expression { .. } => None,
        });
        let (metrics, lengths): (Vec<&str>, Vec<i64>) = lengths.unzip();
        let mut evaluation = Self {
            lookup,
            queries,
            order: Vec::with_capacity(queries.len()),
            span,
            longest: lengths.into_iter().max().unwrap_or(0),
            metrics,
            known: BTreeMap::new(),
            held: 0,
        };
        evaluation.arrange()?;
        Ok(evaluation)
    }

    fn arrange(&mut self) -> Result<(), Fault> {
        let mut arranged: BTreeSet<&str> = BTreeSet::new();
        while self.order.len() < self.queries.len() {
            let free = |query: &Query<'_>| {
                let mut names = self.refers(query).into_iter();
                !arranged.contains(query.id) && names.all(|name| arranged.contains(name))
            };
            let numbered = self.queries.iter().enumerate();
            let ready: Vec<usize> = numbered
                .filter(|(_, query)| free(query))
                .map(|(number, _)| number)
                .collect();
            if ready.is_empty() {
                let text = "Error in expression: expressions refer to each other in a circle";
                return Err(invalid(text));
            }
            arranged.extend(ready.iter().map(|number| self.queries[*number].id));
            self.order.extend(ready);
        }
        Ok(())
    }

    /// The ids that a query refers to.
    fn refers<'t>(&'t self, query: &'t Query<'_>) -> Vec<&'t str> {
        match &query.what {
            What::Metric { .. } => Vec::new(),
            What::Expression { term, .. } if term.asks_for_metrics() => {
                [term.names(), self.metrics.clone()].concat()
            }
            What::Expression { term, .. } => term.names(),
        }
    }

    /// The values of a query.
    ///
    /// # Errors
    /// What is wrong with an expression, or that it takes too much.
    pub(super) fn values(&mut self, id: &str) -> Result<&Values, Fault> {
        let wanted = self.behind(id);
        for place in 0..self.order.len() {
            let query = &self.queries[self.order[place]];
            if !wanted.contains(query.id) || self.known.contains_key(query.id) {
                continue;
            }
            let values = self.made(query)?;
            self.held += values.len();
            if self.held > HELD_MAX {
                let text = "You have requested more datapoints than can be evaluated at once: increase Period, decrease the time range, or \
                            refer to fewer queries.";
                return Err(invalid(text));
            }
            self.known.insert(query.id, values);
        }
        self.known
            .get(id)
            .ok_or_else(|| invalid(format!("Error in expression: unknown '{id}'")))
    }

    /// A query's id, and the ids of all that it is made of.
    fn behind(&self, id: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::from([id.to_owned()]);
        // Who refers stands behind what it refers to.
        for number in self.order.iter().rev() {
            let query = &self.queries[*number];
            if all.contains(query.id) {
                all.extend(self.refers(query).into_iter().map(str::to_owned));
            }
        }
        all
    }

    fn made(&self, query: &Query<'_>) -> Result<Values, Fault> {
        let now = self.lookup.now;
        match &query.what {
            What::Metric {
                stat,
                statistic,
                length,
            } => {
                let span = self.span.in_periods(*length, now);
                Ok(self.lookup.told(stat, (span, *length), *statistic))
            }
            What::Expression { term, length } => {
                let length = length.unwrap_or(self.longest).max(1);
                let mut span = self.span.in_periods(length, now);
                span.to = span.to.min(now.saturating_add(1));
                if span.periods(length) > POINTS_MAX {
                    let text = "You have requested more datapoints than 100,800: increase Period, or decrease the time range.";
                    return Err(invalid(text));
                }
                let ground = Ground {
                    known: &self.known,
                    metrics: &self.metrics,
                    span,
                    length,
                };
                ground.values(term)
            }
        }
    }
}

impl Lookup<'_> {
    /// A metric's values; where it was told in several units, those of the last one in the alphabet count.
    fn told(self, stat: &Value, (span, length): (Span, i64), statistic: Statistic) -> Values {
        let metric = span::metric(self.region, &stat["Metric"]);
        let unit = text(stat, "Unit");
        let told = self
            .metrics
            .told(&metric, unit, (span.from, span.to), length);
        let periods = told.iter().flat_map(|(_, periods)| periods);
        periods
            .filter_map(|(at, all)| Some((*at, all.get(statistic)?)))
            .collect()
    }
}
