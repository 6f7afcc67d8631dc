//! Errors and answers in each protocol's form.

use insta::assert_snapshot;
use wire::{Catalog, Fault, Response, refuse, respond};

use crate::{Sent, cbor, form, get, json, post};

fn shown(response: &Response) -> String {
    let headers: Vec<String> = response
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let body = String::from_utf8_lossy(&response.body);
    format!("{}\n{}\n\n{body}", response.status, headers.join("\n"))
}

fn failed(sent: &Sent<'_>, name: &str) -> String {
    let call = sent.call();
    let fault = call.fault(name, "it <is> so");
    shown(&respond(&call, &Err(fault), "req-1"))
}

#[test]
fn query_errors() {
    let sent = form("rds", "Action=DescribeDBInstances&Version=2014-10-31");
    assert_snapshot!(failed(&sent, "DBInstanceNotFoundFault"), @r#"
    404
    x-amzn-requestid: req-1
    content-type: text/xml

    <ErrorResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/"><Error><Type>Sender</Type><Code>DBInstanceNotFound</Code><Message>it &lt;is&gt; so</Message></Error><RequestId>req-1</RequestId></ErrorResponse>
    "#);
}

#[test]
fn ec2_errors() {
    let sent = form("ec2", "Action=DescribeInstances&Version=2016-11-15");
    assert_snapshot!(failed(&sent, "InvalidInstanceID.NotFound"), @r#"
    400
    x-amzn-requestid: req-1
    content-type: text/xml;charset=UTF-8

    <?xml version="1.0" encoding="UTF-8"?>
    <Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code><Message>it &lt;is&gt; so</Message></Error></Errors><RequestID>req-1</RequestID></Response>
    "#);
}

#[test]
fn route_53_errors() {
    let sent = get("/2013-04-01/hostedzone/Z1").scope("route53");
    assert_snapshot!(failed(&sent, "NoSuchHostedZone"), @r#"
    404
    x-amzn-requestid: req-1
    content-type: text/xml

    <ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>Sender</Type><Code>NoSuchHostedZone</Code><Message>it &lt;is&gt; so</Message></Error><RequestId>req-1</RequestId></ErrorResponse>
    "#);
}

#[test]
fn json_errors() {
    assert_snapshot!(failed(&json("TrentService.DescribeKey", "{}"), "NotFoundException"), @r#"
    400
    x-amzn-requestid: req-1
    content-type: application/x-amz-json-1.1

    {"__type":"NotFoundException","message":"it <is> so"}
    "#);
}

#[test]
fn rest_json_errors() {
    let sent = get("/experiments/EXP1").scope("fis");
    assert_snapshot!(failed(&sent, "ResourceNotFoundException"), @r#"
    404
    x-amzn-requestid: req-1
    content-type: application/json
    x-amzn-errortype: ResourceNotFoundException

    {"message":"it <is> so"}
    "#);
}

#[test]
fn cbor_errors_tell_the_code_of_query_days() {
    let sent = cbor(
        "/service/GraniteServiceVersion20100801/operation/DeleteAlarms",
        b"\xa0",
    );
    let call = sent.call();
    let response = respond(&call, &Err(call.fault("ResourceNotFound", "gone")), "req-1");
    assert_eq!(response.status, 404);
    assert_eq!(
        response.header("x-amzn-query-error"),
        Some("ResourceNotFound;Sender")
    );
    assert_eq!(response.header("smithy-protocol"), Some("rpc-v2-cbor"));
    let body = String::from_utf8_lossy(&response.body);
    assert!(
        body.contains("__type") && body.contains("ResourceNotFound") && body.contains("gone"),
        "{body}"
    );
}

#[test]
fn what_is_not_built_says_so() {
    let sent = form("rds", "Action=CreateDBProxy&Version=2014-10-31");
    let fault = sent.call().not_implemented();
    assert_eq!((fault.status, &*fault.code), (501, "NotImplemented"));
    assert_eq!(fault.message, "CreateDBProxy of RDS is not implemented");
}

#[test]
fn throttling_has_the_codes_that_sdks_back_off_on() {
    let code = |sent: Sent<'_>| {
        let fault = sent.call().throttled();
        format!("{} {}", fault.status, fault.code)
    };
    assert_eq!(
        code(form("rds", "Action=DescribeDBInstances&Version=2014-10-31")),
        "400 Throttling"
    );
    assert_eq!(
        code(form("ec2", "Action=DescribeInstances&Version=2016-11-15")),
        "503 RequestLimitExceeded"
    );
    assert_eq!(
        code(json("TrentService.ListKeys", "{}")),
        "400 ThrottlingException"
    );
}

#[test]
fn refusals_are_answered_in_the_protocol_that_was_meant() {
    let shown = |sent: Sent<'_>| {
        let response = refuse(Catalog::standard(), &sent.refusal(), "req-1");
        String::from_utf8_lossy(&response.body).into_owned()
    };
    let query = shown(form("sts", "Action=Nothing&Version=2011-06-15"));
    assert!(
        query.starts_with("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"),
        "{query}"
    );
    let ec2 = shown(form("ec2", "Action=Nothing&Version=2016-11-15"));
    assert!(ec2.contains("<Response><Errors>"), "{ec2}");
    assert_eq!(
        shown(json("TrentService.Nothing", "{}")),
        r#"{"__type":"UnknownOperationException"}"#
    );
}

#[test]
fn an_outputs_strays_are_named() {
    let sent = form("rds", "Action=DescribeDBInstances&Version=2014-10-31");
    let output = serde_json::json!({"DBInstances": [{"DBInstanceIdentifer": "a", "AllocatedStorage": "20"}]});
    assert_eq!(
        sent.call().strays(&output),
        [
            "DBInstances[0].DBInstanceIdentifer: not in DBInstance",
            "DBInstances[0].AllocatedStorage: not a Integer"
        ]
    );
}

#[test]
fn what_xml_cannot_say_is_replaced() {
    let sent = form("sts", "Action=GetCallerIdentity&Version=2011-06-15");
    let output = serde_json::json!({"Account": "a\u{0}b\r\n<&>\""});
    let response = respond(&sent.call(), &Ok(output), "req-1");
    let body = String::from_utf8_lossy(&response.body);
    assert!(
        body.contains("<Account>a\u{fffd}b&#xD;\n&lt;&amp;&gt;&quot;</Account>"),
        "{body}"
    );
}

#[test]
fn a_header_cannot_be_smuggled_in() {
    let sent = post("/2013-04-01/hostedzone", "<CreateHostedZoneRequest><Name>a.</Name><CallerReference>x</CallerReference></CreateHostedZoneRequest>").scope("route53");
    let output = serde_json::json!({"Location": "x\r\nset-cookie: y"});
    let response = respond(&sent.call(), &Ok(output), "req-1");
    assert_eq!(response.status, 201);
    assert_eq!(response.header("location"), None);
}

#[test]
fn members_of_errors_arrive() {
    let sent = post(
        "/2013-04-01/hostedzone/Z1/rrset",
        "<ChangeResourceRecordSetsRequest/>",
    )
    .scope("route53");
    let call = sent.call();
    let fault: Fault = call
        .fault("InvalidChangeBatch", "no")
        .member("messages", vec!["a", "b"]);
    let response = respond(&call, &Err(fault), "req-1");
    let body = String::from_utf8_lossy(&response.body);
    assert!(
        body.contains("<messages><Message>a</Message><Message>b</Message></messages>"),
        "{body}"
    );
}
