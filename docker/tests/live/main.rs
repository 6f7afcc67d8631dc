//! Against the container engine of this machine, if there is one. Skipped with a word where there is none, unless
//! `LOCALAWS_LIVE=docker` asks for it: then its absence is a failure.
#![expect(
    clippy::print_stderr,
    reason = "tests say what they skip and what they measured"
)]
#![expect(clippy::unwrap_used, reason = "all of this is tests")]

mod afflictions;
mod images;
mod instances;
mod stack;
mod tools;

use docker::engine::Engine;

/// The engine, or nothing when the test is to be skipped.
async fn engine() -> Option<Engine> {
    match Engine::connect().await {
        Ok(engine) => Some(engine),
        Err(error) if std::env::var("LOCALAWS_LIVE").is_ok_and(|live| live == "docker") => {
            panic!("LOCALAWS_LIVE=docker, but: {error}")
        }
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}
