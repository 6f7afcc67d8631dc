//! Calls that actions in effect refuse. Nothing is injected for it: it follows from the experiment's state, and ends with it.
//!
//! Refused are calls that are made with one of the target's roles (aws-behaviour §9.2), and of these the share that was asked for.

use serde_json::Value;
use topologies::experiment::{ActionOf, ActionStatus, Experiment};
use topologies::id::{ExperimentId, ZoneId};
use wire::{Call, Fault};

use super::check::role;
use super::effects::{effect, resources};
use super::meaning::{ApiError, Effect, Refused};
use crate::aws::{View, ec2, ids};

/// The error that a call gets in place of its answer; none if nothing refuses it.
pub(in crate::aws) fn refusal(view: &View<'_>, call: &Call<'_>, input: &Value) -> Option<Fault> {
    // FIS makes calls of EC2 fail, and of no other service that is served here.
    if call.service().name() != "ec2" {
        return None;
    }
    let mut live = view.world.account.experiments.live();
    live.find_map(|(id, experiment)| of_experiment(view, call, input, (id, experiment)))
}

fn of_experiment(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
    (id, experiment): (&ExperimentId, &Experiment),
) -> Option<Fault> {
    if experiment.blueprint.region.as_str() != view.region {
        return None;
    }
    let actions = experiment.actions.iter();
    let mut running = actions.filter(|(_, it)| it.status == ActionStatus::Running);
    running.find_map(|(name, _)| {
        let Ok(Effect::Refuse(refused)) = effect(experiment, name) else {
            return None;
        };
        let of = ActionOf {
            experiment: id.clone(),
            action: name.clone(),
        };
        let meant = refused.operations.iter().any(|it| it == call.operation())
            && with_role(view, resources(experiment, name))
            && is_drawn(view, &of, refused.percentage);
        let zones = match refused.error {
            ApiError::InsufficientCapacity => in_zones(view, call.operation(), input, &refused)?,
            ApiError::Internal | ApiError::Throttle | ApiError::Unavailable => Vec::new(),
        };
        meant.then(|| error(call, &refused, &zones))
    })
}

/// Whether the caller's credentials are those of one of these roles.
fn with_role(view: &View<'_>, roles: &[String]) -> bool {
    let mut names = roles.iter().filter_map(|arn| role(arn, view.account).ok());
    let caller = view.caller.arn.split_once(":assumed-role/");
    let name = caller.and_then(|(_, rest)| rest.split('/').next());
    name.is_some_and(|name| names.any(|it| it == name))
}

/// Whether this call is one of the share that is refused: drawn anew for every call.
fn is_drawn(view: &View<'_>, of: &ActionOf, percentage: u8) -> bool {
    let drawn = view.draw(&format!("refusal {of}"), 8);
    let drawn = u32::from_str_radix(&drawn, 16).unwrap_or(0);
    drawn % 100 < u32::from(percentage)
}

/// Those of the zones without capacity in which the call would start something; none if there are none.
fn in_zones(
    view: &View<'_>,
    operation: &str,
    input: &Value,
    refused: &Refused,
) -> Option<Vec<ZoneId>> {
    let mut zones = ec2::starts_in(view, operation, input);
    zones.retain(|zone| {
        let id = ids::zone(zone);
        let mut named = refused.zones.iter();
        named.any(|it| it == zone.as_str() || *it == id)
    });
    (!zones.is_empty()).then_some(zones)
}

/// EC2's "Error codes for the Amazon EC2 API", server errors.
fn error(call: &Call<'_>, refused: &Refused, zones: &[ZoneId]) -> Fault {
    match refused.error {
        ApiError::Throttle => call.throttled(),
        ApiError::Unavailable => call.unavailable(),
        ApiError::Internal => Fault::receiver("InternalError", "An internal error has occurred"),
        ApiError::InsufficientCapacity => {
            let zones: Vec<&str> = zones.iter().map(ZoneId::as_str).collect();
            let text = format!(
                "We currently do not have sufficient capacity in the Availability Zone you requested ({}).",
                zones.join(", ")
            );
            Fault::receiver("InsufficientInstanceCapacity", text)
        }
    }
}
