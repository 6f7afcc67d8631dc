//! A client's connection to an Application Load Balancer's node, request by request.
//!
//! ```text
//! objections ─► rule ─► target ─► waiting or new connection ─► response
//!    4xx        fixed     503        502 refused, 504 silent     502 broken, 504 silent
//! ```
//! A request goes to another connection only if not a byte of it was sent, which is when a waiting connection turns out to be
//! closed; what a target may have seen is never sent twice.

use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use topologies::topology::RuleAction;

use crate::alb::body::{RequestBody, ResponseBody, TargetBody, Upload};
use crate::alb::headers::{
    Origin, REQUEST_HEADERS_MAX, host, objection, too_large, towards_client, towards_target,
    upgrades,
};
use crate::alb::pool::{CONNECT_TIMEOUT, Lease, Unreachable, open};
use crate::alb::{errors, rules, upgrade};
use crate::core::Visit;
use crate::entrance::NodePort;
use crate::linked::Linked;
use crate::node::Way;
use crate::targets::pick;
use crate::traffic::{Count, Counters};

/// The idle timeout of a load balancer that is gone ("idle_timeout.timeout_seconds" defaults to 60).
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// More headers than AWS's limit on their size lets through.
const HEADERS_MAX: usize = 256;
/// Room for the largest request line and headers that AWS takes, so that it is us who turn down larger ones.
const HEAD_MAX: usize = 2 * REQUEST_HEADERS_MAX;

/// Serves one connection.
pub(crate) async fn serve(visit: Visit, client: TcpStream, node: NodePort) {
    let flow = Arc::clone(&visit.flow);
    let io = Linked::new(client, Arc::clone(&flow), visit.core.draw());
    let idle_timeout = idle_timeout(&visit, &node);
    let served = Rc::new((visit, node));
    let service = service_fn(|request| {
        let served = Rc::clone(&served);
        async move {
            let answered = Unanswered::new(Rc::clone(&served));
            let response = respond(&served, request).await;
            answered.done();
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle_timeout)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_MAX)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    match flow.unless_doomed(&mut connection).await {
        // hyper has answered with a bare status already.
        Ok(Err(error)) if error.is_parse() => served.0.count(Count::Elb4xx),
        // What else breaks a client's connection is the client's affair.
        Ok(_) => {}
        Err(_doomed) => {
            flow.sever();
            served.0.count(Count::Resets);
            // A reset does not pass a dark link.
            flow.passable().await;
        }
    }
    flow.sever();
}

fn idle_timeout(visit: &Visit, node: &NodePort) -> Duration {
    let snapshot = visit.core.snapshot();
    let load_balancer = snapshot.routes.load_balancers.get(&node.load_balancer);
    load_balancer.map_or(IDLE_TIMEOUT, |it| it.idle_timeout)
}

/// Counts a request whose client goes away before it is answered: "HTTP 460", which nobody receives.
struct Unanswered(Option<Rc<(Visit, NodePort)>>);

impl Unanswered {
    fn new(served: Rc<(Visit, NodePort)>) -> Self {
        served.0.count(Count::Requests);
        Self(Some(served))
    }

    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(served) = &self.0 {
            served.0.count(Count::Elb4xx);
        }
    }
}

/// An answer of the load balancer itself.
fn own(visit: &Visit, response: Response<Bytes>) -> Response<ResponseBody> {
    let status = response.status().as_u16();
    let class = match status {
        300..=399 => Some(Count::Elb3xx),
        400..=499 => Some(Count::Elb4xx),
        500..=599 => Some(Count::Elb5xx),
        _ => None,
    };
    let code = match status {
        500 => Some(Count::Elb500),
        502 => Some(Count::Elb502),
        503 => Some(Count::Elb503),
        504 => Some(Count::Elb504),
        _ => None,
    };
    for count in [class, code].into_iter().flatten() {
        visit.count(count);
    }
    response.map(|body| ResponseBody::Own((!body.is_empty()).then_some(body)))
}

/// Where a request goes.
enum Destination {
    Target(Chosen),
    Answer(Response<Bytes>),
}

/// The target that was chosen.
struct Chosen {
    way: Way,
    /// Where its group's numbers are; none for a moment in which the group is not known to be forwarded to.
    counters: Option<Arc<Counters>>,
}

