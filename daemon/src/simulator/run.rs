//! One run: the control plane and what is really there, driven by one agenda from the first order to the last heal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use topologies::address::ZoneNumber;
use topologies::event::{Event, EventKind};
use topologies::id::FaultId;
use topologies::plan::Plan;
use topologies::runtime::RuntimeKind;
use topologies::time::Time;
use topologies::world::{StackPhase, World};

use super::clients::{Client, Manners, Reply};
use super::faults::{Fault, ScheduledFault, draw_schedule};
use super::ground::{Due, Ground};
use super::invariants::{
    Invariant, Record, Service, Violation, not_redundant, not_whole, traffic_to_the_dead,
};
use super::probes::{self, ProbePlan};
use super::visitors::{VISITS_EVERY, Visitor, doors};
use crate::control::bugs::Bug;
use crate::control::{Control, Stimulus};

/// From one look at the invariants that speak of time to the next.
const WATCH_EVERY: Duration = Duration::from_millis(250);
/// Once whole and served, a run goes on for this long.
const STAYS_WHOLE: Duration = Duration::from_millis(1_500);

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

/// How long an endpoint was not served.
#[derive(Debug)]
struct Gauge {
    endpoint: String,
    /// Whether the loss of a zone must leave it served.
    redundant: bool,
    served_at: Time,
    worst: Duration,
    /// Whether the present fault's recovery counts.
    owed: bool,
    recoveries: Vec<Duration>,
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

/// How long things may take.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    up: Duration,
    serve: Duration,
    whole: Duration,
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

impl Bounds {
    fn of(plan: &Plan) -> Self {
        let timing = &plan.topology.timing;
        let detection =
            (timing.probe_interval + timing.probe_timeout) * (timing.probe_threshold + 1);
        let failover = timing.db_failover.1.max(timing.cache_failover.1);
        let ttl = timing.rds_ttl.max(timing.elasticache_ttl);
        let checks = plan.topology.target_groups.iter().map(|group| {
            let check = &group.health_check;
            (check.interval + check.timeout) * (check.healthy_threshold + check.unhealthy_threshold)
        });
        let checks = checks.max().unwrap_or_default();
        let serve = Duration::from_secs(8) + detection + failover + ttl + checks;
        // A command to a host that does not answer takes its whole limit, and what waits for it comes after.
        Self {
            up: Duration::from_secs(20) + checks * 2,
            serve,
            whole: serve + Duration::from_secs(25) + checks * 2,
        }
    }
}

impl Simulation {
    fn new(plan: Arc<Plan>, settings: Settings) -> Self {
        let mut ground = Ground::new(&plan, settings.seed);
        let mut drawer = ChaCha8Rng::seed_from_u64(settings.seed ^ 0x6661_756c_7473);
        let faults = settings
            .faults
            .clone()
            .unwrap_or_else(|| draw_schedule(&plan, &mut drawer));
        let records = services(&plan, &ground);
        ground.endpoints = records
            .iter()
            .filter_map(|record| record.hosts.first().copied())
            .collect();
        let probes = probes::of_plan(&plan);
        let world = World::new(&plan);
        let bounds = Bounds::of(&plan);
        let mut simulation = Self {
            ground,
            control: None,
            world,
            timeline: Vec::new(),
            probes,
            records,
            visitors: Vec::new(),
            gauges: Vec::new(),
            faults,
            active: Vec::new(),
            healed: 0,
            wake_at: None,
            available_at: None,
            disturbed_at: Time::ZERO,
            disturbances: 0,
            owed: true,
            whole_since: None,
            violation: None,
            finished: false,
            bounds,
            plan,
            settings,
        };
        simulation.place_clients();
        simulation
    }

    /// Writers in every zone and outside, one that never resolves again; visitors outside and in every zone.
    fn place_clients(&mut self) {
        let timing = &self.plan.topology.timing;
        let mut places: Vec<ZoneNumber> =
            self.plan.topology.zones().map(|zone| zone.number).collect();
        places.push(ZoneNumber::OUTSIDE);
        for (service, record) in self.records.iter().enumerate() {
            let (endpoint, ttl) = match &record.service {
                Service::Database(id) => (id.to_string(), timing.rds_ttl),
                Service::Cache(id) => (id.to_string(), timing.elasticache_ttl),
            };
            self.gauges
                .push(Gauge::new(endpoint, record.hosts.len() > 1));
            let own = self.ground.hosts[record.hosts[0]].zone;
            let clients = &mut self.ground.clients;
            clients.extend(
                places
                    .iter()
                    .map(|zone| Client::new(*zone, service, Manners::Resolves, ttl)),
            );
            clients.push(Client::new(own, service, Manners::Holds, ttl));
        }
        for (endpoint, door, redundant) in doors(&self.plan, &self.ground) {
            let gauge = self.gauges.len();
            self.gauges.push(Gauge::new(endpoint, redundant));
            self.visitors.extend(places.iter().map(|from| Visitor {
                from: *from,
                gauge,
                door: door.clone(),
            }));
        }
    }

