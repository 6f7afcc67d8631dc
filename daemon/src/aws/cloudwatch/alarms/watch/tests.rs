use serde_json::{Value, json};
use topologies::event::{Event, EventKind};

use super::*;
use crate::aws::cloudwatch::series::{Kind, Resolution};
use crate::aws::cloudwatch::span;
use crate::aws::cloudwatch::statistics::Statistics;
use crate::aws::cloudwatch::store::Datum;
use crate::aws::{Issuer, Metrics};

/// 2026-01-31 12:00:00.
const NOON: i64 = 1_769_860_800;

/// An account whose clock began at noon, with its metrics.
struct Stage {
    world: World,
    facts: Facts,
    watch: Watch,
}

impl Stage {
    /// Watched by a daemon that began so many seconds after noon.
    fn began(seconds: u64) -> Self {
        let (topology, _) =
            topologies::check::check("region: eu-west-1\navailability-zones: [a]\n", "empty.yaml");
        let slot = topologies::address::Slot::new(64).unwrap();
        let plan = topologies::plan::plan(&topology.unwrap(), slot);
        Self {
            world: World::new(&plan),
            facts: Facts {
                epoch: NOON * SECOND,
                port_offset: 0,
                issuer: Issuer::new([0; 32]),
                metrics: Metrics::default(),
            },
            watch: Watch::new(Time::from_millis(seconds * 1_000)),
        }
    }

    fn record(&mut self, seconds: u64, event: EventKind) {
        let (seq, at) = (self.world.seq + 1, Time::from_millis(seconds * 1_000));
        self.world.apply(&Event { seq, at, event });
    }

    /// An alarm on the sum of errors that goes off above five.
    fn alarm(&mut self, seconds: u64, otherwise: Value) {
        let mut attributes = json!({
            "Namespace": "Shop", "MetricName": "errors", "Statistic": "Sum", "Period": 10,
            "EvaluationPeriods": 1, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold",
        });
        for (name, value) in otherwise.as_object().unwrap() {
            attributes[name] = value.clone();
        }
        let recorded = EventKind::ResourceRecorded {
            resource: ALARM.to_owned(),
            region: "eu-west-1".into(),
            id: "sick".to_owned(),
            attributes,
        };
        self.record(seconds, recorded);
    }

    /// Errors at a moment after noon.
    fn errors(&self, seconds: i64, count: f64) {
        let at = NOON + seconds;
        let metric = json!({ "Namespace": "Shop", "MetricName": "errors" });
        let datum = Datum {
            metric: span::metric("eu-west-1", &metric),
            unit: "Count".into(),
            kind: Kind::Values,
            at,
            reading: Statistics::of(count, 1.0),
            fine: Some(Resolution {
                width: 1,
                kept: 10_800,
            }),
        };
        self.facts.metrics.put(vec![datum], at * SECOND);
    }

    /// When something is due next, in milliseconds after noon.
    fn due(&mut self, now: i64) -> Option<i64> {
        let due = self.watch.due(&self.world, NOON * SECOND + now);
        due.map(|at| at - NOON * SECOND)
    }

    fn finding(&self) -> &Finding {
        let alarms = &self.world.account.alarms;
        &alarms.get("eu-west-1", "sick").unwrap().finding
    }

    /// Evaluates at a moment, or when it is time next; what is found is recorded.
    fn next(&mut self, now: i64) -> Option<&'static str> {
        let due = self.due(now)?.max(now);
        let at = NOON * SECOND + due;
        let found = self.watch.evaluate(&self.world, &self.facts, at);
        let found = found.into_iter().next()?;
        assert!(found.holds(&self.world));
        let (state, alarm) = (found.finding.state.as_str(), found.alarm.clone());
        let changed = EventKind::AlarmStateChanged {
            alarm,
            region: found.region.clone(),
            finding: found.finding.clone(),
        };
        self.record(u64::try_from(due / SECOND).unwrap(), changed);
        assert!(!found.holds(&self.world));
        Some(state)
    }
}

#[test]
fn nothing_is_due_without_alarms() {
    let mut stage = Stage::began(0);
    assert_eq!(stage.due(1_000), None);
    stage.alarm(1, json!({}));
    assert_eq!(stage.due(1_000), Some(1_500));
    let forgotten = EventKind::ResourceForgotten {
        resource: ALARM.to_owned(),
        region: "eu-west-1".into(),
        id: "sick".to_owned(),
        arn: String::new(),
    };
    stage.record(2, forgotten);
    assert_eq!(stage.due(2_000), None);
}

