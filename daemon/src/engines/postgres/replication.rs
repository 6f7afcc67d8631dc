//! Who waits for whom, who follows whom, and who takes the place of whom.

use std::time::Duration;

use tokio::time::sleep;
use tokio_postgres::error::SqlState;
use topologies::id::InstanceId;

use super::config::{self, Access};
use super::probe::{Lsn, parse_lsn};
use super::session::{Session, literal};
use super::{COMMAND_LIMIT, DataState, Postgres, connect_error, sql_error, within};
use crate::engines::{EngineError, EngineHost, Upstream};

/// How often a server is asked whether it has come to the state wanted. The question costs a tenth of a millisecond.
const CONFIRM_INTERVAL: Duration = Duration::from_millis(2);

/// What a promotion came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// The timeline that it began.
    pub timeline: u32,
    /// Where it left the old one. What another host wrote or received beyond this point is not part of the new timeline: a
    /// follower that is ahead of it can not follow before it has been [rejoined](Postgres::rejoin). None if the server was started
    /// anew since: it no longer knows.
    pub forked_at: Option<Lsn>,
}

impl Postgres {
    /// Makes every commit on the primary wait for a standby, or for none. Returns once the running server does so; what a session that was
    /// open before shows of the setting may be older for a moment.
    ///
    /// Before the standby is withdrawn, whoever decides on promotions must know that it may no longer be promoted.
    pub async fn set_synchronous_standby(
        &self,
        primary: &EngineHost,
        standby: Option<&InstanceId>,
    ) -> Result<(), EngineError> {
        let action = "set the synchronous standby";
        within(COMMAND_LIMIT, &primary.instance, action, async {
            let mut session = self.session(primary).await?;
            let names = config::synchronous_standby_names(standby);
            let work = async {
                change_setting(&mut session, "synchronous_standby_names", &names).await?;
                if standby.is_some() {
                    // The rule comes into force for everyone through the checkpointer, which reads its configuration
                    // before it performs a checkpoint.
                    session.execute("CHECKPOINT").await?;
                }
                Ok(())
            };
            work.await.map_err(sql_error(&primary.instance, action))
        })
        .await
    }

    /// Turns a running follower to another source. Returns once it knows; whether it streams is for a probe to tell: one that
    /// has received more than the source has of its timeline goes on trying in vain, and needs [`Postgres::rejoin`].
    pub async fn follow(&self, host: &EngineHost, source: &Upstream) -> Result<(), EngineError> {
        let action = "follow another source";
        within(COMMAND_LIMIT, &host.instance, action, async {
            let mut session = self.session(host).await?;
            let file = self.directory(host).password_file();
            let conninfo = config::primary_conninfo(host, source, &file);
            change_setting(&mut session, "primary_conninfo", &conninfo)
                .await
                .map_err(sql_error(&host.instance, action))
        })
        .await
    }

    /// Makes a follower a primary that waits for nobody. Returns once it accepts writes. Promoting what is promoted already
    /// tells of the promotion that was. Whether it may be promoted (it is in sync, the old primary is fenced) is the
    /// caller's to know.
    pub async fn promote(
        &self,
        host: &EngineHost,
        limit: Duration,
    ) -> Result<Promotion, EngineError> {
        let action = "promote";
        let directory = self.directory(host);
        let state = directory.state();
        if !matches!(state, DataState::Follower | DataState::Writer) {
            return Err(EngineError::Refused {
                instance: host.instance.clone(),
                action,
                state,
            });
        }
        within(limit, &host.instance, action, async {
            let fail = sql_error(&host.instance, action);
            let mut session = self.patient_session(host).await?;
            let (owner, rules) = (self.owner, directory.data().join("pg_hba.conf"));
            self.directories.work.run(move || owner.write(&rules, &Access::Clients.rules())).await?;
            if in_recovery(&mut session).await.map_err(&fail)? {
                begin_promotion(&mut session).await.map_err(&fail)?;
                while in_recovery(&mut session).await.map_err(&fail)? {
                    sleep(CONFIRM_INTERVAL).await;
                }
            }
            let facts = session
                .rows("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), pg_last_wal_replay_lsn()")
                .await
                .map_err(&fail)?;
            let read = |column: usize| facts.first().and_then(|row| row.get(column)).unwrap_or_default();
            let (timeline, forked_at) = (read(0), read(1));
            let promotion = u32::from_str_radix(timeline, 16)
                .ok()
                .map(|timeline| Promotion { timeline, forked_at: parse_lsn(forked_at) });
            promotion.ok_or_else(|| EngineError::Unexpected {
                instance: host.instance.clone(),
                what: "its promotion",
                answer: format!("{timeline} {forked_at}"),
            })
        })
        .await
    }
}

impl Postgres {
    /// A session with a follower that may still be replaying what it already holds. It is in sync before it is open.
    async fn patient_session(&self, host: &EngineHost) -> Result<Session, EngineError> {
        loop {
            match Session::open(host.dial, &self.secrets.admin).await {
                Err(error) if error.code() == Some(&SqlState::CANNOT_CONNECT_NOW) => {
                    sleep(CONFIRM_INTERVAL).await;
                }
                opened => return opened.map_err(|error| connect_error(&host.instance, error)),
            }
        }
    }
}

/// Clears what would make the new primary wait for somebody, then asks for the promotion. Not `pg_promote(true)`: that
/// looks only every 100 ms whether it is done.
async fn begin_promotion(session: &mut Session) -> Result<(), tokio_postgres::Error> {
    if session
        .value("SHOW synchronous_standby_names")
        .await?
        .as_deref()
        != Some("")
    {
        change_setting(session, "synchronous_standby_names", "").await?;
    }
    session
        .execute("SELECT pg_reload_conf(), pg_promote(false)")
        .await
}

async fn in_recovery(session: &mut Session) -> Result<bool, tokio_postgres::Error> {
    let answer = session.value("SELECT pg_is_in_recovery()").await?;
    Ok(answer.as_deref() == Some("t"))
}

/// Changes a setting of the running server and waits until it is in force.
async fn change_setting(
    session: &mut Session,
    name: &str,
    value: &str,
) -> Result<(), tokio_postgres::Error> {
    let sql = format!("ALTER SYSTEM SET {name} = {}", literal(value));
    session.execute(&sql).await?;
    session.execute("SELECT pg_reload_conf()").await?;
    while session.value(&format!("SHOW {name}")).await?.as_deref() != Some(value) {
        sleep(CONFIRM_INTERVAL).await;
    }
    Ok(())
}
