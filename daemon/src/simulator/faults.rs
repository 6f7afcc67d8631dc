//! Faults and their schedules: what goes wrong, when, and for how long.
//!
//! Every fault is healed. The network and what is held down follow from the faults in force, so that faults may overlap.

use std::fmt;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use topologies::address::ZoneNumber;
use topologies::network::{Link, Network};
use topologies::plan::{InstanceKind, Plan};

use super::effects::AFTERLIFE;
use super::ground::{Due, Ground};

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A zone loses power: its processes end, nothing starts there, nothing answers.
    Power(ZoneNumber),
    /// A zone is cut off from the others and from outside.
    Isolation(ZoneNumber),
    /// Packets between two places vanish, both ways.
    Cut(ZoneNumber, ZoneNumber),
    /// Packets from the first place to the second vanish.
    CutOneWay(ZoneNumber, ZoneNumber),
    /// Packets between two places come late, both ways.
    Slow(ZoneNumber, ZoneNumber, Link),
    /// The process of an instance of the plan, by its place there, is killed.
    Kill(usize),
    /// It is stopped and kept from starting.
    Stop(usize),
    /// It hangs.
    Freeze(usize),
    /// The daemon is killed, and with it the data plane; it is started again at the heal.
    KillDaemon(Moment),
    /// The stack is taken down in good order, and comes up again at the heal.
    Restart,
}

/// When a daemon is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At once.
    Now,
    /// Between recording what it decided and giving the orders for it: after as many decisions.
    Recorded(u32),
    /// Between an order's being done and its hearing of it: after as many orders.
    Done(u32),
    /// The same, and the process that the order was for is killed with it, as when memory runs out.
    DoneTogether(u32),
}

/// A fault with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledFault {
    /// When, counted from the moment that the stack is available.
    pub at: Duration,
    /// How long until it is healed.
    pub lasts: Duration,
    /// What.
    pub fault: Fault,
}

impl Fault {
    /// Its kind, in the words of `localaws chaos`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Power(_) => "zone-power",
            Self::Isolation(_) => "zone-network",
            Self::Cut(..) | Self::CutOneWay(..) => "partition",
            Self::Slow(..) => "slow",
            Self::Kill(_) => "kill",
            Self::Stop(_) => "stop",
            Self::Freeze(_) => "freeze",
            Self::KillDaemon(_) => "kill-daemon",
            Self::Restart => "restart",
        }
    }

    fn keeps_daemon_down(&self) -> bool {
        matches!(self, Self::KillDaemon(_) | Self::Restart)
    }

    /// What it is aimed at.
    pub fn target(&self, plan: &Plan) -> String {
        let instance = |host: &usize| plan.instances[*host].id.to_string();
        let zone = |number: &ZoneNumber| {
            let found = plan.topology.zones().find(|zone| zone.number == *number);
            found.map_or_else(|| "outside".to_owned(), |zone| zone.id.to_string())
        };
        match self {
            Self::Power(at) | Self::Isolation(at) => zone(at),
            Self::Cut(a, b) | Self::Slow(a, b, _) => format!("{} <-> {}", zone(a), zone(b)),
            Self::CutOneWay(a, b) => format!("{} -> {}", zone(a), zone(b)),
            Self::Kill(host) | Self::Stop(host) | Self::Freeze(host) => instance(host),
            Self::KillDaemon(moment) => format!("daemon, {moment:?}"),
            Self::Restart => plan.topology.name.to_string(),
        }
    }
}

/// `+1.200s zone-power for 3.000s`; the target needs the plan.
impl fmt::Display for ScheduledFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "+{:.3}s {} for {:.3}s",
            self.at.as_secs_f64(),
            self.fault.kind(),
            self.lasts.as_secs_f64()
        )
    }
}

