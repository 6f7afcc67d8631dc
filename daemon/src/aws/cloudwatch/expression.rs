//! Metric math, the part that alarms and dashboards are made of: arithmetic, comparisons, and a handful of functions
//! ("Using metric math", CloudWatch User Guide). What is not known is refused by its name.

mod parse;

use std::collections::BTreeMap;

use wire::Fault;

use super::span::{Span, invalid};
use crate::aws::input::not_implemented;
pub(super) use parse::Term;
use parse::{Function, Operator};

/// Values by the beginning of their period.
pub(super) type Values = BTreeMap<i64, f64>;

/// What terms are evaluated from.
pub(super) struct Ground<'a> {
    /// What other queries are, by their ids. All that the term refers to have to be there.
    pub(super) known: &'a BTreeMap<&'a str, Values>,
    /// The ids of queries for metrics, which `METRICS()` stands for.
    pub(super) metrics: &'a [&'a str],
    /// What is asked for, up to this moment.
    pub(super) span: Span,
    /// The length of its periods.
    pub(super) length: i64,
}

/// What a term is worth.
enum Worth {
    One(f64),
    Series(Values),
    Many(Vec<Values>),
}

impl Ground<'_> {
    /// The values of an expression.
    pub(super) fn values(&self, term: &Term) -> Result<Values, Fault> {
        match self.worth(term)? {
            Worth::Series(values) => Ok(finite(values)),
            Worth::One(_) => Err(invalid(
                "Error in expression: the result must be a time series, not a number",
            )),
            Worth::Many(_) => Err(not_implemented("an expression of several time series")),
        }
    }

    fn worth(&self, term: &Term) -> Result<Worth, Fault> {
        match term {
            Term::Number(number) => Ok(Worth::One(*number)),
            Term::Name(name) => match self.known.get(name.as_str()) {
                Some(values) => Ok(Worth::Series(values.clone())),
                None => Err(invalid(format!("Error in expression: unknown '{name}'"))),
            },
            Term::Text(text) => Err(invalid(format!("Error in expression: unexpected '{text}'"))),
            Term::List(terms) => {
                let all: Result<Vec<Values>, Fault> =
                    terms.iter().map(|term| self.series(term)).collect();
                Ok(Worth::Many(all?))
            }
            Term::Negative(term) => Ok(each(self.worth(term)?, |value| -value)),
            Term::Both(one, operator, other) => {
                both(self.worth(one)?, self.worth(other)?, |one, other| {
                    joined(one, *operator, other)
                })
            }
            Term::Call(function, terms) => self.call(*function, terms),
        }
    }

    fn series(&self, term: &Term) -> Result<Values, Fault> {
        match self.worth(term)? {
            Worth::Series(values) => Ok(values),
            Worth::One(_) | Worth::Many(_) => {
                Err(invalid("Error in expression: a time series is expected"))
            }
        }
    }

    fn call(&self, function: Function, terms: &[Term]) -> Result<Worth, Fault> {
        match (function, terms) {
            (Function::Abs, [term]) => Ok(each(self.worth(term)?, f64::abs)),
            (Function::Ceil, [term]) => Ok(each(self.worth(term)?, f64::ceil)),
            (Function::Floor, [term]) => Ok(each(self.worth(term)?, f64::floor)),
            (Function::Sum, [term]) => Ok(folded(self.worth(term)?, |all| all.iter().sum())),
            (Function::Avg, [term]) => Ok(folded(self.worth(term)?, |all| {
                all.iter().sum::<f64>() / all.len() as f64
            })),
            (Function::Min, [term]) => Ok(folded(self.worth(term)?, |all| {
                all.iter().copied().fold(f64::INFINITY, f64::min)
            })),
            (Function::Max, [term]) => Ok(folded(self.worth(term)?, |all| {
                all.iter().copied().fold(f64::NEG_INFINITY, f64::max)
            })),
            (Function::Diff, [term]) => Ok(Worth::Series(changes(&self.series(term)?, |_| 1.0))),
            (Function::Rate, [term]) => {
                let seconds = |seconds: i64| seconds as f64;
                Ok(Worth::Series(changes(&self.series(term)?, seconds)))
            }
            (Function::Period, [_]) => Ok(Worth::One(self.length as f64)),
            (Function::Metrics, []) => Ok(Worth::Many(self.all(""))),
            (Function::Metrics, [Term::Text(part)]) => Ok(Worth::Many(self.all(part))),
            (Function::Fill, [term, with]) => self.fill(self.series(term)?, with),
            (Function::If, [condition, yes]) => self.choose(condition, yes, None),
            (Function::If, [condition, yes, no]) => self.choose(condition, yes, Some(no)),
            (
                Function::Abs
                | Function::Ceil
                | Function::Floor
                | Function::Sum
                | Function::Avg
                | Function::Min
                | Function::Max
                | Function::Diff
                | Function::Rate
                | Function::Period
                | Function::Metrics
                | Function::Fill
                | Function::If,
                _,
            ) => {
                let name = format!("{function:?}").to_uppercase();
                let text = format!("Error in expression: {name} does not take these arguments");
                Err(invalid(text))
            }
        }
    }

    /// Those metrics of the call whose ids have this in them.
    fn all(&self, part: &str) -> Vec<Values> {
        let ids = self.metrics.iter().filter(|id| id.contains(part));
        ids.filter_map(|id| self.known.get(*id).cloned()).collect()
    }

    /// A value in each period: "FILL(m1, 0)", "FILL(m1, REPEAT)".
    fn fill(&self, values: Values, with: &Term) -> Result<Worth, Fault> {
        let way = match with {
            Term::Name(way) => way.as_str(),
            Term::Number(_)
            | Term::Text(_)
            | Term::List(_)
            | Term::Negative(_)
            | Term::Both(..)
            | Term::Call(..) => "",
        };
        let mut last = match way {
            "REPEAT" => None,
            "LINEAR" => return Err(not_implemented("FILL of metric math with LINEAR")),
            _ => match self.worth(with)? {
                Worth::One(value) => Some(value),
                Worth::Series(_) | Worth::Many(_) => {
                    let text = "Error in expression: FILL takes a number, REPEAT or LINEAR";
                    return Err(invalid(text));
                }
            },
        };
        let repeats = last.is_none();
        let mut filled = Values::new();
        let mut at = self.span.from;
        while at < self.span.to {
            match (values.get(&at), last) {
                (Some(value), _) => {
                    filled.insert(at, *value);
                    last = if repeats { Some(*value) } else { last };
                }
                (None, Some(value)) => {
                    filled.insert(at, value);
                }
                (None, None) => {}
            }
            at = at.saturating_add(self.length);
        }
        Ok(Worth::Series(filled))
    }

    fn choose(&self, condition: &Term, yes: &Term, no: Option<&Term>) -> Result<Worth, Fault> {
        let condition = self.worth(condition)?;
        let yes = self.worth(yes)?;
        let no = no.map(|no| self.worth(no)).transpose()?;
        let conditions = match condition {
            Worth::One(value) if value != 0.0 => return Ok(yes),
            Worth::One(_) => return Ok(no.unwrap_or(Worth::Series(Values::new()))),
            Worth::Series(values) => values,
            Worth::Many(_) => return Err(invalid("Error in expression: IF takes one condition")),
        };
        let chosen = conditions.into_iter().filter_map(|(at, value)| {
            let side = if value == 0.0 {
                no.as_ref()
            } else {
                Some(&yes)
            };
            let value = match side? {
                Worth::One(value) => Some(*value),
                Worth::Series(values) => values.get(&at).copied(),
                Worth::Many(_) => None,
            };
            Some((at, value?))
        });
        Ok(Worth::Series(chosen.collect()))
    }
}

