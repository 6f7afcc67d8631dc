//! Alarms over HTTP, in JSON, of a stack whose driver records whatever is decided.

use serde_json::{Value, json};
use tokio::sync::mpsc;
use topologies::event::{Event, EventKind};
use topologies::experiment::{Blueprint, Experiment, ExperimentStatus};
use topologies::world::World;

use super::{send, signed};
use crate::api::tests::hollow::{Fixture, fixture_of};
use crate::aws::{Change, Evaluator};
use crate::stack::Request;

const SMALL: &str = "name: small\nregion: eu-west-1\navailability-zones: [a, b]\n";

struct Stage {
    fixture: Fixture,
    requests: mpsc::Receiver<Request>,
    world: World,
}

impl Stage {
    fn new() -> Self {
        let mut fixture = fixture_of(SMALL);
        let requests = std::mem::replace(&mut fixture.requests, mpsc::channel(1).1);
        let world = World::clone(&fixture.world.borrow());
        Self {
            fixture,
            requests,
            world,
        }
    }

    async fn call(&mut self, operation: &str, input: Value) -> Result<Value, (String, String)> {
        let target = format!("GraniteServiceVersion20100801.{operation}");
        let headers = [
            ("x-amz-target", target.as_str()),
            ("content-type", "application/x-amz-json-1.0"),
        ];
        let request = signed("monitoring", "eu-west-1", &headers, input.to_string());
        let mut answer = Box::pin(send(&self.fixture, request));
        let answer = loop {
            tokio::select! {
                answer = &mut answer => break answer,
                Some(request) = self.requests.recv() => {
                    serve(&self.fixture, &mut self.world, request);
                }
            }
        };
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        if answer.status == 200 {
            return Ok(body);
        }
        let code = body["__type"].as_str().unwrap_or(&answer.body);
        let code = code.rsplit('#').next().unwrap_or(code);
        let message = body["message"].as_str().unwrap_or_default();
        Err((code.to_owned(), message.to_owned()))
    }

    async fn done(&mut self, operation: &str, input: Value) -> Value {
        let answer = self.call(operation, input).await;
        answer.unwrap_or_else(|why| panic!("{operation}: {why:?}"))
    }

    /// Calls that have to be refused with this code.
    async fn refused(&mut self, operation: &str, input: Value, code: &str) {
        let refused = self.call(operation, input.clone()).await;
        let (got, why) = refused.expect_err(&input.to_string());
        assert_eq!(got, code, "{why}: {input}");
    }

    /// The names of the alarms that are described.
    async fn names(&mut self, input: Value) -> Vec<String> {
        let answer = self.done("DescribeAlarms", input).await;
        assert_eq!(answer["CompositeAlarms"], json!([]));
        let alarms = answer["MetricAlarms"].as_array().unwrap().iter();
        alarms
            .map(|it| it["AlarmName"].as_str().unwrap().to_owned())
            .collect()
    }

    fn record(&mut self, event: EventKind) {
        record(&self.fixture, &mut self.world, event);
    }
}

fn serve(fixture: &Fixture, world: &mut World, request: Request) {
    let Request::Call { decide, answer } = request else {
        panic!("nobody asks for that");
    };
    let decided = decide(world, fixture.api.stack.clock.now()).map(|(output, changes)| {
        for change in changes {
            if let Change::Note(event) = change {
                record(fixture, world, event);
            }
        }
        output
    });
    let _gone = answer.send(decided);
}

fn record(fixture: &Fixture, world: &mut World, event: EventKind) {
    let (seq, at) = (world.seq + 1, fixture.api.stack.clock.now());
    world.apply(&Event { seq, at, event });
    fixture
        .world
        .send_replace(std::sync::Arc::new(world.clone()));
}

fn alarm(name: &str, otherwise: Value) -> Value {
    let mut alarm = json!({
        "AlarmName": name, "Namespace": "Shop", "MetricName": "errors", "Statistic": "Sum", "Period": 10,
        "EvaluationPeriods": 1, "Threshold": 5.0, "ComparisonOperator": "GreaterThanThreshold",
    });
    for (name, value) in otherwise.as_object().unwrap() {
        alarm[name] = value.clone();
    }
    alarm
}

fn arn(name: &str) -> String {
    format!("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}")
}

