//! What is wrong with the user's text, and how it is shown: place, excerpt, and a way out.
//!
//! Notes are collected, never thrown: a file's mistakes are shown together. Nothing here knows what a topology is.

use std::fmt::Write as _;

/// A place in a text: the characters from `column` of `line` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// How many characters are meant; at least 1 when shown.
    pub length: u32,
}

impl Span {
    /// The beginning of a text, for what is wrong with all of it.
    pub const START: Self = Self {
        line: 1,
        column: 1,
        length: 1,
    };
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The text can not be used.
    Error,
    /// The text can be used, but is probably not what was wanted.
    Warning,
}

/// Something to tell about a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub span: Span,
    /// What is wrong: a lowercase sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Note {
    /// A mistake at `span`.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            span,
            message: message.into(),
            hint: None,
        }
    }

    /// A doubt about what is at `span`.
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(span, message)
        }
    }

    /// The same note with a way out.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// Whether rendered notes carry ANSI colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Plain text.
    Plain,
    /// With colours.
    Ansi,
}

/// Whether any of the notes is an error.
pub fn has_errors(notes: &[Note]) -> bool {
    notes.iter().any(|note| note.severity == Severity::Error)
}

/// Renders notes about `text`, each with its place, the line it is in, and its hint, separated by empty lines.
pub fn render(notes: &[Note], text: &str, file_name: &str, style: Style) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    for (index, note) in notes.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        render_note(&mut out, note, &lines, file_name, style);
    }
    out
}

/// The widest excerpt of a line, in characters; a longer line is cut around the place meant.
const EXCERPT: usize = 120;

fn render_note(out: &mut String, note: &Note, lines: &[&str], file_name: &str, style: Style) {
    let paint = Paint(style);
    let (word, colour) = match note.severity {
        Severity::Error => ("error", "1;31"),
        Severity::Warning => ("warning", "1;33"),
    };
    let Span { line, column, .. } = note.span;
    let margin = line.to_string().len();
    let bar = paint.with("1;34", "|");
    let mut push = |line: String| {
        out.push_str(line.trim_end());
        out.push('\n');
    };
    push(format!(
        "{}{}",
        paint.with(colour, word),
        paint.with("1", &format!(": {}", printable(&note.message)))
    ));
    push(format!(
        "{:margin$}{} {}:{line}:{column}",
        "",
        paint.with("1;34", "-->"),
        printable(file_name)
    ));
    if let Some((excerpt, indent, length)) = excerpt(lines, note.span) {
        push(format!("{:margin$} {bar}", ""));
        push(format!(
            "{} {bar} {excerpt}",
            paint.with("1;34", &line.to_string())
        ));
        push(format!(
            "{:margin$} {bar} {:indent$}{}",
            "",
            "",
            paint.with(colour, &"^".repeat(length))
        ));
    }
    if let Some(hint) = &note.hint {
        push(format!(
            "{:margin$} {} {}: {}",
            "",
            paint.with("1;34", "="),
            paint.with("1", "hint"),
            printable(hint)
        ));
    }
}

/// The line of a span cut to a width that fits, the caret's indent in it, and the caret's length.
fn excerpt(lines: &[&str], span: Span) -> Option<(String, usize, usize)> {
    let line: Vec<char> = lines
        .get(span.line.checked_sub(1)? as usize)?
        .chars()
        .collect();
    let column = (span.column.saturating_sub(1) as usize).min(line.len());
    let start = if line.len() > EXCERPT {
        column.saturating_sub(EXCERPT / 2)
    } else {
        0
    };
    let shown: String = line[start..].iter().take(EXCERPT).collect();
    let length = (span.length.max(1) as usize)
        .min(line.len().saturating_sub(column).max(1))
        .min(EXCERPT - (column - start).min(EXCERPT - 1));
    Some((printable(&shown), column - start, length))
}

/// Text from a file must not steer the terminal: control characters are shown as one replacement character each.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

struct Paint(Style);

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        let mut out = String::new();
        match self.0 {
            Style::Plain => out.push_str(text),
            Style::Ansi => {
                let _infallible = write!(out, "\x1b[{code}m{text}\x1b[0m");
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_shows_place_excerpt_and_way_out() {
        let text = "zones:\n  - é: x1\n";
        let note = Note::error(
            Span {
                line: 2,
                column: 8,
                length: 2,
            },
            "zone `x1` is not declared",
        )
        .hint("declared: a, b");
        insta::assert_snapshot!(render(std::slice::from_ref(&note), text, "t.yaml", Style::Plain), @"
        error: zone `x1` is not declared
         --> t.yaml:2:8
          |
        2 |   - é: x1
          |        ^^
          = hint: declared: a, b
        ");
        assert!(render(&[note], text, "t.yaml", Style::Ansi).contains("\x1b[1;31merror\x1b[0m"));
    }

    #[test]
    fn long_lines_are_cut_and_places_outside_of_the_text_do_no_harm() {
        let text = format!("{}\x1b[2Jneedle{}", "x".repeat(5_000), "y".repeat(5_000));
        let at = |line, column, length| {
            let note = Note::error(
                Span {
                    line,
                    column,
                    length,
                },
                "m",
            );
            render(&[note], &text, "t", Style::Plain)
        };
        let shown = at(1, 5_005, 6);
        assert!(shown.contains("needle") && shown.contains("^^^^^^") && !shown.contains('\x1b'));
        assert!(shown.lines().all(|line| line.chars().count() < 140));
        for (line, column, length) in [
            (0, 0, 0),
            (9, 9, 9),
            (1, 99_999, u32::MAX),
            (1, 1, u32::MAX),
        ] {
            assert!(at(line, column, length).contains("error"));
        }
    }
}
