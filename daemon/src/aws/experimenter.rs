//! Carries experiments of Fault Injection Service out: has the driver do what [`fis`] says comes next.
//!
//! One task, which owns what is under way. It goes by the world alone: what it was about when a daemon ended, the next one's finds in
//! the timeline and in the file of faults in force. It ends with the driver.
//!
//! ```text
//!  world ─► next ─┬─ to be recorded ─────────────────────────────► driver
//!                 ├─ begin: calls, or faults one by one, then `running` ─► driver
//!                 └─ end: its faults healed, then `completed` ──────────► driver
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use chaos::fault::Fault;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use topologies::event::EventKind;
use topologies::experiment::{ActionOf, ActionStatus, Experiment};
use topologies::id::FaultId;
use topologies::time::Time;
use topologies::world::World;
use wire::{Catalog, Service};

use super::change::Change;
use super::fis::{self, Begun, Next};
use super::gateway;
use super::session::{Issuer, Principal};
use super::view::{Context, Facts, partition};
use crate::stack::{Request, Stack};

/// No fault takes longer to inject or to heal.
const FAULT_WITHIN: Duration = Duration::from_secs(60);
/// A fault that could not be healed is healed again after this time.
const RETRY: Duration = Duration::from_secs(2);

/// Carries out the experiments of a stack.
pub struct Experimenter {
    stack: Stack,
    facts: Facts,
    service: &'static Service,
}

/// The driver is gone.
struct Gone;

/// What is under way: an action that is being begun or ended, or whose faults are left.
type Work<'a> = FuturesUnordered<BoxFuture<'a, (ActionOf, Result<(), Gone>)>>;

impl Experimenter {
    /// For a stack; none if there is no model of the service.
    pub fn new(stack: Stack) -> Option<Self> {
        // Nobody is given credentials by an experiment.
        let facts = Facts::of(&stack, gateway::now(), Issuer::new([0; 32]));
        Some(Self {
            stack,
            facts,
            service: Catalog::standard().service("fis")?,
        })
    }

