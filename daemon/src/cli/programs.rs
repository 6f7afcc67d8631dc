//! Programs of a topology that this machine can be seen not to have, before anything starts.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use topologies::notes::{Note, Span};
use topologies::topology::{Service, Topology};

use super::exit::Failure;
use super::output;
use crate::up::RuntimeWish;

/// Warnings of programs that are given by a path where there is none. Programs in an image of their own are not looked for, nor are
/// those that `PATH` finds: a file may be checked elsewhere than it is used.
pub(super) fn notes(topology: &Topology, file: &Path) -> Vec<Note> {
    let outside = topology.services.iter().filter(|one| one.image.is_none());
    let named_by_path =
        outside.filter(|one| one.command.first().is_some_and(|word| word.contains('/')));
    let problems = named_by_path.filter_map(|service| problem(service, file, &[]));
    problems
        .map(|problem| Note::warning(Span::START, problem).hint(HINT))
        .collect()
}

/// Shows [`notes`] on standard error.
pub(super) fn warn(topology: &Topology, file: &Path) {
    for note in notes(topology, file) {
        let message = output::printable(&note.message);
        output::eprintln(&format!("warning: {message}\n  hint: {HINT}\n"));
    }
}

/// Refuses a stack with a program that can not be started by the runtime that is wished for.
///
/// # Errors
/// Every such program, in one message.
pub(super) fn present(topology: &Topology, file: &Path, wish: RuntimeWish) -> Result<(), Failure> {
    let needed = |service: &&Service| match wish {
        RuntimeWish::Process => true,
        RuntimeWish::Auto | RuntimeWish::Docker => service.image.is_none(),
    };
    let beside = std::env::current_exe().ok();
    let beside = beside.and_then(|own| own.parent().map(Path::to_owned));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = beside
        .into_iter()
        .chain(std::env::split_paths(&path))
        .collect();
    let services = topology.services.iter().filter(needed);
    let problems: Vec<String> = services
        .filter_map(|service| problem(service, file, &places))
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::wrong(problems.join("; ")).hint(HINT))
}

const HINT: &str = "a path begins beside the topology file, a name is looked up beside localaws and in PATH; with the docker runtime `image:` may bring the program";

/// Why an instance's program can not be started; a word without a slash is looked for in `places`.
fn problem(service: &Service, file: &Path, places: &[PathBuf]) -> Option<String> {
    let Some(word) = service.command.first() else {
        // Only who runs processes needs one.
        let id = &service.id;
        return Some(format!(
            "instances `{id}` have an `image:` and no `program:`, and the process runtime runs programs only"
        ));
    };
    let what = |problem: &str| {
        let (word, id) = (word.escape_debug(), &service.id);
        Some(format!(
            "program `{word}` of the instances `{id}` {problem}"
        ))
    };
    if !word.contains('/') {
        let found = places
            .iter()
            .any(|place| fault(&place.join(word)).is_none());
        return if found {
            None
        } else {
            what("is nowhere in PATH")
        };
    }
    let base = file.parent().unwrap_or(Path::new("/"));
    what(fault(&base.join(word))?)
}

/// What is wrong with a file as a program.
fn fault(path: &Path) -> Option<&'static str> {
    match path.metadata() {
        Err(_) => Some("does not exist"),
        Ok(file) if file.is_dir() => Some("is a directory"),
        Ok(file) if !file.is_file() => Some("is no file"),
        Ok(file) if file.permissions().mode() & 0o111 == 0 => Some("is not executable"),
        Ok(_) => None,
    }
}
