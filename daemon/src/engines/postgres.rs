//! PostgreSQL as the hosts of an RDS DB instance run it.
//!
//! A Multi-AZ DB instance is a primary and a standby that confirms every commit; read replicas follow without being waited for.
//! All of them begin as copies of one golden cluster and stream at once. The role of a host is in its files, never
//! in its [`InstancePlan`]: a promotion does not change the plan, so a later daemon adopts the process.
//!
//! What can not be guarded here: a client that cancels a commit while it waits for the standby is told that the commit
//! succeeded, with a warning. Such a commit is not replicated. RDS replicates its storage and has no such hole.
//!
//! - `state`: what a host's directory holds, and what may be done with it; `start`: in a role, or not at all
//! - `config`: configuration files; `golden`: the cluster that all are copies of
//! - `session`: connections; `roles`: users, passwords, the database; `replication`: promote, follow, wait for
//! - `rejoin`: an old primary becomes a standby; `reach`: could it reach its source?; `probe`: how is it?

mod config;
mod golden;
mod probe;
mod reach;
mod rejoin;
mod replication;
mod roles;
mod session;
mod start;
mod state;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use topologies::id::InstanceId;
use topologies::runtime::{
    InstancePlan, Resolution, Runtime, Software, StopMode, ToolOutput, ToolPlan,
};
use topologies::topology::DbInstance;

pub use config::{application_name, synchronous_standby_names};
pub use probe::{DbProbe, Lsn, Peer, PgStatus, WalReceiver};
pub use rejoin::Rejoined;
pub use replication::Promotion;
pub use state::DataState;

use self::probe::Prober;
use self::session::{Session, SessionError};
use self::state::HostDirectory;
use super::files::FileOwner;
use super::kept::Kept;
use super::secrets::DbSecrets;
use super::{Directories, EngineError, EngineHost, Upstream};

/// The superuser with which the control plane commands an engine; RDS's name for it.
pub const ADMIN: &str = "rdsadmin";
/// The role with which hosts follow each other; RDS's name for it.
pub const REPLICATION: &str = "rdsrepladmin";
/// The role that the master user is a member of (RDS, Appendix.PostgreSQL.CommonDBATasks.Roles).
pub const MASTER_GROUP: &str = "rds_superuser";

/// How long a command, other than a promotion or a copy, may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

/// How many lines of a failed tool's output are worth showing.
const TOOL_LINES_MAX: usize = 12;

/// What a DB instance asks of its engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DbSettings {
    /// The major version; any if absent.
    pub version: Option<u16>,
    /// The database created at first.
    pub db_name: String,
    /// The master user.
    pub master_username: String,
    /// Parameters of the engine.
    pub parameters: BTreeMap<String, String>,
}

impl DbSettings {
    /// The settings of a topology's DB instance, for its hosts and for its read replicas.
    pub fn of(db: &DbInstance) -> Self {
        Self {
            version: db.engine_version,
            db_name: db.db_name.clone(),
            master_username: db.master_username.clone(),
            parameters: db.parameters.clone(),
        }
    }
}

/// The role in which a host is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DbRole {
    /// Accepts writes.
    Primary {
        /// The standby whose confirmation every commit waits for, from the first one on.
        synchronous_standby: Option<InstanceId>,
    },
    /// Follows the primary to take its place. Turns clients away.
    Standby {
        /// What it follows.
        of: Upstream,
    },
    /// Follows the primary and serves reads.
    Replica {
        /// What it follows.
        of: Upstream,
    },
}

/// The PostgreSQL servers of one DB instance and its read replicas.
pub struct Postgres {
    runtime: Arc<dyn Runtime>,
    directories: Directories,
    settings: DbSettings,
    secrets: DbSecrets,
    owner: FileOwner,
    major: OnceCell<u16>,
    probers: Kept<Prober>,
}

