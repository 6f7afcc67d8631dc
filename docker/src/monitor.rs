//! Finds out what goes on: the kernel tells at once when a container's first process ends (pidfd: 2 ms after a SIGKILL, where
//! the engine's own event takes 30), the engine's events tell the rest. An event is only a hint to look again: what counts is
//! what the engine says of the container now, so that events may be late, repeated or lost.
//!
//! One task reads events and lists anew whenever their stream breaks; one small task per living process waits for its end.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    EventsOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures_util::{StreamExt, stream};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use topologies::id::{InstanceId, ZoneId};
use topologies::runtime::RuntimeError;

use crate::board::{Board, Process};
use crate::container::{INSTANCE, STACK, ZONE};
use crate::engine::{Engine, absent, failed};
use crate::sightings::{KILLED, Life, Moment, how};

/// How long the engine is waited for to say how a process ended, which the kernel does not tell. The network knows at once that it did.
const VERDICT_LIMIT: Duration = Duration::from_secs(1);
/// How a process ended of which nobody says more.
const ENDED: &str = "process ended";
/// Pause before the engine is asked again, doubled each time up to the second.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// Containers looked at at a time.
const GLANCES: usize = 8;

/// The watcher of one stack's containers; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Monitor {
    engine: Engine,
    label: String,
    board: Board,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Monitor {
    /// Looks at everything that is there, then keeps watching until `stop`.
    pub(crate) async fn start(
        engine: Engine,
        label: String,
        board: Board,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, RuntimeError> {
        let monitor = Self {
            engine,
            label,
            board,
            tasks,
            stop,
        };
        let since = now();
        monitor.look_at_all().await?;
        let watcher = monitor.clone();
        monitor.tasks.spawn(async move {
            let stop = watcher.stop.clone();
            stop.run_until_cancelled_owned(watcher.keep_watching(since))
                .await;
        });
        Ok(monitor)
    }

    /// Looks at every container of the stack.
    pub(crate) async fn look_at_all(&self) -> Result<(), RuntimeError> {
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&HashMap::from([(
                "label",
                vec![format!("{STACK}={}", self.label), INSTANCE.to_owned()],
            )]))
            .build();
        let known = self.board.containers();
        let found = self.engine.api().list_containers(Some(options)).await;
        let found = found.map_err(|error| failed("list containers", &error))?;
        let ids: Vec<String> = found
            .into_iter()
            .filter_map(|container| container.id)
            .collect();
        for (instance, zone, container) in known {
            if !ids.contains(&container) {
                self.board.gone(&instance, &zone, container);
            }
        }
        let glances = ids
            .into_iter()
            .map(|id| async move { self.look_at(&id).await });
        let mut glances = stream::iter(glances).buffer_unordered(GLANCES);
        while let Some(seen) = glances.next().await {
            seen?;
        }
        Ok(())
    }

    /// Looks at one container.
    async fn look_at(&self, container: &str) -> Result<(), RuntimeError> {
        match self
            .engine
            .api()
            .inspect_container(container, None::<InspectContainerOptions>)
            .await
        {
            Ok(found) => {
                self.hear(&found);
                Ok(())
            }
            // Its `destroy` event says the rest.
            Err(error) if absent(&error) => Ok(()),
            Err(error) => Err(failed("inspect a container", &error)),
        }
    }

    /// Takes what the engine says of a container; its process if it runs.
    pub(crate) fn hear(&self, found: &ContainerInspectResponse) {
        let Some(card) = Card::of(found) else { return };
        if card.running {
            let pidfd = card.pid.and_then(|pid| open(pid, &card.life.container));
            let process =
                Process::new(card.instance, card.zone, card.life, pidfd, card.stop_signal);
            if self.board.runs(process.clone()) {
                self.await_end(process);
            }
        } else {
            self.board
                .ended(&card.instance, &card.zone, card.life, how(card.code));
        }
    }

    fn await_end(&self, process: Process) {
        let Some(pidfd) = process.pidfd.clone() else {
            return;
        };
        let monitor = self.clone();
        self.tasks.spawn(async move {
            let stop = monitor.stop.clone();
            let end = async {
                let pidfd = readiness(pidfd.as_fd().try_clone_to_owned()?)?;
                pidfd.readable().await.map(|_| ())
            };
            match stop.run_until_cancelled(end).await {
                Some(Ok(())) => {
                    monitor.board.doomed(&process, ENDED.to_owned());
                    let how = monitor.verdict(&process).await;
                    monitor.board.ended(&process.instance, &process.zone, process.life, how);
                }
                Some(Err(error)) => tracing::debug!(%error, instance = %process.instance, "no pidfd, the engine's events must do"),
                None => {}
            }
        });
    }

    /// How a process ended that has ended.
    async fn verdict(&self, process: &Process) -> String {
        if process.was_killed() {
            return how(KILLED);
        }
        let options = WaitContainerOptionsBuilder::new()
            .condition("not-running")
            .build();
        let mut answers = std::pin::pin!(
            self.engine
                .api()
                .wait_container(&process.life.container, Some(options))
        );
        match tokio::time::timeout(VERDICT_LIMIT, answers.next()).await {
            Ok(Some(Ok(answer))) => how(answer.status_code),
            Ok(Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. }))) => {
                how(code)
            }
            Ok(_) | Err(_) => ENDED.to_owned(),
        }
    }

    async fn keep_watching(self, mut since: String) {
        let mut pause = RETRY.0;
        loop {
            let begun = now();
            if self.read_events(&since).await {
                pause = RETRY.0;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY.1);
            since = begun;
            match self.look_at_all().await {
                Ok(()) => tracing::debug!("the engine's events broke off and were taken up again"),
                Err(error) => tracing::warn!(%error, "the container engine does not answer"),
            }
        }
    }

    /// Reads events until they break off; whether there was any. `since` makes the engine repeat what happened while nobody
    /// listened.
    async fn read_events(&self, since: &str) -> bool {
        let options = EventsOptionsBuilder::new()
            .since(since)
            .filters(&HashMap::from([
                ("type", vec!["container".to_owned()]),
                (
                    "event",
                    vec!["start".to_owned(), "die".to_owned(), "destroy".to_owned()],
                ),
                (
                    "label",
                    vec![format!("{STACK}={}", self.label), INSTANCE.to_owned()],
                ),
            ]))
            .build();
        let mut events = std::pin::pin!(self.engine.api().events(Some(options)));
        let mut any = false;
        while let Some(Ok(event)) = events.next().await {
            any = true;
            let Some(actor) = event.actor else { continue };
            let (Some(container), Some(labels)) = (actor.id, actor.attributes) else {
                continue;
            };
            if event.action.as_deref() == Some("destroy") {
                if let (Some(instance), Some(zone)) = (labels.get(INSTANCE), labels.get(ZONE)) {
                    self.board
                        .gone(&instance.as_str().into(), &zone.as_str().into(), container);
                }
            } else if let Err(error) = self.look_at(&container).await {
                tracing::debug!(%error, "an event could not be followed");
                return any;
            }
        }
        any
    }
}

