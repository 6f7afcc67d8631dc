//! Back to what the topology file says: faults healed, what was made through the AWS API gone, what it changed or ended as it was.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::error::{ApiError, Code};
use super::{Api, faults, views};
use crate::aws::Change;
use crate::restore::{Step, step};
use crate::stack::{Request, Stack};

/// No reset takes longer.
pub(super) const RESET_WITHIN: Duration = Duration::from_secs(60);

/// Resets the stack; answers when it is as the file says, and whole.
pub(super) async fn reset(State(api): State<Api>) -> Result<Json<views::ResetView>, ApiError> {
    let stack = &api.stack;
    let until = Instant::now() + RESET_WITHIN;
    let healed = faults::heal_every(stack).await?;
    let mut changed = !healed.is_empty();
    let mut world = stack.world.clone();
    loop {
        world.borrow_and_update();
        match advance(stack).await? {
            Step::Done => break,
            Step::Events(_) => changed = true,
            Step::Wait => {
                let moved = tokio::time::timeout_at(until, world.changed()).await;
                moved.map_err(|_| late())?.map_err(|_| gone())?;
            }
        }
        if Instant::now() > until {
            return Err(late());
        }
    }
    // What clients measured of the stack as it was says nothing of the stack as it is.
    stack.metrics.forget_put();
    Ok(Json(views::ResetView { changed }))
}

/// Has the driver take the next step.
async fn advance(stack: &Stack) -> Result<Step, ApiError> {
    let (answer, answered) = oneshot::channel();
    let (taken, step_taken) = oneshot::channel();
    let origin = std::sync::Arc::clone(&stack.origin);
    let decide = Box::new(move |world: &_, _| {
        let step = step(world, &origin);
        let events = match &step {
            Step::Events(events) => events.clone(),
            Step::Wait | Step::Done => Vec::new(),
        };
        // Nobody waits for it any more.
        let _gone = taken.send(step);
        Ok((Value::Null, events.into_iter().map(Change::Note).collect()))
    });
    let call = Request::Call { decide, answer };
    stack.requests.send(call).await.map_err(|_| gone())?;
    let decided = answered.await.map_err(|_| gone())?;
    decided.map_err(|fault| ApiError::new(Code::Refused, fault.message))?;
    step_taken.await.map_err(|_| gone())
}

fn gone() -> ApiError {
    ApiError::new(Code::Unavailable, "the stack is being taken down")
}

fn late() -> ApiError {
    let text = format!("the stack is not as its file says within {RESET_WITHIN:?}");
    ApiError::new(Code::Failed, text)
        .hint("`localaws status` and `localaws events` say what is missing")
}
