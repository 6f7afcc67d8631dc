//! The runtime: instances of one stack as containers. Orders are idempotent; what is true comes from the [`Monitor`].

mod launch;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::{ListContainersOptionsBuilder, LogsOptionsBuilder};
use futures_util::future::{Either, join_all, select};
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use topologies::affliction::Afflictions;
use topologies::id::{InstanceId, StackId, ZoneId};
use topologies::runtime::{
    Affliction, InstancePlan, Observation, Runtime, RuntimeError, RuntimeKind, Software, StopMode,
    ToolOutput, ToolPlan,
};

use crate::board::{Board, View};
use crate::container::{self, STACK, TOOL, User, ZONE};
use crate::engine::{Engine, failed};
use crate::images::Image;
use crate::monitor::Monitor;
use crate::{harm, tool};

/// Containers started at a time. Starting is work for the processor: more only makes each slower.
const STARTS_AT_A_TIME: usize = 4;
/// How long a stop fault leaves an instance to end by itself.
const STOP_FAULT_GRACE: Duration = Duration::from_secs(5);
/// How long what the engine has begun before may take: removals, and what nobody waits for any more.
const CLEAR_LIMIT: Duration = Duration::from_secs(10);
/// Lines of an instance's log that are shown before those to come.
const LOG_LINES: &str = "200";

/// What a runtime needs to know beside its stack.
#[derive(Clone, Debug)]
pub struct Options {
    /// A directory of ours that outlives stacks: what is fetched for images lies there meanwhile.
    pub cache: PathBuf,
    /// Who instances run as: the daemon's user, or [`User::NOBODY`] when that is root. Their directories must be his.
    pub user: User,
}

/// The instances of one stack, in containers.
#[derive(Debug)]
pub struct DockerRuntime {
    engine: Engine,
    stack: StackId,
    stack_dir: PathBuf,
    /// The stack's directory as containers are labelled with.
    label: String,
    options: Options,
    board: Board,
    monitor: Monitor,
    images: Mutex<BTreeMap<Software, Image>>,
    turns: Mutex<BTreeMap<InstanceId, Arc<tokio::sync::Mutex<()>>>>,
    starts: Semaphore,
    tasks: TaskTracker,
    /// Calls that make or start containers. The engine carries one through whether or not somebody waits for it, so each is
    /// followed to its end before containers are counted.
    calls: TaskTracker,
    stop: CancellationToken,
}

impl DockerRuntime {
    /// Connects to the engine of this machine and looks at what an earlier daemon left of the stack.
    ///
    /// # Errors
    /// [`RuntimeError::Missing`] when no engine answers within three seconds; [`RuntimeError::Failed`] when the stack's
    /// directory cannot be used.
    pub async fn connect(
        stack: &StackId,
        stack_dir: &Path,
        options: Options,
    ) -> Result<Self, RuntimeError> {
        let engine = Engine::connect().await?;
        let unusable = |error: std::io::Error| RuntimeError::Failed {
            action: format!("use directory `{}`", stack_dir.display()),
            cause: error.to_string(),
        };
        let stack_dir = stack_dir.canonicalize().map_err(unusable)?;
        let board = Board::new(crate::afflicted::read(&stack_dir)?);
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let label = stack_dir.display().to_string();
        let monitor = Monitor::start(
            engine.clone(),
            label.clone(),
            board.clone(),
            tasks.clone(),
            stop.clone(),
        )
        .await?;
        Ok(Self {
            engine,
            stack: stack.clone(),
            stack_dir,
            label,
            options,
            board,
            monitor,
            images: Mutex::default(),
            turns: Mutex::default(),
            starts: Semaphore::new(STARTS_AT_A_TIME),
            tasks,
            calls: TaskTracker::new(),
            stop,
        })
    }

    /// Returns when the engine has ended what it was asked to make or start.
    async fn calls_ended(&self) -> Result<(), RuntimeError> {
        self.calls.close();
        let ended = tokio::time::timeout(CLEAR_LIMIT, self.calls.wait()).await;
        self.calls.reopen();
        ended.map_err(|_| RuntimeError::TimedOut {
            action: "starting containers".to_owned(),
            limit: CLEAR_LIMIT,
        })
    }

