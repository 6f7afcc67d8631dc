//! The cookies by which a client stays where it was: which one a request has, and how one is set. Pure.
//!
//! AWS encrypts what is in them; here it is the time until which it holds and a number that stands for what it names, in hexadecimal.

use std::fmt::Write;
use std::time::Duration;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

/// The cookie of a target group and its twin for requests across origins ("Target group stickiness").
pub(crate) const TARGET_GROUP: [&str; 2] = ["AWSALBTG", "AWSALBTGCORS"];
/// The cookie of a target and its twin ("Sticky sessions").
pub(crate) const TARGET: [&str; 2] = ["AWSALB", "AWSALBCORS"];
/// The load balancer's cookie that goes with the application's; it has no twin.
pub(crate) const APPLICATION: [&str; 2] = ["AWSALBAPP-0", ""];
/// How long a browser keeps a cookie, whatever the stickiness lasts ("Sticky sessions": seven days).
const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// What a request's cookie names, if it holds at `now`, in seconds since 1970. The twin wins ("Sticky sessions").
pub(crate) fn named(headers: &HeaderMap, [plain, cors]: [&str; 2], now: u64) -> Option<u64> {
    let read = |name: &str| {
        let (until, named) = value(headers, name)?.split_once('-')?;
        let until = u64::from_str_radix(until, 16).ok()?;
        let named = u64::from_str_radix(named, 16).ok()?;
        (now < until).then_some(named)
    };
    read(cors).or_else(|| read(plain))
}

/// The value of a request's cookie.
pub(crate) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(COOKIE).iter();
    let mut pairs = all
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs.find_map(|pair| {
        let (own, value) = pair.trim().split_once('=')?;
        (own == name).then_some(value)
    })
}

/// Sets a cookie and its twin: it names `named` from `now` for as long as the stickiness lasts.
pub(crate) fn set(
    headers: &mut HeaderMap,
    names: [&str; 2],
    named: u64,
    now: u64,
    lasts: Duration,
) {
    let until = now.saturating_add(lasts.as_secs());
    let expires = date(now.saturating_add(KEPT.as_secs()));
    let named_ones = names.into_iter().filter(|name| !name.is_empty());
    for (name, ending) in named_ones.zip(["", "; SameSite=None"]) {
        let cookie = format!("{name}={until:x}-{named:016x}; Expires={expires}; Path=/{ending}");
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

/// Whether a response sets this cookie.
pub(crate) fn is_set(headers: &HeaderMap, name: &str) -> bool {
    let mut all = headers.get_all(SET_COOKIE).iter();
    all.any(|value| {
        let rest = value.as_bytes().strip_prefix(name.as_bytes());
        rest.is_some_and(|rest| rest.starts_with(b"="))
    })
}

/// A number that stands for a name, the same in every process: FNV-1a of 64 bits.
pub(crate) fn number(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7), from seconds since 1970.
fn date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb",
    ];
    let days = seconds / 86_400;
    // Years that begin in March have their odd day at the end; eras have 400 years, and 1970 begins 719,468 days after theirs.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = year_of_era + era * 400 + u64::from(month >= 10);
    let name = |names: &[&'static str], at: u64| {
        let at = usize::try_from(at).unwrap_or_default();
        names.get(at).copied().unwrap_or_default()
    };
    let mut date = String::with_capacity(29);
    let (weekday, month) = (name(&DAYS, days % 7), name(&MONTHS, month));
    let of_day = seconds % 86_400;
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    // A text takes all that is written to it.
    let _written = write!(
        date,
        "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"
    );
    date
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_700_000_000, "Tue, 14 Nov 2023 22:13:20 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }

    /// What is set is read back until it is over, and the twin wins (aws-behaviour §4.3).
    #[test]
    fn s4_3_a_cookie_comes_back() {
        let mut response = HeaderMap::new();
        let lasts = Duration::from_secs(60);
        set(&mut response, TARGET_GROUP, 7, 1_000, lasts);
        let set: Vec<_> = response.get_all(SET_COOKIE).iter().collect();
        assert_eq!(
            set[0],
            "AWSALBTG=424-0000000000000007; Expires=Thu, 08 Jan 1970 00:16:40 GMT; Path=/"
        );
        assert_eq!(
            set[1],
            "AWSALBTGCORS=424-0000000000000007; Expires=Thu, 08 Jan 1970 00:16:40 GMT; Path=/; SameSite=None"
        );
        let table = [
            ("AWSALBTG=424-7", 1_059, Some(7)),
            ("AWSALBTG=424-7", 1_060, None),
            ("a=b; AWSALBTG=424-7 ;c=d", 0, Some(7)),
            ("AWSALBTG=424-7; AWSALBTGCORS=424-8", 0, Some(8)),
            ("AWSALBTGCORS=x; AWSALBTG=424-7", 0, Some(7)),
            ("AWSALBTG=nonsense", 0, None),
            ("XAWSALBTG=424-7", 0, None),
            ("", 0, None),
        ];
        for (cookie, now, expected) in table {
            let mut request = HeaderMap::new();
            request.insert(COOKIE, HeaderValue::from_str(cookie).unwrap());
            assert_eq!(named(&request, TARGET_GROUP, now), expected, "{cookie}");
        }
    }
}