/// Draws a schedule: a few faults, most of them after the one before is over, some on top of it. The slower the control plane is by
/// its timing, the longer they last: a fault that is over before it is noticed shows nothing.
pub(super) fn draw_schedule(plan: &Plan, rng: &mut ChaCha8Rng) -> Vec<ScheduledFault> {
    let mut at = Duration::from_millis(rng.random_range(100..2_000));
    let count = rng.random_range(1..=4);
    let recovery = recovery_millis(plan);
    let mut schedule = Vec::new();
    for _ in 0..count {
        let fault = draw_fault(plan, rng);
        let longest = match fault {
            Fault::KillDaemon(Moment::Now) | Fault::Restart => 1_500,
            Fault::KillDaemon(_) => 4_000,
            Fault::Power(_)
            | Fault::Isolation(_)
            | Fault::Cut(..)
            | Fault::CutOneWay(..)
            | Fault::Slow(..)
            | Fault::Kill(_)
            | Fault::Stop(_)
            | Fault::Freeze(_) => recovery.saturating_mul(2).max(9_000),
        };
        let lasts = Duration::from_millis(rng.random_range(200..longest));
        schedule.push(ScheduledFault { at, lasts, fault });
        at += if rng.random_bool(0.35) {
            Duration::from_millis(rng.random_range(0..2_500))
        } else {
            lasts + Duration::from_millis(rng.random_range(0..recovery.max(7_000)))
        };
    }
    schedule
}

/// How long the control plane takes at most from a fault to the end of the failover, in milliseconds.
fn recovery_millis(plan: &Plan) -> u64 {
    let timing = &plan.topology.timing;
    let detection = (timing.probe_interval + timing.probe_timeout) * (timing.probe_threshold + 1);
    let failover = timing.db_failover.1.max(timing.cache_failover.1);
    u64::try_from((detection + failover).as_millis()).unwrap_or(u64::MAX)
}

fn draw_fault(plan: &Plan, rng: &mut ChaCha8Rng) -> Fault {
    let zones: Vec<ZoneNumber> = plan.topology.zones().map(|zone| zone.number).collect();
    let zone = zones[rng.random_range(0..zones.len())];
    let place = rng.random_range(0..=zones.len());
    let other = zones
        .get(place)
        .copied()
        .filter(|other| *other != zone)
        .unwrap_or(ZoneNumber::OUTSIDE);
    let (from, to) = if rng.random() {
        (zone, other)
    } else {
        (other, zone)
    };
    match rng.random_range(0..100) {
        0..16 => Fault::Power(zone),
        16..28 => Fault::Isolation(zone),
        28..37 => Fault::Cut(from, to),
        37..42 => Fault::CutOneWay(from, to),
        42..50 => {
            let latency = Duration::from_millis(rng.random_range(5..400));
            let jitter = Duration::from_millis(rng.random_range(0..100));
            Fault::Slow(
                from,
                to,
                Link {
                    cut: false,
                    latency,
                    jitter,
                },
            )
        }
        50..64 => Fault::Kill(draw_instance(plan, rng)),
        64..76 => Fault::Stop(draw_instance(plan, rng)),
        76..87 => Fault::Freeze(draw_instance(plan, rng)),
        87..97 => Fault::KillDaemon(draw_moment(rng)),
        _ => Fault::Restart,
    }
}

fn draw_moment(rng: &mut ChaCha8Rng) -> Moment {
    let after = rng.random_range(0..6);
    match rng.random_range(0..4) {
        0 => Moment::Now,
        1 => Moment::Recorded(after),
        2 => Moment::Done(after),
        _ => Moment::DoneTogether(after),
    }
}

/// An instance; seldom an application's, for there are many of them and little depends on one.
fn draw_instance(plan: &Plan, rng: &mut ChaCha8Rng) -> usize {
    loop {
        let host = rng.random_range(0..plan.instances.len());
        let app = matches!(plan.instances[host].kind, InstanceKind::App(_));
        if !app || rng.random_bool(0.2) {
            return host;
        }
    }
}

