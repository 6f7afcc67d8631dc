//! Progress on standard error: a spinner on a terminal, a line per step elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::output;
use crate::up::Progress;

/// Between two frames of the spinner.
const FRAME: Duration = Duration::from_millis(100);

/// Shows progress until it is dropped.
pub(super) struct Display {
    spinner: Option<ProgressBar>,
    last: Mutex<String>,
}

impl Display {
    pub(super) fn new() -> Self {
        let spinner = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {wide_msg}")
                .expect("the template is a constant");
            let spinner = ProgressBar::new_spinner().with_style(style);
            spinner.enable_steady_tick(FRAME);
            spinner
        });
        Self {
            spinner,
            last: Mutex::default(),
        }
    }

    pub(super) fn tell(&self, progress: &Progress) {
        let text = output::printable(&progress.to_string());
        match (&self.spinner, progress) {
            (Some(spinner), Progress::Step(_)) => spinner.set_message(text),
            (Some(spinner), Progress::Line(_)) => spinner.suspend(|| output::eprintln(&text)),
            (None, _) => {
                // A step that is told again with the same words is no news in a log.
                let mut last = self.last.lock().expect("nobody panics while telling");
                if *last != text {
                    output::eprintln(&text);
                    *last = text;
                }
            }
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}
