//! What a drill needs beside faults: the stack's clock, and a place in the timeline for its beginning and end.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use topologies::event::EventKind;
use topologies::time::Time;

use super::Api;
use super::error::{ApiError, Code};
use crate::stack::Request;

/// The stack's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClockView {
    /// Microseconds since the timeline began.
    pub now: Time,
}

/// A drill's beginning, or its end with what was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DrillNote {
    /// The drill's name.
    pub drill: String,
    /// `held`, `broken` or `unknown`; none at the beginning.
    pub verdict: Option<String>,
}

pub(super) async fn clock(State(api): State<Api>) -> Json<ClockView> {
    Json(ClockView {
        now: api.stack.clock.now(),
    })
}

pub(super) async fn note(
    State(api): State<Api>,
    note: Result<Json<DrillNote>, JsonRejection>,
) -> Result<(StatusCode, Json<DrillNote>), ApiError> {
    let Json(note) = note?;
    let drill = note.drill.clone();
    let kind = match note.verdict.clone() {
        None => EventKind::DrillStarted { drill },
        Some(verdict) => EventKind::DrillEnded { drill, verdict },
    };
    let told = api.stack.requests.send(Request::Note(kind)).await;
    told.map_err(|_| ApiError::new(Code::Unavailable, "the stack is being taken down"))?;
    Ok((StatusCode::CREATED, Json(note)))
}
