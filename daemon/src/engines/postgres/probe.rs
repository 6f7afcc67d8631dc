//! Asks a database host how it is, over a session that is kept from one probe to the next.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::PgLsn;
use tokio_postgres::{Row, Statement};
use topologies::id::InstanceId;

use super::Postgres;
use super::session::{Session, SessionError};
use crate::engines::EngineHost;
use crate::engines::kept::{Connected, Missed, ProbeSession};
use crate::engines::secrets::Secret;

/// Everything in one statement, prepared once per session. Recovery may end while it runs, but never begin, so what it
/// calls in recovery must be callable outside of it too.
const STATUS: &str = "
WITH host AS MATERIALIZED (SELECT pg_is_in_recovery() AS in_recovery)
SELECT
  in_recovery,
  CASE WHEN in_recovery THEN greatest(
      (SELECT received_tli FROM pg_stat_get_wal_receiver()),
      (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
      (SELECT timeline_id FROM pg_control_checkpoint()))
    ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
  END AS timeline,
  CASE WHEN in_recovery THEN coalesce(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')
    ELSE pg_current_wal_flush_lsn() END AS written,
  CASE WHEN in_recovery THEN coalesce(pg_last_wal_replay_lsn(), '0/0')
    ELSE pg_current_wal_lsn() END AS applied,
  (SELECT system_identifier FROM pg_control_system()) AS system_identifier,
  current_setting('synchronous_standby_names') AS synchronous_standby_names,
  CASE WHEN in_recovery THEN extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 END AS replica_lag,
  (SELECT json_agg(json_build_object('application_name', application_name, 'state', state, 'sync_state', sync_state,
      'flush_lsn', flush_lsn, 'replay_lsn', replay_lsn) ORDER BY application_name)::text
    FROM pg_stat_replication) AS peers,
  (SELECT json_build_object('status', status, 'sender_host', sender_host, 'sender_port', sender_port)::text
    FROM pg_stat_get_wal_receiver() WHERE pid IS NOT NULL) AS receiver
FROM host";

/// A position in the write-ahead log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lsn(pub u64);

impl std::fmt::Display for Lsn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", PgLsn::from(self.0))
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        parse_lsn(&text).ok_or_else(|| serde::de::Error::custom("not a position in the log"))
    }
}

pub(super) fn parse_lsn(text: &str) -> Option<Lsn> {
    text.parse::<PgLsn>().ok().map(|lsn| Lsn(lsn.into()))
}

/// What a probe of a database host met.
#[derive(Clone, Debug, PartialEq)]
pub enum DbProbe {
    /// It answered.
    Answered(Box<PgStatus>),
    /// It is there but accepts no sessions: starting, recovering or shutting down (SQLSTATE 57P03).
    Starting,
    /// Nothing listens.
    Refused,
    /// No connection within the deadline.
    TimedOut,
    /// It took the connection, and did not answer within the deadline.
    NoAnswer,
    /// Something else, in words.
    Failed(String),
}

/// What a database host says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PgStatus {
    /// Whether it follows another server and so refuses writes.
    pub in_recovery: bool,
    /// The timeline it is on; a promotion begins a new one.
    pub timeline: u32,
    /// Up to where the log is safe here: received, or as primary flushed.
    pub written: Lsn,
    /// Up to where the log is applied here.
    pub applied: Lsn,
    /// The identity of the cluster. Equal on every host made from one golden cluster, so it tells versions apart, not stacks.
    pub system_identifier: u64,
    /// Whose confirmation commits wait for; empty if nobody's.
    pub synchronous_standby_names: String,
    /// As RDS's `ReplicaLag`: age of the last replayed commit. Grows while the primary is idle. None on a primary, or
    /// before anything was replayed.
    pub replica_lag: Option<Duration>,
    /// Who follows it, by name.
    pub peers: Vec<Peer>,
    /// Its stream from the server that it follows, if it has one.
    pub receiver: Option<WalReceiver>,
}

/// A follower, as the server that it follows sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Peer {
    /// Its [`application_name`](super::application_name).
    pub application_name: String,
    /// `startup`, `catchup`, `streaming`, `backup`.
    pub state: String,
    /// `sync`: commits wait for it. `potential`, `async`, `quorum`.
    pub sync_state: String,
    /// Up to where it has the log.
    pub flush_lsn: Option<Lsn>,
    /// Up to where it has applied the log.
    pub replay_lsn: Option<Lsn>,
}

/// The receiving end of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WalReceiver {
    /// `starting`, `streaming`, `waiting`, `restarting`, `stopping`.
    pub status: String,
    /// The address it streams from.
    pub sender_host: Option<String>,
    /// The port it streams from.
    pub sender_port: Option<u16>,
}

