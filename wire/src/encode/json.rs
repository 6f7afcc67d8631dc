//! JSON out.

use serde_json::{Map, Value};

use crate::model::{Field, Kind, Place, Shape, TimeFormat};
use crate::time;

/// A structure's members that lie in the body.
pub(super) fn structure(shape: Shape<'_>, values: &Map<String, Value>, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut first = true;
    members(shape, values, &mut first, out);
    out.push(b'}');
}

/// The members without the braces; `first` says whether a comma is due.
pub(super) fn members(
    shape: Shape<'_>,
    values: &Map<String, Value>,
    first: &mut bool,
    out: &mut Vec<u8>,
) {
    for member in shape
        .members()
        .filter(|member| member.place() == Place::Body)
    {
        let value = values
            .get(member.name())
            .filter(|value| fits(member, value));
        if let Some(value) = value {
            key(member.wire(), first, out);
            field(member, value, out);
        }
    }
}

pub(super) fn key(name: &str, first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.push(b',');
    }
    text(name, out);
    out.push(b':');
}

pub(super) fn text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a text can be written to memory");
}

fn fits(field: Field<'_>, value: &Value) -> bool {
    match field.kind() {
        Kind::Structure | Kind::Map => value.is_object(),
        Kind::List => value.is_array(),
        Kind::Timestamp => time::milliseconds(value).is_some(),
        Kind::Document => true,
        Kind::String
        | Kind::Blob
        | Kind::Boolean
        | Kind::Integer
        | Kind::Long
        | Kind::Float
        | Kind::Double => !value.is_null() && !value.is_object() && !value.is_array(),
    }
}

/// One value.
pub(super) fn field(field: Field<'_>, value: &Value, out: &mut Vec<u8>) {
    match (field.kind(), value) {
        (Kind::Structure, Value::Object(values)) => structure(field.shape(), values, out),
        (Kind::List, Value::Array(values)) => {
            let element = field.shape().element();
            out.push(b'[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                self::field(element, value, out);
            }
            out.push(b']');
        }
        (Kind::Map, Value::Object(values)) => {
            let (_, entry) = field.shape().entry();
            let mut first = true;
            out.push(b'{');
            for (name, value) in values {
                key(name, &mut first, out);
                self::field(entry, value, out);
            }
            out.push(b'}');
        }
        (Kind::Timestamp, value) => timestamp(field, value, out),
        (_, value) => serde_json::to_writer(out, value).expect("a value can be written to memory"),
    }
}

fn timestamp(field: Field<'_>, value: &Value, out: &mut Vec<u8>) {
    let written = match field.time() {
        TimeFormat::Default | TimeFormat::Unix => {
            time::milliseconds(value).map(|milliseconds| time::number(milliseconds).to_string())
        }
        format @ (TimeFormat::Iso8601 | TimeFormat::Rfc822) => {
            time::write(value, format).map(|text| format!("\"{text}\""))
        }
    };
    out.extend_from_slice(written.as_deref().unwrap_or("null").as_bytes());
}