    /// The engine's version.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// One order at a time for an instance.
    async fn turn(&self, instance: &InstanceId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().expect("no holder panics");
            // Whoever waits or is at work holds its turn; the others are of instances that may be gone.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            turns.entry(instance.clone()).or_default().clone()
        };
        turn.lock_owned().await
    }

    fn may_start(&self, plan: &InstancePlan) -> Result<(), RuntimeError> {
        self.board
            .afflictions(|afflictions| afflictions.may_start(&plan.id, &plan.zone))
    }

    /// Changes the harm in force and stores it, so that the next daemon knows.
    fn note(&self, change: impl FnOnce(&mut Afflictions) -> bool) -> Result<(), RuntimeError> {
        self.board.afflictions(|afflictions| {
            if change(afflictions) {
                crate::afflicted::write(&self.stack_dir, afflictions)
            } else {
                Ok(())
            }
        })
    }

    /// Containers of the stack with this label beside, running or not.
    async fn containers(&self, beside: Option<String>) -> Result<Vec<String>, RuntimeError> {
        let labels = std::iter::once(format!("{STACK}={}", self.label))
            .chain(beside)
            .collect();
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&HashMap::from([("label", labels)]))
            .build();
        let found = self.engine.api().list_containers(Some(options)).await;
        let found = found.map_err(|error| failed("list containers", &error))?;
        Ok(found
            .into_iter()
            .filter_map(|container| container.id)
            .collect())
    }

    async fn lose_power(&self, zone: &ZoneId) -> Result<(), RuntimeError> {
        harm::kill(&self.engine, &self.board, &self.board.processes(Some(zone))).await?;
        let options = ListContainersOptionsBuilder::new()
            .filters(&HashMap::from([(
                "label",
                vec![
                    format!("{STACK}={}", self.label),
                    format!("{ZONE}={zone}"),
                    TOOL.to_owned(),
                ],
            )]))
            .build();
        let tools = self.engine.api().list_containers(Some(options)).await;
        let tools = tools.map_err(|error| failed("list containers", &error))?;
        let ids: Vec<String> = tools
            .into_iter()
            .filter_map(|container| container.id)
            .collect();
        join_all(ids.iter().map(|id| tool::remove(&self.engine, id)))
            .await
            .into_iter()
            .collect()
    }
}

impl Drop for DockerRuntime {
    fn drop(&mut self) {
        self.stop.cancel();
        self.tasks.close();
    }
}

