//! Durations as ISO 8601 writes them: `PT1M`, `PT1H30M`.

use std::time::Duration;

/// Reads one; years, months, weeks and fractions are none.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix('P')?;
    let (days, time) = rest.split_once('T').map_or((rest, None), |(days, time)| {
        (days, Some(time).filter(|it| !it.is_empty()))
    });
    if days.is_empty() && time.is_none() || text.ends_with('T') {
        return None;
    }
    let days = parts(days, &[('D', 86_400)])?;
    let time = parts(
        time.unwrap_or_default(),
        &[('H', 3_600), ('M', 60), ('S', 1)],
    )?;
    days.checked_add(time).map(Duration::from_secs)
}

/// Numbers with their letters, in this order, each at most once.
fn parts(mut text: &str, units: &[(char, u64)]) -> Option<u64> {
    let mut total: u64 = 0;
    for (letter, seconds) in units {
        let digits = text
            .find(|it: char| !it.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, rest) = text.split_at(digits);
        if let Some(rest) = rest.strip_prefix(*letter) {
            let number: u64 = number.parse().ok()?;
            total = total.checked_add(number.checked_mul(*seconds)?)?;
            text = rest;
        }
    }
    text.is_empty().then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s9_1_durations_are_iso_8601() {
        for (text, seconds) in [
            ("PT1M", Some(60)),
            ("PT12H", Some(43_200)),
            ("PT1H30M5S", Some(5_405)),
            ("P1D", Some(86_400)),
            ("P1DT1H", Some(90_000)),
            ("PT0S", Some(0)),
            ("", None),
            ("P", None),
            ("PT", None),
            ("P1DT", None),
            ("PTM", None),
            ("1M", None),
            ("PT1", None),
            ("PT1M1H", None),
            ("PT1.5M", None),
            ("PT-1M", None),
            ("pt1m", None),
            ("PT99999999999999999999H", None),
            ("PT9999999999999999999H", None),
        ] {
            assert_eq!(parse(text), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
