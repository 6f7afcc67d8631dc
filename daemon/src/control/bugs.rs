//! Deliberate faults of the control logic. Nothing plants them but the simulator's tests of itself: a simulator that can not
//! fail proves nothing, so each of these must be caught by one of its invariants.

/// A deliberate fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// A standby is promoted whether or not it is in sync.
    PromoteOutOfSync,
    /// The primary is allowed to run alone without the standby being recorded out of sync first.
    ForgetToRecordOutOfSync,
    /// The primary is never allowed to run alone.
    NeverRunAlone,
    /// The standby counts as in sync before it has caught up.
    TrustWithoutCatchUp,
    /// The old primary is started as a primary again.
    RestartOldPrimaryAsWriter,
    /// Orders that failed are not tried again.
    NeverRetry,
    /// Read replicas stay pointed to the old primary.
    ForgetReplicas,
    /// The cache replica with the lowest offset is promoted.
    PromoteLowestOffset,
    /// The old cache primary is not made a replica when it comes back.
    ForgetOldCachePrimary,
    /// A target that fails its checks stays healthy.
    IgnoreFailedTargets,
    /// The standby counts as in sync by an account of the primary that is older than the last change.
    BelieveOldAccounts,
    /// A primary that was given up is not marked as such.
    ForgetToDemote,
    /// A follower whose rewind was interrupted is started again and again.
    RestartTornData,
    /// A standby that was promoted and died before anybody heard of it is started as a standby again and again.
    ForgetPromotion,
    /// A lost cache primary is started again, empty, before its replicas were heard.
    RestartCacheUnasked,
    /// An order to wait for the standby that failed counts as in force.
    TrustFailedOrders,
    /// An instance whose start was done is taken for running, whatever its host reported meanwhile.
    BelieveStarts,
    /// A follower that is merely cut off is made anew like one that has parted.
    SuspectTheCutOff,
    /// The recovery of a standby after a failover is not told of.
    ForgetToTellOfRecovery,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::PromoteOutOfSync,
        Self::ForgetToRecordOutOfSync,
        Self::NeverRunAlone,
        Self::TrustWithoutCatchUp,
        Self::RestartOldPrimaryAsWriter,
        Self::NeverRetry,
        Self::ForgetReplicas,
        Self::PromoteLowestOffset,
        Self::ForgetOldCachePrimary,
        Self::IgnoreFailedTargets,
        Self::BelieveOldAccounts,
        Self::ForgetToDemote,
        Self::RestartTornData,
        Self::ForgetPromotion,
        Self::RestartCacheUnasked,
        Self::TrustFailedOrders,
        Self::BelieveStarts,
        Self::SuspectTheCutOff,
        Self::ForgetToTellOfRecovery,
    ];
}
