//! The AWS API: what clients of AWS ask, answered from the world and changed in the driver's order.
//!
//! ```text
//! bytes ─gateway─► wire::identify ─► signature ─► handler ─Read───► View of the world ────────────► wire::respond ─► bytes
//!                                                      └──Change─► driver: decide(World) ─► notes ─┘
//! ```
//! - `gateway`: bodies in, answers out, request ids, the wait for the driver; `experimenter`: carries experiments out; `evaluator`: has
//!   alarms evaluated. Only these three act
//! - `dispatch`: who calls, which handler that is, what it gets to see
//! - `view`: what handlers see; `session`: temporary credentials; `change`: what handlers may change
//! - `trouble`: what faults do to calls, before anybody else sees them
//! - `ids`: identifiers that are derived from ours; `input`, `tags`, `published`, `subnet_groups`, `security_groups`, `versions`: what
//!   several services have alike
//! - `services`: which operations are built, the only place that names a service's module; `coverage` counts them
//! - one module per service, named as its model in `wire`, with a table of its operations
//!
//! A handler is a function of what it is shown. An operation that the model has and no table is answered `NotImplemented`.

mod arc_zonal_shift;
mod change;
mod cloudwatch;
mod coverage;
mod dispatch;
mod ec2;
mod elasticache;
mod elbv2;
mod evaluator;
mod experimenter;
mod fis;
#[cfg(test)]
mod fixture;
mod gateway;
mod iam;
mod ids;
mod input;
mod published;
mod rds;
mod resourcegroupstaggingapi;
mod route53;
pub(crate) mod security_groups;
mod services;
mod session;
mod sts;
mod subnet_groups;
mod tags;
mod trouble;
mod versions;
mod view;

use serde_json::Value;
use topologies::topology::Topology;
use wire::{Call, Fault, Record};

pub use change::{Change, Decide, Decided};
pub use cloudwatch::{Metrics, Sights};
pub use coverage::{Coverage, coverage, markdown as coverage_markdown};
pub use evaluator::Evaluator;
pub use experimenter::Experimenter;
pub(crate) use fis::abandoned;
pub use gateway::Gateway;
pub(crate) use route53::health_check_id;
pub use session::{Issuer, Principal, Session};
pub use trouble::known;
pub use view::{Facts, View};

/// How an operation is answered.
#[derive(Clone, Copy, Debug)]
pub enum Handler {
    /// Answers from a snapshot of the world.
    Read(fn(&View<'_>, &Call<'_>, &Value) -> Result<Record, Fault>),
    /// Decides, in the driver's order, what is to change; nothing is changed on an error.
    Change(fn(&View<'_>, &Value) -> Result<Decision, Fault>),
    /// Tells measured values, which are no part of the world: they are kept at once. Nothing is kept on an error.
    Measure(fn(&View<'_>, &Value) -> Result<Measurement, Fault>),
}

/// A call's output, and what is to change.
pub type Decision = (Record, Vec<Change>);

/// A call's output, and what it measured.
pub(crate) type Measurement = (Record, Vec<cloudwatch::Datum>);

/// The region that is meant where a call names none: the topology's first.
pub fn region(topology: &Topology) -> &str {
    let first = topology.regions.first();
    first.map_or("us-east-1", |region| region.id.as_str())
}

/// Operations by name.
pub type Operations = &'static [(&'static str, Handler)];

#[cfg(test)]
mod tests;
