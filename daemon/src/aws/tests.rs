//! The AWS API over HTTP, of a stack of which only the handle is real.

mod alarms;
mod cloudwatch;

use std::fmt::Write as _;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::service::TowerToHyperService;

use super::services;
use crate::api::tests::hollow::{Fixture, fixture, fixture_of};
use crate::api::{Exposure, router};

/// A small stack in two regions.
const SMALL: &str = "name: small\nregions: { ap-northeast-2: [a, c], us-east-1: [a] }\n";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

async fn send(fixture: &Fixture, request: Request<Body>) -> Answer {
    use hyper::service::Service;
    let router = router(fixture.api.clone(), Exposure::Loopback);
    let answer = TowerToHyperService::new(router)
        .call(request)
        .await
        .unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status,
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// A request with the scope of a signature, and a signature that is none.
fn signed(
    service: &str,
    region: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Request<Body> {
    let credential = format!("AKIAIOSFODNN7EXAMPLE/20260131/{region}/{service}/aws4_request");
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=00");
    let mut request = Request::post("/").header("host", "localhost:4566");
    if !service.is_empty() {
        request = request.header("authorization", authorization);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn query(service: &str, region: &str, action: &str) -> Request<Body> {
    let version = match service {
        "ec2" => "2016-11-15",
        "rds" => "2014-10-31",
        _ => "2011-06-15",
    };
    let body = format!("Action={action}&Version={version}");
    signed(service, region, &[FORM], body)
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.as_bytes()[14] == b'4'
}

#[tokio::test]
async fn a_call_is_answered_in_its_protocol() {
    let fixture = fixture_of(SMALL);
    let answer = send(&fixture, query("sts", "us-east-1", "GetCallerIdentity")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.headers["content-type"], "text/xml;charset=UTF-8");
    assert!(
        answer
            .body
            .contains("<Arn>arn:aws:iam::123456789012:root</Arn>"),
        "{}",
        answer.body
    );
    let id = answer.headers["x-amzn-requestid"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(is_uuid(&id), "{id}");
    assert!(answer.body.contains(&id));
    let again = send(&fixture, query("sts", "us-east-1", "GetCallerIdentity")).await;
    assert_ne!(again.headers["x-amzn-requestid"], id);
    // Without a signature, and over the query alone.
    let get =
        Request::get("/?Action=GetCallerIdentity&Version=2011-06-15").header("host", "localhost");
    let answer = send(&fixture, get.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn what_is_not_built_is_not_implemented_by_name() {
    let fixture = fixture();
    let target = ("x-amz-target", "TrentService.CreateCustomKeyStore");
    let json = ("content-type", "application/x-amz-json-1.1");
    for (request, name) in [
        (
            query("rds", "us-east-1", "CreateBlueGreenDeployment"),
            "CreateBlueGreenDeployment of RDS",
        ),
        (
            query("ec2", "us-east-1", "CreateTransitGateway"),
            "CreateTransitGateway of EC2",
        ),
        (
            signed("kms", "us-east-1", &[target, json], "{}"),
            "CreateCustomKeyStore of KMS",
        ),
        (
            signed("s3", "us-east-1", &[], ""),
            "the service s3 is not served here",
        ),
    ] {
        let answer = send(&fixture, request).await;
        assert_eq!(answer.status, 501, "{}", answer.body);
        assert!(answer.body.contains("NotImplemented"), "{}", answer.body);
        assert!(answer.body.contains(name), "{}", answer.body);
    }
}

#[tokio::test]
async fn what_is_illegal_is_refused_as_aws_does() {
    let fixture = fixture_of(SMALL);
    let target = ("x-amz-target", "TrentService.Nothing");
    for (request, status, code) in [
        (
            query("sts", "us-east-1", "GetNothing"),
            400,
            "InvalidAction",
        ),
        (
            signed("ec2", "us-east-1", &[FORM], "Version=2016-11-15"),
            400,
            "MissingAction",
        ),
        (
            signed("sts", "us-east-1", &[FORM], "Action=%zz&%"),
            400,
            "<Code>",
        ),
        (
            signed("sts", "us-east-1", &[FORM], vec![0xff, 0xfe]),
            400,
            "MalformedQueryString",
        ),
        (
            signed("kms", "us-east-1", &[target], "{"),
            400,
            "UnknownOperationException",
        ),
        (signed("", "", &[], ""), 404, "UnknownOperationException"),
        (
            query("ec2", "us-east-1", "DescribeRegions&Nothing=1"),
            400,
            "UnknownParameter",
        ),
        (
            query("ec2", "us-east-1", "DescribeRegions&DryRun=true"),
            412,
            "DryRunOperation",
        ),
    ] {
        let shown = format!("{request:?}");
        let answer = send(&fixture, request).await;
        assert_eq!(answer.status.as_u16(), status, "{shown}: {}", answer.body);
        assert!(answer.body.contains(code), "{shown}: {}", answer.body);
        assert!(is_uuid(
            answer.headers["x-amzn-requestid"].to_str().unwrap()
        ));
    }
    let foreign = [FORM, ("origin", "http://evil.example")];
    let answer = send(
        &fixture,
        signed("sts", "us-east-1", &foreign, "Action=GetCallerIdentity"),
    )
    .await;
    assert_eq!(answer.status, 403, "{}", answer.body);
}

/// A body of `megabytes`, of which nothing is there before it is asked for.
fn large(megabytes: usize) -> Body {
    let chunk = Bytes::from(vec![b'x'; 1 << 20]);
    let chunks = futures_util::stream::iter(
        (0..megabytes).map(move |_| Ok::<_, std::io::Error>(chunk.clone())),
    );
    Body::from_stream(chunks)
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_in_the_service_s_words() {
    let fixture = fixture_of(SMALL);
    let target = [
        ("x-amz-target", "TrentService.Encrypt"),
        ("content-type", "application/x-amz-json-1.1"),
    ];
    for (service, headers, wanted) in [
        ("rds", &[FORM][..], "<Code>RequestEntityTooLarge</Code>"),
        (
            "ec2",
            &[FORM],
            "<Response><Errors><Error><Code>RequestEntityTooLarge</Code>",
        ),
        (
            "kms",
            &target,
            "\"__type\":\"RequestEntityTooLargeException\"",
        ),
    ] {
        let answer = send(&fixture, signed(service, "us-east-1", headers, large(100))).await;
        assert_eq!(answer.status, 413, "{}", answer.body);
        assert!(answer.body.contains(wanted), "{}", answer.body);
        // A client that says beforehand what it means to send need not send it.
        let mut asking = headers.to_vec();
        asking.extend([("content-length", "104857600"), ("expect", "100-continue")]);
        let unsent =
            Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let answer = send(&fixture, signed(service, "us-east-1", &asking, unsent)).await;
        assert_eq!(answer.status, 413, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_signature_has_to_be_right_where_the_topology_names_keys() {
    let keys =
        "credentials: [{ access-key-id: AKIAIOSFODNN7EXAMPLE, secret-access-key: s3cret }]\n";
    let fixture = fixture_of(&format!("{SMALL}{keys}"));
    for (request, code) in [
        (
            query("sts", "us-east-1", "GetCallerIdentity"),
            "IncompleteSignature",
        ),
        (
            query("ec2", "us-east-1", "DescribeRegions"),
            "IncompleteSignature",
        ),
        (
            signed(
                "",
                "",
                &[FORM],
                "Action=GetCallerIdentity&Version=2011-06-15",
            ),
            "MissingAuthenticationToken",
        ),
    ] {
        let answer = send(&fixture, request).await;
        assert!(answer.body.contains(code), "{}", answer.body);
    }
}

#[test]
fn every_operation_of_the_tables_is_one_of_the_model() {
    let mut strangers = String::new();
    for (name, operations) in services::SERVICES {
        let service = wire::Catalog::standard().service(name).unwrap();
        let mut before = "";
        for (operation, _) in *operations {
            if !service.has_operation(operation) {
                writeln!(strangers, "{name} has no {operation}").unwrap();
            }
            assert!(
                before < *operation,
                "{name}: {operation} is not in its place"
            );
            before = operation;
        }
    }
    assert_eq!(strangers, "");
}
