//! How an action begins and ends: calls of the AWS API, which the driver decides as everybody else's, and faults.
//!
//! Beginning twice is as beginning once: a daemon may die in between.

use std::time::Duration;

use chaos::fault::{Direction, Fault, ZoneLoss};
use serde_json::{Value, json};
use topologies::event::EventKind;
use topologies::experiment::{ActionOf, ActionStatus, Experiment, ExperimentStatus};
use topologies::id::{InstanceId, ZoneId};
use topologies::topology::{LoadBalancer, LoadBalancerType};
use topologies::world::{Wanted, World};
use topologies::zonal_shift::{ZonalShift, ZonalShiftStatus};
use wire::Catalog;

use super::catalogue::ZONE;
use super::meaning::{Effect, Scope, meaning};
use super::targets::zone;
use crate::aws::input::text;
use crate::aws::{Change, Handler, View, arc_zonal_shift, elbv2, ids, services};

/// What has to happen for an action to be in effect.
#[derive(Default)]
pub(in crate::aws) struct Begun {
    /// At once.
    pub(in crate::aws) changes: Vec<Change>,
    /// These have to be in force.
    pub(in crate::aws) faults: Vec<Fault>,
}

/// What has to happen for an action to be in effect.
///
/// # Errors
/// Why it can not be: then nothing of it happens.
pub(in crate::aws) fn begin(
    view: &View<'_>,
    of: &ActionOf,
    experiment: &Experiment,
) -> Result<Begun, String> {
    let calls = |changes| Begun {
        changes,
        faults: Vec::new(),
    };
    let faults = |faults| Begun {
        changes: Vec::new(),
        faults,
    };
    let resources = resources(experiment, &of.action);
    let ids = || json!({ "InstanceIds": resources.iter().map(|it| last(it)).collect::<Vec<_>>() });
    match effect(experiment, &of.action)? {
        Effect::Wait | Effect::Refuse(_) => Ok(Begun::default()),
        Effect::StopInstances { .. } => Ok(calls(call(view, "ec2", "StopInstances", &ids())?)),
        Effect::RebootInstances => Ok(calls(call(view, "ec2", "RebootInstances", &ids())?)),
        Effect::TerminateInstances => Ok(calls(call(view, "ec2", "TerminateInstances", &ids())?)),
        Effect::RebootDbInstances { force_failover } => {
            let mut changes = Vec::new();
            for arn in resources {
                let mut input = json!({ "DBInstanceIdentifier": arn });
                if force_failover {
                    input["ForceFailover"] = true.into();
                }
                changes.extend(call(view, "rds", "RebootDBInstance", &input)?);
            }
            Ok(calls(changes))
        }
        Effect::InterruptCacheZone => Ok(faults(cache_zone(view, experiment, of)?)),
        Effect::DisruptConnectivity(scope) => Ok(faults(disruption(view, resources, scope)?)),
        Effect::ShiftZone {
            zone,
            application,
            network,
        } => {
            let meant = |lb: &LoadBalancer| match lb.kind {
                LoadBalancerType::Application => application,
                LoadBalancerType::Network => network,
            };
            Ok(calls(shift(view, of, experiment, (&zone, &meant))?))
        }
    }
}

/// What has to happen for an action to be in effect no more, besides that its faults are healed, and what of it can not be.
pub(in crate::aws) fn end(
    world: &World,
    of: &ActionOf,
    experiment: &Experiment,
) -> (Vec<EventKind>, Option<String>) {
    let action = of.action.as_str();
    match effect(experiment, action) {
        Ok(Effect::StopInstances { tolerant }) if !lasts(experiment, action).is_zero() => {
            restart(world, resources(experiment, action), tolerant)
        }
        Ok(Effect::ShiftZone { .. }) => (unshift(world, of), None),
        Ok(
            Effect::StopInstances { .. }
            | Effect::Wait
            | Effect::Refuse(_)
            | Effect::RebootInstances
            | Effect::TerminateInstances
            | Effect::RebootDbInstances { .. }
            | Effect::InterruptCacheZone
            | Effect::DisruptConnectivity(_),
        ) => (Vec::new(), None),
        Err(why) => (Vec::new(), Some(why)),
    }
}

