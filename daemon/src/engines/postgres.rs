//! PostgreSQL as the hosts of an RDS DB instance run it.
//!
//! A Multi-AZ DB instance is a primary and a standby that confirms every commit; read replicas follow without being waited for.
//! All of them begin as copies of one golden cluster and stream at once. The role of a host is in its files, never
//! in its [`InstancePlan`]: a promotion does not change the plan, so a later daemon adopts the process.
//!
//! What can not be guarded here: a client that cancels a commit while it waits for the standby is told that the commit
//! succeeded, with a warning. Such a commit is not replicated. RDS replicates its storage and has no such hole.
//!
//! - [`state`]: what a host's directory holds, and what may be done with it
//! - [`config`]: configuration files; [`golden`]: the cluster that all are copies of
//! - [`session`]: connections; [`roles`]: users, passwords, the database; [`replication`]: promote, follow, wait for
//! - [`rejoin`]: an old primary becomes a standby; [`probe`]: how is it?

mod config;
mod golden;
mod probe;
mod rejoin;
mod replication;
mod roles;
mod session;
mod state;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use topologies::id::InstanceId;
use topologies::runtime::{
    InstancePlan, InstanceStatus, Resolution, Runtime, RuntimeKind, Software, StopMode, ToolOutput,
    ToolPlan,
};
use topologies::topology::DbInstance;

pub use config::application_name;
pub use probe::{DbProbe, Lsn, Peer, PgStatus, WalReceiver};
pub use rejoin::Rejoined;
pub use replication::Promotion;
pub use state::DataState;

use self::config::Access;
use self::probe::Probers;
use self::session::{Session, SessionError};
use self::state::HostDirectory;
use super::files::{self, FileOwner, blocking};
use super::secrets::DbSecrets;
use super::{EngineError, EngineHost, Upstream};

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

/// Where engines keep files. Both must be open to the engine's user for passing through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// The stack's; each instance has `instances/<id>` in it.
    pub stack: PathBuf,
    /// What stacks share.
    pub cache: PathBuf,
}

impl Directories {
    /// The directory of an instance.
    pub fn instance(&self, instance: &InstanceId) -> PathBuf {
        self.stack.join("instances").join(instance.as_str())
    }
}

