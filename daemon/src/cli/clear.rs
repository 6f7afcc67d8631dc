//! Ends what a dead daemon, or a bring-up cut short, left of a stack: by label and record, without knowing what it was doing.

use std::path::Path;

use ::docker::{DockerRuntime, Options, User};
use topologies::id::StackId;
use topologies::runtime::{Runtime, RuntimeError, RuntimeKind};

use super::exit::Failure;
use super::images::explain;
use crate::faults::FaultFile;
use crate::runtime::{ProcessOptions, ProcessRuntime};
use crate::state::{Home, Record, StackDirectory};

/// Ends every instance that ever ran for the stack, and with them the faults in force: what comes up next is whole. The caller
/// holds the stack's lock.
pub(super) async fn clear(
    home: &Home,
    directory: &StackDirectory,
    record: &Record,
) -> Result<(), Failure> {
    let path = directory.path();
    for kind in &record.runtimes {
        match kind {
            RuntimeKind::Process => processes(path, home.cache()).await.map_err(explain)?,
            RuntimeKind::Docker => match containers(path, home.cache(), &record.name).await {
                // Nothing was started in an engine that is not there, unless it was chosen.
                Err(RuntimeError::Missing { .. })
                    if record.runtime != Some(RuntimeKind::Docker) => {}
                cleared => cleared.map_err(explain)?,
            },
            RuntimeKind::Simulated => {}
        }
    }
    FaultFile::end_all_in(path)
        .map_err(|error| Failure::machine(format!("failed to end the faults in force: {error}")))
}

/// Ends every instance that carries the mark of the stack in this directory, of which nothing else is known.
pub(super) async fn without_record(
    home: &Home,
    directory: &StackDirectory,
    name: &StackId,
) -> Result<(), Failure> {
    let path = directory.path();
    processes(path, home.cache()).await.map_err(explain)?;
    match containers(path, home.cache(), name).await {
        Err(RuntimeError::Missing { .. }) => Ok(()),
        cleared => cleared.map_err(explain),
    }
}

async fn processes(path: &Path, cache: &Path) -> Result<(), RuntimeError> {
    let runtime = ProcessRuntime::open(path, cache, ProcessOptions::default()).await?;
    runtime.clear().await
}

async fn containers(path: &Path, cache: &Path, name: &StackId) -> Result<(), RuntimeError> {
    let options = Options {
        cache: cache.to_owned(),
        // Nothing is started: as whom instances would run plays no part.
        user: User::NOBODY,
    };
    let runtime = DockerRuntime::connect(name, path, options).await?;
    runtime.clear().await
}
