//! Scalars from text, as forms, XML, URIs and headers have them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::model::{Field, Kind};
use crate::time;

/// `None` for a text that is no value of the field's kind.
pub(super) fn from_text(field: Field<'_>, text: &str) -> Option<Value> {
    Some(match field.kind() {
        Kind::Boolean => match text.trim() {
            text if text.eq_ignore_ascii_case("true") => Value::Bool(true),
            text if text.eq_ignore_ascii_case("false") => Value::Bool(false),
            _ => return None,
        },
        Kind::Integer => Value::from(text.trim().parse::<i32>().ok()?),
        Kind::Long => Value::from(text.trim().parse::<i64>().ok()?),
        Kind::Float | Kind::Double => match text.trim() {
            special @ ("NaN" | "Infinity" | "-Infinity") => Value::from(special),
            text => float(text.parse().ok()?)?,
        },
        Kind::Timestamp => time::read(text)?,
        Kind::Blob => blob(text)?,
        Kind::String | Kind::Document => Value::from(text),
        Kind::Structure | Kind::List | Kind::Map => return None,
    })
}

/// A finite number; the words for others are the caller's to handle.
pub(super) fn float(number: f64) -> Option<Value> {
    number.is_finite().then(|| Value::from(number))
}

/// Any number, those that JSON does not have as words.
pub(super) fn any_float(number: f64) -> Value {
    if number.is_nan() {
        return Value::from("NaN");
    }
    float(number).unwrap_or_else(|| {
        Value::from(if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        })
    })
}

/// Base64 in its one canonical form.
pub(super) fn blob(text: &str) -> Option<Value> {
    let bytes = BASE64_STANDARD.decode(text.trim()).ok()?;
    Some(Value::from(BASE64_STANDARD.encode(bytes)))
}
