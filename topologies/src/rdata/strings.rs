//! Character strings: in quotation marks, with backslashes before what would end them, or before a byte's three octal digits
//! ("Supported DNS record types", TXT).

use super::{Problem, problem};

/// Bytes of a character string at most (RFC 1035, 3.3).
const STRING_MAX: usize = 255;

/// Every string of a value of type TXT or SPF, with its length before it.
pub(super) fn encode(text: &str) -> Result<Vec<u8>, Problem> {
    let strings = all(text)?;
    let mut bytes = Vec::new();
    for string in strings {
        bytes.extend(sized(&string, text)?);
    }
    Ok(bytes)
}

/// A string with its length before it.
pub(super) fn sized(string: &[u8], text: &str) -> Result<Vec<u8>, Problem> {
    let length = u8::try_from(string.len())
        .map_err(|_| problem("CharacterStringTooLong", "Value is too long", text))?;
    Ok([&[length], string].concat())
}

/// The strings of a value.
fn all(text: &str) -> Result<Vec<Vec<u8>>, Problem> {
    let mut strings = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (string, after) = next(rest)?;
        strings.push(string);
        rest = after.trim_start();
    }
    if strings.is_empty() {
        return Err(bare(text));
    }
    Ok(strings)
}

fn bare(text: &str) -> Problem {
    let why = "Value should be enclosed in quotation marks";
    problem("InvalidCharacterString", why, text)
}

/// The string that a text begins with, and what is behind it.
pub(super) fn next(text: &str) -> Result<(Vec<u8>, &str), Problem> {
    let wrong = || bare(text);
    let mut rest = text.strip_prefix('"').ok_or_else(wrong)?;
    let mut string = Vec::new();
    loop {
        let mut letters = rest.chars();
        match letters.next().ok_or_else(wrong)? {
            '"' => return Ok((string, letters.as_str())),
            '\\' => {
                let escaped = letters.as_str();
                if let Some(byte) = escaped.get(..3).and_then(octal) {
                    string.push(byte);
                    rest = &escaped[3..];
                    continue;
                }
                push(&mut string, letters.next().ok_or_else(wrong)?);
            }
            letter => push(&mut string, letter),
        }
        rest = letters.as_str();
    }
}

fn push(string: &mut Vec<u8>, letter: char) {
    string.extend(letter.encode_utf8(&mut [0; 4]).bytes());
}

fn octal(digits: &str) -> Option<u8> {
    let all = digits.bytes().all(|it| (b'0'..=b'7').contains(&it));
    all.then(|| u8::from_str_radix(digits, 8).ok()).flatten()
}

/// Whether a text is a value of type TXT, in quotation marks.
pub fn is_quoted(text: &str) -> bool {
    text.starts_with('"') && encode(text).is_ok()
}

/// A text as a value of type TXT: in quotation marks.
pub fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// The text of a value of type TXT that is one string, of text that [`quoted`] writes the same way.
pub fn single(value: &str) -> Option<String> {
    let [string] = <[Vec<u8>; 1]>::try_from(all(value).ok()?).ok()?;
    let text = String::from_utf8(string).ok()?;
    let plain = text.len() <= STRING_MAX && quoted(&text) == value.trim();
    plain.then_some(text)
}

/// A text as a value of type TXT, in as many strings as it needs.
pub fn texts(text: &str) -> String {
    let mut strings = vec![String::new()];
    for letter in text.chars() {
        let full = |last: &String| last.len() + letter.len_utf8() > STRING_MAX;
        if strings.last().is_some_and(full) {
            strings.push(String::new());
        }
        if let Some(last) = strings.last_mut() {
            last.push(letter);
        }
    }
    let strings: Vec<String> = strings.iter().map(|it| quoted(it)).collect();
    strings.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s6_1_strings_are_read_as_route_53_writes_them() {
        for (text, strings) in [
            ("\"\"", Some(vec![""])),
            ("\"a\" \"b c\"", Some(vec!["a", "b c"])),
            ("\"a\"\"b\"", Some(vec!["a", "b"])),
            ("\"a \\\"b\\\" \\\\\"", Some(vec!["a \"b\" \\"])),
            ("\"\\101\\102\"", Some(vec!["AB"])),
            ("bare", None),
            ("\"open", None),
            ("\"ends\\\"", None),
            ("", None),
        ] {
            let found = all(text).ok();
            let expected = strings.map(|it| it.iter().map(|it| it.as_bytes().to_vec()).collect());
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn texts_come_back_as_they_were_written() {
        for text in ["", "v=1", "a \"b\" c", "back\\slash", "\\101"] {
            assert_eq!(single(&quoted(text)).as_deref(), Some(text));
            assert_eq!(texts(text), quoted(text));
        }
        for value in ["\"a\" \"b\"", "\"\\101\"", "bare"] {
            assert_eq!(single(value), None, "{value}");
        }
        assert_eq!(all(&texts(&"x".repeat(300))).map(|it| it.len()), Ok(2));
    }
}
