//! The API's listeners and connections. Every connection has a limit on what it may hold, and ends when the API does.
//!
//! All of that is done on a thread of its own, which sleeps while nobody asks: however much is read and written, the control plane goes on.

use std::io;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Api, Exposure, router};

/// Connections at once; more wait in the listener's queue.
const CONNECTIONS_MAX: usize = 64;
/// A client that has not sent a request's head within this time is cut off.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long connections may take to end when the API does.
const GRACE: Duration = Duration::from_secs(2);
/// After an accept that failed, for lack of descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where the API listens.
#[derive(Debug)]
pub struct Listeners {
    /// The Unix socket, for this user only.
    pub unix: UnixListener,
    /// Loopback addresses.
    pub tcp: Vec<TcpListener>,
}

/// Makes the Unix socket. A socket that a dead daemon left is replaced: who calls this holds the stack's lock.
pub fn unix_listener(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Bound under another name until its mode is right, so that nobody else can connect in between.
    let hidden = path.with_extension("new");
    match std::fs::remove_file(&hidden) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&hidden)?;
    std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&hidden, path)?;
    Ok(listener)
}

/// Serves the API until `api.ending` is cancelled. The receiver hears of it once every connection has ended.
///
/// # Errors
/// When the operating system gives no thread, or can not watch a listener.
pub fn start(api: Api, listeners: Listeners) -> io::Result<oneshot::Receiver<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (unix, tcp) = {
        let _watched_there = runtime.enter();
        let tcp = listeners.tcp.into_iter().map(|it| {
            it.set_nonblocking(true)?;
            net::TcpListener::from_std(it)
        });
        listeners.unix.set_nonblocking(true)?;
        let unix = net::UnixListener::from_std(listeners.unix)?;
        (unix, tcp.collect::<io::Result<Vec<_>>>()?)
    };
    let (ended, end) = oneshot::channel();
    let work = move || {
        runtime.block_on(serve(api, unix, tcp));
        // A call that nobody waits for any more ends by itself.
        runtime.shutdown_background();
        // Who does not wait for the end may be gone.
        let _heard = ended.send(());
    };
    thread::Builder::new()
        .name("localaws-api".to_owned())
        .spawn(work)?;
    Ok(end)
}

async fn serve(api: Api, unix: net::UnixListener, tcp: Vec<net::TcpListener>) {
    let tracker = TaskTracker::new();
    let ending = api.ending.clone();
    let own = router(api.clone(), Exposure::File);
    let (under, until) = (tracker.clone(), ending.clone());
    tracker.spawn(async move { accept_from(|| unix.accept(), own, under, until).await });
    let open = router(api, Exposure::Loopback);
    for tcp in tcp {
        let (open, under, until) = (open.clone(), tracker.clone(), ending.clone());
        tracker.spawn(async move { accept_from(|| tcp.accept(), open, under, until).await });
    }
    ending.cancelled().await;
    tracker.close();
    tracker.wait().await;
}

/// Serves one listener's connections. `accept` must be cancel-safe, as both listeners' is.
async fn accept_from<S, A, F>(
    accept: impl Fn() -> F,
    router: Router,
    tracker: TaskTracker,
    ending: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = io::Result<(S, A)>>,
{
    let seats = Seats::new();
    while let Some((seat, accepted)) = ending.run_until_cancelled(seats.next(&accept)).await {
        match accepted {
            Ok((stream, _)) => {
                tracker.spawn(connection(stream, router.clone(), ending.clone(), seat));
            }
            Err(error) => refused(&error).await,
        }
    }
}

async fn refused(error: &io::Error) {
    tracing::warn!(%error, "control API: accept failed");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// Room for connections.
struct Seats(std::sync::Arc<tokio::sync::Semaphore>);

type Seat = tokio::sync::OwnedSemaphorePermit;

impl Seats {
    fn new() -> Self {
        Self(std::sync::Arc::new(tokio::sync::Semaphore::new(
            CONNECTIONS_MAX,
        )))
    }

    /// Waits for room, then for a connection. Cancel-safe: both `acquire_owned` and `accept` are.
    async fn next<T, F: Future<Output = T>>(&self, accept: impl FnOnce() -> F) -> (Seat, T) {
        let seat = std::sync::Arc::clone(&self.0)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        (seat, accept().await)
    }
}

async fn connection<S>(stream: S, router: Router, ending: CancellationToken, _seat: Seat)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let served = ending.run_until_cancelled(connection.as_mut()).await;
    if served.is_none() {
        // Answers under way are finished, streams have been told to end by the same token.
        connection.as_mut().graceful_shutdown();
        // A client that does not read is not waited for.
        let _ = tokio::time::timeout(GRACE, connection).await;
    }
}
