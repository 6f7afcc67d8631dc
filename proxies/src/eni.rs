//! An elastic network interface: forwards to the instance's engine what comes in at its address.
//!
//! The engine's own resets and ends are passed on as they are; a fenced instance's connections are reset, and its engine is let
//! go of at once even while the client is out of reach.

use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::core::Visit;
use crate::flow::Flow;
use crate::linked::Linked;
use crate::relay::{End, Relay};
use crate::traffic::{Count, Meter};

/// How `connect` of [`forward`] says that there is no server at all: the connection is reset by who forwards.
pub(crate) const NOBODY: io::ErrorKind = io::ErrorKind::NotFound;

/// Serves one connection.
pub(crate) async fn serve(visit: Visit, client: TcpStream, engine: SocketAddrV4) {
    forward(visit, client, None, async |_visit: &Visit| {
        let socket = TcpSocket::new_v4()?;
        socket.connect(engine.into()).await
    })
    .await;
}

/// Connects by `connect` and relays. `idle` is the idle timeout.
pub(crate) async fn forward(
    visit: Visit,
    client: TcpStream,
    idle: Option<Duration>,
    connect: impl AsyncFnOnce(&Visit) -> io::Result<TcpStream>,
) {
    let flow = Arc::clone(&visit.flow);
    let connected = flow.unless_doomed(async {
        flow.passable().await;
        handshake(&flow).await;
        connect(&visit).await
    });
    let outcome = connected.await;
    let core = std::rc::Rc::clone(&visit.core);
    let mut client = Linked::new(client, Arc::clone(&flow), core.draw());
    let end = match outcome {
        Ok(Ok(mut server)) => {
            // A server that has reset the connection already; it shows when it is read.
            let _reset = server.set_nodelay(true);
            let meter = Meter {
                counters: &visit.post.counters,
                core: core.number,
            };
            let pair = (&mut client, &mut server);
            let relay = Relay::new(&core.buffers, &flow, pair, meter, idle);
            let end = relay.run().await;
            if end != End::Closed {
                reset(&server);
            }
            end
        }
        Ok(Err(error)) if error.kind() == NOBODY => End::Doomed,
        Ok(Err(_)) => End::ServerReset,
        Err(_doomed) => End::Doomed,
    };
    flow.sever();
    match end {
        End::Closed => return,
        End::ClientReset => visit.count(Count::ClientResets),
        End::ServerReset => visit.count(Count::TargetResets),
        End::Doomed | End::Expired => visit.count(Count::ElbResets),
    }
    if end == End::ServerReset {
        // What was sent before the reset arrives before it, if it still can.
        let _lost = flow.unless_doomed(client.flush()).await;
    }
    // A reset does not pass a dark link either.
    client.passable().await;
    visit.count(Count::Resets);
    reset(client.get_ref());
}

/// The time that the handshake takes on a slow link; the kernel completes it at once.
async fn handshake(flow: &Flow) {
    if let Some((up, down)) = flow.delays() {
        tokio::time::sleep(up.latency + down.latency).await;
    }
}

/// Has the connection reset when it is dropped.
pub(crate) fn reset(stream: &TcpStream) {
    // It fails only if the connection is already gone.
    let _gone = stream.set_zero_linger();
}
