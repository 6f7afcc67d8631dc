//! PutMetricData: metrics of clients' own.

use std::borrow::Cow;

use serde_json::Value;
use wire::{Fault, Record};

use super::series::{Kind, Resolution};
use super::statistics::Statistics;
use super::store::Datum;
use super::{OWN, span};
use crate::aws::View;
use crate::aws::input::{not_implemented, text};

/// "No more than 1000 different metrics" in a request (PutMetricData).
const DATA_MAX: usize = 1_000;
/// "Each value array can have up to 150 values" ("Values", MetricDatum).
const VALUES_MAX: usize = 150;
/// "Values must be in the range of -2^360 to 2^360" ("Value", MetricDatum).
const VALUE_MAX: f64 = 2.348_542_582_773_833_4e108;
/// "As much as two weeks before the current date, and as much as two hours after" (aws-behaviour §7.3).
const PAST: i64 = 14 * 24 * 60 * 60;
const FUTURE: i64 = 2 * 60 * 60;
/// "Data points with a period of less than 60 seconds are available for 3 hours" (aws-behaviour §7.3).
const HIGH_RESOLUTION: Resolution = Resolution {
    width: 1,
    kept: 3 * 60 * 60,
};

pub(super) fn put(view: &View<'_>, input: &Value) -> Result<(Record, Vec<Datum>), Fault> {
    let namespace = text(input, "Namespace").unwrap_or_default();
    if namespace.starts_with(OWN) {
        let text = format!("The value {namespace} for parameter Namespace is invalid.");
        return Err(view.fault("InvalidParameterValueException", text));
    }
    if input["EntityMetricData"]
        .as_array()
        .is_some_and(|it| !it.is_empty())
    {
        return Err(not_implemented("PutMetricData with EntityMetricData"));
    }
    let data = input["MetricData"].as_array();
    let data = data.filter(|data| !data.is_empty()).ok_or_else(|| {
        let text = "The parameter MetricData is required.";
        view.fault("MissingRequiredParameterException", text)
    })?;
    if data.len() > DATA_MAX {
        let text =
            format!("The collection MetricData must not have a size greater than {DATA_MAX}.");
        return Err(view.fault("InvalidParameterValueException", text));
    }
    let read = data.iter().zip(1..).map(|(datum, number)| {
        let place = format!("MetricData.member.{number}");
        Member { view, datum, place }.read(namespace)
    });
    Ok((Record::new(), read.collect::<Result<_, Fault>>()?))
}

/// A member of MetricData, and where it stands.
struct Member<'a> {
    view: &'a View<'a>,
    datum: &'a Value,
    place: String,
}

