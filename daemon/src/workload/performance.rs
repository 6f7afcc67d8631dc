//! A drill under way: what it has done and seen so far stays here, so that one that ends before its time can tell of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chaos::blast_radius::blast_radius;
use chaos::drill::bind::Bound;
use chaos::drill::{Action, Drill, Traffic, Workload};
use chaos::fault::Fault;
use chaos::history::{EndpointHistory, FaultSpan, History, Survivors};
use chaos::ledger::Ledger;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use topologies::event::EventKind;
use topologies::id::{ExperimentId, FaultId};
use topologies::plan::Endpoint;
use topologies::time::Time;

use super::clients::{self, Client};
use super::followed::Followed;
use super::target::Patience;
use super::told::{number, redundancy, restarts};
use super::{DrillError, Own, Place, note, survivors};

/// Operations that an endpoint's ledger holds.
const LEDGER_LIMIT: usize = 4_000_000;
/// How often it is looked whether the stack is whole again.
const SETTLE_LOOK: Duration = Duration::from_millis(100);
/// How long clients of a drill that is given up may take to end with the operation they are in.
const LAST_OPERATION: Duration = Duration::from_secs(2);

/// Who is told what goes on.
type Tell<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Clients of one endpoint, at work.
struct AtWork {
    workload: Workload,
    endpoint: Endpoint,
    /// The table or key that they write to.
    store: String,
    ledger: Arc<Mutex<Ledger>>,
    /// What was found of what they wrote; none before it was looked for.
    survivors: Option<Survivors>,
}

/// A drill under way.
pub(super) struct Performance<'a> {
    place: &'a Place,
    timeline: Followed<'a>,
    /// When the clients began; before that, when the drill did.
    began: Time,
    at_work: Vec<AtWork>,
    clients: JoinSet<()>,
    stop: CancellationToken,
    faults: Vec<FaultSpan>,
    /// What steps call faults.
    labels: Vec<(String, FaultId)>,
}

