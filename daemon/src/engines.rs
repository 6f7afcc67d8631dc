//! The engines: PostgreSQL and Redis (or Valkey) as a stack runs them.
//!
//! An engine knows its software's configuration, its commands and its answers. It makes [`InstancePlan`]s and [`ToolPlan`]s
//! and hands them to a [`Runtime`]; it never starts a process. It decides nothing: who is promoted, and when, is the
//! control plane's business. What it refuses is what would lose data whoever asked for it (see [`postgres::DataState`]).
//!
//! - [`secrets`]: passwords of a stack
//! - [`files`]: writing and copying an instance's files so that its engine owns them
//! - `kept`: the sessions over which hosts are asked how they are
//! - [`postgres`]: hosts of a DB instance; [`redis`]: nodes of a replication group
//!
//! [`InstancePlan`]: topologies::runtime::InstancePlan
//! [`ToolPlan`]: topologies::runtime::ToolPlan
//! [`Runtime`]: topologies::runtime::Runtime

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use topologies::address::{HostAddress, ZoneNumber};
use topologies::id::{InstanceId, ZoneId};
use topologies::plan::Instance;
use topologies::runtime::{InstanceStatus, Runtime, RuntimeError};

pub mod files;
mod kept;
pub mod postgres;
pub mod redis;
pub mod secrets;

use files::FileWork;

/// How long a server is waited for to listen; one that takes longer is for probes to judge.
const LISTEN_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks whether it listens.
const LISTEN_PAUSE: Duration = Duration::from_millis(10);

/// A host that runs an engine, and where the control plane reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineHost {
    /// The instance.
    pub instance: InstanceId,
    /// Its zone.
    pub zone: ZoneId,
    /// Its address.
    pub address: HostAddress,
    /// The port of its server.
    pub port: u16,
    /// Where probes and commands dial it: its management interface, which a fence does not close.
    pub dial: SocketAddr,
}

impl EngineHost {
    /// The host of a planned instance, dialled over the management network.
    pub fn of(instance: &Instance) -> Self {
        Self {
            instance: instance.id.clone(),
            zone: instance.zone.clone(),
            address: instance.address,
            port: instance.port,
            dial: SocketAddr::from((instance.address.management(), instance.port)),
        }
    }

    /// Where its server listens.
    pub fn listen(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.address.engine(), self.port)
    }

    /// This host as the source of what a host in zone `follower` replicates. The address says which link the stream takes.
    pub fn upstream_for(&self, follower: ZoneNumber) -> Upstream {
        Upstream {
            instance: self.instance.clone(),
            address: SocketAddrV4::new(self.address.replication(follower), self.port),
        }
    }
}

/// What a standby or replica follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The instance followed.
    pub instance: InstanceId,
    /// Its replication interface as dialled from the follower's zone.
    pub address: SocketAddrV4,
}

/// Where engines keep files. Both must be open to the engine's user for passing through.
#[derive(Clone, Debug)]
pub struct Directories {
    /// The stack's; each instance has `instances/<id>` in it.
    pub stack: PathBuf,
    /// What stacks share.
    pub cache: PathBuf,
    /// What goes on in them: they are not to be removed before it has ended.
    pub work: FileWork,
}

impl Directories {
    /// The directory of an instance.
    pub fn instance(&self, instance: &InstanceId) -> PathBuf {
        self.stack.join("instances").join(instance.as_str())
    }
}

/// Why an engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The runtime could not.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A file could not be read or written.
    #[error("{action} `{}`", path.display())]
    File {
        /// The verb: `write`, `copy`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A tool ended with an error.
    #[error("{tool} ended with {how}: {output}")]
    Tool {
        /// `initdb`, `pg_basebackup`.
        tool: &'static str,
        /// `exit code 1`, `a signal`.
        how: String,
        /// The end of what it printed.
        output: String,
    },
    /// The engine could not be reached.
    #[error("connect to `{instance}`")]
    Unreachable {
        /// The instance dialled.
        instance: InstanceId,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// PostgreSQL refused a statement, or the session broke while it ran.
    #[error("{action} on `{instance}`")]
    Sql {
        /// The instance.
        instance: InstanceId,
        /// What was tried: `promote`.
        action: &'static str,
        /// What came back.
        #[source]
        cause: tokio_postgres::Error,
    },
    /// Redis refused a command, or the session broke while it ran.
    #[error("{action} on `{instance}`")]
    Command {
        /// The instance.
        instance: InstanceId,
        /// What was tried: `promote`.
        action: &'static str,
        /// What came back.
        #[source]
        cause: ::redis::RedisError,
    },
    /// The engine did not come to the state asked for in time. It may still.
    #[error("{action} on `{instance}` not confirmed within {limit:?}")]
    Unconfirmed {
        /// The instance.
        instance: InstanceId,
        /// What was tried.
        action: &'static str,
        /// The bound.
        limit: Duration,
    },
    /// An answer had another form than this version of the engine is known to give.
    #[error("`{instance}` answered {what}: {answer}")]
    Unexpected {
        /// The instance.
        instance: InstanceId,
        /// Which answer: `its timeline`.
        what: &'static str,
        /// The answer.
        answer: String,
    },
    /// Parameters that the emulator sets itself, or that are no parameters.
    #[error("parameter {} can not be set: {why}", quoted(names))]
    Parameters {
        /// Which.
        names: Vec<String>,
        /// Why not.
        why: &'static str,
    },
    /// What was asked would lose or fork data, given what the instance's directory holds.
    #[error("{action} instance `{instance}`: its data is {state}")]
    Refused {
        /// The instance.
        instance: InstanceId,
        /// What was asked: `start as primary`.
        action: &'static str,
        /// What the directory holds.
        state: postgres::DataState,
    },
    /// It must be stopped first.
    #[error("{action} instance `{instance}` while it runs")]
    Running {
        /// The instance.
        instance: InstanceId,
        /// What was asked.
        action: &'static str,
    },
}

fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

impl EngineError {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>, cause: io::Error) -> Self {
        Self::File {
            action,
            path: path.into(),
            cause,
        }
    }
}

/// Waits until a host's server listens, or has ended: a container runs for some time before its server does, and clients who are
/// turned away in that time would take it for crashed. A frozen server listens too.
async fn listening(runtime: &dyn Runtime, host: &EngineHost) -> Result<(), EngineError> {
    let listens = async {
        while tokio::net::TcpStream::connect(host.listen()).await.is_err() {
            if !runs(runtime, &host.instance).await? {
                break;
            }
            tokio::time::sleep(LISTEN_PAUSE).await;
        }
        Ok(())
    };
    tokio::time::timeout(LISTEN_LIMIT, listens)
        .await
        .unwrap_or(Ok(()))
}

/// Whether an instance's process runs, as its runtime tells.
async fn runs(runtime: &dyn Runtime, instance: &InstanceId) -> Result<bool, EngineError> {
    let observations = runtime.list().await?;
    Ok(observations.iter().any(|observation| {
        observation.instance == *instance
            && matches!(observation.status, InstanceStatus::Running { .. })
    }))
}