#[tokio::test]
async fn s7_3_an_alarm_is_described_as_it_was_put() {
    let mut stage = Stage::new();
    let topic = "arn:aws:sns:eu-west-1:123456789012:ops";
    let dimensions = json!([{ "Name": "Queue", "Value": "a" }]);
    let put = alarm(
        "sick",
        json!({
            "AlarmDescription": "too many", "AlarmActions": [topic], "Dimensions": dimensions, "Unit": "Count",
            "TreatMissingData": "notBreaching", "DatapointsToAlarm": 1,
        }),
    );
    stage.done("PutMetricAlarm", put.clone()).await;
    let answer = stage.done("DescribeAlarms", json!({})).await;
    let found = &answer["MetricAlarms"][0];
    for (name, value) in put.as_object().unwrap() {
        assert_eq!(found[name], *value, "{name}");
    }
    assert_eq!(found["AlarmArn"], arn("sick"));
    assert_eq!(found["ActionsEnabled"], true);
    assert_eq!(found["OKActions"], json!([]));
    assert_eq!(found["StateValue"], "INSUFFICIENT_DATA");
    assert_eq!(found["StateReason"], "Unchecked: Initial alarm creation");
    assert!(found["StateUpdatedTimestamp"].is_number());
    // What is put again is so from then on, whole; its state stays.
    let asked = json!({ "AlarmName": "sick", "StateValue": "ALARM", "StateReason": "a test", "StateReasonData": "{}" });
    stage.done("SetAlarmState", asked).await;
    stage.done("PutMetricAlarm", alarm("sick", json!({}))).await;
    let answer = stage
        .done("DescribeAlarms", json!({ "StateValue": "ALARM" }))
        .await;
    let found = &answer["MetricAlarms"][0];
    assert_eq!(found["AlarmDescription"], Value::Null);
    assert_eq!(found["StateReason"], "a test");
    assert_eq!(found["StateReasonData"], "{}");
    let names = json!({ "AlarmNames": ["sick", "nobody"] });
    stage.done("DisableAlarmActions", names.clone()).await;
    let answer = stage.done("DescribeAlarms", json!({})).await;
    assert_eq!(answer["MetricAlarms"][0]["ActionsEnabled"], false);
    stage.done("EnableAlarmActions", names.clone()).await;
    stage
        .refused("DeleteAlarms", names, "ResourceNotFound")
        .await;
    assert_eq!(stage.names(json!({})).await, ["sick"]);
    stage
        .done("DeleteAlarms", json!({ "AlarmNames": ["sick"] }))
        .await;
    assert!(stage.names(json!({})).await.is_empty());
    // Its history is left.
    let history = stage
        .done("DescribeAlarmHistory", json!({ "AlarmName": "sick" }))
        .await;
    let items = history["AlarmHistoryItems"].as_array().unwrap();
    let told: Vec<&str> = items
        .iter()
        .map(|it| it["HistorySummary"].as_str().unwrap())
        .collect();
    assert_eq!(
        told,
        [
            "Alarm \"sick\" deleted",
            "Alarm \"sick\" updated",
            "Alarm \"sick\" updated",
            "Alarm \"sick\" updated",
            "Alarm updated from INSUFFICIENT_DATA to ALARM",
            "Alarm \"sick\" created",
        ]
    );
    let data: Value = serde_json::from_str(items[4]["HistoryData"].as_str().unwrap()).unwrap();
    assert_eq!(
        data["newState"],
        json!({ "stateValue": "ALARM", "stateReason": "a test", "stateReasonData": {} })
    );
}

