//! Performs orders: one task each, bounded in time, orders for one instance in the order in which they were given. The outcome
//! goes back to Control with the order's ticket.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use topologies::id::InstanceId;
use topologies::plan::{Instance, InstanceKind, Plan};
use topologies::runtime::{InstanceStatus, Runtime, Software, StopMode};

use crate::apps::Apps;
use crate::control::Stimulus;
use crate::control::action::{Action, DbRole, Means, Outcome, Ticket};
use crate::engines::postgres::{self, DataState, Postgres};
use crate::engines::redis::{self, Redis};
use crate::engines::{Directories, EngineError, EngineHost, files};
use crate::estate::{Estate, Estates, software, software_of};

/// Orders that may wait for an instance's turn.
const QUEUE: usize = 16;
/// The longest that a promotion waits until the old primary is fenced on every core of the data plane; it is tried again then.
const FENCE_LIMIT: Duration = Duration::from_secs(2);
/// The longest that a promotion may take.
const PROMOTE_LIMIT: Duration = Duration::from_secs(20);
/// How long a program that is asked to end may take before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// The longest that any order may take: a fresh copy of a large database.
const ORDER_LIMIT: Duration = Duration::from_secs(1_900);

/// Performs orders.
pub struct Effects {
    /// One queue for each instance: orders for one are performed one after the other, as they were given.
    queues: BTreeMap<InstanceId, mpsc::Sender<Order>>,
    outcomes: mpsc::Sender<Stimulus>,
    tasks: TaskTracker,
    cancelled: CancellationToken,
    shared: Arc<Shared>,
}

/// Resolves once every core of the data plane serves the routes that were published last.
pub type Fence = futures_util::future::Shared<BoxFuture<'static, ()>>;

/// An order, and the fence that has to be in force before it may promote anybody.
struct Order {
    ticket: Ticket,
    action: Action,
    fence: Fence,
}

