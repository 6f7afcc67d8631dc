//! What the control plane orders. Each order has a ticket; its outcome comes back with it.

use std::fmt;

use topologies::id::InstanceId;

/// Tells an order's outcome from the outcome of any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// An order. Every one is idempotent, bounded in time by whoever performs it, and answered with an [`Outcome`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start an application instance.
    StartApp {
        /// The instance.
        instance: InstanceId,
    },
    /// Stop an instance; its data stay.
    Stop {
        /// The instance.
        instance: InstanceId,
    },
    /// End an instance for good, its data with it.
    Remove {
        /// The instance.
        instance: InstanceId,
    },
    /// Start a database host in a role; its data is a copy of the golden cluster if it has none.
    StartDatabase {
        /// The host.
        instance: InstanceId,
        /// The role.
        role: DbRole,
    },
    /// Create roles and database on a primary.
    ConfigurePrimary {
        /// The primary.
        instance: InstanceId,
    },
    /// Let commits on the primary wait for this standby, or for none.
    SetSynchronousStandby {
        /// The primary.
        primary: InstanceId,
        /// The standby.
        standby: Option<InstanceId>,
    },
    /// Mark a former primary as demoted, so that it never starts as a writer again, and stop it if it can be reached.
    Demote {
        /// The former primary.
        instance: InstanceId,
    },
    /// Make a standby the primary.
    Promote {
        /// The standby.
        instance: InstanceId,
    },
    /// Point a running standby or replica to another source.
    Follow {
        /// The standby or replica.
        instance: InstanceId,
        /// Its source.
        source: InstanceId,
    },
    /// Stop a host, bring its data in line with the source's history, and start it as a standby.
    Rejoin {
        /// The host.
        instance: InstanceId,
        /// Its source.
        source: InstanceId,
        /// How.
        by: Means,
    },
    /// Start a cache node, as primary or replica.
    StartCache {
        /// The node.
        instance: InstanceId,
        /// Its source; none for a primary.
        source: Option<InstanceId>,
    },
    /// Stop a node that was primary and start it as a replica; what it alone held goes.
    RejoinCache {
        /// The node.
        instance: InstanceId,
        /// Its source.
        source: InstanceId,
    },
    /// Make a replica the primary.
    PromoteCache {
        /// The node.
        instance: InstanceId,
    },
    /// Make a running node a replica of another.
    FollowCache {
        /// The node.
        instance: InstanceId,
        /// Its source.
        source: InstanceId,
    },
}

/// How a host's data are brought in line with its source's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// By a rewind where they parted; a copy only if none is possible.
    Rewind,
    /// By a fresh copy, whatever is there.
    Copy,
}

/// A database host's role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DbRole {
    /// Accepts writes.
    Primary {
        /// The standby that commits wait for from the first one on: the one recorded in sync, so that a restart does not let the
        /// primary acknowledge alone what a promotion would then lose.
        synchronous_standby: Option<InstanceId>,
    },
    /// Streams from another host.
    Standby {
        /// That host.
        of: InstanceId,
    },
    /// What its data make of it, in a failover to it: a standby as before, or a primary if a promotion came to pass that nobody
    /// lived to tell.
    Successor {
        /// The host that it streamed from.
        of: InstanceId,
    },
}

/// How an order ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// A promotion was done; the timeline that began with it (0 for a cache).
    Promoted {
        /// The timeline.
        timeline: u32,
        /// Of a database, where that timeline left the one before, if its server still knows; of a cache node, its replication
        /// offset; bytes.
        offset: Option<u64>,
    },
    /// It failed, and may have been done in part.
    Failed(String),
    /// The host's data do not allow it: they have to be brought in line first, and to try again helps nobody.
    Refused(String),
}

impl Action {
    /// Whether somebody else's primary has to be fenced before it.
    pub fn promotes(&self) -> bool {
        matches!(self, Self::Promote { .. } | Self::PromoteCache { .. })
    }

    /// The standby that commits are to wait for, if that is what the order is about.
    pub fn waits_for(&self) -> Option<&InstanceId> {
        if let Self::SetSynchronousStandby { standby, .. } = self {
            standby.as_ref()
        } else {
            None
        }
    }

    /// The instance that the order is for.
    pub fn instance(&self) -> &InstanceId {
        match self {
            Self::StartApp { instance }
            | Self::Stop { instance }
            | Self::Remove { instance }
            | Self::StartDatabase { instance, .. }
            | Self::ConfigurePrimary { instance }
            | Self::SetSynchronousStandby {
                primary: instance, ..
            }
            | Self::Demote { instance }
            | Self::Promote { instance }
            | Self::Follow { instance, .. }
            | Self::Rejoin { instance, .. }
            | Self::StartCache { instance, .. }
            | Self::PromoteCache { instance }
            | Self::RejoinCache { instance, .. }
            | Self::FollowCache { instance, .. } => instance,
        }
    }
}

impl Action {
    /// Whether it starts an instance that did not run.
    pub fn is_start(&self) -> bool {
        matches!(
            self,
            Self::StartApp { .. } | Self::StartDatabase { .. } | Self::StartCache { .. }
        )
    }
}

/// Completes "failed to".
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartApp { instance } => write!(f, "start {instance}"),
            Self::Stop { instance } => write!(f, "stop {instance}"),
            Self::Remove { instance } => write!(f, "remove {instance}"),
            Self::StartDatabase {
                instance,
                role: DbRole::Primary { .. },
            } => write!(f, "start {instance} as primary"),
            Self::StartDatabase {
                instance,
                role: DbRole::Standby { of },
            } => {
                write!(f, "start {instance} as standby of {of}")
            }
            Self::StartDatabase {
                instance,
                role: DbRole::Successor { of },
            } => {
                write!(f, "start {instance} as successor of {of}")
            }
            Self::ConfigurePrimary { instance } => write!(f, "configure {instance}"),
            Self::SetSynchronousStandby {
                primary,
                standby: Some(standby),
            } => {
                write!(f, "make {primary} wait for {standby}")
            }
            Self::SetSynchronousStandby {
                primary,
                standby: None,
            } => write!(f, "let {primary} run alone"),
            Self::Demote { instance } => write!(f, "demote {instance}"),
            Self::Promote { instance } | Self::PromoteCache { instance } => {
                write!(f, "promote {instance}")
            }
            Self::Follow { instance, source } | Self::FollowCache { instance, source } => {
                write!(f, "point {instance} to {source}")
            }
            Self::Rejoin {
                instance,
                source,
                by: Means::Copy,
            } => write!(f, "make {instance} anew from {source}"),
            Self::Rejoin {
                instance,
                source,
                by: Means::Rewind,
            }
            | Self::RejoinCache { instance, source } => {
                write!(f, "rejoin {instance} to {source}")
            }
            Self::StartCache {
                instance,
                source: None,
            } => write!(f, "start {instance} as primary"),
            Self::StartCache {
                instance,
                source: Some(source),
            } => write!(f, "start {instance} as replica of {source}"),
        }
    }
}
