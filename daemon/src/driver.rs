//! The driver: the only owner of [`Control`]. It brings every stimulus into one order, records what Control decides, hands the
//! data plane its snapshots and orders to the effects.
//!
//! ```text
//!  runtime.watch ─┐                        ┌─► timeline file, broadcast, world
//!  probes ────────┼─► inbox ─► Control ────┼─► routes ─► data plane
//!  outcomes ──────┘            (one task)  └─► orders ─► effects
//!  requests (faults) ─► network, afflictions: Control is not told, the event is only recorded
//! ```
//! One task; cancelled by its token, it leaves Control as the timeline tells it.

mod calls;
mod faults;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use chaos::active::ActiveFault;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use proxies::plane::{Applied, DataPlane};
use proxies::routes::Routes;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use topologies::event::{Event, EventKind};
use topologies::id::InstanceId;
use topologies::network::Network;
use topologies::plan::Plan;
use topologies::runtime::{InstanceStatus, Observation, Runtime};
use topologies::time::Time;
use topologies::world::World;

use crate::aws::abandoned;
use crate::causes::chain;
use crate::control::{Control, Stimulus};
use crate::effects::{Effects, Fence};
use crate::estate::Estates;
use crate::faults::FaultFile;
use crate::harm::{Failures, Harm};
use crate::log::TimelineWriter;
use crate::routes::routes;
use crate::stack::Request;
pub use faults::Purpose;

/// The stack's clock: time since its timeline began, over all daemons that drove it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    offset: Time,
}

impl Clock {
    /// A clock that shows `offset` at this moment.
    pub fn starting_at(offset: Time) -> Self {
        Self {
            started: Instant::now(),
            offset,
        }
    }

    /// Now.
    pub fn now(&self) -> Time {
        self.offset + self.started.elapsed()
    }

    /// When the clock will show `time`.
    pub fn instant(&self, time: Time) -> Instant {
        self.started + time.since(self.offset)
    }
}

/// What the driver is made of.
pub struct Driver {
    /// Its clock.
    pub clock: Clock,
    /// What it owns.
    pub control: Control,
    /// Performs orders.
    pub effects: Effects,
    /// What instances are run with.
    pub estates: Estates,
    /// Takes snapshots.
    pub data_plane: Arc<DataPlane>,
    /// Where instances run.
    pub runtime: Arc<dyn Runtime>,
    /// Does harm to them and ends it.
    pub harm: Harm<Purpose>,
    /// The timeline file.
    pub log: TimelineWriter,
    /// Everything that Control takes in.
    pub inbox: mpsc::Receiver<Stimulus>,
    /// What is asked of the stack.
    pub requests: mpsc::Receiver<Request>,
    /// Where the world is published.
    pub world: watch::Sender<Arc<World>>,
    /// Where events are published.
    pub events: tokio::sync::broadcast::Sender<Arc<Event>>,
    /// The network's state, published for whoever acts physically.
    pub network: watch::Sender<Arc<Network>>,
    /// Faults of the AWS API, published for whoever answers calls.
    pub api_faults: watch::Sender<Arc<Vec<ActiveFault>>>,
    /// Has probes of cache nodes ask at once.
    pub hurry: watch::Sender<()>,
    /// Faults in force.
    pub faults: FaultFile,
    /// Ends the driver.
    pub cancelled: CancellationToken,
}

/// Stimuli that are taken in with one wait, before anything else gets its turn again.
const BATCH: usize = 32;

/// The branches of the driver's wait.
enum Wake {
    Stimuli,
    Request(Request),
    Harmed(Purpose, Failures),
    Host(Observation),
    Truth(Observation),
    Deadline,
    Cancelled,
}

/// What changes only in the loop.
struct State {
    /// Taken from the inbox, and handled before the next wait.
    stimuli: Vec<Stimulus>,
    published: Option<Arc<Routes>>,
    /// In force once every core serves what was published; a core takes snapshots in order, so the last one stands for all.
    fence: Fence,
    conditions: Network,
    closed: BTreeSet<InstanceId>,
    hosts: BoxStream<'static, Observation>,
    truth: BoxStream<'static, Observation>,
}

