//! Signals to containers, by the shortest way: straight to the process where this user may (SIGKILL to a zone of five is done
//! in milliseconds), else by the engine.

use std::time::Duration;

use bollard::query_parameters::KillContainerOptionsBuilder;
use futures_util::future::join_all;
use rustix::process::{Signal, pidfd_send_signal};
use topologies::runtime::{Affliction, RuntimeError};

use crate::board::{Board, Process};
use crate::engine::{Engine, absent, conflict, failed};
use crate::sightings::{KILLED, how};

/// A killed process is gone after this time unless its container is frozen: then it has to be thawed to die.
const DEATH_EXPECTED: Duration = Duration::from_millis(50);
/// Nothing takes longer to die, disk sleep apart.
const DEATH_LIMIT: Duration = Duration::from_secs(10);

/// Kills processes, all at once, and returns when they are gone.
pub(crate) async fn kill(
    engine: &Engine,
    board: &Board,
    processes: &[Process],
) -> Result<(), RuntimeError> {
    let mut rest = Vec::new();
    for process in processes {
        process.note_killed();
        if directly(process, Signal::KILL) {
            board.doomed(process, how(KILLED));
        } else {
            rest.push(process);
        }
    }
    for outcome in join_all(rest.into_iter().map(|process| async move {
        by_engine(engine, process, "SIGKILL").await?;
        board.doomed(process, how(KILLED));
        Ok(())
    }))
    .await
    {
        outcome?;
    }
    for outcome in join_all(processes.iter().map(|process| die(engine, process))).await {
        outcome?;
    }
    Ok(())
}

/// Asks a process to end and kills it after `grace`; one that is frozen, which can not follow, at once.
pub(crate) async fn stop(
    engine: &Engine,
    board: &Board,
    process: &Process,
    grace: Duration,
) -> Result<(), RuntimeError> {
    let freeze = Affliction::Freeze(process.instance.clone());
    if board.afflictions(|afflictions| afflictions.contains(&freeze)) {
        return kill(engine, board, std::slice::from_ref(process)).await;
    }
    let signal = match process.stop_signal.as_str() {
        "SIGINT" => Signal::INT,
        _ => Signal::TERM,
    };
    if !directly(process, signal) {
        by_engine(engine, process, &process.stop_signal).await?;
    }
    if tokio::time::timeout(grace, process.gone()).await.is_ok() {
        return Ok(());
    }
    kill(engine, board, std::slice::from_ref(process)).await
}

async fn die(engine: &Engine, process: &Process) -> Result<(), RuntimeError> {
    if tokio::time::timeout(DEATH_EXPECTED, process.gone())
        .await
        .is_ok()
    {
        return Ok(());
    }
    // Frozen by the older kind of control groups, it takes no signal until thawed; the kill comes first then.
    thaw(engine, &process.life.container).await?;
    tokio::time::timeout(DEATH_LIMIT, process.gone())
        .await
        .map_err(|_| RuntimeError::TimedOut {
            action: format!("kill instance `{}`", process.instance),
            limit: DEATH_LIMIT,
        })
}

/// Freezes a container; nothing if it does not run or is frozen.
pub(crate) async fn freeze(engine: &Engine, container: &str) -> Result<(), RuntimeError> {
    accept(
        engine.api().pause_container(container).await,
        "freeze a container",
    )
}

/// Thaws a container; nothing if it is not frozen.
pub(crate) async fn thaw(engine: &Engine, container: &str) -> Result<(), RuntimeError> {
    match engine.api().unpause_container(container).await {
        // An engine of this age says so with its code for its own faults.
        Err(bollard::errors::Error::DockerResponseServerError {
            status_code: 500,
            message,
        }) if message.contains("is not paused") => Ok(()),
        outcome => accept(outcome, "thaw a container"),
    }
}

/// Sends a signal past the engine, to the container's init process, which passes it on; whether that could be done.
fn directly(process: &Process, signal: Signal) -> bool {
    match process
        .pidfd
        .as_ref()
        .map(|fd| pidfd_send_signal(fd, signal))
    {
        Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => true,
        Some(Err(_)) | None => false,
    }
}

async fn by_engine(engine: &Engine, process: &Process, signal: &str) -> Result<(), RuntimeError> {
    let options = KillContainerOptionsBuilder::new().signal(signal).build();
    let outcome = engine
        .api()
        .kill_container(&process.life.container, Some(options))
        .await;
    accept(
        outcome,
        &format!("send {signal} to instance `{}`", process.instance),
    )
}

/// What is gone, or already as it should be, is no failure.
fn accept(outcome: Result<(), bollard::errors::Error>, action: &str) -> Result<(), RuntimeError> {
    match outcome {
        Err(error) if !absent(&error) && !conflict(&error) => Err(failed(action, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
