//! Ends what a dead daemon, or a bring-up cut short, left of a stack: by label and record, without knowing what it was doing.

use std::path::Path;

use ::docker::{DockerRuntime, Options, User};
use topologies::runtime::{Runtime, RuntimeError, RuntimeKind};

use super::exit::Failure;
use super::images::explain;
use crate::runtime::{ProcessOptions, ProcessRuntime};
use crate::state::{Home, Record, StackDirectory};
use crate::up::RuntimeWish;

/// Ends every instance that ever ran for the stack. The caller holds the stack's lock.
pub(super) async fn clear(
    home: &Home,
    directory: &StackDirectory,
    record: &Record,
) -> Result<(), Failure> {
    let path = directory.path();
    for kind in kinds(record) {
        match kind {
            RuntimeKind::Process => processes(path, home.cache()).await.map_err(explain)?,
            RuntimeKind::Docker => match containers(path, home.cache(), record).await {
                // Nothing was started in an engine that is not there, unless it was chosen.
                Err(RuntimeError::Missing { .. }) if record.runtime.is_none() => {}
                cleared => cleared.map_err(explain)?,
            },
            RuntimeKind::Simulated => {}
        }
    }
    Ok(())
}

/// The runtimes that may have started something: the chosen one, or, when the daemon died before it told, all that were asked for.
fn kinds(record: &Record) -> Vec<RuntimeKind> {
    match (record.runtime, record.wish) {
        (Some(chosen), _) => vec![chosen],
        (None, RuntimeWish::Auto) => vec![RuntimeKind::Process, RuntimeKind::Docker],
        (None, RuntimeWish::Docker) => vec![RuntimeKind::Docker],
        (None, RuntimeWish::Process) => vec![RuntimeKind::Process],
    }
}

async fn processes(path: &Path, cache: &Path) -> Result<(), RuntimeError> {
    let runtime = ProcessRuntime::open(path, cache, ProcessOptions::default()).await?;
    runtime.clear().await
}

async fn containers(path: &Path, cache: &Path, record: &Record) -> Result<(), RuntimeError> {
    let options = Options {
        cache: cache.to_owned(),
        // Nothing is started: as whom instances would run plays no part.
        user: User::NOBODY,
    };
    let runtime = DockerRuntime::connect(&record.name, path, options).await?;
    runtime.clear().await
}
