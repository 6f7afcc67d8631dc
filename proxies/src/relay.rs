//! Carries bytes between a client behind the emulated link and a server, both ways, until both have ended.
//!
//! An idle connection holds no buffer: bytes are read into the core's scratch buffer and written at once; only what the other
//! side does not take yet is set aside. Half-close is kept, a reset is passed on as a reset, and on a dark link nothing
//! is: neither bytes nor ends.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::buffers::Buffers;
use crate::flow::Flow;
use crate::linked::Linked;
use crate::traffic::Meter;

/// Reads of one direction until other connections of the core get their turn.
const TURN: usize = 8;

/// How a relayed connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Both sides have ended and everything was passed on.
    Closed,
    /// The client reset the connection.
    ClientReset,
    /// The server reset the connection, or was gone when the link healed.
    ServerReset,
    /// The connection is to be reset.
    Doomed,
    /// Data came after the idle timeout.
    Expired,
}

/// A connection being relayed.
#[derive(Debug)]
pub(crate) struct Relay<'a> {
    buffers: &'a Buffers,
    flow: &'a Flow,
    client: &'a mut Linked,
    server: &'a mut TcpStream,
    meter: Meter<'a>,
    up: Half,
    down: Half,
    was_dark: bool,
    idle: Option<Idle>,
}

/// After this time without data, the next data is answered with a reset.
#[derive(Clone, Copy, Debug)]
struct Idle {
    timeout: Duration,
    since: Instant,
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    /// Read, not yet written, from `written` on.
    aside: Vec<u8>,
    written: usize,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Flowing,
    /// The reader's end was seen and has to be passed on.
    Ending,
    Ended,
}

/// Which side an error came from.
enum Side {
    Reader,
    Writer,
}

enum Step {
    /// Waits for one of the sockets.
    Waiting,
    /// May go on at once, after others had their turn.
    Yielding,
    Ended,
}

impl Half {
    /// Moves what can be moved. `moved` tells whether anything was.
    fn step<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        buffers: &Buffers,
        (reader, writer): (&mut R, &mut W),
        cx: &mut Context<'_>,
        meter: Meter<'_>,
        moved: &mut bool,
    ) -> Result<Step, Side> {
        for _ in 0..TURN {
            match self.poll_aside(buffers, writer, cx) {
                Poll::Pending => return Ok(Step::Waiting),
                Poll::Ready(result) => result.map_err(|_| Side::Writer)?,
            }
            match self.stage {
                Stage::Flowing => {}
                Stage::Ending => match Pin::new(&mut *writer).poll_shutdown(cx) {
                    Poll::Pending => return Ok(Step::Waiting),
                    // A side that is gone already does not need to be told.
                    Poll::Ready(_) => self.stage = Stage::Ended,
                },
                Stage::Ended => return Ok(Step::Ended),
            }
            if self.stage == Stage::Ended {
                return Ok(Step::Ended);
            }
            let mut scratch = buffers.scratch();
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut *reader).poll_read(cx, &mut buffer) {
                Poll::Pending => return Ok(Step::Waiting),
                Poll::Ready(result) => result.map_err(|_| Side::Reader)?,
            }
            let bytes = buffer.filled();
            if bytes.is_empty() {
                self.stage = Stage::Ending;
                continue;
            }
            *moved = true;
            meter.passed(bytes.len());
            let written = match Pin::new(&mut *writer).poll_write(cx, bytes) {
                Poll::Pending => 0,
                Poll::Ready(result) => result.map_err(|_| Side::Writer)?,
            };
            if written < bytes.len() {
                self.aside = buffers.take();
                self.aside.extend_from_slice(&bytes[written..]);
            }
        }
        Ok(Step::Yielding)
    }

    /// Writes what was set aside.
    fn poll_aside<W: AsyncWrite + Unpin>(
        &mut self,
        buffers: &Buffers,
        writer: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.written < self.aside.len() {
            let rest = &self.aside[self.written..];
            let count = ready!(Pin::new(&mut *writer).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        if self.written > 0 {
            self.written = 0;
            buffers.give_back(std::mem::take(&mut self.aside));
        }
        Poll::Ready(Ok(()))
    }
}

impl<'a> Relay<'a> {
    /// Relays between `client` and `server`; with `idle`, data after that long a silence is answered with a reset.
    pub(crate) fn new(
        buffers: &'a Buffers,
        flow: &'a Flow,
        (client, server): (&'a mut Linked, &'a mut TcpStream),
        meter: Meter<'a>,
        idle: Option<Duration>,
    ) -> Self {
        Self {
            buffers,
            flow,
            client,
            server,
            meter,
            up: Half::default(),
            down: Half::default(),
            was_dark: false,
            idle: idle.map(|timeout| Idle {
                timeout,
                since: Instant::now(),
            }),
        }
    }

    /// Carries bytes until the connection has come to its end.
    pub(crate) async fn run(mut self) -> End {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.flow.register(cx);
        if self.flow.doomed() {
            return Poll::Ready(End::Doomed);
        }
        if self.client.dark() {
            self.was_dark = true;
            return Poll::Pending;
        }
        if std::mem::take(&mut self.was_dark) && self.flow.take_stricken() && self.server_gone() {
            return Poll::Ready(End::ServerReset);
        }
        let mut moved = false;
        let (buffers, meter) = (self.buffers, self.meter);
        let pair = (&mut *self.client, &mut *self.server);
        let up = self.up.step(buffers, pair, cx, meter, &mut moved);
        let up = match up {
            Ok(step) => step,
            Err(Side::Reader) => return Poll::Ready(End::ClientReset),
            Err(Side::Writer) => return Poll::Ready(End::ServerReset),
        };
        let pair = (&mut *self.server, &mut *self.client);
        let down = self.down.step(buffers, pair, cx, meter, &mut moved);
        let down = match down {
            Ok(step) => step,
            Err(Side::Reader) => return Poll::Ready(End::ServerReset),
            Err(Side::Writer) => return Poll::Ready(End::ClientReset),
        };
        if moved && self.expired() {
            return Poll::Ready(End::Expired);
        }
        // What is on its way to the client moves on even when nothing new is written.
        let flushed = match Pin::new(&mut *self.client).poll_flush(cx) {
            Poll::Ready(Err(_)) => return Poll::Ready(End::ClientReset),
            Poll::Ready(Ok(())) => true,
            Poll::Pending => false,
        };
        match (up, down) {
            (Step::Ended, Step::Ended) if flushed => Poll::Ready(End::Closed),
            (Step::Yielding, _) | (_, Step::Yielding) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            _ => Poll::Pending,
        }
    }

    /// Whether the server's end of the connection is closed. If it was struck while nothing could pass, it does not know
    /// the client's packets any more, and that is a reset.
    fn server_gone(&self) -> bool {
        if self.down.stage != Stage::Flowing {
            return false;
        }
        let ready = tokio::task::unconstrained(self.server.ready(Interest::READABLE));
        matches!(ready.now_or_never(), Some(Ok(ready)) if ready.is_read_closed())
    }

    fn expired(&mut self) -> bool {
        let Some(idle) = &mut self.idle else {
            return false;
        };
        let now = Instant::now();
        now.duration_since(std::mem::replace(&mut idle.since, now)) > idle.timeout
    }
}
