//! Brings a stack up in this process, and ends it: the order in which its parts start and stop.
//!
//! ```text
//!  plan ─► runtime, software ─► secrets ─► data plane ─► control (new, or the fold of the timeline) ─► driver, probes
//!  end: no more orders ─► probes ─► driver ─► what caches hold is kept ─► instances ─► data plane
//! ```
//! Whatever fails on the way up, what was started is ended again.

mod ended;
mod ground;
mod kept;
mod missing;
mod ready;
mod runtime;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proxies::plane::{Config, DataPlane};
use sha2::{Digest, Sha256};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use topologies::address::{ZoneNumber, resolver};
use topologies::event::{Event, EventKind, FORMAT};
use topologies::network::Network;
use topologies::plan::Plan;
use topologies::runtime::{RuntimeError, RuntimeKind};
use topologies::time::Time;
use topologies::world::{StackPhase, World};

use crate::apps::Apps;
use crate::aws::{Evaluator, Experimenter, Metrics, abandoned};
use crate::control::{Control, Stimulus};
use crate::driver::{Clock, Driver};
use crate::effects::Effects;
use crate::harm::Harm;
use crate::hosts;
use crate::prober::{Figures, Prober};
use crate::sampler::Sampler;
use crate::stack::{REQUESTS, Stack};
use crate::up::{Tell, UpError, UpOptions};
pub use ground::{Ground, lay};

/// Stimuli that may wait for the driver.
const INBOX: usize = 4_096;
/// Events that a slow reader may be behind before it has to read the file.
const BACKLOG: usize = 1_024;
/// How long open connections may go on when the stack ends.
const GRACE: Duration = Duration::from_millis(200);
/// Added to ports below 1024 where those can not be bound.
pub const PORT_OFFSET: u16 = 10_000;

/// A stack that was brought up in this process. When it is dropped its tasks end; [`RunningStack::end`] ends its instances too.
pub struct RunningStack {
    /// What can be read of it and asked for.
    pub stack: Stack,
    /// The last event before this bring-up.
    since: u64,
    data_plane: Arc<DataPlane>,
    effects_cancelled: DropGuard,
    cancelled: DropGuard,
    tasks: TaskTracker,
    driver: JoinHandle<Effects>,
}

/// Brings a stack up: returns once its parts run; [`RunningStack::ready`] waits until it serves.
///
/// # Errors
/// When an address is taken: nothing runs then.
pub async fn up(options: UpOptions, ground: Ground) -> Result<RunningStack, UpError> {
    let data_plane = data_plane(&options, &ground).await?;
    Ok(set_going(options, ground, data_plane))
}