impl PgStatus {
    /// What the server says of this follower.
    pub fn peer(&self, instance: &InstanceId) -> Option<&Peer> {
        let name = super::application_name(instance);
        self.peers.iter().find(|peer| peer.application_name == name)
    }

    fn read(row: &Row) -> Result<Self, String> {
        let number = |name| row.try_get::<_, i32>(name).map(i32::cast_unsigned);
        let lsn = |name| row.try_get::<_, PgLsn>(name).map(|lsn| Lsn(lsn.into()));
        let sql = |error: tokio_postgres::Error| error.to_string();
        let json = |error: serde_json::Error| error.to_string();
        let peers: Option<&str> = row.try_get("peers").map_err(sql)?;
        let receiver: Option<&str> = row.try_get("receiver").map_err(sql)?;
        let lag: Option<f64> = row.try_get("replica_lag").map_err(sql)?;
        Ok(Self {
            in_recovery: row.try_get("in_recovery").map_err(sql)?,
            timeline: number("timeline").map_err(sql)?,
            written: lsn("written").map_err(sql)?,
            applied: lsn("applied").map_err(sql)?,
            system_identifier: row
                .try_get::<_, i64>("system_identifier")
                .map_err(sql)?
                .cast_unsigned(),
            synchronous_standby_names: row.try_get("synchronous_standby_names").map_err(sql)?,
            replica_lag: lag.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok()),
            peers: peers
                .map_or(Ok(Vec::new()), serde_json::from_str)
                .map_err(json)?,
            receiver: receiver
                .map(serde_json::from_str)
                .transpose()
                .map_err(json)?,
        })
    }
}

/// A session with the prepared question.
pub(super) struct Prober {
    session: Session,
    question: Statement,
}

impl ProbeSession for Prober {
    type Credentials = Secret;
    type Answer = Row;
    type Error = SessionError;

    async fn open(
        address: SocketAddr,
        password: &Secret,
        connected: &Connected,
    ) -> Result<Self, SessionError> {
        let stream = Session::connect(address).await?;
        connected.tell();
        let mut session = Session::over(stream, password).await?;
        let question = session.prepare(STATUS).await.map_err(SessionError::Sql)?;
        Ok(Self { session, question })
    }

    async fn ask(&mut self) -> Result<Row, SessionError> {
        let row = self.session.row(&self.question).await;
        row.map_err(SessionError::Sql)
    }
}

impl Postgres {
    /// Asks a host how it is; returns within `deadline`. Costs one round trip on a session that is kept.
    pub async fn probe(&self, host: &EngineHost, deadline: Duration) -> DbProbe {
        let (instance, password) = (&host.instance, &self.secrets.admin);
        match self
            .probers
            .ask(instance, host.dial, password, deadline)
            .await
        {
            Ok(row) => PgStatus::read(&row).map_or_else(DbProbe::Failed, |status| {
                DbProbe::Answered(Box::new(status))
            }),
            Err(Missed::Failed(error)) => outcome(&error),
            Err(Missed::NoConnection) => DbProbe::TimedOut,
            Err(Missed::NoAnswer) => DbProbe::NoAnswer,
        }
    }
}

fn outcome(error: &SessionError) -> DbProbe {
    match error {
        SessionError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            DbProbe::Refused
        }
        SessionError::Io(error) => DbProbe::Failed(error.to_string()),
        SessionError::Sql(error) => match error.as_db_error() {
            Some(refusal) if *refusal.code() == SqlState::CANNOT_CONNECT_NOW => DbProbe::Starting,
            Some(refusal) => DbProbe::Failed(refusal.to_string()),
            None => DbProbe::Failed(error.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_as_postgresql_writes_them() {
        let lsn: Lsn = serde_json::from_str("\"16/B374D848\"").unwrap();
        assert_eq!(lsn, Lsn(0x16_B374_D848));
        assert_eq!(lsn.to_string(), "16/B374D848");
        assert!(serde_json::from_str::<Lsn>("\"nowhere\"").is_err());
        assert!(parse_lsn("0/3000000") < parse_lsn("1/0"));
    }

    #[test]
    fn followers_are_read_as_json() {
        let peer: Peer = serde_json::from_str(
            r#"{"application_name":"orders-2","state":"streaming","sync_state":"sync","flush_lsn":"0/3000000","replay_lsn":null}"#,
        )
        .unwrap();
        assert_eq!(peer.flush_lsn, Some(Lsn(0x300_0000)));
        assert_eq!(peer.replay_lsn, None);
    }
}