impl Postgres {
    /// Fails if the topology sets parameters that the emulator owns.
    pub fn new(
        runtime: Arc<dyn Runtime>,
        directories: Directories,
        settings: DbSettings,
        secrets: DbSecrets,
    ) -> Result<Self, EngineError> {
        config::check_parameters(&settings.parameters)?;
        Ok(Self {
            runtime,
            directories,
            settings,
            secrets,
            owner: FileOwner::of_this_process(),
            major: OnceCell::new(),
            probers: Kept::default(),
        })
    }

    /// Whether it is the engine of a DB instance with these settings and passwords.
    pub fn is_of(&self, settings: &DbSettings, secrets: &DbSecrets) -> bool {
        self.settings == *settings && self.secrets == *secrets
    }

    /// What the runtime is to start. Constant for a host: neither role nor source nor parameters are in it.
    pub fn plan(&self, host: &EngineHost) -> InstancePlan {
        let directory = self.directory(host);
        InstancePlan {
            id: host.instance.clone(),
            zone: host.zone.clone(),
            software: self.software(),
            command: ["postgres", "-D"]
                .map(str::to_owned)
                .into_iter()
                .chain([directory.data().display().to_string()])
                .collect(),
            image: None,
            listen: host.listen(),
            directory: directory.path().to_owned(),
            environment: BTreeMap::new(),
            resolution: Resolution::Host,
        }
    }

    /// Ends a host's server. Returns once its process is gone.
    pub async fn stop(&self, instance: &InstanceId, mode: StopMode) -> Result<(), EngineError> {
        self.probers.forget(instance);
        Ok(self.runtime.stop(instance, mode).await?)
    }

    fn directory(&self, host: &EngineHost) -> HostDirectory {
        HostDirectory::new(self.directories.instance(&host.instance))
    }

    fn software(&self) -> Software {
        Software::Postgres {
            version: self.settings.version,
        }
    }

    /// The major version of the software at hand.
    async fn major(&self) -> Result<u16, EngineError> {
        let read = || async {
            let version = self.runtime.version(&self.software()).await?;
            golden::major_of(&version).ok_or_else(|| EngineError::Unexpected {
                instance: "postgres".into(),
                what: "its version",
                answer: version,
            })
        };
        self.major.get_or_try_init(read).await.copied()
    }

    /// Runs a tool and returns what it printed.
    async fn run(&self, name: &'static str, tool: &ToolPlan) -> Result<String, EngineError> {
        let ToolOutput { code, output } = self.runtime.run(tool).await?;
        if code == Some(0) {
            return Ok(output);
        }
        let skipped = output.lines().count().saturating_sub(TOOL_LINES_MAX);
        let lines: Vec<_> = output.lines().skip(skipped).collect();
        Err(EngineError::Tool {
            tool: name,
            how: code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}")),
            output: lines.join("\n"),
        })
    }

    /// Opens a session for a command.
    async fn session(&self, host: &EngineHost) -> Result<Session, EngineError> {
        Session::open(host.dial, &self.secrets.admin)
            .await
            .map_err(|error| connect_error(&host.instance, error))
    }
}

fn connect_error(instance: &InstanceId, error: SessionError) -> EngineError {
    let instance = instance.clone();
    match error {
        SessionError::Io(cause) => EngineError::Unreachable { instance, cause },
        SessionError::Sql(cause) => EngineError::Sql {
            instance,
            action: "open a session",
            cause,
        },
    }
}

/// Names what failed.
fn sql_error(
    instance: &InstanceId,
    action: &'static str,
) -> impl Fn(tokio_postgres::Error) -> EngineError {
    move |cause| EngineError::Sql {
        instance: instance.clone(),
        action,
        cause,
    }
}

/// Bounds a command.
async fn within<T>(
    limit: Duration,
    instance: &InstanceId,
    action: &'static str,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_elapsed) => Err(EngineError::Unconfirmed {
            instance: instance.clone(),
            action,
            limit,
        }),
    }
}