/// Starts the tasks.
#[expect(clippy::too_many_lines, reason = "one assembly, every part named once")]
fn set_going(options: UpOptions, ground: Ground, data_plane: Arc<DataPlane>) -> RunningStack {
    let bindings = ground.bindings;
    let apps = apps(&options, &ground);
    let Ground {
        world: folded,
        runtime,
        choice,
        past,
        log,
        faults,
        bindings: _,
        estates,
    } = ground;
    let kind = runtime.kind();
    let plan = Arc::clone(&folded.plan);
    let (control, clock) = control(folded, &past, options.seed);
    let since = past.last().map_or(0, |event| event.seq);
    let first = if past.is_empty() {
        vec![first_event(&plan, kind, options.seed)]
    } else {
        resumption(options.stopped, control.world())
    };
    let first = first.into_iter().map(Stimulus::Note).collect();
    let (cancelled, effects_cancelled) = (CancellationToken::new(), CancellationToken::new());
    let tasks = TaskTracker::new();
    let (inbox, stimuli) = mpsc::channel(INBOX);
    let (requests, asked) = mpsc::channel(REQUESTS);
    let (world, world_reader) = watch::channel(Arc::new(control.world().clone()));
    let (network, network_reader) = watch::channel(Arc::new(Network::default()));
    let stack_network = network_reader.clone();
    let (api_faults, api_faults_reader) = watch::channel(Arc::default());
    let (hurry, hurried) = watch::channel(());
    let (events, _) = broadcast::channel::<Arc<Event>>(BACKLOG);
    let (metrics, figures) = (Metrics::default(), Arc::<Figures>::default());
    let prober = Prober {
        clock,
        estate: estates.watch(),
        data_plane: Arc::clone(&data_plane),
        ports: bindings.ports,
        resolver: SocketAddr::from((resolver(plan.slot, ZoneNumber::OUTSIDE), bindings.dns_port)),
        network: network_reader,
        world: world_reader.clone(),
        inbox: inbox.clone(),
        witness: Arc::default(),
        figures: Arc::clone(&figures),
        hurry: hurried,
    };
    let (estate, until) = (estates.watch(), effects_cancelled.clone());
    let driver = Driver {
        clock,
        control,
        effects: Effects::start(&estates, Arc::clone(&runtime), apps, inbox, until),
        estates,
        data_plane: Arc::clone(&data_plane),
        harm: Harm::start(Arc::clone(&runtime), &tasks, effects_cancelled.clone()),
        runtime: Arc::clone(&runtime),
        log,
        inbox: stimuli,
        requests: asked,
        world,
        events: events.clone(),
        network,
        api_faults,
        hurry,
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
    let driver = tasks.spawn(async move { driver.run(first).await });
    prober.start(&tasks, cancelled.clone());
    let sampler = Sampler {
        clock,
        world: world_reader.clone(),
        data_plane: Arc::clone(&data_plane),
        figures,
        metrics: metrics.clone(),
    };
    sampler.start(&tasks, cancelled.clone());
    let stack = Stack {
        runtime_choice: (kind, choice),
        runtime,
        origin: Arc::new(options.topology),
        directory: options.directory,
        estate,
        dns_port: bindings.dns_port,
        port_offset: bindings.ports.offset,
        clock,
        world: world_reader,
        network: stack_network,
        api_faults: api_faults_reader,
        metrics,
        events,
        requests,
    };
    if let Some(experimenter) = Experimenter::new(stack.clone()) {
        let (work, cancelled) = (experimenter.run(), cancelled.clone());
        tasks.spawn(async move { cancelled.run_until_cancelled(work).await });
    }
    let (work, until) = (Evaluator::new(stack.clone()).run(), cancelled.clone());
    tasks.spawn(async move { until.run_until_cancelled(work).await });
    if bindings.dns_port != 53 {
        let keep = hosts::keep(stack.clone());
        let cancelled = cancelled.clone();
        tasks.spawn(async move { cancelled.run_until_cancelled(keep).await });
    }
    RunningStack {
        stack,
        since,
        data_plane,
        effects_cancelled: effects_cancelled.drop_guard(),
        cancelled: cancelled.drop_guard(),
        tasks,
        driver,
    }
}

fn apps(options: &UpOptions, ground: &Ground) -> Apps {
    let base = options.topology_path.parent().unwrap_or(Path::new("/"));
    Apps {
        directory: options.directory.clone(),
        base: base.to_owned(),
        ports: ground.bindings.ports,
        resolver_on_53: ground.bindings.dns_port == 53,
    }
}

impl RunningStack {
    /// Waits until every endpoint has answered this daemon.
    ///
    /// # Errors
    /// When that takes too long or can not be; the message says what does not answer, and why.
    pub async fn ready(&self, tell: Tell<'_>) -> Result<(), UpError> {
        ready::wait(&self.stack, self.since, tell).await
    }

    /// Ends the stack: every instance and every task. Data stays in its directory.
    ///
    /// # Errors
    /// When instances could not be ended.
    pub async fn end(self) -> Result<(), RuntimeError> {
        let Self {
            stack,
            since: _,
            data_plane,
            effects_cancelled,
            cancelled,
            tasks,
            driver,
        } = self;
        drop(cancelled);
        drop(effects_cancelled);
        // A driver that panicked has left nothing to wait for.
        if let Ok(effects) = driver.await {
            effects.finished().await;
        }
        tasks.close();
        tasks.wait().await;
        kept::keep_caches(&stack).await;
        let cleared = stack.runtime.clear().await;
        drop(stack);
        if let Some(data_plane) = Arc::into_inner(data_plane) {
            data_plane.shutdown(GRACE).await;
        }
        cleared
    }
}

/// Control on the world that the past made, and a clock that goes on where the past ended.
fn control(world: World, past: &[Event], seed: u64) -> (Control, Clock) {
    let clock = Clock::starting_at(resumed_at(past, SystemTime::now()));
    (Control::new(world, seed), clock)
}

/// What the clock of a stack shows that goes on now: the time since its timeline began, and never less than what is told already,
/// should the machine's clock have been set back.
fn resumed_at(past: &[Event], now: SystemTime) -> Time {
    let Some(last) = past.last() else {
        return Time::ZERO;
    };
    let began = past.iter().find_map(|event| {
        let EventKind::TimelineStarted { started_at, .. } = &event.event else {
            return None;
        };
        started_at.parse().ok()
    });
    let elapsed = began.and_then(|began: jiff::Timestamp| now.duration_since(began.into()).ok());
    let told = last.at + Duration::from_millis(1);
    elapsed.map_or(told, |elapsed| told.max(Time::ZERO + elapsed))
}

/// What the timeline goes on with. Where a stack was taken down without its daemon, nobody has recorded that yet.
fn resumption(stopped: bool, world: &World) -> Vec<EventKind> {
    let unrecorded = stopped && world.phase != StackPhase::Stopping;
    let stopping = unrecorded.then(|| {
        let abandoned = abandoned(world).into_iter();
        std::iter::once(EventKind::StackStopping).chain(abandoned)
    });
    stopping
        .into_iter()
        .flatten()
        .chain([EventKind::ControlResumed])
        .collect()
}

/// What the timeline begins with.
fn first_event(plan: &Plan, runtime: RuntimeKind, seed: u64) -> EventKind {
    let hash = Sha256::digest(serde_json::to_vec(plan).unwrap_or_default());
    let started_at = jiff::Timestamp::try_from(SystemTime::now());
    EventKind::TimelineStarted {
        format: FORMAT,
        stack: plan.topology.name.clone(),
        runtime,
        seed,
        started_at: started_at.map(|at| at.to_string()).unwrap_or_default(),
        plan: hex::encode(hash),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The world as it will be told when the timeline goes on.
fn resumed(world: &World, past: &[Event], stopped: bool) -> World {
    let mut resumed = world.clone();
    let Some(last) = past.last() else {
        return resumed;
    };
    for (event, seq) in resumption(stopped, world).into_iter().zip(last.seq + 1..) {
        let at = last.at;
        resumed.apply(&Event { seq, at, event });
    }
    resumed
}

/// From its first packet on it serves what the past made of the stack, and what faults in force do to it: who was taken over goes on
/// asking all the while.
async fn data_plane(options: &UpOptions, ground: &Ground) -> Result<Arc<DataPlane>, UpError> {
    let Ground { bindings, .. } = *ground;
    let world = resumed(&ground.world, &ground.past, options.stopped);
    let plan = &*world.plan;
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
        who_dials: Some(crate::callers::who_dials),
        seed: options.seed,
    };
    let taken = |cause: &dyn std::error::Error| UpError::Machine {
        message: format!("failed to {cause}"),
        hint: Some("another program has this address; `localaws doctor` tells more".to_owned()),
    };
    let data_plane = DataPlane::start(config).map_err(|cause| taken(&cause))?;
    let first = crate::routes::routes(plan, &world);
    let network = Network {
        closed: plan
            .instances
            .iter()
            .map(|instance| instance.id.clone())
            .collect(),
        ..ground.faults.conditions(plan).network
    };
    data_plane.set_network(Arc::new(network));
    if let Err(cause) = data_plane.set_routes(Arc::new(first)).everywhere().await {
        data_plane.shutdown(Duration::ZERO).await;
        return Err(taken(&cause));
    }
    Ok(Arc::new(data_plane))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(started_at: &str, last: Time) -> Vec<Event> {
        let started = EventKind::TimelineStarted {
            format: FORMAT,
            stack: "shop".into(),
            runtime: RuntimeKind::Process,
            seed: 1,
            started_at: started_at.to_owned(),
            plan: String::new(),
            version: String::new(),
        };
        let events = [(Time::ZERO, started), (last, EventKind::StackAvailable)];
        let numbered = events.into_iter().zip(1..);
        numbered
            .map(|((at, event), seq)| Event { seq, at, event })
            .collect()
    }

    /// Doors of what was taken over open before Control has said anything: a name must not lead to the first host of the plan by then.
    #[test]
    fn the_first_routes_of_a_resumed_stack_are_those_that_its_past_left() {
        let file = "region: us-east-1\navailability-zones: [a, b]\ndb-instances: { orders: { multi-az: true } }\n";
        let (topology, notes) = topologies::check::check(file, "shop.yaml");
        let topology = topology.unwrap_or_else(|| panic!("{notes:?}"));
        let slot = topologies::address::Slot::new(topologies::address::Slot::MIN).unwrap();
        let mut world = World::new(&topologies::plan::plan(&topology, slot));
        let mut past = past("2026-11-25T10:00:00Z", Time::from_millis(5));
        let failover = [
            EventKind::StandbyInSync {
                db_instance: "orders".into(),
                instance: "orders-2".into(),
            },
            EventKind::FailoverStarted {
                db_instance: "orders".into(),
                from: "orders-1".into(),
                to: "orders-2".into(),
                reason: String::new(),
            },
            EventKind::WriterPromoted {
                db_instance: "orders".into(),
                instance: "orders-2".into(),
                timeline: 2,
                forked_at: None,
            },
        ];
        for (event, seq) in failover.into_iter().zip(3..) {
            let at = Time::from_millis(5);
            past.push(Event { seq, at, event });
        }
        past.iter().for_each(|event| world.apply(event));
        let resumed = resumed(&world, &past, false);
        let fresh = World::new(&world.plan);
        assert_eq!(resumed.phase, StackPhase::Resuming);
        assert_ne!(
            crate::routes::routes(&world.plan, &resumed).names,
            crate::routes::routes(&world.plan, &fresh).names
        );
        let fenced = resumed.fenced(&"orders-1".into());
        assert!(fenced && resumed.databases["orders"].primary == "orders-2".into());
    }

    #[test]
    fn the_clock_of_a_resumed_stack_has_gone_on_meanwhile_and_never_goes_back() {
        let began: jiff::Timestamp = "2026-11-25T10:00:00Z".parse().unwrap();
        let last = Time::from_millis(5_000);
        let past = past(&began.to_string(), last);
        let began = SystemTime::from(began);
        let at = |elapsed: u64| resumed_at(&past, began + Duration::from_secs(elapsed));
        assert_eq!(at(60), Time::from_millis(60_000));
        assert_eq!(at(2), Time::from_millis(5_001));
        let set_back = began - Duration::from_secs(60);
        assert_eq!(resumed_at(&past, set_back), Time::from_millis(5_001));
        assert_eq!(resumed_at(&[], began), Time::ZERO);
    }
}
