//! What an action with its parameters asks for (aws-behaviour §9.2).

use std::collections::BTreeMap;
use std::time::Duration;

use super::catalogue::{self, Action, ZONE, ZONES};
use super::duration;
use crate::aws::services;

/// The shortest and the longest duration of an action (aws-behaviour §9.1: PT1M … PT12H).
const DURATIONS: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(12 * 60 * 60));

/// What an action asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    /// How long its effect lasts; zero if it has none that lasts.
    pub(super) lasts: Duration,
    pub(super) effect: Effect,
}

/// What an action does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Wait,
    StopInstances {
        /// Whether it completes though instances were terminated meanwhile.
        tolerant: bool,
    },
    RebootInstances,
    TerminateInstances,
    RebootDbInstances {
        force_failover: bool,
    },
    /// ElastiCache's nodes in the zone of the target.
    InterruptCacheZone,
    DisruptConnectivity(Scope),
    /// Load balancers are kept away from a zone.
    ShiftZone {
        /// By name or identifier.
        zone: String,
        /// Whether ALBs are.
        application: bool,
        /// Whether NLBs are.
        network: bool,
    },
    /// Calls of roles are refused.
    Refuse(Refused),
}

/// From what a subnet is cut off. Within it traffic goes on (aws-behaviour §9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything.
    All,
    /// The subnets of other zones of its VPC.
    AvailabilityZone,
}

/// Which calls are refused, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) error: ApiError,
    pub(super) operations: Vec<String>,
    /// The share of them.
    pub(super) percentage: u8,
    /// Only those that would start something in one of these zones, by name or identifier; all if there are none.
    pub(super) zones: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApiError {
    Internal,
    Throttle,
    Unavailable,
    InsufficientCapacity,
}

/// Calls that start instances and are built (aws-behaviour §9.2: RunInstances, CreateFleet, StartInstances, CreateCapacityReservation).
const STARTING: &[&str] = &["RunInstances", "StartInstances"];

/// The scopes that AWS has and this network can not express: it has no endpoints of other services to be cut off from, and its control
/// plane looks at hosts from outside of the VPC, as clients do.
const NO_SCOPES: &[&str] = &["vpc", "dynamodb", "s3", "s3express", "prefix-list"];

/// What an action with these parameters asks for.
///
/// # Errors
/// Why it asks for nothing that is built, for its author.
pub(super) fn meaning(id: &str, parameters: &BTreeMap<String, String>) -> Result<Meaning, String> {
    let action = catalogue::action(id).ok_or_else(|| {
        format!(
            "Action {id} is not built here; built are {}.",
            ids().join(", ")
        )
    })?;
    known(action, parameters)?;
    let get = |name: &str| parameters.get(name).map(String::as_str);
    let lasting = |effect| {
        let lasts = lasts("duration", get("duration").unwrap_or_default())?;
        Ok(Meaning { lasts, effect })
    };
    let at_once = |effect| {
        Ok(Meaning {
            lasts: Duration::ZERO,
            effect,
        })
    };
    match id {
        "aws:fis:wait" => lasting(Effect::Wait),
        "aws:ec2:reboot-instances" => at_once(Effect::RebootInstances),
        "aws:ec2:terminate-instances" => at_once(Effect::TerminateInstances),
        "aws:ec2:stop-instances" => {
            let name = "startInstancesAfterDuration";
            Ok(Meaning {
                lasts: get(name)
                    .map(|it| lasts(name, it))
                    .transpose()?
                    .unwrap_or_default(),
                effect: Effect::StopInstances {
                    tolerant: flag(parameters, "completeIfInstancesTerminated")?,
                },
            })
        }
        "aws:rds:reboot-db-instances" => at_once(Effect::RebootDbInstances {
            force_failover: flag(parameters, "forceFailover")?,
        }),
        "aws:elasticache:replicationgroup-interrupt-az-power" => {
            lasting(Effect::InterruptCacheZone)
        }
        "aws:network:disrupt-connectivity" => lasting(Effect::DisruptConnectivity(scope(
            get("scope").unwrap_or_default(),
        )?)),
        "aws:arc:start-zonal-autoshift" => lasting(zonal_shift(parameters)?),
        "aws:ec2:api-insufficient-instance-capacity-error" => lasting(Effect::Refuse(Refused {
            error: ApiError::InsufficientCapacity,
            operations: STARTING.iter().map(|it| (*it).to_owned()).collect(),
            percentage: percentage(get("percentage").unwrap_or_default())?,
            zones: list(get(ZONES).unwrap_or_default()),
        })),
        "aws:fis:inject-api-internal-error" => {
            lasting(Effect::Refuse(refused(ApiError::Internal, parameters)?))
        }
        "aws:fis:inject-api-throttle-error" => {
            lasting(Effect::Refuse(refused(ApiError::Throttle, parameters)?))
        }
        "aws:fis:inject-api-unavailable-error" => {
            lasting(Effect::Refuse(refused(ApiError::Unavailable, parameters)?))
        }
        other => Err(format!("Action {other} is not built here.")),
    }
}