impl Member<'_> {
    fn read(&self, namespace: &str) -> Result<Datum, Fault> {
        let datum = self.datum;
        let mut metric = span::metric(self.view.region, datum);
        metric.namespace = Cow::Owned(namespace.to_owned());
        let unit = text(datum, "Unit").unwrap_or("None");
        let fine = match datum["StorageResolution"].as_i64() {
            Some(1) => Some(HIGH_RESOLUTION),
            Some(60) | None => None,
            Some(other) => {
                let text = format!(
                    "{other} for parameter {} is invalid",
                    self.at("StorageResolution")
                );
                return Err(self.bad(text));
            }
        };
        Ok(Datum {
            metric,
            unit: Cow::Owned(unit.to_owned()),
            kind: Kind::Values,
            at: self.moment()?,
            reading: self.reading()?,
            fine,
        })
    }

    fn moment(&self) -> Result<i64, Fault> {
        let now = self.view.now.div_euclid(1_000);
        let Some(at) = self.datum["Timestamp"].as_f64() else {
            return Ok(now);
        };
        let at = at.floor() as i64;
        if at < now - PAST || at > now + FUTURE {
            let text = format!(
                "{at} for parameter {} is invalid: it must be within two weeks before and two hours after this moment",
                self.at("Timestamp")
            );
            return Err(self.bad(text));
        }
        Ok(at)
    }

    fn reading(&self) -> Result<Statistics, Fault> {
        let ways = ["Value", "Values", "StatisticValues"];
        let given = ways.map(|name| self.datum.get(name).filter(|it| !it.is_null()));
        match given {
            [Some(value), None, None] => Ok(Statistics::of(self.number(value, "Value")?, 1.0)),
            [None, Some(values), None] => self.each(values),
            [None, None, Some(set)] => self.set(set),
            [None, None, None] => {
                let text = format!("The parameter {} is required.", self.at("Value"));
                Err(self.fault("MissingRequiredParameterException", text))
            }
            _ => {
                let both = ways.iter().zip(given).filter(|(_, given)| given.is_some());
                let both: Vec<String> = both.map(|(name, _)| self.at(name)).collect();
                let text = format!(
                    "The parameters {} are mutually exclusive and you have specified both.",
                    both.join(" and ")
                );
                Err(self.fault("InvalidParameterCombinationException", text))
            }
        }
    }

    /// `Values`, and `Counts` of as many: one of each if there are none.
    fn each(&self, values: &Value) -> Result<Statistics, Fault> {
        let list = |value: &Value, name: &str| -> Result<Vec<f64>, Fault> {
            let list = value.as_array().into_iter().flatten();
            list.map(|value| self.number(value, name)).collect()
        };
        let values = list(values, "Values")?;
        let counts = list(&self.datum["Counts"], "Counts")?;
        if values.len() > VALUES_MAX {
            let text = format!(
                "The collection {} must not have a size greater than {VALUES_MAX}.",
                self.at("Values")
            );
            return Err(self.fault("InvalidParameterValueException", text));
        }
        if !counts.is_empty() && counts.len() != values.len() {
            let text = format!(
                "The parameters {} and {} must have the same size.",
                self.at("Values"),
                self.at("Counts")
            );
            return Err(self.fault("InvalidParameterValueException", text));
        }
        if counts.iter().any(|count| *count <= 0.0) {
            return Err(self.bad(format!(
                "for parameter {} must be above zero",
                self.at("Counts")
            )));
        }
        let counts = counts.into_iter().chain(std::iter::repeat(1.0));
        Statistics::of_each(values.into_iter().zip(counts)).ok_or_else(|| {
            let text = format!("The parameter {} is required.", self.at("Values"));
            self.fault("MissingRequiredParameterException", text)
        })
    }

    fn set(&self, set: &Value) -> Result<Statistics, Fault> {
        let number = |name: &str| self.number(&set[name], &format!("StatisticValues.{name}"));
        let (count, sum) = (number("SampleCount")?, number("Sum")?);
        let (min, max) = (number("Minimum")?, number("Maximum")?);
        if count <= 0.0 || min > max {
            let text = format!(
                "of {}: there must be samples, and Minimum must not exceed Maximum",
                self.at("StatisticValues")
            );
            return Err(self.bad(text));
        }
        Ok(Statistics::set(count, sum, min, max))
    }

    /// "NaN, +Infinity, -Infinity are not supported"; what JSON has no number for comes as text.
    fn number(&self, value: &Value, name: &str) -> Result<f64, Fault> {
        let number = value.as_f64().filter(|it| it.abs() <= VALUE_MAX);
        number.ok_or_else(|| {
            self.bad(format!(
                "{value} for parameter {} is invalid",
                self.at(name)
            ))
        })
    }

    fn at(&self, name: &str) -> String {
        format!("{}.{name}", self.place)
    }

    fn bad(&self, text: impl std::fmt::Display) -> Fault {
        self.fault(
            "InvalidParameterValueException",
            format!("The value {text}."),
        )
    }

    fn fault(&self, name: &str, text: String) -> Fault {
        self.view.fault(name, text)
    }
}
