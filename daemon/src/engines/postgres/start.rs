//! Gives a host its data and starts it in a role, or refuses to.

use std::collections::BTreeMap;

use topologies::runtime::{RuntimeKind, ToolPlan};

use super::config::{self, Access};
use super::{COMMAND_LIMIT, DataState, DbRole, Postgres};
use crate::engines::files;
use crate::engines::{EngineError, EngineHost, runs};

impl Postgres {
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
        self.directories
            .work
            .run(move || {
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
    /// writer's (demote and rejoin it), and a host that runs in another role. Parameters that the server does not know are an
    /// error at the first start.
    pub async fn start(&self, host: &EngineHost, role: &DbRole) -> Result<(), EngineError> {
        let directory = self.directory(host);
        let state = directory.state();
        let action = role.admit(state).map_err(|action| EngineError::Refused {
            instance: host.instance.clone(),
            action,
            state,
        })?;
        if runs(&*self.runtime, &host.instance).await? {
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
            if state == DataState::Fresh && !self.settings.parameters.is_empty() {
                self.try_parameters(host).await?;
            }
            self.settle(host, role).await?;
        }
        self.runtime.ensure(&self.plan(host)).await?;
        crate::engines::listening(&*self.runtime, host).await
    }

    /// Marks a host as one that may never again write what it has: to be called before another is promoted in its place.
    /// The mark outlives every process. [`Postgres::rejoin`] takes it away. It does not stop a running server.
    pub async fn demote(&self, host: &EngineHost) -> Result<(), EngineError> {
        let directory = self.directory(host);
        let owner = self.owner;
        self.directories
            .work
            .run(move || match directory.state() {
                DataState::Follower | DataState::Demoted => Ok(()),
                DataState::Empty | DataState::Fresh | DataState::Writer | DataState::Torn => {
                    owner.make_directory(directory.path())?;
                    owner.write(&directory.demoted_mark(), "")
                }
            })
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
        // A container that is gone has left no process behind, but a file with a process id that means another one in the next.
        let stale_lock =
            (self.runtime.kind() == RuntimeKind::Docker).then(|| data.join("postmaster.pid"));
        self.directories
            .work
            .run(move || {
                owner.write(&data.join("postgresql.conf"), &settings)?;
                owner.write(&data.join("postgresql.auto.conf"), &role_settings)?;
                owner.write(&data.join("pg_hba.conf"), &rules)?;
                owner.write(&directory.password_file(), &passwords)?;
                if let Some(lock) = stale_lock {
                    files::remove_file(&lock)?;
                }
                Ok(())
            })
            .await
    }

    /// Makes the data a follower's, or a fresh cluster a writer's. The signal comes before the mark goes, so that no
    /// crash in between leaves what looks like a writer.
    async fn settle(&self, host: &EngineHost, role: &DbRole) -> Result<(), EngineError> {
        let (owner, directory) = (self.owner, self.directory(host));
        let follows = role.upstream().is_some();
        self.directories
            .work
            .run(move || {
                if follows {
                    owner.write(&directory.standby_signal(), "")?;
                } else if directory.fresh_mark().exists() {
                    files::remove_file(&directory.standby_signal())?;
                }
                files::remove_file(&directory.fresh_mark())
            })
            .await
    }

    /// Lets the server read its configuration, so that a parameter that it does not know is an error now, in its words.
    async fn try_parameters(&self, host: &EngineHost) -> Result<(), EngineError> {
        let directory = self.directory(host);
        let tool = ToolPlan {
            software: self.software(),
            zone: Some(host.zone.clone()),
            command: [
                "postgres",
                "-D",
                &directory.data().display().to_string(),
                "-C",
                "port",
            ]
            .map(str::to_owned)
            .to_vec(),
            directories: vec![directory.path().to_owned()],
            environment: BTreeMap::new(),
            timeout: COMMAND_LIMIT,
        };
        self.run("postgres -C", &tool).await.map(drop)
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
