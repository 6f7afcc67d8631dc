//! From what engines say of themselves to what Control reads: instances by their identifiers, and no more than it needs.

use crate::control::probe::{
    CacheProbe, DbProbe, Lsn, Peer, PgStatus, RedisRole, RedisStatus, WalReceiver,
};
use crate::engines::postgres::{self, application_name, synchronous_standby_names};
use crate::engines::redis;
use topologies::id::InstanceId;

/// A database host's probe; `hosts` are those that may follow it.
pub(super) fn database(probe: postgres::DbProbe, hosts: &[InstanceId]) -> DbProbe {
    match probe {
        postgres::DbProbe::Answered(status) => DbProbe::Answered(pg_status(*status, hosts)),
        postgres::DbProbe::Starting => DbProbe::Starting,
        postgres::DbProbe::Refused => DbProbe::Refused,
        postgres::DbProbe::TimedOut => DbProbe::TimedOut,
        postgres::DbProbe::NoAnswer => DbProbe::NoAnswer,
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
    let setting = &status.synchronous_standby_names;
    // A setting that is none of ours names somebody else, whom nobody is to wait for.
    let synchronous_standby = (!setting.is_empty()).then(|| {
        let ours = |host: &&InstanceId| synchronous_standby_names(Some(host)) == *setting;
        let standby = hosts.iter().find(ours).cloned();
        standby.unwrap_or_else(|| InstanceId::new(setting.clone()))
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
        synchronous_standby,
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
        redis::CacheProbe::NoAnswer => return CacheProbe::NoAnswer,
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
        replication_id: status.replication_id,
        replicas,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits_for(setting: &str) -> Option<String> {
        let hosts =
            ["orders-1", "orders-2", "legacy-orders-1", "legacy-orders-2"].map(InstanceId::from);
        let status = postgres::PgStatus {
            synchronous_standby_names: setting.to_owned(),
            ..postgres::PgStatus::default()
        };
        let seen = pg_status(status, &hosts).synchronous_standby;
        seen.map(|standby| standby.to_string())
    }

    #[test]
    fn a_synchronous_standby_is_not_taken_for_one_whose_name_ends_alike() {
        for host in ["orders-2", "legacy-orders-2"] {
            let setting = synchronous_standby_names(Some(&host.into()));
            assert_eq!(waits_for(&setting).as_deref(), Some(host), "{setting}");
        }
        assert_eq!(waits_for(""), None);
        assert_eq!(
            waits_for("*").as_deref(),
            Some("*"),
            "somebody is waited for, and it is no host of ours"
        );
    }
}
