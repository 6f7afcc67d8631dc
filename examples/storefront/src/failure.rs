//! Why a request was not served, as the client is told: a status and a JSON object.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was not served.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The request can never be served.
    Invalid(&'static str),
    /// There is no such thing.
    NotFound(&'static str),
    /// Something that the shop depends on is away; nothing was done.
    Unavailable { what: &'static str, cause: String },
    /// The answer got lost: the write may have been made. Repeating it with the same key is safe.
    Unanswered { what: &'static str, cause: String },
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::Invalid(why) => (StatusCode::UNPROCESSABLE_ENTITY, json!({"error": why})),
            Self::NotFound(what) => (StatusCode::NOT_FOUND, json!({"error": what})),
            Self::Unavailable { what, cause } => (
                StatusCode::SERVICE_UNAVAILABLE,
                json!({"error": format!("{what} is not available"), "cause": cause, "applied": "no"}),
            ),
            Self::Unanswered { what, cause } => (
                StatusCode::SERVICE_UNAVAILABLE,
                json!({"error": format!("{what} did not answer"), "cause": cause, "applied": "unknown"}),
            ),
        };
        (status, Json(body)).into_response()
    }
}
