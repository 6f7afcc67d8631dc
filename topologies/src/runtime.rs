//! The runtime: what starts, stops, watches and afflicts instances.
//!
//! Implemented by containers, by local processes and by the simulator's world. Verbs are idempotent. An instance's
//! state comes from [`Runtime::watch`], never from the return of [`Runtime::ensure`]: "I asked for it" is not "it runs".

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::id::{InstanceId, ZoneId};

/// Which runtime a stack uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeKind {
    /// Containers with host networking.
    Docker,
    /// Local processes.
    Process,
    /// Nothing runs: the simulator's world.
    Simulated,
}

impl RuntimeKind {
    /// The word used on the command line and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Process => "process",
            Self::Simulated => "simulated",
        }
    }
}

/// The software that an instance or a tool needs. A runtime knows where to find it (an image, a directory of binaries).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Software {
    /// PostgreSQL, of this major version if one is asked for.
    Postgres {
        /// The major version, 13 to 18; any if absent.
        version: Option<u16>,
    },
    /// Redis or Valkey.
    Redis {
        /// The major version; any if absent.
        version: Option<u16>,
    },
    /// The user's program.
    Program,
}

/// Everything needed to start an instance. Data only: it is printed, stored and compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstancePlan {
    /// The instance; unique in its stack.
    pub id: InstanceId,
    /// The zone it stands in.
    pub zone: ZoneId,
    /// What it runs.
    pub software: Software,
    /// The command. The first word is a program of `software` (`postgres`), or for [`Software::Program`] a path or a name to be
    /// looked up beside our own binary and in `PATH`. Empty for what the image runs by itself.
    pub command: Vec<String>,
    /// The container image, if the topology names one. Ignored by the process runtime.
    pub image: Option<String>,
    /// Where its server listens.
    pub listen: SocketAddrV4,
    /// The directory that is its own: configuration, data, logs. Exists at the same path in a container, survives stop and start.
    pub directory: PathBuf,
    /// Environment, beside a minimal one (`PATH`, `HOME`, `TZ`, `LANG`).
    pub environment: BTreeMap<String, String>,
    /// How names are resolved inside of the instance.
    pub resolution: Resolution,
}

/// How an instance resolves names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// As the host does.
    Host,
    /// `/etc/resolv.conf` names this server, which must answer on port 53.
    Nameserver(Ipv4Addr),
    /// `/etc/hosts` is this file, kept true by the daemon.
    HostsFile(PathBuf),
}

/// A one-shot program of an engine: `initdb`, `pg_rewind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolPlan {
    /// Where the program comes from.
    pub software: Software,
    /// The instance whose zone it runs in; none for preparations that belong to no zone.
    pub zone: Option<ZoneId>,
    /// The command; the first word is a program of `software`.
    pub command: Vec<String>,
    /// Directories that it reads or writes, at the same path in a container.
    pub directories: Vec<PathBuf>,
    /// Environment, beside the minimal one.
    pub environment: BTreeMap<String, String>,
    /// It is killed after this time.
    pub timeout: Duration,
}

/// What a tool printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolOutput {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output and error, interleaved; the last 64 KiB.
    pub output: String,
}

/// What a runtime sees of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The instance.
    pub instance: InstanceId,
    /// Its state.
    pub status: InstanceStatus,
}

/// The state of an instance as its host reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum InstanceStatus {
    /// Its process runs. Whether it serves is a probe's business.
    Running {
        /// The process id on the host, or the container's short id.
        handle: String,
    },
    /// Its process has ended.
    Exited {
        /// How, in words: `exit code 1`, `signal 9`.
        how: String,
    },
    /// It is not there: never started, or removed.
    Absent,
}