#[test]
fn s7_3_alarms_of_seconds_are_looked_at_every_second_others_every_minute_or_hour() {
    for (attributes, pace) in [
        (json!({ "Period": 10 }), SECOND),
        (json!({ "Period": 30, "EvaluationPeriods": 5 }), SECOND),
        (json!({ "Period": 60 }), MINUTE),
        (json!({ "Period": 300, "EvaluationPeriods": 3 }), MINUTE),
        (json!({ "Period": 3_600, "EvaluationPeriods": 24 }), MINUTE),
        (json!({ "Period": 3_600, "EvaluationPeriods": 25 }), HOUR),
    ] {
        let mut stage = Stage::began(0);
        stage.alarm(1, attributes.clone());
        // At first at once.
        assert_eq!(stage.due(1_600), Some(2_500), "{attributes}");
        stage.next(1_600);
        let then = if pace == SECOND { 3_500 } else { pace + LATER };
        assert_eq!(stage.due(2_600), Some(then), "{attributes}");
        // So it is when it is put again.
        stage.alarm(3, attributes);
        assert!(stage.due(2_600) <= Some(3_500));
    }
}

#[test]
fn s7_3_an_alarm_goes_off_and_is_ok_again_by_the_values_of_whole_periods() {
    let mut stage = Stage::began(0);
    stage.alarm(60, json!({}));
    stage.errors(61, 1.0);
    assert_eq!(stage.next(61_000), None, "it has no data as before");
    assert_eq!(stage.next(70_400), Some("OK"));
    stage.errors(71, 4.0);
    stage.errors(79, 4.0);
    assert_eq!(stage.next(79_400), None, "the period is not over");
    assert_eq!(stage.next(80_500), Some("ALARM"));
    let finding = stage.finding();
    assert!(
        finding.reason.contains("[8.0 (31/01/26 12:01:10)]"),
        "{}",
        finding.reason
    );
    let data: Value = serde_json::from_str(finding.data.as_ref().unwrap()).unwrap();
    assert_eq!(data["evaluatedDatapoints"][0]["sampleCount"], 2.0);
    // Values that are gone are looked back at for a while; then there are none.
    assert_eq!(stage.next(91_000), None);
    assert_eq!(stage.next(111_000), Some("INSUFFICIENT_DATA"));
}

#[test]
fn periods_of_minutes_end_with_any_minute() {
    let mut stage = Stage::began(0);
    stage.alarm(1, json!({ "Period": 300 }));
    stage.errors(130, 9.0);
    assert_eq!(stage.next(400_000), Some("ALARM"));
    let finding = stage.finding();
    assert!(
        finding.reason.contains("(31/01/26 12:01:00)"),
        "{}",
        finding.reason
    );
}

#[test]
fn metric_math_is_watched_as_a_metric_is() {
    let mut stage = Stage::began(0);
    let metric = json!({ "Namespace": "Shop", "MetricName": "errors" });
    let stat = json!({ "Metric": metric, "Period": 10, "Stat": "Sum" });
    let metrics = json!([
        { "Id": "errors", "MetricStat": stat, "ReturnData": false },
        { "Id": "twice", "Expression": "2 * FILL(errors, 0)" },
    ]);
    let own = json!({
        "Metrics": metrics, "Namespace": null, "MetricName": null, "Statistic": null, "Period": null,
    });
    stage.alarm(60, own);
    assert_eq!(stage.next(60_000), Some("OK"));
    stage.errors(61, 3.0);
    assert_eq!(stage.next(70_400), Some("ALARM"));
}

/// The daemon before had its own memory: what was told to it is not missing.
#[test]
fn what_a_daemon_was_not_told_is_not_missing() {
    let missed = |configured: u64| {
        let mut stage = Stage::began(100);
        stage.alarm(
            configured,
            json!({ "TreatMissingData": "breaching", "EvaluationPeriods": 2 }),
        );
        [105_000, 119_000, 120_400].map(|now| stage.next(now))
    };
    assert_eq!(missed(50), [None, None, Some("ALARM")]);
    assert_eq!(missed(100), [Some("ALARM"), None, None]);
    let mut stage = Stage::began(100);
    stage.alarm(50, json!({}));
    stage.errors(85, 9.0);
    assert_eq!(stage.next(105_000), Some("ALARM"), "what is there counts");
}