/// What matters of an engine's answer.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) instance: InstanceId,
    pub(crate) zone: ZoneId,
    pub(crate) life: Life,
    pub(crate) running: bool,
    pid: Option<i32>,
    code: i64,
    stop_signal: String,
}

impl Card {
    /// None for a container that is not an instance of ours or was never started.
    pub(crate) fn of(found: &ContainerInspectResponse) -> Option<Self> {
        let config = found.config.as_ref()?;
        let labels = config.labels.as_ref()?;
        let state = found.state.as_ref()?;
        Some(Self {
            instance: labels.get(INSTANCE)?.as_str().into(),
            zone: labels.get(ZONE)?.as_str().into(),
            life: Life {
                container: found.id.clone()?,
                began: Moment::of(state.started_at.as_deref()?)?,
            },
            running: state.running.unwrap_or_default(),
            pid: state.pid.and_then(|pid| i32::try_from(pid).ok()),
            code: state.exit_code.unwrap_or_default(),
            stop_signal: config
                .stop_signal
                .clone()
                .unwrap_or_else(|| "SIGTERM".to_owned()),
        })
    }
}

/// A pidfd that says when it is readable, which is when its process has ended.
#[expect(
    deprecated,
    reason = "unsound only for a descriptor that is closed meanwhile; this one is owned"
)]
fn readiness(pidfd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

/// A handle on a container's first process. The control group proves that the number means here what it means to the engine,
/// and that it has not been given to another process meanwhile.
fn open(pid: i32, container: &str) -> Option<OwnedFd> {
    let pidfd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::NONBLOCK).ok()?;
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    groups.contains(container).then_some(pidfd)
}

/// Now, as the engine's events are asked for.
fn now() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
}
