//! Runs a drill against a running stack: starts its clients, injects and heals on time, waits for the stack to be whole again,
//! and collects what the judgement needs. It judges nothing.

pub mod clients;
mod followed;
mod own;
mod performance;
mod survivors;
pub mod target;
mod told;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chaos::drill::{DnsCache, Drill};
use chaos::fault::Fault;
use chaos::history::History;
use proxies::Ports;
use topologies::event::{Event, EventKind};
use topologies::id::{ExperimentId, FaultId};
use topologies::notes::Note;
use topologies::plan::{Endpoint, EndpointKind, Plan};
use topologies::world::World;

use crate::driver::Clock;
use crate::secrets::Secrets;
use crate::stack::Injected;
use followed::Followed;
pub use own::Own;
use performance::Performance;
use target::{Cache, Patience, Target};

/// What a drill does to a stack, and asks of it: the control API, or a driver in the same process.
#[async_trait]
pub trait Rig: Send + Sync {
    /// Injects a fault.
    async fn inject(&self, fault: Fault) -> Result<Injected, String>;
    /// Heals a fault, or all.
    async fn heal(&self, fault: Option<FaultId>) -> Result<Vec<FaultId>, String>;
    /// The timeline after `seq`.
    async fn events(&self, after: u64) -> Result<Vec<Event>, String>;
    /// Records that a drill began or ended.
    async fn note(&self, kind: EventKind) -> Result<(), String>;
}

/// Where a drill's clients stand.
#[derive(Clone)]
pub struct Place {
    /// What is planned.
    pub plan: Arc<Plan>,
    /// What was planned when the timeline began: what it is folded on.
    pub first: Arc<Plan>,
    /// The stack's clock.
    pub clock: Clock,
    /// The resolver as seen from outside.
    pub resolver: SocketAddr,
    /// Where ports really are.
    pub ports: Ports,
    /// The stack's passwords.
    pub secrets: Arc<Secrets>,
}

/// Why a drill could not be run.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// It does not fit the stack.
    #[error("the drill does not fit this stack: {}", .0.iter().map(|note| note.message.as_str()).collect::<Vec<_>>().join("; "))]
    Unfit(Vec<Note>),
    /// Somebody broke it before: its clients would be judged by faults that the drill knows nothing of.
    #[error("faults are in force already: {}", .0.iter().map(FaultId::as_str).collect::<Vec<_>>().join(", "))]
    Broken(Vec<FaultId>),
    /// Experiments do so while they run.
    #[error("experiments are under way: {}", .0.iter().map(ExperimentId::as_str).collect::<Vec<_>>().join(", "))]
    Experimented(Vec<ExperimentId>),
    /// Somebody else broke it meanwhile.
    #[error("nothing is judged: somebody else broke the stack during the drill: {}", .0.join(", "))]
    Disturbed(Vec<String>),
    /// Whoever runs it wants it to end.
    #[error("it was interrupted")]
    Interrupted,
    /// The stack does not do what the drill needs.
    #[error("{0}")]
    Stack(String),
}

/// What came of a drill.
#[derive(Debug)]
pub struct Ran {
    /// What happened, as far as it came.
    pub history: History,
    /// What ended it before its time.
    pub cut_short: Option<CutShort>,
}

/// How a drill ended before its time.
#[derive(Debug)]
pub struct CutShort {
    /// Why.
    pub why: DrillError,
    /// Why something that the drill broke could not be healed.
    pub unhealed: Option<String>,
}

/// Runs the drill to its end, or until it is interrupted. Everything it injected is healed when it returns.
///
/// # Errors
/// When it is not begun: it does not fit the stack, or others have broken that.
pub async fn run(
    drill: &Drill,
    place: &Place,
    rig: &Own<'_>,
    tell: &(dyn Fn(&str) + Send + Sync),
    interrupted: impl Future<Output = ()>,
) -> Result<Ran, DrillError> {
    let past = Followed::from_its_beginning(&place.first, rig).await?;
    let mut performance = Performance::new(past, place);
    let outcome = tokio::select! {
        outcome = Box::pin(performance.whole(drill, tell)) => outcome,
        () = interrupted => Err(DrillError::Interrupted),
    };
    let cut_short = match outcome {
        Ok(()) => None,
        Err(why @ (DrillError::Unfit(_) | DrillError::Broken(_) | DrillError::Experimented(_))) => {
            return Err(why);
        }
        Err(why) => Some(CutShort {
            unhealed: performance.give_up(rig).await.err(),
            why,
        }),
    };
    let mut history = performance.history();
    history.cut_short = cut_short.as_ref().map(|cut| cut.why.to_string());
    Ok(Ran { history, cut_short })
}

/// The world that a timeline tells of a stack that was planned so when it began.
pub fn fold(first: &Plan, events: &[Event]) -> World {
    let mut world = World::new(first);
    for event in events {
        world.apply(event);
    }
    world
}

/// The timeline is for readers; a drill does not fail because a note of it could not be made.
async fn note(rig: &dyn Rig, kind: EventKind) {
    if let Err(cause) = rig.note(kind).await {
        tracing::debug!(cause, "drill not noted in the timeline");
    }
}

impl Place {
    fn target(&self, endpoint: &Endpoint, patience: Patience, dns_cache: DnsCache) -> Target {
        Target {
            resolver: self.resolver,
            name: endpoint.name.clone(),
            port: self.ports.real(endpoint.port),
            patience,
            cache: Cache::new(dns_cache),
        }
    }

    /// The way that the drill itself goes.
    fn careful(&self, endpoint: &Endpoint, limit: Duration) -> Target {
        self.target(endpoint, Patience::limited(limit), DnsCache::None)
    }

    fn sql_config(&self, endpoint: &Endpoint) -> Option<tokio_postgres::Config> {
        let (EndpointKind::RdsWriter(id) | EndpointKind::RdsInstance(id)) = &endpoint.kind else {
            return None;
        };
        let mut databases = self.plan.topology.db_instances.iter();
        let db = databases
            .find(|db| db.id == *id || db.read_replicas.iter().any(|replica| replica.id == *id))?;
        let mut config = tokio_postgres::Config::new();
        config
            .user(&db.master_username)
            .dbname(&db.db_name)
            .application_name("localaws-drill");
        config.password(self.secrets.databases.get(&db.id)?.master.expose());
        Some(config)
    }

    fn auth_token(&self, endpoint: &Endpoint) -> Option<String> {
        let (EndpointKind::ElasticachePrimary(id) | EndpointKind::ElasticacheReader(id)) =
            &endpoint.kind
        else {
            return None;
        };
        let group = self
            .plan
            .topology
            .replication_groups
            .iter()
            .find(|group| group.id == *id)?;
        group.auth_token.clone()
    }
}

#[cfg(test)]
mod tests;