    /// Works until the driver is gone.
    pub async fn run(self) {
        let mut changes = self.stack.world.clone();
        let mut busy: BTreeSet<ActionOf> = BTreeSet::new();
        let mut work: Work<'_> = FuturesUnordered::new();
        loop {
            let world = changes.borrow_and_update().clone();
            let (nexts, wake) = look(&world, &busy, self.stack.clock.now());
            if nexts.iter().any(|(_, next)| !next.records.is_empty()) {
                let recorded = self.record(busy.clone());
                if beside(&mut work, &mut busy, recorded).await.is_err() {
                    return;
                }
                continue;
            }
            for of in strays(&world, &busy) {
                busy.insert(of.clone());
                work.push(Box::pin(self.sweep(of)));
            }
            for (id, next) in nexts {
                let of = |action| ActionOf {
                    experiment: id.clone(),
                    action,
                };
                for of in next.begin.into_iter().map(of) {
                    busy.insert(of.clone());
                    work.push(Box::pin(self.begin(of)));
                }
                for of in next.end.into_iter().map(of) {
                    busy.insert(of.clone());
                    work.push(Box::pin(self.end(of)));
                }
            }
            let clock = self.stack.clock;
            let due = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(clock.instant(at).into()).await,
                    None => std::future::pending().await,
                }
            };
            // Every branch only waits: what is not taken is there the next time.
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    return;
                },
                Some((of, done)) = work.next() => {
                    busy.remove(&of);
                    if done.is_err() {
                        return;
                    }
                }
                () = due => {}
            }
        }
    }

    /// Has the driver record what is due, as it sees the world then.
    async fn record(&self, busy: BTreeSet<ActionOf>) -> Result<(), Gone> {
        let decided = self.turn(move |world, now| {
            let nexts = look(world, &busy, now).0.into_iter();
            let records = nexts.flat_map(|(_, next)| next.records);
            ((), records.map(Change::Note).collect())
        });
        decided.await
    }

    async fn begin(&self, of: ActionOf) -> (ActionOf, Result<(), Gone>) {
        let begun = self.begun(&of).await;
        (of, begun)
    }

    async fn begun(&self, of: &ActionOf) -> Result<(), Gone> {
        let faults = self.call(of).await?;
        if faults.is_empty() {
            return Ok(());
        }
        let mut failed = None;
        for fault in faults {
            if let Err(why) = self.inject(of, fault).await? {
                failed = Some(why);
                break;
            }
        }
        if failed.is_some() {
            // What is left is swept up later.
            self.heal(of).await?;
        }
        let owner = of.clone();
        let told = self.turn(move |world, _| {
            let (status, reason) = match failed {
                None => (ActionStatus::Running, None),
                Some(why) => (ActionStatus::Failed, Some(why)),
            };
            let initiating = action(world, &owner) == Some(ActionStatus::Initiating);
            let event = initiating.then(|| Change::Note(changed(owner, status, reason)));
            ((), event.into_iter().collect())
        });
        told.await
    }

    /// Has the driver do what an action does at once, and say that it runs if that is all; the faults that it needs besides.
    async fn call(&self, of: &ActionOf) -> Result<Vec<Fault>, Gone> {
        let (owner, facts, service) = (of.clone(), self.facts.clone(), self.service);
        self.turn(move |world, now| {
            let experiment = world.account.experiments.get(owner.experiment.as_str());
            let initiating =
                |it: &&Experiment| it.action(&owner.action) == Some(ActionStatus::Initiating);
            let Some(experiment) = experiment.filter(initiating) else {
                return (Vec::new(), Vec::new());
            };
            let context = context(world, &owner, experiment, (facts, service, now));
            match fis::begin(&context.view(world), &owner, experiment) {
                Err(why) => {
                    let failed = changed(owner, ActionStatus::Failed, Some(why));
                    (Vec::new(), vec![Change::Note(failed)])
                }
                Ok(Begun { changes, faults }) if faults.is_empty() => {
                    // First what it is: then nobody begins it again, should the daemon die in between.
                    let running = changed(owner, ActionStatus::Running, None);
                    let all = std::iter::once(Change::Note(running)).chain(changes);
                    (Vec::new(), all.collect())
                }
                Ok(Begun { changes, faults }) => (faults, changes),
            }
        })
        .await
    }

    async fn end(&self, of: ActionOf) -> (ActionOf, Result<(), Gone>) {
        let ended = self.ended(&of).await;
        (of, ended)
    }

    async fn ended(&self, of: &ActionOf) -> Result<(), Gone> {
        if !self.heal(of).await? {
            // It is still to be ended.
            tokio::time::sleep(RETRY).await;
            return Ok(());
        }
        let owner = of.clone();
        let told = self.turn(move |world, _| {
            let status = action(world, &owner);
            let experiment = world.account.experiments.get(owner.experiment.as_str());
            let over = match (experiment, status) {
                (Some(experiment), Some(ActionStatus::Running)) => {
                    Some((experiment, ActionStatus::Completed))
                }
                (Some(experiment), Some(ActionStatus::Stopping)) => {
                    Some((experiment, ActionStatus::Stopped))
                }
                _ => None,
            };
            let Some((experiment, over)) = over else {
                return ((), Vec::new());
            };
            let (mut events, failed) = fis::end(world, &owner, experiment);
            let over = match failed {
                Some(_) => ActionStatus::Failed,
                None => over,
            };
            events.push(changed(owner, over, failed));
            ((), events.into_iter().map(Change::Note).collect())
        });
        told.await
    }

    /// Ends faults that outlived their action.
    async fn sweep(&self, of: ActionOf) -> (ActionOf, Result<(), Gone>) {
        let healed = self.heal(&of).await;
        if let Ok(false) = healed {
            tokio::time::sleep(RETRY).await;
        }
        (of, healed.map(|_| ()))
    }

    /// Injects a fault; why not, if so. One that is there already was injected before the last daemon ended.
    async fn inject(&self, of: &ActionOf, fault: Fault) -> Result<Result<(), String>, Gone> {
        let there = {
            let world = self.stack.world.borrow();
            let mut faults = world.faults.values();
            faults.any(|it| {
                it.by.as_ref() == Some(of) && it.kind == fault.kind() && it.target == fault.target()
            })
        };
        if there {
            return Ok(Ok(()));
        }
        let by = Some(of.clone());
        let injected = self.ask(|answer| Request::Inject { fault, by, answer });
        Ok(injected.await?.map(|_| ()))
    }

    /// Heals the faults of an action; whether all are.
    async fn heal(&self, of: &ActionOf) -> Result<bool, Gone> {
        let mut all = true;
        for id in self.faults_of(of) {
            let wanted = Some(id.clone());
            let healed = self.ask(|answer| Request::Heal(wanted, answer)).await?;
            if let Err(why) = healed
                && self.stack.world.borrow().faults.contains_key(&id)
            {
                tracing::error!(%id, %of, why, "a fault of an experiment was not healed");
                all = false;
            }
        }
        Ok(all)
    }

    fn faults_of(&self, of: &ActionOf) -> Vec<FaultId> {
        let world = self.stack.world.borrow();
        let faults = world.faults.iter();
        let own = faults.filter(|(_, it)| it.by.as_ref() == Some(of));
        own.map(|(id, _)| id.clone()).collect()
    }

    /// Asks the driver for a fault's beginning or end.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, String>>) -> Request,
    ) -> Result<Result<T, String>, Gone> {
        let (answer, answered) = oneshot::channel();
        let sent = self.stack.requests.send(request(answer)).await;
        sent.map_err(|_| Gone)?;
        match tokio::time::timeout(FAULT_WITHIN, answered).await {
            Ok(answered) => answered.map_err(|_| Gone),
            Err(_) => Ok(Err(format!("not within {FAULT_WITHIN:?}"))),
        }
    }

    /// Has the driver decide something between two stimuli; what it decided besides.
    async fn turn<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&World, Time) -> (T, Vec<Change>) + Send + 'static,
    ) -> Result<T, Gone> {
        let (taken, told) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let decide = Box::new(move |world: &World, now| {
            let (besides, changes) = decide(world, now);
            // Who asked waits for it.
            let _gone = taken.send(besides);
            Ok((Value::Null, changes))
        });
        let sent = self.stack.requests.send(Request::Call { decide, answer });
        sent.await.map_err(|_| Gone)?;
        let decided = answered.await.map_err(|_| Gone)?;
        if let Err(fault) = decided {
            tracing::error!(code = %fault.code, fault.message, "an experiment's step was refused");
            // It comes again: not at once.
            tokio::time::sleep(RETRY).await;
        }
        told.await.map_err(|_| Gone)
    }
}

