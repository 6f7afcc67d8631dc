//! Asks a node how it is: a `PING`, which meets what a client's command meets, and its view of replication.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ::redis::{ErrorKind, ServerErrorKind, cmd};

use super::Redis;
use super::session::{Session, SessionError};
use crate::engines::EngineHost;
use crate::engines::kept::{Connected, Missed, ProbeSession};
use crate::engines::secrets::Secret;

/// What a probe of a node met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheProbe {
    /// It answered.
    Answered(RedisStatus),
    /// It is there but loads its data set, and answers nothing else.
    Loading,
    /// Nothing listens.
    Refused,
    /// No connection within the deadline.
    TimedOut,
    /// It took the connection, and did not answer within the deadline.
    NoAnswer,
    /// Something else, in words.
    Failed(String),
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisStatus {
    /// Its role.
    pub role: NodeRole,
    /// Up to where it has the stream of writes: of replicas with one `replication_id`, the highest has lost least.
    pub offset: u64,
    /// Names the history that `offset` counts in. A promotion begins a new one.
    pub replication_id: String,
    /// Who follows it.
    pub replicas: Vec<CacheReplica>,
}

/// A node's role, as it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeRole {
    /// Accepts writes.
    Primary,
    /// Follows another.
    Replica {
        /// The address that it follows.
        source: String,
        /// Whether the stream flows.
        link_up: bool,
        /// Whether it is receiving the whole data set. Its own is gone or about to go: not to be promoted.
        syncing: bool,
    },
}

/// A replica, as the node that it follows sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheReplica {
    /// Its address as seen from outside, which it announces.
    pub address: Ipv4Addr,
    /// `wait_bgsave`, `send_bulk`, `online`.
    pub state: String,
    /// Up to where it has confirmed the stream.
    pub offset: u64,
    /// Seconds since it last did.
    pub lag: Option<u64>,
}

impl ProbeSession for Session {
    type Credentials = Option<Secret>;
    type Answer = String;
    type Error = SessionError;

    async fn open(
        address: SocketAddr,
        token: &Option<Secret>,
        connected: &Connected,
    ) -> Result<Self, SessionError> {
        let stream = Self::connect(address).await?;
        connected.tell();
        Self::over(stream, token.as_ref()).await
    }

    async fn ask(&mut self) -> Result<String, SessionError> {
        let mut info = cmd("INFO");
        info.arg("replication");
        self.both([cmd("PING"), info]).await
    }
}

impl Redis {
    /// Asks a node how it is; returns within `deadline`. Costs one round trip on a session that is kept.
    pub async fn probe(&self, host: &EngineHost, deadline: Duration) -> CacheProbe {
        let (instance, token) = (&host.instance, &self.settings.auth_token);
        match self.probers.ask(instance, host.dial, token, deadline).await {
            Ok(info) => match RedisStatus::read(&info) {
                Some(status) => CacheProbe::Answered(status),
                None => CacheProbe::Failed(format!("its view of replication is {info:?}")),
            },
            Err(Missed::Failed(error)) => outcome(&error),
            Err(Missed::NoConnection) => CacheProbe::TimedOut,
            Err(Missed::NoAnswer) => CacheProbe::NoAnswer,
        }
    }
}

impl RedisStatus {
    /// Reads the answer to `INFO replication`.
    fn read(info: &str) -> Option<Self> {
        let facts: BTreeMap<_, _> = info
            .lines()
            .filter_map(|line| line.split_once(':'))
            .collect();
        let fact = |name| facts.get(name).copied();
        let role = match fact("role")? {
            "master" => NodeRole::Primary,
            "slave" => NodeRole::Replica {
                source: fact("master_host")?.to_owned(),
                link_up: fact("master_link_status")? == "up",
                syncing: fact("master_sync_in_progress")? == "1",
            },
            _ => return None,
        };
        let offset = match role {
            NodeRole::Primary => fact("master_repl_offset")?,
            NodeRole::Replica { .. } => fact("slave_repl_offset")?,
        };
        let replicas = facts
            .iter()
            .filter(|(name, _)| is_replica_line(name))
            .filter_map(|(_, line)| CacheReplica::read(line))
            .collect();
        Some(Self {
            role,
            // A replica that never had a primary has no offset: -1 or 0.
            offset: offset.parse().unwrap_or(0),
            replication_id: fact("master_replid")?.to_owned(),
            replicas,
        })
    }
}

/// `slave0`, and not `slave_repl_offset`.
fn is_replica_line(name: &str) -> bool {
    name.strip_prefix("slave")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

impl CacheReplica {
    /// Reads `ip=127.64.2.10,port=6379,state=online,offset=42,lag=0`.
    fn read(line: &str) -> Option<Self> {
        let fact = |name| {
            line.split(',')
                .filter_map(|part| part.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        Some(Self {
            address: fact("ip")?.parse().ok()?,
            state: fact("state")?.to_owned(),
            offset: fact("offset")?.parse().ok()?,
            lag: fact("lag").and_then(|lag| lag.parse().ok()),
        })
    }
}

fn outcome(error: &SessionError) -> CacheProbe {
    match error {
        SessionError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            CacheProbe::Refused
        }
        SessionError::Io(error) => CacheProbe::Failed(error.to_string()),
        SessionError::Redis(error)
            if error.kind() == ErrorKind::Server(ServerErrorKind::BusyLoading) =>
        {
            CacheProbe::Loading
        }
        SessionError::Redis(error) => CacheProbe::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primary_lists_its_replicas() {
        let info = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
            slave0:ip=127.64.2.10,port=6379,state=online,offset=42,lag=0\r\n\
            slave1:ip=127.64.3.10,port=6379,state=wait_bgsave,offset=0,lag=0,type=replica\r\n\
            master_failover_state:no-failover\r\nmaster_replid:8371\r\nmaster_repl_offset:56\r\n";
        let status = RedisStatus::read(info).unwrap();
        assert_eq!((status.role, status.offset), (NodeRole::Primary, 56));
        assert_eq!(status.replicas.len(), 2);
        assert_eq!(status.replicas[0].address, Ipv4Addr::new(127, 64, 2, 10));
        assert_eq!(status.replicas[1].state, "wait_bgsave");
        assert_eq!(status.replicas[1].lag, Some(0));
    }

    #[test]
    fn a_replica_tells_of_its_link() {
        let info = "role:slave\r\nmaster_host:127.64.17.10\r\nmaster_port:6379\r\nmaster_link_status:down\r\n\
            master_sync_in_progress:1\r\nslave_read_repl_offset:9\r\nslave_repl_offset:-1\r\nmaster_replid:8371\r\nmaster_repl_offset:0\r\n";
        let status = RedisStatus::read(info).unwrap();
        assert_eq!(status.offset, 0);
        assert!(matches!(
            status.role,
            NodeRole::Replica {
                link_up: false,
                syncing: true,
                ..
            }
        ));
        assert_eq!(RedisStatus::read("role:sentinel\r\n"), None);
        assert_eq!(RedisStatus::read(""), None);
    }
}
