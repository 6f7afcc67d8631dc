//! One-shot programs: a container that is gone when the program is, its output read as it comes.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptions, RemoveContainerOptionsBuilder,
    StartContainerOptions, WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use tokio_util::task::TaskTracker;
use topologies::runtime::{RuntimeError, ToolOutput};

use crate::engine::{Engine, cut_short, failed};

/// Of a tool's output, this much of the end is kept.
const OUTPUT_KEPT: usize = 64 << 10;

/// What was written before the end arrives within this time after it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs a tool to its end; whatever ends this future ends the container too, in `tasks`.
pub(crate) async fn run(
    engine: &Engine,
    tasks: &TaskTracker,
    body: ContainerCreateBody,
    name: &str,
    timeout: Duration,
) -> Result<ToolOutput, RuntimeError> {
    let (api, owner, its_tasks) = (engine.api().clone(), engine.clone(), tasks.clone());
    // The engine makes it also when nobody waits any more: then it goes with what this task gives back.
    let created = tasks.spawn(async move {
        let created = api.create_container(None::<CreateContainerOptions>, body);
        created.await.map(|created| Container {
            engine: owner,
            tasks: its_tasks,
            id: Some(created.id),
        })
    });
    let action = || format!("create a container for `{name}`");
    let created = created.await.map_err(|error| cut_short(action(), &error))?;
    let mut container = created.map_err(|error| failed(action(), &error))?;
    let id = container.id.clone().unwrap_or_default();
    let outcome = tokio::time::timeout(timeout, to_its_end(engine, &id, name)).await;
    match outcome {
        Ok(Ok(output)) => {
            // The engine removes it by itself.
            container.id = None;
            Ok(output)
        }
        Ok(Err(error)) => {
            container.remove().await;
            Err(error)
        }
        Err(_) => {
            container.remove().await;
            Err(RuntimeError::TimedOut {
                action: format!("`{name}`"),
                limit: timeout,
            })
        }
    }
}

async fn to_its_end(engine: &Engine, id: &str, name: &str) -> Result<ToolOutput, RuntimeError> {
    let attach = AttachContainerOptionsBuilder::new()
        .stream(true)
        .stdout(true)
        .stderr(true)
        .build();
    let attached = engine.api().attach_container(id, Some(attach)).await;
    let mut frames = attached
        .map_err(|error| failed(format!("read from `{name}`"), &error))?
        .output;
    let started = engine
        .api()
        .start_container(id, None::<StartContainerOptions>)
        .await;
    started.map_err(|error| failed(format!("run `{name}`"), &error))?;
    // Asked before the end, because the container is gone soon after it.
    let condition = WaitContainerOptionsBuilder::new()
        .condition("removed")
        .build();
    let mut answers = std::pin::pin!(engine.api().wait_container(id, Some(condition)));
    let mut output = Vec::new();
    let read = async {
        while let Some(Ok(frame)) = frames.next().await {
            keep(&mut output, frame);
        }
    };
    // Either may come first; an engine whose container was removed by force does not always end the other.
    let answer = match select(std::pin::pin!(read), answers.next()).await {
        Either::Left(((), answer)) => answer.await,
        Either::Right((answer, read)) => {
            let _ = tokio::time::timeout(LAST_WORDS, read).await;
            answer
        }
    };
    output.drain(..output.len().saturating_sub(OUTPUT_KEPT));
    let code = match answer {
        Some(Ok(answer)) => answer.status_code,
        Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => code,
        Some(Err(error)) => return Err(failed(format!("wait for `{name}`"), &error)),
        None => {
            return Err(RuntimeError::Failed {
                action: format!("wait for `{name}`"),
                cause: "the engine said nothing".to_owned(),
            });
        }
    };
    Ok(ToolOutput {
        // The init process ends with 128 and the number of the signal that ended the program.
        code: if (129..=159).contains(&code) {
            None
        } else {
            i32::try_from(code).ok()
        },
        output: String::from_utf8_lossy(&output).into_owned(),
    })
}

fn keep(output: &mut Vec<u8>, frame: LogOutput) {
    output.extend_from_slice(&frame.into_bytes());
    if output.len() > 2 * OUTPUT_KEPT {
        output.drain(..output.len() - OUTPUT_KEPT);
    }
}

/// Removes a container, killing it if it runs; what is gone is gone.
pub(crate) async fn remove(engine: &Engine, id: &str) -> Result<(), RuntimeError> {
    use crate::engine::{absent, conflict};
    let options = RemoveContainerOptionsBuilder::new()
        .force(true)
        .v(true)
        .build();
    match engine.api().remove_container(id, Some(options)).await {
        Err(error) if !absent(&error) && !conflict(&error) => {
            Err(failed("remove a container", &error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes its container when dropped before the program's end.
struct Container {
    engine: Engine,
    tasks: TaskTracker,
    id: Option<String>,
}

impl Container {
    async fn remove(&mut self) {
        if let Some(id) = &self.id
            && let Err(error) = remove(&self.engine, id).await
        {
            tracing::warn!(%error, "a tool's container stays until the stack is cleared");
        }
        self.id = None;
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let engine = self.engine.clone();
        if tokio::runtime::Handle::try_current().is_ok() {
            self.tasks.spawn(async move {
                if let Err(error) = remove(&engine, &id).await {
                    tracing::warn!(%error, "a tool's container stays until the stack is cleared");
                }
            });
        }
    }
}
