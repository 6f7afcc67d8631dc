//! Writing to the terminal or a pipe. Colours are kept where they are wanted and removed elsewhere (`NO_COLOR`, `CLICOLOR_FORCE`,
//! pipes). Whoever stops reading has read enough: a closed pipe ends the command without a word.

use std::io::{ErrorKind, Write};

use super::exit::{Exit, Failure};

/// Prints a result.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| {
        if error.kind() == ErrorKind::BrokenPipe {
            return Failure::silent(Exit::Done);
        }
        Failure::machine(format!("failed to write the result: {error}"))
    })
}

/// Prints a result and a line's end.
pub(super) fn println(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Prints something about getting the result. Nobody to read it is no reason to stop.
pub(super) fn eprint(text: &str) {
    let mut err = anstream::stderr().lock();
    let _ = err.write_all(text.as_bytes());
    let _ = err.flush();
}

/// The same with a line's end.
pub(super) fn eprintln(text: &str) {
    eprint(&format!("{text}\n"));
}

/// Whether results are coloured.
pub(super) fn coloured() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

/// Text from elsewhere must not steer the terminal: control characters become a replacement character each.
pub(super) fn printable(text: &str) -> String {
    let harmless = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(harmless).collect()
}