impl<'a> Performance<'a> {
    /// Nothing was done yet.
    pub(super) fn new(timeline: Followed<'a>, place: &'a Place) -> Self {
        Self {
            place,
            timeline,
            began: place.clock.now(),
            at_work: Vec::new(),
            clients: JoinSet::new(),
            stop: CancellationToken::new(),
            faults: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// All of it, in order. Whoever gives it up half-way calls [`Performance::give_up`].
    pub(super) async fn whole(&mut self, drill: &Drill, tell: Tell<'_>) -> Result<(), DrillError> {
        let bound = self.begin(drill, tell).await?;
        self.prepare(&bound).await?;
        self.began = self.place.clock.now();
        self.start();
        tell(&format!("{} clients at work", self.clients.len()));
        let performed = self.perform(drill, &bound, tell).await;
        self.stop.cancel();
        // Every client ends with the operation it is in, whose waits end in time or with the drill.
        while self.clients.join_next().await.is_some() {}
        performed?;
        self.heal(None).await?;
        tell("waiting until the stack is whole again");
        self.settle(drill.settle).await?;
        number(&mut self.faults, self.timeline.events());
        let others = self.timeline.broken_by_others(self.began, &self.faults);
        if !others.is_empty() {
            return Err(DrillError::Disturbed(others));
        }
        tell("counting what survived");
        for AtWork {
            workload,
            endpoint,
            store,
            survivors,
            ..
        } in &mut self.at_work
        {
            *survivors = Some(survivors::collect(endpoint, workload, store, self.place).await);
        }
        Ok(())
    }

    /// Ends what is under way and heals what is in force.
    ///
    /// # Errors
    /// Why something could not be healed; the rest is.
    pub(super) async fn give_up(&mut self, rig: &Own<'_>) -> Result<(), String> {
        self.stop.cancel();
        let undone = rig.undo(&self.place.first).await;
        // Those that do not end in time end with the drill.
        let ended = async { while self.clients.join_next().await.is_some() {} };
        let _ended = tokio::time::timeout(LAST_OPERATION, ended).await;
        // Without a stack that tells more, what it has told so far has to do.
        let _told = self.timeline.catch_up().await;
        number(&mut self.faults, self.timeline.events());
        undone
    }

    /// What happened so far.
    pub(super) fn history(self) -> History {
        let Self {
            place,
            timeline,
            began,
            at_work,
            faults,
            ..
        } = self;
        let events = timeline.events();
        History {
            began,
            ended: place.clock.now(),
            faults,
            endpoints: at_work.into_iter().map(AtWork::history).collect(),
            redundancy: redundancy(&place.first, events, began),
            restarts: restarts(events, began),
            cut_short: None,
        }
    }

    /// Waits for a stack that is as it should be, fits the drill to it, and tells that the drill begins.
    async fn begin(&mut self, drill: &Drill, tell: Tell<'_>) -> Result<Bound, DrillError> {
        self.steady(drill.settle, tell).await?;
        let world = self.timeline.world();
        if !world.faults.is_empty() {
            return Err(DrillError::Broken(world.faults.keys().cloned().collect()));
        }
        let experiments = world.account.experiments.live();
        let experiments: Vec<ExperimentId> = experiments.map(|(id, _)| id.clone()).collect();
        if !experiments.is_empty() {
            return Err(DrillError::Experimented(experiments));
        }
        let bound = drill
            .bind(&self.place.plan, &self.timeline.presence())
            .map_err(DrillError::Unfit)?;
        let drill = drill.name.clone();
        note(self.timeline.rig(), EventKind::DrillStarted { drill }).await;
        Ok(bound)
    }

    /// Returns once nothing is under way: the stack may just be recovering from what was before. One that does not recover in time is
    /// taken as it is, and one that somebody broke is not waited for.
    async fn steady(&mut self, limit: Duration, tell: Tell<'_>) -> Result<(), DrillError> {
        let world = self.timeline.world();
        if world.whole() || !world.faults.is_empty() {
            return Ok(());
        }
        tell("waiting until the stack is whole");
        self.settle(limit).await
    }

    /// Makes the tables and keys that clients write to, empty.
    async fn prepare(&mut self, bound: &Bound) -> Result<(), DrillError> {
        for (index, (workload, endpoint)) in bound.workload.iter().enumerate() {
            let store = format!("{}_{index}", clients::TABLE);
            survivors::clear(endpoint, workload, &store, self.place)
                .await
                .map_err(|why| {
                    DrillError::Stack(format!(
                        "endpoint `{}` does not serve before the drill: {why}",
                        endpoint.id
                    ))
                })?;
            let ledger = Arc::new(Mutex::new(Ledger::new(LEDGER_LIMIT)));
            self.at_work.push(AtWork {
                workload: workload.clone(),
                endpoint: endpoint.clone(),
                store,
                ledger,
                survivors: None,
            });
        }
        Ok(())
    }

    fn start(&mut self) {
        let mut number = 0;
        for AtWork {
            workload,
            endpoint,
            store,
            ledger,
            ..
        } in &self.at_work
        {
            for _ in 0..workload.clients {
                let client = Client {
                    number,
                    target: self.place.target(
                        endpoint,
                        Patience::of_client(workload.timeout, self.stop.clone()),
                        workload.dns_cache,
                    ),
                    every: Duration::from_secs(1) / workload.rate.max(1),
                    clock: self.place.clock,
                    ledger: Arc::clone(ledger),
                    stop: self.stop.clone(),
                };
                number = number.saturating_add(1);
                match &workload.traffic {
                    Traffic::SqlWrites => {
                        if let Some(config) = self.place.sql_config(endpoint) {
                            self.clients.spawn(client.write_sql(config, store.clone()));
                        }
                    }
                    Traffic::RedisWrites => {
                        let token = self.place.auth_token(endpoint);
                        self.clients.spawn(client.write_redis(store.clone(), token));
                    }
                    Traffic::Http { path } => {
                        self.clients.spawn(client.request(path.clone()));
                    }
                }
            }
        }
    }

    /// The drill's steps, each at its time, and then the rest of its time.
    async fn perform(
        &mut self,
        drill: &Drill,
        bound: &Bound,
        tell: Tell<'_>,
    ) -> Result<(), DrillError> {
        for step in &bound.steps {
            self.sleep_until(self.began + step.at).await;
            match &step.action {
                Action::Inject { fault, label } => {
                    tell(&format!("injecting {fault}"));
                    self.inject(fault, label.clone()).await?;
                }
                Action::Heal { label } => {
                    // A label is free again once it is healed: the last one is meant.
                    let labelled =
                        |label: &String| self.labels.iter().rfind(|(known, _)| known == label);
                    let wanted = label.as_ref().and_then(labelled);
                    let wanted = wanted.map(|(_, id)| id.clone());
                    tell("healing");
                    self.heal(wanted.as_ref()).await?;
                }
            }
        }
        self.sleep_until(self.began + drill.duration).await;
        Ok(())
    }

    async fn inject(&mut self, fault: &Fault, label: Option<String>) -> Result<(), DrillError> {
        self.timeline.catch_up().await?;
        let consequences = blast_radius(fault, &self.place.plan, &self.timeline.presence());
        let from = self.place.clock.now();
        let injected = self.timeline.rig().inject(fault.clone()).await;
        let injected = injected.map_err(DrillError::Stack)?;
        self.labels
            .extend(label.map(|label| (label, injected.fault.clone())));
        self.faults.push(FaultSpan {
            id: injected.fault,
            fault: fault.clone(),
            from,
            to: (!fault.lasting()).then_some(from),
            consequences,
            injected_seq: None,
            healed_seq: None,
        });
        Ok(())
    }

    /// Heals what the drill injected: one fault, or all that are in force. Others' faults are for others to heal.
    async fn heal(&mut self, wanted: Option<&FaultId>) -> Result<(), DrillError> {
        let open = self.faults.iter_mut().filter(|span| span.to.is_none());
        for span in open.filter(|span| wanted.is_none_or(|wanted| span.id == *wanted)) {
            if self.timeline.heal(&span.id).await? {
                span.to = Some(self.place.clock.now());
            }
        }
        Ok(())
    }

    async fn sleep_until(&self, at: Time) {
        tokio::time::sleep_until(self.place.clock.instant(at).into()).await;
    }

    /// Waits until every DB instance has its standby in sync, every replica replicates, or the time is up.
    async fn settle(&mut self, limit: Duration) -> Result<(), DrillError> {
        let deadline = self.place.clock.now() + limit;
        loop {
            self.timeline.catch_up().await?;
            if self.timeline.world().whole() || self.place.clock.now() >= deadline {
                return Ok(());
            }
            tokio::time::sleep(SETTLE_LOOK).await;
        }
    }
}

impl AtWork {
    fn history(self) -> EndpointHistory {
        let Self {
            workload,
            ledger,
            survivors,
            ..
        } = self;
        let unread = || match workload.traffic.writes() {
            true => Survivors::Unreadable("the drill ended before".to_owned()),
            false => Survivors::NothingWritten,
        };
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        EndpointHistory {
            ledger: std::mem::replace(&mut *ledger, Ledger::new(0)),
            survivors: survivors.unwrap_or_else(unread),
            endpoint: workload.name,
            traffic: workload.traffic,
        }
    }
}
