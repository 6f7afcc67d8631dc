//! Connections to targets that wait for their next request. One pool for each core, so nothing is locked.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddrV4;
use std::rc::Rc;
use std::time::Duration;

use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use topologies::address::HostAddress;
use topologies::network::Network;

use crate::alb::body::RequestBody;

/// "Target connect timeout 10 s" (ALB troubleshooting, HTTP 504).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often connections that have waited too long are looked for.
const SWEEP: Duration = Duration::from_secs(15);

/// The sending side of a connection to a target.
pub(crate) type Sender = SendRequest<RequestBody>;

/// A connection that carries a request or its response.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) sender: Sender,
    target: SocketAddrV4,
    idle_timeout: Duration,
}

/// Why a target can not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreachable {
    /// It refused or reset the connection.
    Refused,
    /// It did not answer in time.
    Timeout,
}

#[derive(Debug)]
struct Waiting {
    sender: Sender,
    until: Instant,
    idle_timeout: Duration,
}

/// Waiting connections by the address dialled, which tells the node's zone, too; and how many requests are outstanding where that counts.
#[derive(Debug, Default)]
pub(crate) struct Pool(
    RefCell<BTreeMap<SocketAddrV4, Vec<Waiting>>>,
    RefCell<BTreeMap<SocketAddrV4, Rc<Cell<u32>>>>,
);

/// A request that is not answered yet, for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Outstanding(Rc<Cell<u32>>);

impl Drop for Outstanding {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Pool {
    /// A connection to `target` that waits already: the one that has done so for the shortest time.
    pub(crate) fn waiting(&self, target: SocketAddrV4) -> Option<Lease> {
        let mut targets = self.0.borrow_mut();
        let waiting = targets.get_mut(&target)?;
        let now = Instant::now();
        waiting.retain(|it| !it.sender.is_closed() && it.until > now);
        // One that has just delivered its response may need a moment until it is ready.
        let ready = waiting.iter().rposition(|it| it.sender.is_ready())?;
        let Waiting {
            sender,
            idle_timeout,
            ..
        } = waiting.remove(ready);
        Some(Lease {
            sender,
            target,
            idle_timeout,
        })
    }

    /// How many requests to `target` are outstanding.
    pub(crate) fn outstanding(&self, target: SocketAddrV4) -> u32 {
        self.1.borrow().get(&target).map_or(0, |it| it.get())
    }

    /// Counts a request to `target` as outstanding.
    pub(crate) fn begin(&self, target: SocketAddrV4) -> Outstanding {
        let mut counts = self.1.borrow_mut();
        let count = counts.entry(target).or_default();
        count.set(count.get().saturating_add(1));
        Outstanding(Rc::clone(count))
    }

    /// Keeps a connection whose response has been read.
    pub(crate) fn give_back(&self, lease: Lease) {
        let Lease {
            sender,
            target,
            idle_timeout,
        } = lease;
        if sender.is_closed() {
            return;
        }
        let waiting = Waiting {
            sender,
            until: Instant::now() + idle_timeout,
            idle_timeout,
        };
        self.0.borrow_mut().entry(target).or_default().push(waiting);
    }

    /// A node that loses power loses its connections.
    pub(crate) fn follow(&self, network: &Network) {
        self.0.borrow_mut().retain(|target, _| {
            let view = HostAddress::parse(*target.ip()).map(|(view, _)| view);
            view.is_none_or(|view| !network.dark.contains(&view))
        });
    }

    /// Closes connections that have waited too long, for as long as it is polled.
    pub(crate) async fn sweep(self: Rc<Self>) {
        loop {
            tokio::time::sleep(SWEEP).await;
            let now = Instant::now();
            self.1.borrow_mut().retain(|_, count| count.get() > 0);
            self.0.borrow_mut().retain(|_, waiting| {
                waiting.retain(|it| !it.sender.is_closed() && it.until > now);
                !waiting.is_empty()
            });
        }
    }
}

/// Opens a connection to `target`; `ended` is called when one that was opened has ended.
pub(crate) async fn open(
    target: SocketAddrV4,
    idle_timeout: Duration,
    tasks: &TaskTracker,
    ended: impl FnOnce() + 'static,
) -> Result<Lease, Unreachable> {
    let connect = async {
        let stream = TcpSocket::new_v4()?.connect(target.into()).await?;
        stream.set_nodelay(true)?;
        Ok::<_, io::Error>(stream)
    };
    let stream = match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
            return Err(Unreachable::Timeout);
        }
        Ok(Err(_)) => return Err(Unreachable::Refused),
        Err(_) => return Err(Unreachable::Timeout),
    };
    let handshake = Builder::new().handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|_| Unreachable::Refused)?;
    tasks.spawn_local(async move {
        // Its request learns of the error, too, and answers for it.
        let _told = connection.with_upgrades().await;
        ended();
    });
    Ok(Lease {
        sender,
        target,
        idle_timeout,
    })
}