#[tokio::test]
async fn alarms_are_found_by_what_is_asked_of_them_in_pages() {
    let mut stage = Stage::new();
    let topic = "arn:aws:sns:eu-west-1:123456789012:ops";
    for (name, otherwise) in [
        ("queue-b", json!({ "AlarmActions": [topic] })),
        (
            "queue-a",
            json!({ "Statistic": "Average", "Dimensions": [{ "Name": "Q", "Value": "a" }] }),
        ),
        ("web", json!({ "OKActions": [topic], "Period": 60 })),
    ] {
        stage.done("PutMetricAlarm", alarm(name, otherwise)).await;
    }
    let share = json!({
        "AlarmName": "share", "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold",
        "Metrics": [
            { "Id": "e", "MetricStat": { "Metric": { "Namespace": "Shop", "MetricName": "errors" }, "Period": 60, "Stat": "Sum" }, "ReturnData": false },
            { "Id": "s", "Expression": "e / 2" },
        ],
    });
    stage.done("PutMetricAlarm", share).await;
    for (asked, found) in [
        (json!({}), &["queue-a", "queue-b", "share", "web"][..]),
        (
            json!({ "AlarmNamePrefix": "queue" }),
            &["queue-a", "queue-b"],
        ),
        (json!({ "AlarmNames": ["web", "nobody"] }), &["web"]),
        (json!({ "StateValue": "OK" }), &[]),
        (
            json!({ "ActionPrefix": "arn:aws:sns" }),
            &["queue-b", "web"],
        ),
        (json!({ "AlarmTypes": ["CompositeAlarm"] }), &[]),
    ] {
        assert_eq!(stage.names(asked.clone()).await, found, "{asked}");
    }
    let first = stage
        .done("DescribeAlarms", json!({ "MaxRecords": 3 }))
        .await;
    assert_eq!(first["MetricAlarms"].as_array().unwrap().len(), 3);
    let next = json!({ "NextToken": first["NextToken"] });
    assert_eq!(stage.names(next).await, ["web"]);
    let both = json!({ "AlarmNames": ["web"], "AlarmNamePrefix": "w" });
    stage
        .refused("DescribeAlarms", both, "ValidationError")
        .await;
    let composite = json!({ "ParentsOfAlarmName": "web" });
    stage
        .refused("DescribeAlarms", composite, "NotImplemented")
        .await;
    for (asked, count) in [
        (json!({}), 3),
        (json!({ "Period": 60 }), 1),
        (json!({ "Statistic": "Sum" }), 2),
        (json!({ "Dimensions": [{ "Name": "Q", "Value": "a" }] }), 1),
        (json!({ "Dimensions": [{ "Name": "Q", "Value": "b" }] }), 0),
    ] {
        let mut asked = asked;
        asked["Namespace"] = json!("Shop");
        asked["MetricName"] = json!("errors");
        let answer = stage.done("DescribeAlarmsForMetric", asked.clone()).await;
        let found = answer["MetricAlarms"].as_array().unwrap().len();
        assert_eq!(found, count, "{asked}");
    }
}

#[tokio::test]
async fn what_is_no_alarm_is_refused_and_composite_ones_by_name() {
    let mut stage = Stage::new();
    for (otherwise, code) in [
        (json!({ "Period": 7 }), "ValidationError"),
        (json!({ "Threshold": null }), "ValidationError"),
        (json!({ "AlarmActions": ["ops"] }), "ValidationError"),
        (json!({ "AlarmName": "a\u{7}" }), "ValidationError"),
        (json!({ "ThresholdMetricId": "m1" }), "NotImplemented"),
        (
            json!({ "ComparisonOperator": "GreaterThanUpperThreshold" }),
            "NotImplemented",
        ),
        (
            json!({ "Tags": [{ "Key": "aws:x", "Value": "y" }] }),
            "InvalidParameterValueException",
        ),
    ] {
        stage
            .refused("PutMetricAlarm", alarm("sick", otherwise), code)
            .await;
    }
    assert!(stage.names(json!({})).await.is_empty());
    let rule = json!({ "AlarmName": "all", "AlarmRule": "ALARM(sick)" });
    stage
        .refused("PutCompositeAlarm", rule, "NotImplemented")
        .await;
    let set = json!({ "AlarmName": "sick", "StateValue": "OK", "StateReason": "" });
    stage
        .refused("SetAlarmState", set.clone(), "ResourceNotFound")
        .await;
    stage.done("PutMetricAlarm", alarm("sick", json!({}))).await;
    let mut broken = set;
    broken["StateReasonData"] = json!("{");
    stage
        .refused("SetAlarmState", broken, "InvalidFormatFault")
        .await;
}