impl Ground {
    /// Does what a fault does at its beginning. `active` are the faults in force, this one among them.
    pub(super) fn inject(&mut self, fault: &Fault, active: &[Fault]) {
        self.network = network_under(active);
        match fault {
            Fault::Power(zone) => {
                for host in 0..self.hosts.len() {
                    if self.hosts[host].zone == *zone {
                        self.stop(host);
                    }
                }
            }
            Fault::Kill(host) => self.stop(*host),
            Fault::Stop(host) => {
                self.hosts[*host].held = true;
                self.stop(*host);
            }
            Fault::Freeze(host) => self.freeze(*host),
            Fault::KillDaemon(Moment::Now) => self.kill_daemon(),
            Fault::Restart => self.take_down(),
            // Its moment is yet to come.
            Fault::KillDaemon(_)
            | Fault::Isolation(_)
            | Fault::Cut(..)
            | Fault::CutOneWay(..)
            | Fault::Slow(..) => {}
        }
        self.note_who_is_heard();
        self.reassess_streams();
    }

    /// Undoes a fault. `active` are the faults still in force.
    pub(super) fn heal(&mut self, fault: &Fault, active: &[Fault]) {
        self.network = network_under(active);
        match fault {
            Fault::Power(zone) | Fault::Isolation(zone) => {
                for host in 0..self.hosts.len() {
                    if self.hosts[host].zone == *zone {
                        self.report(host);
                    }
                }
            }
            Fault::Stop(host) => self.hosts[*host].held = active.contains(fault),
            Fault::Freeze(host) if !active.contains(fault) => self.thaw(*host),
            Fault::KillDaemon(_) | Fault::Restart
                if !active.iter().any(Fault::keeps_daemon_down) =>
            {
                self.later(Duration::ZERO, Due::Resume);
            }
            Fault::Freeze(_)
            | Fault::KillDaemon(_)
            | Fault::Restart
            | Fault::Kill(_)
            | Fault::Cut(..)
            | Fault::CutOneWay(..)
            | Fault::Slow(..) => {}
        }
        self.note_who_is_heard();
        self.reassess_streams();
    }

    /// The stack is taken down: orders under way end first, then every process; data stay.
    fn take_down(&mut self) {
        self.kill_daemon();
        self.afterlife_until = self.now;
        for host in 0..self.hosts.len() {
            self.stop(host);
            // A runtime that has cleared up knows of no instance.
            self.hosts[host].ever_started = false;
        }
    }

    /// The daemon's death takes the data plane along: every connection through it is reset.
    pub(super) fn kill_daemon(&mut self) {
        if self.daemon.take().is_none() {
            return;
        }
        self.killed_at = self.now;
        self.afterlife_until = self.now + AFTERLIFE;
        for host in 0..self.hosts.len() {
            self.reset_streams_of(host);
            self.reset_clients_of(host);
        }
    }

    /// A daemon is started; its hosts' runtimes tell it what runs.
    pub(super) fn start_daemon(&mut self) -> u64 {
        self.epochs += 1;
        self.daemon = Some(self.epochs);
        for host in 0..self.hosts.len() {
            self.report(host);
        }
        self.epochs
    }
}

fn network_under(active: &[Fault]) -> Network {
    let mut network = Network::default();
    let cut = Link {
        cut: true,
        ..Link::default()
    };
    for fault in active {
        let mut worsen = |from: ZoneNumber, to: ZoneNumber, link: Link| {
            let known = network.links.entry((from, to)).or_default();
            known.cut |= link.cut;
            known.latency = known.latency.max(link.latency);
            known.jitter = known.jitter.max(link.jitter);
        };
        match fault {
            Fault::Power(zone) => {
                network.dark.insert(*zone);
            }
            Fault::Isolation(zone) => {
                network.isolated.insert(*zone);
            }
            Fault::Cut(a, b) => {
                worsen(*a, *b, cut);
                worsen(*b, *a, cut);
            }
            Fault::CutOneWay(from, to) => worsen(*from, *to, cut),
            Fault::Slow(a, b, link) => {
                worsen(*a, *b, *link);
                worsen(*b, *a, *link);
            }
            Fault::Kill(_)
            | Fault::Stop(_)
            | Fault::Freeze(_)
            | Fault::KillDaemon(_)
            | Fault::Restart => {}
        }
    }
    network
}
