//! Runs a drill against a running stack: starts its clients, injects and heals on time, waits for the stack to be whole again,
//! and collects what the judgement needs. It judges nothing.

pub mod clients;
mod followed;
mod own;
mod survivors;
pub mod target;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chaos::blast_radius::blast_radius;
use chaos::drill::bind::Bound;
use chaos::drill::{Action, DnsCache, Drill, Traffic, Workload};
use chaos::fault::Fault;
use chaos::history::{EndpointHistory, FaultSpan, History, Redundancy};
use chaos::ledger::Ledger;
use proxies::Ports;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use topologies::event::{Event, EventKind};
use topologies::id::{ExperimentId, FaultId};
use topologies::notes::Note;
use topologies::plan::{Endpoint, EndpointKind, Plan};
use topologies::time::Time;
use topologies::world::World;

use crate::driver::Clock;
use crate::secrets::Secrets;
use crate::stack::Injected;
use clients::Client;
use followed::Followed;
pub use own::Own;
use target::{Cache, Patience, Target};

/// Operations that an endpoint's ledger holds.
const LEDGER_LIMIT: usize = 4_000_000;
/// How often it is looked whether the stack is whole again.
const SETTLE_LOOK: Duration = Duration::from_millis(100);

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
    /// The stack does not do what the drill needs.
    #[error("{0}")]
    Stack(String),
}

/// Clients of one endpoint, at work.
struct AtWork {
    workload: Workload,
    endpoint: Endpoint,
    /// The table or key that they write to.
    store: String,
    ledger: Arc<Mutex<Ledger>>,
}

/// Runs the drill to its end. Everything it injected is healed when it returns, also when it fails.
///
/// # Errors
/// When the drill does not fit the stack, or the stack does not take its faults.
pub async fn run(
    drill: &Drill,
    place: &Place,
    rig: &Own<'_>,
    tell: &(dyn Fn(&str) + Send + Sync),
) -> Result<History, DrillError> {
    let mut past = Followed::from_its_beginning(&place.first, rig).await?;
    steady(drill.settle, place, &mut past, tell).await?;
    let faults = &past.world().faults;
    if !faults.is_empty() {
        return Err(DrillError::Broken(faults.keys().cloned().collect()));
    }
    let experiments = past.world().account.experiments.live();
    let experiments: Vec<ExperimentId> = experiments.map(|(id, _)| id.clone()).collect();
    if !experiments.is_empty() {
        return Err(DrillError::Experimented(experiments));
    }
    let bound = drill
        .bind(&place.plan, &past.presence())
        .map_err(DrillError::Unfit)?;
    note(
        rig,
        EventKind::DrillStarted {
            drill: drill.name.clone(),
        },
    )
    .await;
    let outcome = perform(drill, &bound, place, past, tell).await;
    if outcome.is_err() {
        // The failure that ended the drill says more than one of the heal.
        let _undone = rig.undo(&place.first).await;
    }
    outcome
}

/// Returns once nothing is under way: the stack may just be recovering from what was before. One that does not recover in time is
/// taken as it is, and one that somebody broke is not waited for.
async fn steady(
    limit: Duration,
    place: &Place,
    past: &mut Followed<'_>,
    tell: &(dyn Fn(&str) + Send + Sync),
) -> Result<(), DrillError> {
    if past.world().whole() || !past.world().faults.is_empty() {
        return Ok(());
    }
    tell("waiting until the stack is whole");
    settle(limit, place, past).await
}

