//! How the API says no: a status, a stable code, a message, a way out.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use serde::{Deserialize, Serialize};

/// The stable codes of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The request is malformed: no JSON, an unknown parameter.
    InvalidRequest,
    /// The fault is none, or its target does not exist.
    InvalidFault,
    /// The stack's token is needed, or the one that was shown is not it.
    Unauthorized,
    /// The request comes from a page or under a name that is not ours.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The path does not take the method.
    MethodNotAllowed,
    /// The body is no `application/json`.
    UnsupportedMediaType,
    /// The body is too large.
    TooLarge,
    /// The stack refused.
    Refused,
    /// The stack tried and failed.
    Failed,
    /// The stack is going down or does not answer.
    Unavailable,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::InvalidFault => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Refused => StatusCode::CONFLICT,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// An error as it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// The stable code.
    pub code: Code,
    /// One sentence.
    pub message: String,
    /// The way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The body of an error's answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Envelope {
    pub(super) error: ApiError,
}

impl ApiError {
    /// An error without a way out.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// The same error with a way out.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        // RFC 9110, 15.5.2: such an answer says how to authenticate.
        let scheme = (self.code == Code::Unauthorized).then_some([(WWW_AUTHENTICATE, "Bearer")]);
        let status = self.code.status();
        (status, scheme, Json(Envelope { error: self })).into_response()
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(Code::InvalidRequest, rejection.body_text())
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        let text = rejection.body_text();
        match rejection.status() {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::new(Code::UnsupportedMediaType, text)
                .hint("send the header `Content-Type: application/json`"),
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(Code::TooLarge, text),
            StatusCode::UNPROCESSABLE_ENTITY => Self::new(Code::InvalidFault, text),
            _ => Self::new(Code::InvalidRequest, text),
        }
    }
}

/// A path of ours that nothing has.
pub(super) fn unknown_path(path: &str) -> ApiError {
    ApiError::new(Code::NotFound, format!("there is no path `{path}`"))
        .hint(format!("paths begin with `{}/`", super::BASE))
}
