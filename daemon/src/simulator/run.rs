//! One run: the control plane and what is really there, driven by one agenda from the first order to the last heal.
//!
//! - `cast`: who takes part; `breakage`: faults begin and end; `watch`: what must hold in bounded time

mod breakage;
mod cast;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use topologies::event::Event;
use topologies::plan::Plan;
use topologies::time::Time;
use topologies::world::{StackPhase, World};

use self::watch::{Bounds, Gauge};
use super::chronicle::Chronicle;
use super::clients::{Manners, Reply};
use super::faults::{Moment, ScheduledFault};
use super::ground::{Due, Ground};
use super::invariants::{Invariant, Record, Violation};
use super::probes::ProbePlan;
use super::visitors::{VISITS_EVERY, Visitor};
use crate::control::action::{Action, Ticket};
use crate::control::bugs::Bug;
use crate::control::{Control, Stimulus};

/// What a run is to be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Draws everything that is drawn.
    pub seed: u64,
    /// The faults; drawn from the seed if none are given.
    pub faults: Option<Vec<ScheduledFault>>,
    /// A deliberate fault of the control logic.
    pub planted: Option<Bug>,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// The faults that were injected.
    pub faults: Vec<ScheduledFault>,
    /// All events.
    pub timeline: Vec<Event>,
    /// The first rule broken; the run ends there.
    pub violation: Option<Violation>,
    /// By endpoint, the longest time without service after each fault that the stack was whole for.
    pub recoveries: BTreeMap<String, Vec<Duration>>,
    /// Acknowledged writes that failovers of caches lost.
    pub cache_writes_lost: u64,
    /// How many things happened.
    pub steps: u64,
}

struct Simulation {
    plan: Arc<Plan>,
    settings: Settings,
    ground: Ground,
    control: Option<Control>,
    /// The fold of the timeline, kept apart from the control plane's own.
    world: World,
    timeline: Vec<Event>,
    probes: Vec<ProbePlan>,
    records: Vec<Record>,
    visitors: Vec<Visitor>,
    gauges: Vec<Gauge>,
    faults: Vec<ScheduledFault>,
    active: Vec<usize>,
    healed: usize,
    wake_at: Option<Time>,
    /// When the daemon is to be killed.
    dies_at: Option<Moment>,
    /// Whom each order of this daemon was for.
    ordered: BTreeMap<Ticket, usize>,
    chronicle: Chronicle,
    available_at: Option<Time>,
    disturbed_at: Time,
    disturbances: u64,
    /// Whether service is owed though something is broken: it broke while all was whole, and alone.
    owed: bool,
    whole_since: Option<Time>,
    violation: Option<Violation>,
    finished: bool,
    bounds: Bounds,
}

/// Runs the plan in virtual time.
pub fn simulate(plan: &Arc<Plan>, settings: Settings) -> Run {
    let mut simulation = Simulation::new(Arc::clone(plan), settings);
    simulation.begin();
    let mut steps = 0;
    while !simulation.finished && simulation.violation.is_none() {
        let Some((at, due)) = simulation.ground.agenda.next() else {
            break;
        };
        simulation.ground.now = at;
        steps += 1;
        simulation.happen(due);
        simulation.check_writers();
    }
    simulation.result(steps)
}

impl Simulation {
    fn new_control(&self, seed: u64) -> Control {
        let control = Control::new(self.world.clone(), seed);
        match self.settings.planted {
            Some(bug) => control.with_planted_bug(bug),
            None => control,
        }
    }

