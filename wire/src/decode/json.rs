//! Inputs of JSON calls, and the bodies of REST-JSON ones.

use serde_json::{Map, Value};

use super::scalar::blob;
use super::{DEPTH_MAX, Misread};
use crate::model::{Field, Kind, Place, Shape};
use crate::path::{Path, Step};
use crate::time;

pub(super) fn read(input: Field<'_>, body: &[u8]) -> Result<Value, Misread> {
    let value = parse(body)?;
    if !value.is_object() {
        return Err(Walk::default().unexpected(input, &value));
    }
    Walk::default().value(input, value)
}

/// The value of one field, for REST payloads.
pub(super) fn read_field(field: Field<'_>, body: &[u8]) -> Result<Value, Misread> {
    Walk::default().value(field, parse(body)?)
}

/// serde_json refuses to go deeper than 128 levels by itself.
fn parse(body: &[u8]) -> Result<Value, Misread> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(body).map_err(|error| Misread::Syntax(error.to_string()))
}

#[derive(Default)]
struct Walk<'m> {
    path: Path<'m>,
}

impl<'m> Walk<'m> {
    fn value(&mut self, field: Field<'m>, value: Value) -> Result<Value, Misread> {
        if self.path.depth() > DEPTH_MAX {
            return Err(Misread::TooDeep);
        }
        match (field.kind(), value) {
            (Kind::Document, value) | (_, value @ Value::Null) => Ok(value),
            (Kind::Structure, Value::Object(members)) => self.structure(field.shape(), members),
            (Kind::List, Value::Array(elements)) => self.list(field, elements),
            (Kind::Map, Value::Object(entries)) => self.map(field, entries),
            (Kind::String, value @ Value::String(_)) | (Kind::Boolean, value @ Value::Bool(_)) => {
                Ok(value)
            }
            (Kind::Blob, Value::String(text)) => {
                blob(&text).ok_or_else(|| Misread::Syntax("Invalid base64".to_owned()))
            }
            (Kind::Integer, Value::Number(number)) => whole(&number)
                .filter(|number| i32::try_from(*number).is_ok())
                .map(Value::from)
                .ok_or_else(|| self.unexpected(field, &Value::Number(number))),
            (Kind::Long, Value::Number(number)) => whole(&number)
                .map(Value::from)
                .ok_or_else(|| self.unexpected(field, &Value::Number(number))),
            (Kind::Float | Kind::Double, value @ Value::Number(_)) => Ok(value),
            (Kind::Float | Kind::Double, Value::String(text))
                if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") =>
            {
                Ok(Value::String(text))
            }
            (Kind::Timestamp, Value::Number(number)) => number
                .as_f64()
                .and_then(time::from_seconds)
                .ok_or_else(|| self.unexpected(field, &Value::Number(number))),
            (Kind::Timestamp, Value::String(text)) => {
                time::read(&text).ok_or_else(|| self.unexpected(field, &Value::String(text)))
            }
            (_, other) => Err(self.unexpected(field, &other)),
        }
    }

    fn structure(
        &mut self,
        shape: Shape<'m>,
        mut given: Map<String, Value>,
    ) -> Result<Value, Misread> {
        let mut members = Map::new();
        for member in shape
            .members()
            .filter(|member| member.place() == Place::Body)
        {
            let Some(value) = given.get_mut(member.wire()).map(Value::take) else {
                continue;
            };
            if value.is_null() {
                continue;
            }
            self.path.push(Step::Member(member));
            members.insert(member.name().to_owned(), self.value(member, value)?);
            self.path.pop();
        }
        Ok(Value::Object(members))
    }

    fn list(&mut self, field: Field<'m>, elements: Vec<Value>) -> Result<Value, Misread> {
        let element = field.shape().element();
        let mut values = Vec::with_capacity(elements.len());
        for (index, value) in elements.into_iter().enumerate() {
            self.path.push(Step::Element(element, index + 1, false));
            values.push(self.value(element, value)?);
            self.path.pop();
        }
        Ok(Value::Array(values))
    }

    fn map(&mut self, field: Field<'m>, entries: Map<String, Value>) -> Result<Value, Misread> {
        let (_, value_field) = field.shape().entry();
        let mut values = Map::new();
        for (key, value) in entries {
            self.path.push(Step::Key(key.clone()));
            values.insert(key, self.value(value_field, value)?);
            self.path.pop();
        }
        Ok(Value::Object(values))
    }

    fn unexpected(&self, field: Field<'m>, found: &Value) -> Misread {
        let found = match found {
            Value::Null => "NULL_VALUE",
            Value::Bool(true) => "TRUE_VALUE",
            Value::Bool(false) => "FALSE_VALUE",
            Value::Number(_) => "NUMBER_VALUE",
            Value::String(_) => "STRING_VALUE",
            Value::Array(_) => "START_OF_LIST",
            Value::Object(_) => "START_OF_STRUCTURE",
        };
        Misread::Unexpected {
            path: self.path.coral(),
            found: found.to_owned(),
            expected: field.kind(),
        }
    }
}

/// A number without a fraction, however it is written.
fn whole(number: &serde_json::Number) -> Option<i64> {
    if let Some(whole) = number.as_i64() {
        return Some(whole);
    }
    let float = number.as_f64()?;
    (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64)
}