impl Chosen {
    fn count(&self, visit: &Visit, count: Count) {
        if let Some(counters) = &self.counters {
            counters.add(visit.core.number, count);
        }
    }

    fn took(&self, visit: &Visit, time: Duration) {
        if let Some(counters) = &self.counters {
            counters.took(visit.core.number, time);
        }
    }

    fn answered(&self, visit: &Visit, status: StatusCode) {
        let count = match status.as_u16() {
            200..=299 => Count::Target2xx,
            300..=399 => Count::Target3xx,
            400..=499 => Count::Target4xx,
            500..=599 => Count::Target5xx,
            _ => return,
        };
        visit.count(count);
        self.count(visit, count);
    }
}

async fn respond(
    served: &Rc<(Visit, NodePort)>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (visit, node) = &**served;
    if let Some(status) = objection(request.method(), request.uri(), request.headers()) {
        return own(visit, errors::error(status));
    }
    let target = match destination(visit, node, &request) {
        Destination::Target(target) => target,
        Destination::Answer(response) => return own(visit, response),
    };
    visit.count(Count::Routed);
    target.count(visit, Count::Routed);
    match forward(served, request, &target).await {
        Ok(response) => {
            target.answered(visit, response.status());
            response
        }
        Err(status) => own(visit, errors::error(status)),
    }
}

/// The rule's action, and for a forward the target whose turn it is.
fn destination(visit: &Visit, node: &NodePort, request: &Request<Incoming>) -> Destination {
    let unavailable = || Destination::Answer(errors::error(503));
    let snapshot = visit.core.snapshot();
    let routes = &snapshot.routes;
    let Some(load_balancer) = routes.load_balancers.get(&node.load_balancer) else {
        return unavailable();
    };
    let listener = load_balancer
        .listeners
        .iter()
        .find(|it| it.port == node.port);
    let Some(listener) = listener else {
        return unavailable();
    };
    let host = host(request.uri(), request.headers());
    let id = match rules::action(listener, host, request.uri().path()) {
        RuleAction::Forward(id) => id,
        RuleAction::FixedResponse {
            status_code,
            content_type,
            message_body,
        } => {
            visit.count(Count::FixedResponses);
            let response = errors::fixed_response(*status_code, content_type, message_body);
            return Destination::Answer(response);
        }
    };
    let Some(group) = routes.target_groups.get(id) else {
        return unavailable();
    };
    let turn = visit.core.turns.borrow_mut().next(id, &node.zone);
    match pick(load_balancer, group, &node.zone, turn) {
        Some(target) => {
            let zones = snapshot.meters.get(&node.load_balancer);
            let groups = zones.and_then(|zones| zones.get(&node.zone));
            let ports = visit.core.ports;
            Destination::Target(Chosen {
                way: Way::new(node, target, ports),
                counters: groups.and_then(|groups| groups.get(id)).cloned(),
            })
        }
        None => unavailable(),
    }
}

/// Hands the request to `target` and returns its response, or the status with which this failed.
async fn forward(
    served: &Rc<(Visit, NodePort)>,
    request: Request<Incoming>,
    target: &Chosen,
) -> Result<Response<ResponseBody>, u16> {
    let (visit, node) = &**served;
    let idle_timeout = idle_timeout(visit, node);
    let upload = Rc::new(Upload::default());
    let (mut request, upgrade) = prepared(visit, node, request, &upload);
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
    Ok(returned(served, response, lease, upgrade, idle_timeout))
}

/// The request as the target gets it, and the client's connection if it is to change its protocol.
fn prepared(
    visit: &Visit,
    node: &NodePort,
    mut request: Request<Incoming>,
    upload: &Rc<Upload>,
) -> (Request<RequestBody>, Option<OnUpgrade>) {
    let upgrade = upgrades(request.headers()).then(|| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    let origin = Origin {
        client: *visit.peer.ip(),
        port: node.port,
        trace: &trace(visit),
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
    let opened = if target.way.opens(visit, node, CONNECT_TIMEOUT).await {
        open(&target.way, idle_timeout, &visit.core.tasks, ended).await
    } else {
        Err(Unreachable::Timeout)
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
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since.map_or(0, |it| it.as_secs());
    let (high, low) = (visit.core.draw(), visit.core.draw() >> 32);
    format!("1-{:08x}-{high:016x}{low:08x}", seconds & 0xffff_ffff)
}