    fn happen(&mut self, due: Due) {
        let ground = &mut self.ground;
        let due = match ground
            .addressee(&due)
            .filter(|host| ground.hosts[*host].frozen)
        {
            Some(host) => return ground.hosts[host].backlog.push(due),
            None => due,
        };
        match due {
            Due::Wake => self.wake(),
            Due::Report(observation, epoch) => self.told(epoch, Stimulus::Observation(observation)),
            Due::Probe(probe) => ground.probe((&self.plan, &self.world), &self.probes, probe),
            Due::ProbeArrives { probe, sent, epoch } => {
                ground.probe_arrives(&self.plan, &self.probes, probe, sent, epoch);
            }
            Due::ProbeReturns {
                sent,
                result,
                epoch,
            } => {
                ground.heard(&result);
                self.told(epoch, Stimulus::Probe(sent, result));
            }
            Due::Perform {
                ticket,
                action,
                epoch,
            } => self.perform(ticket, &action, epoch),
            Due::Complete(errand) => ground.complete(errand),
            Due::Settled {
                ticket,
                outcome,
                epoch,
            } => {
                let ours = self.ground.daemon == Some(epoch);
                if !(ours && self.dies_before_hearing(ticket)) {
                    self.told(epoch, Stimulus::Outcome(ticket, outcome));
                }
            }
            Due::Ready { host, life } => ground.ready(host, life),
            Due::Crash { host, life } => ground.crash(host, life),
            Due::Connect { host, life } => ground.connect(host, life),
            Due::Synced { follower, stream } => ground.synced(follower, stream),
            Due::Records {
                follower,
                stream,
                start,
                records,
            } => ground.records(follower, stream, start, &records),
            Due::Flushed {
                follower,
                stream,
                upto,
            } => ground.flushed(follower, stream, upto),
            Due::StreamSilent { follower, stream } => ground.stream_silent(follower, stream),
            Due::StreamReset { follower, stream } => ground.stream_reset(follower, stream),
            Due::SyncInForce { host, life } => ground.sync_in_force(host, life),
            Due::Fence { host, fenced } => ground.fence(host, fenced),
            Due::Turn { client, turn } => ground.turn(client, turn),
            Due::Request(request) => ground.request(request),
            Due::Reply(reply) => self.reply(&reply),
            Due::GiveUp { client, turn } => ground.give_up(client, turn),
            Due::Visit(visitor) => self.visit(visitor),
            Due::Inject(place) => self.inject(place),
            Due::Heal(place) => self.heal(place),
            Due::Resume => self.resume(),
            Due::Watch => self.watch(),
        }
    }

    /// A stimulus for the control plane that was under way when this run of it began is lost.
    fn told(&mut self, epoch: u64, stimulus: Stimulus) {
        if self.ground.daemon == Some(epoch) {
            self.take(stimulus);
        }
    }

    fn wake(&mut self) {
        let now = self.ground.now;
        self.wake_at = self.wake_at.filter(|at| *at > now);
        let due = |control: &Control| control.poll_timeout().filter(|(at, _)| *at <= now);
        if self.control.as_ref().and_then(due).is_none() {
            return self.plan_wake();
        }
        self.take(Stimulus::Tick);
        if let Some((_, why)) = self.control.as_ref().and_then(due) {
            self.broken(
                Invariant::DoesNotSpin,
                format!("asks again to be woken for: {why}"),
            );
        }
    }

    fn plan_wake(&mut self) {
        let Some((at, _)) = self.control.as_ref().and_then(Control::poll_timeout) else {
            return;
        };
        if self.wake_at.is_none_or(|planned| at < planned) {
            self.wake_at = Some(at);
            self.ground.agenda.enter(at.max(self.ground.now), Due::Wake);
        }
    }

    /// Hands the control plane a stimulus, records its events and sends its orders off.
    fn take(&mut self, stimulus: Stimulus) {
        let now = self.ground.now;
        let Some(control) = &mut self.control else {
            return;
        };
        control.handle(stimulus, now);
        let mut events = Vec::new();
        while let Some(event) = control.poll_event() {
            events.push(event);
        }
        let mut orders = Vec::new();
        while let Some(order) = control.poll_action() {
            orders.push(order);
        }
        if !events.is_empty() {
            for event in events {
                self.record(event);
            }
            if self
                .control
                .as_ref()
                .is_some_and(|control| *control.world() != self.world)
            {
                self.broken(
                    Invariant::WorldIsTheFold,
                    "the control plane's world differs".to_owned(),
                );
            }
            self.follow_routes();
            if !orders.is_empty() && self.dies_before_ordering() {
                return;
            }
        }
        for (ticket, action) in orders {
            let epoch = self.ground.daemon.unwrap_or_default();
            let host = self.ground.host(action.instance());
            self.ordered.insert(ticket, host);
            self.ground.dispatch(ticket, action, epoch);
        }
        self.plan_wake();
    }