/// The PostgreSQL servers of one DB instance and its read replicas.
pub struct Postgres {
    runtime: Arc<dyn Runtime>,
    directories: Directories,
    settings: DbSettings,
    secrets: DbSecrets,
    owner: FileOwner,
    major: OnceCell<u16>,
    probers: Probers,
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
            probers: Probers::default(),
        })
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

    /// What a host's directory holds.
    pub fn data_state(&self, host: &EngineHost) -> DataState {
        self.directory(host).state()
    }

    /// Gives a host a copy of the golden cluster, unless it has data already.
    pub async fn seed(&self, host: &EngineHost) -> Result<(), EngineError> {
        let directory = self.directory(host);
        if directory.state() != DataState::Empty {
            return Ok(());
        }
        let golden = self.golden().await?;
        let owner = self.owner;
        blocking(move || {
            owner.make_directory(directory.path())?;
            files::remove_tree(&directory.data())?;
            owner.copy_tree(&golden.data(), &directory.data())
        })
        .await
    }

    /// Starts a seeded host in a role. One that already runs in it goes on running, with the source and the synchronous
    /// standby that it has: [`Postgres::follow`] and [`Postgres::set_synchronous_standby`] change those.
    ///
    /// Refused: a primary whose data are a follower's (promote it) or a demoted writer's (rejoin it), a follower whose data are a
    /// writer's (demote it), and a host that runs in another role.
    pub async fn start(&self, host: &EngineHost, role: &DbRole) -> Result<(), EngineError> {
        let directory = self.directory(host);
        let state = directory.state();
        let action = role.admit(state).map_err(|action| EngineError::Refused {
            instance: host.instance.clone(),
            action,
            state,
        })?;
        if self.running(&host.instance).await? {
            let as_asked = matches!(
                (role, state),
                (DbRole::Primary { .. }, DataState::Writer)
                    | (
                        DbRole::Standby { .. } | DbRole::Replica { .. },
                        DataState::Follower
                    )
            );
            if !as_asked {
                return Err(EngineError::Running {
                    instance: host.instance.clone(),
                    action,
                });
            }
        } else {
            self.write_files(host, role).await?;
        }
        Ok(self.runtime.ensure(&self.plan(host)).await?)
    }

    /// Ends a host's server. Returns once its process is gone.
    pub async fn stop(&self, instance: &InstanceId, mode: StopMode) -> Result<(), EngineError> {
        self.probers.forget(instance);
        Ok(self.runtime.stop(instance, mode).await?)
    }

    /// Marks a host as one that may never again write what it has: to be called before another is promoted in its place.
    /// The mark outlives every process. [`Postgres::rejoin`] takes it away. It does not stop a running server.
    pub async fn demote(&self, host: &EngineHost) -> Result<(), EngineError> {
        let directory = self.directory(host);
        let owner = self.owner;
        blocking(move || match directory.state() {
            DataState::Follower | DataState::Demoted => Ok(()),
            DataState::Empty | DataState::Fresh | DataState::Writer | DataState::Torn => {
                owner.make_directory(directory.path())?;
                owner.write(&directory.demoted_mark(), "")
            }
        })
        .await
    }

    /// Asks a host how it is; returns within `deadline`. Costs one round trip on a session that is kept.
    pub async fn probe(&self, host: &EngineHost, deadline: Duration) -> DbProbe {
        self.probers
            .probe(&host.instance, host.dial, &self.secrets.admin, deadline)
            .await
    }

    async fn write_files(&self, host: &EngineHost, role: &DbRole) -> Result<(), EngineError> {
        let directory = self.directory(host);
        let owner = self.owner;
        let data = directory.data();
        let settings = config::settings(host, self.major().await?, &self.settings.parameters);
        let role_settings = config::role_settings(host, role, &directory.password_file());
        let rules = Access::of(role).rules();
        let passwords = config::password_file(self.secrets.replication.expose());
        let follows = !matches!(role, DbRole::Primary { .. });
        // A container that is gone has left no process behind, but a file with a process id that means another one in the next.
        let stale_lock =
            (self.runtime.kind() == RuntimeKind::Docker).then(|| data.join("postmaster.pid"));
        blocking(move || {
            owner.write(&data.join("postgresql.conf"), &settings)?;
            owner.write(&data.join("postgresql.auto.conf"), &role_settings)?;
            owner.write(&data.join("pg_hba.conf"), &rules)?;
            owner.write(&directory.password_file(), &passwords)?;
            if let Some(lock) = stale_lock {
                files::remove_file(&lock)?;
            }
            // The signal comes before the mark goes, so that no crash in between leaves what looks like a writer.
            if follows {
                owner.write(&directory.standby_signal(), "")?;
            } else if directory.fresh_mark().exists() {
                files::remove_file(&directory.standby_signal())?;
            }
            files::remove_file(&directory.fresh_mark())
        })
        .await
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

    async fn running(&self, instance: &InstanceId) -> Result<bool, EngineError> {
        let observations = self.runtime.list().await?;
        Ok(observations.iter().any(|observation| {
            observation.instance == *instance
                && matches!(observation.status, InstanceStatus::Running { .. })
        }))
    }

    /// Opens a session for a command.
    async fn session(&self, host: &EngineHost) -> Result<Session, EngineError> {
        Session::open(host.dial, &self.secrets.admin)
            .await
            .map_err(|error| connect_error(&host.instance, error))
    }
}

impl DbRole {
    /// What starting in this role is called; an error if data in this state do not allow it.
    fn admit(&self, state: DataState) -> Result<&'static str, &'static str> {
        use DataState::{Demoted, Empty, Follower, Fresh, Torn, Writer};
        match (self, state) {
            (Self::Primary { .. }, Fresh | Writer) => Ok("start as primary"),
            (Self::Primary { .. }, Empty | Follower | Demoted | Torn) => Err("start as primary"),
            (Self::Standby { .. }, Fresh | Follower) => Ok("start as standby"),
            (Self::Standby { .. }, Empty | Writer | Demoted | Torn) => Err("start as standby"),
            (Self::Replica { .. }, Fresh | Follower) => Ok("start as replica"),
            (Self::Replica { .. }, Empty | Writer | Demoted | Torn) => Err("start as replica"),
        }
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
