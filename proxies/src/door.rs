//! A listening socket on one address, which can be open, refuse like a host without a listener, or stay silent like a host
//! without power.
//!
//! ```text
//!            listen(1024) + accept           shutdown
//!   Refused ───────────────────────► Open ─────────────► Refused
//!      │                              │ ▲
//!      └── listen(0) + filler ─► Dark ◄─┘ listen(1024), fillers recognised
//! ```
//! The address stays bound in every state, so nobody else takes it meanwhile. Silence needs no packet filter: with a
//! backlog of 0 and one connection (the filler) in the accept queue, the kernel drops every further SYN.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;

use rustix::net::Shutdown;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

/// Connections that wait to be accepted, and those that are being set up.
const BACKLOG: i32 = 1024;
/// How long accepting pauses when the process has no file descriptors or memory left.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// What a SYN meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DoorState {
    /// The handshake completes.
    Open,
    /// A reset.
    Refused,
    /// Nothing.
    Dark,
}

/// Binds `address` without listening yet.
pub(crate) fn bind(address: SocketAddrV4) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
    // Else the address could not be taken again while old connections are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Own connections in the accept queue, by their local address.
type Fillers = Rc<RefCell<BTreeMap<SocketAddrV4, Socket>>>;

/// A bound socket and its state.
#[derive(Debug)]
pub(crate) struct Door {
    socket: Socket,
    address: SocketAddrV4,
    state: DoorState,
    accepting: Option<AbortHandle>,
    fillers: Fillers,
}

impl Door {
    /// A door that refuses.
    pub(crate) fn new(socket: Socket, address: SocketAddrV4) -> Self {
        Self {
            socket,
            address,
            state: DoorState::Refused,
            accepting: None,
            fillers: Fillers::default(),
        }
    }

    /// Changes to `state`; `visit` gets the connections of an open door, on the current task set.
    pub(crate) fn set(
        &mut self,
        state: DoorState,
        tasks: &TaskTracker,
        visit: impl Fn(TcpStream, SocketAddrV4) + 'static,
    ) -> io::Result<()> {
        if state == self.state {
            return Ok(());
        }
        self.stop_accepting();
        self.state = state;
        match state {
            DoorState::Open => {
                rustix::net::listen(&self.socket, BACKLOG)?;
                // Its own descriptor: the former accept loop may not have let go of the other yet.
                let listener = TcpListener::from_std(self.socket.try_clone()?.into())?;
                let fillers = Rc::clone(&self.fillers);
                let task = tasks.spawn_local(accept(listener, fillers, visit));
                self.accepting = Some(task.abort_handle());
                Ok(())
            }
            DoorState::Refused => {
                self.fillers.borrow_mut().clear();
                match rustix::net::shutdown(&self.socket, Shutdown::Read) {
                    // It was not listening.
                    Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
            DoorState::Dark => {
                rustix::net::listen(&self.socket, 0)?;
                self.fill()
            }
        }
    }

    /// Puts one connection into the accept queue. If it does not get in, the queue was full.
    fn fill(&self) -> io::Result<()> {
        let filler = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
        match filler.connect(&self.address.into()) {
            Ok(()) => {}
            Err(error)
                if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
        if let Some(address) = filler.local_addr()?.as_socket_ipv4() {
            self.fillers.borrow_mut().insert(address, filler);
        }
        Ok(())
    }

    fn stop_accepting(&mut self) {
        if let Some(task) = self.accepting.take() {
            task.abort();
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.stop_accepting();
        // The accept loop's descriptor may outlive this one by a moment, in which nobody must get in.
        let _gone = rustix::net::shutdown(&self.socket, Shutdown::Read);
    }
}

/// Accepts until it is aborted. A filler is let go silently; one that did not get in keeps trying, gets in later, and goes the
/// same way.
async fn accept(listener: TcpListener, fillers: Fillers, visit: impl Fn(TcpStream, SocketAddrV4)) {
    loop {
        match listener.accept().await {
            Ok((stream, SocketAddr::V4(peer))) => {
                if fillers.borrow_mut().remove(&peer).is_none() {
                    visit(stream, peer);
                }
            }
            // It can not be: the listener is one of IPv4.
            Ok((_, SocketAddr::V6(_))) => {}
            Err(error) if transient(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "accepting pauses");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

/// Whether an error of accept belongs to one connection only.
fn transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
    )
}
