//! What events add up to for DB instances and their read replicas.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::World;
use crate::event::{DbInstanceStatus, DbRequest, EventKind, ReplicationStatus};
use crate::id::{DbInstanceId, InstanceId};

/// A DB instance with a primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Its status.
    pub status: DbInstanceStatus,
    /// The host that the endpoint points to.
    pub primary: InstanceId,
    /// The other host, with Multi-AZ.
    pub standby: Option<Standby>,
    /// Hosts whose network interface is closed.
    pub fenced: BTreeSet<InstanceId>,
    /// What was asked of it and is not done yet.
    #[serde(default)]
    pub requested: Option<DbRequest>,
    /// The host that is to be promoted, while a failover goes on.
    pub failover_to: Option<InstanceId>,
    /// Why, in RDS's words, while a failover goes on.
    pub failover_reason: Option<String>,
    /// The primary's timeline, once a failover has told it.
    pub timeline: Option<u32>,
    /// Where each timeline left the one before, in bytes of the log, as far as promotions have told it.
    #[serde(default)]
    pub forks: BTreeMap<u32, u64>,
}

/// The standby of a DB instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standby {
    /// Its host.
    pub instance: InstanceId,
    /// Whether it may be promoted: it holds everything acknowledged.
    pub in_sync: bool,
    /// Whether it runs as a standby of the present primary, as far as was seen.
    pub joined: bool,
}

/// A read replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Its status.
    pub status: DbInstanceStatus,
    /// Its replication's status.
    pub replication: ReplicationStatus,
    /// Its host.
    pub instance: InstanceId,
    /// The DB instance it belongs to.
    pub of: DbInstanceId,
    /// What was asked of it and is not done yet.
    #[serde(default)]
    pub requested: Option<DbRequest>,
}

impl World {
    pub(super) fn apply_to_database(&mut self, event: &EventKind) {
        if let EventKind::ReplicationStatusChanged {
            db_instance,
            status,
            ..
        } = event
            && let Some(replica) = self.replicas.get_mut(db_instance)
        {
            replica.replication = *status;
        }
        if let EventKind::DbInstanceStatusChanged {
            db_instance,
            status,
        } = event
        {
            self.db_status(db_instance, *status, None);
        }
        if let EventKind::DbInstanceRequested {
            db_instance,
            request,
        } = event
        {
            self.db_status(db_instance, request.status(), Some(*request));
        }
        let (EventKind::StandbyInSync { db_instance, .. }
        | EventKind::StandbyOutOfSync { db_instance, .. }
        | EventKind::FailoverStarted { db_instance, .. }
        | EventKind::FailoverAbandoned { db_instance, .. }
        | EventKind::WriterPromoted { db_instance, .. }
        | EventKind::StandbyJoined { db_instance, .. }) = event
        else {
            return;
        };
        if let Some(database) = self.databases.get_mut(db_instance) {
            database.apply(event);
        }
    }

    fn db_status(
        &mut self,
        db_instance: &DbInstanceId,
        status: DbInstanceStatus,
        requested: Option<DbRequest>,
    ) {
        if let Some(replica) = self.replicas.get_mut(db_instance) {
            (replica.status, replica.requested) = (status, requested);
        }
        if let Some(database) = self.databases.get_mut(db_instance) {
            (database.status, database.requested) = (status, requested);
        }
    }
}

impl Database {
    /// One that is being made, with nothing seen of its hosts.
    pub fn new(primary: InstanceId, standby: Option<InstanceId>) -> Self {
        Self {
            status: DbInstanceStatus::Creating,
            primary,
            standby: standby.map(Standby::new),
            fenced: BTreeSet::new(),
            requested: None,
            failover_to: None,
            failover_reason: None,
            timeline: None,
            forks: BTreeMap::new(),
        }
    }

    /// Takes a new host as its standby, and forgets one that is gone.
    pub(super) fn revise<'a>(&mut self, hosts: impl Iterator<Item = &'a InstanceId>) {
        let hosts: BTreeSet<&InstanceId> = hosts.collect();
        self.fenced.retain(|host| hosts.contains(host));
        let standby = self.standby.take();
        let standby = standby.filter(|standby| hosts.contains(&standby.instance));
        let mut others = hosts.into_iter().filter(|host| **host != self.primary);
        self.standby = standby.or_else(|| others.next().cloned().map(Standby::new));
    }

    fn apply(&mut self, event: &EventKind) {
        if let EventKind::FailoverStarted {
            from, to, reason, ..
        } = event
        {
            self.fenced.insert(from.clone());
            self.failover_to = Some(to.clone());
            self.failover_reason = Some(reason.clone());
        } else if let EventKind::FailoverAbandoned { from, .. } = event {
            self.fenced.remove(from);
            self.failover_to = None;
            self.failover_reason = None;
        } else if let EventKind::WriterPromoted {
            instance,
            timeline,
            forked_at,
            ..
        } = event
        {
            let old = std::mem::replace(&mut self.primary, instance.clone());
            self.fenced.remove(instance);
            self.failover_to = None;
            self.failover_reason = None;
            self.timeline = Some(*timeline);
            self.forks.extend(forked_at.map(|at| (*timeline, at)));
            self.standby = Some(Standby::new(old));
        }
        let Some(standby) = &mut self.standby else {
            return;
        };
        if let EventKind::StandbyInSync { .. } = event {
            standby.in_sync = true;
            standby.joined = true;
        } else if let EventKind::StandbyOutOfSync { .. } = event {
            standby.in_sync = false;
        } else if let EventKind::StandbyJoined { instance, .. } = event {
            standby.joined = true;
            self.fenced.remove(instance);
        }
    }
}

impl Standby {
    /// A host that is to be the standby and has not been seen as that.
    fn new(instance: InstanceId) -> Self {
        Self {
            instance,
            in_sync: false,
            joined: false,
        }
    }
}

impl Replica {
    pub(super) fn new(instance: InstanceId, of: DbInstanceId) -> Self {
        Self {
            status: DbInstanceStatus::Creating,
            replication: ReplicationStatus::Creating,
            instance,
            of,
            requested: None,
        }
    }
}
