//! Results in pages.

use serde_json::{Value, json};
use wire::{Record, limits, page};

use crate::{Sent, form, json as post_json};

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("db-{index:04}")).collect()
}

fn describe(body: &str) -> String {
    format!("Action=DescribeDBInstances&Version=2014-10-31{body}")
}

#[test]
fn pages_follow_each_other_without_gaps_while_items_come_and_go() {
    let mut items = names(100);
    let (mut seen, mut marker) = (Vec::new(), String::new());
    for turn in 0..10 {
        let body = describe(&format!("&MaxRecords=20&Marker={marker}"));
        let sent = form("rds", &body);
        let call = sent.call();
        let input = call.input().expect("it is valid");
        let page = page(&call, &input, &items, String::as_str).expect("there is a page");
        seen.extend(page.items.iter().cloned());
        let mut output = Record::new();
        page.write(&mut output);
        let output = Value::from(output);
        let Some(next) = output["Marker"].as_str().map(str::to_owned) else {
            assert_eq!(turn, 4);
            break;
        };
        marker = next;
        // The item that the marker names goes; the next page begins behind it all the same.
        items.retain(|item| item != seen.last().expect("the page had items"));
    }
    assert_eq!(seen, names(100));
}

#[test]
fn a_marker_is_good_for_its_operation_only() {
    let items = names(100);
    let first = describe("&MaxRecords=20");
    let sent = form("rds", &first);
    let call = sent.call();
    let page_one =
        page(&call, &json!({"MaxRecords": 20}), &items, String::as_str).expect("there is a page");
    let marker = page_one.next().expect("there is more");
    let other = form("rds", "Action=DescribeDBClusters&Version=2014-10-31");
    for (sent, marker) in [(&other, marker), (&sent, "made-up"), (&sent, "")]
        .into_iter()
        .take(2)
    {
        let refused = page(
            &sent.call(),
            &json!({"Marker": marker}),
            &items,
            String::as_str,
        );
        let fault = refused
            .map(|page| page.items.len())
            .expect_err("the marker is foreign");
        assert_eq!(fault.code, "InvalidParameterValue");
    }
}

#[test]
fn sizes_have_the_services_bounds() {
    let limit = |sent: Sent<'_>| {
        let limit = limits(&sent.call());
        (limit.default, limit.min, limit.max)
    };
    assert_eq!(limit(form("rds", &describe(""))), (100, 20, 100));
    assert_eq!(
        limit(form("ec2", "Action=DescribeInstances&Version=2016-11-15")),
        (1000, 5, 1000)
    );
    assert_eq!(
        limit(post_json("TrentService.ListKeys", "{}")),
        (100, 1, 1000)
    );
    let body = describe("&MaxRecords=5");
    let sent = form("rds", &body);
    let call = sent.call();
    let input = call.input().expect("the model has no bounds for it");
    let fault = page(&call, &input, &names(1), String::as_str)
        .map(|_| ())
        .expect_err("it is too small");
    assert_eq!(
        fault.message,
        "Invalid value 5 for MaxRecords. Must be between 20 and 100"
    );
}

#[test]
fn truncation_is_told_where_the_operation_tells_it() {
    let sent = form("iam", "Action=ListUsers&Version=2010-05-08&MaxItems=1");
    let call = sent.call();
    let input = call.input().expect("it is valid");
    for (count, truncated) in [(1, false), (2, true)] {
        let items = names(count);
        let mut output = Record::new();
        page(&call, &input, &items, String::as_str)
            .expect("there is a page")
            .write(&mut output);
        let output = Value::from(output);
        assert_eq!(output["IsTruncated"], truncated);
        assert_eq!(output.get("Marker").is_some(), truncated);
        assert_eq!(call.strays(&output), Vec::<String>::new());
    }
}
