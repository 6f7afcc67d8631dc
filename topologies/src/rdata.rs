//! Records' data: from text, as Route 53 and zone files write them, to what packets have.
//!
//! After "Supported DNS record types" of Route 53's guide and the RFCs that each type names. What is wrong with a text is told in
//! Route 53's words; where those are not published, in words like them.

mod service;
mod strings;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::records::domain;
use crate::topology::RecordType;

pub use strings::{is_quoted, quoted, single, texts};

/// Characters of a value at most ("Supported DNS record types": 4,000).
pub const VALUE_MAX: usize = 4_000;

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// Route 53's name for it.
    pub name: &'static str,
    /// The same for people.
    pub text: &'static str,
    /// The text, or its part that is at fault.
    pub value: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, text, value } = self;
        write!(
            f,
            "FATAL problem: {name} ({text}) encountered with '{value}'"
        )
    }
}

/// Makes a problem of a value.
fn problem(name: &'static str, text: &'static str, value: &str) -> Problem {
    Problem {
        name,
        text,
        value: value.to_owned(),
    }
}

/// The data of a record of this type, as packets have them, without compression.
pub fn encode(kind: RecordType, text: &str) -> Result<Vec<u8>, Problem> {
    if text.chars().count() > VALUE_MAX {
        let shown: String = text.chars().take(64).collect();
        return Err(problem("ValueTooLong", "Value is too long", &shown));
    }
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    match kind {
        RecordType::A => {
            let name = "ARRDATAIllegalIPv4Address";
            let wrong = || problem(name, "Value is not a valid IPv4 address", text);
            let address: Ipv4Addr = text.trim().parse().map_err(|_| wrong())?;
            Ok(address.octets().to_vec())
        }
        RecordType::Aaaa => {
            let name = "AAAARRDATAIllegalIPv6Address";
            let wrong = || problem(name, "Value is not a valid IPv6 address", text);
            let address: Ipv6Addr = text.trim().parse().map_err(|_| wrong())?;
            Ok(address.octets().to_vec())
        }
        RecordType::Cname | RecordType::Ns | RecordType::Ptr => name(text.trim()),
        RecordType::Mx => {
            let [preference, host] = known(&fields).ok_or_else(|| {
                problem(
                    "MXRRDATANotTwoFields",
                    "MX record doesn't have 2 fields",
                    text,
                )
            })?;
            Ok([number::<u16>(preference)?, name(host)?].concat())
        }
        RecordType::Srv => {
            let [priority, weight, port, host] = known(&fields).ok_or_else(|| {
                problem(
                    "SRVRRDATANotFourFields",
                    "SRV record doesn't have 4 fields",
                    text,
                )
            })?;
            let numbers = [priority, weight, port].map(number::<u16>);
            let [priority, weight, port] = numbers;
            Ok([priority?, weight?, port?, name(host)?].concat())
        }
        RecordType::Soa => soa(&fields, text),
        RecordType::Txt | RecordType::Spf => strings::encode(text),
        RecordType::Caa => service::caa(text),
        RecordType::Naptr => service::naptr(text),
        RecordType::Ds => fingerprint(&fields, text, &[2, 1, 1], &DS_DIGESTS),
        RecordType::Sshfp => fingerprint(&fields, text, &[1, 1], &SSHFP_DIGESTS),
        RecordType::Tlsa => fingerprint(&fields, text, &[1, 1, 1], &TLSA_DIGESTS),
        RecordType::Https | RecordType::Svcb => service::binding(&fields, text),
    }
}

/// The lengths of digests by their types: SHA-1, SHA-256, SHA-384 (RFC 4034, 4509, 6605).
const DS_DIGESTS: [(u8, usize); 3] = [(1, 20), (2, 32), (4, 48)];
/// SHA-1 and SHA-256 (RFC 4255, 6594).
const SSHFP_DIGESTS: [(u8, usize); 2] = [(1, 20), (2, 32)];
/// SHA-256 and SHA-512; a whole certificate has any length (RFC 6698).
const TLSA_DIGESTS: [(u8, usize); 2] = [(1, 32), (2, 64)];

/// Exactly so many fields.
fn known<'a, const N: usize>(fields: &[&'a str]) -> Option<[&'a str; N]> {
    fields.try_into().ok()
}

/// A number as bytes of its type's size.
fn number<T: Number>(text: &str) -> Result<Vec<u8>, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let read = if digits { T::read(text) } else { None };
    read.ok_or_else(|| {
        problem(
            "InvalidNumber",
            "Value is not a number in the valid range",
            text,
        )
    })
}

/// Numbers that records have.
trait Number {
    fn read(text: &str) -> Option<Vec<u8>>;
}