#[async_trait]
impl Runtime for DockerRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Docker
    }

    async fn prepare(
        &self,
        software: &[Software],
        progress: &(dyn for<'line> Fn(&'line str) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        for software in software {
            self.image(software, progress).await?;
        }
        Ok(())
    }

    async fn version(&self, software: &Software) -> Result<String, RuntimeError> {
        let image = self.image(software, &quiet).await?;
        if let Some(version) = image.version {
            return Ok(version);
        }
        let server = match software {
            Software::Postgres { .. } => "postgres",
            Software::Redis { .. } => "redis-server",
            Software::Program => return Ok(image.reference),
        };
        let asked = ToolPlan {
            software: software.clone(),
            zone: None,
            command: vec![server.to_owned(), "--version".to_owned()],
            directories: Vec::new(),
            environment: BTreeMap::new(),
            timeout: Duration::from_secs(30),
        };
        Ok(version_in(&self.run(&asked).await?.output))
    }

    async fn ensure(&self, plan: &InstancePlan) -> Result<(), RuntimeError> {
        self.may_start(plan)?;
        let _turn = self.turn(&plan.id).await;
        let body = Box::pin(self.order(plan)).await?;
        let _start = self.starts.acquire().await.expect("never closed");
        let Some(container) = Box::pin(self.place(plan, body)).await? else {
            return Ok(());
        };
        self.may_start(plan)?;
        Box::pin(self.launch(plan, &container)).await
    }

    async fn stop(&self, instance: &InstanceId, mode: StopMode) -> Result<(), RuntimeError> {
        let allowed = |zone: &ZoneId| {
            self.board
                .afflictions(|afflictions| afflictions.may_order(zone))
        };
        if let Some((_, zone, _)) = self
            .board
            .containers()
            .iter()
            .find(|(known, ..)| known == instance)
        {
            allowed(zone)?;
        }
        let _turn = self.turn(instance).await;
        let Some(process) = self.board.process(instance) else {
            return Ok(());
        };
        allowed(&process.zone)?;
        match mode {
            StopMode::Graceful(grace) => {
                harm::stop(&self.engine, &self.board, &process, grace).await
            }
            StopMode::Immediate => harm::kill(&self.engine, &self.board, &[process]).await,
        }
    }

    async fn list(&self) -> Result<Vec<Observation>, RuntimeError> {
        self.monitor.look_at_all().await?;
        Ok(self.board.snapshot(View::Reported))
    }

    fn watch(&self) -> BoxStream<'static, Observation> {
        self.board.watch(View::Reported)
    }

    fn ground_truth(&self) -> BoxStream<'static, Observation> {
        self.board.watch(View::Truth)
    }

    async fn run(&self, plan: &ToolPlan) -> Result<ToolOutput, RuntimeError> {
        let allowed = || match &plan.zone {
            Some(zone) => self
                .board
                .afflictions(|afflictions| afflictions.may_order(zone)),
            None => Ok(()),
        };
        allowed()?;
        let image = self.image(&plan.software, &quiet).await?;
        let passwd = self.passwd()?;
        let body = container::tool(plan, &self.around(&image, passwd.as_deref()));
        let name = plan.command.first().map_or("", String::as_str);
        let run = tool::run(&self.engine, &self.calls, body, name, plan.timeout);
        let dark = async {
            match &plan.zone {
                Some(zone) => self.board.dark(zone).await,
                None => std::future::pending().await,
            }
        };
        let output = match select(std::pin::pin!(run), std::pin::pin!(dark)).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(((), _)) => None,
        };
        // A host that lost its power or its line meanwhile has told nobody how the tool ended.
        allowed()?;
        output.unwrap_or_else(|| {
            Err(RuntimeError::Failed {
                action: format!("run `{name}`"),
                cause: "the power failed for a moment".to_owned(),
            })
        })
    }

    async fn afflict(&self, affliction: &Affliction) -> Result<(), RuntimeError> {
        self.note(|afflictions| afflictions.afflict(affliction))?;
        match affliction {
            Affliction::PowerLoss(zone) => self.lose_power(zone).await,
            Affliction::Isolation(_) => Ok(()),
            Affliction::Kill(instance) => match self.board.process(instance) {
                Some(process) => harm::kill(&self.engine, &self.board, &[process]).await,
                None => Ok(()),
            },
            Affliction::Stop(instance) => match self.board.process(instance) {
                Some(process) => {
                    harm::stop(&self.engine, &self.board, &process, STOP_FAULT_GRACE).await
                }
                None => Ok(()),
            },
            Affliction::Freeze(instance) => match self.board.process(instance) {
                Some(process) => harm::freeze(&self.engine, &process.life.container).await,
                None => Ok(()),
            },
        }
    }

    async fn relieve(&self, affliction: &Affliction) -> Result<(), RuntimeError> {
        self.note(|afflictions| afflictions.relieve(affliction))?;
        match affliction {
            Affliction::PowerLoss(zone) | Affliction::Isolation(zone) => self.board.catch_up(zone),
            Affliction::Freeze(instance) => {
                if let Some(process) = self.board.process(instance) {
                    harm::thaw(&self.engine, &process.life.container).await?;
                }
            }
            Affliction::Kill(_) | Affliction::Stop(_) => {}
        }
        Ok(())
    }

    fn afflictions(&self) -> BTreeSet<Affliction> {
        self.board
            .afflictions(|afflictions| afflictions.iter().cloned().collect())
    }

    async fn clear(&self) -> Result<(), RuntimeError> {
        self.calls_ended().await?;
        harm::kill(&self.engine, &self.board, &self.board.processes(None)).await?;
        let deadline = tokio::time::Instant::now() + CLEAR_LIMIT;
        loop {
            let left = self.containers(None).await?;
            if left.is_empty() {
                break;
            }
            let removals = left
                .into_iter()
                .map(|id| async move { tool::remove(&self.engine, &id).await });
            let mut removals = stream::iter(removals).buffer_unordered(STARTS_AT_A_TIME);
            while let Some(removed) = removals.next().await {
                removed?;
            }
            if tokio::time::Instant::now() > deadline {
                return Err(RuntimeError::TimedOut {
                    action: "remove containers".to_owned(),
                    limit: CLEAR_LIMIT,
                });
            }
            // A removal that was under way is not ours to wait for otherwise.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.note(|afflictions| std::mem::take(afflictions) != Afflictions::default())
    }

    fn logs(&self, instance: &InstanceId, follow: bool) -> BoxStream<'static, String> {
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .follow(follow)
            .tail(LOG_LINES)
            .build();
        let api = self.engine.api().clone();
        let name = container::name(&self.stack, instance);
        let frames = stream::once(async move { api.logs(&name, Some(options)).boxed() }).flatten();
        frames
            .take_while(|frame| std::future::ready(frame.is_ok()))
            .flat_map(|frame| {
                let text = frame.map(|frame| frame.to_string()).unwrap_or_default();
                stream::iter(text.lines().map(str::to_owned).collect::<Vec<_>>())
            })
            .boxed()
    }
}

fn quiet(line: &str) {
    tracing::info!(line, "preparing an image");
}

/// `Redis server v=7.0.15 sha=...` and `postgres (PostgreSQL) 15.20` as their versions.
fn version_in(output: &str) -> String {
    output
        .split_whitespace()
        .map(|word| word.trim_start_matches("v="))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or_default()
        .to_owned()
}
