//! CBOR out: definite lengths, doubles, timestamps with tag 1.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use crate::model::{Field, Kind, Shape};
use crate::time;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const NULL: u8 = 0xf6;

pub(super) fn structure(shape: Shape<'_>, values: &Map<String, Value>, out: &mut Vec<u8>) {
    members(shape, values, &[], out);
}

/// A structure with entries of our own in front, as errors have them.
pub(super) fn members(
    shape: Shape<'_>,
    values: &Map<String, Value>,
    ours: &[(&str, &str)],
    out: &mut Vec<u8>,
) {
    let present = || {
        let with_values = shape
            .members()
            .map(|member| (member, values.get(member.name())));
        with_values
            .filter_map(|(member, value)| Some((member, value.filter(|value| !value.is_null())?)))
    };
    head(MAP, (ours.len() + present().count()) as u64, out);
    for (name, value) in ours {
        text(name, out);
        text(value, out);
    }
    for (member, value) in present() {
        text(member.wire(), out);
        field(member, value, out);
    }
}

/// A map of texts, for errors without a shape.
pub(super) fn texts(entries: &[(&str, &str)], out: &mut Vec<u8>) {
    head(MAP, entries.len() as u64, out);
    for (name, value) in entries {
        text(name, out);
        text(value, out);
    }
}

pub(super) fn empty(out: &mut Vec<u8>) {
    head(MAP, 0, out);
}

fn field(field: Field<'_>, value: &Value, out: &mut Vec<u8>) {
    match (field.kind(), value) {
        (Kind::Structure, Value::Object(values)) => structure(field.shape(), values, out),
        (Kind::List, Value::Array(values)) => {
            head(ARRAY, values.len() as u64, out);
            for value in values {
                self::field(field.shape().element(), value, out);
            }
        }
        (Kind::Map, Value::Object(values)) => {
            head(MAP, values.len() as u64, out);
            for (name, value) in values {
                text(name, out);
                self::field(field.shape().entry().1, value, out);
            }
        }
        (Kind::Timestamp, value) => match time::milliseconds(value) {
            Some(milliseconds) => {
                head(TAG, 1, out);
                float(milliseconds as f64 / 1000.0, out);
            }
            None => out.push(NULL),
        },
        (Kind::Blob, Value::String(encoded)) => {
            let bytes = BASE64_STANDARD.decode(encoded).unwrap_or_default();
            head(BYTES, bytes.len() as u64, out);
            out.extend_from_slice(&bytes);
        }
        (Kind::Float | Kind::Double, value) => match special(value) {
            Some(number) => float(number, out),
            None => out.push(NULL),
        },
        (_, Value::String(given)) => text(given, out),
        (_, Value::Bool(given)) => out.push(if *given { 0xf5 } else { 0xf4 }),
        (_, Value::Number(number)) => match number.as_i64() {
            Some(number) if number < 0 => head(NEGATIVE, number.unsigned_abs() - 1, out),
            Some(number) => head(UNSIGNED, number.unsigned_abs(), out),
            None => float(number.as_f64().unwrap_or_default(), out),
        },
        (_, _) => out.push(NULL),
    }
}

fn special(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
        None => value.as_f64(),
    }
}

fn float(number: f64, out: &mut Vec<u8>) {
    out.push(0xfb);
    out.extend_from_slice(&number.to_be_bytes());
}

fn text(text: &str, out: &mut Vec<u8>) {
    head(TEXT, text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

fn head(major: u8, number: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    match number {
        0..=23 => out.push(major | number as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, number as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&(number as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&(number as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}
