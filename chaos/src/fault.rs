//! A fault as a value: what is harmed, how it is named, whether it lasts, and what it does to hosts and to the network.
//!
//! A fault as written may name its target loosely; [`Fault::resolve`] makes it exact. Nothing is harmed here.

mod calls;
mod resolve;

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use topologies::duration;
use topologies::id::{InstanceId, ZoneId};
use topologies::network::{Link, Network};
use topologies::plan::Plan;
use topologies::runtime::Affliction;
use topologies::yaml::rate::{self, Rate};
use topologies::yaml::values::Period;

use crate::presence::Presence;
pub use calls::ApiCalls;

/// The place of clients that stand in no zone, as one end of a link.
pub const OUTSIDE: &str = "outside";

/// The longest delay that a link can be given; a client's timeouts end far below.
pub const LATENCY_MAX: Duration = Duration::from_secs(60);

/// Something that goes wrong.
///
/// Zones may be written in full, by their letter (`a`), or by role (`primary-of orders`, `standby-of orders`); instances in full
/// or by role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// A zone is lost.
    KillAz {
        /// The zone.
        #[schemars(with = "String")]
        zone: ZoneId,
        /// How.
        #[serde(default)]
        mode: ZoneLoss,
    },
    /// An instance's process gets SIGKILL; the control plane may start it again at once.
    Kill {
        /// The instance.
        #[schemars(with = "String")]
        instance: InstanceId,
    },
    /// An instance is stopped and kept from starting until healed.
    Stop {
        /// The instance.
        #[schemars(with = "String")]
        instance: InstanceId,
    },
    /// An instance's process hangs (SIGSTOP) until healed; its port still takes connections.
    Freeze {
        /// The instance.
        #[schemars(with = "String")]
        instance: InstanceId,
    },
    /// Packets between two zones vanish.
    Partition {
        /// One zone, or `outside`.
        #[schemars(with = "String")]
        from: ZoneId,
        /// The other zone, or `outside`.
        #[schemars(with = "String")]
        to: ZoneId,
        /// Whether packets vanish both ways.
        #[serde(default)]
        direction: Direction,
    },
    /// Packets between two zones, or within one, come late.
    Slow {
        /// One zone, or `outside`.
        #[schemars(with = "String")]
        from: ZoneId,
        /// The other zone, the same, or `outside`.
        #[schemars(with = "String")]
        to: ZoneId,
        /// Added to every delivery.
        #[serde(default, with = "duration::text")]
        #[schemars(with = "Period")]
        latency: Duration,
        /// A uniformly drawn share of this is added too.
        #[serde(default, with = "duration::text")]
        #[schemars(with = "Period")]
        jitter: Duration,
        /// Whether packets come late both ways.
        #[serde(default)]
        direction: Direction,
    },
    /// Calls of the AWS API beyond a rate are refused as AWS throttles them; what runs is not touched.
    ThrottleApi {
        /// Which calls; all if absent.
        #[serde(default, skip_serializing_if = "ApiCalls::all")]
        #[schemars(with = "String")]
        calls: ApiCalls,
        /// Calls a second that get through, and so many at once; 0 refuses all.
        #[serde(deserialize_with = "rate::number")]
        #[schemars(with = "Rate")]
        rate: u32,
    },
    /// Calls of the AWS API are answered late; what runs is not touched.
    SlowApi {
        /// Which calls; all if absent.
        #[serde(default, skip_serializing_if = "ApiCalls::all")]
        #[schemars(with = "String")]
        calls: ApiCalls,
        /// How much later.
        #[serde(with = "duration::text")]
        #[schemars(with = "Period")]
        latency: Duration,
    },
    /// Calls of the AWS API fail as while a service is unavailable; what runs is not touched.
    FailApi {
        /// Which calls; all if absent.
        #[serde(default, skip_serializing_if = "ApiCalls::all")]
        #[schemars(with = "String")]
        calls: ApiCalls,
    },
}

/// How a zone is lost. AWS FIS's scenario "AZ Availability: Power Interruption" is the first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ZoneLoss {
    /// Every process in it is gone, nothing starts there, its addresses do not answer.
    #[default]
    Power,
    /// Its processes run on but reach nothing outside of the zone, and nothing reaches them.
    Network,
}

/// Which packets of a pair of zones are meant.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Both.
    #[default]
    BothWays,
    /// Those from `from` to `to`.
    OneWay,
}

