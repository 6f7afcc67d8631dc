//! In which state an alarm is, by the datapoints of its last periods (aws-behaviour §7.3): values in, state and evidence out.
//!
//! CloudWatch looks back further than the periods that it evaluates, so that the last N values that are there are found although some
//! between them are missing. Only where there are fewer than N, missing ones are made up for, in the way that the alarm says.

use topologies::alarm::AlarmState;

use super::rule::{Rule, Treatment};

/// How many periods more than those that are evaluated are looked at: as many as in the examples of "How alarm state is evaluated when
/// data is missing" (CloudWatch User Guide), where 5 are for 3.
pub(super) const LOOK_BACK: usize = 2;

/// What was told of a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Datapoint {
    /// When it begins, in seconds of the wall clock.
    pub(super) at: i64,
    pub(super) value: f64,
    /// Of how many samples it is made, where that is known.
    pub(super) samples: Option<f64>,
}

/// What an evaluation found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Evaluated {
    /// The state; none if the alarm stays as it is.
    pub(super) state: Option<AlarmState>,
    /// The values that it is by, the newest first.
    pub(super) real: Vec<Datapoint>,
    /// How many values were missing.
    pub(super) missing: usize,
}

/// Evaluates the last periods, the newest last: N of them, and those that are looked back at.
pub(super) fn evaluate(rule: &Rule, periods: &[Option<Datapoint>]) -> Evaluated {
    let newest_first = periods.iter().rev().enumerate();
    let there = newest_first.filter_map(|(age, it)| Some((age, (*it)?)));
    let there: Vec<(usize, Datapoint)> = there.take(rule.periods).collect();
    let breaches = |it: &Datapoint| rule.comparison.breaches(it.value, rule.threshold);
    let breaching = there.iter().filter(|(_, it)| breaches(it)).count();
    let missing = rule.periods - there.len();
    let samples = there.iter().filter_map(|(_, it)| it.samples).sum::<f64>();
    let state = if !there.is_empty() && samples < rule.samples_min {
        None
    } else {
        let oldest = there.last().map_or(0, |(age, _)| age + 1);
        let counts = Counts {
            there: there.len(),
            breaching,
            missing,
            oldest,
        };
        counts.state(rule)
    };
    Evaluated {
        state,
        real: there.into_iter().map(|(_, it)| it).collect(),
        missing,
    }
}

struct Counts {
    /// Values that are there.
    there: usize,
    /// Those of them that breach.
    breaching: usize,
    /// Values that are not there.
    missing: usize,
    /// How many periods ago the oldest one that is there began.
    oldest: usize,
}