    fn begin(&mut self) {
        for probe in 0..self.probes.len() {
            let interval = self.probes[probe].interval.as_micros();
            let first = self
                .ground
                .draw(0..u64::try_from(interval).unwrap_or(u64::MAX).max(1));
            self.ground.later(first, Due::Probe(probe));
        }
        self.ground.later(WATCH_EVERY, Due::Watch);
        self.control = Some(self.new_control(self.settings.seed));
        for host in 0..self.ground.hosts.len() {
            self.ground.report(host);
        }
        self.take(Stimulus::Note(EventKind::TimelineStarted {
            format: topologies::event::FORMAT,
            stack: self.plan.topology.name.clone(),
            runtime: RuntimeKind::Simulated,
            seed: self.settings.seed,
            started_at: "1970-01-01T00:00:00Z".to_owned(),
            plan: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }));
    }

    fn new_control(&self, seed: u64) -> Control {
        let control = Control::new(Arc::clone(&self.plan), self.world.clone(), seed);
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
            Due::Probe(probe) => ground.probe(&self.plan, &self.probes, probe),
            Due::ProbeArrives { probe, sent, epoch } => {
                ground.probe_arrives(&self.plan, &self.probes, probe, sent, epoch);
            }
            Due::ProbeReturns {
                sent,
                result,
                epoch,
            } => self.told(epoch, Stimulus::Probe(sent, result)),
            Due::Perform {
                ticket,
                action,
                epoch,
            } => ground.perform(ticket, &action, epoch),
            Due::Complete(errand) => ground.complete(errand),
            Due::Settled {
                ticket,
                outcome,
                epoch,
            } => self.told(epoch, Stimulus::Outcome(ticket, outcome)),
            Due::Ready { host, life } => ground.ready(host, life),
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
            Due::SyncInForce {
                host,
                life,
                standby,
            } => ground.sync_in_force(host, life, standby),
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
        while let Some((ticket, action)) = control.poll_action() {
            let epoch = self.ground.daemon.unwrap_or_default();
            self.ground.dispatch(ticket, action, epoch);
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
        }
        self.plan_wake();
    }