fn joined(one: f64, operator: Operator, other: f64) -> f64 {
    let truth = |so: bool| if so { 1.0 } else { 0.0 };
    match operator {
        Operator::Or => truth(one != 0.0 || other != 0.0),
        Operator::And => truth(one != 0.0 && other != 0.0),
        Operator::Less => truth(one < other),
        Operator::LessOrEqual => truth(one <= other),
        Operator::Greater => truth(one > other),
        Operator::GreaterOrEqual => truth(one >= other),
        Operator::Equal => truth(one == other),
        Operator::NotEqual => truth(one != other),
        Operator::Plus => one + other,
        Operator::Minus => one - other,
        Operator::Times => one * other,
        Operator::Over => one / other,
        Operator::Power => one.powf(other),
    }
}

/// Every value changed alike.
fn each(worth: Worth, change: impl Fn(f64) -> f64) -> Worth {
    let changed = |values: Values| -> Values {
        let values = values.into_iter();
        values.map(|(at, value)| (at, change(value))).collect()
    };
    match worth {
        Worth::One(value) => Worth::One(change(value)),
        Worth::Series(values) => Worth::Series(changed(values)),
        Worth::Many(all) => Worth::Many(all.into_iter().map(changed).collect()),
    }
}

/// "Only data points at time stamps where both have a value" are joined.
fn both(one: Worth, other: Worth, join: impl Fn(f64, f64) -> f64) -> Result<Worth, Fault> {
    match (one, other) {
        (one, Worth::One(other)) => Ok(each(one, |one| join(one, other))),
        (Worth::One(one), other) => Ok(each(other, |other| join(one, other))),
        (Worth::Series(one), Worth::Series(other)) => {
            let pairs = one.into_iter();
            let joined = pairs.filter_map(|(at, one)| Some((at, join(one, *other.get(&at)?))));
            Ok(Worth::Series(joined.collect()))
        }
        (Worth::Many(_), _) | (_, Worth::Many(_)) => Err(not_implemented(
            "metric math of several time series at once",
        )),
    }
}

