//! CloudWatch's calls over HTTP, in JSON, of a stack of which only the handle is real.

use std::io::Write;

use serde_json::{Value, json};

use super::{send, signed};
use crate::api::tests::hollow::{Fixture, fixture_of};
use crate::aws::Metrics;

const SMALL: &str = "name: small\nregion: eu-west-1\navailability-zones: [a, b]\n";

async fn call(fixture: &Fixture, operation: &str, input: Value) -> Result<Value, String> {
    let target = format!("GraniteServiceVersion20100801.{operation}");
    let headers = [
        ("x-amz-target", target.as_str()),
        ("content-type", "application/x-amz-json-1.0"),
    ];
    let request = signed("monitoring", "eu-west-1", &headers, input.to_string());
    let answer = send(fixture, request).await;
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    if answer.status == 200 {
        return Ok(body);
    }
    let code = body["__type"].as_str().unwrap_or(&answer.body);
    let code = code.rsplit('#').next().unwrap_or(code);
    // The model's shapes are the codes, and so.
    Err(code.trim_end_matches("Exception").to_owned())
}

/// Seconds of the wall clock.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn query(id: &str, name: &str, stat: &str) -> Value {
    let metric = json!({ "Namespace": "Shop", "MetricName": name });
    json!({ "Id": id, "MetricStat": { "Metric": metric, "Period": 60, "Stat": stat } })
}

fn asked(queries: Value) -> Value {
    json!({ "MetricDataQueries": queries, "StartTime": now() - 600, "EndTime": now() + 60 })
}

async fn put(fixture: &Fixture, data: Value) -> Result<Value, String> {
    let input = json!({ "Namespace": "Shop", "MetricData": data });
    call(fixture, "PutMetricData", input).await
}

#[tokio::test]
async fn what_was_put_is_had_back() {
    let fixture = fixture_of(SMALL);
    let minute = now() - now() % 60 - 120;
    let data = json!([
        { "MetricName": "orders", "Value": 3.0, "Unit": "Count", "Timestamp": minute },
        { "MetricName": "orders", "Values": [1.0, 5.0], "Counts": [2.0, 1.0], "Unit": "Count", "Timestamp": minute + 59 },
        { "MetricName": "orders", "Value": 7.0, "Unit": "Count", "Timestamp": minute + 60 },
        { "MetricName": "carts", "StatisticValues": { "SampleCount": 2, "Sum": 4, "Minimum": 1, "Maximum": 3 }, "Timestamp": minute },
    ]);
    put(&fixture, data).await.unwrap();
    let input = json!({
        "Namespace": "Shop", "MetricName": "orders", "Period": 60, "StartTime": minute, "EndTime": minute + 120,
        "Statistics": ["Sum", "SampleCount", "Maximum"],
    });
    let answer = call(&fixture, "GetMetricStatistics", input.clone()).await;
    let point = |at: i64, sum: f64, count: f64, most: f64| json!({ "Timestamp": at, "Unit": "Count", "Sum": sum, "SampleCount": count, "Maximum": most });
    let points = [
        point(minute, 10.0, 4.0, 5.0),
        point(minute + 60, 7.0, 1.0, 7.0),
    ];
    assert_eq!(answer.unwrap()["Datapoints"], json!(points));
    let mut extended = input;
    extended["Statistics"] = Value::Null;
    extended["ExtendedStatistics"] = json!(["p50", "p99.9"]);
    let answer = call(&fixture, "GetMetricStatistics", extended)
        .await
        .unwrap();
    let first = &answer["Datapoints"][0]["ExtendedStatistics"];
    assert_eq!(*first, json!({ "p50": 1.0, "p99.9": 5.0 }));
    let queries = json!([
        query("m1", "orders", "Sum"),
        query("m2", "carts", "Average"),
        { "Id": "e1", "Expression": "m1 / m2", "Label": "per cart" },
        { "Id": "e2", "Expression": "e1 * 2", "ReturnData": false },
    ]);
    let answer = call(&fixture, "GetMetricData", asked(queries))
        .await
        .unwrap();
    let results = answer["MetricDataResults"].as_array().unwrap();
    let values: Vec<&Value> = results.iter().map(|result| &result["Values"]).collect();
    assert_eq!(values, [&json!([7.0, 10.0]), &json!([2.0]), &json!([5.0])]);
    let labels: Vec<&Value> = results.iter().map(|result| &result["Label"]).collect();
    assert_eq!(labels, ["orders", "carts", "per cart"]);
    assert!(
        results
            .iter()
            .all(|result| result["StatusCode"] == "Complete")
    );
    fixture.api.stack.metrics.forget_put();
    let answer = call(&fixture, "ListMetrics", json!({})).await.unwrap();
    assert_eq!(answer["Metrics"], json!([]));
}

