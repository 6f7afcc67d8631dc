//! Fits a drill to a running stack: endpoints are there and of the right kind, targets given by role become instances and zones.
//! Roles are looked at once, before the first step, as AWS FIS does with its targets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use topologies::id::FaultId;
use topologies::nearest::nearest;
use topologies::notes::{Note, Span};
use topologies::plan::{Endpoint, EndpointKind, Plan};
use topologies::time::Time;

use super::{Action, Drill, Expectation, Places, Traffic, Workload};
use crate::active::{Faults, InjectError};
use crate::fault::{Fault, FaultError};
use crate::presence::{Presence, owner};

/// A drill fitted to a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The steps with exact faults, in order of time.
    pub steps: Vec<BoundStep>,
    /// The clients, each with the endpoint that they use.
    pub workload: Vec<(Workload, Endpoint)>,
}

/// A step with an exact fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundStep {
    /// When, from the beginning.
    pub at: Duration,
    /// What. The fault of an injection is resolved.
    pub action: Action,
}

impl Drill {
    /// Fits the drill to a stack, or tells every reason why it does not fit, each with its place in the drill's file.
    pub fn bind(&self, plan: &Plan, presence: &Presence) -> Result<Bound, Vec<Note>> {
        let mut notes = Vec::new();
        let mut workload = Vec::new();
        for (index, clients) in self.workload.iter().enumerate() {
            match endpoint(clients, plan, Places::of(&self.places.workload, index)) {
                Ok(endpoint) => workload.push((clients.clone(), endpoint)),
                Err(note) => notes.push(note),
            }
        }
        let (mut steps, mut rehearsal) = (Vec::new(), Rehearsal::default());
        for (index, step) in self.steps.iter().enumerate() {
            let span = Places::of(&self.places.steps, index);
            match exact(&step.action, plan, presence) {
                Ok(action) => {
                    notes.extend(rehearsal.refuses(&action, plan, span));
                    steps.push(BoundStep {
                        at: step.at,
                        action,
                    });
                }
                Err(causes) => notes.extend(
                    causes
                        .into_iter()
                        .map(|cause| Note::error(span, cause.to_string())),
                ),
            }
        }
        let promises = self.expect.iter().enumerate();
        notes.extend(promises.filter_map(|(index, expected)| {
            missing(expected, plan, Places::of(&self.places.expect, index))
        }));
        if notes.is_empty() {
            Ok(Bound { steps, workload })
        } else {
            Err(notes)
        }
    }
}

/// The faults that would be in force after some steps, if nothing else happened.
#[derive(Default)]
struct Rehearsal {
    faults: Faults,
    labels: BTreeMap<String, FaultId>,
}

impl Rehearsal {
    /// Takes a step, or says why it would be refused after those before it.
    fn refuses(&mut self, action: &Action, plan: &Plan, span: Span) -> Option<Note> {
        match action {
            Action::Inject { fault, label } => {
                let nobody = BTreeSet::new();
                match self.faults.inject(fault.clone(), Time::ZERO, plan, &nobody) {
                    Ok((id, _)) => {
                        self.labels.extend(label.clone().map(|label| (label, id)));
                        None
                    }
                    // A freeze ends with the process, which may have been another step's doing.
                    Err(InjectError::AlreadyInForce { .. })
                        if matches!(fault, Fault::Freeze { .. }) =>
                    {
                        None
                    }
                    Err(InjectError::AlreadyInForce { fault, .. }) => {
                        let message = format!("an earlier step does that already: {fault}");
                        Some(Note::error(span, message).hint("heal it in between"))
                    }
                    Err(why @ (InjectError::AlreadyDown { .. } | InjectError::NoPower { .. })) => {
                        Some(Note::error(span, format!("after the steps before, {why}")))
                    }
                }
            }
            Action::Heal { label: Some(label) } => {
                let id = self.labels.remove(label);
                // A kill is over at once; there is nothing to heal.
                let _healed = id.map(|id| self.faults.heal(&id, plan));
                None
            }
            Action::Heal { label: None } => {
                self.faults.end_all();
                None
            }
        }
    }
}

/// That nothing is called so, with what was probably meant.
fn unknown(span: Span, what: &str, name: &str, known: &[&str]) -> Note {
    let note = Note::error(
        span,
        format!("{what} `{name}` does not exist in this stack"),
    );
    match nearest(name, known) {
        Some(meant) => note.hint(format!("did you mean `{meant}`?")),
        None if known.is_empty() => note,
        None => note.hint(format!("it has {}", known.join(", "))),
    }
}

fn endpoint(clients: &Workload, plan: &Plan, span: Span) -> Result<Endpoint, Note> {
    let name = &clients.endpoint;
    let Some(endpoint) = plan.endpoints.iter().find(|known| known.id == *name) else {
        let known: Vec<&str> = plan.endpoints.iter().map(|known| &*known.id).collect();
        return Err(unknown(span, "endpoint", name, &known));
    };
    let (fits, traffic) = match clients.traffic {
        Traffic::SqlWrites => (
            matches!(endpoint.kind, EndpointKind::RdsWriter(_)),
            "SQL writes",
        ),
        Traffic::RedisWrites => (
            matches!(endpoint.kind, EndpointKind::ElasticachePrimary(_)),
            "Redis writes",
        ),
        Traffic::Http { .. } => (
            matches!(
                endpoint.kind,
                EndpointKind::Alb(_) | EndpointKind::Nlb(_) | EndpointKind::Record
            ),
            "HTTP requests",
        ),
    };
    if fits {
        Ok(endpoint.clone())
    } else {
        Err(Note::error(
            span,
            format!("endpoint `{name}` does not take {traffic}"),
        ))
    }
}

fn exact(action: &Action, plan: &Plan, presence: &Presence) -> Result<Action, Vec<FaultError>> {
    match action {
        Action::Inject { fault, label } => {
            let fault: Fault = fault.resolve(plan, presence)?;
            let label = label.clone();
            Ok(Action::Inject { fault, label })
        }
        Action::Heal { .. } => Ok(action.clone()),
    }
}

fn missing(expected: &Expectation, plan: &Plan, span: Span) -> Option<Note> {
    let Expectation::RedundancyRestored { of, .. } = expected else {
        return None;
    };
    let mut owners: Vec<&str> = plan.instances.iter().filter_map(owner).collect();
    owners.dedup();
    let known = owners.contains(&of.as_str());
    (!known).then(|| unknown(span, "DB instance or replication group", of, &owners))
}

#[cfg(test)]
mod tests;