impl Counts {
    fn state(&self, rule: &Rule) -> Option<AlarmState> {
        let if_breaching = |count: usize| match count >= rule.to_alarm {
            true => AlarmState::Alarm,
            false => AlarmState::Ok,
        };
        let made_up = match rule.missing {
            Treatment::Breaching => self.missing,
            Treatment::Missing | Treatment::Ignore | Treatment::NotBreaching => 0,
        };
        match rule.missing {
            _ if self.missing == 0 => Some(if_breaching(self.breaching)),
            Treatment::Breaching | Treatment::NotBreaching => {
                Some(if_breaching(self.breaching + made_up))
            }
            Treatment::Missing | Treatment::Ignore if self.breaching >= rule.to_alarm => {
                Some(AlarmState::Alarm)
            }
            Treatment::Missing | Treatment::Ignore if self.breaching < self.there => {
                Some(AlarmState::Ok)
            }
            Treatment::Ignore => None,
            // "Avoiding premature transitions to alarm state": nothing but breaches, and the first of them is old enough.
            Treatment::Missing if self.there > 0 && self.oldest >= rule.to_alarm => {
                Some(AlarmState::Alarm)
            }
            Treatment::Missing => Some(AlarmState::InsufficientData),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::rule::tests::errors_above_five as rule;
    use super::*;

    /// `0` is within the threshold, `X` breaches, `-` is missing; as CloudWatch's tables have them, the newest last.
    fn periods(drawn: &str) -> Vec<Option<Datapoint>> {
        let drawn = drawn.split(' ').zip(0..);
        let drawn = drawn.map(|(mark, number)| {
            let value = match mark {
                "0" => 0.0,
                "X" => 9.0,
                "-" => return None,
                other => panic!("{other}"),
            };
            Some(Datapoint {
                at: number * 60,
                value,
                samples: Some(1.0),
            })
        });
        drawn.collect()
    }

    fn state(rule: &Rule, drawn: &str) -> &'static str {
        let state = evaluate(rule, &periods(drawn)).state;
        state.map_or("stays", AlarmState::as_str)
    }

    const WAYS: [&str; 4] = ["missing", "ignore", "breaching", "notBreaching"];

    #[track_caller]
    fn check((to_alarm, of): (usize, usize), rows: &[(&str, [&str; 4])]) {
        for (drawn, wanted) in rows {
            let found = WAYS.map(|way| state(&rule(to_alarm, of, way), drawn));
            assert_eq!(found, *wanted, "{to_alarm} of {of}: {drawn}");
        }
    }

    const UNKNOWN: &str = "INSUFFICIENT_DATA";

    /// The first table of "How alarm state is evaluated when data is missing".
    #[test]
    fn s7_3_missing_data_of_three_out_of_three() {
        check(
            (3, 3),
            &[
                ("0 - X - X", ["OK"; 4]),
                ("0 - - - -", ["OK"; 4]),
                ("- - - - -", [UNKNOWN, "stays", "ALARM", "OK"]),
                ("0 X X - X", ["ALARM"; 4]),
                ("- - - - X", [UNKNOWN, "stays", "ALARM", "OK"]),
                ("X - - - -", ["ALARM", "stays", "ALARM", "OK"]),
                ("- - X - -", ["ALARM", "stays", "ALARM", "OK"]),
            ],
        );
    }

    /// The second one.
    #[test]
    fn s7_3_missing_data_of_two_out_of_three() {
        check(
            (2, 3),
            &[
                ("0 - X - X", ["ALARM"; 4]),
                ("0 0 X 0 X", ["ALARM"; 4]),
                ("0 - X - -", ["OK", "OK", "ALARM", "OK"]),
                ("- - - - 0", ["OK", "OK", "ALARM", "OK"]),
                ("- - - - X", [UNKNOWN, "stays", "ALARM", "OK"]),
            ],
        );
    }

    #[test]
    fn s7_3_m_of_n_need_not_be_consecutive_and_fewer_are_ok_again() {
        check(
            (2, 5),
            &[
                ("0 0 X 0 0 0 X", ["ALARM"; 4]),
                ("X X X 0 0 0 0", ["OK"; 4]),
                ("X X 0 0 0 0 X", ["OK"; 4]),
            ],
        );
        check((1, 1), &[("X X 0", ["OK"; 4]), ("0 0 X", ["ALARM"; 4])]);
    }

    /// "A stopped metric may be re-evaluated on old points for some time."
    #[test]
    fn s7_3_real_values_go_before_missing_ones() {
        check((1, 1), &[("X - -", ["ALARM"; 4]), ("0 - -", ["OK"; 4])]);
        check((1, 1), &[("- - -", [UNKNOWN, "stays", "ALARM", "OK"])]);
    }

    #[test]
    fn every_comparison_at_the_threshold_and_beside_it() {
        for (operator, wanted) in [
            ("GreaterThanThreshold", [false, false, true]),
            ("GreaterThanOrEqualToThreshold", [false, true, true]),
            ("LessThanThreshold", [true, false, false]),
            ("LessThanOrEqualToThreshold", [true, true, false]),
        ] {
            let mut attributes = json!({
                "Namespace": "Shop", "MetricName": "errors", "Statistic": "Sum", "Period": 60,
                "EvaluationPeriods": 1, "Threshold": 5,
            });
            attributes["ComparisonOperator"] = Value::from(operator);
            let rule = Rule::read(&attributes).unwrap();
            let found = [4.0, 5.0, 6.0].map(|value| {
                let it = Datapoint {
                    at: 0,
                    value,
                    samples: None,
                };
                evaluate(&rule, &[Some(it)]).state == Some(AlarmState::Alarm)
            });
            assert_eq!(found, wanted, "{operator}");
        }
    }

    #[test]
    fn a_percentile_of_too_few_samples_leaves_the_alarm_as_it_is() {
        let mut rule = rule(1, 1, "missing");
        rule.samples_min = 20.0;
        let of = |samples| {
            let it = Datapoint {
                at: 0,
                value: 9.0,
                samples: Some(samples),
            };
            evaluate(&rule, &[Some(it)]).state
        };
        assert_eq!(of(19.0), None);
        assert_eq!(of(20.0), Some(AlarmState::Alarm));
        let none = evaluate(&rule, &[None]).state;
        assert_eq!(none, Some(AlarmState::InsufficientData));
    }
}
