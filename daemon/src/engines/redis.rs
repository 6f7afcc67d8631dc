//! Redis (or Valkey) as the nodes of an ElastiCache replication group run it: one primary, asynchronous replicas, no
//! persistence. A node that restarts is empty, as on AWS (ElastiCache, AutoFailover: "reboot the primary"). Only a stack that is taken
//! down in order keeps what primaries hold, for which AWS has no counterpart: users expect of `down` and `up` to lose nothing.
//!
//! - `config`: the configuration file; `session`: connections; `probe`: how is it?

mod config;
mod probe;
mod session;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Cmd, cmd};
use topologies::id::InstanceId;
use topologies::runtime::{InstancePlan, Resolution, Runtime, Software, StopMode};

pub use probe::{CacheProbe, CacheReplica, NodeRole, RedisStatus};

use self::session::{Session, SessionError};
use super::files::{self, FileOwner};
use super::kept::Kept;
use super::secrets::Secret;
use super::{Directories, EngineError, EngineHost, Upstream};

/// How long a primary may take to save what it holds.
const KEEP_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at whether a server has ended.
const ENDED_LOOK: Duration = Duration::from_millis(10);
/// How long a command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(5);

/// What a replication group asks of its engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheSettings {
    /// The major version; any if absent.
    pub version: Option<u16>,
    /// The AUTH token.
    pub auth_token: Option<Secret>,
}

impl CacheSettings {
    /// The settings of a topology's replication group.
    pub fn of(group: &topologies::topology::ReplicationGroup) -> Self {
        Self {
            version: group.engine_version,
            auth_token: group.auth_token.as_deref().map(Secret::new),
        }
    }
}

/// The role in which a node is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheRole {
    /// Accepts writes.
    Primary,
    /// Follows the primary and serves reads.
    Replica {
        /// What it follows.
        of: Upstream,
    },
}

/// The Redis servers of one replication group.
pub struct Redis {
    runtime: Arc<dyn Runtime>,
    directories: Directories,
    settings: CacheSettings,
    owner: FileOwner,
    probers: Kept<Session>,
}

impl Redis {
    /// Whether it is the engine of a replication group with these settings.
    pub fn is_of(&self, settings: &CacheSettings) -> bool {
        self.settings == *settings
    }

    /// The servers of a replication group.
    pub fn new(
        runtime: Arc<dyn Runtime>,
        directories: Directories,
        settings: CacheSettings,
    ) -> Self {
        Self {
            runtime,
            directories,
            settings,
            owner: FileOwner::of_this_process(),
            probers: Kept::default(),
        }
    }

    /// What the runtime is to start. Constant for a node: its role is in its configuration file.
    pub fn plan(&self, host: &EngineHost) -> InstancePlan {
        let directory = self.directories.instance(&host.instance);
        let configuration = directory.join(config::FILE).display().to_string();
        InstancePlan {
            id: host.instance.clone(),
            zone: host.zone.clone(),
            software: Software::Redis {
                version: self.settings.version,
            },
            command: vec!["redis-server".to_owned(), configuration],
            image: None,
            listen: host.listen(),
            directory,
            environment: BTreeMap::new(),
            resolution: Resolution::Host,
        }
    }

    /// Starts a node in a role, empty or, as primary of a stack that was taken down, with what was [kept](Self::keep), and waits a little until it listens. One that runs goes on running in the role and with the data that it has:
    /// [`Redis::promote`] and [`Redis::follow`] change the role. A replica whose source does not listen yet tries again only
    /// after a second, so the source is better started before.
    pub async fn start(&self, host: &EngineHost, role: &CacheRole) -> Result<(), EngineError> {
        let directory = self.directories.instance(&host.instance);
        if !super::runs(&*self.runtime, &host.instance).await? {
            let text = config::configuration(host, role, &directory, &self.settings);
            let (owner, primary) = (self.owner, *role == CacheRole::Primary);
            let directory = directory.clone();
            self.directories
                .work
                .run(move || {
                    owner.make_directory(&directory)?;
                    owner.write(&directory.join(config::FILE), &text)?;
                    let (dump, kept) = (directory.join(config::DUMP), directory.join(config::KEPT));
                    // A replica killed in the middle of a synchronization leaves one, which it would load.
                    files::remove_file(&dump)?;
                    if primary {
                        files::link(&kept, &dump)
                    } else {
                        files::set_aside(&kept, &directory.join(config::UNUSED))
                    }
                })
                .await?;
        }
        self.runtime.ensure(&self.plan(host)).await?;
        super::listening(&*self.runtime, host).await?;
        // Once: whoever is started again later is empty.
        if super::runs(&*self.runtime, &host.instance).await? {
            let kept = directory.join(config::KEPT);
            self.directories
                .work
                .run(move || files::remove_file(&kept))
                .await?;
        }
        Ok(())
    }

