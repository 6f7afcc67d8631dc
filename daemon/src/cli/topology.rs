//! `check`, `plan`, `explain`, `schema`: what can be told of a topology file without running it.

use topologies::address::Slot;
use topologies::check::Overrides;
use topologies::explain::explain as explained;
use topologies::plan::plan as planned;
use topologies::spec;

use super::args::{Check, Explain, Plan};
use super::exit::{Exit, Failure};
use super::topology_file::TopologyFile;
use super::{output, tables};
use crate::api::views;

pub(super) fn check(arguments: &Check) -> Result<Exit, Failure> {
    let file = TopologyFile::read(&arguments.file)?;
    let topology = file.topology(&Overrides::default())?;
    let plan = planned(&topology, example_slot());
    output::println(&format!(
        "{}: {} zones, {} instances, {} load balancer nodes, {} endpoints",
        topology.name,
        topology.zones().count(),
        plan.instances.len(),
        plan.nodes.len(),
        plan.endpoints.len()
    ))?;
    Ok(Exit::Done)
}

pub(super) fn plan(arguments: &Plan) -> Result<Exit, Failure> {
    let file = TopologyFile::read(&arguments.file)?;
    let topology = file.topology(&Overrides::default())?;
    let view = views::plan(&planned(&topology, example_slot()));
    if arguments.json {
        output::println(&json(&view)?)?;
    } else {
        output::print(&tables::plan(&view))?;
    }
    Ok(Exit::Done)
}

pub(super) fn explain(arguments: &Explain) -> Result<Exit, Failure> {
    let file = TopologyFile::read(&arguments.file)?;
    let topology = file.topology(&Overrides::default())?;
    output::print(&explained(&topology))?;
    Ok(Exit::Done)
}

pub(super) fn schema() -> Result<Exit, Failure> {
    output::println(&json(&spec::schema())?)?;
    Ok(Exit::Done)
}

/// A view as `--json` prints it.
pub(super) fn json(view: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(view)
        .map_err(|error| Failure::new(Exit::Bug, format!("failed to write JSON: {error}")))
}

/// The slot of a stack that comes up while no other runs.
fn example_slot() -> Slot {
    Slot::new(Slot::MIN).expect("the lowest slot is one")
}
