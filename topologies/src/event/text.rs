//! Events as people read them: whom each is about, and one line of what happened. AWS's words for what has a status.

use std::fmt;

use super::{
    DbInstanceStatus, DbRequest, Event, EventKind, ReplicationGroupStatus, ReplicationStatus,
    TargetHealth,
};
use crate::id::SecurityGroupId;
use crate::security_group::Guarded;
use crate::world::Wanted;

macro_rules! words {
    ($($kind:ty { $($variant:ident => $word:literal,)* })*) => {$(
        impl $kind {
            /// AWS's word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    )*};
}

words! {
    DbInstanceStatus {
        Creating => "creating",
        Available => "available",
        Rebooting => "rebooting",
        Modifying => "modifying",
        ResettingMasterCredentials => "resetting-master-credentials",
        Stopping => "stopping",
        Stopped => "stopped",
        Starting => "starting",
        Deleting => "deleting",
        Failed => "failed",
    }
    ReplicationStatus {
        Creating => "creating",
        Replicating => "replicating",
        ReplicationDegraded => "replication degraded",
        Error => "error",
    }
    ReplicationGroupStatus { Creating => "creating", Available => "available", Modifying => "modifying", Deleting => "deleting", }
    TargetHealth { Initial => "initial", Healthy => "healthy", Unhealthy => "unhealthy", }
}

impl EventKind {
    /// What the event is about: an instance, a DB instance, a zone.
    pub fn subject(&self) -> String {
        match self {
            Self::TimelineStarted { stack, .. } => stack.to_string(),
            Self::ControlResumed | Self::StackAvailable | Self::StackStopping => "stack".to_owned(),
            Self::TopologyEdited { .. } => "topology".to_owned(),
            Self::ResourceRecorded { id, .. } | Self::ResourceForgotten { id, .. } => id.clone(),
            Self::TagsChanged { arn, .. } => arn.clone(),
            Self::InstanceRunning { instance, .. }
            | Self::InstanceExited { instance, .. }
            | Self::InstanceWanted { instance, .. }
            | Self::HostReachable { instance }
            | Self::HostUnreachable { instance, .. }
            | Self::HostHangs { instance } => instance.to_string(),
            Self::DbInstanceStatusChanged { db_instance, .. }
            | Self::DbInstanceRequested { db_instance, .. }
            | Self::StandbyInSync { db_instance, .. }
            | Self::StandbyOutOfSync { db_instance, .. }
            | Self::FailoverStarted { db_instance, .. }
            | Self::FailoverAbandoned { db_instance, .. }
            | Self::WriterPromoted { db_instance, .. }
            | Self::StandbyJoined { db_instance, .. }
            | Self::ReplicationStatusChanged { db_instance, .. } => db_instance.to_string(),
            Self::RdsEvent { source, .. } => source.to_string(),
            Self::ReplicationGroupStatusChanged { group, .. }
            | Self::CacheFailoverRequested { group }
            | Self::CacheFailoverStarted { group, .. }
            | Self::CachePrimaryPromoted { group, .. }
            | Self::CacheReplicaLinkChanged { group, .. }
            | Self::CacheNodeRecoveryChanged { group, .. }
            | Self::CacheNodeRebootChanged { group, .. }
            | Self::CacheNodeLeaving { group, .. }
            | Self::CacheNodeJoined { group, .. } => group.to_string(),
            Self::ElasticacheEvent { source, .. } => source.clone(),
            Self::TargetHealthChanged { target_group, .. } => target_group.to_string(),
            Self::LoadBalancerNodeChanged { load_balancer, .. } => load_balancer.to_string(),
            Self::HealthCheckStatusChanged { health_check, .. } => health_check.to_string(),
            Self::FaultInjected { fault, .. } | Self::FaultHealed { fault } => fault.to_string(),
            Self::ExperimentStarted { experiment, .. }
            | Self::ExperimentStatusChanged { experiment, .. } => experiment.to_string(),
            Self::ExperimentActionStatusChanged { of, .. } => of.experiment.to_string(),
            Self::ZonalShiftStarted { load_balancer, .. }
            | Self::ZonalShiftUpdated { load_balancer, .. }
            | Self::ZonalShiftEnded { load_balancer, .. } => load_balancer.to_string(),
            Self::NetworkAclChanged { acl, .. } => acl.to_string(),
            Self::NetworkAclAssociated { zone, .. } => zone.to_string(),
            Self::SecurityGroupChanged { group, .. } => group.to_string(),
            Self::SecurityGroupsGiven { member, .. } => match member {
                Guarded::Instance(id) => id.to_string(),
                Guarded::LoadBalancer(id) => id.to_string(),
                Guarded::DbInstance(id) => id.to_string(),
                Guarded::ReplicationGroup(id) => id.to_string(),
            },
            Self::AlarmStateChanged { alarm, .. } => alarm.to_string(),
            Self::ActionFailed { .. } => "control".to_owned(),
            Self::DrillStarted { drill } | Self::DrillEnded { drill, .. } => drill.clone(),
        }
    }
}

/// One line for people, without the time and the subject.
impl fmt::Display for EventKind {
    #[expect(clippy::too_many_lines, reason = "a flat match, one arm per event")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimelineStarted {
                runtime,
                seed,
                started_at,
                ..
            } => {
                write!(
                    f,
                    "timeline started at {started_at}, runtime {}, seed {seed}",
                    runtime.as_str()
                )
            }
            Self::ControlResumed => f.write_str("control plane resumed"),
            Self::StackAvailable => f.write_str("every endpoint answers"),
            Self::StackStopping => f.write_str("stopping"),
            Self::TopologyEdited { by, edits } => {
                let edits: Vec<String> = edits.iter().map(ToString::to_string).collect();
                write!(f, "{by}: {}", edits.join(", "))
            }
            Self::ResourceRecorded { resource, .. } => write!(f, "{resource} recorded"),
            Self::ResourceForgotten { resource, .. } => write!(f, "{resource} forgotten"),
            Self::TagsChanged { tags, .. } => write!(f, "{} tags", tags.len()),
            Self::InstanceRunning { handle, .. } => write!(f, "running ({handle})"),
            Self::InstanceExited { how, .. } => write!(f, "exited: {how}"),
            Self::InstanceWanted { wanted, .. } => f.write_str(match wanted {
                Wanted::Running => "to run",
                Wanted::Stopped => "to stop",
                Wanted::Terminated => "to be terminated",
            }),
            Self::HostReachable { .. } => f.write_str("reachable"),
            Self::HostHangs { .. } => f.write_str("hangs: it is ended and started anew"),
            Self::HostUnreachable { why, .. } => write!(f, "unreachable: {why}"),
            Self::DbInstanceStatusChanged { status, .. } => write!(f, "status {status}"),
            Self::DbInstanceRequested { request, .. } => f.write_str(match request {
                DbRequest::Reboot => "to reboot",
                DbRequest::Failover => "to fail over",
                DbRequest::Stop => "to stop",
                DbRequest::Start => "to start",
                DbRequest::ResetMasterCredentials => "to take another master password",
                DbRequest::ConvertToMultiAz => "to get a standby",
                DbRequest::ConvertToSingleAz => "to lose its standby",
                DbRequest::Promote => "to be promoted",
            }),
            Self::RdsEvent { id, message, .. } => write!(f, "RDS-EVENT-{id:04} {message}"),
            Self::StandbyInSync { instance, .. } => write!(f, "standby {instance} is in sync"),
            Self::StandbyOutOfSync { instance, why, .. } => {
                write!(f, "standby {instance} is out of sync: {why}")
            }
            Self::FailoverStarted {
                from, to, reason, ..
            } => {
                write!(f, "failing over from {from} (fenced) to {to}: {reason}")
            }
            Self::FailoverAbandoned { from, to, .. } => {
                write!(
                    f,
                    "failover from {from} to {to} abandoned: {from} is back, {to} is not"
                )
            }
            Self::WriterPromoted {
                instance, timeline, ..
            } => {
                write!(
                    f,
                    "{instance} promoted to primary, timeline {timeline}; endpoint moved"
                )
            }
            Self::StandbyJoined { instance, .. } => write!(f, "{instance} joined as standby"),
            Self::ReplicationStatusChanged { status, source, .. } => {
                write!(f, "{status} (source {source})")
            }
            Self::ReplicationGroupStatusChanged { status, .. } => write!(f, "status {status}"),
            Self::ElasticacheEvent { message, .. } => f.write_str(message),
            Self::CacheFailoverRequested { .. } => f.write_str("to fail over"),
            Self::CacheFailoverStarted { from, .. } => {
                write!(f, "failing over from {from} (fenced)")
            }
            Self::CachePrimaryPromoted {
                instance, offset, ..
            } => {
                write!(
                    f,
                    "{instance} promoted to primary at offset {offset}; endpoint moved"
                )
            }
            Self::CacheReplicaLinkChanged {
                instance, up: true, ..
            } => write!(f, "{instance} replicates"),
            Self::CacheReplicaLinkChanged {
                instance,
                up: false,
                ..
            } => {
                write!(f, "{instance} does not replicate")
            }
            Self::CacheNodeRecoveryChanged {
                instance,
                recovering: true,
                ..
            } => write!(f, "{instance} is being recovered"),
            Self::CacheNodeRecoveryChanged { instance, .. } => {
                write!(f, "{instance} is recovered")
            }
            Self::CacheNodeRebootChanged {
                instance,
                rebooting: true,
                ..
            } => write!(f, "{instance} to reboot"),
            Self::CacheNodeRebootChanged { instance, .. } => write!(f, "{instance} is rebooted"),
            Self::CacheNodeLeaving { instance, .. } => write!(f, "{instance} to go"),
            Self::CacheNodeJoined { instance, .. } => write!(f, "{instance} joined as replica"),
            Self::TargetHealthChanged {
                instance,
                node,
                state,
                reason,
                ..
            } => {
                write!(f, "{instance} {state} from {node}")?;
                if reason.is_empty() {
                    Ok(())
                } else {
                    write!(f, " ({reason})")
                }
            }
            Self::LoadBalancerNodeChanged {
                zone, alive: true, ..
            } => write!(f, "node in {zone} answers"),
            Self::LoadBalancerNodeChanged {
                zone, alive: false, ..
            } => write!(f, "node in {zone} does not answer"),
            Self::HealthCheckStatusChanged {
                healthy: true, why, ..
            } => write!(f, "healthy: {why}"),
            Self::HealthCheckStatusChanged {
                healthy: false,
                why,
                ..
            } => write!(f, "unhealthy: {why}"),
            Self::FaultInjected {
                fault_kind,
                target,
                consequences,
                by,
                ..
            } => {
                write!(f, "fault {fault_kind} on {target}")?;
                if let Some(by) = by {
                    write!(f, " for {by}")?;
                }
                write!(f, ": hits {}", consequences.join("; "))
            }
            Self::FaultHealed { .. } => f.write_str("healed"),
            Self::ExperimentStarted { blueprint, .. } => {
                let actions: Vec<String> = blueprint
                    .actions
                    .iter()
                    .map(|(name, action)| format!("{name} ({})", action.action_id))
                    .collect();
                let template = &blueprint.template;
                write!(f, "experiment of {template}: {}", actions.join(", "))
            }
            Self::ExperimentStatusChanged { status, reason, .. } => {
                write!(f, "experiment {status}")?;
                because(f, reason.as_ref())
            }
            Self::ExperimentActionStatusChanged { of, status, reason } => {
                write!(f, "action {} {status}", of.action)?;
                because(f, reason.as_ref())
            }
            Self::ZonalShiftStarted {
                shift,
                away_from,
                expires,
                comment,
                by,
                ..
            } => {
                write!(f, "shifted away from {away_from} until {expires} ({shift}")?;
                match by {
                    Some(by) => write!(f, " for {by})"),
                    None => write!(f, "): {comment}"),
                }
            }
            Self::ZonalShiftUpdated {
                shift,
                expires,
                comment,
                ..
            } => write!(f, "shifted until {expires} ({shift}): {comment}"),
            Self::ZonalShiftEnded { shift, status, .. } => {
                write!(f, "zonal shift {status} ({shift})")
            }
            Self::NetworkAclChanged { entries, .. } => {
                write!(f, "network ACL of {} entries", entries.len())
            }
            Self::NetworkAclAssociated { acl, .. } => {
                write!(f, "the subnet has network ACL {acl}")
            }
            Self::SecurityGroupChanged { name, rules, .. } => {
                write!(f, "security group {name} of {} rules", rules.len())
            }
            Self::SecurityGroupsGiven { groups, .. } => {
                let groups: Vec<&str> = groups.iter().map(SecurityGroupId::as_str).collect();
                match groups.is_empty() {
                    true => write!(f, "no security groups"),
                    false => write!(f, "security groups {}", groups.join(", ")),
                }
            }
            Self::AlarmStateChanged { finding, .. } => {
                write!(f, "alarm {}: {}", finding.state, finding.reason)
            }
            Self::ActionFailed {
                action,
                why,
                times: 0..=1,
            } => write!(f, "failed to {action}: {why}"),
            Self::ActionFailed { action, why, times } => {
                write!(f, "failed to {action} {times} times in a row: {why}")
            }
            Self::DrillStarted { .. } => f.write_str("drill started"),
            Self::DrillEnded { verdict, .. } => write!(f, "drill ended: {verdict}"),
        }
    }
}

fn because(f: &mut fmt::Formatter<'_>, reason: Option<&String>) -> fmt::Result {
    reason.map_or(Ok(()), |reason| write!(f, ": {reason}"))
}

/// `   12.345s  orders           failing over ...`
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>10}  {:<20} {}",
            self.at,
            self.event.subject(),
            self.event
        )
    }
}
