use super::*;

/// An alarm on one metric, with some members otherwise.
fn alarm(otherwise: Value) -> Value {
    let mut alarm = json!({
        "Namespace": "Shop", "MetricName": "errors", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 3, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold",
    });
    for (name, value) in otherwise.as_object().unwrap() {
        alarm[name] = value.clone();
    }
    alarm
}

/// An alarm for `to_alarm` of `periods` minutes with more than five errors, which treats missing data so.
pub(in super::super) fn errors_above_five(to_alarm: usize, periods: usize, missing: &str) -> Rule {
    let otherwise = json!({
        "EvaluationPeriods": periods, "DatapointsToAlarm": to_alarm, "TreatMissingData": missing,
    });
    Rule::read(&alarm(otherwise)).unwrap()
}

fn math(metrics: Value) -> Value {
    json!({
        "Metrics": metrics, "EvaluationPeriods": 3, "Threshold": 5,
        "ComparisonOperator": "LessThanOrEqualToThreshold",
    })
}

fn stat(id: &str, period: i64, shown: bool) -> Value {
    let metric = json!({ "Namespace": "Shop", "MetricName": id });
    json!({ "Id": id, "MetricStat": { "Metric": metric, "Period": period, "Stat": "Sum" }, "ReturnData": shown })
}

#[test]
fn s7_3_an_alarm_without_more_words_is_of_n_out_of_n_and_misses_what_is_missing() {
    let rule = Rule::read(&alarm(json!({}))).unwrap();
    assert_eq!((rule.periods, rule.to_alarm, rule.period), (3, 3, 60));
    assert_eq!(rule.missing, Treatment::Missing);
    assert_eq!(rule.comparison, Comparison::Greater);
    assert_eq!(rule.watched, VALUES);
    let rule = Rule::read(&alarm(
        json!({ "DatapointsToAlarm": 2, "TreatMissingData": "ignore" }),
    ));
    let rule = rule.unwrap();
    assert_eq!((rule.to_alarm, rule.missing), (2, Treatment::Ignore));
}

#[test]
fn metric_math_has_one_result_of_one_period() {
    let share = json!({ "Id": "share", "Expression": "errors / requests" });
    let all = json!([
        stat("errors", 30, false),
        stat("requests", 30, false),
        share
    ]);
    let rule = Rule::read(&math(all)).unwrap();
    assert_eq!((rule.watched.as_str(), rule.period), ("share", 30));
    assert_eq!(rule.statistic, None);
}

#[test]
fn percentiles_need_samples_if_asked_to() {
    for (name, least) in [("p99", 1_000.0), ("p50", 20.0), ("p10", 100.0)] {
        let asked = json!({
            "Statistic": null, "ExtendedStatistic": name, "EvaluateLowSampleCountPercentile": "ignore",
        });
        let rule = Rule::read(&alarm(asked)).unwrap();
        assert!((rule.samples_min - least).abs() < 1e-6, "{name}");
    }
    let rule = Rule::read(&alarm(
        json!({ "Statistic": null, "ExtendedStatistic": "p99" }),
    ));
    assert_eq!(rule.unwrap().samples_min, 0.0);
}

#[test]
fn s7_3_what_makes_no_alarm_is_refused() {
    let sum = json!({ "Id": "sum", "Expression": "errors + requests" });
    let pair = |first, second| {
        math(json!([
            stat("errors", first, false),
            stat("requests", second, false),
            sum
        ]))
    };
    let mut both = pair(60, 60);
    both["MetricName"] = json!("errors");
    for (attributes, said) in [
        (
            alarm(json!({ "MetricName": null })),
            "MetricName is required",
        ),
        (alarm(json!({ "Statistic": null })), "either Statistic or"),
        (alarm(json!({ "ExtendedStatistic": "p9" })), "not both"),
        (alarm(json!({ "Period": null })), "Period is required"),
        (alarm(json!({ "Period": 5 })), "10, 20, 30 or a multiple"),
        (
            alarm(json!({ "Threshold": "NaN" })),
            "Threshold is required",
        ),
        (
            alarm(json!({ "EvaluationPeriods": null })),
            "EvaluationPeriods is required",
        ),
        (
            alarm(json!({ "EvaluationPeriods": 1_441 })),
            "more than a day",
        ),
        (
            alarm(json!({ "EvaluationPeriods": 169, "Period": 3_600 })),
            "more than seven days",
        ),
        (
            alarm(json!({ "DatapointsToAlarm": 4 })),
            "less than or equal to EvaluationPeriods",
        ),
        (alarm(json!({ "TreatMissingData": "drop" })), "drop"),
        (
            alarm(json!({ "EvaluateLowSampleCountPercentile": "drop" })),
            "drop",
        ),
        (
            alarm(json!({ "ComparisonOperator": null })),
            "ComparisonOperator is required",
        ),
        (pair(60, 300), "the same Period"),
        (
            math(json!([
                stat("errors", 60, true),
                stat("requests", 60, true)
            ])),
            "Exactly one",
        ),
        (both, "mutually exclusive"),
    ] {
        let fault = Rule::read(&attributes).unwrap_err();
        assert_eq!(fault.code, "ValidationError", "{said}");
        assert!(fault.message.contains(said), "{said}: {}", fault.message);
    }
    let band = alarm(json!({ "ComparisonOperator": "GreaterThanUpperThreshold" }));
    assert_eq!(Rule::read(&band).unwrap_err().status, 501);
    assert!(Rule::read(&alarm(json!({ "EvaluationPeriods": 168, "Period": 3_600 }))).is_ok());
}
