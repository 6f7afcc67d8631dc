//! The engines against real PostgreSQL and Redis servers, under a small runtime of this test's own.
//!
//! Without the software on this machine these tests pass with a word on standard error; with `LOCALAWS_LIVE=process` they fail.
//! `LOCALAWS_TEST_BINARIES` names a directory whose programs are preferred, to test against other versions.

#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(
    clippy::print_stderr,
    reason = "says what was skipped and what was measured"
)]

mod cache;
mod database;
mod failover;
mod processes;