impl Number for u8 {
    fn read(text: &str) -> Option<Vec<u8>> {
        Some(text.parse::<Self>().ok()?.to_be_bytes().to_vec())
    }
}

impl Number for u16 {
    fn read(text: &str) -> Option<Vec<u8>> {
        Some(text.parse::<Self>().ok()?.to_be_bytes().to_vec())
    }
}

impl Number for u32 {
    fn read(text: &str) -> Option<Vec<u8>> {
        Some(text.parse::<Self>().ok()?.to_be_bytes().to_vec())
    }
}

/// A domain name in labels; the root is `.`.
fn name(text: &str) -> Result<Vec<u8>, Problem> {
    if text == "." {
        return Ok(vec![0]);
    }
    let Some(name) = domain(text) else {
        let labels = text.strip_suffix('.').unwrap_or(text).split('.');
        let (name, why) = if labels.clone().any(str::is_empty) {
            ("DomainLabelEmpty", "Domain label is empty")
        } else if labels.clone().any(|label| label.len() > 63) {
            ("DomainLabelTooLong", "Domain label is too long")
        } else if text.len() > 255 {
            ("DomainNameTooLong", "Domain name is too long")
        } else {
            (
                "UnsupportedCharacter",
                "Value contains unsupported characters",
            )
        };
        return Err(problem(name, why, text));
    };
    let mut bytes = Vec::with_capacity(name.len() + 2);
    for label in name.split('.') {
        // A domain's labels have 63 characters at most.
        bytes.push(u8::try_from(label.len()).unwrap_or(0));
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    Ok(bytes)
}

fn soa(fields: &[&str], text: &str) -> Result<Vec<u8>, Problem> {
    let [server, mailbox, numbers @ ..] = fields else {
        return Err(not_seven(text));
    };
    if numbers.len() != 5 {
        return Err(not_seven(text));
    }
    let mut bytes = [name(server)?, name(mailbox)?].concat();
    for it in numbers {
        bytes.extend(number::<u32>(it)?);
    }
    Ok(bytes)
}

fn not_seven(text: &str) -> Problem {
    let why = "SOA record doesn't have 7 fields";
    problem("SOARRDATANotSevenFields", why, text)
}

/// Numbers of so many bytes each and a digest in hexadecimal digits, whose length the last number says.
fn fingerprint(
    fields: &[&str],
    text: &str,
    sizes: &[usize],
    digests: &[(u8, usize)],
) -> Result<Vec<u8>, Problem> {
    let fewer = || {
        problem(
            "InvalidFieldCount",
            "Value doesn't have all of its fields",
            text,
        )
    };
    if fields.len() <= sizes.len() {
        return Err(fewer());
    }
    let (numbers, digits) = fields.split_at(sizes.len());
    let mut bytes = Vec::new();
    for (it, size) in numbers.iter().zip(sizes) {
        bytes.extend(if *size == 2 {
            number::<u16>(it)?
        } else {
            number::<u8>(it)?
        });
    }
    let digest = hexadecimal(&digits.concat()).ok_or_else(|| {
        let why = "Value is not in hexadecimal digits";
        problem("InvalidHexadecimal", why, text)
    })?;
    let kind = bytes.last().copied().unwrap_or_default();
    let length = digests.iter().find(|(it, _)| *it == kind);
    if length.is_some_and(|(_, length)| *length != digest.len()) {
        let why = "Digest has not the length of its type";
        return Err(problem("InvalidDigestLength", why, text));
    }
    bytes.extend(digest);
    Ok(bytes)
}

/// Bytes of pairs of digits; none if there are no digits.
fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        u8::try_from(digit(0)? * 16 + digit(1)?).ok()
    };
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        use std::fmt::Write as _;
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes everything");
            text
        })
    }

    #[test]
    fn s6_1_every_type_is_written_as_its_rfc_says() {
        use RecordType as T;
        let digest = "ab".repeat(32);
        for (kind, text, bytes) in [
            (T::A, "192.0.2.1", "c0000201"),
            (T::Aaaa, "2001:db8::1", "20010db8000000000000000000000001"),
            (T::Cname, "a.b.", "0161016200"),
            (T::Mx, "10 mail.example", "000a046d61696c076578616d706c6500"),
            (T::Mx, "0 .", "000000"),
            (T::Srv, "1 2 443 a", "0001000201bb016100"),
            (
                T::Soa,
                "a b 1 2 3 4 5",
                "016100016200 0000000100000002000000030000000400000005",
            ),
            (T::Txt, "\"v=1\"", "03763d31"),
            (T::Spf, "\"a\" \"b\"", "01610162"),
            (
                T::Caa,
                "0 issue \"ca.example\"",
                "0005697373756563612e6578616d706c65",
            ),
            (T::Caa, "128 iodef \"\"", "8005696f646566"),
            (
                T::Naptr,
                "100 10 \"u\" \"sip\" \"!^.*$!x!\" .",
                "0064000a01750373697008215e2e2a2421782100",
            ),
            (T::Https, "0 a.", "0000016100"),
            (
                T::Https,
                "1 . alpn=\"h3,h2\" port=8443 ipv4hint=192.0.2.1",
                "000100 0001000602683302683200030002 20fb00040004c0000201",
            ),
            (
                T::Svcb,
                "16 a. mandatory=alpn alpn=h2 no-default-alpn key667=\"x\"",
                "0010016100 000000020001 00010003026832 00020000 029b000178",
            ),
        ] {
            let found = encode(kind, text).map(|it| hex(&it));
            assert_eq!(found, Ok(bytes.replace(' ', "")), "{kind:?} {text}");
        }
        for (kind, text, head) in [
            (T::Ds, format!("123 13 2 {digest}"), "007b0d02"),
            (T::Sshfp, format!("4 2 {digest}"), "0402"),
            (T::Tlsa, format!("3 1 1 {digest}"), "030101"),
        ] {
            let found = encode(kind, &text).map(|it| hex(&it));
            assert_eq!(found, Ok(format!("{head}{digest}")), "{kind:?}");
        }
    }

    #[test]
    fn s6_1_what_is_wrong_is_told_by_its_name() {
        use RecordType as T;
        for (kind, text, name) in [
            (T::A, "1.2.3", "ARRDATAIllegalIPv4Address"),
            (T::Aaaa, "192.0.2.1", "AAAARRDATAIllegalIPv6Address"),
            (T::Cname, "a..b", "DomainLabelEmpty"),
            (T::Cname, "a b", "UnsupportedCharacter"),
            (T::Ns, "", "DomainLabelEmpty"),
            (T::Mx, "mail.example", "MXRRDATANotTwoFields"),
            (T::Mx, "65536 mail.example", "InvalidNumber"),
            (T::Srv, "1 2 3", "SRVRRDATANotFourFields"),
            (T::Soa, "a b 1 2 3 4", "SOARRDATANotSevenFields"),
            (T::Txt, "bare", "InvalidCharacterString"),
            (T::Txt, "\"open", "InvalidCharacterString"),
            (T::Caa, "0 issue", "CAARRDATANotThreeFields"),
            (T::Caa, "256 issue \"x\"", "InvalidNumber"),
            (T::Caa, "0 is-sue \"x\"", "CAARRDATAIllegalTag"),
            (T::Naptr, "1 1 u sip \"\" .", "InvalidCharacterString"),
            (T::Ds, "1 13 2 abcd", "InvalidDigestLength"),
            (T::Tlsa, "3 1 1 xy", "InvalidHexadecimal"),
            (T::Sshfp, "1 1", "InvalidFieldCount"),
            (T::Https, "1", "InvalidFieldCount"),
            (T::Https, "0 . alpn=h2", "InvalidServiceParameter"),
            (T::Https, "1 . port=x", "InvalidNumber"),
            (T::Https, "1 . port=1 port=2", "InvalidServiceParameter"),
            (T::Https, "1 . mandatory=alpn", "InvalidServiceParameter"),
            (T::Https, "1 . colour=red", "InvalidServiceParameter"),
        ] {
            let found = encode(kind, text).map_err(|it| it.name);
            assert_eq!(found, Err(name), "{kind:?} {text}");
        }
        let long = format!("\"{}\"", "x".repeat(256));
        let found = encode(T::Txt, &long).map_err(|it| it.name);
        assert_eq!(found, Err("CharacterStringTooLong"));
        let found = encode(T::A, &"x".repeat(4_001)).map_err(|it| it.name);
        assert_eq!(found, Err("ValueTooLong"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}", number in 0_u16..300) {
            if let Some(kind) = RecordType::of_number(number)
                && let Ok(bytes) = encode(kind, &text) {
                prop_assert!(!bytes.is_empty() && bytes.len() <= 4 * VALUE_MAX);
            }
        }

        #[test]
        fn likely_texts_are_read_or_refused(text in "[0-9]{1,3} [0-9a-z.]{0,5}( [a-z]{1,6}(=[a-z0-9,\".]{0,9})?){0,3}") {
            for number in 0..300 {
                if let Some(kind) = RecordType::of_number(number) {
                    let _any = encode(kind, &text);
                }
            }
        }
    }
}
