//! What an alarm watches and when it goes off: read from the attributes of PutMetricAlarm, which are kept as they came.

use serde_json::{Value, json};
use wire::Fault;

use crate::aws::cloudwatch::figures::statistic;
use crate::aws::cloudwatch::queries::{What, queries};
use crate::aws::cloudwatch::span::invalid;
use crate::aws::cloudwatch::statistics::Statistic;
use crate::aws::input::{not_implemented, text};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;
/// "Valid values are 10, 20, 30, and any multiple of 60" ("Period", PutMetricAlarm).
const SHORT: [i64; 3] = [10, 20, 30];
/// "A math expression used for an alarm can include as many as 10 metrics" ("Alarms on math expressions", CloudWatch User Guide).
const METRICS_MAX: usize = 10;
/// The queries that a single metric is: what is compared, and of how many samples it is made.
pub(super) const VALUES: &str = "values";
pub(super) const SAMPLES: &str = "samples";

/// What an alarm watches, and when it goes off.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    /// Queries as GetMetricData has them.
    pub(super) queries: Value,
    /// The id of the one that is compared.
    pub(super) watched: String,
    /// The length of a period in seconds.
    pub(super) period: i64,
    /// How many periods are looked at: N.
    pub(super) periods: usize,
    /// How many of them have to breach: M.
    pub(super) to_alarm: usize,
    pub(super) comparison: Comparison,
    pub(super) threshold: f64,
    pub(super) missing: Treatment,
    /// What is compared, where it is one metric: as it is written.
    pub(super) statistic: Option<String>,
    /// So many samples are needed for a percentile to mean anything; with fewer the alarm stays as it is.
    pub(super) samples_min: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// What becomes of periods of which nothing was told (aws-behaviour §7.3, "Missing data").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// They are not known.
    Missing,
    /// The alarm stays as it is.
    Ignore,
    /// They breach.
    Breaching,
    /// They do not.
    NotBreaching,
}

impl Comparison {
    pub(super) fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Greater => value > threshold,
            Self::GreaterOrEqual => value >= threshold,
            Self::Less => value < threshold,
            Self::LessOrEqual => value <= threshold,
        }
    }

    /// CloudWatch's words in its reasons.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Greater => "greater than",
            Self::GreaterOrEqual => "greater than or equal to",
            Self::Less => "less than",
            Self::LessOrEqual => "less than or equal to",
        }
    }
}

impl Rule {
    /// Reads the attributes of an alarm.
    ///
    /// # Errors
    /// What is wrong with them, or not built.
    pub(super) fn read(alarm: &Value) -> Result<Self, Fault> {
        let watched = match alarm["Metrics"].as_array() {
            Some(metrics) if !metrics.is_empty() => of_expression(alarm)?,
            Some(_) | None => of_metric(alarm)?,
        };
        let comparison = comparison(alarm)?;
        let threshold = alarm["Threshold"].as_f64().filter(|it| it.is_finite());
        let threshold = threshold.ok_or_else(|| missing("Threshold"))?;
        let periods = alarm["EvaluationPeriods"].as_i64();
        let periods = periods.ok_or_else(|| missing("EvaluationPeriods"))?;
        let to_alarm = alarm["DatapointsToAlarm"].as_i64().unwrap_or(periods);
        if to_alarm > periods {
            let text = "DatapointsToAlarm must be less than or equal to EvaluationPeriods.";
            return Err(invalid(text));
        }
        within(watched.period, periods)?;
        let number = |count: i64| usize::try_from(count).unwrap_or(1).max(1);
        Ok(Self {
            samples_min: samples_min(alarm, watched.percentile)?,
            missing: treated(alarm)?,
            queries: watched.queries,
            watched: watched.id,
            period: watched.period,
            periods: number(periods),
            to_alarm: number(to_alarm),
            comparison,
            threshold,
            statistic: watched.statistic,
        })
    }
}

/// What is compared.
struct Watched {
    queries: Value,
    id: String,
    period: i64,
    statistic: Option<String>,
    percentile: Option<f64>,
}

fn missing(name: &str) -> Fault {
    invalid(format!("The parameter {name} is required."))
}

/// One metric, named by the members of the alarm itself.
fn of_metric(alarm: &Value) -> Result<Watched, Fault> {
    for name in ["MetricName", "Namespace"] {
        text(alarm, name).ok_or_else(|| missing(name))?;
    }
    let named = (text(alarm, "Statistic"), text(alarm, "ExtendedStatistic"));
    let name = match named {
        (Some(name), None) | (None, Some(name)) => name,
        (None, None) => {
            let text = "Must specify either Statistic or ExtendedStatistic";
            return Err(invalid(text));
        }
        (Some(_), Some(_)) => {
            let text = "Must specify Statistic or ExtendedStatistic, not both";
            return Err(invalid(text));
        }
    };
    let percentile = match statistic(name)? {
        Statistic::Percentile(percent) => Some(percent),
        Statistic::SampleCount
        | Statistic::Sum
        | Statistic::Average
        | Statistic::Minimum
        | Statistic::Maximum => None,
    };
    let query = |id: &str, statistic: &str| {
        let metric = json!({
            "Namespace": alarm["Namespace"],
            "MetricName": alarm["MetricName"],
            "Dimensions": alarm["Dimensions"],
        });
        let stat = json!({
            "Metric": metric, "Period": alarm["Period"], "Stat": statistic, "Unit": alarm["Unit"],
        });
        json!({ "Id": id, "MetricStat": stat })
    };
    Ok(Watched {
        queries: json!([query(VALUES, name), query(SAMPLES, "SampleCount")]),
        id: VALUES.to_owned(),
        period: period(&alarm["Period"])?,
        statistic: Some(name.to_owned()),
        percentile,
    })
}