struct Shared {
    estate: watch::Receiver<Arc<Estate>>,
    runtime: Arc<dyn Runtime>,
    directories: Directories,
    apps: Apps,
    /// What the runtime was told to have at hand.
    prepared: tokio::sync::Mutex<BTreeSet<Software>>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Effects {
    /// Performs orders until `cancelled`; outcomes go to `outcomes`. One task for each instance.
    pub fn start(
        estates: &Estates,
        runtime: Arc<dyn Runtime>,
        apps: Apps,
        outcomes: mpsc::Sender<Stimulus>,
        cancelled: CancellationToken,
    ) -> Self {
        let estate = estates.watch();
        let plan = Arc::clone(&estate.borrow().plan);
        let directories = estates.directories().clone();
        let shared = Shared {
            prepared: tokio::sync::Mutex::new(software(&plan).into_iter().collect()),
            estate,
            runtime,
            directories,
            apps,
        };
        let mut effects = Self {
            shared: Arc::new(shared),
            cancelled,
            queues: BTreeMap::new(),
            outcomes,
            tasks: TaskTracker::new(),
        };
        effects.follow(&plan);
        effects
    }

    /// Takes orders for the instances of this plan. Those that were given for others are still performed.
    pub fn follow(&mut self, plan: &Plan) {
        self.queues.retain(|id, _| plan.instance(id).is_some());
        for instance in &plan.instances {
            let shared = &self.shared;
            let (tasks, cancelled) = (&self.tasks, &self.cancelled);
            let outcomes = &self.outcomes;
            self.queues.entry(instance.id.clone()).or_insert_with(|| {
                let (queue, orders) = mpsc::channel(QUEUE);
                let orders = perform_in_turn(Arc::clone(shared), orders, outcomes.clone());
                let cancelled = cancelled.clone();
                tasks.spawn(async move { cancelled.run_until_cancelled(orders).await });
                queue
            });
        }
    }

    /// Watches a fence to its end, so that it comes into force and is logged whether or not an order waits for it.
    pub fn watch(&self, fence: Fence) {
        self.tasks.spawn(fence);
    }

    /// Takes an order; its outcome comes later. A promotion waits for `fence`: the primary that is given up must not be able to
    /// acknowledge anything any more.
    pub fn perform(&self, ticket: Ticket, action: Action, fence: Fence) {
        tracing::debug!(?ticket, %action, "order given");
        let instance = action.instance().clone();
        let refused = match self.queues.get(&instance) {
            None => Some(format!("instance `{instance}` is not planned")),
            Some(queue) => queue
                .try_send(Order {
                    ticket,
                    action,
                    fence,
                })
                .err()
                .map(|_| format!("{QUEUE} orders wait already")),
        };
        if let Some(why) = refused {
            let outcomes = self.outcomes.clone();
            self.tasks.spawn(async move {
                // Nobody takes it if the driver has ended.
                let _ended = outcomes
                    .send(Stimulus::Outcome(ticket, Outcome::Failed(why)))
                    .await;
            });
        }
    }

    /// Waits until every order has ended or was cancelled, and nothing is written any more that one began.
    pub async fn finished(self) {
        drop(self.queues);
        self.tasks.close();
        self.tasks.wait().await;
        self.shared.directories.work.finished().await;
    }
}

async fn perform_in_turn(
    shared: Arc<Shared>,
    mut orders: mpsc::Receiver<Order>,
    outcomes: mpsc::Sender<Stimulus>,
) {
    while let Some(order) = orders.recv().await {
        let Order {
            ticket,
            action,
            fence,
        } = order;
        let work = async {
            if action.promotes() {
                in_force(fence, FENCE_LIMIT).await?;
            }
            shared.run(&action).await
        };
        let outcome = match tokio::time::timeout(ORDER_LIMIT, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(cause)) => failure(cause.as_ref()),
            Err(_) => Outcome::Failed(format!("not done within {ORDER_LIMIT:?}")),
        };
        tracing::debug!(?ticket, %action, ?outcome, "order ended");
        if outcomes
            .send(Stimulus::Outcome(ticket, outcome))
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Waits until the old primary's interface is closed on every core of the data plane.
async fn in_force(fence: Fence, limit: Duration) -> Result<(), Failure> {
    tokio::time::timeout(limit, fence)
        .await
        .map_err(|_| "the old primary's interface is not closed on every core yet".into())
}

impl Shared {
    async fn run(&self, action: &Action) -> Result<Outcome, Failure> {
        match action {
            Action::StartApp { instance } => {
                self.prepare(instance).await?;
                let estate = self.estate();
                let plan = self.apps.plan(&estate, find(&estate, instance)?)?;
                self.runtime.ensure(&plan).await?;
            }
            Action::Stop { instance } => {
                self.runtime
                    .stop(instance, StopMode::Graceful(STOP_LIMIT))
                    .await?;
            }
            Action::Remove { instance } => {
                self.runtime.stop(instance, StopMode::Immediate).await?;
                let directory = self.directories.instance(instance);
                let removed = move || files::remove_tree(&directory);
                self.directories.work.run(removed).await?;
            }
            Action::StartDatabase { instance, role } => {
                self.prepare(instance).await?;
                let (engine, host) = self.database(instance)?;
                engine.seed(&host).await?;
                let role = self.role(instance, role, engine.data_state(&host))?;
                engine.start(&host, &role).await?;
            }
            Action::ConfigurePrimary { instance } => {
                let (engine, host) = self.database(instance)?;
                engine.configure_primary(&host).await?;
            }
            Action::SetSynchronousStandby { primary, standby } => {
                let (engine, host) = self.database(primary)?;
                engine
                    .set_synchronous_standby(&host, standby.as_ref())
                    .await?;
            }
            Action::Demote { instance } => {
                let (engine, host) = self.database(instance)?;
                engine.demote(&host).await?;
                engine.stop(instance, StopMode::Immediate).await?;
            }
            Action::Promote { instance } => {
                let (engine, host) = self.database(instance)?;
                let promotion = engine.promote(&host, PROMOTE_LIMIT).await?;
                return Ok(Outcome::Promoted {
                    timeline: promotion.timeline,
                    offset: promotion.forked_at.map(|at| at.0),
                });
            }
            Action::Follow { instance, source } => {
                let (engine, host) = self.database(instance)?;
                let source = self.host(source)?;
                engine
                    .follow(&host, &source.upstream_for(host.address.zone))
                    .await?;
            }
            Action::Rejoin {
                instance,
                source,
                by,
            } => self.rejoin(instance, source, *by).await?,
            Action::StartCache { .. }
            | Action::RejoinCache { .. }
            | Action::PromoteCache { .. }
            | Action::FollowCache { .. } => return self.run_on_cache(action).await,
        }
        Ok(Outcome::Done)
    }

    async fn run_on_cache(&self, action: &Action) -> Result<Outcome, Failure> {
        match action {
            Action::StartCache { instance, source } => {
                self.prepare(instance).await?;
                let (engine, node) = self.cache(instance)?;
                let ran = self.runs(instance).await?;
                engine
                    .start(&node, &self.cache_role(&node, source.as_ref())?)
                    .await?;
                // One that ran already has the role it had.
                match source {
                    Some(source) if ran => {
                        let source = self.host(source)?;
                        engine
                            .follow(&node, &source.upstream_for(node.address.zone))
                            .await?;
                    }
                    None if ran => engine.promote(&node).await?,
                    Some(_) | None => {}
                }
            }
            Action::RejoinCache { instance, source } => {
                let (engine, node) = self.cache(instance)?;
                engine.stop(instance, StopMode::Immediate).await?;
                engine
                    .start(&node, &self.cache_role(&node, Some(source))?)
                    .await?;
            }
            Action::PromoteCache { instance } => {
                let (engine, node) = self.cache(instance)?;
                engine.promote(&node).await?;
                let offset = match engine.probe(&node, PROMOTE_LIMIT).await {
                    redis::CacheProbe::Answered(status) => status.offset,
                    redis::CacheProbe::Loading
                    | redis::CacheProbe::Refused
                    | redis::CacheProbe::TimedOut
                    | redis::CacheProbe::Failed(_) => 0,
                };
                return Ok(Outcome::Promoted {
                    timeline: 0,
                    offset: Some(offset),
                });
            }
            Action::FollowCache { instance, source } => {
                let (engine, node) = self.cache(instance)?;
                let source = self.host(source)?;
                engine
                    .follow(&node, &source.upstream_for(node.address.zone))
                    .await?;
            }
            Action::StartApp { .. }
            | Action::Stop { .. }
            | Action::Remove { .. }
            | Action::StartDatabase { .. }
            | Action::ConfigurePrimary { .. }
            | Action::SetSynchronousStandby { .. }
            | Action::Demote { .. }
            | Action::Promote { .. }
            | Action::Follow { .. }
            | Action::Rejoin { .. } => {}
        }
        Ok(Outcome::Done)
    }

    /// The mark goes first: whatever fails after it, the host never starts as a writer again. A host that could not reach its source
    /// is not stopped for it.
    async fn rejoin(
        &self,
        instance: &InstanceId,
        source: &InstanceId,
        by: Means,
    ) -> Result<(), Failure> {
        let (engine, host) = self.database(instance)?;
        let role = self.follower(instance, source)?;
        let source = self.host(source)?;
        engine.demote(&host).await?;
        engine.reach(&source, host.address.zone).await?;
        engine.stop(instance, StopMode::Immediate).await?;
        let rejoined = match by {
            Means::Rewind => engine.rejoin(&host, &source, &role).await?,
            Means::Copy => engine.replace(&host, &role).await?,
        };
        tracing::info!(%instance, ?rejoined, "rejoined");
        Ok(())
    }

    async fn runs(&self, id: &InstanceId) -> Result<bool, Failure> {
        let present = self.runtime.list().await?;
        let running = |status: &InstanceStatus| matches!(status, InstanceStatus::Running { .. });
        Ok(present
            .iter()
            .any(|one| one.instance == *id && running(&one.status)))
    }

    fn estate(&self) -> Arc<Estate> {
        Arc::clone(&self.estate.borrow())
    }

    fn host(&self, id: &InstanceId) -> Result<EngineHost, Failure> {
        find(&self.estate(), id).map(EngineHost::of)
    }

    /// Makes sure that what runs an instance is at hand, once for each software: an instance may be the first of its kind.
    async fn prepare(&self, id: &InstanceId) -> Result<(), Failure> {
        let estate = self.estate();
        let kind = &find(&estate, id)?.kind;
        let Some(software) = software_of(&estate.plan, kind) else {
            return Ok(());
        };
        let mut prepared = self.prepared.lock().await;
        if !prepared.contains(&software) {
            let told = |line: &str| tracing::info!(%id, "{line}");
            self.runtime
                .prepare(std::slice::from_ref(&software), &told)
                .await?;
            prepared.insert(software);
        }
        Ok(())
    }

    fn database(&self, id: &InstanceId) -> Result<(Arc<Postgres>, EngineHost), Failure> {
        let estate = self.estate();
        let instance = find(&estate, id)?;
        let InstanceKind::DbHost(db) = &instance.kind else {
            return Err(format!("instance `{id}` is no database host").into());
        };
        let engine = estate.postgres.get(db);
        let engine = engine.ok_or_else(|| format!("`{db}` has no engine"))?;
        Ok((Arc::clone(engine), EngineHost::of(instance)))
    }

    fn cache(&self, id: &InstanceId) -> Result<(Arc<Redis>, EngineHost), Failure> {
        let estate = self.estate();
        let instance = find(&estate, id)?;
        let InstanceKind::CacheNode(group) = &instance.kind else {
            return Err(format!("instance `{id}` is no cache node").into());
        };
        let engine = estate.redis.get(group);
        let engine = engine.ok_or_else(|| format!("`{group}` has no engine"))?;
        Ok((Arc::clone(engine), EngineHost::of(instance)))
    }

    fn role(
        &self,
        id: &InstanceId,
        role: &DbRole,
        data: DataState,
    ) -> Result<postgres::DbRole, Failure> {
        Ok(match role {
            DbRole::Primary {
                synchronous_standby,
            } => postgres::DbRole::Primary {
                synchronous_standby: synchronous_standby.clone(),
            },
            // It was promoted, and its process ended before that was told: nobody follows it yet.
            DbRole::Successor { .. } if data == DataState::Writer => postgres::DbRole::Primary {
                synchronous_standby: None,
            },
            DbRole::Standby { of } | DbRole::Successor { of } => self.follower(id, of)?,
        })
    }

    /// A read replica serves reads; the standby of a Multi-AZ DB instance turns clients away.
    fn follower(&self, id: &InstanceId, of: &InstanceId) -> Result<postgres::DbRole, Failure> {
        let estate = self.estate();
        let instance = find(&estate, id)?;
        let of = self.host(of)?.upstream_for(instance.address.zone);
        Ok(if is_read_replica(&estate.plan, instance) {
            postgres::DbRole::Replica { of }
        } else {
            postgres::DbRole::Standby { of }
        })
    }

    fn cache_role(
        &self,
        node: &EngineHost,
        source: Option<&InstanceId>,
    ) -> Result<redis::CacheRole, Failure> {
        Ok(match source {
            None => redis::CacheRole::Primary,
            Some(source) => {
                let of = self.host(source)?.upstream_for(node.address.zone);
                redis::CacheRole::Replica { of }
            }
        })
    }
}

fn find<'e>(estate: &'e Estate, id: &InstanceId) -> Result<&'e Instance, Failure> {
    let found = estate.plan.instance(id);
    found.ok_or_else(|| format!("instance `{id}` is not planned").into())
}