#[tokio::test]
async fn alarms_have_tags() {
    let mut stage = Stage::new();
    let tags = json!([{ "Key": "team", "Value": "shop" }]);
    stage
        .done("PutMetricAlarm", alarm("sick", json!({ "Tags": tags })))
        .await;
    // Those of an update are ignored.
    let other = json!([{ "Key": "team", "Value": "other" }]);
    stage
        .done("PutMetricAlarm", alarm("sick", json!({ "Tags": other })))
        .await;
    let of = |name: &str, more: Value| {
        let mut input = json!({ "ResourceARN": arn(name) });
        for (name, value) in more.as_object().unwrap() {
            input[name] = value.clone();
        }
        input
    };
    let told = stage
        .done("ListTagsForResource", of("sick", json!({})))
        .await;
    assert_eq!(told["Tags"], tags);
    let owner = json!([{ "Key": "owner", "Value": "me" }]);
    stage
        .done("TagResource", of("sick", json!({ "Tags": owner })))
        .await;
    stage
        .done("UntagResource", of("sick", json!({ "TagKeys": ["team"] })))
        .await;
    let told = stage
        .done("ListTagsForResource", of("sick", json!({})))
        .await;
    assert_eq!(told["Tags"], owner);
    let nobody = of("nobody", json!({}));
    stage
        .refused("ListTagsForResource", nobody, "ResourceNotFoundException")
        .await;
}

fn watched_by(name: &str) -> Blueprint {
    Blueprint {
        region: "eu-west-1".into(),
        template: "EXT1".to_owned(),
        client_token: String::new(),
        role_arn: String::new(),
        targets: Default::default(),
        actions: Default::default(),
        stop_conditions: json!([{ "source": "aws:cloudwatch:alarm", "value": arn(name) }]),
        on_empty_target: Default::default(),
        actions_mode: Default::default(),
    }
}

#[tokio::test]
async fn s9_1_a_state_that_is_set_halts_experiments_as_one_that_is_found() {
    let mut stage = Stage::new();
    stage.done("PutMetricAlarm", alarm("sick", json!({}))).await;
    stage.record(EventKind::ExperimentStarted {
        experiment: "EXP1".into(),
        blueprint: Box::new(watched_by("sick")),
    });
    for (state, status) in [
        ("OK", ExperimentStatus::Pending),
        ("ALARM", ExperimentStatus::Stopping),
    ] {
        let set = json!({ "AlarmName": "sick", "StateValue": state, "StateReason": "a test" });
        stage.done("SetAlarmState", set).await;
        let experiment = stage.world.account.experiments.get("EXP1");
        assert_eq!(experiment.map(Experiment::status), Some(status), "{state}");
    }
}

/// Values that clients put make an alarm go off, and that halts the experiment whose stop condition it is, and no other.
#[tokio::test]
async fn s9_1_an_alarm_that_goes_off_halts_the_experiments_that_it_is_a_stop_condition_of() {
    let mut stage = Stage::new();
    stage.done("PutMetricAlarm", alarm("sick", json!({}))).await;
    for (id, name) in [("EXP1", "sick"), ("EXP2", "well")] {
        stage.record(EventKind::ExperimentStarted {
            experiment: id.into(),
            blueprint: Box::new(watched_by(name)),
        });
    }
    // What was told of the period that is over is enough.
    let before = jiff::Timestamp::now().as_second() - 10;
    let data = json!([{ "MetricName": "errors", "Value": 9, "Timestamp": before, "StorageResolution": 1 }]);
    stage
        .done(
            "PutMetricData",
            json!({ "Namespace": "Shop", "MetricData": data }),
        )
        .await;
    let evaluator = Evaluator::new(stage.fixture.api.stack.clone());
    let recorded = async {
        let request = stage.requests.recv().await.expect("the stack has a sender");
        serve(&stage.fixture, &mut stage.world, request);
    };
    let recorded = tokio::time::timeout(std::time::Duration::from_secs(30), recorded);
    tokio::select! {
        () = evaluator.run() => panic!("it ended"),
        recorded = recorded => recorded.expect("nothing is found"),
    }
    let alarm = stage.world.account.alarms.get("eu-west-1", "sick");
    let alarm = alarm.expect("it is there");
    assert_eq!(
        alarm.finding.state.as_str(),
        "ALARM",
        "{}",
        alarm.finding.reason
    );
    let experiments = &stage.world.account.experiments;
    let status = |id: &str| experiments.get(id).map(Experiment::status);
    assert_eq!(status("EXP1"), Some(ExperimentStatus::Stopping));
    assert_eq!(status("EXP2"), Some(ExperimentStatus::Pending));
    let reason = experiments
        .get("EXP1")
        .and_then(|it| it.progress.reason.as_deref());
    assert_eq!(reason, Some("Experiment halted by stop condition."));
}
