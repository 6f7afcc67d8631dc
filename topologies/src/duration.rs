//! Durations as people write them: `250ms`, `3s`, `1m30s`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

/// The longest that is accepted: a year. More would overflow clocks that add durations.
pub const MAX: Duration = Duration::from_secs(365 * 86_400);

/// Parses `250ms`, `3s`, `1.5s`, `1m30s`, `2h`; none of anything else or of more than [`MAX`].
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let nanos = unit_nanos(unit).filter(|unit| *unit < last_unit)?;
        total = total.checked_add(scaled(number, nanos)?)?;
        last_unit = nanos;
        rest = tail;
    }
    (last_unit != u64::MAX && total <= MAX).then_some(total)
}

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// `number`, at most 12 digits with at most one point, times `nanos`.
fn scaled(number: &str, nanos: u64) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| -> Option<u64> {
        (1..=12)
            .contains(&text.len())
            .then(|| text.parse().ok())
            .flatten()
    };
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?.min(12));
    let parts = u128::from(digits(whole)?) * scale + u128::from(digits(fraction)?);
    let total = u64::try_from(parts * u128::from(nanos) / scale).ok()?;
    Some(Duration::from_nanos(total))
}

/// Text for people, exact to the microsecond and accepted by [`parse`]: `1m30s`, `2.5s`, `250ms`.
pub fn format(duration: Duration) -> String {
    let micros = duration.as_micros();
    let (minutes, rest) = (micros / 60_000_000, micros % 60_000_000);
    if minutes > 0 {
        let (hours, minutes) = (minutes / 60, minutes % 60);
        let part = |count: u128, unit| match count {
            0 => String::new(),
            count => format!("{count}{unit}"),
        };
        let seconds = match rest {
            0 => String::new(),
            rest => decimal(rest, 1_000_000, "s"),
        };
        return part(hours, "h") + &part(minutes, "m") + &seconds;
    }
    match micros {
        0 => "0s".to_owned(),
        1..1_000 => format!("{micros}us"),
        1_000..1_000_000 => decimal(micros, 1_000, "ms"),
        _ => decimal(micros, 1_000_000, "s"),
    }
}

fn decimal(micros: u128, unit: u128, name: &str) -> String {
    let width = if unit == 1_000 { 3 } else { 6 };
    let text = format!("{}.{:0width$}", micros / unit, micros % unit);
    format!("{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// For a measurement in a report: three digits are enough, `412ms`, `1.24s`.
pub fn rounded(duration: Duration) -> String {
    let micros = duration.as_micros();
    let step = match micros {
        0..10_000 => 10,
        10_000..1_000_000 => 1_000,
        1_000_000..60_000_000 => 10_000,
        _ => 1_000_000,
    };
    let micros = u64::try_from((micros + step / 2) / step * step).unwrap_or(u64::MAX);
    format(Duration::from_micros(micros))
}

/// For `#[serde(with)]`: writes [`format()`], reads [`parse`].
pub mod text {
    use super::{Deserialize, Deserializer, Duration, Serializer, de, format, parse};

    /// Writes a duration as text.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format(*duration))
    }

    /// Reads a duration from text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| {
            let message = format_args!("`{text}` is no duration, write `250ms`, `3s` or `1m30s`");
            de::Error::custom(message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn people_write_durations_like_this() {
        let check = |text: &str, millis: Option<u64>| {
            assert_eq!(parse(text), millis.map(Duration::from_millis), "{text}");
        };
        check("250ms", Some(250));
        check("3s", Some(3_000));
        check("1.5s", Some(1_500));
        check("1m30s", Some(90_000));
        check("2h", Some(7_200_000));
        check("0s", Some(0));
        for refused in [
            "",
            "3",
            "s",
            "3 s",
            "-3s",
            "3sec",
            "1.s",
            ".5s",
            "1.2.3s",
            "1s1s",
            "1s1m",
            "9000h",
            "9999999999999s",
            "1e3s",
        ] {
            check(refused, None);
        }
    }

    #[test]
    fn measurements_are_rounded() {
        let check = |micros, expected| {
            assert_eq!(rounded(Duration::from_micros(micros)), expected);
        };
        check(412_345, "412ms");
        check(1_236_000, "1.24s");
        check(83_400_000, "1m23s");
        check(999_999, "1s");
        check(57, "60us");
    }

    proptest! {
        #[test]
        fn what_is_formatted_is_parsed(micros in 0..MAX.as_micros()) {
            let duration = Duration::from_micros(u64::try_from(micros).unwrap());
            prop_assert_eq!(parse(&format(duration)), Some(duration));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            parse(&text);
        }
    }
}
