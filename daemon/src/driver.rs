//! Not written yet: a hollow driver, so that the command line and the API have something to talk to.

use topologies::address::Slot;

use crate::stack::Stack;
use crate::up::{Progress, UpError, UpOptions};

/// A stack that came up in this process.
pub struct RunningStack {
    /// What others hold of it.
    pub stack: Stack,
}

/// Brings a stack up.
#[expect(clippy::unused_async, reason = "a stub")]
pub async fn up(
    options: UpOptions,
    _progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<RunningStack, UpError> {
    let _: Slot = options.plan_slot;
    Err(UpError::Failed {
        message: "bringing a stack up is not written yet".to_owned(),
        hint: None,
    })
}

impl RunningStack {
    /// Waits until every endpoint answers.
    #[expect(clippy::unused_async, reason = "a stub")]
    pub async fn ready(&mut self) -> Result<(), UpError> {
        Ok(())
    }

    /// Waits until the driver has ended.
    #[expect(clippy::unused_async, reason = "a stub")]
    pub async fn stopped(self) {}
}
