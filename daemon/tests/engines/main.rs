//! The engines against real PostgreSQL and Redis servers, under a small runtime of this test's own.
//!
//! Without the software on this machine these tests pass with a word on standard error; with `LOCALAWS_LIVE=process` they fail.

#![expect(
    clippy::print_stderr,
    reason = "says what was skipped and what was measured"
)]

mod cache;
mod database;
mod failover;
mod processes;
