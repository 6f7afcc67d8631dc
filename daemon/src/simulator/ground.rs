//! What is really there, unknown to the control plane: hosts, their processes and data, the network between zones, clients.
//!
//! Everything that can happen is one closed set, [`Due`]; it happens when its moment has come. Hosts are known by
//! their index in the plan's instances.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use topologies::address::{HostAddress, ZoneNumber};
use topologies::id::{InstanceId, ZoneId};
use topologies::network::{Network, Path};
use topologies::plan::{InstanceKind, Plan};
use topologies::runtime::{InstanceStatus, Observation};
use topologies::time::Time;

use super::clients::Client;
use super::clock::Agenda;
pub(super) use super::due::{Due, Epoch};
use super::replication::Stream;
use super::server::{Engine, Server};
use crate::prober::rest::Rest;

/// A host of the plan.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) id: InstanceId,
    pub(super) zone: ZoneNumber,
    pub(super) zone_id: ZoneId,
    pub(super) address: HostAddress,
    pub(super) running: bool,
    /// Changes whenever a process starts or ends.
    pub(super) life: u64,
    /// Whether the process is done with starting.
    pub(super) ready: bool,
    pub(super) ever_started: bool,
    pub(super) frozen: bool,
    /// Kept from starting by a fault.
    pub(super) held: bool,
    /// Whether the data plane has closed its interface.
    pub(super) fenced: bool,
    /// Since when it does not serve, whatever the reason.
    pub(super) down_since: Option<Time>,
    /// Since when whoever asks it from outside is answered without delay.
    pub(super) heard_since: Option<Time>,
    /// A follower of PostgreSQL whose source answers and has not what it has: it gets the same again and again.
    pub(super) parted: bool,
    /// When it was last seen to stream, or to begin.
    pub(super) streamed_at: Time,
    /// What reached it while it was frozen.
    pub(super) backlog: Vec<Due>,
    /// How often the prober asks it.
    pub(super) rest: Rest,
    pub(super) server: Server,
}

/// All that is really there.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) now: Time,
    pub(super) agenda: Agenda<Due>,
    pub(super) rng: ChaCha8Rng,
    pub(super) hosts: Vec<Host>,
    pub(super) names: BTreeMap<InstanceId, usize>,
    pub(super) network: Network,
    /// Each follower's stream from its source.
    pub(super) streams: Vec<Option<Stream>>,
    pub(super) streams_opened: u64,
    pub(super) clients: Vec<Client>,
    /// The host that a service's endpoint points to, by service.
    pub(super) endpoints: Vec<usize>,
    /// The last key written; keys are never used twice.
    pub(super) keys: u64,
    /// Which run of the daemon this is; none while it is down. Its data plane goes down with it.
    pub(super) daemon: Option<Epoch>,
    pub(super) epochs: Epoch,
    /// When the daemon was last killed.
    pub(super) killed_at: Time,
    /// An order of a daemon that is gone may have its effect until then.
    pub(super) afterlife_until: Time,
    /// When the last report arrives: they come in order.
    last_report: Time,
}

const WITHIN_ZONE_MICROS: Range<u64> = 30..120;
const BETWEEN_ZONES_MICROS: Range<u64> = 250..900;
/// From the end of a process to the report of it.
const REPORT_MICROS: Range<u64> = 500..4_000;
/// Of the starts of a user's program, how many end in a crash.
const CRASHES: f64 = 0.1;
/// From a program's start to its crash.
const CRASH_MICROS: Range<u64> = 100..800_000;