fn ids() -> Vec<&'static str> {
    catalogue::ACTIONS.iter().map(|it| it.id).collect()
}

fn known(action: &Action, parameters: &BTreeMap<String, String>) -> Result<(), String> {
    let names = || action.parameters.iter().map(|it| it.name);
    if let Some(strange) = parameters
        .keys()
        .find(|it| !names().any(|name| name == **it))
    {
        let id = action.id;
        return Err(format!("Unexpected parameter {strange} in action {id}."));
    }
    let mut required = action.parameters.iter().filter(|it| it.required);
    match required.find(|it| !parameters.contains_key(it.name)) {
        Some(missing) => {
            let (name, id) = (missing.name, action.id);
            Err(format!("Action {id} requires the parameter {name}."))
        }
        None => Ok(()),
    }
}

fn lasts(name: &str, text: &str) -> Result<Duration, String> {
    let (least, most) = DURATIONS;
    let parsed = duration::parse(text).filter(|it| (least..=most).contains(it));
    parsed.ok_or_else(|| format!("The parameter {name} must be PT1M to PT12H, not {text}."))
}

fn flag(parameters: &BTreeMap<String, String>, name: &str) -> Result<bool, String> {
    match parameters.get(name).map(String::as_str) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(format!(
            "The parameter {name} must be true or false, not {other}."
        )),
    }
}

fn percentage(text: &str) -> Result<u8, String> {
    let parsed = text.parse().ok().filter(|it| (1..=100).contains(it));
    parsed.ok_or_else(|| format!("The parameter percentage must be 1 to 100, not {text}."))
}

fn scope(text: &str) -> Result<Scope, String> {
    match text {
        "all" => Ok(Scope::All),
        "availability-zone" => Ok(Scope::AvailabilityZone),
        other if NO_SCOPES.contains(&other) => Err(format!(
            "The scope {other} is not built here; built are all and availability-zone."
        )),
        other => Err(format!("The parameter scope can not be {other}.")),
    }
}

/// Nothing has autoshift on here, for there are no practice runs: an action that wants it would find nothing, ever.
fn zonal_shift(parameters: &BTreeMap<String, String>) -> Result<Effect, String> {
    let get = |name: &str| parameters.get(name).map(String::as_str);
    match get("zonalAutoshiftStatus").unwrap_or("ENABLED") {
        "DISABLED" | "ANY" => {}
        "ENABLED" => {
            return Err(
                "Zonal autoshift is not built here: the parameter zonalAutoshiftStatus must be DISABLED or ANY."
                    .to_owned(),
            );
        }
        other => {
            return Err(format!(
                "The parameter zonalAutoshiftStatus must be ENABLED, DISABLED or ANY, not {other}."
            ));
        }
    }
    let types = list(get("managedResourceTypes").unwrap_or_default());
    let known = ["ASG", "ALB", "NLB", "EKS"];
    if let Some(strange) = types.iter().find(|it| !known.contains(&it.as_str())) {
        return Err(format!(
            "The parameter managedResourceTypes can not have {strange}."
        ));
    }
    let has = |name: &str| types.iter().any(|it| it == name);
    let (application, network) = (has("ALB"), has("NLB"));
    if !application && !network {
        return Err(
            "Of managedResourceTypes, ALB and NLB are built here; one is needed.".to_owned(),
        );
    }
    Ok(Effect::ShiftZone {
        zone: get(ZONE).unwrap_or_default().to_owned(),
        application,
        network,
    })
}

fn refused(error: ApiError, parameters: &BTreeMap<String, String>) -> Result<Refused, String> {
    let get = |name: &str| parameters.get(name).map_or("", String::as_str);
    // The only other that FIS takes is kinesis, which is not served here.
    let service = get("service");
    if service != "ec2" {
        return Err(format!(
            "Calls of the service {service} can not be made to fail; those of ec2 can."
        ));
    }
    let operations = list(get("operations"));
    let built = |it: &&String| services::handler(service, it).is_some();
    if let Some(strange) = operations.iter().find(|it| !built(it)) {
        return Err(format!(
            "The service ec2 has no operation {strange} that is built here."
        ));
    }
    if operations.is_empty() {
        return Err("The parameter operations must name an operation.".to_owned());
    }
    Ok(Refused {
        error,
        operations,
        percentage: percentage(get("percentage"))?,
        zones: Vec::new(),
    })
}

