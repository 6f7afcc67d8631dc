//! Instances as containers: the runtime on a container engine of this machine, and the images they run on.
//!
//! The only crate that knows the engine's API. Containers share the host's network, so that addresses, links and faults of
//! the emulated network are the same as with processes; what differs is who supervises, and that an instance's end takes
//! all its processes with it. In reading order:
//! - [`engine`]: the connection; [`images`]: what containers run on
//! - `container`: a plan as an order to the engine; `program`: the user's program in it
//! - `sightings`, `board`, `monitor`: what goes on, from the witness to the reader
//! - `harm`, `afflicted`, `tool`: signals, what outlives a daemon, one-shot programs
//! - `runtime`: [`DockerRuntime`], which ties them together
//!
//! Nothing here decides about recovery.

pub mod engine;
pub mod images;

mod afflicted;
mod board;
mod container;
mod harm;
mod monitor;
mod program;
mod runtime;
mod sightings;
mod tool;

pub use container::User;
pub use runtime::{DockerRuntime, Options};

/// The version of the engine of this machine, or why there is none, in a sentence's words.
///
/// # Errors
/// The reason, for the user.
pub async fn available() -> Result<String, String> {
    match engine::Engine::connect().await {
        Ok(engine) => Ok(engine.version().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
