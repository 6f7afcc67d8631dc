//! Instances as containers: the runtime on a container engine of this machine, and the images they run on.
//!
//! The only crate that knows the engine's API. Containers share the host's network, so that addresses, links and faults of
//! the emulated network are the same as with processes; what differs is who supervises, and that an instance's end takes
//! all its processes with it. In reading order:
//! - [`engine`]: the connection; [`images`]: what containers run on
//!
//! Nothing here decides about recovery.

pub mod engine;
pub mod images;