async fn perform(
    drill: &Drill,
    bound: &Bound,
    place: &Place,
    mut timeline: Followed<'_>,
    tell: &(dyn Fn(&str) + Send + Sync),
) -> Result<History, DrillError> {
    let at_work = prepare(bound, place).await?;
    let began = place.clock.now();
    let stop = CancellationToken::new();
    let mut clients = start(&at_work, place, &stop);
    tell(&format!("{} clients at work", clients.len()));
    let faults = perform_steps(drill, bound, (place, began), &mut timeline, tell).await;
    stop.cancel();
    // Every client ends with the operation it is in, whose waits end in time or with the drill.
    while clients.join_next().await.is_some() {}
    let mut faults = faults?;
    heal(&mut faults, None, place, &mut timeline).await?;
    tell("waiting until the stack is whole again");
    settle(drill.settle, place, &mut timeline).await?;
    number(&mut faults, timeline.events());
    let others = timeline.broken_by_others(began, &faults);
    if !others.is_empty() {
        return Err(DrillError::Disturbed(others));
    }
    tell("counting what survived");
    let mut endpoints = Vec::new();
    for clients in at_work {
        let survivors =
            survivors::collect(&clients.endpoint, &clients.workload, &clients.store, place).await;
        let ledger = std::mem::replace(
            &mut *clients
                .ledger
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
            Ledger::new(0),
        );
        endpoints.push(EndpointHistory {
            endpoint: clients.workload.name.clone(),
            traffic: clients.workload.traffic.clone(),
            ledger,
            survivors,
        });
    }
    Ok(History {
        began,
        ended: place.clock.now(),
        faults,
        endpoints,
        redundancy: redundancy(&place.first, timeline.events(), began),
    })
}

/// Makes the tables and keys that clients write to, empty.
async fn prepare(bound: &Bound, place: &Place) -> Result<Vec<AtWork>, DrillError> {
    let mut at_work = Vec::new();
    for (index, (workload, endpoint)) in bound.workload.iter().enumerate() {
        let store = format!("{}_{index}", clients::TABLE);
        survivors::clear(endpoint, workload, &store, place)
            .await
            .map_err(|why| {
                DrillError::Stack(format!(
                    "endpoint `{}` does not serve before the drill: {why}",
                    endpoint.id
                ))
            })?;
        let ledger = Arc::new(Mutex::new(Ledger::new(LEDGER_LIMIT)));
        at_work.push(AtWork {
            workload: workload.clone(),
            endpoint: endpoint.clone(),
            store,
            ledger,
        });
    }
    Ok(at_work)
}

fn start(at_work: &[AtWork], place: &Place, stop: &CancellationToken) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    let mut number = 0;
    for AtWork {
        workload,
        endpoint,
        store,
        ledger,
    } in at_work
    {
        for _ in 0..workload.clients {
            let client = Client {
                number,
                target: place.target(
                    endpoint,
                    Patience::of_client(workload.timeout, stop.clone()),
                    workload.dns_cache,
                ),
                every: Duration::from_secs(1) / workload.rate.max(1),
                clock: place.clock,
                ledger: Arc::clone(ledger),
                stop: stop.clone(),
            };
            number = number.saturating_add(1);
            match &workload.traffic {
                Traffic::SqlWrites => {
                    if let Some(config) = place.sql_config(endpoint) {
                        clients.spawn(client.write_sql(config, store.clone()));
                    }
                }
                Traffic::RedisWrites => {
                    clients.spawn(client.write_redis(store.clone(), place.auth_token(endpoint)));
                }
                Traffic::Http { path } => {
                    clients.spawn(client.request(path.clone()));
                }
            }
        }
    }
    clients
}

async fn perform_steps(
    drill: &Drill,
    bound: &Bound,
    (place, began): (&Place, Time),
    timeline: &mut Followed<'_>,
    tell: &(dyn Fn(&str) + Send + Sync),
) -> Result<Vec<FaultSpan>, DrillError> {
    let rig = timeline.rig();
    let mut spans: Vec<FaultSpan> = Vec::new();
    let mut labels: Vec<(String, FaultId)> = Vec::new();
    for step in &bound.steps {
        sleep_until(place, began + step.at).await;
        match &step.action {
            Action::Inject { fault, label } => {
                tell(&format!("injecting {fault}"));
                timeline.catch_up().await?;
                let consequences = blast_radius(fault, &place.plan, &timeline.presence());
                let from = place.clock.now();
                let injected = rig.inject(fault.clone()).await.map_err(DrillError::Stack)?;
                labels.extend(label.clone().map(|label| (label, injected.fault.clone())));
                spans.push(FaultSpan {
                    id: injected.fault,
                    fault: fault.clone(),
                    from,
                    to: (!fault.lasting()).then_some(from),
                    consequences,
                    injected_seq: None,
                    healed_seq: None,
                });
            }
            Action::Heal { label } => {
                // A label is free again once it is healed: the last one is meant.
                let labelled = |label: &String| labels.iter().rfind(|(known, _)| known == label);
                let wanted = label.as_ref().and_then(labelled).map(|(_, id)| id);
                tell("healing");
                heal(&mut spans, wanted, place, timeline).await?;
            }
        }
    }
    sleep_until(place, began + drill.duration).await;
    Ok(spans)
}

