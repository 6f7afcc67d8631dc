//! Fits a drill to a running stack: endpoints are there and of the right kind, targets given by role become instances and zones.
//! Roles are looked at once, before the first step, as AWS FIS does with its targets.

use std::time::Duration;

use topologies::nearest::nearest;
use topologies::notes::{Note, Span};
use topologies::plan::{Endpoint, EndpointKind, Plan};

use super::{Action, Drill, Expectation, Places, Traffic, Workload};
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
        let mut steps = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            let span = Places::of(&self.places.steps, index);
            match exact(&step.action, plan, presence) {
                Ok(action) => steps.push(BoundStep {
                    at: step.at,
                    action,
                }),
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