impl Ground {
    pub(super) fn new(plan: &Plan, seed: u64) -> Self {
        let host = |instance: &topologies::plan::Instance| Host {
            id: instance.id.clone(),
            zone: instance.address.zone,
            zone_id: instance.zone.clone(),
            address: instance.address,
            running: false,
            life: 0,
            ready: false,
            ever_started: false,
            frozen: false,
            held: false,
            fenced: false,
            down_since: Some(Time::ZERO),
            heard_since: None,
            parted: false,
            streamed_at: Time::ZERO,
            backlog: Vec::new(),
            rest: Rest::new(plan.topology.timing.probe_interval),
            server: Server::new(match instance.kind {
                InstanceKind::DbHost(_) => Engine::Postgres,
                InstanceKind::CacheNode(_) => Engine::Redis,
                InstanceKind::App(_) => Engine::App,
            }),
        };
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self {
            now: Time::ZERO,
            agenda: Agenda::new(),
            hosts: plan.instances.iter().map(host).collect(),
            names: plan
                .instances
                .iter()
                .enumerate()
                .map(|(n, i)| (i.id.clone(), n))
                .collect(),
            network: Network::default(),
            streams: plan.instances.iter().map(|_| None).collect(),
            streams_opened: 0,
            clients: Vec::new(),
            endpoints: Vec::new(),
            keys: 0,
            daemon: Some(0),
            epochs: 0,
            killed_at: Time::ZERO,
            afterlife_until: Time::ZERO,
            last_report: Time::ZERO,
            rng,
        }
    }

    pub(super) fn host(&self, id: &InstanceId) -> usize {
        *self
            .names
            .get(id)
            .expect("every instance of the plan has a host")
    }

    pub(super) fn later(&mut self, after: Duration, due: Due) {
        self.agenda.enter(self.now + after, due);
    }

    pub(super) fn draw(&mut self, micros: Range<u64>) -> Duration {
        Duration::from_micros(self.rng.random_range(micros))
    }

    /// How long a packet takes; none if it vanishes.
    pub(super) fn packet(&mut self, from: ZoneNumber, to: ZoneNumber) -> Option<Duration> {
        let Path::Open { latency, jitter } = self.network.path(from, to) else {
            return None;
        };
        let base = if from == to {
            WITHIN_ZONE_MICROS
        } else {
            BETWEEN_ZONES_MICROS
        };
        let share: f64 = if jitter.is_zero() {
            0.0
        } else {
            self.rng.random()
        };
        Some(self.draw(base) + latency + jitter.mul_f64(share))
    }

    /// Whether something in `from` can open a connection to the host's port and be heard.
    pub(super) fn answers(&self, from: ZoneNumber, host: usize) -> bool {
        let there = &self.hosts[host];
        there.serves() && self.network.connects(from, there.zone)
    }

    /// Starts a host's process.
    pub(super) fn start(&mut self, host: usize, until_ready: Range<u64>) {
        let after = self.draw(until_ready);
        let there = &mut self.hosts[host];
        there.running = true;
        there.ever_started = true;
        there.ready = false;
        there.frozen = false;
        there.life += 1;
        there.parted = false;
        there.streamed_at = self.now;
        let life = there.life;
        there.server.begin(host, life);
        let program = there.server.engine == Engine::App;
        self.later(after, Due::Ready { host, life });
        if program && self.rng.random_bool(CRASHES) {
            let after = self.draw(CRASH_MICROS);
            self.later(after, Due::Crash { host, life });
        }
        self.report(host);
    }

    /// Takes note of who is heard; called whenever that may have changed.
    pub(super) fn note_who_is_heard(&mut self) {
        let (network, now) = (&self.network, self.now);
        let sound = |zone| {
            network.path(ZoneNumber::OUTSIDE, zone) == Path::SOUND
                && network.path(zone, ZoneNumber::OUTSIDE) == Path::SOUND
        };
        for host in &mut self.hosts {
            let heard = host.serves() && sound(host.zone);
            host.heard_since = heard.then(|| host.heard_since.unwrap_or(now));
        }
    }

    pub(super) fn crash(&mut self, host: usize, life: u64) {
        if self.hosts[host].life == life {
            self.stop(host);
        }
    }

    pub(super) fn ready(&mut self, host: usize, life: u64) {
        let there = &mut self.hosts[host];
        if there.life == life {
            there.ready = true;
            there.down_since = None;
            self.later(Duration::ZERO, Due::Connect { host, life });
            self.note_who_is_heard();
        }
    }

