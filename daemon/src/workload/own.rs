//! What one drill did to a stack: one that ends early undoes its own, and nobody else's.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use chaos::fault::Fault;
use topologies::event::{Event, EventKind};
use topologies::id::FaultId;
use topologies::plan::Plan;

use super::{Rig, fold};
use crate::stack::Injected;

/// A rig that remembers what the drill asked of it.
pub struct Own<'a> {
    rig: &'a dyn Rig,
    done: Mutex<Done>,
}

#[derive(Default)]
struct Done {
    /// Faults that were asked for, whether or not an answer came.
    asked: Vec<Fault>,
    /// The drill that was told to have begun, and not to have ended.
    begun: Option<String>,
}

impl<'a> Own<'a> {
    /// Nothing was done yet.
    pub fn new(rig: &'a dyn Rig) -> Self {
        let done = Mutex::default();
        Self { rig, done }
    }

    /// Heals what the drill injected and is still in force, and tells that the drill ended without a verdict, if it had begun.
    ///
    /// # Errors
    /// Why something could not be healed; the rest is.
    pub async fn undo(&self, first: &Plan) -> Result<(), String> {
        let Done { asked, begun } = std::mem::take(&mut *self.lock());
        let healed = match asked.is_empty() {
            true => Ok(()),
            false => self.heal_own(&asked, first).await,
        };
        if let Some(drill) = begun {
            let verdict = "unknown".to_owned();
            super::note(self.rig, EventKind::DrillEnded { drill, verdict }).await;
        }
        healed
    }

    async fn heal_own(&self, asked: &[Fault], first: &Plan) -> Result<(), String> {
        let world = fold(first, &self.rig.events(0).await?);
        let mut outcome = Ok(());
        for (id, active) in &world.faults {
            let ours =
                |fault: &Fault| fault.kind() == active.kind && fault.target() == active.target;
            if active.by.is_none() && asked.iter().any(ours) {
                let healed = self.rig.heal(Some(id.clone())).await;
                outcome = outcome.and(healed.map(|_| ()));
            }
        }
        outcome
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Rig for Own<'_> {
    async fn inject(&self, fault: Fault) -> Result<Injected, String> {
        self.lock().asked.push(fault.clone());
        self.rig.inject(fault).await
    }

    async fn heal(&self, fault: Option<FaultId>) -> Result<Vec<FaultId>, String> {
        self.rig.heal(fault).await
    }

    async fn events(&self, after: u64) -> Result<Vec<Event>, String> {
        self.rig.events(after).await
    }

    async fn note(&self, kind: EventKind) -> Result<(), String> {
        if let EventKind::DrillStarted { drill } = &kind {
            self.lock().begun = Some(drill.clone());
        } else if let EventKind::DrillEnded { .. } = &kind {
            self.lock().begun = None;
        }
        self.rig.note(kind).await
    }
}
