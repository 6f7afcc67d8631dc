//! A request on its way to its target, and the response on its way back.
//!
//! A request goes to another connection only if not a byte of it was sent, which is when a waiting connection turns out to be
//! closed; what a target may have seen is never sent twice.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use topologies::topology::Headers;

use crate::alb::body::{RequestBody, ResponseBody, TargetBody, Upload};
use crate::alb::choose::{Chosen, seconds};
use crate::alb::headers::{Origin, too_large, towards_client, towards_target, upgrades};
use crate::alb::pool::{CONNECT_TIMEOUT, Lease, Unreachable, open};
use crate::alb::serve::settings;
use crate::alb::upgrade;
use crate::core::Visit;
use crate::entrance::NodePort;
use crate::traffic::Count;

/// Hands the request to `target` and returns its response, or the status with which this failed.
pub(crate) async fn forward(
    served: &Rc<(Visit, NodePort)>,
    request: Request<Incoming>,
    target: &mut Chosen,
) -> Result<Response<ResponseBody>, u16> {
    let (visit, node) = &**served;
    let (idle_timeout, rules) = settings(visit, node);
    let upload = Rc::new(Upload::default());
    let (mut request, upgrade) = prepared(served, request, &upload, rules);
    let (lease, response) = loop {
        let waiting = visit.core.pool.waiting(&target.way);
        let fresh = waiting.is_none();
        let mut lease = match waiting {
            Some(lease) => lease,
            None => connect((visit, node), target, idle_timeout).await?,
        };
        let left = Instant::now();
        let response = lease.sender.try_send_request(request);
        match answered(response, &upload, idle_timeout).await {
            Ok(response) => {
                target.took(visit, left.elapsed());
                break (lease, response);
            }
            // A waiting connection that was closed meanwhile: the request has not left.
            Err(Failure::Unsent(unsent)) if !fresh => request = *unsent,
            Err(Failure::Unsent(_)) => return Err(502),
            Err(Failure::Status(status)) => return Err(status),
        }
    };
    if too_large(response.headers()) {
        return Err(502);
    }
    let mut response = returned(served, response, lease, upgrade, idle_timeout);
    if let ResponseBody::Target(body) = response.body_mut() {
        body.count(target.outstanding.take());
    }
    target.set_cookies(response.headers_mut());
    Ok(response)
}

/// The request as the target gets it, and the client's connection if it is to change its protocol.
fn prepared(
    served: &(Visit, NodePort),
    mut request: Request<Incoming>,
    upload: &Rc<Upload>,
    rules: Headers,
) -> (Request<RequestBody>, Option<OnUpgrade>) {
    let (visit, node) = served;
    let upgrade = upgrades(request.headers()).then(|| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    let origin = Origin {
        client: visit.peer,
        port: node.port,
        trace: &trace(visit),
        rules,
    };
    towards_target(&parts.uri, &mut parts.headers, origin);
    if parts.uri.authority().is_some() {
        // The target gets the path only; if there is none, the form for the server as a whole.
        let path = parts.uri.path_and_query().map_or("/", |it| it.as_str());
        parts.uri = path.parse().unwrap_or(Uri::from_static("/"));
    }
    parts.version = Version::HTTP_11;
    let upload = Rc::clone(upload);
    let body = RequestBody { body, upload };
    (Request::from_parts(parts, body), upgrade)
}

async fn connect(
    (visit, node): (&Visit, &NodePort),
    target: &Chosen,
    idle_timeout: Duration,
) -> Result<Lease, u16> {
    let (post, core) = (Arc::clone(&visit.post), visit.core.number);
    let ended = move || post.counters.add(core, Count::TargetConnectionsEnded);
    let opened = match target.way.opens(visit, node, CONNECT_TIMEOUT).await {
        Some(left) => {
            let limits = (left, idle_timeout);
            open(&target.way, limits, &visit.core.tasks, ended).await
        }
        None => Err(Unreachable::Timeout),
    };
    if opened.is_ok() {
        visit.count(Count::TargetConnections);
    }
    opened.map_err(|error| {
        visit.count(Count::TargetConnectionErrors);
        target.count(visit, Count::TargetConnectionErrors);
        match error {
            Unreachable::Refused => 502,
            Unreachable::Timeout => 504,
        }
    })
}

/// Why there is no response.
enum Failure {
    /// Nothing of the request was sent.
    Unsent(Box<Request<RequestBody>>),
    /// The client gets this.
    Status(u16),
}

type SendError = hyper::client::conn::TrySendError<Request<RequestBody>>;

/// Waits for the response's head. A body that is still moving keeps the connection from being idle.
async fn answered(
    response: impl Future<Output = Result<Response<Incoming>, SendError>>,
    upload: &Upload,
    idle_timeout: Duration,
) -> Result<Response<Incoming>, Failure> {
    let mut response = pin!(response);
    loop {
        let frames = upload.frames.get();
        match tokio::time::timeout(idle_timeout, response.as_mut()).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(mut error)) => {
                return Err(match error.take_message() {
                    Some(request) => Failure::Unsent(Box::new(request)),
                    // "HTTP 400: the client closed before sending the full request body".
                    None if upload.broken.get() => Failure::Status(400),
                    None => Failure::Status(502),
                });
            }
            Err(_) if upload.frames.get() > frames => {}
            Err(_) => return Err(Failure::Status(504)),
        }
    }
}

/// The response as the client gets it.
fn returned(
    served: &Rc<(Visit, NodePort)>,
    mut response: Response<Incoming>,
    lease: Lease,
    upgrade: Option<OnUpgrade>,
    idle_timeout: Duration,
) -> Response<ResponseBody> {
    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    towards_client(response.headers_mut(), switched);
    if switched && let Some(client) = upgrade {
        let target = hyper::upgrade::on(&mut response);
        let tasks = &served.0.core.tasks;
        let served = Rc::clone(served);
        tasks.spawn_local(async move {
            upgrade::relay(&served.0.flow, client, target, idle_timeout).await;
        });
        return response.map(|_| ResponseBody::Own(None));
    }
    let pool = Rc::clone(&served.0.core.pool);
    response.map(|body| ResponseBody::Target(TargetBody::new(body, lease, pool, idle_timeout)))
}

/// A fresh trace identifier.
fn trace(visit: &Visit) -> String {
    let (high, low) = (visit.core.draw(), visit.core.draw() >> 32);
    format!("1-{:08x}-{high:016x}{low:08x}", seconds() & 0xffff_ffff)
}
