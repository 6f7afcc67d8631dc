//! What a stack's parts stand on: plan, runtime, secrets, past, and how this machine lets ports be bound. Nothing of it runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use proxies::Ports;
use topologies::address::{ZoneNumber, resolver};
use topologies::event::Event;
use topologies::plan::Plan;
use topologies::runtime::{Runtime, RuntimeKind};

use super::{PORT_OFFSET, Tell, runtime};
use crate::effects::Engines;
use crate::engines::Directories;
use crate::engines::files::FileWork;
use crate::engines::postgres::{DbSettings, Postgres};
use crate::engines::redis::{CacheSettings, Redis};
use crate::faults::FaultFile;
use crate::log::{self, TimelineWriter};
use crate::ports;
use crate::runtime::namespaces;
use crate::secrets::Secrets;
use crate::up::{Progress, UpError, UpOptions};

/// What a stack's parts stand on; nothing of it runs.
pub struct Ground {
    pub(super) plan: Arc<Plan>,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) choice: String,
    pub(super) secrets: Arc<Secrets>,
    pub(super) past: Vec<Event>,
    pub(super) log: TimelineWriter,
    pub(super) faults: FaultFile,
    pub(super) bindings: Bindings,
    pub(super) engines: Engines,
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
    let plan = Arc::new(topologies::plan::plan(&options.topology, options.plan_slot));
    let (runtime, choice) = runtime::choose(options, &plan.topology.name, tell).await?;
    let line = |text: &str| tell(Progress::Step(text.to_owned()));
    let prepared = runtime.prepare(&runtime::software(&plan), &line).await;
    prepared.map_err(|cause| runtime::machine(&cause))?;
    let kind = runtime.kind().as_str();
    tell(Progress::Line(format!("runtime {kind}: {choice}")));
    if runtime.kind() == RuntimeKind::Process && !plan.topology.services.is_empty() {
        warn_of_namespaces(tell).await;
    }
    let directory = &options.directory;
    let secrets = Secrets::open(directory, &plan.topology);
    let secrets = Arc::new(secrets.map_err(|cause| failed("open secrets", &cause))?);
    let timeline = directory.join("timeline.jsonl");
    let (past, log) = if options.resume {
        let past = log::past(&timeline).map_err(|cause| unresumable(&plan, &cause))?;
        (past, TimelineWriter::open(&timeline))
    } else {
        (Vec::new(), TimelineWriter::anew(&timeline))
    };
    let log = log.map_err(|cause| failed("open the timeline", &cause))?;
    let faults = FaultFile::open(directory, !past.is_empty());
    let faults = faults.map_err(|cause| failed("read the faults in force", &cause))?;
    Ok(Ground {
        bindings: bindings(&plan),
        engines: engines(&plan, &runtime, options, &secrets)?,
        plan,
        runtime,
        choice,
        secrets,
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

fn engines(
    plan: &Plan,
    runtime: &Arc<dyn Runtime>,
    options: &UpOptions,
    secrets: &Secrets,
) -> Result<Engines, UpError> {
    let directories = Directories {
        stack: options.directory.clone(),
        cache: options.cache.clone(),
        work: FileWork::default(),
    };
    let mut postgres = BTreeMap::new();
    for db in &plan.topology.db_instances {
        let Some(passwords) = secrets.databases.get(&db.id).cloned() else {
            continue;
        };
        let settings = DbSettings::of(db);
        let engine = Postgres::new(
            Arc::clone(runtime),
            directories.clone(),
            settings,
            passwords,
        )
        .map_err(|cause| UpError::Topology {
            message: format!("DB instance `{}`: {cause}", db.id),
            hint: None,
        })?;
        let engine = Arc::new(engine);
        let members = db
            .read_replicas
            .iter()
            .map(|replica| &replica.id)
            .chain([&db.id]);
        postgres.extend(members.map(|id| (id.clone(), Arc::clone(&engine))));
    }
    let redis = plan.topology.replication_groups.iter().map(|group| {
        let engine = Redis::new(
            Arc::clone(runtime),
            directories.clone(),
            CacheSettings::of(group),
        );
        (group.id.clone(), Arc::new(engine))
    });
    Ok(Engines {
        postgres,
        redis: redis.collect(),
        work: directories.work.clone(),
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