/// What becomes of experiments when the stack is taken down: faults are healed by whoever does that.
pub(crate) fn abandoned(world: &World) -> Vec<EventKind> {
    let why = || Some("The stack was taken down.".to_owned());
    let mut events = Vec::new();
    for (id, experiment) in world.account.experiments.live() {
        for (name, progress) in &experiment.actions {
            if progress.status.is_over() {
                continue;
            }
            let status = if progress.status == ActionStatus::Pending {
                ActionStatus::Cancelled
            } else {
                ActionStatus::Stopped
            };
            let of = ActionOf {
                experiment: id.clone(),
                action: name.clone(),
            };
            if status == ActionStatus::Stopped {
                events.extend(end(world, &of, experiment).0);
            }
            events.push(EventKind::ExperimentActionStatusChanged {
                of,
                status,
                reason: why(),
            });
        }
        events.push(EventKind::ExperimentStatusChanged {
            experiment: id.clone(),
            status: ExperimentStatus::Stopped,
            reason: why(),
        });
    }
    events
}

pub(super) fn effect(experiment: &Experiment, action: &str) -> Result<Effect, String> {
    let blueprint = experiment.blueprint.actions.get(action);
    let blueprint = blueprint.ok_or_else(|| format!("There is no action {action}."))?;
    let meaning = meaning(&blueprint.action_id, &blueprint.parameters)?;
    Ok(meaning.effect)
}

fn lasts(experiment: &Experiment, action: &str) -> Duration {
    let blueprint = experiment.blueprint.actions.get(action);
    blueprint.map_or(Duration::ZERO, |it| it.lasts)
}

/// The ARNs of what an action is aimed at: no action that is built has two targets.
pub(super) fn resources<'e>(experiment: &'e Experiment, action: &str) -> &'e [String] {
    target(experiment, action).map_or(&[], |it| &it.resources)
}

fn target<'e>(
    experiment: &'e Experiment,
    action: &str,
) -> Option<&'e topologies::experiment::Target> {
    let blueprint = &experiment.blueprint;
    let name = blueprint.actions.get(action)?.targets.values().next()?;
    blueprint.targets.get(name)
}

/// The identifier at the end of an ARN.
fn last(arn: &str) -> &str {
    arn.rsplit(['/', ':']).next().unwrap_or_default()
}

/// Asks another service as any client does.
fn call(
    view: &View<'_>,
    service: &str,
    operation: &str,
    input: &Value,
) -> Result<Vec<Change>, String> {
    let model = Catalog::standard().service(service);
    let (Some(model), Some(Handler::Change(handler))) =
        (model, services::handler(service, operation))
    else {
        return Err(format!("{service}:{operation} is not built here."));
    };
    let decided = handler(&view.of_service(model), input);
    let (_, changes) = decided.map_err(|fault| format!("{}: {}", fault.code, fault.message))?;
    Ok(changes)
}

/// The nodes of the replication groups in the zone are stopped and do not start (aws-behaviour §9.2).
fn cache_zone(
    view: &View<'_>,
    experiment: &Experiment,
    of: &ActionOf,
) -> Result<Vec<Fault>, String> {
    let target = target(experiment, &of.action).ok_or("It is aimed at nothing.")?;
    let asked = text(&target.asked["parameters"], ZONE).unwrap_or_default();
    let zone = zone(view, asked).ok_or_else(|| format!("There is no zone {asked}."))?;
    let groups = target.resources.iter().map(|arn| last(arn).into());
    let faults: Vec<Fault> = groups
        .flat_map(|group| {
            let nodes = view.plan.cache_nodes(&group);
            let hit = nodes.filter(|node| node.zone == *zone);
            let faults = hit.map(|node| Fault::Stop {
                instance: node.id.clone(),
            });
            faults.collect::<Vec<_>>()
        })
        .collect();
    match faults.is_empty() {
        true => Err(format!("No node is in the zone {zone}.")),
        false => Ok(faults),
    }
}

