//! Errors out, in each protocol's form.

use serde_json::{Map, Value};

use super::{begin, cbor, json, rest, xml};
use crate::catalog::{Protocol, Service};
use crate::fault::{Blame, Fault};
use crate::model::{Field, Shape};
use crate::request::Response;

/// The namespace of errors of query services that have none of their own.
const COMMON_NAMESPACE: &str = "http://webservices.amazon.com/AWSFault/2005-15-09";

pub(super) fn response(
    service: Option<&Service>,
    protocol: Protocol,
    fault: &Fault,
    request_id: &str,
) -> Response {
    let shape = service.and_then(|service| {
        let name = fault.shape.as_ref().unwrap_or(&fault.code);
        service.model().error(name).map(|error| error.shape())
    });
    let mut response = match protocol {
        Protocol::Ec2 => ec2(fault, request_id),
        Protocol::Query | Protocol::RestXml => query(service, shape, fault, request_id),
        Protocol::Json | Protocol::RestJson => json(service, protocol, shape, fault, request_id),
        Protocol::Cbor => rpc(shape, fault, request_id),
    };
    if let Some(shape) =
        shape.filter(|_| matches!(protocol, Protocol::RestJson | Protocol::RestXml))
    {
        for member in shape.members() {
            if let Some(value) = fault.members.get(member.name()) {
                rest::outside_body(member, value, &mut response);
            }
        }
    }
    let retired = matches!(protocol, Protocol::Json | Protocol::Cbor);
    if retired && service.is_some_and(Service::is_query_compatible) {
        let value = format!("{};{}", fault.code, blame(fault));
        response.headers.push(("x-amzn-query-error".into(), value));
    }
    response
}

fn blame(fault: &Fault) -> &'static str {
    match fault.blame {
        Blame::Sender => "Sender",
        Blame::Receiver => "Receiver",
    }
}

/// The name by which the newer protocols know an error: that of its shape.
fn name(fault: &Fault) -> &str {
    fault.shape.as_ref().unwrap_or(&fault.code)
}

fn ec2(fault: &Fault, request_id: &str) -> Response {
    let mut out = xml::Writer::default();
    out.declaration();
    out.open("Response");
    out.open("Errors");
    out.open("Error");
    out.text_element("Code", &fault.code);
    out.text_element("Message", &fault.message);
    out.close("Error");
    out.close("Errors");
    out.text_element("RequestID", request_id);
    out.close("Response");
    let mut response = begin(
        fault.status,
        "text/xml;charset=UTF-8".to_owned(),
        request_id,
    );
    response.body = out.into_bytes();
    response
}

fn query(
    service: Option<&Service>,
    shape: Option<Shape<'_>>,
    fault: &Fault,
    request_id: &str,
) -> Response {
    let own = service.and_then(|service| service.xml_namespace().or(rest::route53(service.name())));
    let mut out = xml::Writer::default();
    out.open_in("ErrorResponse", Some(own.unwrap_or(COMMON_NAMESPACE)));
    out.open("Error");
    out.text_element("Type", blame(fault));
    out.text_element("Code", &fault.code);
    out.text_element("Message", &fault.message);
    if let Some(shape) = shape {
        out.members(shape, &extra(shape, fault));
    }
    out.close("Error");
    out.text_element("RequestId", request_id);
    out.close("ErrorResponse");
    let mut response = begin(fault.status, "text/xml".to_owned(), request_id);
    response.body = out.into_bytes();
    response
}

fn json(
    service: Option<&Service>,
    protocol: Protocol,
    shape: Option<Shape<'_>>,
    fault: &Fault,
    request_id: &str,
) -> Response {
    let content_type = match (protocol, service) {
        (Protocol::Json, Some(service)) => {
            format!("application/x-amz-json-{}", service.json_version())
        }
        (Protocol::Json, None) => "application/x-amz-json-1.1".to_owned(),
        _ => "application/json".to_owned(),
    };
    let mut response = begin(fault.status, content_type, request_id);
    let out = &mut response.body;
    let mut first = true;
    out.push(b'{');
    if protocol == Protocol::Json {
        json::key("__type", &mut first, out);
        json::text(name(fault), out);
    }
    if !fault.message.is_empty() {
        json::key(message_key(shape), &mut first, out);
        json::text(&fault.message, out);
    }
    if let Some(shape) = shape {
        json::members(shape, &extra(shape, fault), &mut first, out);
    }
    out.push(b'}');
    if protocol == Protocol::RestJson {
        response
            .headers
            .push(("x-amzn-errortype".into(), name(fault).to_owned()));
    }
    response
}

fn rpc(shape: Option<Shape<'_>>, fault: &Fault, request_id: &str) -> Response {
    let mut response = begin(fault.status, "application/cbor".to_owned(), request_id);
    response
        .headers
        .push(("smithy-protocol".into(), "rpc-v2-cbor".to_owned()));
    let ours = [
        ("__type", name(fault)),
        (message_key(shape), &fault.message),
    ];
    match shape {
        Some(shape) => cbor::members(shape, &extra(shape, fault), &ours, &mut response.body),
        None => cbor::texts(&ours, &mut response.body),
    }
    response
}

/// The members of an error beyond its message, which is written already.
fn extra(shape: Shape<'_>, fault: &Fault) -> Map<String, Value> {
    let message = message(shape).map(|field| field.name());
    let members = fault
        .members
        .iter()
        .filter(|(name, _)| Some(name.as_str()) != message);
    members
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn message<'m>(shape: Shape<'m>) -> Option<Field<'m>> {
    shape
        .members()
        .find(|member| member.name().eq_ignore_ascii_case("message"))
}

fn message_key<'m>(shape: Option<Shape<'m>>) -> &'m str {
    shape
        .and_then(message)
        .map_or("message", |field| field.wire())
}