/// Why a fault can not be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// There is no such zone.
    #[error("zone `{zone}` does not exist{}; zones are {}", suggested(suggestion), zones.join(", "))]
    UnknownZone {
        /// As written.
        zone: String,
        /// What was probably meant.
        suggestion: Option<String>,
        /// Those that exist.
        zones: Vec<String>,
    },
    /// A letter fits zones of several regions.
    #[error("zone `{zone}` can be {}; write one in full", zones.join(" or "))]
    AmbiguousZone {
        /// As written.
        zone: String,
        /// Those that fit.
        zones: Vec<String>,
    },
    /// There is no such instance.
    #[error("instance `{instance}` does not exist{}", suggested(suggestion))]
    UnknownInstance {
        /// As written.
        instance: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// A selector names no DB instance or replication group.
    #[error(
        "DB instance or replication group `{resource}` does not exist{}",
        suggested(suggestion)
    )]
    UnknownResource {
        /// As written.
        resource: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// Nobody has the role that a selector asks for.
    #[error("`{resource}` has no {role} at present")]
    NobodyHasRole {
        /// The DB instance or replication group.
        resource: String,
        /// The role.
        role: &'static str,
    },
    /// A zone can not be parted from itself.
    #[error(
        "zone `{zone}` can not be parted from itself; `kill-az --mode network` cuts it off from all others"
    )]
    PartedFromItself {
        /// The zone.
        zone: String,
    },
    /// A link that is slowed by nothing.
    #[error("a slow link needs a latency or a jitter")]
    NotSlow,
    /// Calls that are slowed by nothing.
    #[error("a slow API needs a latency")]
    ApiNotSlow,
    /// A delay beyond [`LATENCY_MAX`].
    #[error("{what} {} is beyond {}", duration::format(*value), duration::format(LATENCY_MAX))]
    TooSlow {
        /// `latency` or `jitter`.
        what: &'static str,
        /// As written.
        value: Duration,
    },
}

fn suggested(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

impl Fault {
    /// The fault with every target in full, or everything that is wrong with it.
    pub fn resolve(&self, plan: &Plan, presence: &Presence) -> Result<Self, Vec<FaultError>> {
        let mut errors = Vec::new();
        let resolver = resolve::Resolver { plan, presence };
        let mut fault = self.clone();
        match &mut fault {
            Self::KillAz { zone, .. } => keep(resolver.zone(zone), &mut errors),
            Self::Kill { instance } | Self::Stop { instance } | Self::Freeze { instance } => {
                keep(resolver.instance(instance), &mut errors);
            }
            Self::Partition { from, to, .. } => {
                keep(resolver.place(from), &mut errors);
                keep(resolver.place(to), &mut errors);
                if from == to && errors.is_empty() {
                    let zone = from.to_string();
                    errors.push(FaultError::PartedFromItself { zone });
                }
            }
            Self::Slow {
                from,
                to,
                latency,
                jitter,
                ..
            } => {
                keep(resolver.place(from), &mut errors);
                keep(resolver.place(to), &mut errors);
                check_delay(*latency, *jitter, &mut errors);
            }
            Self::SlowApi { latency, .. } if latency.is_zero() => {
                errors.push(FaultError::ApiNotSlow);
            }
            Self::SlowApi { latency, .. } => check_limit("latency", *latency, &mut errors),
            // Whoever serves the API knows its services.
            Self::ThrottleApi { .. } | Self::FailApi { .. } => {}
        }
        if errors.is_empty() {
            Ok(fault)
        } else {
            Err(errors)
        }
    }

    /// The word for it in files and on the command line.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::KillAz { .. } => "kill-az",
            Self::Kill { .. } => "kill",
            Self::Stop { .. } => "stop",
            Self::Freeze { .. } => "freeze",
            Self::Partition { .. } => "partition",
            Self::Slow { .. } => "slow",
            Self::ThrottleApi { .. } => "throttle-api",
            Self::SlowApi { .. } => "slow-api",
            Self::FailApi { .. } => "fail-api",
        }
    }

    /// What it is aimed at: a zone, an instance, a link, or calls.
    pub fn target(&self) -> String {
        match self {
            Self::KillAz { zone, .. } => zone.to_string(),
            Self::Kill { instance } | Self::Stop { instance } | Self::Freeze { instance } => {
                instance.to_string()
            }
            Self::Partition {
                from,
                to,
                direction,
            }
            | Self::Slow {
                from,
                to,
                direction,
                ..
            } => format!("{from} {} {to}", direction.arrow()),
            Self::ThrottleApi { calls, .. }
            | Self::SlowApi { calls, .. }
            | Self::FailApi { calls } => calls.to_string(),
        }
    }

    /// The calls of the AWS API that it is about; none if it is about what runs.
    pub fn calls(&self) -> Option<&ApiCalls> {
        match self {
            Self::ThrottleApi { calls, .. }
            | Self::SlowApi { calls, .. }
            | Self::FailApi { calls } => Some(calls),
            Self::KillAz { .. }
            | Self::Kill { .. }
            | Self::Stop { .. }
            | Self::Freeze { .. }
            | Self::Partition { .. }
            | Self::Slow { .. } => None,
        }
    }

    /// Whether it stays in force until healed; a kill is over when it is done.
    pub fn lasting(&self) -> bool {
        !matches!(self, Self::Kill { .. })
    }

    /// What it does to a host or a zone's hosts, if anything.
    pub fn affliction(&self) -> Option<Affliction> {
        match self {
            Self::KillAz { zone, mode } => Some(match mode {
                ZoneLoss::Power => Affliction::PowerLoss(zone.clone()),
                ZoneLoss::Network => Affliction::Isolation(zone.clone()),
            }),
            Self::Kill { instance } => Some(Affliction::Kill(instance.clone())),
            Self::Stop { instance } => Some(Affliction::Stop(instance.clone())),
            Self::Freeze { instance } => Some(Affliction::Freeze(instance.clone())),
            Self::Partition { .. }
            | Self::Slow { .. }
            | Self::ThrottleApi { .. }
            | Self::SlowApi { .. }
            | Self::FailApi { .. } => None,
        }
    }

    /// Adds what it does to the network, on top of what other faults do.
    pub(crate) fn impair(&self, network: &mut Network, plan: &Plan) {
        match self {
            Self::KillAz { zone, mode } => {
                let zones = match mode {
                    ZoneLoss::Power => &mut network.dark,
                    ZoneLoss::Network => &mut network.isolated,
                };
                zones.insert(plan.zone_number(zone));
            }
            Self::Kill { .. }
            | Self::Stop { .. }
            | Self::Freeze { .. }
            | Self::ThrottleApi { .. }
            | Self::SlowApi { .. }
            | Self::FailApi { .. } => (),
            Self::Partition {
                from,
                to,
                direction,
            } => direction.links(from, to, network, plan, |link| link.cut = true),
            Self::Slow {
                from,
                to,
                latency,
                jitter,
                direction,
            } => direction.links(from, to, network, plan, |link| {
                link.latency = link.latency.saturating_add(*latency);
                link.jitter = link.jitter.saturating_add(*jitter);
            }),
        }
    }
}

