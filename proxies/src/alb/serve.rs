//! A client's connection to an Application Load Balancer's node, request by request.
//!
//! ```text
//! objections ─► rule ─► target ─► waiting or new connection ─► response
//!    4xx        fixed     503        502 refused, 504 silent     502 broken, 504 silent
//! ```

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use topologies::topology::Headers;

use crate::alb::body::ResponseBody;
use crate::alb::choose::{Destination, destination};
use crate::alb::errors;
use crate::alb::forward::forward;
use crate::alb::headers::{REQUEST_HEADERS_MAX, objection};
use crate::core::Visit;
use crate::entrance::NodePort;
use crate::linked::Linked;
use crate::traffic::Count;

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
    let (idle_timeout, _) = settings(&visit, &node);
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

/// The load balancer's idle timeout, and what it does with headers; as usual where it is gone.
pub(crate) fn settings(visit: &Visit, node: &NodePort) -> (Duration, Headers) {
    let snapshot = visit.core.snapshot();
    let load_balancer = snapshot.routes.load_balancers.get(&node.load_balancer);
    load_balancer.map_or((IDLE_TIMEOUT, Headers::default()), |it| {
        (it.idle_timeout, it.headers)
    })
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

async fn respond(
    served: &Rc<(Visit, NodePort)>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (visit, node) = &**served;
    if let Some(status) = objection(request.method(), request.uri(), request.headers()) {
        return own(visit, errors::error(status));
    }
    let mut target = match destination(visit, node, &request) {
        Destination::Target(target) => target,
        Destination::Answer(response) => return own(visit, response),
    };
    visit.count(Count::Routed);
    target.count(visit, Count::Routed);
    match forward(served, request, &mut target).await {
        Ok(response) => {
            target.answered(visit, response.status());
            response
        }
        Err(status) => own(visit, errors::error(status)),
    }
}
