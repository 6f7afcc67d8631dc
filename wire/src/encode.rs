//! From an output or an error to bytes: one walk of the model over the value, nothing cloned.

mod cbor;
mod fault;
mod json;
mod rest;
mod xml;

use serde_json::{Map, Value};

use crate::call::Call;
use crate::catalog::{Catalog, Protocol};
use crate::fault::Fault;
use crate::identify::Refusal;
use crate::request::Response;

/// The answer to a call: its output, or an error, in the protocol of the call.
///
/// Members of the output that the model does not have are left out; so are values of another kind than the model's. [`Call::strays`]
/// finds both.
pub fn respond(call: &Call<'_>, result: &Result<Value, Fault>, request_id: &str) -> Response {
    match result {
        Ok(output) => success(call, output, request_id),
        Err(fault) => fault::response(Some(call.service), call.protocol, fault, request_id),
    }
}

/// The answer to a request that is no call.
pub fn refuse(catalog: &Catalog, refusal: &Refusal, request_id: &str) -> Response {
    let service = refusal
        .service
        .as_deref()
        .and_then(|name| catalog.service(name));
    fault::response(service, refusal.protocol, &refusal.fault, request_id)
}

fn success(call: &Call<'_>, output: &Value, request_id: &str) -> Response {
    let empty = Map::new();
    let members = output.as_object().unwrap_or(&empty);
    match call.protocol {
        Protocol::Query | Protocol::Ec2 => form(call, members, request_id),
        Protocol::Json => {
            let content_type = format!("application/x-amz-json-{}", call.service.json_version());
            let mut response = begin(200, content_type, request_id);
            if let Some(field) = call.row().output() {
                json::structure(field.shape(), members, &mut response.body);
            }
            response
        }
        Protocol::Cbor => {
            let mut response = begin(200, "application/cbor".to_owned(), request_id);
            response
                .headers
                .push(("smithy-protocol".into(), "rpc-v2-cbor".to_owned()));
            match call.row().output() {
                Some(field) => cbor::structure(field.shape(), members, &mut response.body),
                None => cbor::empty(&mut response.body),
            }
            response
        }
        Protocol::RestJson | Protocol::RestXml => rest::response(call, members, request_id),
    }
}

fn begin(status: u16, content_type: String, request_id: &str) -> Response {
    Response {
        status,
        headers: vec![
            ("x-amzn-requestid".into(), request_id.to_owned()),
            ("content-type".into(), content_type),
        ],
        body: Vec::new(),
    }
}

/// `<DescribeDBInstancesResponse><DescribeDBInstancesResult>...`, or EC2's form without a wrapper.
fn form(call: &Call<'_>, members: &Map<String, Value>, request_id: &str) -> Response {
    let ec2 = call.protocol == Protocol::Ec2;
    let mut response = begin(200, "text/xml;charset=UTF-8".to_owned(), request_id);
    let mut out = xml::Writer::default();
    let root = format!("{}Response", call.operation());
    if ec2 {
        out.declaration();
    }
    out.open_in(&root, call.service.xml_namespace());
    if ec2 {
        out.text_element("requestId", request_id);
    }
    let row = call.row();
    match (row.output(), row.wrapper()) {
        (Some(field), Some(wrapper)) => {
            out.open(wrapper);
            out.members(field.shape(), members);
            out.close(wrapper);
        }
        (Some(field), None) => out.members(field.shape(), members),
        // EC2's operations without an output say so.
        (None, _) if ec2 => out.text_element("return", "true"),
        (None, _) => {}
    }
    if !ec2 {
        out.open("ResponseMetadata");
        out.text_element("RequestId", request_id);
        out.close("ResponseMetadata");
    }
    out.close(&root);
    response.body = out.into_bytes();
    response
}
