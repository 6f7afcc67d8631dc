//! Which runtime a stack gets, and what software its plan has that runtime prepare.

use std::path::Path;
use std::sync::Arc;

use topologies::id::StackId;
use topologies::runtime::{Runtime, RuntimeError};

use super::Tell;
use crate::runtime::{ProcessOptions, ProcessRuntime};
use crate::up::{Progress, RuntimeWish, UpError, UpOptions};

pub(super) async fn choose(
    options: &UpOptions,
    stack: &StackId,
    tell: Tell<'_>,
) -> Result<(Arc<dyn Runtime>, String), UpError> {
    tell(Progress::Step("looking for a runtime".to_owned()));
    let chosen = match options.runtime {
        RuntimeWish::Docker => docker(stack, options).await,
        RuntimeWish::Process => process(options, why_processes(options.asked).to_owned()).await,
        RuntimeWish::Auto => match docker(stack, options).await {
            Ok(chosen) => Ok(chosen),
            Err(cause) => process(options, format!("no Docker engine: {cause}")).await,
        },
    };
    chosen.map_err(|cause| machine(&cause))
}

/// Why processes are not a matter of choice any more. A stack that is taken over stays where it was, whether or not that was asked for.
fn why_processes(asked: RuntimeWish) -> &'static str {
    match asked {
        RuntimeWish::Process => "asked for",
        RuntimeWish::Auto | RuntimeWish::Docker => "the stack was up on it before",
    }
}

async fn docker(
    stack: &StackId,
    options: &UpOptions,
) -> Result<(Arc<dyn Runtime>, String), RuntimeError> {
    let user = if rustix::process::geteuid().is_root() {
        docker::User::NOBODY
    } else {
        let (uid, gid) = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        docker::User { uid, gid }
    };
    let settings = docker::Options {
        cache: options.cache.clone(),
        user,
    };
    let runtime = docker::DockerRuntime::connect(stack, &options.directory, settings).await?;
    let why = format!("its engine {} answers", runtime.engine().version());
    Ok((Arc::new(runtime), why))
}

async fn process(
    options: &UpOptions,
    why: String,
) -> Result<(Arc<dyn Runtime>, String), RuntimeError> {
    let mut services = options.topology.services.iter();
    if let Some(service) = services.find(|service| service.command.is_empty()) {
        return Err(RuntimeError::Missing {
            what: format!("a `program:` of the instances `{}`", service.id),
            hint: format!(
                "their image needs the docker runtime, and {why}; name a program that runs without it"
            ),
        });
    }
    let mut settings = ProcessOptions::from_environment();
    let base = options.topology_path.parent().unwrap_or(Path::new("/"));
    let engines = &options.topology.engines;
    for (named, place) in [
        (&engines.postgres, &mut settings.postgres),
        (&engines.redis, &mut settings.redis),
    ] {
        if !named.is_empty() {
            *place = named.iter().map(|directory| base.join(directory)).collect();
        }
    }
    let runtime = ProcessRuntime::open(&options.directory, &options.cache, settings).await?;
    Ok((Arc::new(runtime), why))
}

pub(super) fn machine(cause: &RuntimeError) -> UpError {
    match cause {
        RuntimeError::Missing { what, hint } => UpError::Machine {
            message: format!("{what} not found"),
            hint: Some(hint.clone()),
        },
        RuntimeError::InsufficientCapacity(_)
        | RuntimeError::ZoneUnreachable(_)
        | RuntimeError::HeldStopped(_)
        | RuntimeError::Failed { .. }
        | RuntimeError::TimedOut { .. } => UpError::Machine {
            message: cause.to_string(),
            hint: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_called_so() {
        assert_eq!(why_processes(RuntimeWish::Process), "asked for");
        let taken_over = why_processes(RuntimeWish::Auto);
        assert_eq!(taken_over, "the stack was up on it before");
    }
}