impl Driver {
    /// Takes the first stimuli in, then drives until it is cancelled or the stack is taken down. Gives back the effects, whose
    /// orders may not have ended yet.
    pub async fn run(mut self, first: Vec<Stimulus>) -> Effects {
        let mut state = State {
            stimuli: Vec::new(),
            published: None,
            fence: std::future::ready(()).boxed().shared(),
            conditions: self.faults.conditions(&self.plan()).network,
            closed: everybody(&self.plan()),
            hosts: self.runtime.watch(),
            truth: self.runtime.ground_truth(),
        };
        // What runs is seen, and what faults say is true, before the first order. Packets already go by the past's routes.
        while let Some(Some(observation)) = state.truth.next().now_or_never() {
            self.note_truth(&mut state, observation);
        }
        // Nobody has been told that anything is so.
        let _applied = self.publish_network(&state);
        let cancelled = self.cancelled.clone();
        let reconciled = cancelled.run_until_cancelled(self.reconcile_hosts());
        reconciled.await;
        for stimulus in first {
            self.handle(&mut state, stimulus);
        }
        self.reconcile_timeline(&mut state);
        while let Some(Some(observation)) = state.hosts.next().now_or_never() {
            self.handle(&mut state, Stimulus::Observation(observation));
        }
        loop {
            match self.wait(&mut state).await {
                Wake::Stimuli => {
                    let mut stimuli = std::mem::take(&mut state.stimuli);
                    for stimulus in stimuli.drain(..) {
                        self.handle(&mut state, stimulus);
                    }
                    state.stimuli = stimuli;
                }
                Wake::Host(observation) => {
                    self.handle(&mut state, Stimulus::Observation(observation))
                }
                Wake::Deadline => self.handle(&mut state, Stimulus::Tick),
                Wake::Truth(observation) => self.note_truth(&mut state, observation),
                Wake::Request(request) => self.serve(&mut state, request),
                Wake::Harmed(purpose, failures) => self.harmed(&mut state, purpose, failures),
                Wake::Cancelled => break,
            }
        }
        // A stack that is taken down and up again is whole. Nothing has to be done to hosts: they go.
        for fault in self.faults.end_all() {
            let healed = EventKind::FaultHealed { fault: fault.id };
            self.handle(&mut state, Stimulus::Note(healed));
        }
        self.handle(&mut state, Stimulus::Note(EventKind::StackStopping));
        // Nothing is ordered any more, so that what they stopped is asked to run when the stack comes up again.
        for event in abandoned(self.control.world()) {
            self.handle(&mut state, Stimulus::Note(event));
        }
        self.effects
    }

