//! Timestamps: in values a number of seconds since the epoch with millisecond fractions, on the wire what protocol and model say.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::{Number, Value};

use crate::model::TimeFormat;

/// A timestamp as a value: `1700000000.5`. Whole seconds are integers.
pub fn timestamp(milliseconds: i64) -> Value {
    if milliseconds % 1000 == 0 {
        return Value::from(milliseconds / 1000);
    }
    Value::from(milliseconds as f64 / 1000.0)
}

/// The milliseconds of a timestamp in a value.
pub fn milliseconds(value: &Value) -> Option<i64> {
    if let Some(seconds) = value.as_i64() {
        return seconds.checked_mul(1000);
    }
    let milliseconds = (value.as_f64()? * 1000.0).round();
    (milliseconds.abs() < 9e15).then_some(milliseconds as i64)
}

/// Reads any of AWS's ways to write a timestamp; clients mix them.
pub(crate) fn read(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return from_seconds(seconds);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(timestamp(time.as_millisecond()));
    }
    if let Ok(zoned) = rfc2822::parse(text) {
        return Some(timestamp(zoned.timestamp().as_millisecond()));
    }
    // A date, or a date and a time without a zone, is in UTC.
    let local: jiff::civil::DateTime = text.parse().ok()?;
    let time = local.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(timestamp(time.timestamp().as_millisecond()))
}

/// Seconds as a client sent them: `None` beyond what a timestamp can be.
pub(crate) fn from_seconds(seconds: f64) -> Option<Value> {
    let milliseconds = (seconds * 1000.0).round();
    if !milliseconds.is_finite() {
        return None;
    }
    Timestamp::from_millisecond(milliseconds as i64).ok()?;
    Some(timestamp(milliseconds as i64))
}

/// Writes a timestamp in a format. `None` for what is not one.
pub(crate) fn write(value: &Value, format: TimeFormat) -> Option<String> {
    let milliseconds = milliseconds(value)?;
    let time = Timestamp::from_millisecond(milliseconds).ok()?;
    Some(match format {
        TimeFormat::Iso8601 | TimeFormat::Default if milliseconds % 1000 == 0 => {
            time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
        }
        TimeFormat::Iso8601 | TimeFormat::Default => {
            time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
        }
        TimeFormat::Rfc822 => time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        TimeFormat::Unix => number(milliseconds).to_string(),
    })
}

/// Seconds as a JSON number.
pub(crate) fn number(milliseconds: i64) -> Number {
    if milliseconds % 1000 == 0 {
        return Number::from(milliseconds / 1000);
    }
    Number::from_f64(milliseconds as f64 / 1000.0).unwrap_or_else(|| Number::from(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{milliseconds, read, timestamp, write};
    use crate::model::TimeFormat;

    #[test]
    fn every_format_reads_as_the_same_number() {
        for text in [
            "1700000000",
            "2023-11-14T22:13:20Z",
            "2023-11-14T22:13:20.000Z",
            "2023-11-14T22:13:20",
            "Tue, 14 Nov 2023 22:13:20 GMT",
        ] {
            assert_eq!(read(text), Some(json!(1_700_000_000)), "{text}");
        }
        assert_eq!(read("2023-11-14T22:13:20.5Z"), Some(json!(1_700_000_000.5)));
        assert_eq!(read("yesterday"), None);
        assert_eq!(read("inf"), None);
        assert_eq!(read("1e300"), None);
    }

    #[test]
    fn milliseconds_survive_there_and_back() {
        for format in [TimeFormat::Iso8601, TimeFormat::Unix] {
            let value = timestamp(1_700_000_000_123);
            let text = write(&value, format).expect("it is a timestamp");
            assert_eq!(read(&text), Some(value));
        }
        assert_eq!(milliseconds(&json!("x")), None);
        assert_eq!(milliseconds(&json!(i64::MAX)), None);
    }
}
