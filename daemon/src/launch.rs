//! Brings a stack up in this process, and ends it: the order in which its parts start and stop.
//!
//! ```text
//!  plan ─► runtime, software ─► secrets ─► data plane ─► control (new, or the fold of the timeline) ─► driver, probes
//!  end: no more orders ─► probes ─► driver ─► instances ─► data plane
//! ```
//! Whatever fails on the way up, what was started is ended again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proxies::Ports;
use proxies::plane::{Config, DataPlane};
use sha2::{Digest, Sha256};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use topologies::address::{ZoneNumber, resolver};
use topologies::event::{Event, EventKind, FORMAT};
use topologies::id::StackId;
use topologies::network::Network;
use topologies::plan::Plan;
use topologies::runtime::{Runtime, RuntimeError, RuntimeKind, Software};
use topologies::time::Time;
use topologies::world::{StackPhase, World};

use crate::apps::Apps;
use crate::control::{Control, Stimulus};
use crate::driver::{Clock, Driver};
use crate::effects::{Effects, Engines};
use crate::engines::Directories;
use crate::engines::postgres::{DbSettings, Postgres};
use crate::engines::redis::{CacheSettings, Redis};
use crate::faults::FaultFile;
use crate::harm::Harm;
use crate::hosts;
use crate::log::{self, TimelineWriter};
use crate::ports;
use crate::prober::Prober;
use crate::runtime::{ProcessOptions, ProcessRuntime, namespaces};
use crate::secrets::Secrets;
use crate::stack::{REQUESTS, Stack};
use crate::up::{Progress, RuntimeWish, UpError, UpOptions};

/// Stimuli that may wait for the driver.
const INBOX: usize = 4_096;
/// Events that a slow reader may be behind before it has to read the file.
const BACKLOG: usize = 1_024;
/// How long a stack may take to serve every endpoint.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// How long open connections may go on when the stack ends.
const GRACE: Duration = Duration::from_millis(200);
/// Added to ports below 1024 where those can not be bound.
pub const PORT_OFFSET: u16 = 10_000;

/// What to tell the user.
pub type Tell<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// A stack that was brought up in this process.
pub struct RunningStack {
    /// What can be read of it and asked for.
    pub stack: Stack,
    data_plane: Arc<DataPlane>,
    effects_cancelled: CancellationToken,
    cancelled: CancellationToken,
    tasks: TaskTracker,
    driver: JoinHandle<Effects>,
}

/// How this machine lets ports be bound.
#[derive(Clone, Copy, Debug)]
struct Bindings {
    dns_port: u16,
    ports: Ports,
}

/// Brings a stack up: returns once its parts run; [`RunningStack::ready`] waits until it serves.
///
/// # Errors
/// When this machine lacks something, an address is taken, or the stack's directory can not be used.
pub async fn up(options: UpOptions, tell: Tell<'_>) -> Result<RunningStack, UpError> {
    let ground = lay_ground(&options, tell).await?;
    let data_plane = data_plane(&ground.plan, ground.bindings, options.seed).await?;
    Ok(set_going(options, ground, data_plane))
}

/// What a stack's parts stand on; nothing of it runs.
struct Ground {
    plan: Arc<Plan>,
    runtime: Arc<dyn Runtime>,
    choice: String,
    secrets: Arc<Secrets>,
    past: Vec<Event>,
    log: TimelineWriter,
    faults: FaultFile,
    bindings: Bindings,
    engines: Engines,
}

