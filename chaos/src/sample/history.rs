//! The story of a drill: four clients write every 10 ms; zone a is without power from 3 s to 8 s; for a while nothing is accepted.

use topologies::time::Time;

use super::{plan, zone};
use crate::blast_radius::blast_radius;
use crate::budget::Window;
use crate::drill::Traffic;
use crate::fault::{Fault, ZoneLoss};
use crate::history::{EndpointHistory, FaultSpan, History, Redundancy, Survivors};
use crate::ledger::{Key, Ledger};
use crate::presence::Presence;

/// What may be different; times in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Story {
    /// How long writes fail from the fault on.
    pub(crate) down_for: u64,
    /// When the clients end.
    pub(crate) clients_until: u64,
    /// When the record ends.
    pub(crate) ended: u64,
    /// How many of the last writes acknowledged before the fault are gone.
    pub(crate) lost: usize,
    /// How many writes reported as failed are there.
    pub(crate) phantoms: usize,
    /// How many single writes fail while others are accepted.
    pub(crate) errors: u64,
    /// Whether survivors can be read.
    pub(crate) readable: bool,
    /// The ledger's limit.
    pub(crate) limit: usize,
    /// How long after the heal `orders` is redundant again.
    pub(crate) redundant_after: Option<u64>,
    /// The budget's zones.
    pub(crate) budget: usize,
    /// When the emulator itself was gone.
    pub(crate) restart: Option<Window>,
    /// Why the drill ended before its time.
    pub(crate) cut_short: Option<&'static str>,
}

/// All goes well: 400 ms without writes, nothing lost.
pub(crate) fn story() -> Story {
    Story {
        down_for: 400,
        clients_until: 12_000,
        ended: 20_000,
        lost: 0,
        phantoms: 0,
        errors: 0,
        readable: true,
        limit: Ledger::LIMIT,
        redundant_after: Some(2_000),
        budget: 1,
        restart: None,
        cut_short: None,
    }
}

const FAULT: u64 = 3_000;
const HEAL: u64 = 8_000;

impl Story {
    pub(crate) fn history(&self) -> History {
        let at = Time::from_millis;
        let fault = Fault::KillAz {
            zone: zone("a"),
            mode: ZoneLoss::Power,
        };
        let consequences = blast_radius(&fault, &plan(), &Presence::initial(&plan()));
        let redundancy = |millis, full, seq| Redundancy {
            at: at(millis),
            resource: "orders".to_owned(),
            full,
            seq: Some(seq),
        };
        let again = self
            .redundant_after
            .map(|after| redundancy(HEAL + after, true, 60));
        History {
            began: Time::ZERO,
            ended: at(self.ended),
            faults: vec![FaultSpan {
                id: "f1".into(),
                fault,
                from: at(FAULT),
                to: Some(at(HEAL)),
                consequences,
                injected_seq: Some(40),
                healed_seq: Some(52),
            }],
            endpoints: vec![self.orders()],
            redundancy: [redundancy(0, true, 1), redundancy(FAULT + 100, false, 43)]
                .into_iter()
                .chain(again)
                .collect(),
            restarts: self.restart.into_iter().collect(),
            cut_short: self.cut_short.map(str::to_owned),
        }
    }

    fn orders(&self) -> EndpointHistory {
        let mut ledger = Ledger::new(self.limit);
        let (mut before, mut after, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        let mut errors = self.errors;
        for tick in (0..self.clients_until).step_by(10) {
            let key = Key::new(u16::try_from(tick / 10 % 4).unwrap(), tick / 40);
            let at = |millis| Time::from_millis(millis);
            let down = (FAULT..FAULT + self.down_for).contains(&tick);
            if down && tick % 50 == 0 {
                ledger.unknown(key, at(tick), at(tick + 5), "no answer");
            } else if down {
                ledger.failed(key, at(tick), at(tick + 1), "connection refused");
                failed.push(key);
            } else if errors > 0 && tick % 100 == 50 {
                errors -= 1;
                ledger.failed(key, at(tick), at(tick + 1), "too many connections");
                failed.push(key);
            } else {
                ledger.acknowledged(key, at(tick), at(tick + 1));
                if tick < FAULT {
                    &mut before
                } else {
                    &mut after
                }
                .push(key);
            }
        }
        before.truncate(self.limit);
        before.truncate(before.len() - self.lost.min(before.len()));
        before.extend(after);
        before.extend(failed.into_iter().take(self.phantoms));
        EndpointHistory {
            endpoint: "orders".to_owned(),
            traffic: Traffic::SqlWrites,
            ledger,
            survivors: if self.readable {
                Survivors::Found(before)
            } else {
                Survivors::Unreadable("connection refused".to_owned())
            },
        }
    }
}
