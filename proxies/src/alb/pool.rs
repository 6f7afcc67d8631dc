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
use topologies::network::Network;

use crate::alb::body::RequestBody;
use crate::node::Way;

/// "Target connect timeout 10 s" (ALB troubleshooting, HTTP 504).
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often connections that have waited too long are looked for.
const SWEEP: Duration = Duration::from_secs(15);

/// The sending side of a connection to a target.
pub(crate) type Sender = SendRequest<RequestBody>;

/// A connection that carries a request or its response.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) sender: Sender,
    way: Way,
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

/// Waiting connections by the node's zone and load balancer, and by the target; and how many requests are outstanding where that counts.
#[derive(Debug, Default)]
pub(crate) struct Pool(
    RefCell<BTreeMap<Way, Vec<Waiting>>>,
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
    /// A connection that waits already: the one that has done so for the shortest time.
    pub(crate) fn waiting(&self, way: &Way) -> Option<Lease> {
        let mut ways = self.0.borrow_mut();
        let waiting = ways.get_mut(way)?;
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
            way: way.clone(),
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
            way,
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
        self.0.borrow_mut().entry(way).or_default().push(waiting);
    }

    /// A node that loses power loses its connections.
    pub(crate) fn follow(&self, network: &Network) {
        let mut ways = self.0.borrow_mut();
        ways.retain(|way, _| !network.dark.contains(&way.from));
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

/// Opens a connection within a time, which then may be idle for another; `ended` is called when one that was opened has ended.
pub(crate) async fn open(
    way: &Way,
    (patience, idle_timeout): (Duration, Duration),
    tasks: &TaskTracker,
    ended: impl FnOnce() + 'static,
) -> Result<Lease, Unreachable> {
    let connect = async {
        let stream = TcpSocket::new_v4()?.connect(way.address.into()).await?;
        stream.set_nodelay(true)?;
        Ok::<_, io::Error>(stream)
    };
    let stream = match tokio::time::timeout(patience, connect).await {
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
        way: way.clone(),
        idle_timeout,
    })
}