#[tokio::test]
async fn datapoints_come_in_pages() {
    let fixture = fixture_of(SMALL);
    let minute = now() - now() % 60;
    let data =
        (0..5).map(|n| json!({ "MetricName": "orders", "Value": n, "Timestamp": minute - n * 60 }));
    put(&fixture, data.collect()).await.unwrap();
    let mut input = asked(json!([
        query("m1", "orders", "Sum"),
        query("m2", "orders", "Average")
    ]));
    input["MaxDatapoints"] = json!(3);
    let mut seen = Vec::new();
    loop {
        let answer = call(&fixture, "GetMetricData", input.clone())
            .await
            .unwrap();
        for result in answer["MetricDataResults"].as_array().unwrap() {
            for value in result["Values"].as_array().unwrap() {
                seen.push((result["Id"].clone(), value.as_f64().unwrap()));
            }
        }
        let Some(next) = answer.get("NextToken") else {
            break;
        };
        input["NextToken"] = next.clone();
    }
    let wanted = ["m1", "m2"].map(|id| (0..5).map(move |n| (json!(id), f64::from(n))));
    assert_eq!(seen, wanted.into_iter().flatten().collect::<Vec<_>>());
    input["NextToken"] = json!("nonsense");
    let refused = call(&fixture, "GetMetricData", input).await;
    assert_eq!(refused.unwrap_err(), "InvalidNextToken");
}