/// What has commas between.
pub(super) fn list(text: &str) -> Vec<String> {
    let items = text.split(',').map(str::trim).filter(|it| !it.is_empty());
    items.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, parameters: &[(&str, &str)]) -> Result<Meaning, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        meaning(id, &parameters.iter().map(owned).collect())
    }

    fn lasting(seconds: u64, effect: Effect) -> Result<Meaning, String> {
        let lasts = Duration::from_secs(seconds);
        Ok(Meaning { lasts, effect })
    }

    #[test]
    fn s9_2_actions_mean_what_their_parameters_say() {
        let minute = ("duration", "PT1M");
        assert_eq!(check("aws:fis:wait", &[minute]), lasting(60, Effect::Wait));
        let stop = |tolerant| Effect::StopInstances { tolerant };
        assert_eq!(
            check("aws:ec2:stop-instances", &[]),
            lasting(0, stop(false))
        );
        let back = [
            ("startInstancesAfterDuration", "PT12H"),
            ("completeIfInstancesTerminated", "true"),
        ];
        assert_eq!(
            check("aws:ec2:stop-instances", &back),
            lasting(43_200, stop(true))
        );
        let force = [("forceFailover", "true")];
        let failover = Effect::RebootDbInstances {
            force_failover: true,
        };
        assert_eq!(
            check("aws:rds:reboot-db-instances", &force),
            lasting(0, failover)
        );
        let refused = Refused {
            error: ApiError::Throttle,
            operations: vec!["RunInstances".to_owned(), "StopInstances".to_owned()],
            percentage: 50,
            zones: Vec::new(),
        };
        let throttled = [
            minute,
            ("service", "ec2"),
            ("operations", "RunInstances, StopInstances"),
            ("percentage", "50"),
        ];
        assert_eq!(
            check("aws:fis:inject-api-throttle-error", &throttled),
            lasting(60, Effect::Refuse(refused))
        );
    }

    #[test]
    fn s9_2_what_is_not_built_is_refused_by_its_name() {
        let minute = ("duration", "PT1M");
        let calls = |service, operations| {
            [
                minute,
                ("service", service),
                ("operations", operations),
                ("percentage", "100"),
            ]
        };
        let scope = |scope| [minute, ("scope", scope)];
        let shift = |types, status| {
            [
                minute,
                (ZONE, "use1-az1"),
                ("managedResourceTypes", types),
                ("zonalAutoshiftStatus", status),
            ]
        };
        let autoshift = "aws:arc:start-zonal-autoshift";
        let internal = "aws:fis:inject-api-internal-error";
        let network = "aws:network:disrupt-connectivity";
        for (id, parameters, said) in [
            (
                "aws:ebs:pause-volume-io",
                &[minute][..],
                "aws:ebs:pause-volume-io is not built",
            ),
            (
                "aws:rds:failover-db-cluster",
                &[],
                "aws:rds:failover-db-cluster is not built",
            ),
            ("aws:fis:wait", &[], "requires the parameter duration"),
            (
                "aws:fis:wait",
                &[("duration", "PT59S")],
                "PT1M to PT12H, not PT59S",
            ),
            ("aws:fis:wait", &[("duration", "PT12H1S")], "PT1M to PT12H"),
            (
                "aws:ec2:reboot-instances",
                &[minute],
                "Unexpected parameter duration",
            ),
            (network, &scope("vpc"), "The scope vpc is not built"),
            (
                autoshift,
                &shift("ALB", "ENABLED"),
                "Zonal autoshift is not built",
            ),
            (autoshift, &shift("ALB", "SOME"), "not SOME"),
            (autoshift, &shift("EKS,ASG", "ANY"), "ALB and NLB are built"),
            (autoshift, &shift("ALB,TGW", "ANY"), "can not have TGW"),
            (network, &scope("world"), "scope can not be world"),
            (
                internal,
                &calls("kinesis", "PutRecord"),
                "the service kinesis",
            ),
            (
                internal,
                &calls("ec2", "RunInstance"),
                "no operation RunInstance",
            ),
            (internal, &calls("ec2", " , "), "must name an operation"),
        ] {
            let why = check(id, parameters).unwrap_err();
            assert!(why.contains(said), "{id}: {why}");
        }
    }

    #[test]
    fn everything_in_the_catalogue_means_something() {
        for action in catalogue::ACTIONS {
            let values = [
                ("duration", "PT1M"),
                ("scope", "all"),
                ("service", "ec2"),
                ("operations", "RunInstances"),
                ("percentage", "100"),
                (ZONES, "use1-az1"),
                (ZONE, "use1-az1"),
                ("managedResourceTypes", "ALB,NLB"),
                ("zonalAutoshiftStatus", "ANY"),
            ];
            let asked = values.into_iter().filter(|(name, _)| {
                let mut own = action.parameters.iter();
                own.any(|it| it.name == *name)
            });
            let asked: Vec<_> = asked.collect();
            check(action.id, &asked).unwrap();
        }
    }
}
