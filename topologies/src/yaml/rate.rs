//! How often, as `5/s` or as the bare number of it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

/// So often a second: `5/s`, or `5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(pub u32);

impl Rate {
    /// Reads either form.
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.strip_suffix("/s").unwrap_or(text);
        number.parse().ok().map(Self)
    }
}

pub(super) const FORMAT: &str = "localaws-rate";
pub(super) const PROBLEM: &str = "write a rate as 5/s, in whole ones a second";

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RateVisitor)
    }
}

/// Reads a rate where only its number is kept.
///
/// # Errors
/// When it is none.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Rate::deserialize(deserializer).map(|rate| rate.0)
}

struct RateVisitor;

impl Visitor<'_> for RateVisitor {
    type Value = Rate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rate as 5/s")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Rate, E> {
        u32::try_from(number)
            .map(Rate)
            .map_err(|_| E::custom(PROBLEM))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Rate, E> {
        u32::try_from(number)
            .map(Rate)
            .map_err(|_| E::custom(PROBLEM))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
        Rate::parse(text).ok_or_else(|| E::custom(PROBLEM))
    }
}

impl JsonSchema for Rate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"], "format": FORMAT, "minimum": 0, "maximum": u32::MAX, "examples": ["5/s"],
            "description": "So often a second: 5/s, or 5.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_with_or_without_its_second() {
        assert_eq!(Rate::parse("5/s"), Some(Rate(5)));
        assert_eq!(Rate::parse("0"), Some(Rate(0)));
        for bad in ["", "/s", "5/m", "5 /s", "-1/s", "1.5/s", "99999999999/s"] {
            assert_eq!(Rate::parse(bad), None, "{bad}");
        }
        let read = |text| serde_json::from_str::<Rate>(text).ok();
        assert_eq!(read("7"), Some(Rate(7)));
        assert_eq!(read("\"7/s\""), Some(Rate(7)));
        assert_eq!(read("-7"), None);
    }
}
