//! A model's `pattern`: written for Java's engine, checked with ours where that means the same.

use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};

/// Bytes that a compiled pattern may take. A pattern that needs more (`[\p{L}...]{1,2048}` can take megabytes) is not checked.
const COMPILED_MAX: usize = 1024 * 1024;

/// Ranges that Java writes as pairs of surrogates, and how a pattern over characters says them.
const SURROGATES: &[(&str, &str)] = &[
    (r"\uD800\uDC00-\uDBFF\uDFFF", r"\x{10000}-\x{10FFFF}"),
    (r"\ud800\udc00-\udbff\udfff", r"\x{10000}-\x{10FFFF}"),
    (r"\u10000-\u10FFFF", r"\x{10000}-\x{10FFFF}"),
];

/// A pattern, compiled when it is first needed.
#[derive(Debug)]
pub(crate) struct Pattern {
    source: Box<str>,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(super) fn new(source: &str) -> Self {
        Self {
            source: source.into(),
            compiled: OnceLock::new(),
        }
    }

    /// As the model has it.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// True when the whole of the text matches, and when the pattern cannot be checked.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.compiled()
            .as_ref()
            .is_none_or(|regex| regex.is_match(text))
    }

    /// False for a pattern that does not compile here: look-around, back references, or too large.
    pub(crate) fn is_checkable(&self) -> bool {
        self.compiled().is_some()
    }

    fn compiled(&self) -> &Option<Regex> {
        self.compiled.get_or_init(|| compile(&self.source))
    }
}

/// AWS's services match the whole value, as Java's `matches` does, whether or not the pattern is anchored.
fn compile(source: &str) -> Option<Regex> {
    let mut translated = source.to_owned();
    for (java, ours) in SURROGATES {
        translated = translated.replace(java, ours);
    }
    let translated = ascii_classes(&translated);
    RegexBuilder::new(&format!(r"\A(?:{translated})\z"))
        .size_limit(COMPILED_MAX)
        .dfa_size_limit(COMPILED_MAX)
        .build()
        .ok()
}

/// Java's `\d`, `\w` and `\s` are ASCII only, inside brackets and outside.
fn ascii_classes(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut characters = source.chars();
    while let Some(character) = characters.next() {
        let escaped = (character == '\\').then(|| characters.next()).flatten();
        match escaped {
            Some('d') => out.push_str("[0-9]"),
            Some('w') => out.push_str("[0-9A-Za-z_]"),
            Some('s') => out.push_str(r"[ \t\n\x0B\f\r]"),
            Some(other) => out.extend([character, other]),
            None => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn the_whole_value_has_to_match() {
        let pattern = Pattern::new("[a-z]+");
        assert!(pattern.matches("abc"));
        assert!(!pattern.matches("abc1"));
        assert!(!pattern.matches(""));
    }

    #[test]
    fn alternatives_are_anchored_together() {
        let pattern = Pattern::new("aws|ec2");
        assert!(pattern.matches("aws"));
        assert!(!pattern.matches("awsx"));
    }

    #[test]
    fn digits_and_words_are_ascii() {
        assert!(Pattern::new(r"\d{2}[\w.-]+\.").matches("12a-b."));
        assert!(!Pattern::new(r"\d{2}").matches("\u{661}\u{662}"));
        assert!(Pattern::new(r"a\\d").matches(r"a\d"));
    }

    #[test]
    fn a_dollar_does_not_allow_a_line_break() {
        assert!(!Pattern::new("^[a-z]+$").matches("abc\n"));
    }

    #[test]
    fn surrogates_are_characters() {
        let pattern = Pattern::new(r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*");
        assert!(pattern.is_checkable());
        assert!(pattern.matches("käse 🧀"));
        assert!(!pattern.matches("\u{1}"));
    }

    #[test]
    fn what_does_not_compile_is_not_checked() {
        let pattern = Pattern::new("(?!aws:).+");
        assert!(!pattern.is_checkable());
        assert!(pattern.matches("aws:anything"));
    }
}
