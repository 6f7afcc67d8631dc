//! Whether everything is there that could take over.

use super::{Cache, Database, World};
use crate::event::{DbInstanceStatus, ReplicationGroupStatus, ReplicationStatus};

impl World {
    /// Whether no database and no cache has anything left to recover: every one is available and has the redundancy that it was
    /// planned with, every read replica replicates. Instances of applications play no part; what was stopped by request is whole.
    pub fn whole(&self) -> bool {
        let databases = self.databases.values().all(|db| match db.status {
            DbInstanceStatus::Stopped => true,
            DbInstanceStatus::Available => db.redundant(),
            DbInstanceStatus::Creating
            | DbInstanceStatus::Rebooting
            | DbInstanceStatus::Modifying
            | DbInstanceStatus::ResettingMasterCredentials
            | DbInstanceStatus::Stopping
            | DbInstanceStatus::Starting
            | DbInstanceStatus::Deleting
            | DbInstanceStatus::Failed => false,
        });
        let replicas = self.replicas.values().all(|replica| {
            let stopped = replica.status == DbInstanceStatus::Stopped;
            stopped || replica.replication == ReplicationStatus::Replicating
        });
        let caches = self
            .caches
            .values()
            .all(|cache| cache.status == ReplicationGroupStatus::Available && cache.redundant());
        databases && replicas && caches
    }
}

impl Database {
    /// Whether its standby may be promoted; true without Multi-AZ, which plans none. Until it is promoted, the standby of a
    /// failover still counts as one in sync, but nobody is left behind it.
    pub fn redundant(&self) -> bool {
        let standby = self.standby.as_ref();
        self.failover_to.is_none() && standby.is_none_or(|standby| standby.in_sync)
    }
}

impl Cache {
    /// Whether every node but the primary replicates. The group's status does not tell: it stays `available` while a replica is
    /// lost, and comes back only after a failover.
    pub fn redundant(&self) -> bool {
        !self.failing_over && self.replicas.values().all(|up| *up)
    }
}
