//! The scalar forms of our files: durations, status codes, words, versions.
//!
//! Each says in its JSON schema what it looks like; the forms that a schema can not check carry a `format` of ours, which
//! `problem` knows.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::decode::At;
use super::rate::{self, Rate};
use crate::duration;

/// A duration as `500ms`, `30s`, `5m` or `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(pub Duration);

/// A shortest and a longest duration, `60s-120s`, or one for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodRange(pub Duration, pub Duration);

/// A duration, or `none` for no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub Option<Duration>);

/// Status codes as AWS writes them: `200`, `200-299`, `200,301-302`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusCodes(pub Vec<(u16, u16)>);

/// One word or a list of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(pub Vec<At<String>>);

/// A version as `16` or `16.10`; only the major part chooses anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub u16);

/// Text that may look like a number or a truth value, `8080` or `true`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal(pub String);

/// A mapping from names to things, in the file's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<T>(pub Vec<(At<String>, At<T>)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Named<T> {
    /// The names and things.
    pub fn iter(&self) -> impl Iterator<Item = (&At<String>, &At<T>)> {
        self.0.iter().map(|(name, thing)| (name, thing))
    }
}

/// What is wrong with a text of one of our formats, and what it should look like.
pub(super) fn problem(format: &str, text: &str) -> Option<&'static str> {
    match format {
        PERIOD if parse_period(text).is_none() => {
            Some("a duration is written \"500ms\", \"30s\", \"5m\" or \"1h\"")
        }
        PERIOD_RANGE if parse_range(text).is_none() => {
            Some("write a duration, \"5s\", or a shortest and a longest, \"60s-120s\"")
        }
        LIMIT if parse_limit(text).is_none() => {
            Some("write a duration, \"500ms\", or `none` for no end")
        }
        STATUS_CODES if parse_codes(text).is_none() => {
            Some("write status codes as \"200\", \"200-299\" or \"200,301-302\"")
        }
        VERSION if parse_version(text).is_none() => Some("write a version as 16 or \"16.10\""),
        // A bare number out of range is told as one.
        rate::FORMAT if Rate::parse(text).is_none() && text.parse::<i128>().is_err() => {
            Some(rate::PROBLEM)
        }
        _ => None,
    }
}

const PERIOD: &str = "localaws-duration";
const PERIOD_RANGE: &str = "localaws-duration-range";
const LIMIT: &str = "localaws-duration-or-none";
const STATUS_CODES: &str = "localaws-status-codes";
const VERSION: &str = "localaws-version";

fn parse_period(text: &str) -> Option<Duration> {
    // Nothing in a file is finer than a timer is.
    let whole = |period: &Duration| period.subsec_nanos().is_multiple_of(1_000_000);
    duration::parse(text).filter(whole)
}

fn parse_range(text: &str) -> Option<(Duration, Duration)> {
    match text.split_once('-') {
        Some((shortest, longest)) => {
            let range = (
                parse_period(shortest.trim())?,
                parse_period(longest.trim())?,
            );
            (range.0 <= range.1).then_some(range)
        }
        None => parse_period(text).map(|both| (both, both)),
    }
}

fn parse_limit(text: &str) -> Option<Option<Duration>> {
    match text {
        "none" => Some(None),
        text => parse_period(text).map(Some),
    }
}

fn parse_codes(text: &str) -> Option<Vec<(u16, u16)>> {
    let code = |text: &str| {
        let code: u16 = text.trim().parse().ok()?;
        (100..=599).contains(&code).then_some(code)
    };
    text.split(',')
        .map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range = (code(first)?, code(last)?);
            (range.0 <= range.1).then_some(range)
        })
        .collect()
}

fn parse_version(text: &str) -> Option<u16> {
    let mut parts = text.split('.');
    let major = parts.next()?.parse().ok()?;
    parts
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit() || b == b'x'))
        .then_some(major)
}

/// In seconds, as AWS writes its limits and defaults, where they are whole.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis.is_multiple_of(1_000) {
            write!(f, "{}s", millis / 1_000)
        } else {
            write!(f, "{millis}ms")
        }
    }
}

impl fmt::Display for PeriodRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(shortest, longest) = *self;
        if shortest == longest {
            Period(shortest).fmt(f)
        } else {
            write!(f, "{}-{}", Period(shortest), Period(longest))
        }
    }
}

