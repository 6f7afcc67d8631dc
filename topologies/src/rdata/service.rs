//! Data of more than numbers and names: CAA (RFC 8659), NAPTR (RFC 3403), SVCB and HTTPS (RFC 9460).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Problem, name, number, problem, strings};

/// `0 issue "ca.example"`: flags, a tag, and a value to the data's end.
pub(super) fn caa(text: &str) -> Result<Vec<u8>, Problem> {
    let fewer = || {
        let why = "CAA record doesn't have 3 fields";
        problem("CAARRDATANotThreeFields", why, text)
    };
    let (flags, rest) = text.trim().split_once(' ').ok_or_else(fewer)?;
    let (tag, value) = rest.trim_start().split_once(' ').ok_or_else(fewer)?;
    let (value, behind) = strings::next(value.trim_start())?;
    if !behind.trim().is_empty() {
        return Err(fewer());
    }
    let plain = (1..=15).contains(&tag.len()) && tag.bytes().all(|it| it.is_ascii_alphanumeric());
    if !plain {
        let why = "CAA tag has 1 to 15 letters and digits";
        return Err(problem("CAARRDATAIllegalTag", why, tag));
    }
    Ok([
        number::<u8>(flags)?,
        strings::sized(tag.as_bytes(), text)?,
        value,
    ]
    .concat())
}

/// `100 10 "u" "sip+E2U" "!^.*$!sip:info@example.com!" .`
pub(super) fn naptr(text: &str) -> Result<Vec<u8>, Problem> {
    let fewer = || {
        let why = "NAPTR record doesn't have 6 fields";
        problem("NAPTRRRDATANotSixFields", why, text)
    };
    let (order, rest) = text.trim().split_once(' ').ok_or_else(fewer)?;
    let (preference, mut rest) = rest.trim_start().split_once(' ').ok_or_else(fewer)?;
    let mut bytes = [number::<u16>(order)?, number::<u16>(preference)?].concat();
    for _ in 0..3 {
        let (string, behind) = strings::next(rest.trim_start())?;
        bytes.extend(strings::sized(&string, text)?);
        rest = behind;
    }
    bytes.extend(name(rest.trim())?);
    Ok(bytes)
}

/// The keys of parameters that have names (IANA, "Service Parameter Keys").
const KEYS: [(&str, u16); 7] = [
    ("mandatory", 0),
    ("alpn", 1),
    ("no-default-alpn", 2),
    ("port", 3),
    ("ipv4hint", 4),
    ("ech", 5),
    ("ipv6hint", 6),
];
/// The key of a parameter that forbids itself ("invalid key").
const KEY_INVALID: u16 = u16::MAX;

fn parameter(text: &str) -> Problem {
    let why = "Value has a parameter that is not valid";
    problem("InvalidServiceParameter", why, text)
}

/// `1 . alpn="h3,h2" port=8443`: a priority, a target, and parameters, which an alias (priority 0) has not.
pub(super) fn binding(fields: &[&str], text: &str) -> Result<Vec<u8>, Problem> {
    let [priority, target, parameters @ ..] = fields else {
        let why = "Value doesn't have all of its fields";
        return Err(problem("InvalidFieldCount", why, text));
    };
    let mut bytes = number::<u16>(priority)?;
    if bytes == [0, 0] && !parameters.is_empty() {
        return Err(parameter(text));
    }
    bytes.extend(name(target)?);
    let mut all = BTreeMap::new();
    for it in parameters {
        let (word, value) = it.split_once('=').unwrap_or((it, ""));
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .unwrap_or(value);
        let key = key(word).ok_or_else(|| parameter(it))?;
        let value = value_of(key, value)?.ok_or_else(|| parameter(it))?;
        if all.insert(key, value).is_some() {
            return Err(parameter(it));
        }
    }
    let mandatory = all.get(&0).into_iter().flat_map(|keys| keys.chunks(2));
    let mut mandatory = mandatory.map(|key| u16::from_be_bytes([key[0], key[1]]));
    if mandatory.any(|key| key == 0 || !all.contains_key(&key)) {
        return Err(parameter(text));
    }
    for (key, value) in &all {
        let length = u16::try_from(value.len()).map_err(|_| parameter(text))?;
        bytes.extend(key.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(value);
    }
    Ok(bytes)
}

fn key(word: &str) -> Option<u16> {
    if let Some((_, key)) = KEYS.into_iter().find(|(it, _)| *it == word) {
        return Some(key);
    }
    let digits = word.strip_prefix("key")?;
    let plain = digits == "0" || !digits.starts_with('0');
    let number = digits.parse().ok().filter(|_| plain)?;
    (number != KEY_INVALID && !digits.starts_with('+')).then_some(number)
}

/// A parameter's value as packets have it; none if it can not be one.
fn value_of(key: u16, value: &str) -> Result<Option<Vec<u8>>, Problem> {
    let items = || value.split(',').filter(|it| !it.is_empty());
    let listed = |found: Vec<u8>| (!found.is_empty()).then_some(found);
    Ok(match key {
        0 => {
            let keys: Option<Vec<u16>> = items().map(self::key).collect();
            keys.and_then(|mut keys| {
                keys.sort_unstable();
                listed(keys.into_iter().flat_map(u16::to_be_bytes).collect())
            })
        }
        1 => {
            let mut bytes = Vec::new();
            for it in items() {
                bytes.extend(strings::sized(it.as_bytes(), value)?);
            }
            listed(bytes)
        }
        2 => value.is_empty().then(Vec::new),
        3 => Some(number::<u16>(value)?),
        4 => {
            let read = items().map(|it| it.parse::<Ipv4Addr>().ok().map(|it| it.octets()));
            let read: Option<Vec<[u8; 4]>> = read.collect();
            read.and_then(|it| listed(it.concat()))
        }
        5 => listed(base64(value).unwrap_or_default()),
        6 => {
            let read = items().map(|it| it.parse::<Ipv6Addr>().ok().map(|it| it.octets()));
            let read: Option<Vec<[u8; 16]>> = read.collect();
            read.and_then(|it| listed(it.concat()))
        }
        _ => Some(value.as_bytes().to_vec()),
    })
}

/// The bytes of a text in base64 (RFC 4648, 4).
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_read() {
        assert_eq!(base64("aGk="), Some(b"hi".to_vec()));
        assert_eq!(base64("aGlo"), Some(b"hih".to_vec()));
        for wrong in ["aGk", "a===", "aG!="] {
            assert_eq!(base64(wrong), None, "{wrong}");
        }
    }
}