impl Direction {
    fn arrow(self) -> &'static str {
        match self {
            Self::BothWays => "<->",
            Self::OneWay => "->",
        }
    }

    fn links(
        self,
        from: &ZoneId,
        to: &ZoneId,
        network: &mut Network,
        plan: &Plan,
        harm: impl Fn(&mut Link),
    ) {
        let (from, to) = (plan.zone_number(from), plan.zone_number(to));
        harm(network.links.entry((from, to)).or_default());
        if self == Self::BothWays && from != to {
            harm(network.links.entry((to, from)).or_default());
        }
    }
}

/// One line: `zone ap-northeast-2a loses power`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillAz { zone, mode } => match mode {
                ZoneLoss::Power => write!(f, "zone {zone} loses power"),
                ZoneLoss::Network => write!(f, "zone {zone} is cut off from the network"),
            },
            Self::Kill { instance } => write!(f, "instance {instance} is killed"),
            Self::Stop { instance } => write!(f, "instance {instance} is stopped"),
            Self::Freeze { instance } => write!(f, "instance {instance} is frozen"),
            Self::Partition { .. } => write!(f, "link {} is cut", self.target()),
            Self::Slow {
                latency, jitter, ..
            } => {
                let latency = duration::format(*latency);
                write!(f, "link {} is slowed by {latency}", self.target())?;
                if !jitter.is_zero() {
                    write!(f, " and up to {} more", duration::format(*jitter))?;
                }
                Ok(())
            }
            Self::ThrottleApi { calls, rate } => {
                write!(f, "AWS API, {calls}: throttled to {rate} calls a second")
            }
            Self::SlowApi { calls, latency } => {
                let latency = duration::format(*latency);
                write!(f, "AWS API, {calls}: answered {latency} late")
            }
            Self::FailApi { calls } => write!(f, "AWS API, {calls}: unavailable"),
        }
    }
}

fn keep(result: Result<(), FaultError>, errors: &mut Vec<FaultError>) {
    errors.extend(result.err());
}

fn check_delay(latency: Duration, jitter: Duration, errors: &mut Vec<FaultError>) {
    if latency.is_zero() && jitter.is_zero() {
        errors.push(FaultError::NotSlow);
    }
    check_limit("latency", latency, errors);
    check_limit("jitter", jitter, errors);
}

fn check_limit(what: &'static str, value: Duration, errors: &mut Vec<FaultError>) {
    if value > LATENCY_MAX {
        errors.push(FaultError::TooSlow { what, value });
    }
}

#[cfg(test)]
mod tests;
