//! What must hold in bounded time: service while no more is broken than a stack is built to bear, redundancy once all is healed.

use std::time::Duration;

use topologies::plan::Plan;
use topologies::time::Time;

use super::Simulation;
use crate::simulator::effects::COMMAND_LIMIT;
use crate::simulator::ground::Due;
use crate::simulator::invariants::Invariant;
use crate::simulator::whole::{not_redundant, not_whole, traffic_to_the_dead};

/// From one look at the invariants that speak of time to the next.
pub(super) const WATCH_EVERY: Duration = Duration::from_millis(250);
/// Once whole and served, a run goes on for this long.
const STAYS_WHOLE: Duration = Duration::from_millis(1_500);

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Until the stack is available.
    pub(super) up: Duration,
    /// Until an endpoint is served again after a fault that hit a whole stack.
    pub(super) serve: Duration,
    /// Added where more was broken than that, or where a target's health checks decide.
    held_up: Duration,
    /// Until all is redundant again once all is healed.
    whole: Duration,
}

/// How long an endpoint was not served.
#[derive(Debug)]
pub(super) struct Gauge {
    pub(super) endpoint: String,
    /// Whether the loss of a zone must leave it served.
    redundant: bool,
    pub(super) served_at: Time,
    worst: Duration,
    /// Whether the present fault's recovery counts.
    owed: bool,
    pub(super) recoveries: Vec<Duration>,
}

impl Bounds {
    pub(super) fn of(plan: &Plan) -> Self {
        let timing = &plan.topology.timing;
        let detection =
            (timing.probe_interval + timing.probe_timeout) * (timing.probe_threshold + 1);
        let failover = timing.db_failover.1.max(timing.cache_failover.1);
        let ttl = timing.rds_ttl.max(timing.elasticache_ttl);
        let checks = plan.topology.target_groups.iter().map(|group| {
            let check = group.health_check.paced(timing.health_check_scale);
            (check.interval + check.timeout) * (check.healthy_threshold + check.unhealthy_threshold)
        });
        let checks = checks.max().unwrap_or_default();
        let serve = Duration::from_secs(3) + detection + failover + ttl;
        // A command to a host that does not answer takes its whole limit, and what waits for it comes after.
        let held_up = COMMAND_LIMIT * 2 + checks;
        Self {
            up: Duration::from_secs(20) + checks * 2,
            serve,
            held_up,
            whole: serve + held_up + COMMAND_LIMIT,
        }
    }
}

impl Simulation {
    pub(super) fn unhealed(&self) -> Option<String> {
        not_whole(&self.ground, &self.plan, &self.world)
            .or_else(|| not_redundant(&self.ground, &self.records, &self.world))
    }

    /// Looks at what must hold in bounded time, and ends the run when all was well for a while.
    pub(super) fn watch(&mut self) {
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
            let since = now - gauge.served_at.max(self.disturbed_at);
            let swift = self.owed && gauge.redundant;
            swift && since > self.bounds.serve
                || quiet && since > self.bounds.serve + self.bounds.held_up
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

    pub(super) fn finish(&mut self) {
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
}

impl Gauge {
    pub(super) fn new(endpoint: String, redundant: bool) -> Self {
        Self {
            endpoint,
            redundant,
            served_at: Time::ZERO,
            worst: Duration::ZERO,
            owed: false,
            recoveries: Vec::new(),
        }
    }

    pub(super) fn served(&mut self, now: Time) {
        self.worst = self.worst.max(now - self.served_at);
        self.served_at = now;
    }

    /// A fault begins, or the run ends: what the one before cost is counted.
    pub(super) fn fault(&mut self, owed: bool) {
        if self.owed {
            self.recoveries.push(self.worst);
        }
        self.owed = owed;
        self.worst = Duration::ZERO;
    }
}