    /// Ends a host's process, if it has one.
    pub(super) fn stop(&mut self, host: usize) {
        let there = &mut self.hosts[host];
        if !there.running {
            return;
        }
        there.running = false;
        there.ready = false;
        there.frozen = false;
        there.life += 1;
        there.down_since.get_or_insert(self.now);
        there.backlog.clear();
        there.server.waiting.clear();
        self.streams[host] = None;
        self.note_who_is_heard();
        self.reset_streams_of(host);
        self.reset_clients_of(host);
        self.report(host);
    }

    pub(super) fn freeze(&mut self, host: usize) {
        let there = &mut self.hosts[host];
        if there.running && !there.frozen {
            there.frozen = true;
            there.down_since.get_or_insert(self.now);
            self.note_who_is_heard();
            self.reassess_streams();
        }
    }

    pub(super) fn thaw(&mut self, host: usize) {
        let there = &mut self.hosts[host];
        if !there.frozen {
            return;
        }
        there.frozen = false;
        if there.ready {
            there.down_since = None;
        }
        for due in std::mem::take(&mut there.backlog) {
            self.later(Duration::ZERO, due);
        }
        self.note_who_is_heard();
        self.reassess_streams();
    }

    /// The data plane closes or opens a host's interface.
    pub(super) fn fence(&mut self, host: usize, fenced: bool) {
        let closes = fenced && !self.hosts[host].fenced;
        self.hosts[host].fenced = fenced;
        if closes {
            self.reset_streams_of(host);
            self.reset_clients_of(host);
        }
    }

    /// Whose process has to be awake for this to happen.
    pub(super) fn addressee(&self, due: &Due) -> Option<usize> {
        match due {
            Due::Complete(errand) => Some(errand.host),
            Due::Ready { host, .. }
            | Due::Crash { host, .. }
            | Due::Connect { host, .. }
            | Due::SyncInForce { host, .. } => Some(*host),
            Due::Synced { follower, .. } | Due::Records { follower, .. } => Some(*follower),
            Due::Flushed { follower, .. } => {
                self.streams[*follower].as_ref().map(|stream| stream.source)
            }
            Due::Request(request) => Some(request.host),
            Due::Wake
            | Due::Report(..)
            | Due::Probe(_)
            | Due::ProbeArrives { .. }
            | Due::ProbeReturns { .. }
            | Due::Perform { .. }
            | Due::Settled { .. }
            | Due::StreamSilent { .. }
            | Due::StreamReset { .. }
            | Due::Fence { .. }
            | Due::Turn { .. }
            | Due::Reply(_)
            | Due::GiveUp { .. }
            | Due::Visit(_)
            | Due::Inject(_)
            | Due::Heal(_)
            | Due::Resume
            | Due::Watch => None,
        }
    }

    /// Has the host's runtime report its state, if the zone's hosts can be heard.
    pub(super) fn report(&mut self, host: usize) {
        let zone = self.hosts[host].zone;
        let silent = self.network.dark.contains(&zone) || self.network.isolated.contains(&zone);
        let Some(epoch) = self.daemon.filter(|_| !silent) else {
            return;
        };
        let there = &self.hosts[host];
        let status = if there.running {
            InstanceStatus::Running {
                handle: format!("{}", there.life),
            }
        } else if there.ever_started {
            InstanceStatus::Exited {
                how: "signal 9".to_owned(),
            }
        } else {
            InstanceStatus::Absent
        };
        let observation = Observation {
            instance: there.id.clone(),
            status,
        };
        let after = self.draw(REPORT_MICROS);
        self.last_report = self.last_report.max(self.now + after);
        self.agenda
            .enter(self.last_report, Due::Report(observation, epoch));
    }
}

impl Host {
    /// Whether its process answers those who reach it.
    pub(super) fn serves(&self) -> bool {
        self.running && self.ready && !self.frozen
    }
}
