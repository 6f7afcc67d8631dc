//! What a stack's parts stand on: plan, runtime, secrets, past, and how this machine lets ports be bound. Nothing of it runs.

use std::sync::Arc;

use proxies::Ports;
use topologies::address::{ZoneNumber, resolver};
use topologies::event::Event;
use topologies::plan::Plan;
use topologies::runtime::{Runtime, RuntimeKind};
use topologies::world::World;

use super::{PORT_OFFSET, Tell, runtime};
use crate::engines::Directories;
use crate::engines::files::FileWork;
use crate::estate::{self, EstateError, Estates};
use crate::faults::FaultFile;
use crate::log::{self, TimelineWriter};
use crate::ports;
use crate::runtime::namespaces;
use crate::stack::timeline;
use crate::up::{Progress, UpError, UpOptions};

/// What a stack's parts stand on; nothing of it runs.
pub struct Ground {
    /// What the past made of the plan.
    pub(super) world: World,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) choice: String,
    pub(super) past: Vec<Event>,
    pub(super) log: TimelineWriter,
    pub(super) faults: FaultFile,
    pub(super) bindings: Bindings,
    pub(super) estates: Estates,
}

impl Ground {
    /// The runtime that was chosen.
    pub fn runtime(&self) -> RuntimeKind {
        self.runtime.kind()
    }
}

/// How this machine lets ports be bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bindings {
    pub(super) dns_port: u16,
    pub(super) ports: Ports,
}

/// Makes ready what a stack's parts stand on: no instance is started.
///
/// # Errors
/// When this machine lacks something, or the stack's directory can not be used.
pub async fn lay(options: &UpOptions, tell: Tell<'_>) -> Result<Ground, UpError> {
    let plan = topologies::plan::plan(&options.topology, options.plan_slot);
    let (runtime, choice) = runtime::choose(options, &plan.topology.name, tell).await?;
    let directory = &options.directory;
    let timeline = timeline(directory);
    let past = if options.resume {
        log::past(&timeline).map_err(|cause| unresumable(&plan, &cause))?
    } else {
        Vec::new()
    };
    let mut world = World::new(&plan);
    for event in &past {
        world.apply(event);
    }
    let plan = Arc::clone(&world.plan);
    let line = |text: &str| tell(Progress::Step(text.to_owned()));
    let prepared = runtime.prepare(&estate::software(&plan), &line).await;
    prepared.map_err(|cause| runtime::machine(&cause))?;
    let kind = runtime.kind().as_str();
    tell(Progress::Line(format!("runtime {kind}: {choice}")));
    if runtime.kind() == RuntimeKind::Process && !plan.topology.services.is_empty() {
        warn_of_namespaces(tell).await;
    }
    let log = if options.resume {
        TimelineWriter::open(&timeline)
    } else {
        TimelineWriter::anew(&timeline)
    };
    let log = log.map_err(|cause| failed("open the timeline", &cause))?;
    let faults = FaultFile::open(directory, !past.is_empty());
    let faults = faults.map_err(|cause| failed("read the faults in force", &cause))?;
    Ok(Ground {
        bindings: bindings(&plan),
        estates: estates(&plan, &runtime, options)?,
        world,
        runtime,
        choice,
        past,
        log,
        faults,
    })
}

/// Instances start all the same where this machine allows them no names of their own; what they then miss is told beforehand.
async fn warn_of_namespaces(tell: Tell<'_>) {
    if let Err(cause) = namespaces::attempt().await {
        tell(Progress::Line(format!(
            "warning: instances can not resolve the stack's names, as this machine refused to {cause}; {}",
            namespaces::way_out()
        )));
    }
}

/// Low ports where this process may bind them, others where not.
fn bindings(plan: &Plan) -> Bindings {
    let outside = resolver(plan.slot, ZoneNumber::OUTSIDE);
    let offset = if ports::http(outside).is_ok() {
        0
    } else {
        PORT_OFFSET
    };
    let dns_port = if ports::dns(outside).is_ok() {
        53
    } else {
        53 + PORT_OFFSET
    };
    Bindings {
        dns_port,
        ports: Ports { offset },
    }
}

fn estates(
    plan: &Arc<Plan>,
    runtime: &Arc<dyn Runtime>,
    options: &UpOptions,
) -> Result<Estates, UpError> {
    let directories = Directories {
        stack: options.directory.clone(),
        cache: options.cache.clone(),
        work: FileWork::default(),
    };
    Estates::open(plan, Arc::clone(runtime), directories).map_err(|cause| match cause {
        EstateError::Secrets(cause) => failed("open secrets", &cause),
        EstateError::Engine { db, cause } => UpError::Topology {
            message: format!("DB instance `{db}`: {cause}"),
            hint: None,
        },
    })
}

fn unresumable(plan: &Plan, cause: &log::TimelineError) -> UpError {
    let name = &plan.topology.name;
    UpError::Machine {
        message: cause.to_string(),
        hint: Some(format!(
            "mend the file, or `localaws down {name} --purge` removes the stack with its data"
        )),
    }
}

fn failed(action: &str, cause: &std::io::Error) -> UpError {
    UpError::Machine {
        message: format!("failed to {action}: {cause}"),
        hint: None,
    }
}
