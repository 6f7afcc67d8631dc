//! From what engines say of themselves to what Control reads: instances by their identifiers, and no more than it needs.

use crate::control::probe::{
    CacheProbe, DbProbe, Lsn, Peer, PgStatus, RedisRole, RedisStatus, WalReceiver,
};
use crate::engines::postgres::{self, application_name};
use crate::engines::redis;
use topologies::id::InstanceId;

/// A database host's probe; `hosts` are those that may follow it.
pub(super) fn database(probe: postgres::DbProbe, hosts: &[InstanceId]) -> DbProbe {
    match probe {
        postgres::DbProbe::Answered(status) => DbProbe::Answered(pg_status(*status, hosts)),
        postgres::DbProbe::Starting => DbProbe::Starting,
        postgres::DbProbe::Refused => DbProbe::Refused,
        postgres::DbProbe::TimedOut => DbProbe::TimedOut,
        postgres::DbProbe::Failed(why) => DbProbe::Failed(why),
    }
}

fn pg_status(status: postgres::PgStatus, hosts: &[InstanceId]) -> PgStatus {
    let named = |text: &str| {
        hosts
            .iter()
            .find(|host| application_name(host) == text)
            .map_or_else(|| text.to_owned(), ToString::to_string)
    };
    let waits_for = hosts.iter().find(|host| {
        status
            .synchronous_standby_names
            .contains(&application_name(host))
    });
    let peers = status.peers.iter().map(|peer| Peer {
        application_name: named(&peer.application_name),
        streaming: peer.state == "streaming",
        synchronous: peer.sync_state == "sync",
        flush_lsn: Lsn(peer.flush_lsn.unwrap_or_default().0),
    });
    PgStatus {
        in_recovery: status.in_recovery,
        timeline: status.timeline,
        lsn: Lsn(status.written.0),
        peers: peers.collect(),
        synchronous_standby_names: waits_for
            .map_or(status.synchronous_standby_names, ToString::to_string),
        receiver: status.receiver.map(|receiver| WalReceiver {
            streaming: receiver.status == "streaming",
            sender_host: receiver.sender_host.unwrap_or_default(),
        }),
    }
}

/// A cache node's probe. A replica that receives the whole data set has none of its own: it counts as loading.
pub(super) fn cache(probe: redis::CacheProbe) -> CacheProbe {
    let status = match probe {
        redis::CacheProbe::Answered(status) => status,
        redis::CacheProbe::Loading => return CacheProbe::Loading,
        redis::CacheProbe::Refused => return CacheProbe::Refused,
        redis::CacheProbe::TimedOut => return CacheProbe::TimedOut,
        redis::CacheProbe::Failed(why) => return CacheProbe::Failed(why),
    };
    let role = match status.role {
        redis::NodeRole::Primary => RedisRole::Primary,
        redis::NodeRole::Replica { syncing: true, .. } => return CacheProbe::Loading,
        redis::NodeRole::Replica {
            source, link_up, ..
        } => RedisRole::Replica { source, link_up },
    };
    let replicas = status
        .replicas
        .iter()
        .map(|replica| replica.address)
        .collect();
    CacheProbe::Answered(RedisStatus {
        role,
        offset: status.offset,
        replicas,
    })
}