/// Heals what the drill injected: one fault, or all that are in force. Others' faults are for others to heal.
async fn heal(
    spans: &mut [FaultSpan],
    wanted: Option<&FaultId>,
    place: &Place,
    timeline: &mut Followed<'_>,
) -> Result<(), DrillError> {
    let open = spans.iter_mut().filter(|span| span.to.is_none());
    for span in open.filter(|span| wanted.is_none_or(|wanted| span.id == *wanted)) {
        if timeline.heal(&span.id).await? {
            span.to = Some(place.clock.now());
        }
    }
    Ok(())
}

async fn sleep_until(place: &Place, at: Time) {
    tokio::time::sleep_until(place.clock.instant(at).into()).await;
}

/// Waits until every DB instance has its standby in sync, every replica replicates, or the time is up.
async fn settle(
    limit: Duration,
    place: &Place,
    timeline: &mut Followed<'_>,
) -> Result<(), DrillError> {
    let deadline = place.clock.now() + limit;
    loop {
        timeline.catch_up().await?;
        if timeline.world().whole() || place.clock.now() >= deadline {
            return Ok(());
        }
        tokio::time::sleep(SETTLE_LOOK).await;
    }
}

/// The world that a timeline tells of a stack that was planned so when it began.
pub fn fold(first: &Plan, events: &[Event]) -> World {
    let mut world = World::new(first);
    for event in events {
        world.apply(event);
    }
    world
}

/// Which resources had their redundancy when the clients began, and when they lost and regained it.
fn redundancy(plan: &Plan, events: &[Event], began: Time) -> Vec<Redundancy> {
    let (before, after) = events.split_at(events.partition_point(|event| event.at < began));
    let mut world = fold(plan, before);
    let mut known = BTreeMap::new();
    let mut changes = Vec::new();
    let mut look = |world: &World, at, seq| {
        for (resource, full) in redundant(world) {
            if known.insert(resource.clone(), full) != Some(full) {
                changes.push(Redundancy {
                    at,
                    resource,
                    full,
                    seq,
                });
            }
        }
    };
    look(&world, began, None);
    for event in after {
        world.apply(event);
        look(&world, event.at, Some(event.seq));
    }
    changes
}

/// What is planned with more than one host, and whether it is redundant.
fn redundant(world: &World) -> impl Iterator<Item = (String, bool)> {
    let databases = world.databases.iter();
    let databases = databases.filter(|(_, db)| db.standby.is_some());
    let caches = world.caches.iter();
    let caches = caches.filter(|(_, cache)| !cache.replicas.is_empty());
    let databases = databases.map(|(id, db)| (id.to_string(), db.redundant()));
    databases.chain(caches.map(|(id, cache)| (id.to_string(), cache.redundant())))
}

/// Gives faults the timeline's numbers, and those that ended of themselves their end.
fn number(faults: &mut [FaultSpan], events: &[Event]) {
    for event in events {
        let (EventKind::FaultInjected { fault, .. } | EventKind::FaultHealed { fault }) =
            &event.event
        else {
            continue;
        };
        for span in faults.iter_mut().filter(|span| span.id == *fault) {
            if matches!(event.event, EventKind::FaultInjected { .. }) {
                span.injected_seq = Some(event.seq);
            } else {
                span.healed_seq = Some(event.seq);
                span.to = span.to.or(Some(event.at));
            }
        }
    }
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
