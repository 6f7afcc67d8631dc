//! `drill run` and `rehearse`: breaks a stack and judges what its clients saw.

use std::path::Path;

use ::chaos::drill::{self, Drill};
use topologies::check::Overrides;
use topologies::id::StackId;
use topologies::notes::{self, Note, Severity, Span, Style};

use super::args::{DrillCommand, DrillRun, Rehearse};
use super::exit::{Exit, Failure};
use super::topology_file::{self, TopologyFile};
use super::{output, target};

/// The largest drill file, in bytes.
const BYTES_MAX: usize = 1 << 20;

pub(super) fn run(arguments: super::args::Drill, stack: Option<StackId>) -> Result<Exit, Failure> {
    let DrillCommand::Run(arguments) = arguments.command;
    let drill = read(&arguments.file)?;
    let target = target::find(stack)?;
    let outcome = conduct(&target, &drill)?;
    deliver(&arguments, &outcome)?;
    Ok(Exit::from_number(outcome.verdict.exit_code()))
}

pub(super) fn rehearse(arguments: &Rehearse) -> Result<Exit, Failure> {
    let file = TopologyFile::read(&arguments.file)?;
    let _topology = file.topology(&Overrides::default())?;
    Err(Failure::new(
        Exit::Bug,
        "the simulator is not connected to the command line yet",
    ))
}

/// What a drill came to, rendered.
struct Outcome {
    verdict: ::chaos::verdict::Verdict,
    text: String,
    json: String,
    junit: String,
}

/// Runs the drill against the stack.
fn conduct(_target: &target::Target, _drill: &Drill) -> Result<Outcome, Failure> {
    Err(Failure::new(
        Exit::Bug,
        "drill clients are not connected to the command line yet",
    ))
}

/// Prints the report and writes the files that were asked for.
fn deliver(arguments: &DrillRun, outcome: &Outcome) -> Result<(), Failure> {
    output::print(&outcome.text)?;
    if let Some(directory) = &arguments.report {
        std::fs::create_dir_all(directory).map_err(|error| {
            Failure::machine(format!(
                "failed to create directory `{}`: {error}",
                directory.display()
            ))
        })?;
        write(&directory.join("report.txt"), &outcome.text)?;
        write(&directory.join("report.json"), &outcome.json)?;
        write(&directory.join("junit.xml"), &outcome.junit)?;
    }
    if let Some(file) = &arguments.junit {
        write(file, &outcome.junit)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::machine(format!("failed to write `{}`: {error}", path.display())))
}

/// Reads a drill file; its mistakes are shown as those of a topology file.
fn read(path: &Path) -> Result<Drill, Failure> {
    let text = topology_file::text(path, BYTES_MAX, "a drill")?;
    drill::parse(&text).map_err(|mistakes| {
        let shown = path.display().to_string();
        let notes: Vec<Note> = mistakes.iter().map(as_note).collect();
        output::eprint(&notes::render(&notes, &text, &shown, Style::Ansi));
        output::eprint("\n");
        let count = match notes.len() {
            1 => "a mistake".to_owned(),
            several => format!("{several} mistakes"),
        };
        Failure::wrong(format!("`{shown}` has {count}"))
    })
}

fn as_note(mistake: &drill::note::Note) -> Note {
    Note {
        severity: Severity::Error,
        span: Span {
            line: mistake.span.line,
            column: mistake.span.column,
            length: mistake.span.length,
        },
        message: mistake.message.clone(),
        hint: mistake.hint.clone(),
    }
}
