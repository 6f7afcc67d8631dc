//! A connection as its far end experiences it over the emulated link: silent when dark, late when slow, untouched when sound.
//!
//! Delay never drops, reorders or merges what was sent, nor does it hold throughput to one chunk per delay: each direction is a
//! bounded queue of chunks with the time at which each is due. What is on its way when the link heals arrives at its own time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::flow::{Delay, Flow};
use crate::mute::{mute, unmute};

/// Bytes on their way in one direction; beyond this the sender has to wait, as beyond a TCP window.
const WINDOW: usize = 4 << 20;
/// How much is taken from the socket at once.
const CHUNK: usize = 16 << 10;

/// The client's end of a connection behind the emulated link.
#[derive(Debug)]
pub(crate) struct Linked {
    io: TcpStream,
    flow: Arc<Flow>,
    seed: u64,
    /// Only while there is, or just was, a delay.
    slow: Option<Box<Slow>>,
    /// Whether the kernel drops what arrives.
    muted: bool,
}

#[derive(Debug)]
struct Slow {
    inbound: Queue,
    outbound: Queue,
    random: ChaCha8Rng,
    buffer: BytesMut,
}

#[derive(Debug)]
enum Parcel {
    Data(Bytes),
    End,
}

#[derive(Debug)]
struct Queue {
    parcels: VecDeque<(Instant, Parcel)>,
    bytes: usize,
    /// When the latest parcel is due: the next one is not due earlier.
    latest: Instant,
    /// The sender has ended; nothing follows.
    ended: bool,
    timer: Pin<Box<Sleep>>,
}

impl Queue {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            parcels: VecDeque::new(),
            bytes: 0,
            latest: now,
            ended: false,
            timer: Box::pin(tokio::time::sleep_until(now)),
        }
    }

    fn push(&mut self, parcel: Parcel, delay: Delay, random: &mut ChaCha8Rng) {
        self.latest = self.latest.max(Instant::now() + drawn(delay, random));
        match &parcel {
            Parcel::Data(bytes) => self.bytes += bytes.len(),
            Parcel::End => self.ended = true,
        }
        self.parcels.push_back((self.latest, parcel));
    }

    /// Waits until the first parcel is due; none if nothing is on its way.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Option<&mut Parcel>> {
        let Some((due, parcel)) = self.parcels.front_mut() else {
            return Poll::Ready(None);
        };
        if *due > Instant::now() {
            if self.timer.deadline() != *due {
                self.timer.as_mut().reset(*due);
            }
            ready!(self.timer.as_mut().poll(cx));
        }
        Poll::Ready(Some(parcel))
    }

    /// Takes `count` bytes off the first parcel.
    fn take(&mut self, count: usize) {
        self.bytes -= count;
        if let Some((_, Parcel::Data(bytes))) = self.parcels.front_mut() {
            bytes.advance(count);
            if bytes.is_empty() {
                self.parcels.pop_front();
            }
        }
    }
}

/// The delay of one parcel.
fn drawn(delay: Delay, random: &mut ChaCha8Rng) -> Duration {
    if delay.jitter.is_zero() {
        return delay.latency;
    }
    delay.latency + delay.jitter.mul_f64(random.random::<f64>())
}

impl Slow {
    fn new(seed: u64) -> Self {
        Self {
            inbound: Queue::new(),
            outbound: Queue::new(),
            random: ChaCha8Rng::seed_from_u64(seed),
            buffer: BytesMut::new(),
        }
    }

