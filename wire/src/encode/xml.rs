//! XML out.

use serde_json::{Map, Value};

use crate::model::{Field, Kind, Place, Shape, TimeFormat};
use crate::time;

/// A document while it grows.
#[derive(Default)]
pub(super) struct Writer {
    out: String,
}

impl Writer {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out.into_bytes()
    }

    pub(super) fn declaration(&mut self) {
        self.out
            .push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    }

    pub(super) fn open(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
    }

    /// Opens an element with a default namespace.
    pub(super) fn open_in(&mut self, name: &str, namespace: Option<&str>) {
        self.out.push('<');
        self.out.push_str(name);
        if let Some(namespace) = namespace {
            self.attribute("xmlns", namespace);
        }
        self.out.push('>');
    }

    pub(super) fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    pub(super) fn text_element(&mut self, name: &str, text: &str) {
        self.open(name);
        self.text(text);
        self.close(name);
    }

    /// The members of a structure that lie in the body, in the model's order.
    pub(super) fn members(&mut self, shape: Shape<'_>, values: &Map<String, Value>) {
        for member in shape.members() {
            if member.place() != Place::Body || member.is_attribute() {
                continue;
            }
            if let Some(value) = values.get(member.name()) {
                self.field(member, member.wire(), value);
            }
        }
    }

    /// A field as an element of this name; nothing for null and for values of another kind.
    pub(super) fn field(&mut self, field: Field<'_>, name: &str, value: &Value) {
        match (field.kind(), value) {
            (Kind::Structure, Value::Object(values)) => {
                self.open_structure(field, name, values);
                self.members(field.shape(), values);
                self.close(name);
            }
            (Kind::List, Value::Array(values)) => self.list(field, name, values),
            (Kind::Map, Value::Object(values)) => self.map(field, name, values),
            (Kind::Structure | Kind::List | Kind::Map, _) | (_, Value::Null) => {}
            (_, value) => {
                self.open(name);
                self.scalar(field, value);
                self.close(name);
            }
        }
    }

    fn open_structure(&mut self, field: Field<'_>, name: &str, values: &Map<String, Value>) {
        self.out.push('<');
        self.out.push_str(name);
        if let Some(namespace) = field.namespace() {
            match &namespace.prefix {
                Some(prefix) => self.attribute(&format!("xmlns:{prefix}"), &namespace.uri),
                None => self.attribute("xmlns", &namespace.uri),
            }
        }
        for member in field
            .shape()
            .members()
            .filter(|member| member.is_attribute())
        {
            if let Some(Value::String(value)) = values.get(member.name()) {
                self.attribute(member.wire(), value);
            }
        }
        self.out.push('>');
    }

    fn list(&mut self, field: Field<'_>, name: &str, values: &[Value]) {
        let element = field.shape().element();
        if field.is_flattened() {
            // Flattened lists go by their elements' name if they have one ("member" is the name of those that have none).
            let named = element.wire() != element.name();
            let name = if named { element.wire() } else { name };
            for value in values {
                self.field(element, name, value);
            }
            return;
        }
        self.open(name);
        for value in values {
            self.field(element, element.wire(), value);
        }
        self.close(name);
    }

    fn map(&mut self, field: Field<'_>, name: &str, values: &Map<String, Value>) {
        let (key, entry) = field.shape().entry();
        let around = if field.is_flattened() { name } else { "entry" };
        if !field.is_flattened() {
            self.open(name);
        }
        for (given, value) in values {
            self.open(around);
            self.text_element(key.wire(), given);
            self.field(entry, entry.wire(), value);
            self.close(around);
        }
        if !field.is_flattened() {
            self.close(name);
        }
    }

    fn scalar(&mut self, field: Field<'_>, value: &Value) {
        match value {
            Value::String(text) => self.text(text),
            value if field.kind() == Kind::Timestamp => {
                let format = field.time().or(TimeFormat::Iso8601);
                self.out
                    .push_str(&time::write(value, format).unwrap_or_default());
            }
            Value::Bool(true) => self.out.push_str("true"),
            Value::Bool(false) => self.out.push_str("false"),
            Value::Number(number) => self.out.push_str(&number.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => {}
        }
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        self.text(value);
        self.out.push('"');
    }

    /// Text with its markup escaped. What XML 1.0 cannot say at all becomes a replacement character.
    fn text(&mut self, text: &str) {
        let mut plain = 0;
        for (index, character) in text.char_indices() {
            let escaped = match character {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\r' => "&#xD;",
                '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'..='\u{10ffff}' => continue,
                _ => "\u{fffd}",
            };
            self.out.push_str(&text[plain..index]);
            self.out.push_str(escaped);
            plain = index + character.len_utf8();
        }
        self.out.push_str(&text[plain..]);
    }
}
