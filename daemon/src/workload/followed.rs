//! A stack's timeline as a drill follows it: read once, and then only what is new. A stack that is old has a long one, and a drill looks
//! while it should act.

use chaos::history::FaultSpan;
use chaos::presence::Presence;
use topologies::event::{Event, EventKind};
use topologies::id::FaultId;
use topologies::plan::Plan;
use topologies::time::Time;
use topologies::world::World;

use super::{DrillError, Rig, fold};

/// A timeline so far, and what it adds up to.
pub(super) struct Followed<'a> {
    rig: &'a dyn Rig,
    events: Vec<Event>,
    world: World,
}

impl<'a> Followed<'a> {
    /// The timeline of the stack that was planned as `first` when it began.
    pub(super) async fn from_its_beginning(
        first: &Plan,
        rig: &'a dyn Rig,
    ) -> Result<Self, DrillError> {
        let mut followed = Self {
            rig,
            events: Vec::new(),
            world: fold(first, &[]),
        };
        followed.catch_up().await?;
        Ok(followed)
    }

    /// Reads what is new.
    pub(super) async fn catch_up(&mut self) -> Result<(), DrillError> {
        let last = self.events.last().map_or(0, |event| event.seq);
        let news = self.rig.events(last).await.map_err(DrillError::Stack)?;
        for event in &news {
            self.world.apply(event);
        }
        self.events.extend(news);
        Ok(())
    }

    /// The stack whose timeline it is.
    pub(super) fn rig(&self) -> &'a dyn Rig {
        self.rig
    }

    /// Heals a fault that this drill injected; whether it was still in force. It may end of itself at any moment.
    pub(super) async fn heal(&mut self, fault: &FaultId) -> Result<bool, DrillError> {
        self.catch_up().await?;
        if self.ended(fault) {
            return Ok(false);
        }
        let Err(why) = self.rig.heal(Some(fault.clone())).await else {
            return Ok(true);
        };
        self.catch_up().await?;
        if self.ended(fault) {
            Ok(false)
        } else {
            Err(DrillError::Stack(why))
        }
    }

    /// All of it.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    /// What the stack has become.
    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// The roles of the moment, and who is down.
    pub(super) fn presence(&self) -> Presence {
        Presence::of(&self.world.plan, &self.world)
    }

    /// Whether a fault is over; it may have ended of itself, as a freeze ends with the process that it hit.
    fn ended(&self, id: &FaultId) -> bool {
        !self.world.faults.contains_key(id) && self.has(id)
    }

    /// What was done to the stack since a moment by others than who injected these faults.
    pub(super) fn broken_by_others(&self, since: Time, own: &[FaultSpan]) -> Vec<String> {
        let after = self.events.iter().filter(|event| event.at >= since);
        let others = after.filter(|event| {
            let injected = matches!(&event.event, EventKind::FaultInjected { fault, .. } if !own.iter().any(|span| span.id == *fault));
            injected || matches!(event.event, EventKind::ExperimentStarted { .. })
        });
        let told = others.map(|event| format!("{} ({})", event.event.subject(), event.event));
        told.collect()
    }

    fn has(&self, id: &FaultId) -> bool {
        self.events.iter().rev().any(
            |event| matches!(&event.event, EventKind::FaultInjected { fault, .. } if fault == id),
        )
    }
}