    /// Takes what the client has sent on its way.
    fn poll_take_in(
        &mut self,
        io: &mut TcpStream,
        delay: Delay,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        while !self.inbound.ended && self.inbound.bytes < WINDOW {
            self.buffer.resize(CHUNK, 0);
            let mut buffer = ReadBuf::new(&mut self.buffer);
            match Pin::new(&mut *io).poll_read(cx, &mut buffer) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(())) => {}
            }
            let count = buffer.filled().len();
            let parcel = if count == 0 {
                Parcel::End
            } else {
                Parcel::Data(self.buffer.split_to(count).freeze())
            };
            self.inbound.push(parcel, delay, &mut self.random);
        }
        Ok(())
    }

    /// Delivers what is due to the client; ready when nothing is on its way.
    fn poll_deliver(&mut self, io: &mut TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(parcel) = ready!(self.outbound.poll_due(cx)) {
            match parcel {
                Parcel::Data(bytes) => {
                    let count = ready!(Pin::new(&mut *io).poll_write(cx, bytes))?;
                    if count == 0 {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    self.outbound.take(count);
                }
                Parcel::End => {
                    ready!(Pin::new(&mut *io).poll_shutdown(cx))?;
                    self.outbound.parcels.pop_front();
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn empty(&self) -> bool {
        self.inbound.parcels.is_empty()
            && self.outbound.parcels.is_empty()
            && !self.inbound.ended
            && !self.outbound.ended
    }
}

impl Linked {
    /// Puts `io` behind the link whose condition `flow` tells. `seed` draws the jitter.
    pub(crate) fn new(io: TcpStream, flow: Arc<Flow>, seed: u64) -> Self {
        Self {
            io,
            flow,
            seed,
            slow: None,
            muted: false,
        }
    }

    /// Whether nothing passes now. The kernel stops and resumes acknowledging with it.
    pub(crate) fn dark(&mut self) -> bool {
        let dark = self.flow.dark();
        if dark != self.muted {
            // Refused, or gone already: then nothing passes all the same, for nobody reads.
            let _stalls = if dark {
                mute(&self.io)
            } else {
                unmute(&self.io)
            };
            self.muted = dark;
        }
        dark
    }

    /// Waits until packets pass.
    pub(crate) async fn passable(&mut self) {
        poll_fn(|cx| {
            self.flow.register(cx);
            if self.dark() {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// The connection itself.
    pub(crate) fn get_ref(&self) -> &TcpStream {
        &self.io
    }

    /// The delays now, and the queues if they are in use.
    fn delays(&mut self) -> Option<(Delay, Delay)> {
        let delays = self.flow.delays();
        if delays.is_some() && self.slow.is_none() {
            self.slow = Some(Box::new(Slow::new(self.seed)));
        } else if delays.is_none() && self.slow.as_ref().is_some_and(|slow| slow.empty()) {
            self.slow = None;
        }
        self.slow.is_some().then(|| delays.unwrap_or_default())
    }
}

impl Drop for Linked {
    /// A condemned connection ends with a reset, whoever lets go of it.
    fn drop(&mut self) {
        if self.flow.doomed() {
            // It fails only if the connection is already gone.
            let _gone = self.io.set_zero_linger();
        }
    }
}

impl AsyncRead for Linked {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.flow.register(cx);
        if this.dark() {
            return Poll::Pending;
        }
        let Some((up, _)) = this.delays() else {
            return Pin::new(&mut this.io).poll_read(cx, buffer);
        };
        let slow = this.slow.as_mut().expect("delays() says it is in use");
        // A reader that waits must not keep what is due the other way.
        if let Poll::Ready(Err(error)) = slow.poll_deliver(&mut this.io, cx) {
            return Poll::Ready(Err(error));
        }
        slow.poll_take_in(&mut this.io, up, cx)?;
        match ready!(slow.inbound.poll_due(cx)) {
            Some(Parcel::Data(bytes)) => {
                let count = bytes.len().min(buffer.remaining());
                buffer.put_slice(&bytes[..count]);
                slow.inbound.take(count);
                Poll::Ready(Ok(()))
            }
            // The end stays where it is: whoever reads again reads it again.
            Some(Parcel::End) => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    }
}

impl AsyncWrite for Linked {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.flow.register(cx);
        if this.dark() {
            return Poll::Pending;
        }
        let Some((_, down)) = this.delays() else {
            return Pin::new(&mut this.io).poll_write(cx, bytes);
        };
        let slow = this.slow.as_mut().expect("delays() says it is in use");
        let delivered = slow.poll_deliver(&mut this.io, cx)?;
        if delivered.is_pending() && slow.outbound.bytes >= WINDOW {
            return Poll::Pending;
        }
        let count = bytes.len().min(WINDOW);
        let parcel = Parcel::Data(Bytes::copy_from_slice(&bytes[..count]));
        slow.outbound.push(parcel, down, &mut slow.random);
        // Arms the timer.
        if let Poll::Ready(Err(error)) = slow.poll_deliver(&mut this.io, cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.flow.register(cx);
        if this.dark() {
            return Poll::Pending;
        }
        if let Some(slow) = &mut this.slow {
            ready!(slow.poll_deliver(&mut this.io, cx))?;
        }
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.flow.register(cx);
        if this.dark() {
            return Poll::Pending;
        }
        let Some((_, down)) = this.delays() else {
            return Pin::new(&mut this.io).poll_shutdown(cx);
        };
        let slow = this.slow.as_mut().expect("delays() says it is in use");
        if !slow.outbound.ended {
            slow.outbound.push(Parcel::End, down, &mut slow.random);
        }
        slow.poll_deliver(&mut this.io, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.slow.is_none() && self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.slow.is_none() && !this.dark() && this.flow.delays().is_none() {
            return Pin::new(&mut this.io).poll_write_vectored(cx, buffers);
        }
        let first = buffers.iter().find(|buffer| !buffer.is_empty());
        let bytes = first.map_or(&[][..], |buffer| &buffer[..]);
        Pin::new(this).poll_write(cx, bytes)
    }
}
