//! A running stack as the API and the command line see it: what can be read, what can be asked for.
//!
//! The driver makes a [`Stack`] and serves its requests; everything else holds clones of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chaos::active::ActiveFault;
use chaos::fault::Fault;
use chaos::presence::Presence;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use topologies::event::Event;
use topologies::experiment::ActionOf;
use topologies::id::{FaultId, InstanceId};
use topologies::network::Network;
use topologies::plan::Plan;
use topologies::runtime::{Runtime, RuntimeKind};
use topologies::topology::Topology;
use topologies::world::World;

use crate::aws::{Decide, Decided, Metrics};
use crate::driver::Clock;
use crate::estate::Estate;

/// Requests under way at once; a caller waits for room beyond that.
pub const REQUESTS: usize = 64;

/// A running stack. Cheap to clone.
#[derive(Clone)]
pub struct Stack {
    /// Its runtime.
    pub runtime: Arc<dyn Runtime>,
    /// Which runtime, and why that one.
    pub runtime_choice: (RuntimeKind, String),
    /// What its topology file says.
    pub origin: Arc<Topology>,
    /// Its directory: state, secrets, timeline, logs.
    pub directory: PathBuf,
    /// What its instances are run with, after every change of the plan.
    pub estate: watch::Receiver<Arc<Estate>>,
    /// The port of its resolvers: 53, or another where that can not be bound.
    pub dns_port: u16,
    /// Added to ports below 1024, where those can not be bound; else 0.
    pub port_offset: u16,
    /// Its clock.
    pub clock: Clock,
    /// The world, after every change.
    pub world: watch::Receiver<Arc<World>>,
    /// The network's state, after every change.
    pub network: watch::Receiver<Arc<Network>>,
    /// Faults of the AWS API, after every change.
    pub api_faults: watch::Receiver<Arc<Vec<ActiveFault>>>,
    /// What is measured.
    pub metrics: Metrics,
    /// Events from now on. A reader that lags reads the timeline file again.
    pub events: broadcast::Sender<Arc<Event>>,
    /// Requests to the driver.
    pub requests: mpsc::Sender<Request>,
}

/// Something asked of a running stack.
pub enum Request {
    /// Inject a fault.
    Inject {
        /// The fault.
        fault: Fault,
        /// The experiment's action that it is part of; none if somebody asks for it.
        by: Option<ActionOf>,
        /// Told when it is in force, or why it is not.
        answer: oneshot::Sender<Result<Injected, String>>,
    },
    /// Say whether a fault, with every target in full, could be injected now.
    Preview(Fault, oneshot::Sender<Result<(), String>>),
    /// Heal one fault, or all.
    Heal(
        Option<FaultId>,
        oneshot::Sender<Result<Vec<FaultId>, String>>,
    ),
    /// Record that a drill began or ended.
    Note(topologies::event::EventKind),
    /// Decide a call of the AWS API, and carry out what it changes. Of a call whose asker has gone, nothing is done.
    Call {
        /// Decides.
        decide: Decide,
        /// Told the output, or the error.
        answer: oneshot::Sender<Decided>,
    },
}

/// A fault that was injected.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Injected {
    /// Its identifier.
    pub fault: FaultId,
    /// What it hits, one line each.
    pub consequences: Vec<String>,
}

impl Stack {
    /// What is planned at this moment.
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.world.borrow().plan)
    }

    /// The stack's timeline file: one event per line.
    pub fn timeline(&self) -> PathBuf {
        timeline(&self.directory)
    }

    /// The roles of the moment, and who is down.
    pub fn presence(&self, world: &World) -> Presence {
        presence(&world.plan, world, &self.network.borrow().closed)
    }
}

/// The timeline file of the stack with this directory.
pub fn timeline(directory: &Path) -> PathBuf {
    directory.join("timeline.jsonl")
}

/// The roles that the world tells; down is whose port is `closed`: what really is so, also where no host reports it.
pub fn presence(plan: &Plan, world: &World, closed: &BTreeSet<InstanceId>) -> Presence {
    Presence {
        down: closed.clone(),
        ..Presence::of(plan, world)
    }
}
