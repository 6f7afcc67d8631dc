//! The simulator: the control plane against a whole stack in virtual time, with faults drawn from a seed.
//!
//! The same [`Control`](crate::control::Control) that runs a real stack is driven here against simulated hosts, links, engines
//! and clients. A drill of minutes takes milliseconds, and a seed that broke a rule breaks it again:
//! the same seed gives the same timeline, byte for byte. Nothing here sleeps, reads a clock or opens a socket.
//!
//! - `clock`: the agenda; `due`: what can be on it; `ground`: what is really there and all that can happen to it
//! - `server`, `replication`: PostgreSQL and Redis as logs that stream; `effects`: orders performed; `probes`: questions asked
//! - `clients`, `visitors`: who uses the endpoints; `faults`: what goes wrong
//! - `invariants`: what must hold at every step; `chronicle`: in which order it is told; `whole`: what redundancy is; `run`: one run; `rehearsal`: many, and a report

mod chronicle;
mod clients;
mod clock;
mod due;
mod effects;
mod faults;
mod ground;
mod invariants;
mod probes;
mod rehearsal;
mod replication;
mod run;
mod server;
mod visitors;
mod whole;

pub use faults::{Fault, Moment, ScheduledFault};
pub use invariants::{Invariant, Violation};
pub use rehearsal::{BrokenRun, Recovery, RehearsalReport, rehearse};
pub use run::{Run, Settings, simulate};