/// Metric math: one query returns what is compared, and all metrics have one period.
fn of_expression(alarm: &Value) -> Result<Watched, Fault> {
    let own = [
        "MetricName",
        "Namespace",
        "Dimensions",
        "Period",
        "Unit",
        "Statistic",
        "ExtendedStatistic",
    ];
    if let Some(name) = own.iter().find(|name| is_there(&alarm[**name])) {
        let text = format!("The parameters Metrics and {name} are mutually exclusive.");
        return Err(invalid(text));
    }
    let all = queries(&alarm["Metrics"], "Metrics")?;
    let mut returned = all.iter().filter(|query| query.shown);
    let (Some(watched), None) = (returned.next(), returned.next()) else {
        return Err(invalid(
            "Exactly one element of the Metrics list should return data.",
        ));
    };
    let mut lengths = all.iter().filter_map(|query| match query.what {
        What::Metric { length, .. } => Some(length),
        What::Expression { length, .. } => length,
    });
    let length = lengths.next().ok_or_else(|| missing("Period"))?;
    if lengths.any(|other| other != length) {
        return Err(invalid(
            "All elements of the Metrics list must have the same Period.",
        ));
    }
    let metrics = all
        .iter()
        .filter(|query| matches!(query.what, What::Metric { .. }));
    if metrics.count() > METRICS_MAX {
        let text = format!("The Metrics list can have {METRICS_MAX} metrics at most.");
        return Err(invalid(text));
    }
    Ok(Watched {
        id: watched.id.to_owned(),
        period: period(&json!(length))?,
        queries: alarm["Metrics"].clone(),
        statistic: None,
        percentile: None,
    })
}

fn is_there(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => true,
    }
}

fn period(value: &Value) -> Result<i64, Fault> {
    let length = value.as_i64().ok_or_else(|| missing("Period"))?;
    if SHORT.contains(&length) || (length > 0 && length % MINUTE == 0) {
        return Ok(length);
    }
    Err(invalid(
        "The parameter Period must be 10, 20, 30 or a multiple of 60.",
    ))
}

/// A day; "for alarms with a period of at least one hour", seven ("EvaluationPeriods", PutMetricAlarm).
fn within(period: i64, periods: i64) -> Result<(), Fault> {
    let most = if period < HOUR { DAY } else { 7 * DAY };
    match period.checked_mul(periods) {
        Some(all) if all <= most => Ok(()),
        Some(_) | None => Err(invalid(format!(
            "Metrics cannot be checked across more than {} (EvaluationPeriods * Period must be <= {most}).",
            if most == DAY { "a day" } else { "seven days" }
        ))),
    }
}

fn comparison(alarm: &Value) -> Result<Comparison, Fault> {
    match text(alarm, "ComparisonOperator") {
        Some("GreaterThanThreshold") => Ok(Comparison::Greater),
        Some("GreaterThanOrEqualToThreshold") => Ok(Comparison::GreaterOrEqual),
        Some("LessThanThreshold") => Ok(Comparison::Less),
        Some("LessThanOrEqualToThreshold") => Ok(Comparison::LessOrEqual),
        Some(band) => Err(not_implemented(format!("the comparison {band}"))),
        None => Err(missing("ComparisonOperator")),
    }
}

fn treated(alarm: &Value) -> Result<Treatment, Fault> {
    match text(alarm, "TreatMissingData") {
        None | Some("missing") => Ok(Treatment::Missing),
        Some("ignore") => Ok(Treatment::Ignore),
        Some("breaching") => Ok(Treatment::Breaching),
        Some("notBreaching") => Ok(Treatment::NotBreaching),
        Some(other) => Err(invalid(format!(
            "The value {other} for parameter TreatMissingData is not supported."
        ))),
    }
}

/// "This setting is used when there are fewer than 10/(1-percentile) data points", and below the median 10/percentile
/// ("Percentile-based alarms and low data samples", CloudWatch User Guide).
fn samples_min(alarm: &Value, percentile: Option<f64>) -> Result<f64, Fault> {
    match (text(alarm, "EvaluateLowSampleCountPercentile"), percentile) {
        (None | Some("evaluate"), _) | (Some("ignore"), None) => Ok(0.0),
        (Some("ignore"), Some(percent)) => {
            let share = percent / 100.0;
            let least = 10.0 / if share < 0.5 { share } else { 1.0 - share };
            // The least and the most of all are what they are, however many there are.
            Ok(if least.is_finite() { least } else { 0.0 })
        }
        (Some(other), _) => Err(invalid(format!(
            "The value {other} for parameter EvaluateLowSampleCountPercentile is not supported."
        ))),
    }
}

#[cfg(test)]
pub(super) mod tests;
