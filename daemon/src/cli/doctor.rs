//! `doctor`: what this machine has and lacks, and how to get it. Looks only; changes nothing but its own directories.

mod checks;
mod runtimes;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::args::Doctor;
use super::exit::{Exit, Failure};
use super::topology::json;
use super::{block_on, output};

/// What was found about one thing.
#[derive(Debug, Serialize)]
struct Finding {
    /// What was looked at: `docker`, `postgresql`.
    check: &'static str,
    state: State,
    /// What was found.
    detail: String,
    /// How to get it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

/// Whether it is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// It is.
    Ok,
    /// Stacks run without it, with less comfort or fidelity.
    Warning,
    /// Stacks do not run without it.
    Missing,
}

impl Finding {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Ok,
            detail: detail.into(),
            fix: None,
        }
    }

    fn warning(check: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Warning,
            detail: detail.into(),
            fix: Some(fix.into()),
        }
    }

    fn missing(check: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            state: State::Missing,
            ..Self::warning(check, detail, fix)
        }
    }
}

/// What `doctor --json` prints.
#[derive(Debug, Serialize)]
struct Report {
    /// Whether stacks run here.
    healthy: bool,
    checks: Vec<Finding>,
}

pub(super) fn run(arguments: &Doctor) -> Result<Exit, Failure> {
    let checks = match checks::home() {
        Err(finding) => vec![finding],
        Ok(home) => block_on(async {
            let mut checks = runtimes::docker().await;
            checks.extend(runtimes::processes(&home));
            checks.extend(checks::machine(&home).await);
            Ok(checks)
        })?,
    };
    let healthy = checks.iter().all(|check| check.state != State::Missing);
    let report = Report { healthy, checks };
    if arguments.json {
        output::println(&json(&report)?)?;
    } else {
        output::print(&text(&report))?;
    }
    Ok(if healthy { Exit::Done } else { Exit::Machine })
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.checks {
        let (word, colour) = match finding.state {
            State::Ok => ("ok", AnsiColor::Green),
            State::Warning => ("warning", AnsiColor::Yellow),
            State::Missing => ("missing", AnsiColor::Red),
        };
        let colour = colour.on_default().bold();
        let bold = Style::new().bold();
        text.push_str(&format!(
            "{colour}{word:>8}{colour:#}  {bold}{:<16}{bold:#} {}\n",
            finding.check,
            output::printable(&finding.detail)
        ));
        if let Some(fix) = &finding.fix {
            text.push_str(&format!("{:27}{}\n", "", output::printable(fix)));
        }
    }
    text
}
