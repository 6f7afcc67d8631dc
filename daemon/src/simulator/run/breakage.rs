//! Faults begin and end, and the daemon with its data plane dies and comes back.

use topologies::event::EventKind;
use topologies::id::FaultId;

use super::Simulation;
use crate::control::Stimulus;
use crate::control::action::Ticket;
use crate::simulator::faults::{Fault, Moment, ScheduledFault};
use crate::simulator::ground::Due;

impl Simulation {
    pub(super) fn inject(&mut self, place: usize) {
        let whole = self.unhealed().is_none();
        let ScheduledFault { fault, lasts, .. } = self.faults[place].clone();
        // Nothing is served by a stack that was taken down.
        self.owed = self.active.is_empty() && whole && fault != Fault::Restart;
        self.disturb();
        for gauge in &mut self.gauges {
            gauge.fault(self.owed);
        }
        let note = EventKind::FaultInjected {
            fault: fault_id(place),
            fault_kind: fault.kind().to_owned(),
            target: fault.target(&self.plan),
            consequences: Vec::new(),
            by: None,
        };
        self.take(Stimulus::Note(note));
        self.active.push(place);
        match fault {
            Fault::Restart => self.take(Stimulus::Note(EventKind::StackStopping)),
            Fault::KillDaemon(moment) => self.dies_at = Some(moment),
            Fault::Power(_)
            | Fault::Isolation(_)
            | Fault::Cut(..)
            | Fault::CutOneWay(..)
            | Fault::Slow(..)
            | Fault::Kill(_)
            | Fault::Stop(_)
            | Fault::Freeze(_) => {}
        }
        self.ground.inject(&fault, &self.active_faults());
        self.part_from_control();
        self.ground.later(lasts, Due::Heal(place));
    }

    pub(super) fn heal(&mut self, place: usize) {
        self.disturb();
        self.active.retain(|active| *active != place);
        self.healed += 1;
        let fault = self.faults[place].fault.clone();
        if let Fault::KillDaemon(_) = fault {
            self.dies_at = None;
        }
        self.ground.heal(&fault, &self.active_faults());
        self.take(Stimulus::Note(EventKind::FaultHealed {
            fault: fault_id(place),
        }));
    }

    /// The control plane goes with its daemon.
    fn part_from_control(&mut self) {
        if self.ground.daemon.is_none() {
            self.control = None;
            self.wake_at = None;
            self.dies_at = None;
        }
    }

    /// The daemon's moment may have come, between recording and giving orders; says so.
    pub(super) fn dies_before_ordering(&mut self) -> bool {
        let Some(Moment::Recorded(after)) = &mut self.dies_at else {
            return false;
        };
        let now = *after == 0;
        *after = after.saturating_sub(1);
        if now {
            self.die();
        }
        now
    }

    /// The daemon's moment may have come, between an order's being done and its hearing of it; says so.
    pub(super) fn dies_before_hearing(&mut self, ticket: Ticket) -> bool {
        let Some(Moment::Done(after) | Moment::DoneTogether(after)) = &mut self.dies_at else {
            return false;
        };
        let now = *after == 0;
        *after = after.saturating_sub(1);
        if now {
            let together = matches!(self.dies_at, Some(Moment::DoneTogether(_)));
            if let Some(host) = self.ordered.get(&ticket).copied().filter(|_| together) {
                self.ground.stop(host);
            }
            self.die();
        }
        now
    }

    fn die(&mut self) {
        self.disturb();
        self.ground.kill_daemon();
        self.part_from_control();
    }

    pub(super) fn active_faults(&self) -> Vec<Fault> {
        self.active
            .iter()
            .map(|place| self.faults[*place].fault.clone())
            .collect()
    }

    /// The daemon is started again: its world is the fold of the timeline.
    pub(super) fn resume(&mut self) {
        if self.ground.daemon.is_some() {
            return;
        }
        self.ordered.clear();
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

    pub(super) fn disturb(&mut self) {
        self.disturbed_at = self.ground.now;
        self.disturbances += 1;
        self.whole_since = None;
    }
}

fn fault_id(place: usize) -> FaultId {
    FaultId::new(format!("f{}", place + 1))
}
