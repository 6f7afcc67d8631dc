//! The control plane and everything around it: brings a stack up, keeps it, recovers it, drives it from the command line.
//!
//! - [`control`]: pure machines that decide; [`simulator`]: their world in virtual time
//! - [`launch`]: starts and ends the parts of a stack; [`driver`]: the only owner of control; [`routes`]: what the world means for the
//!   data plane
//! - [`effects`]: performs orders; [`engines`]: PostgreSQL and Redis; [`apps`]: the user's programs; [`secrets`]: their passwords
//! - [`prober`]: how control learns; [`sampler`]: how metrics do; [`faults`], [`harm`]: what chaos does beside it; [`hosts`]: names without a resolver;
//!   `callers`: which instance dials
//! - [`runtime`]: instances as local processes; [`shim`]: what starts one
//! - [`restore`]: back to what the topology file says
//! - [`up`]: what is asked of a bring-up; [`stack`]: the handle of a running stack; [`state`]: what is on disk of stacks
//! - [`workload`]: a drill's clients; [`log`]: the timeline file; [`api`], [`aws`], [`cli`]: the ways in

pub mod api;
pub mod apps;
pub mod aws;
mod callers;
mod causes;
pub mod cli;
pub mod control;
pub mod driver;
pub mod effects;
pub mod engines;
pub mod estate;
pub mod faults;
pub mod harm;
pub mod hosts;
pub mod launch;
pub mod log;
mod ports;
pub mod prober;
pub mod restore;
pub mod routes;
pub mod runtime;
pub mod sampler;
pub mod secrets;
pub mod shim;
pub mod simulator;
pub mod stack;
pub mod state;
pub mod up;
pub mod workload;
