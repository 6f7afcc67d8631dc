//! Consequences as people read them.

use std::fmt;

use topologies::duration;
use topologies::id::InstanceId;

use super::{ApiHarm, Consequence, Loss};
use crate::fault::{ApiCalls, ZoneLoss};
use crate::presence::Role;

/// One line, as shown before the fault is injected.
impl fmt::Display for Consequence {
    #[expect(
        clippy::too_many_lines,
        reason = "a flat match with a sentence per variant"
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InstanceLost {
                instance,
                zone,
                how,
            } => write!(f, "instance {instance} in {zone} {how}"),
            Self::DbPrimaryLost {
                db,
                instance,
                standby: Some(standby),
                out_of_sync: true,
            } => write!(
                f,
                "DB instance {db} loses its primary {instance}; standby {standby} is out of sync and not promoted: no writes until the primary is back"
            ),
            Self::DbPrimaryLost {
                db,
                instance,
                standby: Some(standby),
                out_of_sync: false,
            } => write!(
                f,
                "DB instance {db} loses its primary {instance}; standby {standby} is left"
            ),
            Self::DbPrimaryLost {
                db,
                instance,
                standby: None,
                ..
            } => write!(
                f,
                "DB instance {db} loses its primary {instance} and has no standby left: no writes until it is back"
            ),
            Self::DbStandbyLost {
                db,
                instance,
                out_of_sync: true,
            } => {
                write!(
                    f,
                    "DB instance {db} loses its standby {instance}, which is out of sync: writes do not wait for it"
                )
            }
            Self::DbStandbyLost { db, instance, .. } => {
                write!(
                    f,
                    "DB instance {db} loses its standby {instance}: writes stall shortly"
                )
            }
            Self::DbReplicaLost { db, instance } => {
                write!(f, "read replica {db} loses its host {instance}")
            }
            Self::CachePrimaryLost {
                group,
                instance,
                replicas,
            } => {
                write!(
                    f,
                    "replication group {group} loses its primary {instance}; "
                )?;
                match replicas.len() {
                    0 => f.write_str("no replica is left: its data is gone"),
                    left => write!(
                        f,
                        "{left} left to promote, writes not yet replicated are gone"
                    ),
                }
            }
            Self::CacheReplicaLost { group, instance } => {
                write!(f, "replication group {group} loses its replica {instance}")
            }
            Self::LoadBalancerNodeLost {
                load_balancer,
                zone,
                left,
            } => write!(
                f,
                "load balancer {load_balancer} loses its node in {zone}; nodes left: {left}"
            ),
            Self::TargetsLost {
                target_group,
                lost,
                left,
            } => {
                let lost: Vec<&str> = lost.iter().map(InstanceId::as_str).collect();
                write!(
                    f,
                    "target group {target_group} loses {}; targets left: {left}",
                    lost.join(", ")
                )
            }
            Self::ViewLost { zone, mode } => match mode {
                ZoneLoss::Power => write!(f, "clients and resolver in {zone} are gone"),
                ZoneLoss::Network => write!(
                    f,
                    "clients and resolver in {zone} reach nothing outside of it"
                ),
            },
            Self::ReplicationImpaired {
                resource,
                primary,
                follower,
                role,
            } => {
                write!(
                    f,
                    "{resource}: replication from {primary} to {follower} passes this link"
                )?;
                match role {
                    Role::Standby => f.write_str("; writes wait for it"),
                    Role::Primary | Role::Replica | Role::Target | Role::Node => Ok(()),
                }
            }
            Self::PrimaryUnheard {
                resource,
                primary,
                successors,
            } => {
                write!(
                    f,
                    "{resource}: the control plane hears nothing of primary {primary} and takes it for lost; "
                )?;
                match successors.as_slice() {
                    [] => f.write_str("nobody can take over"),
                    [one] => write!(f, "{one} takes over"),
                    several => {
                        let several: Vec<&str> = several.iter().map(InstanceId::as_str).collect();
                        write!(f, "one of {} takes over", several.join(", "))
                    }
                }
            }
            Self::LinkCut { link } => write!(f, "packets {link} vanish"),
            Self::LinkSlow {
                link,
                latency,
                jitter,
            } if jitter.is_zero() => {
                write!(f, "packets {link} come {} late", duration::format(*latency))
            }
            Self::LinkSlow {
                link,
                latency,
                jitter,
            } => write!(
                f,
                "packets {link} come {} to {} late",
                duration::format(*latency),
                duration::format(latency.saturating_add(*jitter))
            ),
            Self::CallsSuffer { calls, how } => {
                match calls {
                    ApiCalls::All => f.write_str("calls of the AWS API ")?,
                    ApiCalls::Service(_) | ApiCalls::Operation(..) => {
                        write!(f, "calls of {calls} ")?
                    }
                }
                match how {
                    ApiHarm::Throttled(rate) => {
                        write!(f, "beyond {rate} a second are throttled")
                    }
                    ApiHarm::Slow(latency) => {
                        write!(f, "are answered {} late", duration::format(*latency))
                    }
                    ApiHarm::Unavailable => f.write_str("fail: the service is unavailable"),
                }?;
                f.write_str("; what runs goes on")
            }
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Killed => "is killed",
            Self::Stopped => "is stopped",
            Self::Frozen => "hangs",
            Self::CutOff => "is cut off",
        })
    }
}
