//! Percent encoding, as forms, URIs and signatures have it.

use std::borrow::Cow;

/// Decodes `%41`, and `+` as a space where that is asked for. `None` for a broken escape or what is not UTF-8.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    let special = |byte: u8| byte == b'%' || (plus_is_space && byte == b'+');
    if !text.bytes().any(special) {
        return Some(Cow::Borrowed(text));
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            let high = char::from(*bytes.get(at + 1)?).to_digit(16)?;
            let low = char::from(*bytes.get(at + 2)?).to_digit(16)?;
            decoded.push((high * 16 + low) as u8);
            at += 3;
        } else {
            decoded.push(if byte == b'+' && plus_is_space {
                b' '
            } else {
                byte
            });
            at += 1;
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// Encodes everything but RFC 3986's unreserved characters, and slashes where they are to stay.
pub(crate) fn encode(bytes: &[u8], keep_slash: bool, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if unreserved || (keep_slash && byte == b'/') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// The pairs of a form or a query string, decoded. `None` if one does not decode.
pub(crate) fn pairs(text: &str) -> Option<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decode(name, true)?, decode(value, true)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{decode, encode, pairs};

    #[test]
    fn escapes_are_decoded_or_refused() {
        assert_eq!(decode("a%20b+c", true).as_deref(), Some("a b c"));
        assert_eq!(decode("a+b", false).as_deref(), Some("a+b"));
        assert_eq!(decode("%C3%A4", false).as_deref(), Some("ä"));
        assert_eq!(decode("%FF", false), None);
        assert_eq!(decode("%4", false), None);
        assert_eq!(decode("%+1", true), None);
    }

    #[test]
    fn only_unreserved_characters_stay() {
        let mut out = String::new();
        encode("a/ä~".as_bytes(), true, &mut out);
        assert_eq!(out, "a/%C3%A4~");
    }

    #[test]
    fn a_name_may_come_without_a_value() {
        assert_eq!(pairs("a&b=1&&=x").map(|pairs| pairs.len()), Some(3));
    }
}
