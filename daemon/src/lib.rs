//! The control plane and everything around it: brings a stack up, keeps it, recovers it, drives it from the command line.
//!
//! - [`control`]: pure machines that decide; [`simulator`]: their world in virtual time
//! - [`driver`]: the only owner of control; [`effects`]: performs one action; [`engines`]: PostgreSQL and Redis
//! - [`runtime`]: instances as local processes
//! - [`up`]: what is asked of a bring-up; [`stack`]: the handle of a running stack; [`state`]: what is on disk of stacks
//! - [`workload`]: a drill's clients; [`log`]: the timeline file; [`api`], [`cli`]: the ways in

pub mod api;
pub mod cli;
pub mod control;
pub mod driver;
pub mod effects;
pub mod engines;
pub mod log;
pub mod runtime;
pub mod simulator;
pub mod stack;
pub mod state;
pub mod up;
pub mod workload;
