//! Fits a drill to a running stack: endpoints are there and of the right kind, targets given by role become instances and zones.
//! Roles are looked at once, before the first step, as AWS FIS does with its targets.

use std::time::Duration;

use topologies::nearest::nearest;
use topologies::plan::{Endpoint, EndpointKind, Plan};

use super::{Action, Drill, Expectation, Traffic, Workload};
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

/// Why a drill does not fit a stack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The stack has no such endpoint.
    #[error(
        "endpoint `{endpoint}` does not exist in this stack{}",
        also(suggestion)
    )]
    UnknownEndpoint {
        /// As written.
        endpoint: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// The endpoint does not take this traffic.
    #[error("endpoint `{endpoint}` does not take {traffic}")]
    WrongTraffic {
        /// The endpoint.
        endpoint: String,
        /// The traffic.
        traffic: &'static str,
    },
    /// The stack has no such DB instance or replication group.
    #[error(
        "DB instance or replication group `{resource}` does not exist in this stack{}",
        also(suggestion)
    )]
    UnknownResource {
        /// As written.
        resource: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// A step's fault can not be meant.
    #[error("step at {}: {cause}", topologies::duration::format(*at))]
    Fault {
        /// The step.
        at: Duration,
        /// What is wrong with it.
        cause: FaultError,
    },
}

fn also(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

impl Drill {
    /// Fits the drill to a stack, or tells every reason why it does not fit.
    pub fn bind(&self, plan: &Plan, presence: &Presence) -> Result<Bound, Vec<BindError>> {
        let mut errors = Vec::new();
        let mut workload = Vec::new();
        for clients in &self.workload {
            match endpoint(clients, plan) {
                Ok(endpoint) => workload.push((clients.clone(), endpoint)),
                Err(error) => errors.push(error),
            }
        }
        let mut steps = Vec::new();
        for step in &self.steps {
            match exact(&step.action, plan, presence) {
                Ok(action) => steps.push(BoundStep {
                    at: step.at,
                    action,
                }),
                Err(causes) => errors.extend(
                    causes
                        .into_iter()
                        .map(|cause| BindError::Fault { at: step.at, cause }),
                ),
            }
        }
        errors.extend(
            self.expect
                .iter()
                .filter_map(|expected| missing(expected, plan)),
        );
        if errors.is_empty() {
            Ok(Bound { steps, workload })
        } else {
            Err(errors)
        }
    }
}

fn endpoint(clients: &Workload, plan: &Plan) -> Result<Endpoint, BindError> {
    let name = &clients.endpoint;
    let Some(endpoint) = plan.endpoints.iter().find(|known| known.id == *name) else {
        let known: Vec<&str> = plan.endpoints.iter().map(|known| &*known.id).collect();
        return Err(BindError::UnknownEndpoint {
            endpoint: name.clone(),
            suggestion: nearest(name, &known).map(str::to_owned),
        });
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
        Err(BindError::WrongTraffic {
            endpoint: name.clone(),
            traffic,
        })
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

fn missing(expected: &Expectation, plan: &Plan) -> Option<BindError> {
    let Expectation::RedundancyRestored { of, .. } = expected else {
        return None;
    };
    let owners: Vec<&str> = plan.instances.iter().filter_map(owner).collect();
    (!owners.contains(&of.as_str())).then(|| BindError::UnknownResource {
        resource: of.clone(),
        suggestion: nearest(of, &owners).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests;