/// What chaos does to a host, an instance or a zone, below and unknown to the control plane.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Affliction {
    /// Every process of the zone is killed at once and nothing starts there.
    PowerLoss(ZoneId),
    /// The zone's hosts run on but take no orders and report nothing.
    Isolation(ZoneId),
    /// SIGKILL; the control plane may start it again.
    Kill(InstanceId),
    /// Stopped (SIGTERM, then SIGKILL) and kept from starting until relieved.
    Stop(InstanceId),
    /// SIGSTOP until relieved.
    Freeze(InstanceId),
}

/// Why a runtime did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// The zone has no power.
    #[error("zone `{0}` has no capacity")]
    InsufficientCapacity(ZoneId),
    /// The zone's hosts do not answer the control plane.
    #[error("hosts of zone `{0}` do not answer")]
    ZoneUnreachable(ZoneId),
    /// The instance is held down by a fault.
    #[error("instance `{0}` is held stopped")]
    HeldStopped(InstanceId),
    /// This machine lacks something that the user can install.
    #[error("{what} not found; {hint}")]
    Missing {
        /// What is missing.
        what: String,
        /// How to get it.
        hint: String,
    },
    /// The operating system or the container engine refused.
    #[error("failed to {action}: {cause}")]
    Failed {
        /// What was tried: `start instance web-1`.
        action: String,
        /// What came back.
        cause: String,
    },
    /// It took longer than it may.
    #[error("{action} did not end within {limit:?}")]
    TimedOut {
        /// What was tried.
        action: String,
        /// The bound.
        limit: Duration,
    },
}

/// How an instance is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Asked to end (`SIGTERM`; `SIGINT` for PostgreSQL, its fast shutdown), killed after this time.
    Graceful(Duration),
    /// Killed.
    Immediate,
}

/// Starts, stops, watches and afflicts the instances of one stack.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Which kind this is.
    fn kind(&self) -> RuntimeKind;

    /// Makes sure that software is at hand (an image is built, a wheel unpacked). `progress` is told lines for the user.
    async fn prepare(
        &self,
        software: &[Software],
        progress: &(dyn for<'line> Fn(&'line str) + Send + Sync),
    ) -> Result<(), RuntimeError>;

    /// The version of the software at hand, `15.18`.
    async fn version(&self, software: &Software) -> Result<String, RuntimeError>;

    /// Starts the instance unless it runs. An instance that survived the daemon is adopted if it was started by the
    /// same plan, replaced otherwise.
    async fn ensure(&self, plan: &InstancePlan) -> Result<(), RuntimeError>;

    /// Ends the instance's process and returns once it is gone. Its directory stays.
    async fn stop(&self, instance: &InstanceId, mode: StopMode) -> Result<(), RuntimeError>;

    /// Every instance of the stack that exists, also such as an earlier daemon left.
    async fn list(&self) -> Result<Vec<Observation>, RuntimeError>;

    /// The present state of every instance first, then every change, without a gap. Nothing is reported from an isolated zone
    /// or one without power: the host that would report it is cut off or dead.
    fn watch(&self) -> BoxStream<'static, Observation>;

    /// What really goes on, faults or not: for the emulated network, which must know whether a host's port is open. Never
    /// for the control plane.
    fn ground_truth(&self) -> BoxStream<'static, Observation>;

    /// Runs a tool to its end.
    async fn run(&self, tool: &ToolPlan) -> Result<ToolOutput, RuntimeError>;

    /// Does harm. Twice is the same as once.
    async fn afflict(&self, affliction: &Affliction) -> Result<(), RuntimeError>;

    /// Ends harm. What does not last (a kill) needs no relief.
    async fn relieve(&self, affliction: &Affliction) -> Result<(), RuntimeError>;

    /// The harm in force, also such as an earlier daemon did. A kill does not last; a freeze ends with the process that it hit.
    fn afflictions(&self) -> BTreeSet<Affliction>;

    /// Ends everything of the stack that this runtime ever started: instances, tools, containers, labels.
    async fn clear(&self) -> Result<(), RuntimeError>;

    /// The last lines of an instance's log, and with `follow` those to come.
    fn logs(&self, instance: &InstanceId, follow: bool) -> BoxStream<'static, String>;
}
