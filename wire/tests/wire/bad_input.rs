//! Whatever is sent: an answer in the service's words, and no panic.

use proptest::prelude::*;
use wire::{Catalog, Request, identify, refuse, respond, sigv4};

use crate::{cbor, form, json, post};

#[test]
fn each_parser_refuses_what_is_not_well_formed() {
    let refused = |sent: crate::Sent<'_>| {
        let refused = sent.refused();
        refused
            .split_once(':')
            .map_or(refused.clone(), |(start, _)| start.to_owned())
    };
    assert_eq!(
        refused(form("rds", "Action=%GG")),
        "400 MalformedQueryString"
    );
    assert_eq!(
        refused(form("rds", b"Action=DescribeDBInstances&x=\xff")),
        "400 MalformedQueryString"
    );
    assert_eq!(
        refused(form(
            "rds",
            "Action=DescribeDBInstances&Version=2014-10-31&MaxRecords=x"
        )),
        "400 MalformedInput"
    );
    assert_eq!(
        refused(json("TrentService.ListKeys", "{")),
        "400 SerializationException"
    );
    assert_eq!(
        refused(json("TrentService.ListKeys", "[]")),
        "400 SerializationException"
    );
    assert_eq!(
        refused(json("TrentService.ListKeys", b"{\"a\": \"\xff\"}")),
        "400 SerializationException"
    );
    assert_eq!(
        refused(json("TrentService.Encrypt", r#"{"Plaintext": "%"}"#)),
        "400 SerializationException"
    );
    let metrics = "/service/GraniteServiceVersion20100801/operation/ListMetrics";
    assert_eq!(
        refused(cbor(metrics, b"\xa1")),
        "400 SerializationException"
    );
    assert_eq!(
        refused(cbor(metrics, b"\xbf\xff\x00")),
        "400 SerializationException"
    );
    let zone = "/2013-04-01/hostedzone";
    for body in [
        "<a",
        "<!DOCTYPE x [<!ENTITY a \"b\">]><x>&a;</x>",
        "<x></y>",
        "\u{0}",
    ] {
        assert_eq!(
            refused(post(zone, body).scope("route53")),
            "400 MalformedInput",
            "{body}"
        );
    }
    assert_eq!(
        refused(post(zone, b"<x>\xff</x>").scope("route53")),
        "400 MalformedInput"
    );
}

#[test]
fn json_of_another_type_is_told_in_the_frameworks_words() {
    let text = |body: &str| json("TrentService.ListKeys", body).refused();
    let prefix = "400 SerializationException: ";
    assert_eq!(
        text(r#"{"Limit": "5"}"#),
        format!("{prefix}STRING_VALUE cannot be converted to Integer")
    );
    assert_eq!(
        text(r#"{"Limit": true}"#),
        format!("{prefix}TRUE_VALUE cannot be converted to Integer")
    );
    assert_eq!(
        text(r#"{"Marker": 5}"#),
        format!("{prefix}NUMBER_VALUE cannot be converted to String")
    );
    assert_eq!(
        text(r#"{"Marker": {}}"#),
        format!("{prefix}Start of structure or map found where not expected")
    );
    assert_eq!(
        text(r#"{"Limit": 99999999999}"#),
        format!("{prefix}NUMBER_VALUE cannot be converted to Integer")
    );
}

#[test]
fn a_body_of_another_kind_is_not_looked_at() {
    let sent = post("/", "{}")
        .header("x-amz-target", "TrentService.ListKeys")
        .header("content-type", "text/plain");
    assert_eq!(sent.refused(), "404 UnknownOperationException: ");
    let sent = post(
        "/service/GraniteServiceVersion20100801/operation/ListMetrics",
        "{}",
    )
    .header("content-type", "application/json");
    assert_eq!(
        sent.refused(),
        "415 UnsupportedMediaTypeException: the content type must be application/cbor"
    );
    let sent = post("/experiments", "<x/>")
        .scope("fis")
        .header("content-type", "application/xml");
    assert_eq!(
        sent.refused(),
        "415 UnsupportedMediaTypeException: Unsupported media type: application/xml"
    );
}

#[test]
fn depth_is_bounded_in_every_format() {
    const DEPTH: usize = 200_000;
    let json_body = format!("{}{}", "{\"Filters\":[".repeat(DEPTH), "]}".repeat(DEPTH));
    assert!(
        json("TrentService.ListKeys", &json_body)
            .refused()
            .starts_with("400 SerializationException")
    );
    let operation = "/service/GraniteServiceVersion20100801/operation/GetMetricData";
    let arrays = vec![0x81; DEPTH];
    let unknown = [b"\xa1\x61x".as_slice(), &arrays].concat();
    assert_eq!(
        cbor(operation, &unknown).refused(),
        "400 SerializationException: Nested too deeply"
    );
    let tags = vec![0xc1; DEPTH];
    assert!(
        cbor(operation, &tags)
            .refused()
            .starts_with("400 SerializationException")
    );
    let xml = "<a>".repeat(DEPTH);
    assert_eq!(
        post("/2013-04-01/hostedzone", &xml)
            .scope("route53")
            .refused(),
        "400 MalformedInput: Nested too deeply"
    );
    let key = format!(
        "Action=DescribeInstances&Version=2016-11-15&{}=1",
        "a.".repeat(DEPTH)
    );
    assert!(
        form("ec2", &key)
            .refused()
            .starts_with("400 MalformedQueryString")
    );
}

#[test]
fn lengths_are_not_believed() {
    let operation = "/service/GraniteServiceVersion20100801/operation/ListMetrics";
    for body in [
        b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff".as_slice(),
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xa1\x7b\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        assert!(
            cbor(operation, body)
                .refused()
                .starts_with("400 SerializationException")
        );
    }
}

/// Everything that a server does with a request.
fn serve(method: &str, uri: &str, headers: &[(&str, &[u8])], body: &[u8]) {
    let request = Request {
        method,
        uri,
        headers,
        body,
    };
    match identify(Catalog::standard(), request) {
        Ok(call) => {
            let secret = |_: &str| {
                Some(sigv4::Secret {
                    key: "k".to_owned(),
                    session_token: None,
                })
            };
            let signed = sigv4::verify(&call, secret, 1_700_000_000_000);
            let result = signed.and_then(|_| call.input());
            respond(&call, &result, "req-1");
            // An input is no output: whatever it is, rendering it must not fail.
            if let Ok(input) = call.read() {
                call.violations(&input);
                call.strays(&input);
                respond(&call, &Ok(input), "req-1");
            }
        }
        Err(refusal) => {
            refuse(Catalog::standard(), &refusal, "req-1");
        }
    }
}

const SCOPES: &[&str] = &[
    "rds",
    "ec2",
    "sts",
    "route53",
    "fis",
    "arc-zonal-shift",
    "elasticloadbalancing",
    "monitoring",
    "kms",
];

fn credential(scope: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=A/20260131/eu-west-1/{scope}/aws4_request, SignedHeaders=host, Signature=00"
    )
}

/// Bytes that look a little like each of the formats.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let soup = "[<>/a-zA-Z0-9 &=.%{}\\[\\]\":,+\\\\-]{0,200}".prop_map(String::into_bytes);
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), soup]
}

/// The beginnings of maps with a member of the operation.
const BEGINNINGS: &[&[u8]] = &[
    b"\xa1\x6aMetricData",
    b"\xbf\x69Namespace",
    b"\xa1\x69Dashboard",
];

proptest! {
    #[test]
    fn no_request_panics(
        method in "(GET|POST|PUT|DELETE|[A-Z]{0,3})",
        uri in "(/|/2013-04-01/hostedzone|/experiments|/tags/.{0,9}|/service/.{0,9}/operation/.{0,9}|.{0,40})(\\?.{0,40})?",
        scope in proptest::sample::select(SCOPES),
        names in proptest::collection::vec(("(x-amz-target|content-type|host|authorization|x-amz-date|smithy-protocol|[a-z]{1,5})", bytes()), 0..4),
        body in bytes(),
    ) {
        let credential = credential(scope);
        let mut headers: Vec<(&str, &[u8])> = names.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        headers.push(("authorization", credential.as_bytes()));
        serve(&method, &uri, &headers, &body);
    }

    #[test]
    fn no_form_panics(
        scope in proptest::sample::select(&["rds", "ec2"][..]),
        body in "(&(Filter|Filters|Tag|Tags|MaxResults|MaxRecords|InstanceId|DryRun)(\\.([0-9]{1,12}|member|Filter|Name|Value|Values|[a-z%])){0,5}=[a-z0-9%.-]{0,9}){0,8}",
    ) {
        let (action, version) = if scope == "ec2" { ("DescribeInstances", "2016-11-15") } else { ("DescribeDBInstances", "2014-10-31") };
        let body = format!("Action={action}&Version={version}{body}");
        let credential = credential(scope);
        serve("POST", "/", &[("authorization", credential.as_bytes())], body.as_bytes());
    }

    #[test]
    fn no_json_panics(body in bytes(), known in "\\{\"(Limit|Marker|KeyId|Plaintext|Tags|CreationDate)\":.{0,40}\\}?") {
        for body in [body.as_slice(), known.as_bytes()] {
            for target in ["TrentService.ListKeys", "TrentService.Encrypt", "TrentService.TagResource", "GraniteServiceVersion20100801.PutMetricData"] {
                serve("POST", "/", &[("x-amz-target", target.as_bytes())], body);
            }
        }
    }

    #[test]
    fn no_cbor_panics(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        key in proptest::sample::select(BEGINNINGS),
    ) {
        let headers: &[(&str, &[u8])] = &[("smithy-protocol", b"rpc-v2-cbor"), ("content-type", b"application/cbor")];
        let uri = "/service/GraniteServiceVersion20100801/operation/PutMetricData";
        serve("POST", uri, headers, &body);
        serve("POST", uri, headers, &[key, body.as_slice()].concat());
    }

    #[test]
    fn no_xml_panics(
        inner in "((<(ChangeBatch|Changes|Change|Action|ResourceRecordSet|Name|TTL|ResourceRecords)/?>)|(</(ChangeBatch|Changes|Change|Action|ResourceRecordSet|Name|TTL|ResourceRecords)>)|[a-z0-9&;]|<!\\[CDATA\\[|\\]\\]>|<!--|-->){0,30}",
    ) {
        let body = format!("<ChangeResourceRecordSetsRequest>{inner}</ChangeResourceRecordSetsRequest>");
        let credential = credential("route53");
        serve("POST", "/2013-04-01/hostedzone/Z1/rrset", &[("authorization", credential.as_bytes())], body.as_bytes());
    }

    #[test]
    fn no_signature_panics(header in "(AWS4-HMAC-SHA256 )?(Credential=|SignedHeaders=|Signature=|[A-Za-z0-9/;=, é-]){0,60}", date in ".{0,20}") {
        let headers: &[(&str, &[u8])] = &[("authorization", header.as_bytes()), ("x-amz-date", date.as_bytes())];
        serve("POST", "/", headers, b"Action=GetCallerIdentity&Version=2011-06-15");
        let query = format!("/?Action=GetCallerIdentity&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={date}&X-Amz-Credential={header}");
        serve("GET", &query, &[], b"");
    }
}
