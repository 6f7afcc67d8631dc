//! Brings a host in line with the primary that took its place: by rewinding it to where the two parted, or by a fresh copy.
//!
//! The host is stopped all the while, and every step leaves its directory in a state in which it can not be started as a writer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use topologies::runtime::ToolPlan;

use super::state::HostDirectory;
use super::{COMMAND_LIMIT, DataState, DbRole, Postgres, config, sql_error, within};
use crate::engines::files;
use crate::engines::{EngineError, EngineHost, Upstream};

/// What this is called.
const REJOIN: &str = "rejoin";
/// How long a rewind may take. It reads the log since the fork and copies what changed.
const REWIND_LIMIT: Duration = Duration::from_secs(120);
/// How long a fresh copy may take.
const COPY_LIMIT: Duration = Duration::from_secs(1800);
/// How long a look at the control file may take.
const CONTROL_LIMIT: Duration = Duration::from_secs(20);
/// The timeline that a primary writes. Its control file learns of it only with a checkpoint.
const TIMELINE: &str =
    "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int";
/// What tools say when they did not get as far as to change anything: libpq's words for a connection that failed.
const UNREACHABLE: [&str; 2] = ["connection to server at", "could not connect to server"];

/// How a host was brought in line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejoined {
    /// Rewound: only what differed was copied.
    Rewound,
    /// It had nothing of its own.
    InLine,
    /// Replaced by a fresh copy.
    Copied {
        /// Why it was not rewound.
        because: String,
    },
}

impl Postgres {
    /// Brings a stopped host in line with `source`, a primary, and starts it in `role`, which follows it. The tools run in the host's
    /// zone and take the way that its stream will take.
    ///
    /// Refused for a writer that has not been demoted.
    pub async fn rejoin(
        &self,
        host: &EngineHost,
        source: &EngineHost,
        role: &DbRole,
    ) -> Result<Rejoined, EngineError> {
        let (upstream, state) = self.admit_rejoin(host, role).await?;
        let rejoined = match state {
            DataState::Writer => return Err(refused(host, state)),
            DataState::Empty => self.copy(host, upstream, "it had no data").await?,
            DataState::Fresh => self.copy(host, upstream, "it was never started").await?,
            DataState::Torn => {
                self.copy(host, upstream, "a rewind was interrupted")
                    .await?
            }
            DataState::Follower if self.shares_timeline(host, source).await? => Rejoined::InLine,
            DataState::Follower | DataState::Demoted => {
                self.rewind_or_copy(host, source, upstream).await?
            }
        };
        self.start(host, role).await?;
        Ok(rejoined)
    }

    /// Gives a stopped host a fresh copy of what `role` follows, and starts it in that role: for data that a rewind can not mend.
    ///
    /// Refused for a writer that has not been demoted.
    pub async fn replace(&self, host: &EngineHost, role: &DbRole) -> Result<Rejoined, EngineError> {
        let (upstream, _) = self.admit_rejoin(host, role).await?;
        let because = "its data did not let it follow";
        let copied = self.copy(host, upstream, because).await?;
        self.start(host, role).await?;
        Ok(copied)
    }

