//! Inputs of REST calls: labels, query and headers, and the body.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::{Misread, json, scalar, xml};
use crate::model::{Field, Kind, Place};
use crate::request::Request;
use crate::text;

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

pub(super) fn read(
    input: Field<'_>,
    request: &Request<'_>,
    labels: &[(String, String)],
    is_xml: bool,
) -> Result<Value, Misread> {
    let query = text::pairs(request.query())
        .ok_or_else(|| Misread::Syntax("The query string contains a syntax error".to_owned()))?;
    let mut members = Map::new();
    for member in input.shape().members() {
        let read = match member.place() {
            Place::Uri => {
                let label = labels.iter().find(|(name, _)| name == member.wire());
                label
                    .map(|(_, value)| from_text(member, value))
                    .transpose()?
            }
            Place::Query => from_query(input, member, &query)?,
            Place::Header => match request.header(member.wire()) {
                Some(value) => Some(from_header(member, value)?),
                None => None,
            },
            Place::HeaderPrefix => from_headers(member, request),
            Place::Body | Place::Status => None,
        };
        if let Some(value) = read {
            members.insert(member.name().to_owned(), value);
        }
    }
    body(input, request.body, is_xml, &mut members)?;
    Ok(Value::Object(members))
}

fn body(
    input: Field<'_>,
    body: &[u8],
    is_xml: bool,
    members: &mut Map<String, Value>,
) -> Result<(), Misread> {
    if let Some(payload) = input.shape().payload() {
        if body.is_empty() {
            return Ok(());
        }
        let value = if payload.kind() == Kind::Blob {
            Value::from(BASE64_STANDARD.encode(body))
        } else if payload.kind() == Kind::String {
            let text = std::str::from_utf8(body);
            Value::from(text.map_err(|_| Misread::Syntax("Invalid UTF-8".to_owned()))?)
        } else if is_xml {
            xml::read(payload, body)?
        } else {
            json::read_field(payload, body)?
        };
        members.insert(payload.name().to_owned(), value);
        return Ok(());
    }
    let wanted = input
        .shape()
        .members()
        .any(|member| member.place() == Place::Body);
    if body.is_empty() || !wanted {
        return Ok(());
    }
    let read = if is_xml {
        xml::read(input, body)?
    } else {
        json::read(input, body)?
    };
    if let Value::Object(read) = read {
        members.extend(read);
    }
    Ok(())
}

fn from_text(field: Field<'_>, text: &str) -> Result<Value, Misread> {
    scalar::from_text(field, text).ok_or_else(|| Misread::Unexpected {
        path: field.name().to_owned(),
        found: "STRING_VALUE".to_owned(),
        expected: field.kind(),
    })
}

fn from_query(
    input: Field<'_>,
    member: Field<'_>,
    query: &Pairs<'_>,
) -> Result<Option<Value>, Misread> {
    let given = || query.iter().filter(|(name, _)| name == member.wire());
    match member.kind() {
        Kind::List => {
            let element = member.shape().element();
            let values: Result<Vec<Value>, Misread> = given()
                .map(|(_, value)| from_text(element, value))
                .collect();
            Ok(Some(values?)
                .filter(|values| !values.is_empty())
                .map(Value::Array))
        }
        Kind::Map => {
            let taken = |name: &str| {
                let mut members = input.shape().members();
                members.any(|other| {
                    other.place() == Place::Query
                        && other.kind() != Kind::Map
                        && other.wire() == name
                })
            };
            let mut entries = Map::new();
            for (name, value) in query.iter().filter(|(name, _)| !taken(name)) {
                let value = Value::from(value.as_ref());
                if member.shape().entry().1.kind() == Kind::List {
                    let list = entries
                        .entry(name.as_ref())
                        .or_insert_with(|| Value::Array(Vec::new()));
                    if let Value::Array(values) = list {
                        values.push(value);
                    }
                } else {
                    entries.insert(name.to_string(), value);
                }
            }
            Ok((!entries.is_empty()).then_some(Value::Object(entries)))
        }
        Kind::Structure
        | Kind::String
        | Kind::Blob
        | Kind::Boolean
        | Kind::Integer
        | Kind::Long
        | Kind::Float
        | Kind::Double
        | Kind::Timestamp
        | Kind::Document => given()
            .next()
            .map(|(_, value)| from_text(member, value))
            .transpose(),
    }
}

fn from_header(member: Field<'_>, value: &str) -> Result<Value, Misread> {
    if member.is_json_value() {
        let bytes = BASE64_STANDARD
            .decode(value)
            .unwrap_or_else(|_| value.into());
        return serde_json::from_slice(&bytes).map_err(|error| Misread::Syntax(error.to_string()));
    }
    if member.kind() != Kind::List {
        return from_text(member, value);
    }
    let element = member.shape().element();
    let values: Result<Vec<Value>, Misread> = header_list(value, element.kind() == Kind::Timestamp)
        .into_iter()
        .map(|value| from_text(element, &value))
        .collect();
    values.map(Value::Array)
}

/// The elements of a header list: separated by commas, quoted where they have one. A date of HTTP has a comma of its own.
fn header_list(text: &str, dates: bool) -> Vec<String> {
    if dates {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        return parts.chunks(2).map(|date| date.join(", ")).collect();
    }
    let (mut values, mut value) = (Vec::new(), String::new());
    let (mut quoted, mut escaped) = (false, false);
    for character in text.chars() {
        match character {
            _ if escaped => {
                value.push(character);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => values.push(std::mem::take(&mut value).trim().to_owned()),
            _ => value.push(character),
        }
    }
    values.push(value.trim().to_owned());
    values
}

fn from_headers(member: Field<'_>, request: &Request<'_>) -> Option<Value> {
    let prefix = member.wire();
    let mut entries = Map::new();
    for (name, value) in request.headers {
        let fits = name
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        if fits && let Ok(value) = std::str::from_utf8(value) {
            entries.insert(name[prefix.len()..].to_owned(), Value::from(value));
        }
    }
    (!entries.is_empty()).then_some(Value::Object(entries))
}