impl fmt::Display for StatusCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            if first == last {
                write!(f, "{first}")?;
            } else {
                write!(f, "{first}-{last}")?;
            }
        }
        Ok(())
    }
}

macro_rules! text_form {
    ($name:ident, $parse:expr, $format:expr, $types:tt, $examples:tt, $description:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let parse: fn(&str) -> Option<Self> = $parse;
                parse(&text).ok_or_else(|| {
                    de::Error::custom(problem($format, &text).unwrap_or("not of this form"))
                })
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": $types, "format": $format, "examples": $examples, "description": $description,
                })
            }
        }
    };
}

text_form!(
    Period,
    |text| parse_period(text).map(Self),
    PERIOD,
    "string",
    ["500ms", "30s", "5m"],
    "A duration: 500ms, 30s, 5m, 1h."
);
text_form!(
    PeriodRange,
    |text| parse_range(text).map(|(shortest, longest)| Self(shortest, longest)),
    PERIOD_RANGE,
    "string",
    ["60s-120s", "0s"],
    "A shortest and a longest duration, or one for both."
);
text_form!(
    Limit,
    |text| parse_limit(text).map(Self),
    LIMIT,
    "string",
    ["500ms", "none"],
    "A duration, or `none` for no end."
);
text_form!(
    StatusCodes,
    |text| parse_codes(text).map(Self),
    STATUS_CODES,
    ["string", "integer"],
    ["200", "200-299"],
    "Status codes: 200, 200-299, 200,301-302."
);
text_form!(
    Version,
    |text| parse_version(text).map(Self),
    VERSION,
    ["integer", "number", "string"],
    ["16", "16.10"],
    "A version; only its major part chooses anything."
);
text_form!(
    Literal,
    |text| Some(Self(text.to_owned())),
    "",
    ["string", "number", "boolean"],
    ["8080"],
    "Text."
);

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whole = At::<WordOrList>::deserialize(deserializer)?;
        Ok(Self(match whole.value {
            WordOrList::Word(value) => vec![At {
                span: whole.span,
                value,
            }],
            WordOrList::List(words) => words,
        }))
    }
}

enum WordOrList {
    Word(String),
    List(Vec<At<String>>),
}

impl<'de> Deserialize<'de> for WordOrList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsVisitor)
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = WordOrList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a list of texts")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<WordOrList, E> {
        Ok(WordOrList::Word(word.to_owned()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<WordOrList, E> {
        Ok(WordOrList::Word(number.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<WordOrList, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = items.next_element()? {
            words.push(word);
        }
        Ok(WordOrList::List(words))
    }
}

impl JsonSchema for Words {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Words".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "array"], "items": { "type": "string" }, "description": "Text or a list of texts.",
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamedVisitor(std::marker::PhantomData))
    }
}

struct NamedVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for NamedVisitor<T> {
    type Value = Named<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping from names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Named<T>, A::Error> {
        let mut named = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            named.push(entry);
        }
        Ok(Named(named))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("NamesOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let thing = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": thing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_and_written() {
        let period = |text| parse_period(text).map(|p| Period(p).to_string());
        assert_eq!(period("30s").as_deref(), Some("30s"));
        assert_eq!(period("5m").as_deref(), Some("300s"));
        assert_eq!(period("1m30s").as_deref(), Some("90s"));
        assert_eq!(period("1.5s").as_deref(), Some("1500ms"));
        for bad in [
            "",
            "30",
            "s",
            "-1s",
            "1.5ms",
            "30 s",
            "99999999999999999999s",
            "9000h",
        ] {
            assert_eq!(period(bad), None, "{bad}");
        }
        let range = |text| parse_range(text).map(|(a, b)| PeriodRange(a, b).to_string());
        assert_eq!(range("60s-120s").as_deref(), Some("60s-120s"));
        assert_eq!(range("2s").as_deref(), Some("2s"));
        assert_eq!(range("3s-2s"), None);
        let codes = |text| parse_codes(text).map(|codes| StatusCodes(codes).to_string());
        assert_eq!(codes("200,301-302").as_deref(), Some("200,301-302"));
        for bad in ["", "20x", "299-200", "200-", "99", "600"] {
            assert_eq!(codes(bad), None, "{bad}");
        }
        assert_eq!(parse_version("16.10"), Some(16));
        assert_eq!(parse_version("latest"), None);
    }
}