/// One number of a series, or one series of many: by its function of the values that are there.
fn folded(worth: Worth, fold: impl Fn(&[f64]) -> f64) -> Worth {
    match worth {
        Worth::One(value) => Worth::One(value),
        Worth::Series(values) if values.is_empty() => Worth::Series(values),
        Worth::Series(values) => {
            let all: Vec<f64> = values.into_values().collect();
            Worth::One(fold(&all))
        }
        Worth::Many(all) => {
            let mut moments: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
            for (at, value) in all.into_iter().flatten() {
                moments.entry(at).or_default().push(value);
            }
            let folded = moments.into_iter().map(|(at, all)| (at, fold(&all)));
            Worth::Series(folded.collect())
        }
    }
}

/// How much each value is more than the one before it, divided by what stands for the time between them.
fn changes(values: &Values, by: impl Fn(i64) -> f64) -> Values {
    let pairs = values.iter().zip(values.iter().skip(1));
    let changes = pairs.map(|((before, old), (at, new))| (*at, (new - old) / by(at - before)));
    changes.collect()
}

/// What a division by zero makes is no data point.
fn finite(mut values: Values) -> Values {
    values.retain(|_, value| value.is_finite());
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `m1` in three periods of four, `m2` in two of them, over a minute each.
    fn values(text: &str) -> Result<Vec<(i64, f64)>, Fault> {
        let known = BTreeMap::from([
            ("e1", Values::from([(0, 9.0)])),
            ("m1", Values::from([(0, 10.0), (60, 20.0), (180, 40.0)])),
            ("m2", Values::from([(0, 5.0), (60, 0.0)])),
        ]);
        let ground = Ground {
            known: &known,
            metrics: &["m1", "m2"],
            span: Span { from: 0, to: 240 },
            length: 60,
        };
        let values = ground.values(&Term::read(text)?)?;
        Ok(values.into_iter().collect())
    }

    #[test]
    fn metric_math() {
        for (text, wanted) in [
            ("m1 + 1", &[(0, 11.0), (60, 21.0), (180, 41.0)][..]),
            ("m1 * m2", &[(0, 50.0), (60, 0.0)]),
            ("100 * m2 / m1", &[(0, 50.0), (60, 0.0)]),
            ("m1 / m2", &[(0, 2.0)]),
            ("-m2 ^ 2", &[(0, -25.0), (60, 0.0)]),
            ("SUM(METRICS())", &[(0, 15.0), (60, 20.0), (180, 40.0)]),
            ("AVG([m1, m2])", &[(0, 7.5), (60, 10.0), (180, 40.0)]),
            ("MAX(METRICS(\"m2\"))", &[(0, 5.0), (60, 0.0)]),
            ("m2 - MIN(m2)", &[(0, 5.0), (60, 0.0)]),
            (
                "FILL(m2, 7)",
                &[(0, 5.0), (60, 0.0), (120, 7.0), (180, 7.0)],
            ),
            (
                "FILL(m1, REPEAT)",
                &[(0, 10.0), (60, 20.0), (120, 20.0), (180, 40.0)],
            ),
            ("IF(m1 > 15, 1, 0)", &[(0, 0.0), (60, 1.0), (180, 1.0)]),
            ("IF(m1 > 15, m1)", &[(60, 20.0), (180, 40.0)]),
            ("IF(m1 >= 20 AND m1 < 40, m1, m2)", &[(0, 5.0), (60, 20.0)]),
            ("DIFF(m1)", &[(60, 10.0), (180, 20.0)]),
            ("RATE(m1) * PERIOD(m1)", &[(60, 10.0), (180, 10.0)]),
            ("ABS(FLOOR(m2 / 2) - CEIL(m2 / 2))", &[(0, 1.0), (60, 0.0)]),
            ("e1 + SUM(m1)", &[(0, 79.0)]),
        ] {
            assert_eq!(values(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn what_makes_no_series_is_refused() {
        for text in [
            "1 + 2",
            "m3",
            "SUM()",
            "FILL(m1, m2)",
            "ABS(m1, m2)",
            "m1 + \"x\"",
            "SUM(m1)",
        ] {
            assert_eq!(values(text).unwrap_err().code, "ValidationError", "{text}");
        }
        for text in ["METRICS()", "METRICS() + m1", "FILL(m1, LINEAR)"] {
            assert_eq!(values(text).unwrap_err().status, 501, "{text}");
        }
    }
}
