//! The vocabulary of everything that happens to a stack.
//!
//! Events are the only truth: the world is their fold, the timeline file their record, and the command line, the API and the
//! reports read nothing else. The set is closed and flat, in the past tense, one sentence and one line of rendering each.

mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alarm::Finding;
use crate::edit::Edit;
use crate::experiment::{ActionOf, ActionStatus, Blueprint, ExperimentStatus};
use crate::id::{
    AlarmId, DbInstanceId, ExperimentId, FaultId, HealthCheckId, InstanceId, LoadBalancerId,
    NetworkAclId, RegionId, ReplicationGroupId, SecurityGroupId, StackId, TargetGroupId,
    ZonalShiftId, ZoneId,
};
use crate::network_acl::NetworkAclEntry;
use crate::runtime::RuntimeKind;
use crate::security_group::{Guarded, SecurityGroupRule};
use crate::time::Time;
use crate::world::Wanted;
use crate::zonal_shift::ZonalShiftStatus;

/// The version of the timeline's format; it stands in every timeline's first event.
pub const FORMAT: u32 = 1;

/// The reason code of a target whose health checks get no answer (aws-behaviour §4.3).
pub const TARGET_TIMEOUT: &str = "Target.Timeout";

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the timeline, from 1, without gaps.
    pub seq: u64,
    /// When, in microseconds since the timeline's beginning; the first event has the wall-clock moment of that.
    pub at: Time,
    /// What.
    pub event: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum EventKind {
    /// The timeline began.
    TimelineStarted {
        /// [`FORMAT`].
        format: u32,
        /// The stack.
        stack: StackId,
        /// Its runtime.
        runtime: RuntimeKind,
        /// The seed of everything that is drawn.
        seed: u64,
        /// The wall-clock moment of time zero, RFC 3339.
        started_at: String,
        /// A hash of the plan.
        plan: String,
        /// Our version.
        version: String,
    },
    /// A control plane took over a stack that an earlier one left running.
    ControlResumed,
    /// Every endpoint answers for the first time.
    StackAvailable,
    /// The stack is being taken down.
    StackStopping,

    /// The topology was changed while the stack runs.
    TopologyEdited {
        /// Whose doing it was: `rds:CreateDBInstance`.
        by: String,
        /// What came, changed or went.
        edits: Vec<Edit>,
    },
    /// What the AWS API keeps of a resource beyond the topology: what it was made with and gives back.
    ResourceRecorded {
        /// Service and type, as in its ARN: `rds:db`.
        resource: String,
        /// Its region.
        region: RegionId,
        /// Its identifier.
        id: String,
        /// Its attributes, by the names of AWS's model.
        attributes: serde_json::Value,
    },
    /// A resource that was recorded is gone, its tags with it.
    ResourceForgotten {
        /// Service and type.
        resource: String,
        /// Its region.
        region: RegionId,
        /// Its identifier.
        id: String,
        /// Its ARN.
        arn: String,
    },
    /// A resource's tags are others.
    TagsChanged {
        /// The resource's ARN.
        arn: String,
        /// All of its tags from now on.
        tags: BTreeMap<String, String>,
    },

    /// An instance's host reported that its process runs.
    InstanceRunning {
        /// The instance.
        instance: InstanceId,
        /// Process id or container.
        handle: String,
    },
    /// An instance's host reported that its process ended.
    InstanceExited {
        /// The instance.
        instance: InstanceId,
        /// How.
        how: String,
    },
    /// Something else is asked of an application instance from now on.
    InstanceWanted {
        /// The instance.
        instance: InstanceId,
        /// What.
        wanted: Wanted,
    },
    /// A host answers the control plane's probes.
    HostReachable {
        /// The instance.
        instance: InstanceId,
    },
    /// A follower takes connections and has not answered for long: its process is ended and started anew.
    HostHangs {
        /// The follower's host.
        instance: InstanceId,
    },
    /// A host gave no sign for so long that it is taken for lost.
    HostUnreachable {
        /// The instance.
        instance: InstanceId,
        /// What the probes met.
        why: String,
    },

    /// A DB instance's status changed.
    DbInstanceStatusChanged {
        /// The DB instance or read replica.
        db_instance: DbInstanceId,
        /// The new status.
        status: DbInstanceStatus,
    },
    /// Something was asked of a DB instance. Its status tells that it is under way until it is done.
    DbInstanceRequested {
        /// The DB instance or read replica.
        db_instance: DbInstanceId,
        /// What.
        request: DbRequest,
    },
    /// RDS published an event, in its own words.
    RdsEvent {
        /// The source, a DB instance.
        source: DbInstanceId,
        /// `RDS-EVENT-nnnn`.
        id: u16,
        /// Its message.
        message: String,
    },
    /// The standby holds all that was acknowledged, and nothing is acknowledged without it: it may be promoted.
    StandbyInSync {
        /// The DB instance.
        db_instance: DbInstanceId,
        /// The standby's host.
        instance: InstanceId,
    },
    /// The standby may lack acknowledged writes from here on: it must not be promoted. Recorded before the primary is allowed to
    /// acknowledge alone.
    StandbyOutOfSync {
        /// The DB instance.
        db_instance: DbInstanceId,
        /// The standby's host.
        instance: InstanceId,
        /// Why.
        why: String,
    },
    /// A failover to the standby was decided.
    FailoverStarted {
        /// The DB instance.
        db_instance: DbInstanceId,
        /// The primary that is given up and fenced: its network interface is closed.
        from: InstanceId,
        /// The standby that is promoted.
        to: InstanceId,
        /// RDS's words for the reason.
        reason: String,
    },
    /// A failover ended where it began: the standby was lost before it was promoted, and the primary is back. Its interface is open
    /// again.
    FailoverAbandoned {
        /// The DB instance.
        db_instance: DbInstanceId,
        /// The primary that was to be given up.
        from: InstanceId,
        /// The standby that was to be promoted.
        to: InstanceId,
    },
    /// The standby left recovery and is the primary; the endpoint points to it.
    WriterPromoted {
        /// The DB instance.
        db_instance: DbInstanceId,
        /// The new primary's host.
        instance: InstanceId,
        /// The timeline that begins with it.
        timeline: u32,
        /// Where it left the one before, in bytes of the log, if its server still knew.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forked_at: Option<u64>,
    },
    /// A host runs again as a standby of the primary; its interface is open again and it refuses writes.
    StandbyJoined {
        /// The DB instance.
        db_instance: DbInstanceId,
        /// The standby's host.
        instance: InstanceId,
    },
    /// A read replica's replication status changed.
    ReplicationStatusChanged {
        /// The read replica.
        db_instance: DbInstanceId,
        /// The new status.
        status: ReplicationStatus,
        /// The host that it replicates from, or should.
        source: InstanceId,
    },

    /// A replication group's status changed.
    ReplicationGroupStatusChanged {
        /// The group.
        group: ReplicationGroupId,
        /// The new status.
        status: ReplicationGroupStatus,
    },
    /// ElastiCache published an event, in its own words.
    ElasticacheEvent {
        /// The source: a replication group or a node.
        source: String,
        /// Its message.
        message: String,
    },
    /// A failover of a replication group was asked for, though its primary lives.
    CacheFailoverRequested {
        /// The group.
        group: ReplicationGroupId,
    },
    /// A failover of a replication group was decided; the old primary is fenced.
    CacheFailoverStarted {
        /// The group.
        group: ReplicationGroupId,
        /// The primary that is given up.
        from: InstanceId,
    },
    /// A replica became the primary; the primary endpoint points to it.
    CachePrimaryPromoted {
        /// The group.
        group: ReplicationGroupId,
        /// The node.
        instance: InstanceId,
        /// Its replication offset, bytes.
        offset: u64,
    },
    /// A node's replication from the primary began or broke.
    CacheReplicaLinkChanged {
        /// The group.
        group: ReplicationGroupId,
        /// The node.
        instance: InstanceId,
        /// Whether it replicates.
        up: bool,
    },
    /// A node was lost and is being recovered, or has been: ElastiCache tells of both.
    CacheNodeRecoveryChanged {
        /// The group.
        group: ReplicationGroupId,
        /// The node.
        instance: InstanceId,
        /// Whether it is being recovered.
        recovering: bool,
    },
    /// A reboot of a node was asked for, or is over.
    CacheNodeRebootChanged {
        /// The group.
        group: ReplicationGroupId,
        /// The node.
        instance: InstanceId,
        /// Whether it reboots.
        rebooting: bool,
    },
    /// A replica is to go, with its data.
    CacheNodeLeaving {
        /// The group.
        group: ReplicationGroupId,
        /// The node.
        instance: InstanceId,
    },
    /// A primary that was given up runs again as a replica; its interface is open again.
    CacheNodeJoined {
        /// The group.
        group: ReplicationGroupId,
        /// The node.
        instance: InstanceId,
    },

    /// A target's health, as one load balancer node sees it, changed.
    TargetHealthChanged {
        /// The target group.
        target_group: TargetGroupId,
        /// The target.
        instance: InstanceId,
        /// The zone of the node that sees it.
        node: ZoneId,
        /// The new state.
        state: TargetHealth,
        /// AWS's reason code, `Target.Timeout`; empty when healthy.
        reason: String,
        /// AWS's description of it, with what was met; empty when healthy.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        description: String,
    },
    /// A load balancer's node answers, or no longer does.
    LoadBalancerNodeChanged {
        /// The load balancer.
        load_balancer: LoadBalancerId,
        /// The node's zone.
        zone: ZoneId,
        /// Whether it answers.
        alive: bool,
    },
    /// A Route 53 health check changed its mind.
    HealthCheckStatusChanged {
        /// The health check.
        health_check: HealthCheckId,
        /// Its status.
        healthy: bool,
        /// What it met.
        why: String,
    },

    /// A fault was injected. Recorded for the reader; the control plane's machines do not see it.
    FaultInjected {
        /// Its identifier.
        fault: FaultId,
        /// Its kind, `zone-power`.
        fault_kind: String,
        /// What it was aimed at.
        target: String,
        /// What it hits, one line each.
        consequences: Vec<String>,
        /// The experiment's action that it is part of; none if somebody asked for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<ActionOf>,
    },
    /// A fault was healed.
    FaultHealed {
        /// Its identifier.
        fault: FaultId,
    },
    /// An experiment of Fault Injection Service was asked for. Its targets are resolved.
    ExperimentStarted {
        /// The experiment.
        experiment: ExperimentId,
        /// What it is made of.
        blueprint: Box<Blueprint>,
    },
    /// An experiment's status changed.
    ExperimentStatusChanged {
        /// The experiment.
        experiment: ExperimentId,
        /// The new status.
        status: ExperimentStatus,
        /// Why, if anything is to be said about that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The status of an experiment's action changed.
    ExperimentActionStatusChanged {
        /// The action.
        of: ActionOf,
        /// The new status.
        status: ActionStatus,
        /// Why, if anything is to be said about that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A load balancer is kept away from a zone.
    ZonalShiftStarted {
        /// The zonal shift.
        shift: ZonalShiftId,
        /// The load balancer.
        load_balancer: LoadBalancerId,
        /// Its region.
        region: RegionId,
        /// The zone.
        away_from: ZoneId,
        /// When it began, as whoever asked for it was told.
        started: Time,
        /// When it ends by itself.
        expires: Time,
        /// For people.
        comment: String,
        /// The experiment's action that it is part of; none if somebody asked for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<ActionOf>,
    },
    /// A zonal shift ends at another time, or has another comment.
    ZonalShiftUpdated {
        /// The zonal shift.
        shift: ZonalShiftId,
        /// The load balancer.
        load_balancer: LoadBalancerId,
        /// When it ends by itself.
        expires: Time,
        /// For people.
        comment: String,
    },
    /// A zonal shift is over.
    ZonalShiftEnded {
        /// The zonal shift.
        shift: ZonalShiftId,
        /// The load balancer.
        load_balancer: LoadBalancerId,
        /// How.
        status: ZonalShiftStatus,
    },

    /// A network ACL was made, or has other entries.
    NetworkAclChanged {
        /// The network ACL.
        acl: NetworkAclId,
        /// The region of its VPC.
        region: RegionId,
        /// Whether it is the VPC's default one.
        default: bool,
        /// All of its entries from now on, by direction and number.
        entries: Vec<NetworkAclEntry>,
        /// The token with which it was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_token: Option<String>,
    },
    /// A zone's subnet has another network ACL.
    NetworkAclAssociated {
        /// The zone.
        zone: ZoneId,
        /// Its region.
        region: RegionId,
        /// The association's identifier.
        association: String,
        /// The network ACL.
        acl: NetworkAclId,
    },
    /// A security group was made, or has other rules.
    SecurityGroupChanged {
        /// The security group.
        group: SecurityGroupId,
        /// The region of its VPC.
        region: RegionId,
        /// Its name; `default` is the VPC's own.
        name: String,
        /// Its description.
        description: String,
        /// All of its rules from now on.
        rules: Vec<SecurityGroupRule>,
    },
    /// A member has other security groups.
    SecurityGroupsGiven {
        /// Who.
        member: Guarded,
        /// Its region.
        region: RegionId,
        /// All that it has from now on.
        groups: Vec<SecurityGroupId>,
    },
    /// An alarm of CloudWatch is in another state, or in the same for another reason.
    AlarmStateChanged {
        /// The alarm.
        alarm: AlarmId,
        /// Its region.
        region: RegionId,
        /// The state, and why.
        finding: Finding,
    },
    /// Something that the control plane ordered failed; it will decide anew.
    ActionFailed {
        /// What was ordered.
        action: String,
        /// Why it failed.
        why: String,
        /// How many times in a row, this one included. Told are the first and, of a start, one that makes it look hopeless.
        #[serde(default = "once")]
        times: u32,
    },
    /// A drill began.
    DrillStarted {
        /// Its name.
        drill: String,
    },
    /// A drill ended.
    DrillEnded {
        /// Its name.
        drill: String,
        /// `held`, `broken` or `unknown`.
        verdict: String,
    },
}

/// What timelines say that do not count failures.
fn once() -> u32 {
    1
}

/// What can be asked of a DB instance (aws-behaviour §1.1, "Reboot rules").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DbRequest {
    /// That its server starts anew where it is.
    Reboot,
    /// That its standby takes over.
    Failover,
    /// That it stops; its data stay.
    Stop,
    /// That it is started again.
    Start,
    /// That its master user has the password that is kept from now on.
    ResetMasterCredentials,
    /// That it has a standby from now on: one is planned already.
    ConvertToMultiAz,
    /// That it has none any more.
    ConvertToSingleAz,
    /// That a read replica follows nobody any more and is a DB instance of its own.
    Promote,
}

impl DbRequest {
    /// Whether its servers end or change places for it: then a failover is as much as was asked for.
    pub fn restarts(self) -> bool {
        match self {
            Self::Reboot | Self::Failover | Self::Stop | Self::Start => true,
            Self::ResetMasterCredentials
            | Self::ConvertToMultiAz
            | Self::ConvertToSingleAz
            | Self::Promote => false,
        }
    }

    /// The status while it is under way.
    pub fn status(self) -> DbInstanceStatus {
        match self {
            Self::Reboot | Self::Failover => DbInstanceStatus::Rebooting,
            Self::Stop => DbInstanceStatus::Stopping,
            Self::Start => DbInstanceStatus::Starting,
            Self::ResetMasterCredentials => DbInstanceStatus::ResettingMasterCredentials,
            Self::ConvertToMultiAz | Self::ConvertToSingleAz | Self::Promote => {
                DbInstanceStatus::Modifying
            }
        }
    }
}

/// A DB instance's status, in RDS's words (aws-behaviour §1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DbInstanceStatus {
    /// Being made.
    Creating,
    /// Ready.
    Available,
    /// Restarting, or failing over by request.
    Rebooting,
    /// Settings are being changed.
    Modifying,
    /// Its master user is getting another password.
    ResettingMasterCredentials,
    /// Being stopped; its data stay.
    Stopping,
    /// Stopped.
    Stopped,
    /// Being started again.
    Starting,
    /// Being deleted, with its data.
    Deleting,
    /// It can not be reached and nothing can be done about it for the moment.
    Failed,
}

/// A read replica's replication status, in RDS's words (aws-behaviour §1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplicationStatus {
    /// Being made.
    Creating,
    /// It streams.
    Replicating,
    /// It answers and does not stream.
    ReplicationDegraded,
    /// It does not answer.
    Error,
}

/// A replication group's status, in ElastiCache's words (aws-behaviour §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplicationGroupStatus {
    /// Being made.
    Creating,
    /// Ready.
    Available,
    /// A failover or a replacement goes on.
    Modifying,
    /// Being deleted, with its data.
    Deleting,
}

/// A target's health state, in Elastic Load Balancing's words (aws-behaviour §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetHealth {
    /// Not yet checked.
    Initial,
    /// Passes its checks.
    Healthy,
    /// Fails its checks.
    Unhealthy,
}
