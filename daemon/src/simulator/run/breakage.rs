//! Faults begin and end, and the daemon with its data plane dies and comes back.

use topologies::event::EventKind;
use topologies::id::FaultId;

use super::Simulation;
use crate::control::Stimulus;
use crate::simulator::faults::{Fault, ScheduledFault};
use crate::simulator::ground::Due;

impl Simulation {
    pub(super) fn inject(&mut self, place: usize) {
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

    pub(super) fn heal(&mut self, place: usize) {
        self.disturb();
        self.active.retain(|active| *active != place);
        self.healed += 1;
        let fault = self.faults[place].fault.clone();
        self.ground.heal(&fault, &self.active_faults());
        self.take(Stimulus::Note(EventKind::FaultHealed {
            fault: fault_id(place),
        }));
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
