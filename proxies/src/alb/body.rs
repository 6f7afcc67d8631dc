//! Bodies on their way through: a request's tells whether it moves, a response's gives its connection back when it ends.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::alb::pool::{Lease, Outstanding, Pool};

/// What is known of a request's body.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    /// Frames that have passed.
    pub(crate) frames: Cell<u64>,
    /// The client went away in the middle of it.
    pub(crate) broken: Cell<bool>,
}

/// A request's body.
#[derive(Debug)]
pub(crate) struct RequestBody {
    pub(crate) body: Incoming,
    pub(crate) upload: Rc<Upload>,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        match &frame {
            Some(Ok(_)) => this.upload.frames.set(this.upload.frames.get() + 1),
            Some(Err(_)) => this.upload.broken.set(true),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Why a response's body breaks off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The target broke off.
    #[error("read the response of the target")]
    Target(#[source] hyper::Error),
    /// The target fell silent.
    #[error("no data from the target within the idle timeout")]
    Idle,
}

/// A response's body.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// The load balancer's own.
    Own(Option<Bytes>),
    /// A target's.
    Target(TargetBody),
}

/// A response's body as the target sends it.
#[derive(Debug)]
pub(crate) struct TargetBody {
    body: Incoming,
    /// The connection, until it has carried all of it.
    lease: Option<Lease>,
    pool: Rc<Pool>,
    /// Its request is outstanding until all of it has come.
    outstanding: Option<Outstanding>,
    idle_timeout: Duration,
    /// Runs while data is waited for.
    idle: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl TargetBody {
    /// The body of a response that comes over `lease`'s connection.
    pub(crate) fn new(
        body: Incoming,
        lease: Lease,
        pool: Rc<Pool>,
        idle_timeout: Duration,
    ) -> Self {
        let mut body = Self {
            body,
            lease: Some(lease),
            pool,
            outstanding: None,
            idle_timeout,
            idle: None,
            waiting: false,
        };
        if body.body.is_end_stream() {
            body.give_back();
        }
        body
    }

    /// Its request is counted until all of it has come.
    pub(crate) fn count(&mut self, outstanding: Option<Outstanding>) {
        self.outstanding = outstanding.filter(|_| self.lease.is_some());
    }

    fn give_back(&mut self) {
        self.outstanding = None;
        if let Some(lease) = self.lease.take() {
            self.pool.give_back(lease);
        }
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = Instant::now() + self.idle_timeout;
        let idle = match &mut self.idle {
            Some(idle) => idle,
            none => none.insert(Box::pin(tokio::time::sleep_until(until))),
        };
        if !self.waiting {
            self.waiting = true;
            idle.as_mut().reset(until);
        }
        idle.as_mut().poll(cx)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let body = match self.get_mut() {
            Self::Own(bytes) => return Poll::Ready(bytes.take().map(|it| Ok(Frame::data(it)))),
            Self::Target(body) => body,
        };
        let Poll::Ready(frame) = Pin::new(&mut body.body).poll_frame(cx) else {
            ready!(body.poll_idle(cx));
            return Poll::Ready(Some(Err(BodyError::Idle)));
        };
        body.waiting = false;
        if frame.is_none() || body.body.is_end_stream() {
            body.give_back();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Target)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Target(body) => body.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |it| it.len() as u64))
            }
            Self::Target(body) => body.body.size_hint(),
        }
    }
}