    /// Every branch only receives, so losing the race costs nothing: channels and streams keep what was not taken.
    async fn wait(&mut self, state: &mut State) -> Wake {
        let deadline = self
            .control
            .poll_timeout()
            .map(|(at, _)| self.clock.instant(at));
        let tick = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.cancelled.cancelled() => Wake::Cancelled,
            Some(observation) = state.truth.next() => Wake::Truth(observation),
            Some((purpose, failures)) = self.harm.next() => Wake::Harmed(purpose, failures),
            Some(request) = self.requests.recv() => Wake::Request(request),
            Some(observation) = state.hosts.next() => Wake::Host(observation),
            1.. = self.inbox.recv_many(&mut state.stimuli, BATCH) => Wake::Stimuli,
            () = tick => Wake::Deadline,
        }
    }

    fn handle(&mut self, state: &mut State, stimulus: Stimulus) {
        self.handle_at(state, stimulus, self.clock.now());
    }

    /// At a moment that was told already; nothing was handled since.
    fn handle_at(&mut self, state: &mut State, stimulus: Stimulus, now: Time) {
        let before = self.plan();
        self.control.handle(stimulus, now);
        let mut changed = false;
        while let Some(event) = self.control.poll_event() {
            changed = true;
            if let EventKind::CacheFailoverStarted { .. } = event.event {
                self.hurry.send_replace(());
            }
            self.log.write(&event);
            tracing::info!(
                seq = event.seq,
                subject = event.event.subject(),
                "{}",
                event.event
            );
            // Nobody listens, as often as not.
            let _listeners = self.events.send(Arc::new(event));
        }
        if !Arc::ptr_eq(&before, &self.control.world().plan) {
            self.follow(state, &before);
        }
        if changed || state.published.is_none() {
            self.publish_world(state);
        }
        // Routes go first: a primary that is given up is fenced before another is promoted.
        while let Some((ticket, action)) = self.control.poll_action() {
            self.effects.perform(ticket, action, state.fence.clone());
        }
    }

    fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.control.world().plan)
    }

    /// The plan was another `before`: whoever acts on instances goes on with the present one.
    fn follow(&mut self, state: &mut State, before: &Plan) {
        let plan = self.plan();
        if let Err(cause) = self.estates.follow(&plan) {
            // Its orders fail, and say so in the timeline.
            tracing::warn!(cause = chain(&cause), "not everything planned can be run");
        }
        self.effects.follow(&plan);
        let (old, new) = (everybody(before), everybody(&plan));
        state.closed.extend(new.difference(&old).cloned());
        state.closed.retain(|instance| new.contains(instance));
        state.conditions = self.faults.conditions(&plan).network;
        // The driver does not wait.
        let _applied = self.publish_network(state);
    }

    fn publish_world(&self, state: &mut State) {
        let world = Arc::new(self.control.world().clone());
        let wanted = routes(&world.plan, &world);
        if state.published.as_deref() != Some(&wanted) {
            let wanted = Arc::new(wanted);
            state.published = Some(Arc::clone(&wanted));
            let applied = self.data_plane.set_routes(wanted);
            state.fence = fence(applied);
            self.effects.watch(state.fence.clone());
        }
        self.world.send_replace(world);
    }

    /// Publishes what faults do: to the network, and to calls of the AWS API.
    fn publish_network(&self, state: &State) -> Applied {
        let network = Arc::new(Network {
            closed: state.closed.clone(),
            ..state.conditions.clone()
        });
        let applied = self.data_plane.set_network(Arc::clone(&network));
        self.network.send_replace(network);
        let calls = self.faults.of_calls();
        self.api_faults.send_if_modified(|published| {
            let changed = **published != calls;
            if changed {
                *published = Arc::new(calls);
            }
            changed
        });
        applied
    }

    fn note_truth(&mut self, state: &mut State, Observation { instance, status }: Observation) {
        let changed = match status {
            InstanceStatus::Running { .. } => state.closed.remove(&instance),
            InstanceStatus::Exited { .. } | InstanceStatus::Absent => {
                self.end_freeze(state, &instance);
                state.closed.insert(instance)
            }
        };
        if changed {
            // The driver does not wait.
            let _applied = self.publish_network(state);
        }
    }

    fn serve(&mut self, state: &mut State, request: Request) {
        // The asker may have gone away; what was asked for is done all the same.
        match request {
            Request::Inject { fault, by, answer } => {
                if let Err((answer, why)) = self.inject(state, &fault, by, answer) {
                    let _gone = answer.send(Err(why));
                }
            }
            Request::Preview(fault, answer) => {
                let down = self.presence(state).down;
                let possible = self.faults.check(&fault, &self.plan(), &down);
                let _gone = answer.send(possible.map_err(|cause| cause.to_string()));
            }
            Request::Heal(fault, answer) => {
                if let Err((answer, why)) = self.heal(state, fault.as_ref(), answer) {
                    let _gone = answer.send(Err(why));
                }
            }
            Request::Note(kind) => self.handle(state, Stimulus::Note(kind)),
            Request::Call { decide, answer } => self.call(state, decide, answer),
        }
    }
}

fn everybody(plan: &Plan) -> BTreeSet<InstanceId> {
    let instances = plan.instances.iter();
    instances.map(|instance| instance.id.clone()).collect()
}

fn fence(applied: Applied) -> Fence {
    let everywhere = async {
        if let Err(cause) = applied.everywhere().await {
            tracing::error!(%cause, "the data plane can not listen everywhere; tried again with the next change");
        }
    };
    everywhere.boxed().shared()
}