    /// What the host is to follow, and what it has.
    async fn admit_rejoin<'a>(
        &self,
        host: &EngineHost,
        role: &'a DbRole,
    ) -> Result<(&'a Upstream, DataState), EngineError> {
        let state = self.directory(host).state();
        let upstream = role.upstream().filter(|_| state != DataState::Writer);
        let upstream = upstream.ok_or_else(|| refused(host, state))?;
        if crate::engines::runs(&*self.runtime, &host.instance).await? {
            return Err(EngineError::Running {
                instance: host.instance.clone(),
                action: REJOIN,
            });
        }
        Ok((upstream, state))
    }

    async fn rewind_or_copy(
        &self,
        host: &EngineHost,
        source: &EngineHost,
        upstream: &Upstream,
    ) -> Result<Rejoined, EngineError> {
        self.write_source_checkpoint(source).await?;
        match self.rewind(host, upstream).await {
            Ok(rejoined) => Ok(rejoined),
            Err(EngineError::Tool { output, .. })
                if !UNREACHABLE.iter().any(|sign| output.contains(sign)) =>
            {
                self.copy(host, upstream, &output).await
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a follower is on the timeline that its source writes: then all it has is of that source. It must not be rewound: if it
    /// crashed, a rewind begins with a recovery that writes, on the source's own timeline, and ends with "no rewind required".
    async fn shares_timeline(
        &self,
        host: &EngineHost,
        source: &EngineHost,
    ) -> Result<bool, EngineError> {
        let action = "read the timeline";
        let written = within(COMMAND_LIMIT, &source.instance, action, async {
            let mut session = self.session(source).await?;
            session
                .value(TIMELINE)
                .await
                .map_err(sql_error(&source.instance, action))
        })
        .await?;
        let data = self.directory(host).data();
        let command = vec!["pg_controldata".to_owned(), data.display().to_string()];
        let told = self
            .run("pg_controldata", &self.tool(host, command, CONTROL_LIMIT))
            .await?;
        let followed = timeline_of(&told);
        Ok(followed.is_some() && followed == written.and_then(|text| text.parse().ok()))
    }

    /// A rewind reads the source's timeline from its control file, where a promotion leaves it only with the next checkpoint.
    async fn write_source_checkpoint(&self, source: &EngineHost) -> Result<(), EngineError> {
        let action = "checkpoint";
        within(COMMAND_LIMIT, &source.instance, action, async {
            let mut session = self.session(source).await?;
            session
                .execute("CHECKPOINT")
                .await
                .map_err(sql_error(&source.instance, action))
        })
        .await
    }

    async fn rewind(
        &self,
        host: &EngineHost,
        upstream: &Upstream,
    ) -> Result<Rejoined, EngineError> {
        let directory = self.directory(host);
        self.begin_rewind(&directory).await?;
        let connection = format!(
            "{} dbname=postgres",
            config::conninfo(upstream, &directory.password_file())
        );
        let command = vec![
            "pg_rewind".to_owned(),
            format!("--target-pgdata={}", directory.data().display()),
            format!("--source-server={connection}"),
            "--no-sync".to_owned(),
        ];
        let ended = self
            .run("pg_rewind", &self.tool(host, command, REWIND_LIMIT))
            .await;
        let untouched = match &ended {
            Ok(_) => false,
            Err(EngineError::Tool { output, .. }) => {
                UNREACHABLE.iter().any(|sign| output.contains(sign))
            }
            // It never began: the zone has no power, or no answer.
            Err(EngineError::Runtime(error)) => {
                !matches!(error, topologies::runtime::RuntimeError::TimedOut { .. })
            }
            Err(_) => false,
        };
        if ended.is_ok() || untouched {
            self.end_rewind(&directory, ended.is_ok()).await?;
        }
        let in_line = ended?.contains("no rewind required");
        Ok(if in_line {
            Rejoined::InLine
        } else {
            Rejoined::Rewound
        })
    }

    /// From here the host can not be started. The signal goes because the recovery with which a rewind begins, if the host
    /// crashed, is not for followers.
    async fn begin_rewind(&self, directory: &HostDirectory) -> Result<(), EngineError> {
        let (owner, directory) = (self.owner, directory.clone());
        let passwords = config::password_file(self.secrets.replication.expose());
        self.directories
            .work
            .run(move || {
                owner.write(&directory.password_file(), &passwords)?;
                owner.write(&directory.torn_mark(), "")?;
                files::remove_file(&directory.standby_signal())
            })
            .await
    }

    /// The host is a follower now; if nothing was done, it is what it was, and as a follower or demoted can not write.
    async fn end_rewind(&self, directory: &HostDirectory, done: bool) -> Result<(), EngineError> {
        let (owner, directory) = (self.owner, directory.clone());
        self.directories
            .work
            .run(move || {
                owner.write(&directory.standby_signal(), "")?;
                files::remove_file(&directory.torn_mark())?;
                if done {
                    files::remove_file(&directory.demoted_mark())?;
                }
                Ok(())
            })
            .await
    }

    async fn copy(
        &self,
        host: &EngineHost,
        upstream: &Upstream,
        because: &str,
    ) -> Result<Rejoined, EngineError> {
        let directory = self.directory(host);
        let (owner, place) = (self.owner, directory.clone());
        let passwords = config::password_file(self.secrets.replication.expose());
        self.directories
            .work
            .run(move || {
                owner.make_directory(place.path())?;
                owner.write(&place.password_file(), &passwords)?;
                files::remove_tree(&place.copy())
            })
            .await?;
        let command = vec![
            "pg_basebackup".to_owned(),
            format!("--pgdata={}", directory.copy().display()),
            format!(
                "--dbname={}",
                config::conninfo(upstream, &directory.password_file())
            ),
            "--wal-method=stream".to_owned(),
            "--checkpoint=fast".to_owned(),
            "--no-manifest".to_owned(),
            "--no-password".to_owned(),
            "--no-sync".to_owned(),
        ];
        self.run("pg_basebackup", &self.tool(host, command, COPY_LIMIT))
            .await?;
        self.directories
            .work
            .run(move || replace_data(owner, &directory))
            .await?;
        Ok(Rejoined::Copied {
            because: because.to_owned(),
        })
    }

    fn tool(&self, host: &EngineHost, command: Vec<String>, timeout: Duration) -> ToolPlan {
        let directory: PathBuf = self.directory(host).path().to_owned();
        ToolPlan {
            software: self.software(),
            zone: Some(host.zone.clone()),
            command,
            directories: vec![directory],
            environment: BTreeMap::new(),
            timeout,
        }
    }
}

fn refused(host: &EngineHost, state: DataState) -> EngineError {
    EngineError::Refused {
        instance: host.instance.clone(),
        action: REJOIN,
        state,
    }
}

/// The newest timeline that a control file knows, from what `pg_controldata` says: a follower learns of it by replaying, long
/// before a checkpoint of its own.
fn timeline_of(control: &str) -> Option<u32> {
    let known = control.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        [
            "Latest checkpoint's TimeLineID",
            "Min recovery ending loc's timeline",
        ]
        .contains(&name)
        .then(|| value.trim().parse().ok())?
    });
    known.max()
}

/// Puts the complete copy in the place of the data. It is a follower's before it gets there.
fn replace_data(owner: files::FileOwner, directory: &HostDirectory) -> Result<(), EngineError> {
    owner.write(&directory.copy().join("standby.signal"), "")?;
    files::remove_tree(&directory.data())?;
    std::fs::rename(directory.copy(), directory.data())
        .map_err(|cause| EngineError::file("rename", directory.copy(), cause))?;
    files::remove_file(&directory.torn_mark())?;
    files::remove_file(&directory.demoted_mark())
}

impl DbRole {
    /// What this role follows.
    pub fn upstream(&self) -> Option<&Upstream> {
        match self {
            Self::Primary { .. } => None,
            Self::Standby { of } | Self::Replica { of } => Some(of),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_timeline_of_a_control_file_counts() {
        let control = "Latest checkpoint location:           0/2000060\n\
                       Latest checkpoint's TimeLineID:       1\n\
                       Latest checkpoint's PrevTimeLineID:   7\n\
                       Min recovery ending loc's timeline:   2\n";
        assert_eq!(timeline_of(control), Some(2));
        assert_eq!(timeline_of("pg_controldata: error: no such file"), None);
    }
}
