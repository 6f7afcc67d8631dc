//! What RDS publishes of DB instances, by number and message (aws-behaviour §1.2).

use topologies::event::EventKind;
use topologies::id::DbInstanceId;

pub(super) const DELETED: (u16, &str) = (3, "DB instance deleted.");
pub(super) const SHUTDOWN: (u16, &str) = (4, "DB instance shutdown.");
pub(super) const CREATED: (u16, &str) = (5, "DB instance created.");
pub(super) const RESTARTED: (u16, &str) = (6, "DB instance restarted.");
pub(super) const CREDENTIALS_RESET: (u16, &str) = (16, "Reset master credentials.");
pub(crate) const TO_MULTI_AZ: (u16, &str) = (
    24,
    "Applying modification to convert to a Multi-AZ DB instance.",
);
pub(super) const IS_MULTI_AZ: (u16, &str) = (
    25,
    "Finished applying modification to convert to a Multi-AZ DB instance.",
);
pub(super) const IS_SINGLE_AZ: (u16, &str) = (
    29,
    "Finished applying modification to convert to a standard (Single-AZ) DB instance.",
);
pub(crate) const TO_SINGLE_AZ: (u16, &str) = (
    30,
    "Applying modification to convert to a standard (Single-AZ) DB instance.",
);
pub(super) const REPLICATION_STOPPED: (u16, &str) = (45, "Replication has stopped.");
pub(super) const REPLICATION_RESUMED: (u16, &str) =
    (46, "Replication for the Read Replica resumed.");
pub(super) const STREAMING_TERMINATED: (u16, &str) =
    (57, "Replication streaming has been terminated.");
pub(super) const FAILOVER_STARTED: (u16, &str) = (13, "Multi-AZ instance failover started.");
pub(super) const FAILOVER_COMPLETED: (u16, &str) = (49, "Multi-AZ instance failover completed.");
pub(super) const ACTIVATION_STARTED: (u16, &str) = (50, "Multi-AZ instance activation started.");
pub(super) const ACTIVATION_COMPLETED: (u16, &str) =
    (51, "Multi-AZ instance activation completed.");
pub(super) const RECOVERY_STARTED: (u16, &str) = (52, "Multi-AZ instance recovery started.");
pub(super) const RECOVERY_COMPLETED: (u16, &str) = (
    53,
    "Multi-AZ instance recovery completed. Pending failover or activation.",
);
pub(super) const FAILOVER_ABANDONED: (u16, &str) = (65, "Recovered from partial failover.");
pub(super) const STOPPED: (u16, &str) = (87, "DB instance stopped.");
pub(super) const STARTED: (u16, &str) = (88, "DB instance started.");
pub(super) const STANDBY_RECOVERY_STARTED: (u16, &str) =
    (361, "Recovery of standby DB instance has started.");
pub(super) const STANDBY_RECOVERY_COMPLETED: (u16, &str) =
    (362, "Recovery of standby DB instance has completed.");

/// That RDS published it of this DB instance or read replica.
pub(crate) fn of(source: &DbInstanceId, (id, message): (u16, &str)) -> EventKind {
    EventKind::RdsEvent {
        source: source.clone(),
        id,
        message: message.to_owned(),
    }
}
