//! What events add up to for replication groups.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::World;
use crate::event::{EventKind, ReplicationGroupStatus};
use crate::id::InstanceId;

/// A replication group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// Its status.
    pub status: ReplicationGroupStatus,
    /// The node that the primary endpoint points to.
    pub primary: InstanceId,
    /// Every node but the primary, and whether it replicates.
    pub replicas: BTreeMap<InstanceId, bool>,
    /// Nodes whose network interface is closed.
    pub fenced: BTreeSet<InstanceId>,
    /// Whether a failover goes on.
    pub failing_over: bool,
    /// Whether a failover was asked for that has not begun.
    #[serde(default)]
    pub failover_requested: bool,
    /// Nodes that were lost and are being recovered, as far as was told.
    #[serde(default)]
    pub recovering: BTreeSet<InstanceId>,
}

impl World {
    pub(super) fn apply_to_cache(&mut self, event: &EventKind) {
        let (EventKind::ReplicationGroupStatusChanged { group, .. }
        | EventKind::CacheFailoverRequested { group }
        | EventKind::CacheFailoverStarted { group, .. }
        | EventKind::CachePrimaryPromoted { group, .. }
        | EventKind::CacheReplicaLinkChanged { group, .. }
        | EventKind::CacheNodeRecoveryChanged { group, .. }
        | EventKind::CacheNodeJoined { group, .. }) = event
        else {
            return;
        };
        if let Some(cache) = self.caches.get_mut(group) {
            cache.apply(event);
        }
    }
}

impl Cache {
    /// One that is being made, with nothing seen of its nodes.
    pub(super) fn new(primary: InstanceId, replicas: impl Iterator<Item = InstanceId>) -> Self {
        Self {
            status: ReplicationGroupStatus::Creating,
            primary,
            replicas: replicas.map(|node| (node, false)).collect(),
            fenced: BTreeSet::new(),
            failing_over: false,
            failover_requested: false,
            recovering: BTreeSet::new(),
        }
    }

    /// Takes new nodes as replicas, and forgets those that are gone.
    pub(super) fn revise<'a>(&mut self, nodes: impl Iterator<Item = &'a InstanceId>) {
        let nodes: BTreeSet<&InstanceId> = nodes.collect();
        self.replicas.retain(|node, _| nodes.contains(node));
        self.fenced.retain(|node| nodes.contains(node));
        self.recovering.retain(|node| nodes.contains(node));
        for node in nodes {
            if *node != self.primary {
                self.replicas.entry(node.clone()).or_insert(false);
            }
        }
    }

    fn apply(&mut self, event: &EventKind) {
        if let EventKind::ReplicationGroupStatusChanged { status, .. } = event {
            self.status = *status;
        } else if let EventKind::CacheFailoverRequested { .. } = event {
            self.status = ReplicationGroupStatus::Modifying;
            self.failover_requested = true;
        } else if let EventKind::CacheFailoverStarted { from, .. } = event {
            self.fenced.insert(from.clone());
            self.failing_over = true;
            self.failover_requested = false;
        } else if let EventKind::CachePrimaryPromoted { instance, .. } = event {
            let old = std::mem::replace(&mut self.primary, instance.clone());
            self.replicas.remove(instance);
            self.fenced.remove(instance);
            if old != *instance {
                self.replicas.insert(old, false);
            }
            self.failing_over = false;
        } else if let EventKind::CacheReplicaLinkChanged { instance, up, .. } = event {
            if let Some(link) = self.replicas.get_mut(instance) {
                *link = *up;
            }
        } else if let EventKind::CacheNodeRecoveryChanged {
            instance,
            recovering,
            ..
        } = event
        {
            if *recovering {
                self.recovering.insert(instance.clone());
            } else {
                self.recovering.remove(instance);
            }
        } else if let EventKind::CacheNodeJoined { instance, .. } = event {
            self.fenced.remove(instance);
        }
    }
}
