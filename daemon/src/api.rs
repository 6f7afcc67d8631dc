//! The control API: JSON over HTTP on a Unix socket of the user's own and on loopback addresses.
//!
//! The socket is for whoever may open its file. Over TCP, where every user of this machine gets in, the stack's token is asked for
//! (`Authorization: Bearer`, [`token`]); without it there is `status`, and `endpoints` without passwords.
//!
//! ```text
//! GET    /_localaws/v1/status                  what the stack is doing
//! GET    /_localaws/v1/endpoints               what to connect to, with passwords for the owner
//! GET    /_localaws/v1/plan                    what was planned, at which addresses
//! GET    /_localaws/v1/topology                a topology file that means what the stack has become
//! GET    /_localaws/v1/events?since=N&follow=  the timeline after event N, one JSON object a line
//! GET    /_localaws/v1/logs/{instance}?follow= an instance's log as text
//! GET    /_localaws/v1/faults                  faults in force
//! POST   /_localaws/v1/faults?preview=         injects a fault, or only tells what it would hit
//! DELETE /_localaws/v1/faults/{id}             heals a fault; without {id} all of them
//! POST   /_localaws/v1/reset                   back to what the topology file says
//! POST   /_localaws/v1/down?purge=             takes the stack down
//! ```
//! An error is `{"error": {"code", "message", "hint"}}`. Everything else on the port belongs to the AWS API ([`crate::aws`]).
//! Nothing here decides: answers are views of the world, commands are requests to the driver.

mod addresses;
pub mod client;
pub mod drills;
pub mod error;
mod events;
mod faults;
mod guard;
mod names;
mod reset;
pub mod serve;
pub mod token;
pub mod views;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router, middleware};
use futures_util::StreamExt;
use http::header;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use topologies::id::InstanceId;

use crate::aws::Gateway;
use crate::stack::Stack;
use error::{ApiError, Code};
use token::{Caller, Token};

/// Under which path everything of ours is; the rest of the port is AWS's.
pub const BASE: &str = "/_localaws/v1";

/// The largest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// What the API works on. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// The stack.
    pub stack: Stack,
    /// The AWS API of the stack.
    pub aws: Arc<Gateway>,
    /// What the stack's owner shows over TCP.
    pub token: Token,
    /// To who keeps the stack: take it down.
    pub down: mpsc::Sender<Down>,
    /// Ends streams when the API is to end.
    pub ending: CancellationToken,
}

/// A wish that the stack be taken down.
#[derive(Debug)]
pub struct Down {
    /// Whether its data goes too.
    pub purge: bool,
    /// Told when every instance is gone, or why not.
    pub done: oneshot::Sender<Result<(), String>>,
}

/// Who can reach a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Who may open the socket's file.
    File,
    /// Every program of this machine, a browser with a page from anywhere among them.
    Loopback,
}

/// The API as a service for connections from `exposure`.
pub fn router(api: Api, exposure: Exposure) -> Router {
    let suffix = api.stack.plan().topology.suffix.clone();
    let owners = Router::new()
        .route("/plan", get(plan))
        .route("/topology", get(topology))
        .route("/events", get(events))
        .route("/logs/{instance}", get(logs))
        .route(
            "/faults",
            get(faults::list)
                .post(faults::inject)
                .delete(faults::heal_all),
        )
        .route("/faults/{id}", delete(faults::heal))
        .route("/clock", get(drills::clock))
        .route("/drills", post(drills::note))
        .route("/reset", post(reset::reset))
        .route("/down", post(down))
        .route_layer(middleware::from_fn_with_state(
            api.clone(),
            guard::owners_only,
        ));
    let ours = Router::new()
        .route("/status", get(status))
        .route("/endpoints", get(endpoints))
        .merge(owners)
        .method_not_allowed_fallback(wrong_method);
    let ours = match exposure {
        Exposure::File => ours.layer(Extension(Caller::Owner)),
        Exposure::Loopback => {
            ours.layer(middleware::from_fn_with_state(api.clone(), guard::identify))
        }
    };
    let router = Router::new()
        .nest(BASE, ours)
        .fallback(elsewhere)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(api);
    match exposure {
        Exposure::File => router,
        Exposure::Loopback => router.layer(middleware::from_fn_with_state(
            guard::Names::new(&suffix),
            guard::refuse_foreigners,
        )),
    }
}

/// What is not a path of ours belongs to AWS.
async fn elsewhere(State(api): State<Api>, request: Request) -> Response {
    if request.uri().path().starts_with("/_localaws") {
        return error::unknown_path(request.uri().path()).into_response();
    }
    api.aws.serve(request).await
}

async fn wrong_method() -> ApiError {
    ApiError::new(Code::MethodNotAllowed, "this path does not take the method")
}

async fn status(State(api): State<Api>) -> Json<views::StatusView> {
    let world = api.stack.world.borrow().clone();
    Json(views::status(&api.stack, &world))
}

async fn endpoints(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Json<views::EndpointsView> {
    let world = api.stack.world.borrow().clone();
    let view = views::endpoints(&api.stack, &world);
    Json(match caller {
        Caller::Owner => view,
        Caller::Stranger => view.without_passwords(),
    })
}

async fn plan(State(api): State<Api>) -> Json<views::PlanView> {
    Json(views::plan(&api.stack.plan()))
}

async fn topology(State(api): State<Api>) -> Json<views::TopologyView> {
    let yaml = topologies::explain::explain(&api.stack.plan().topology);
    Json(views::TopologyView { yaml })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    #[serde(default)]
    since: u64,
    #[serde(default)]
    follow: bool,
}

async fn events(
    State(api): State<Api>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query?;
    let feed = events::Feed::open(&api.stack, query.since, query.follow);
    let ended = api.ending.cancelled_owned();
    let body = Body::from_stream(feed.lines().take_until(ended));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogsQuery {
    #[serde(default)]
    follow: bool,
}

async fn logs(
    State(api): State<Api>,
    Path(instance): Path<String>,
    query: Result<Query<LogsQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query?;
    let id = InstanceId::from(instance);
    if api.stack.plan().instance(&id).is_none() {
        return Err(names::no_instance(&api.stack.plan(), id.as_str()));
    }
    let lines = api.stack.runtime.logs(&id, query.follow);
    let ended = api.ending.cancelled_owned();
    let lines = lines.take_until(ended).map(|mut line| {
        if !line.ends_with('\n') {
            line.push('\n');
        }
        Ok::<_, std::convert::Infallible>(line)
    });
    let body = Body::from_stream(lines);
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DownQuery {
    #[serde(default)]
    purge: bool,
}

async fn down(
    State(api): State<Api>,
    query: Result<Query<DownQuery>, QueryRejection>,
) -> Result<Json<views::DownView>, ApiError> {
    let Query(DownQuery { purge }) = query?;
    let (done, told) = oneshot::channel();
    let stopping = || ApiError::new(Code::Unavailable, "the stack is being taken down already");
    api.down
        .try_send(Down { purge, done })
        .map_err(|_| stopping())?;
    match told.await {
        Ok(Ok(())) => Ok(Json(views::DownView { down: true, purge })),
        Ok(Err(why)) => Err(ApiError::new(Code::Failed, why)),
        Err(_) => Err(stopping()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
