//! Why an alarm is in a state, in CloudWatch's words: for people, and in JSON for programs.

use jiff::Timestamp;
use serde_json::{Value, json};
use topologies::alarm::{AlarmState, Finding};

use super::evaluation::{Datapoint, Evaluated};
use super::rule::{Rule, Treatment};

/// Up to so many values stand in the sentence itself.
const INLINE_MAX: usize = 3;
/// Of more than that, so many are told.
const TOLD_MAX: usize = 5;
/// Values that are told to programs: the reason's data have 4,000 characters at most.
const DATA_MAX: usize = 20;

/// What was found, at a moment in milliseconds of the wall clock.
pub(super) fn finding(
    rule: &Rule,
    unit: Option<&str>,
    (state, evaluated): (AlarmState, &Evaluated),
    now: i64,
) -> Finding {
    Finding {
        state,
        reason: reason(rule, state, evaluated),
        data: Some(data(rule, unit, evaluated, now).to_string()),
        by_hand: false,
    }
}

fn reason(rule: &Rule, state: AlarmState, evaluated: &Evaluated) -> String {
    let Evaluated { real, missing, .. } = evaluated;
    let breaches = |it: &&Datapoint| rule.comparison.breaches(it.value, rule.threshold);
    let (breaching, within): (Vec<&Datapoint>, Vec<&Datapoint>) = real.iter().partition(breaches);
    match state {
        AlarmState::InsufficientData => {
            format!(
                "Insufficient Data: {} unknown.",
                were(*missing, "datapoint")
            )
        }
        AlarmState::Alarm if breaching.len() < rule.to_alarm && made_up(rule) => {
            treated(rule, evaluated, "Breaching")
        }
        AlarmState::Ok if within.is_empty() => treated(rule, evaluated, "NonBreaching"),
        AlarmState::Alarm => {
            let least = format!(
                "minimum {} for OK -> ALARM transition",
                datapoints(rule.to_alarm)
            );
            crossed(rule, &breaching, "", &least)
        }
        AlarmState::Ok => {
            let least = rule.periods - rule.to_alarm + 1;
            let least = format!("minimum {} for ALARM -> OK transition", datapoints(least));
            crossed(rule, &within, "not ", &least)
        }
    }
}

fn made_up(rule: &Rule) -> bool {
    rule.missing == Treatment::Breaching
}

/// `Threshold Crossed: 2 out of the last 3 datapoints [9.0 (...), 7.0 (...)] were greater than the threshold (5.0) (minimum ...).`
fn crossed(rule: &Rule, values: &[&Datapoint], not: &str, least: &str) -> String {
    let told: Vec<String> = values
        .iter()
        .take(TOLD_MAX)
        .map(|it| format!("{:?} ({})", it.value, written(it.at, "%d/%m/%y %H:%M:%S")))
        .collect();
    let told = told.join(", ");
    let (count, periods) = (values.len(), rule.periods);
    let verb = if count == 1 { "was" } else { "were" };
    let (words, threshold) = (rule.comparison.words(), rule.threshold);
    let compared = format!("{verb} {not}{words} the threshold ({threshold:?})");
    if count <= INLINE_MAX {
        return format!(
            "Threshold Crossed: {count} out of the last {periods} datapoints [{told}] {compared} ({least})."
        );
    }
    format!(
        "Threshold Crossed: {count} out of the last {periods} datapoints {compared}. The most recent datapoints which {}crossed the \
         threshold: [{told}] ({least}).",
        if not.is_empty() { "" } else { "have not " }
    )
}

/// `Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as [Breaching].`
fn treated(rule: &Rule, evaluated: &Evaluated, how: &str) -> String {
    let received = match evaluated.real.len() {
        0 => "no datapoints were".to_owned(),
        some => were(some, "datapoint"),
    };
    let periods = match rule.periods {
        1 => "1 period".to_owned(),
        many => format!("{many} periods"),
    };
    let missing = were(evaluated.missing, "missing datapoint");
    format!(
        "Threshold Crossed: {received} received for {periods} and {missing} treated as [{how}]."
    )
}

/// `1 datapoint was`, `2 datapoints were`.
fn were(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what} was"),
        many => format!("{many} {what}s were"),
    }
}

fn datapoints(count: usize) -> String {
    match count {
        1 => "1 datapoint".to_owned(),
        many => format!("{many} datapoints"),
    }
}

/// The oldest first; the newest of them, if there are many.
fn data(rule: &Rule, unit: Option<&str>, evaluated: &Evaluated, now: i64) -> Value {
    let newest = &evaluated.real[..evaluated.real.len().min(DATA_MAX)];
    let values: Vec<f64> = newest.iter().rev().map(|it| it.value).collect();
    let mut data = json!({
        "version": "1.0",
        "queryDate": moment(now),
        "period": rule.period,
        "recentDatapoints": values,
        "threshold": rule.threshold,
    });
    if let Some(oldest) = evaluated.real.last() {
        data["startDate"] = moment(oldest.at.saturating_mul(1_000)).into();
        let points = newest.iter().map(|it| {
            let mut point = json!({
                "timestamp": moment(it.at.saturating_mul(1_000)), "value": it.value,
            });
            if let Some(samples) = it.samples {
                point["sampleCount"] = samples.into();
            }
            point
        });
        data["evaluatedDatapoints"] = points.collect();
    }
    if let Some(statistic) = &rule.statistic {
        data["statistic"] = statistic.as_str().into();
    }
    if let Some(unit) = unit {
        data["unit"] = unit.into();
    }
    data
}

