//! A YAML text as a tree in which every key and value knows its place.
//!
//! Limits on depth, size and aliases are the parser's, so that a small text can not become a large tree. What the keys mean
//! is not known here.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned};

use super::Language;
use crate::notes::{Note, Span};

/// The longest file that is read, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// The deepest nesting that is read; our files need 8.
const MAX_DEPTH: usize = 32;
/// The most keys, values and collections; several times what the largest possible stack needs.
const MAX_NODES: usize = 30_000;
/// The most that aliases may add.
const MAX_REPLAYED: usize = 20_000;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Where it stands.
    pub(super) span: Span,
    /// What it is.
    pub(super) value: Value,
}

/// A YAML value. Scalars keep their text as written, so that `engine-version: 16.10` is not rounded.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    /// A number with a fraction or out of an integer's range, as written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// What kind of value it is, as a user would say.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Integer(_) | Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The only entry of a mapping that has one.
    pub(super) fn choice(&self) -> Option<(&Self, &Self)> {
        match &self.value {
            Value::Map(entries) => match entries.as_slice() {
                [(choice, content)] => Some((choice, content)),
                _ => None,
            },
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Number(_)
            | Value::Text(_)
            | Value::List(_) => None,
        }
    }

    /// A scalar as text.
    pub(super) fn text(&self) -> Option<String> {
        match &self.value {
            Value::Bool(value) => Some(value.to_string()),
            Value::Integer(value) => Some(value.to_string()),
            Value::Number(text) | Value::Text(text) => Some(text.clone()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }
}

/// Parses a text; a text that is no YAML yields the parser's complaint.
pub(super) fn parse(text: &str, language: Language) -> Result<Node, Note> {
    if text.len() > MAX_BYTES {
        return Err(too_large(language));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_documents: 2,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_REPLAYED,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    };
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| complaint(&error, text, language))?;
    Ok(located(raw, text))
}

/// The note about a text beyond [`MAX_BYTES`].
pub(super) fn too_large(language: Language) -> Note {
    let message = format!("this file is larger than 1 MiB, no {} is", language.noun);
    Note::error(Span::START, message)
}

fn complaint(error: &serde_saphyr::Error, text: &str, language: Language) -> Note {
    let noun = language.noun;
    let span = error
        .location()
        .map_or(Span::START, |location| span_of(&location));
    let lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
    let span = Span {
        line: span.line.clamp(1, lines.max(1)),
        column: span.column.max(1),
        length: span.length.clamp(1, 40),
    };
    let message = error.without_snippet().to_string();
    let message = message.lines().next().unwrap_or("this is not YAML");
    // The place is in the span already.
    let message = message
        .find(" at line ")
        .map_or(message, |at| &message[..at]);
    if message.starts_with("multiple YAML documents") {
        return Note::error(span, "a second YAML document begins here")
            .hint(format!("a {noun} is one document; take out the `---`"));
    }
    let hint = format!(
        "a {noun} is a YAML mapping; check indentation, quotes and brackets around this place"
    );
    Note::error(span, format!("not valid YAML: {message}")).hint(hint)
}

fn span_of(location: &Location) -> Span {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Span {
        line: small(location.line()),
        column: small(location.column()),
        length: small(location.span().len()).max(1),
    }
}

/// A value without the text it came from.
enum Raw {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

fn located(raw: Spanned<Raw>, text: &str) -> Node {
    let mut span = span_of(&raw.referenced);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(value) => Value::Bool(value),
        Raw::Integer(value) => Value::Integer(value),
        Raw::Float(value) => Value::Number(
            as_written(&raw.defined, text).map_or_else(|| value.to_string(), str::to_owned),
        ),
        Raw::Text(value) => Value::Text(value),
        Raw::List(items) => {
            Value::List(items.into_iter().map(|item| located(item, text)).collect())
        }
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| (located(key, text), located(value, text)))
                .collect(),
        ),
    };
    // A collection's place is its first line, for a caret under all of it points at nothing.
    if matches!(value, Value::List(_) | Value::Map(_)) {
        span.length = 1;
    }
    Node { span, value }
}

/// The characters of a scalar.
fn as_written<'a>(location: &Location, text: &'a str) -> Option<&'a str> {
    let start = usize::try_from(location.span().byte_offset()?).ok()?;
    let length = usize::try_from(location.span().byte_len()?).ok()?;
    let written = text.get(start..start.checked_add(length)?)?.trim();
    written
        .starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.')
        .then_some(written)
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Integer(value.into()))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Integer(value))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Raw, E> {
        Ok(i128::try_from(value).map_or(Raw::Float(f64::MAX), Raw::Integer))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANGUAGE: Language = Language {
        noun: "sample",
        beginning: "",
    };

    fn outline(node: &Node) -> String {
        let Span {
            line,
            column,
            length,
        } = node.span;
        let value = match &node.value {
            Value::List(items) => format!("{:?}", items.iter().map(outline).collect::<Vec<_>>()),
            Value::Map(entries) => entries
                .iter()
                .map(|(key, value)| format!("{}={}", outline(key), outline(value)))
                .collect::<Vec<_>>()
                .join("; "),
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Number(_)
            | Value::Text(_) => format!("{:?}", node.value),
        };
        format!("{value}@{line}:{column}+{length}").replace('"', "")
    }

    #[test]
    fn every_key_and_value_has_a_place() {
        let text = "a: 16.10\nb: [x, no, \"q\"]\nb: true\n? d\n: null\n";
        insta::assert_snapshot!(
            outline(&parse(text, LANGUAGE).unwrap()),
            @"Text(a)@1:1+1=Number(16.10)@1:4+5; Text(b)@2:1+1=[Text(x)@2:5+1, Text(no)@2:8+2, Text(q)@2:12+3]@2:4+1; Text(b)@3:1+1=Bool(true)@3:4+4; Text(d)@4:3+1=Null@5:3+4@1:1+1"
        );
    }

    #[test]
    fn bombs_are_refused() {
        let deep = "[".repeat(5_000);
        let nested = format!("{}x", "a: {".repeat(500));
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..10 {
            let alias = format!("*a{},", n - 1).repeat(10);
            laughs.push_str(&format!("a{n}: &a{n} [{alias}]\n"));
        }
        let many = "- x\n".repeat(200_000);
        for (name, text) in [
            ("deep", deep),
            ("nested", nested),
            ("laughs", laughs),
            ("many", many),
        ] {
            assert!(parse(&text, LANGUAGE).is_err(), "{name} was accepted");
        }
        let long = " ".repeat(MAX_BYTES + 1);
        assert_eq!(parse(&long, LANGUAGE), Err(too_large(LANGUAGE)));
    }
}
