//! Outputs of REST calls: status, headers and a body.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::{begin, json, xml};
use crate::call::Call;
use crate::catalog::Protocol;
use crate::model::{Field, Kind, Place, TimeFormat};
use crate::request::Response;
use crate::time;

pub(super) fn response(call: &Call<'_>, values: &Map<String, Value>, request_id: &str) -> Response {
    let is_xml = call.protocol == Protocol::RestXml;
    let content_type = if is_xml {
        "text/xml"
    } else {
        "application/json"
    };
    let mut response = begin(call.row().status(), content_type.to_owned(), request_id);
    let Some(output) = call.row().output() else {
        return response;
    };
    for member in output.shape().members() {
        if let Some(value) = values.get(member.name()).filter(|value| !value.is_null()) {
            outside_body(member, value, &mut response);
        }
    }
    match output.shape().payload() {
        Some(payload) => {
            if let Some(value) = values.get(payload.name()) {
                response.body = payload_body(payload, value, is_xml);
            }
        }
        None if is_xml => {
            let mut out = xml::Writer::default();
            out.declaration();
            out.open_in(output.wire(), xml_namespace(call, output));
            out.members(output.shape(), values);
            out.close(output.wire());
            response.body = out.into_bytes();
        }
        None => json::structure(output.shape(), values, &mut response.body),
    }
    response
}

/// That of the output, else that of the service, else the one that Route 53 writes on every answer.
fn xml_namespace<'a>(call: &Call<'a>, output: Field<'a>) -> Option<&'a str> {
    let input = call.row().input().and_then(|input| input.namespace());
    let own = output
        .namespace()
        .or(input)
        .map(|namespace| &*namespace.uri);
    own.or(call.service.xml_namespace())
        .or(route53(call.service.name()))
}

/// The model names Route 53's namespace on some inputs only; every answer has it.
pub(super) fn route53(service: &str) -> Option<&'static str> {
    (service == "route53").then_some("https://route53.amazonaws.com/doc/2013-04-01/")
}

fn payload_body(payload: Field<'_>, value: &Value, is_xml: bool) -> Vec<u8> {
    match (payload.kind(), value) {
        (Kind::Blob, Value::String(encoded)) => BASE64_STANDARD.decode(encoded).unwrap_or_default(),
        (Kind::String, Value::String(text)) => text.clone().into_bytes(),
        (_, value) if is_xml => {
            let mut out = xml::Writer::default();
            out.field(payload, payload.wire(), value);
            out.into_bytes()
        }
        (_, value) => {
            let mut out = Vec::new();
            json::field(payload, value, &mut out);
            out
        }
    }
}

/// Writes a member that does not travel in the body.
pub(super) fn outside_body(member: Field<'_>, value: &Value, response: &mut Response) {
    match (member.place(), value) {
        (Place::Header, value) => {
            if let Some(text) = header(member, value) {
                set(response, member.wire().to_owned(), text);
            }
        }
        (Place::HeaderPrefix, Value::Object(entries)) => {
            for (name, value) in entries {
                if let Some(text) = value.as_str() {
                    set(
                        response,
                        format!("{}{name}", member.wire()),
                        text.to_owned(),
                    );
                }
            }
        }
        (Place::Status, value) => {
            let status = value.as_u64().and_then(|status| u16::try_from(status).ok());
            response.status = status.unwrap_or(response.status);
        }
        (_, _) => {}
    }
}

/// Sets a header once: a model may bind `Content-Type`. Line breaks would start another header.
fn set(response: &mut Response, name: String, value: String) {
    if value.contains(['\r', '\n', '\0']) || name.contains(['\r', '\n', '\0', ':']) {
        return;
    }
    response
        .headers
        .retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
    response.headers.push((name.into(), value));
}

fn header(field: Field<'_>, value: &Value) -> Option<String> {
    if field.is_json_value() {
        return Some(BASE64_STANDARD.encode(value.to_string()));
    }
    Some(match (field.kind(), value) {
        (Kind::List, Value::Array(values)) => {
            let element = field.shape().element();
            let texts = values.iter().filter_map(|value| header(element, value));
            let quoted = texts.map(|text| {
                let quote = element.kind() == Kind::String && text.contains([',', '"']);
                if quote {
                    format!("\"{}\"", text.replace('"', "\\\""))
                } else {
                    text
                }
            });
            quoted.collect::<Vec<_>>().join(",")
        }
        (Kind::Timestamp, value) => {
            let format = field.time().or(TimeFormat::Rfc822);
            time::write(value, format)?
        }
        (_, Value::String(text)) => text.clone(),
        (_, Value::Bool(_) | Value::Number(_)) => value.to_string(),
        (_, _) => return None,
    })
}
