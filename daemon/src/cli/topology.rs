//! `check`, `plan`, `explain`, `schema`: what can be told of a topology file without running it.

use serde::Serialize;
use topologies::address::Slot;
use topologies::check::{Overrides, check_with};
use topologies::explain::explain as explained;
use topologies::id::StackId;
use topologies::notes::Severity;
use topologies::plan::plan as planned;
use topologies::spec;

use super::args::{Check, Explain, Plan};
use super::exit::{Exit, Failure};
use super::topology_file::TopologyFile;
use super::{block_on, output, programs, tables, target};
use crate::api::views;

pub(super) fn check(arguments: &Check) -> Result<Exit, Failure> {
    let file = TopologyFile::read(&arguments.file)?;
    if arguments.json {
        return check_json(&file);
    }
    let topology = file.topology(&Overrides::default())?;
    programs::warn(&topology, &file.path);
    let plan = planned(&topology, example_slot());
    output::println(&format!(
        "{}: {}, {}, {}, {}",
        topology.name,
        counted(topology.zones().count(), "zone"),
        counted(plan.instances.len(), "instance"),
        counted(plan.nodes.len(), "load balancer node"),
        counted(plan.endpoints.len(), "endpoint")
    ))?;
    Ok(Exit::Done)
}

pub(super) fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// What `check --json` prints.
#[derive(Serialize)]
struct CheckView {
    /// Whether the file can be used: no note is an error.
    sound: bool,
    notes: Vec<NoteView>,
}

/// A note on a topology file. Line and column count from 1, the column and the length in characters; a note on what the file does
/// not show, such as a missing program, stands at the beginning.
#[derive(Serialize)]
struct NoteView {
    severity: &'static str,
    line: u32,
    column: u32,
    length: u32,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

fn check_json(file: &TopologyFile) -> Result<Exit, Failure> {
    let (topology, mut notes) = check_with(&file.text, &file.shown, &Overrides::default());
    if let Some(topology) = &topology {
        notes.extend(programs::notes(topology, &file.path));
    }
    let sound = topology.is_some();
    let notes = notes.into_iter().map(|note| NoteView {
        severity: match note.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        line: note.span.line,
        column: note.span.column,
        length: note.span.length,
        message: note.message,
        hint: note.hint,
    });
    let notes = notes.collect();
    output::println(&json(&CheckView { sound, notes })?)?;
    Ok(if sound { Exit::Done } else { Exit::Wrong })
}

pub(super) fn plan(arguments: &Plan) -> Result<Exit, Failure> {
    let file = TopologyFile::read(&arguments.file)?;
    let topology = file.topology(&Overrides::default())?;
    programs::warn(&topology, &file.path);
    let view = views::plan(&planned(&topology, example_slot()));
    if arguments.json {
        output::println(&json(&view)?)?;
    } else {
        output::print(&tables::plan(&view))?;
    }
    Ok(Exit::Done)
}

pub(super) fn explain(arguments: &Explain) -> Result<Exit, Failure> {
    let file = TopologyFile::read(&arguments.file)?;
    let topology = file.topology(&Overrides::default())?;
    output::print(&explained(&topology))?;
    Ok(Exit::Done)
}

pub(super) fn export(stack: Option<StackId>) -> Result<Exit, Failure> {
    let target = target::find(stack)?;
    let view: views::TopologyView = block_on(async {
        let answer = target.client.get("/topology").await;
        answer.map_err(|error| target.explain(error))
    })?;
    output::print(&view.yaml)?;
    Ok(Exit::Done)
}

pub(super) fn reset(stack: Option<StackId>) -> Result<Exit, Failure> {
    let target = target::find(stack)?;
    let view = block_on(async {
        let answer = target.client.reset().await;
        answer.map_err(|error| target.explain(error))
    })?;
    output::eprintln(if view.changed {
        "the stack is what its topology file says"
    } else {
        "the stack is what its topology file says; nothing had to be done"
    });
    Ok(Exit::Done)
}

pub(super) fn schema() -> Result<Exit, Failure> {
    output::println(&json(&spec::schema())?)?;
    Ok(Exit::Done)
}

/// A view as `--json` prints it.
pub(super) fn json(view: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(view)
        .map_err(|error| Failure::new(Exit::Bug, format!("failed to write JSON: {error}")))
}

/// The slot of a stack that comes up while no other runs.
fn example_slot() -> Slot {
    Slot::new(Slot::MIN).expect("the lowest slot is one")
}