/// `2026-01-31T12:00:00.250+0000`, of milliseconds of the wall clock.
pub(super) fn moment(millis: i64) -> String {
    let seconds = written(millis.div_euclid(1_000), "%Y-%m-%dT%H:%M:%S");
    format!("{seconds}.{:03}+0000", millis.rem_euclid(1_000))
}

fn written(second: i64, format: &str) -> String {
    let moment = Timestamp::from_second(second).unwrap_or_default();
    moment.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::evaluation::evaluate;
    use super::super::rule::tests::errors_above_five as rule;
    use super::*;

    /// 2026-01-31 12:00:00.
    const NOON: i64 = 1_769_860_800;

    /// The values of minutes before noon, the newest last.
    fn minutes(values: &[Option<f64>]) -> Vec<Option<Datapoint>> {
        let count = i64::try_from(values.len()).unwrap();
        let values = values.iter().zip(0..);
        let points = values.map(|(value, number)| {
            let at = NOON + (number - count) * 60;
            let samples = Some(1.0);
            value.map(|value| Datapoint { at, value, samples })
        });
        points.collect()
    }

    fn said(rule: &Rule, values: &[Option<f64>]) -> String {
        let evaluated = evaluate(rule, &minutes(values));
        reason(rule, evaluated.state.unwrap(), &evaluated)
    }

    #[test]
    fn s7_3_reasons_are_cloudwatch_s() {
        let (high, low, none) = (Some(9.25), Some(1.0), None);
        for (rule, values, wanted) in [
            (
                rule(1, 1, "missing"),
                &[high][..],
                "Threshold Crossed: 1 out of the last 1 datapoints [9.25 (31/01/26 11:59:00)] was greater than the threshold (5.0) \
                 (minimum 1 datapoint for OK -> ALARM transition).",
            ),
            (
                rule(2, 2, "missing"),
                &[high, high],
                "Threshold Crossed: 2 out of the last 2 datapoints [9.25 (31/01/26 11:59:00), 9.25 (31/01/26 11:58:00)] were greater \
                 than the threshold (5.0) (minimum 2 datapoints for OK -> ALARM transition).",
            ),
            (
                rule(2, 2, "missing"),
                &[high, low],
                "Threshold Crossed: 1 out of the last 2 datapoints [1.0 (31/01/26 11:59:00)] was not greater than the threshold (5.0) \
                 (minimum 1 datapoint for ALARM -> OK transition).",
            ),
            (
                rule(1, 1, "missing"),
                &[none],
                "Insufficient Data: 1 datapoint was unknown.",
            ),
            (
                rule(1, 2, "missing"),
                &[none, none],
                "Insufficient Data: 2 datapoints were unknown.",
            ),
            (
                rule(1, 1, "breaching"),
                &[none],
                "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [Breaching].",
            ),
            (
                rule(3, 3, "breaching"),
                &[none, high, none],
                "Threshold Crossed: 1 datapoint was received for 3 periods and 2 missing datapoints were treated as [Breaching].",
            ),
            (
                rule(2, 2, "notBreaching"),
                &[none, none],
                "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as [NonBreaching].",
            ),
        ] {
            assert_eq!(said(&rule, values), wanted);
        }
        let many = said(&rule(9, 9, "missing"), &[high; 9]);
        assert!(many.starts_with("Threshold Crossed: 9 out of the last 9 datapoints were greater than the threshold (5.0)."));
        assert_eq!(many.matches("9.25").count(), TOLD_MAX);
    }

    #[test]
    fn data_are_for_programs_and_bounded() {
        let one = rule(1, 2, "missing");
        let evaluated = evaluate(&one, &minutes(&[Some(1.0), Some(9.0)]));
        let found = data(&one, Some("Count"), &evaluated, NOON * 1_000 + 250);
        let point =
            |at: &str, value: f64| json!({ "timestamp": at, "value": value, "sampleCount": 1.0 });
        let wanted = json!({
            "version": "1.0",
            "queryDate": "2026-01-31T12:00:00.250+0000",
            "startDate": "2026-01-31T11:58:00.000+0000",
            "statistic": "Sum",
            "unit": "Count",
            "period": 60,
            "recentDatapoints": [1.0, 9.0],
            "threshold": 5.0,
            "evaluatedDatapoints": [
                point("2026-01-31T11:59:00.000+0000", 9.0),
                point("2026-01-31T11:58:00.000+0000", 1.0),
            ],
        });
        assert_eq!(found, wanted);
        let many = rule(1, 1_000, "missing");
        let evaluated = evaluate(&many, &minutes(&[Some(0.123_456_789_012_345_6); 1_000]));
        let found = data(&many, Some("Count"), &evaluated, NOON * 1_000);
        assert!(
            found.to_string().len() <= 4_000,
            "{}",
            found.to_string().len()
        );
    }
}
