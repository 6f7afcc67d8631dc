//! What is told of an order that failed.

use crate::causes::chain;
use crate::control::action::Outcome;
use crate::engines::EngineError;

pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is refused for the host's data is told apart: trying again does not help.
pub(super) fn outcome(cause: &(dyn std::error::Error + 'static)) -> Outcome {
    let why = one_line(&chain(cause));
    match cause.downcast_ref() {
        Some(EngineError::Refused { .. }) => Outcome::Refused(why),
        Some(_) | None => Outcome::Failed(why),
    }
}

/// A text on one line: what an engine printed has several, and characters that steer a terminal.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let text = lines.fold(String::new(), |text, line| match text.chars().last() {
        None => line.to_owned(),
        Some(':') => format!("{text} {line}"),
        Some(_) => format!("{text}; {line}"),
    });
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.collect()
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn what_an_engine_prints_becomes_one_plain_line() {
        let printed = "postgres -C ended with 1:\n  LOG:  a\r\n\n\tFATAL:\tb\u{1b}[0m\n";
        assert_eq!(
            one_line(printed),
            "postgres -C ended with 1: LOG:  a; FATAL: b [0m"
        );
    }
}
