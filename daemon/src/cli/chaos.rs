//! `chaos`: tells what a fault would hit, injects it, and waits until it is in force.

use ::chaos::fault::{Direction, Fault, ZoneLoss};
use topologies::id::{StackId, ZoneId};

use super::args::{Chaos, ChaosCommand, LossMode};
use super::events::segment;
use super::exit::{Exit, Failure};
use super::target::{self, Target};
use super::topology::json;
use super::{block_on, output, tables};
use crate::api::views::{FaultsView, HealedView, InjectedView};

pub(super) fn run(arguments: Chaos, stack: Option<StackId>) -> Result<Exit, Failure> {
    let target = target::find(stack)?;
    match arguments.command {
        ChaosCommand::List { json } => list(&target, json),
        ChaosCommand::Heal { id, all } => heal(&target, id, all),
        fault @ (ChaosCommand::KillAz { .. }
        | ChaosCommand::Kill { .. }
        | ChaosCommand::Stop { .. }
        | ChaosCommand::Freeze { .. }
        | ChaosCommand::Slow { .. }
        | ChaosCommand::Partition { .. }
        | ChaosCommand::ThrottleApi { .. }
        | ChaosCommand::SlowApi { .. }
        | ChaosCommand::FailApi { .. }) => inject(&target, &as_fault(fault)?),
    }
}

fn as_fault(command: ChaosCommand) -> Result<Fault, Failure> {
    let direction = |one_way| match one_way {
        true => Direction::OneWay,
        false => Direction::BothWays,
    };
    Ok(match command {
        ChaosCommand::KillAz { zone, mode } => Fault::KillAz {
            zone: ZoneId::from(zone),
            mode: match mode {
                LossMode::Power => ZoneLoss::Power,
                LossMode::Network => ZoneLoss::Network,
            },
        },
        ChaosCommand::Kill { instance } => Fault::Kill {
            instance: instance.into(),
        },
        ChaosCommand::Stop { instance } => Fault::Stop {
            instance: instance.into(),
        },
        ChaosCommand::Freeze { instance } => Fault::Freeze {
            instance: instance.into(),
        },
        ChaosCommand::Slow {
            from,
            to,
            latency,
            jitter,
            one_way,
        } => Fault::Slow {
            from: from.into(),
            to: to.into(),
            latency,
            jitter,
            direction: direction(one_way),
        },
        ChaosCommand::Partition { from, to, one_way } => Fault::Partition {
            from: from.into(),
            to: to.into(),
            direction: direction(one_way),
        },
        ChaosCommand::ThrottleApi { calls, rate } => Fault::ThrottleApi {
            calls: calls.unwrap_or_default(),
            rate,
        },
        ChaosCommand::SlowApi { calls, latency } => Fault::SlowApi {
            calls: calls.unwrap_or_default(),
            latency,
        },
        ChaosCommand::FailApi { calls } => Fault::FailApi {
            calls: calls.unwrap_or_default(),
        },
        ChaosCommand::List { .. } | ChaosCommand::Heal { .. } => {
            return Err(Failure::new(Exit::Bug, "this command is no fault"));
        }
    })
}

fn inject(target: &Target, fault: &Fault) -> Result<Exit, Failure> {
    block_on(async {
        let client = &target.client;
        let preview: InjectedView = client
            .post("/faults?preview=true", fault)
            .await
            .map_err(|error| target.explain(error))?;
        // Whoever stops reading has not called the fault off.
        let shown = show(&preview);
        let injected: InjectedView = client
            .post("/faults", fault)
            .await
            .map_err(|error| target.explain(error))?;
        shown?;
        let id = injected.id.map_or_else(String::new, |id| id.to_string());
        output::println(&if fault.lasting() {
            format!("{id} in force; `localaws chaos heal {id}` ends it")
        } else {
            format!("{id} done")
        })?;
        Ok(Exit::Done)
    })
}

fn show(preview: &InjectedView) -> Result<(), Failure> {
    output::println(&output::printable(&preview.fault))?;
    if preview.consequences.is_empty() {
        output::println("  hits nothing that runs")?;
    }
    for consequence in &preview.consequences {
        output::println(&format!("  {}", output::printable(consequence)))?;
    }
    Ok(())
}

fn list(target: &Target, as_json: bool) -> Result<Exit, Failure> {
    let view: FaultsView = block_on(async {
        let answer = target.client.get("/faults").await;
        answer.map_err(|error| target.explain(error))
    })?;
    if as_json {
        output::println(&json(&view)?)?;
    } else if view.faults.is_empty() {
        output::eprintln("no fault is in force");
    } else {
        output::print(&tables::faults(&view.faults))?;
    }
    Ok(Exit::Done)
}

fn heal(target: &Target, id: Option<String>, all: bool) -> Result<Exit, Failure> {
    let healed: HealedView = block_on(async {
        let client = &target.client;
        let path = match id {
            _ if all => "/faults".to_owned(),
            Some(id) => format!("/faults/{}", segment(&id)?),
            None => {
                let answer = client.get::<FaultsView>("/faults").await;
                let view = answer.map_err(|error| target.explain(error))?;
                only(&view)?
            }
        };
        let answer = client.delete(&path).await;
        answer.map_err(|error| target.explain(error))
    })?;
    if healed.healed.is_empty() {
        output::eprintln("no fault was in force");
    }
    for id in &healed.healed {
        output::println(&format!("{id} healed"))?;
    }
    Ok(Exit::Done)
}

/// The path of the only fault in force.
fn only(view: &FaultsView) -> Result<String, Failure> {
    match view.faults.as_slice() {
        [fault] => Ok(format!("/faults/{}", fault.id)),
        [] => Err(Failure::wrong("no fault is in force")),
        several => {
            let ids: Vec<&str> = several.iter().map(|fault| fault.id.as_str()).collect();
            Err(Failure::wrong("several faults are in force")
                .hint(format!("say which ({}), or --all", ids.join(", "))))
        }
    }
}