fn is_read_replica(plan: &Plan, instance: &Instance) -> bool {
    let InstanceKind::DbHost(db) = &instance.kind else {
        return false;
    };
    let owners = plan.topology.db_instances.iter();
    owners
        .flat_map(|owner| &owner.read_replicas)
        .any(|replica| replica.id == *db)
}

/// What is refused for the host's data is told apart: trying again does not help.
fn failure(cause: &(dyn std::error::Error + 'static)) -> Outcome {
    let why = one_line(&chain(cause));
    match cause.downcast_ref() {
        Some(EngineError::Refused { .. }) => Outcome::Refused(why),
        Some(_) | None => Outcome::Failed(why),
    }
}

/// A text on one line: what an engine printed has several, and characters that steer a terminal.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let text = lines.fold(String::new(), |text, line| match text.chars().last() {
        None => line.to_owned(),
        Some(':') => format!("{text} {line}"),
        Some(_) => format!("{text}; {line}"),
    });
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.collect()
}

/// An error with its causes, `a: b: c`.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_promotion_fails_while_a_core_may_still_speak_to_the_old_primary() {
        let never: Fence = std::future::pending().boxed().shared();
        assert!(in_force(never, Duration::ZERO).await.is_err());
        let (closed, fence) = tokio::sync::oneshot::channel::<()>();
        let fence: Fence = fence.map(|_| ()).boxed().shared();
        assert!(fence.peek().is_none());
        drop(closed);
        assert!(in_force(fence, FENCE_LIMIT).await.is_ok());
    }

    #[test]
    fn what_an_engine_prints_becomes_one_plain_line() {
        let printed = "postgres -C ended with 1:\n  LOG:  a\r\n\n\tFATAL:\tb\u{1b}[0m\n";
        assert_eq!(
            one_line(printed),
            "postgres -C ended with 1: LOG:  a; FATAL: b [0m"
        );
    }
}