/// A page is made of what it shows and what that refers to; what would take more than a call may is refused.
#[tokio::test]
async fn a_call_holds_no_more_than_it_needs() {
    let fixture = fixture_of(SMALL);
    put(&fixture, json!([{ "MetricName": "orders", "Value": 1 }]))
        .await
        .unwrap();
    let ids: Vec<String> = (0..24).map(|number| format!("e{number}")).collect();
    let mut hidden = query("m1", "orders", "Sum");
    hidden["ReturnData"] = json!(false);
    let filled = |shown: bool| {
        let filled = ids
            .iter()
            .map(move |id| json!({ "Id": id, "Expression": "FILL(m1, 0)", "ReturnData": shown }));
        std::iter::once(hidden.clone()).chain(filled)
    };
    let days = |queries: Vec<Value>| {
        let mut input = asked(json!(queries));
        input["StartTime"] = json!(now() - 60 * 86_400);
        input
    };
    let answer = call(&fixture, "GetMetricData", days(filled(true).collect())).await;
    let answer = answer.unwrap();
    let results = answer["MetricDataResults"].as_array().unwrap();
    let counts: Vec<usize> = results
        .iter()
        .map(|it| it["Values"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts.iter().sum::<usize>(), 100_800);
    assert_eq!(counts.len(), 2);
    assert!(answer["NextToken"].is_string());
    let sum = json!({ "Id": "all", "Expression": format!("SUM([{}])", ids.join(", ")) });
    let all = filled(false).chain([sum]).collect();
    let refused = call(&fixture, "GetMetricData", days(all)).await;
    assert_eq!(refused.unwrap_err(), "ValidationError");
}

#[tokio::test]
async fn metrics_are_listed_by_what_is_asked_of_them() {
    let fixture = fixture_of(SMALL);
    let datum = |name: &str, dimensions: Value, age: i64| json!({ "MetricName": name, "Value": 1, "Dimensions": dimensions, "Timestamp": now() - age });
    let (queue, host) = (
        json!({ "Name": "Queue", "Value": "a" }),
        json!({ "Name": "Host", "Value": "b" }),
    );
    let data = json!([
        datum("depth", json!([queue, host]), 0),
        datum("depth", json!([host, queue]), 0),
        datum("depth", json!([queue]), 0),
        datum("age", json!([]), 4 * 60 * 60),
    ]);
    put(&fixture, data).await.unwrap();
    let list = async |input: Value| {
        let answer = call(&fixture, "ListMetrics", input).await.unwrap();
        let metrics = answer["Metrics"].as_array().unwrap();
        let shown = metrics.iter().map(|metric| {
            let dimensions = metric["Dimensions"].as_array().map_or(0, Vec::len);
            format!("{} {dimensions}", metric["MetricName"].as_str().unwrap())
        });
        shown.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(list(json!({})).await, "age 0, depth 2, depth 1");
    assert_eq!(list(json!({ "MetricName": "age" })).await, "age 0");
    assert_eq!(
        list(json!({ "RecentlyActive": "PT3H" })).await,
        "depth 2, depth 1"
    );
    let filter = json!({ "Dimensions": [{ "Name": "Host" }] });
    assert_eq!(list(filter).await, "depth 2");
    let filter = json!({ "Dimensions": [{ "Name": "Queue", "Value": "b" }] });
    assert_eq!(list(filter).await, "");
    assert_eq!(list(json!({ "Namespace": "AWS/RDS" })).await, "");
    let many = (0..501).map(|n| datum(&format!("m{n:03}"), json!([]), 0));
    put(&fixture, many.collect()).await.unwrap();
    let first = call(&fixture, "ListMetrics", json!({})).await.unwrap();
    assert_eq!(first["Metrics"].as_array().unwrap().len(), 500);
    let next = json!({ "NextToken": first["NextToken"] });
    assert_eq!(list(next).await, "m497 0, m498 0, m499 0, m500 0");
}

#[tokio::test]
async fn what_can_not_be_put_is_refused_whole() {
    let fixture = fixture_of(SMALL);
    let good = json!({ "MetricName": "good", "Value": 1 });
    for (datum, code) in [
        (json!({}), "MissingRequiredParameter"),
        (
            json!({ "Value": 1, "Values": [1] }),
            "InvalidParameterCombination",
        ),
        (json!({ "Value": "NaN" }), "InvalidParameterValue"),
        (json!({ "Value": 1e200 }), "InvalidParameterValue"),
        (
            json!({ "Values": [1], "Counts": [1, 2] }),
            "InvalidParameterValue",
        ),
        (
            json!({ "Values": [1], "Counts": [0] }),
            "InvalidParameterValue",
        ),
        (json!({ "Values": [] }), "MissingRequiredParameter"),
        (json!({ "Values": vec![1; 151] }), "InvalidParameterValue"),
        (
            json!({ "Value": 1, "StorageResolution": 10 }),
            "InvalidParameterValue",
        ),
        (
            json!({ "Value": 1, "Timestamp": now() - 15 * 86_400 }),
            "InvalidParameterValue",
        ),
        (
            json!({ "Value": 1, "Timestamp": now() + 3 * 3_600 }),
            "InvalidParameterValue",
        ),
        (json!({ "Value": 1, "Unit": "Furlongs" }), "ValidationError"),
        (
            json!({ "StatisticValues": { "SampleCount": 0, "Sum": 0, "Minimum": 0, "Maximum": 0 } }),
            "InvalidParameterValue",
        ),
    ] {
        let mut bad = datum.clone();
        bad["MetricName"] = json!("bad");
        let refused = put(&fixture, json!([good, bad])).await;
        assert_eq!(refused.unwrap_err(), code, "{datum}");
    }
    let many = (0..1_001).map(|_| good.clone()).collect();
    assert_eq!(
        put(&fixture, many).await.unwrap_err(),
        "InvalidParameterValue"
    );
    let input = json!({ "Namespace": "AWS/EC2", "MetricData": [good] });
    let refused = call(&fixture, "PutMetricData", input).await;
    assert_eq!(refused.unwrap_err(), "InvalidParameterValue");
    let listed = call(&fixture, "ListMetrics", json!({})).await.unwrap();
    assert_eq!(
        listed["Metrics"],
        json!([]),
        "nothing of a refused call is kept"
    );
}

/// SDKs pack bodies of 10 kB and more.
#[tokio::test]
async fn what_comes_packed_is_unpacked_within_bounds() {
    let fixture = fixture_of(SMALL);
    let headers = [
        (
            "x-amz-target",
            "GraniteServiceVersion20100801.PutMetricData",
        ),
        ("content-type", "application/x-amz-json-1.0"),
        ("content-encoding", "gzip"),
    ];
    let packed = |text: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    };
    let sent = async |body: Vec<u8>| {
        let request = signed("monitoring", "eu-west-1", &headers, body);
        let answer = send(&fixture, request).await;
        (answer.status.as_u16(), answer.body)
    };
    let data = json!([{ "MetricName": "orders", "Value": 1 }]);
    let input = json!({ "Namespace": "Shop", "MetricData": data }).to_string();
    assert_eq!(sent(packed(input.as_bytes())).await.0, 200);
    let listed = call(&fixture, "ListMetrics", json!({})).await.unwrap();
    assert_eq!(listed["Metrics"][0]["MetricName"], "orders");
    let (status, body) = sent(input.into_bytes()).await;
    assert_eq!(status, 400);
    assert!(body.contains("SerializationException"), "{body}");
    let (status, body) = sent(packed(&vec![b' '; 20 << 20])).await;
    assert_eq!(status, 413, "{body}");
}

#[tokio::test]
async fn s7_3_what_can_not_be_asked_is_refused() {
    let fixture = fixture_of(SMALL);
    let m1 = query("m1", "orders", "Sum");
    let with = |name: &str, value: Value| {
        let mut query = m1.clone();
        query[name] = value;
        json!([query])
    };
    let stat = |name: &str, value: Value| {
        let mut query = m1.clone();
        query["MetricStat"][name] = value;
        json!([query])
    };
    for (queries, code) in [
        (json!([]), "ValidationError"),
        (json!([m1, m1]), "ValidationError"),
        (with("Id", json!("M1")), "ValidationError"),
        (with("Id", json!("m-1")), "ValidationError"),
        (with("Expression", json!("m1")), "ValidationError"),
        (with("MetricStat", Value::Null), "ValidationError"),
        (with("ReturnData", json!(false)), "ValidationError"),
        (stat("Period", json!(7)), "ValidationError"),
        (stat("Stat", json!("Mean")), "ValidationError"),
        (stat("Stat", json!("tm90")), "NotImplemented"),
        (
            json!([{ "Id": "e1", "Expression": "m1 + 1" }]),
            "ValidationError",
        ),
        (
            json!([{ "Id": "e1", "Expression": "e2" }, { "Id": "e2", "Expression": "e1" }]),
            "ValidationError",
        ),
        (
            json!([{ "Id": "e1", "Expression": "SEARCH('x', 'Sum')" }]),
            "NotImplemented",
        ),
    ] {
        let refused = call(&fixture, "GetMetricData", asked(queries.clone())).await;
        assert_eq!(refused.unwrap_err(), code, "{queries}");
    }
    let statistics = |from: i64, to: i64, words: Value, extended: Value| {
        json!({
            "Namespace": "Shop", "MetricName": "orders", "Period": 60, "StartTime": now() + from, "EndTime": now() + to,
            "Statistics": words, "ExtendedStatistics": extended,
        })
    };
    let sum = json!(["Sum"]);
    for (input, code) in [
        (
            statistics(0, 0, sum.clone(), Value::Null),
            "ValidationError",
        ),
        (
            statistics(-60, 0, Value::Null, Value::Null),
            "InvalidParameterCombination",
        ),
        (
            statistics(-60, 0, sum.clone(), json!(["p90"])),
            "InvalidParameterCombination",
        ),
        (
            statistics(-90_000, 0, sum, Value::Null),
            "InvalidParameterCombination",
        ),
    ] {
        let refused = call(&fixture, "GetMetricStatistics", input.clone()).await;
        assert_eq!(refused.unwrap_err(), code, "{input}");
    }
    let refused = call(&fixture, "DescribeAnomalyDetectors", json!({})).await;
    assert_eq!(refused.unwrap_err(), "NotImplemented");
}

#[test]
fn metrics_do_not_show_their_values() {
    assert_eq!(format!("{:?}", Metrics::default()), "Metrics(..)");
}
