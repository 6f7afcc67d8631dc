//! Which periods a call asks for, and which metric: what GetMetricData and GetMetricStatistics read alike.

use std::borrow::Cow;

use serde_json::Value;
use wire::Fault;

use super::store::Metric;
use crate::aws::input::text;

/// Periods of less than a minute ("Period", GetMetricStatistics): those of AWS's alarms with them.
const SHORT: [i64; 5] = [1, 5, 10, 20, 30];
const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * 60;

/// A span of the wall clock in periods, all in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: i64,
    /// Not included.
    pub(super) to: i64,
}

impl Span {
    /// `StartTime` and `EndTime` of an input.
    pub(super) fn of(input: &Value) -> Result<Self, Fault> {
        let moment = |name: &str| input[name].as_f64().map_or(0, |it| it.floor() as i64);
        let (from, to) = (moment("StartTime"), moment("EndTime"));
        let exact = |name: &str| input[name].as_f64().unwrap_or(0.0);
        if exact("StartTime") >= exact("EndTime") {
            let text = "The parameter StartTime must be less than the parameter EndTime.";
            return Err(invalid(text));
        }
        // A second that has begun is in it.
        let begun = exact("EndTime") > to as f64;
        let to = if begun { to.saturating_add(1) } else { to };
        Ok(Self { from, to })
    }

    /// Where the first period begins. "CloudWatch rounds the specified time stamp": by age to whole minutes, five minutes, hours;
    /// with a short period to its divisions of a minute ("StartTime", GetMetricStatistics).
    #[must_use]
    pub(super) fn in_periods(self, length: i64, now: i64) -> Self {
        let age = now.saturating_sub(self.from);
        let grain = if SHORT.contains(&length) {
            length
        } else if age < 15 * DAY {
            MINUTE
        } else if age < 63 * DAY {
            5 * MINUTE
        } else {
            60 * MINUTE
        };
        Self {
            from: self.from - self.from.rem_euclid(grain),
            to: self.to,
        }
    }

    /// How many periods there are.
    pub(super) fn periods(self, length: i64) -> i64 {
        self.to.saturating_sub(self.from).max(0) / length + 1
    }
}

/// A period's length, if it is one.
pub(super) fn length(value: &Value) -> Result<i64, Fault> {
    let length = value.as_i64().unwrap_or(0);
    if SHORT.contains(&length) || (length > 0 && length % MINUTE == 0 && length <= DAY * 365) {
        return Ok(length);
    }
    let text = "The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.";
    Err(invalid(text))
}

/// CloudWatch's code for what is wrong in itself, as its SDKs have it.
pub(super) fn invalid(text: impl Into<String>) -> Fault {
    Fault::sender("ValidationError", text)
}

/// The metric of a region that an input names: `Namespace`, `MetricName` and `Dimensions`.
pub(super) fn metric(region: &str, input: &Value) -> Metric {
    let word = |name: &str| Cow::Owned(text(input, name).unwrap_or_default().to_owned());
    let dimensions = input["Dimensions"].as_array().into_iter().flatten();
    let dimensions = dimensions.map(|dimension| {
        let word = |name: &str| text(dimension, name).unwrap_or_default().to_owned();
        (Cow::Owned(word("Name")), word("Value"))
    });
    let mut dimensions: Vec<_> = dimensions.collect();
    dimensions.sort();
    Metric {
        region: region.to_owned(),
        namespace: word("Namespace"),
        name: word("MetricName"),
        dimensions,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn s7_3_spans_begin_at_whole_periods() {
        let now = 100 * DAY;
        let span = |from| Span { from, to: now };
        let begins = |from, length| span(from).in_periods(length, now).from;
        let recent = now - 1_000 + 7;
        assert_eq!(begins(recent, 60), recent - recent % 60);
        assert_eq!(begins(recent, 300), recent - recent % 60);
        assert_eq!(begins(recent, 10), recent - recent % 10);
        assert_eq!(begins(recent, 1), recent);
        assert_eq!(begins(now - 20 * DAY + 299, 300), now - 20 * DAY);
        assert_eq!(begins(now - 70 * DAY + 3_599, 3_600), now - 70 * DAY);
        // Before time began.
        assert_eq!(begins(-7, 60) % 3_600, 0);
    }

    #[test]
    fn an_end_within_a_second_takes_it_in() {
        let span = |from: f64, to: f64| Span::of(&json!({ "StartTime": from, "EndTime": to }));
        assert_eq!(span(1.5, 3.0).unwrap(), Span { from: 1, to: 3 });
        assert_eq!(span(1.0, 3.25).unwrap(), Span { from: 1, to: 4 });
        for (from, to) in [(3.0, 3.0), (4.0, 3.0)] {
            assert!(span(from, to).is_err());
        }
        assert!(span(-1e300, 1e300).unwrap().periods(60) > 0);
    }

    #[test]
    fn lengths_of_periods() {
        for good in [1, 5, 10, 20, 30, 60, 120, 300, 86_400] {
            assert_eq!(length(&json!(good)).unwrap(), good);
        }
        for bad in [0, -60, 2, 45, 61, i64::MAX] {
            assert!(length(&json!(bad)).is_err(), "{bad}");
        }
    }
}