    fn perform(&mut self, ticket: Ticket, action: &Action, epoch: u64) {
        let host = self.ground.host(action.instance());
        let ran = self.ground.hosts[host].running;
        if let Action::Rejoin { source, .. } = action
            && self.ground.daemon == Some(epoch)
        {
            let pair = (host, self.ground.host(source));
            for n in 0..self.records.len() {
                let judged = self.records[n].made_anew(&self.ground, &self.world, pair);
                self.note(judged);
            }
        }
        self.ground.perform(ticket, action, epoch);
        let starts = matches!(action, Action::StartCache { source: None, .. });
        if starts && !ran && self.ground.hosts[host].running && self.available_at.is_some() {
            for n in 0..self.records.len() {
                let judged = self.records[n].came_back_empty(&self.ground, &self.world, host);
                self.note(judged);
            }
        }
    }

    fn record(&mut self, event: Event) {
        for n in 0..self.records.len() {
            let judged =
                self.records[n].judge(&self.ground, &self.world, &event.event, self.disturbances);
            self.note(judged);
        }
        let judged = self.chronicle.judge(&event.event);
        self.note(judged);
        if event.seq != self.world.seq + 1 {
            self.broken(
                Invariant::WorldIsTheFold,
                format!("event {} after {}", event.seq, self.world.seq),
            );
        }
        self.world.apply(&event);
        self.timeline.push(event);
    }

    /// The data plane follows the world: endpoints at once, interfaces after a moment.
    fn follow_routes(&mut self) {
        for (n, record) in self.records.iter().enumerate() {
            self.ground.endpoints[n] = record.primary(&self.ground, &self.world);
        }
        for host in 0..self.ground.hosts.len() {
            let fenced = self.world.fenced(&self.ground.hosts[host].id);
            if fenced != self.ground.hosts[host].fenced {
                let after = self.ground.draw(20..2_000);
                self.ground.later(after, Due::Fence { host, fenced });
            }
        }
        if self.available_at.is_none() && self.world.phase == StackPhase::Available {
            self.became_available();
        }
    }

    fn became_available(&mut self) {
        let now = self.ground.now;
        self.available_at = Some(now);
        self.disturbed_at = now;
        for client in 0..self.ground.clients.len() {
            let after = self.ground.draw(0..50_000);
            self.ground.later(after, Due::Turn { client, turn: 0 });
        }
        for visitor in 0..self.visitors.len() {
            let after = self.ground.draw(0..100_000);
            self.ground.later(after, Due::Visit(visitor));
        }
        for gauge in &mut self.gauges {
            gauge.served_at = now;
        }
        for place in 0..self.faults.len() {
            self.ground.later(self.faults[place].at, Due::Inject(place));
        }
    }

    fn reply(&mut self, reply: &Reply) {
        if !self.ground.reply(reply) {
            return;
        }
        let client = &self.ground.clients[reply.client];
        let (service, counts) = (client.service, client.manners == Manners::Resolves);
        if counts {
            self.gauges[service].served(self.ground.now);
        }
        let judged = self.records[service].acknowledged(&self.ground, &self.world, reply);
        self.note(judged);
    }

    fn visit(&mut self, visitor: usize) {
        self.ground.later(VISITS_EVERY, Due::Visit(visitor));
        let visitor = &self.visitors[visitor];
        if self.ground.visit(&self.plan, &self.world, visitor) == Some(true) {
            self.gauges[visitor.gauge].served(self.ground.now);
        }
    }

    fn check_writers(&mut self) {
        for n in 0..self.records.len() {
            let judged = self.records[n].one_writer(&self.ground);
            self.note(judged);
        }
    }

    fn note(&mut self, judged: Result<(), (Invariant, String)>) {
        if let Err((invariant, detail)) = judged {
            self.broken(invariant, detail);
        }
    }

    fn broken(&mut self, invariant: Invariant, detail: String) {
        let at = self.ground.now;
        self.violation.get_or_insert(Violation {
            invariant,
            at,
            detail,
        });
    }

    fn result(self, steps: u64) -> Run {
        Run {
            seed: self.settings.seed,
            faults: self.faults,
            timeline: self.timeline,
            violation: self.violation,
            recoveries: self
                .gauges
                .into_iter()
                .map(|gauge| (gauge.endpoint, gauge.recoveries))
                .collect(),
            cache_writes_lost: self.records.iter().map(|record| record.lost).sum(),
            steps,
        }
    }
}
