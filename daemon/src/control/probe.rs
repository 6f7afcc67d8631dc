//! What probes tell the control plane: signs of life and replication state, as seen from outside of the hosts.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use topologies::id::{HealthCheckId, InstanceId, LoadBalancerId, TargetGroupId, ZoneId};

/// A probe's result, with what was probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A database host.
    Database(InstanceId, DbProbe),
    /// A cache node.
    Cache(InstanceId, CacheProbe),
    /// A target, checked by the load balancer node in a zone.
    Target {
        /// The target group whose check it is.
        target_group: TargetGroupId,
        /// The target.
        instance: InstanceId,
        /// The zone of the node that checked.
        node: ZoneId,
        /// The result.
        check: Check,
    },
    /// A load balancer's node.
    Node {
        /// The load balancer.
        load_balancer: LoadBalancerId,
        /// The node's zone.
        zone: ZoneId,
        /// The result.
        check: Check,
    },
    /// A Route 53 health check.
    HealthCheck(HealthCheckId, Check),
}

/// The result of a check that passes or fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// It passed; with what it met (`200`).
    Passed(String),
    /// It failed.
    Failed {
        /// AWS's reason code, `Target.Timeout`.
        reason: &'static str,
        /// What it met, in words.
        detail: String,
    },
}

/// What a probe of a database host met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DbProbe {
    /// It answered.
    Answered(PgStatus),
    /// It answered that it is starting up or shutting down (SQLSTATE 57P03).
    Starting,
    /// The host refused the connection or reset it: the host lives, its server does not.
    Refused,
    /// No connection in time.
    TimedOut,
    /// It took the connection, and did not answer in time.
    NoAnswer,
    /// It answered with an error.
    Failed(String),
}

/// PostgreSQL's own account of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PgStatus {
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// Its timeline.
    pub timeline: u32,
    /// A primary's write position, or how far a standby has received.
    pub lsn: Lsn,
    /// The standby that commits wait for, by `synchronous_standby_names`.
    pub synchronous_standby: Option<InstanceId>,
    /// The standbys that stream from it.
    pub peers: Vec<Peer>,
    /// Its own stream, on a standby.
    pub receiver: Option<WalReceiver>,
}

/// A position in the write-ahead log, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lsn(pub u64);

/// A standby as its source sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The standby's instance identifier.
    pub application_name: String,
    /// Whether it streams (`streaming`), rather than catching up or backing up.
    pub streaming: bool,
    /// Whether commits wait for it (`sync_state` is `sync`).
    pub synchronous: bool,
    /// How far it has flushed.
    pub flush_lsn: Lsn,
}

/// A standby's stream as it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalReceiver {
    /// Whether it streams.
    pub streaming: bool,
    /// The address that it streams from.
    pub sender_host: String,
}

/// What a probe of a cache node met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheProbe {
    /// It answered.
    Answered(RedisStatus),
    /// It answered that it loads its dataset.
    Loading,
    /// The host refused the connection or reset it.
    Refused,
    /// No connection in time.
    TimedOut,
    /// It took the connection, and did not answer in time.
    NoAnswer,
    /// It answered with an error.
    Failed(String),
}

/// Redis's own account of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisStatus {
    /// Primary or replica.
    pub role: RedisRole,
    /// Its replication offset, bytes.
    pub offset: u64,
    /// Names the history of writes that the offset counts in; offsets of two histories can not be compared.
    pub replication_id: String,
    /// The replicas it knows, by the address they announce; on a primary.
    pub replicas: Vec<Ipv4Addr>,
}

/// A Redis node's role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisRole {
    /// It accepts writes.
    Primary,
    /// It replicates.
    Replica {
        /// The address of its source.
        source: String,
        /// Whether the link is up and the first synchronization done.
        link_up: bool,
    },
}