async fn lay_ground(options: &UpOptions, tell: Tell<'_>) -> Result<Ground, UpError> {
    let plan = Arc::new(topologies::plan::plan(&options.topology, options.plan_slot));
    let (runtime, choice) = choose_runtime(options, &plan.topology.name, tell).await?;
    let line = |text: &str| tell(Progress::Step(text.to_owned()));
    let prepared = runtime.prepare(&software(&plan), &line).await;
    prepared.map_err(|cause| machine(&cause))?;
    let kind = runtime.kind().as_str();
    tell(Progress::Line(format!("runtime {kind}: {choice}")));
    if runtime.kind() == RuntimeKind::Process && !plan.topology.services.is_empty() {
        warn_of_namespaces(tell).await;
    }
    let directory = &options.directory;
    let secrets = Secrets::open(directory, &plan.topology);
    let secrets = Arc::new(secrets.map_err(|cause| failed("open secrets", &cause))?);
    let timeline = directory.join("timeline.jsonl");
    let past = if options.resume {
        read_past(&timeline)?
    } else {
        Vec::new()
    };
    let log = TimelineWriter::open(&timeline);
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

/// Starts the tasks.
#[expect(clippy::too_many_lines, reason = "one assembly, every part named once")]
fn set_going(options: UpOptions, ground: Ground, data_plane: Arc<DataPlane>) -> RunningStack {
    let bindings = ground.bindings;
    let apps = apps(&options, &ground);
    let Ground {
        plan,
        runtime,
        choice,
        secrets,
        past,
        log,
        faults,
        bindings: _,
        engines,
    } = ground;
    let kind = runtime.kind();
    let (control, clock) = control(&plan, &past, kind, options.seed);
    let (cancelled, effects_cancelled) = (CancellationToken::new(), CancellationToken::new());
    let tasks = TaskTracker::new();
    let (inbox, stimuli) = mpsc::channel(INBOX);
    let (requests, asked) = mpsc::channel(REQUESTS);
    let (world, world_reader) = watch::channel(Arc::new(control.world().clone()));
    let (network, network_reader) = watch::channel(Arc::new(Network::default()));
    let (events, _) = broadcast::channel::<Arc<Event>>(BACKLOG);
    let prober = Prober {
        plan: Arc::clone(&plan),
        clock,
        engines: engines.clone(),
        ports: bindings.ports,
        resolver: SocketAddr::from((resolver(plan.slot, ZoneNumber::OUTSIDE), bindings.dns_port)),
        network: network_reader,
        world: world_reader.clone(),
        inbox: inbox.clone(),
        witness: Arc::default(),
        hurry: Arc::default(),
    };
    let ends = (Arc::clone(&plan), Arc::clone(&runtime));
    let driver = Driver {
        plan: Arc::clone(&plan),
        clock,
        control,
        effects: Effects::start(ends.0, ends.1, engines, apps, inbox, &effects_cancelled),
        data_plane: Arc::clone(&data_plane),
        harm: Harm::start(Arc::clone(&runtime), &tasks, effects_cancelled.clone()),
        runtime: Arc::clone(&runtime),
        log,
        inbox: stimuli,
        requests: asked,
        world,
        events: events.clone(),
        network,
        hurry: Arc::clone(&prober.hurry),
        faults,
        cancelled: cancelled.clone(),
    };
    if bindings.dns_port != 53 {
        // Before anything starts that has one mounted.
        let written = hosts::write_all(&options.directory, &plan, &world_reader.borrow());
        if let Err(cause) = written {
            tracing::error!(%cause, "hosts files not written");
        }
    }
    let first = first_events(&plan, &past, kind, options.seed);
    let driver = tasks.spawn(async move { driver.run(first).await });
    prober.start(&tasks, &cancelled);
    let stack = Stack {
        runtime_choice: (kind, choice),
        plan,
        runtime,
        directory: options.directory,
        secrets,
        dns_port: bindings.dns_port,
        port_offset: bindings.ports.offset,
        clock,
        world: world_reader,
        events,
        requests,
    };
    if bindings.dns_port != 53 {
        let keep = hosts::keep(stack.clone());
        let cancelled = cancelled.clone();
        tasks.spawn(async move { cancelled.run_until_cancelled(keep).await });
    }
    RunningStack {
        stack,
        data_plane,
        effects_cancelled,
        cancelled,
        tasks,
        driver,
    }
}

fn apps(options: &UpOptions, ground: &Ground) -> Apps {
    let base = options.topology_path.parent().unwrap_or(Path::new("/"));
    Apps {
        plan: Arc::clone(&ground.plan),
        secrets: Arc::clone(&ground.secrets),
        directory: options.directory.clone(),
        base: base.to_owned(),
        ports: ground.bindings.ports,
        resolver_on_53: ground.bindings.dns_port == 53,
    }
}

impl RunningStack {
    /// Waits until every endpoint has answered.
    ///
    /// # Errors
    /// When that takes too long; the message says what does not answer.
    pub async fn ready(&self, tell: Tell<'_>) -> Result<(), UpError> {
        let mut world = self.stack.world.clone();
        let mut told = String::new();
        let wait = async {
            loop {
                let missing = {
                    let world = world.borrow_and_update();
                    if world.phase != StackPhase::Creating {
                        return;
                    }
                    missing(&self.stack.plan, &world)
                };
                if missing != told {
                    tell(Progress::Step(format!("waiting for {missing}")));
                    told = missing;
                }
                if world.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(READY_LIMIT, wait).await.is_err() {
            let missing = missing(&self.stack.plan, &self.stack.world.borrow());
            return Err(UpError::Failed {
                message: format!("after {READY_LIMIT:?} no answer yet from {missing}"),
                hint: Some("`localaws events` and `localaws logs INSTANCE` tell more".to_owned()),
            });
        }
        Ok(())
    }

    /// Ends the stack: every instance and every task. Data stays in its directory.
    ///
    /// # Errors
    /// When instances could not be ended.
    pub async fn end(self) -> Result<(), RuntimeError> {
        let Self {
            stack,
            data_plane,
            effects_cancelled,
            cancelled,
            tasks,
            driver,
        } = self;
        cancelled.cancel();
        effects_cancelled.cancel();
        // A driver that panicked has left nothing to wait for.
        if let Ok(effects) = driver.await {
            effects.finished().await;
        }
        tasks.close();
        tasks.wait().await;
        let cleared = stack.runtime.clear().await;
        drop(stack);
        if let Some(data_plane) = Arc::into_inner(data_plane) {
            data_plane.shutdown(GRACE).await;
        }
        cleared
    }
}

async fn choose_runtime(
    options: &UpOptions,
    stack: &StackId,
    tell: Tell<'_>,
) -> Result<(Arc<dyn Runtime>, String), UpError> {
    tell(Progress::Step("looking for a runtime".to_owned()));
    let chosen = match options.runtime {
        RuntimeWish::Docker => docker(stack, options).await,
        RuntimeWish::Process => process(options, "asked for".to_owned()).await,
        RuntimeWish::Auto => match docker(stack, options).await {
            Ok(chosen) => Ok(chosen),
            Err(cause) => process(options, format!("no Docker engine: {cause}")).await,
        },
        RuntimeWish::Simulated => {
            return Err(UpError::Topology {
                message: "the simulated runtime has no real time".to_owned(),
                hint: Some("`localaws rehearse FILE` runs a stack in virtual time".to_owned()),
            });
        }
    };
    chosen.map_err(|cause| machine(&cause))
}

async fn docker(
    stack: &StackId,
    options: &UpOptions,
) -> Result<(Arc<dyn Runtime>, String), RuntimeError> {
    let user = if rustix::process::geteuid().is_root() {
        docker::User::NOBODY
    } else {
        let (uid, gid) = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        docker::User { uid, gid }
    };
    let settings = docker::Options {
        cache: options.cache.clone(),
        user,
    };
    let runtime = docker::DockerRuntime::connect(stack, &options.directory, settings).await?;
    let why = format!("its engine {} answers", runtime.engine().version());
    Ok((Arc::new(runtime), why))
}

async fn process(
    options: &UpOptions,
    why: String,
) -> Result<(Arc<dyn Runtime>, String), RuntimeError> {
    let mut settings = ProcessOptions::from_environment();
    let base = options.topology_path.parent().unwrap_or(Path::new("/"));
    let engines = &options.topology.engines;
    for (named, place) in [
        (&engines.postgres, &mut settings.postgres),
        (&engines.redis, &mut settings.redis),
    ] {
        if !named.is_empty() {
            *place = named.iter().map(|directory| base.join(directory)).collect();
        }
    }
    let runtime = ProcessRuntime::open(&options.directory, &options.cache, settings).await?;
    Ok((Arc::new(runtime), why))
}

/// Every software that the plan's instances need, once.
fn software(plan: &Plan) -> Vec<Software> {
    let topology = &plan.topology;
    let mut wanted = Vec::new();
    wanted.extend(topology.db_instances.iter().map(|db| Software::Postgres {
        version: db.engine_version,
    }));
    wanted.extend(
        topology
            .replication_groups
            .iter()
            .map(|group| Software::Redis {
                version: group.engine_version,
            }),
    );
    if !topology.services.is_empty() {
        wanted.push(Software::Program);
    }
    wanted.sort();
    wanted.dedup();
    wanted
}

fn read_past(timeline: &Path) -> Result<Vec<Event>, UpError> {
    match log::read(timeline, 0) {
        Ok(events) => Ok(events),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(cause) => Err(failed("read the timeline", &cause)),
    }
}

/// Control on the world that the past makes, and a clock that goes on where the past ended.
fn control(plan: &Arc<Plan>, past: &[Event], kind: RuntimeKind, seed: u64) -> (Control, Clock) {
    let mut world = World::new(plan);
    for event in past {
        world.apply(event);
    }
    tracing::debug!(events = past.len(), runtime = kind.as_str(), "world folded");
    let last = past
        .last()
        .map_or(Time::ZERO, |event| event.at + Duration::from_millis(1));
    (
        Control::new(Arc::clone(plan), world, seed),
        Clock::starting_at(last),
    )
}

/// What the timeline begins with, or goes on with after a daemon's death.
fn first_events(plan: &Plan, past: &[Event], runtime: RuntimeKind, seed: u64) -> Vec<Stimulus> {
    if !past.is_empty() {
        return vec![Stimulus::Note(EventKind::ControlResumed)];
    }
    let hash = Sha256::digest(serde_json::to_vec(plan).unwrap_or_default());
    let started_at = jiff::Timestamp::try_from(SystemTime::now());
    vec![Stimulus::Note(EventKind::TimelineStarted {
        format: FORMAT,
        stack: plan.topology.name.clone(),
        runtime,
        seed,
        started_at: started_at.map(|at| at.to_string()).unwrap_or_default(),
        plan: hex::encode(hash),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })]
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
    })
}

async fn data_plane(plan: &Plan, bindings: Bindings, seed: u64) -> Result<Arc<DataPlane>, UpError> {
    let views = plan
        .topology
        .zones()
        .map(|zone| zone.number)
        .chain([ZoneNumber::OUTSIDE])
        .collect();
    let config = Config {
        cores: None,
        slot: plan.slot,
        views,
        dns_port: bindings.dns_port,
        ports: bindings.ports,
        seed,
    };
    let taken = |cause: &dyn std::error::Error| UpError::Machine {
        message: format!("failed to {cause}"),
        hint: Some("another program has this address; `localaws doctor` tells more".to_owned()),
    };
    let data_plane = DataPlane::start(config).map_err(|cause| taken(&cause))?;
    let first = crate::routes::routes(plan, &World::new(plan));
    let network = Network {
        closed: plan
            .instances
            .iter()
            .map(|instance| instance.id.clone())
            .collect(),
        ..Network::default()
    };
    data_plane.set_network(Arc::new(network));
    if let Err(cause) = data_plane.set_routes(Arc::new(first)).everywhere().await {
        data_plane.shutdown(Duration::ZERO).await;
        return Err(taken(&cause));
    }
    Ok(Arc::new(data_plane))
}

/// What does not answer yet, in a few words.
fn missing(plan: &Plan, world: &World) -> String {
    use topologies::event::{DbInstanceStatus, ReplicationGroupStatus};
    let databases = world
        .databases
        .iter()
        .filter(|(_, db)| db.status != DbInstanceStatus::Available);
    let replicas = world
        .replicas
        .iter()
        .filter(|(_, replica)| replica.status != DbInstanceStatus::Available);
    let caches = world
        .caches
        .iter()
        .filter(|(_, cache)| cache.status != ReplicationGroupStatus::Available);
    let mut names: Vec<String> = databases.map(|(id, _)| id.to_string()).collect();
    names.extend(replicas.map(|(id, _)| id.to_string()));
    names.extend(caches.map(|(id, _)| id.to_string()));
    if names.is_empty() {
        names.extend(
            plan.topology
                .load_balancers
                .iter()
                .map(|lb| lb.id.to_string()),
        );
    }
    names.join(", ")
}

fn machine(cause: &RuntimeError) -> UpError {
    match cause {
        RuntimeError::Missing { what, hint } => UpError::Machine {
            message: format!("{what} not found"),
            hint: Some(hint.clone()),
        },
        RuntimeError::InsufficientCapacity(_)
        | RuntimeError::ZoneUnreachable(_)
        | RuntimeError::HeldStopped(_)
        | RuntimeError::Failed { .. }
        | RuntimeError::TimedOut { .. } => UpError::Machine {
            message: cause.to_string(),
            hint: None,
        },
    }
}

fn failed(action: &str, cause: &std::io::Error) -> UpError {
    UpError::Machine {
        message: format!("failed to {action}: {cause}"),
        hint: None,
    }
}