    /// Has a node save what it holds, for the next start of `primary`, and end. It takes no writes meanwhile.
    ///
    /// # Errors
    /// When it does not run or answer, or can not save.
    pub async fn keep(&self, host: &EngineHost, primary: &InstanceId) -> Result<(), EngineError> {
        self.probers.forget(&host.instance);
        let dump = self.directories.instance(&host.instance).join(config::DUMP);
        let former = dump.clone();
        // What it started with is not what it has.
        let removed = self
            .directories
            .work
            .run(move || files::remove_file(&former));
        removed.await?;
        let save = async {
            let address = SocketAddr::from(host.listen());
            let mut session = Session::open(address, self.settings.auth_token.as_ref()).await?;
            let mut hurry = cmd("CONFIG");
            hurry.arg("SET").arg("shutdown-timeout").arg(0);
            // It would wait for replicas that lag. Redis 6 does not, and does not know it.
            let _ = session.query::<()>(&hurry).await;
            let mut shutdown = cmd("SHUTDOWN");
            shutdown.arg("SAVE");
            match session.query::<()>(&shutdown).await {
                // Its end is its answer.
                Err(SessionError::Redis(error)) if error.is_io_error() => Ok(()),
                other => other,
            }
        };
        self.within(host, "save its data", KEEP_LIMIT, save).await?;
        // Whoever starts it next has to know that it has ended.
        let ended = async {
            while super::runs(&*self.runtime, &host.instance).await? {
                tokio::time::sleep(ENDED_LOOK).await;
            }
            Ok::<(), EngineError>(())
        };
        tokio::time::timeout(COMMAND_LIMIT, ended)
            .await
            .unwrap_or(Ok(()))?;
        let kept = self.directories.instance(primary).join(config::KEPT);
        let keep = move || files::rename(&dump, &kept);
        self.directories.work.run(keep).await
    }

    /// Ends a node's server. Returns once its process is gone.
    pub async fn stop(&self, instance: &InstanceId, mode: StopMode) -> Result<(), EngineError> {
        self.probers.forget(instance);
        Ok(self.runtime.stop(instance, mode).await?)
    }

    /// Makes a replica the primary. What the old primary had and this one had not received is lost.
    pub async fn promote(&self, host: &EngineHost) -> Result<(), EngineError> {
        let mut command = cmd("REPLICAOF");
        command.arg("NO").arg("ONE");
        self.command(host, "promote", &command).await
    }

    /// Makes a node follow another; its own data go once it has synchronized.
    pub async fn follow(&self, host: &EngineHost, source: &Upstream) -> Result<(), EngineError> {
        let mut command = cmd("REPLICAOF");
        command
            .arg(source.address.ip().to_string())
            .arg(source.address.port());
        self.command(host, "follow another source", &command).await
    }

    /// A command that is in force when it is answered.
    async fn command(
        &self,
        host: &EngineHost,
        action: &'static str,
        command: &Cmd,
    ) -> Result<(), EngineError> {
        let work = async {
            let mut session = Session::open(host.dial, self.settings.auth_token.as_ref()).await?;
            session.query::<()>(command).await
        };
        self.within(host, action, COMMAND_LIMIT, work).await
    }

    /// Bounds what is done in a session.
    async fn within(
        &self,
        host: &EngineHost,
        action: &'static str,
        limit: Duration,
        work: impl Future<Output = Result<(), SessionError>>,
    ) -> Result<(), EngineError> {
        let instance = host.instance.clone();
        match tokio::time::timeout(limit, work).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(SessionError::Io(cause))) => Err(EngineError::Unreachable { instance, cause }),
            Ok(Err(SessionError::Redis(cause))) => Err(EngineError::Command {
                instance,
                action,
                cause,
            }),
            Err(_elapsed) => Err(EngineError::Unconfirmed {
                instance,
                action,
                limit,
            }),
        }
    }
}
