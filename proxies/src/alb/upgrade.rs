//! What follows an upgrade of the protocol, such as WebSocket's frames: bytes both ways, to which no rule applies any more. Only the
//! idle timeout does.

use std::cell::Cell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

use crate::flow::Flow;

/// The buffer for each side.
const BUFFER: usize = 16 << 10;

/// Relays between client and target until both have ended, the connection is to be reset, or no data came from either side for
/// the idle timeout: then it is closed ("HTTP connection idle timeout", which WebSockets share).
pub(crate) async fn relay(
    flow: &Flow,
    client: OnUpgrade,
    target: OnUpgrade,
    idle_timeout: Duration,
) {
    let heard = Rc::new(Cell::new(Instant::now()));
    let copying = async {
        let (client, target) = tokio::try_join!(client, target)?;
        let (mut client, mut target) = (Heard::new(client, &heard), Heard::new(target, &heard));
        // Its end is all that there is to know.
        let _ended =
            tokio::io::copy_bidirectional_with_sizes(&mut client, &mut target, BUFFER, BUFFER)
                .await;
        Ok::<_, hyper::Error>(())
    };
    let idle = async {
        loop {
            let end = heard.get() + idle_timeout;
            sleep_until(end).await;
            if heard.get() + idle_timeout <= end {
                return;
            }
        }
    };
    let mut relay = pin!(async {
        tokio::select! {
            _ = copying => {}
            () = idle => {}
        }
    });
    if flow.unless_doomed(relay.as_mut()).await.is_err() {
        // A reset does not pass a dark link.
        flow.passable().await;
    }
}

/// One side, which notes when data came from it.
struct Heard<T> {
    io: TokioIo<T>,
    heard: Rc<Cell<Instant>>,
}

impl<T> Heard<T> {
    fn new(io: T, heard: &Rc<Cell<Instant>>) -> Self {
        Self {
            io: TokioIo::new(io),
            heard: Rc::clone(heard),
        }
    }
}

impl<T> AsyncRead for Heard<T>
where
    TokioIo<T>: AsyncRead + Unpin,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        this.heard.set(Instant::now());
        Poll::Ready(Ok(()))
    }
}

impl<T> AsyncWrite for Heard<T>
where
    TokioIo<T>: AsyncWrite + Unpin,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
