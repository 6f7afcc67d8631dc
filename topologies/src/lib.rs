//! What a stack is: the topology language, the stack as meant, the plan of what runs where, the events that tell
//! what happened, and the runtime interface that starts instances.
//!
//! Pure: nothing here opens a file or a socket, reads a clock or draws a random number. In reading order:
//! - [`id`], [`time`], [`address`]: names, moments and places
//! - [`spec`]: a topology file as written; [`check`]: `Spec` to [`topology`], every mistake at once
//! - [`topology`]: the stack as meant, references resolved, AWS's defaults filled
//! - [`plan`]: what will run where, at which address, under which name
//! - [`event`], [`world`]: the vocabulary of everything that happens, and its fold
//! - [`runtime`]: the trait that starts, stops and watches instances; [`affliction`]: what harm forbids and hides
//! - [`network`]: the physical state of the emulated network

pub mod address;
pub mod affliction;
pub mod event;
pub mod id;
pub mod network;
pub mod plan;
pub mod runtime;
pub mod time;
pub mod topology;
pub mod world;