/// Waits for something to be recorded while what is under way goes on: what the driver refuses to record for one experiment holds up no
/// other's faults.
async fn beside(
    work: &mut Work<'_>,
    busy: &mut BTreeSet<ActionOf>,
    recorded: impl Future<Output = Result<(), Gone>>,
) -> Result<(), Gone> {
    let mut recorded = std::pin::pin!(recorded);
    loop {
        tokio::select! {
            recorded = &mut recorded => return recorded,
            Some((of, done)) = work.next() => {
                busy.remove(&of);
                done?;
            }
        }
    }
}

/// What comes next in every experiment that is not over, and when to look again.
fn look(
    world: &World,
    busy: &BTreeSet<ActionOf>,
    now: Time,
) -> (Vec<(topologies::id::ExperimentId, Next)>, Option<Time>) {
    let live = world.account.experiments.live();
    let nexts: Vec<_> = live
        .map(|(id, experiment)| {
            let busy = |action: &str| {
                let mut all = busy.iter();
                all.any(|it| it.experiment == *id && it.action == action)
            };
            (id.clone(), fis::next(id, experiment, &busy, now))
        })
        .collect();
    let wake = nexts.iter().filter_map(|(_, next)| next.wake).min();
    (nexts, wake)
}

/// Actions that are over, or that there never were, and have faults in force: a daemon may have ended at the wrong moment.
fn strays(world: &World, busy: &BTreeSet<ActionOf>) -> BTreeSet<ActionOf> {
    let owners = world.faults.values().filter_map(|it| it.by.as_ref());
    let stray = owners.filter(|of| {
        let over = action(world, of).is_none_or(ActionStatus::is_over);
        over && !busy.contains(of)
    });
    stray.cloned().collect()
}

fn action(world: &World, of: &ActionOf) -> Option<ActionStatus> {
    let experiment = world.account.experiments.get(of.experiment.as_str())?;
    experiment.action(&of.action)
}

fn changed(of: ActionOf, status: ActionStatus, reason: Option<String>) -> EventKind {
    EventKind::ExperimentActionStatusChanged { of, status, reason }
}

/// In what circumstances an action calls other services: with its experiment's role, in its region. Nothing of it is drawn.
fn context(
    world: &World,
    of: &ActionOf,
    experiment: &Experiment,
    (facts, service, now): (Facts, &'static Service, Time),
) -> Context {
    let blueprint = &experiment.blueprint;
    let (region, account) = (blueprint.region.as_str(), &world.plan.topology.account_id);
    let role = blueprint.role_arn.rsplit('/').next().unwrap_or_default();
    let session = format!("assumed-role/{role}/{}", of.experiment);
    let hash = Sha256::digest(of.to_string());
    let mut entropy = [0; 16];
    entropy.copy_from_slice(&hash[..16]);
    Context {
        now: facts.wall(now),
        region: region.to_owned(),
        service,
        caller: Principal {
            arn: format!("arn:{}:sts::{account}:{session}", partition(region)),
            id: session,
        },
        entropy,
        facts,
    }
}

#[cfg(test)]
mod tests;