    fn record(&mut self, event: Event) {
        for n in 0..self.records.len() {
            let judged =
                self.records[n].judge(&self.ground, &self.world, &event.event, self.disturbances);
            self.note(judged);
        }
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

    fn inject(&mut self, place: usize) {
        let whole = self.unhealed().is_none();
        self.owed = self.active.is_empty() && whole;
        self.disturb();
        for gauge in &mut self.gauges {
            gauge.fault(self.owed);
        }
        let ScheduledFault { fault, lasts, .. } = self.faults[place].clone();
        let note = EventKind::FaultInjected {
            fault: fault_id(place),
            fault_kind: fault.kind().to_owned(),
            target: fault.target(&self.plan),
            consequences: Vec::new(),
        };
        self.take(Stimulus::Note(note));
        self.active.push(place);
        self.ground.inject(&fault, &self.active_faults());
        if self.ground.daemon.is_none() {
            self.control = None;
            self.wake_at = None;
        }
        self.ground.later(lasts, Due::Heal(place));
    }

    fn heal(&mut self, place: usize) {
        self.disturb();
        self.active.retain(|active| *active != place);
        self.healed += 1;
        let fault = self.faults[place].fault.clone();
        self.ground.heal(&fault, &self.active_faults());
        self.take(Stimulus::Note(EventKind::FaultHealed {
            fault: fault_id(place),
        }));
    }

    fn active_faults(&self) -> Vec<Fault> {
        self.active
            .iter()
            .map(|place| self.faults[*place].fault.clone())
            .collect()
    }

    /// The daemon is started again: its world is the fold of the timeline.
    fn resume(&mut self) {
        if self.ground.daemon.is_some() {
            return;
        }
        self.disturb();
        let epoch = self.ground.start_daemon();
        self.control = Some(self.new_control(self.settings.seed.wrapping_add(epoch)));
        for host in 0..self.ground.hosts.len() {
            let fenced = self.world.fenced(&self.ground.hosts[host].id);
            self.ground.fence(host, fenced);
        }
        self.take(Stimulus::Note(EventKind::ControlResumed));
        for place in 0..self.faults.len() {
            let known = self.world.faults.contains_key(&fault_id(place));
            if known && !self.active.contains(&place) {
                self.take(Stimulus::Note(EventKind::FaultHealed {
                    fault: fault_id(place),
                }));
            }
        }
    }

    fn disturb(&mut self) {
        self.disturbed_at = self.ground.now;
        self.disturbances += 1;
        self.whole_since = None;
    }

    fn unhealed(&self) -> Option<String> {
        not_whole(&self.ground, &self.plan, &self.world)
            .or_else(|| not_redundant(&self.ground, &self.records, &self.world))
    }

    /// Looks at what must hold in bounded time, and ends the run when all was well for a while.
    fn watch(&mut self) {
        self.ground.later(WATCH_EVERY, Due::Watch);
        let now = self.ground.now;
        if self.available_at.is_none() {
            if now - Time::ZERO > self.bounds.up {
                let why = self.unhealed().unwrap_or_default();
                self.broken(
                    Invariant::ComesUp,
                    format!("not available after {:?}: {why}", self.bounds.up),
                );
            }
            return;
        }
        let judged = traffic_to_the_dead(&self.ground, &self.plan, &self.world);
        self.note(judged);
        let quiet = self.active.is_empty();
        let late = self.gauges.iter().find(|gauge| {
            let since = gauge.served_at.max(self.disturbed_at);
            (quiet || (self.owed && gauge.redundant)) && now - since > self.bounds.serve
        });
        if let Some(gauge) = late {
            let detail = format!("{} not served since {}", gauge.endpoint, gauge.served_at);
            return self.broken(Invariant::Served, detail);
        }
        if !quiet || self.healed < self.faults.len() {
            return;
        }
        match self.unhealed() {
            Some(why) if now - self.disturbed_at > self.bounds.whole => {
                self.broken(Invariant::WholeAgain, why)
            }
            Some(_) => self.whole_since = None,
            None => {
                let since = *self.whole_since.get_or_insert(now);
                let served = self.gauges.iter().all(|gauge| gauge.served_at > since);
                if served && now - since > STAYS_WHOLE {
                    self.finish();
                }
            }
        }
    }

    fn finish(&mut self) {
        for n in 0..self.records.len() {
            let record = &self.records[n];
            let host = record.primary(&self.ground, &self.world);
            let judged = record.holds_all(&self.ground, host, Invariant::NothingAcknowledgedIsLost);
            self.note(judged);
        }
        for gauge in &mut self.gauges {
            gauge.fault(false);
        }
        self.finished = true;
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

impl Gauge {
    fn new(endpoint: String, redundant: bool) -> Self {
        Self {
            endpoint,
            redundant,
            served_at: Time::ZERO,
            worst: Duration::ZERO,
            owed: false,
            recoveries: Vec::new(),
        }
    }

    fn served(&mut self, now: Time) {
        self.worst = self.worst.max(now - self.served_at);
        self.served_at = now;
    }

    /// A fault begins, or the run ends: what the one before cost is counted.
    fn fault(&mut self, owed: bool) {
        if self.owed {
            self.recoveries.push(self.worst);
        }
        self.owed = owed;
        self.worst = Duration::ZERO;
    }
}

fn fault_id(place: usize) -> FaultId {
    FaultId::new(format!("f{}", place + 1))
}

fn services(plan: &Plan, ground: &Ground) -> Vec<Record> {
    let databases = plan.topology.db_instances.iter().map(|db| {
        let hosts: Vec<usize> = plan
            .db_hosts(&db.id)
            .map(|host| ground.host(&host.id))
            .collect();
        let replicas = db
            .read_replicas
            .iter()
            .filter_map(|r| plan.db_hosts(&r.id).next());
        let copies = hosts
            .iter()
            .copied()
            .chain(replicas.map(|host| ground.host(&host.id)))
            .collect();
        Record::new(Service::Database(db.id.clone()), hosts, copies)
    });
    let caches = plan.topology.replication_groups.iter().map(|group| {
        let nodes: Vec<usize> = plan
            .cache_nodes(&group.id)
            .map(|node| ground.host(&node.id))
            .collect();
        Record::new(Service::Cache(group.id.clone()), nodes.clone(), nodes)
    });
    databases.chain(caches).collect()
}
