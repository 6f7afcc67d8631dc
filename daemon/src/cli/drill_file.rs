//! Reads a drill file and shows what is wrong with it, and with it on a stack.

use std::path::{Path, PathBuf};

use chaos::drill::{self, Action, Drill, Places};
use chaos::presence::Presence;
use topologies::address::Slot;
use topologies::check::Overrides;
use topologies::notes::{self, Note, Style};
use topologies::plan::plan;
use topologies::yaml::MAX_BYTES;

use super::exit::{Exit, Failure};
use super::text_file::{self, Meant, mistakes};
use super::topology::counted;
use super::topology_file::TopologyFile;
use super::{args, output};

/// A drill file that was read.
pub(super) struct DrillFile {
    /// As the user wrote it.
    shown: String,
    text: String,
    /// What it says.
    pub(super) drill: Drill,
}

impl DrillFile {
    /// Reads it; every mistake is shown on standard error.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = text_file::read(path, MAX_BYTES, "a drill")?;
        let shown = path.display().to_string();
        if Meant::by(&text) == Some(Meant::Topology) {
            return Err(
                Failure::wrong(format!("`{shown}` is a topology, not a drill"))
                    .hint(format!("`localaws check {shown}` checks it")),
            );
        }
        match drill::parse(&text) {
            Ok(drill) => Ok(Self { shown, text, drill }),
            Err(notes) => Err(wrong(&notes, &text, &shown)),
        }
    }

    /// Whether what it asks for is there, whatever the stack.
    pub(super) fn sound(&self) -> Result<(), Failure> {
        match unknown_calls(&self.drill) {
            notes if notes.is_empty() => Ok(()),
            notes => Err(wrong(&notes, &self.text, &self.shown)),
        }
    }

    /// Shows why it does not fit a stack.
    pub(super) fn unfit(&self, notes: &[Note], stack: &str) -> Failure {
        show(notes, &self.text, &self.shown);
        let shown = &self.shown;
        Failure::wrong(format!("`{shown}` does not fit {stack}"))
    }
}

/// `drill check`: whether the file is sound, and fits the stack that a topology file brings up.
pub(super) fn check(arguments: &args::DrillCheck) -> Result<Exit, Failure> {
    let file = DrillFile::read(&arguments.file)?;
    let drill = &file.drill;
    let counts = format!(
        "{}: {} in {}, {}, {}",
        drill.name,
        counted(
            drill
                .workload
                .iter()
                .map(|it| usize::from(it.clients))
                .sum(),
            "client"
        ),
        counted(drill.workload.len(), "workload"),
        counted(drill.steps.len(), "step"),
        counted(drill.expect.len(), "promise")
    );
    let Some(path) = against(arguments, drill) else {
        file.sound()?;
        output::println(&counts)?;
        output::eprint("name a topology file with `--against` to see whether it fits\n");
        return Ok(Exit::Done);
    };
    let topology = TopologyFile::read(&path).map_err(|failure| match &arguments.against {
        Some(_) => failure,
        None => failure.hint(format!(
            "`{}` names it as its `topology`, relative to itself; `--against FILE` names another",
            file.shown
        )),
    })?;
    let topology = topology.topology(&Overrides::default())?;
    let slot = Slot::new(Slot::MIN).expect("the lowest slot is one");
    let plan = plan(&topology, slot);
    let stack = format!("`{}`", path.display());
    let misfits = drill.bind(&plan, &Presence::initial(&plan)).err();
    let notes: Vec<Note> = unknown_calls(drill)
        .into_iter()
        .chain(misfits.unwrap_or_default())
        .collect();
    if !notes.is_empty() {
        return Err(file.unfit(&notes, &stack));
    }
    output::println(&format!("{counts}; fits {stack}"))?;
    Ok(Exit::Done)
}

/// The topology file to look at: what is asked for, or what the drill says it was written for, which is relative to its own file.
fn against(arguments: &args::DrillCheck, drill: &Drill) -> Option<PathBuf> {
    let own = || {
        let beside = arguments.file.parent().unwrap_or(Path::new(""));
        Some(beside.join(drill.topology.as_ref()?))
    };
    arguments.against.clone().or_else(own)
}

/// Faults on calls of the AWS API that no service has.
fn unknown_calls(drill: &Drill) -> Vec<Note> {
    let steps = drill.steps.iter().enumerate();
    let notes = steps.filter_map(|(index, step)| {
        let Action::Inject { fault, .. } = &step.action else {
            return None;
        };
        let why = crate::aws::known(fault).err()?;
        Some(Note::error(Places::of(&drill.places.steps, index), why))
    });
    notes.collect()
}

fn wrong(notes: &[Note], text: &str, shown: &str) -> Failure {
    show(notes, text, shown);
    Failure::wrong(format!("`{shown}` has {}", mistakes(notes.len())))
}

fn show(notes: &[Note], text: &str, shown: &str) {
    output::eprint(&notes::render(notes, text, shown, Style::Ansi));
    output::eprint("\n");
}