/// A zone has one subnet: to cut it off from everything, or from the zones with other subnets of the VPC, is to cut off the zone.
fn disruption(view: &View<'_>, subnets: &[String], scope: Scope) -> Result<Vec<Fault>, String> {
    let region = view.here().ok_or("The region is not there any more.")?;
    let zones = region.zones.iter().map(|zone| &zone.id);
    let hit: Vec<&ZoneId> = zones
        .clone()
        .filter(|zone| subnets.iter().any(|arn| last(arn) == ids::subnet(zone)))
        .collect();
    if hit.is_empty() {
        return Err("The subnets are not there any more.".to_owned());
    }
    match scope {
        Scope::All => Ok(hit
            .into_iter()
            .map(|zone| Fault::KillAz {
                zone: zone.clone(),
                mode: ZoneLoss::Network,
            })
            .collect()),
        Scope::AvailabilityZone => {
            let all: Vec<&ZoneId> = zones.collect();
            let pairs = all.iter().enumerate().flat_map(|(place, one)| {
                let others = all[place + 1..].iter();
                others.map(move |other| (*one, *other))
            });
            let cut = pairs.filter(|(one, other)| hit.contains(one) || hit.contains(other));
            Ok(cut
                .map(|(one, other)| Fault::Partition {
                    from: one.clone(),
                    to: other.clone(),
                    direction: Direction::BothWays,
                })
                .collect())
        }
    }
}

/// Load balancers are kept away from a zone. One that somebody shifted already is not: "manual > autoshift > FIS" (aws-behaviour §6.6).
fn shift(
    view: &View<'_>,
    of: &ActionOf,
    experiment: &Experiment,
    (asked, meant): (&str, &dyn Fn(&LoadBalancer) -> bool),
) -> Result<Vec<Change>, String> {
    let away_from = zone(view, asked).ok_or_else(|| format!("There is no zone {asked}."))?;
    let arns = resources(experiment, &of.action);
    let mut changes = Vec::new();
    for (arn, lb) in elbv2::shiftable(view) {
        if !arns.contains(&arn) || !meant(lb) || !lb.zones.contains(away_from) {
            continue;
        }
        if let Some((id, _)) = view.world.account.zonal_shifts.of(&lb.id) {
            return Err(format!("{arn} has an active zonal shift: {id}."));
        }
        let id = ids::hyphenated(&view.draw(&format!("zonal-shift {arn}"), 32));
        let shift = ZonalShift {
            load_balancer: lb.id.clone(),
            region: lb.region.clone(),
            away_from: away_from.clone(),
            started: view.moment(),
            expires: view.moment() + lasts(experiment, &of.action),
            comment: format!("Experiment {}", of.experiment),
            by: Some(of.clone()),
            status: ZonalShiftStatus::Active,
        };
        changes.push(arc_zonal_shift::started(id.into(), shift));
    }
    match changes.is_empty() {
        true => Err(format!(
            "None of the resources is of these types and has the zone {away_from}."
        )),
        false => Ok(changes),
    }
}

fn unshift(world: &World, of: &ActionOf) -> Vec<EventKind> {
    let active = world.account.zonal_shifts.active();
    let own = active.filter(|(_, it)| it.by.as_ref() == Some(of));
    own.map(|(id, it)| arc_zonal_shift::ended(id, it)).collect()
}

/// Those that are stopped are to run again. One that was terminated can not be.
fn restart(
    world: &World,
    instances: &[String],
    tolerant: bool,
) -> (Vec<EventKind>, Option<String>) {
    let mut events = Vec::new();
    let mut gone = Vec::new();
    for id in instances.iter().map(|arn| last(arn)) {
        let instance = ids::find_instance(&world.plan, id).map(|it| &it.id);
        match instance.and_then(|it| Some((it, wanted(world, it)?))) {
            Some((instance, Wanted::Stopped)) => events.push(EventKind::InstanceWanted {
                instance: instance.clone(),
                wanted: Wanted::Running,
            }),
            Some((_, Wanted::Running)) => {}
            Some((_, Wanted::Terminated)) | None => gone.push(id),
        }
    }
    let failed = !tolerant && !gone.is_empty();
    let why = format!(
        "Instances were terminated and can not be started: {}",
        gone.join(", ")
    );
    (events, failed.then_some(why))
}

fn wanted(world: &World, instance: &InstanceId) -> Option<Wanted> {
    world.instances.get(instance).map(|it| it.wanted)
}

#[cfg(test)]
mod tests;
