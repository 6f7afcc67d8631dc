//! Sessions kept from one probe to the next, one per host.
//!
//! A host has at most one, and one that fails or stalls is closed with the probe that noticed. So nothing piles up on a
//! host that answers nothing. Opening one costs more than asking (a password's proof): it may outlast the probe that began
//! it, and goes on for the next one.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use topologies::id::InstanceId;

/// A session over which a host can be asked how it is.
pub(super) trait ProbeSession: Sized + Send + 'static {
    /// With what it is opened.
    type Credentials: Clone + Send + Sync + 'static;
    /// What a host answers.
    type Answer: Send;
    /// Why it did not.
    type Error: Send + 'static;

    /// Opens a session; tells `connected` as soon as the host has taken the connection.
    fn open(
        address: SocketAddr,
        credentials: &Self::Credentials,
        connected: &Connected,
    ) -> impl Future<Output = Result<Self, Self::Error>> + Send;

    /// Asks once. After an error, or when the caller gives up, the session is not used again.
    fn ask(&mut self) -> impl Future<Output = Result<Self::Answer, Self::Error>> + Send;
}

/// Whether the host has taken the connection over which it is asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Connected(Arc<AtomicBool>);

impl Connected {
    /// It has taken the connection.
    pub(super) fn tell(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Why a host told nothing of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Missed<E> {
    /// It said no, or hung up.
    Failed(E),
    /// It did not take a connection in time.
    NoConnection,
    /// It took the connection, and did not answer in time.
    NoAnswer,
}

/// The longest that opening a session may take.
const OPEN_LIMIT: Duration = Duration::from_secs(1);

/// The place of one host's session.
struct Place<S: ProbeSession> {
    /// Empty while the session is in use: a probe that is given up drops it.
    session: tokio::sync::Mutex<HostSession<S>>,
    connected: Connected,
}

impl<S: ProbeSession> Default for Place<S> {
    fn default() -> Self {
        Self {
            session: tokio::sync::Mutex::default(),
            connected: Connected::default(),
        }
    }
}

/// One host's session, or the task that opens it; the task ends with the set it is in.
struct HostSession<S: ProbeSession> {
    session: Option<(SocketAddr, S)>,
    opening: Option<Opening<S>>,
}

type Opening<S> = (
    SocketAddr,
    JoinSet<Option<Result<S, <S as ProbeSession>::Error>>>,
);

impl<S: ProbeSession> Default for HostSession<S> {
    fn default() -> Self {
        Self {
            session: None,
            opening: None,
        }
    }
}

/// The sessions of an engine.
pub(super) struct Kept<S: ProbeSession>(Mutex<Places<S>>);

type Places<S> = BTreeMap<InstanceId, Arc<Place<S>>>;

impl<S: ProbeSession> Default for Kept<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S: ProbeSession> Kept<S> {
    /// Asks a host once, over its session or a new one; returns within `deadline`. Probes of one host wait for each other, none of
    /// them longer than its own deadline.
    pub(super) async fn ask(
        &self,
        instance: &InstanceId,
        address: SocketAddr,
        credentials: &S::Credentials,
        deadline: Duration,
    ) -> Result<S::Answer, Missed<S::Error>> {
        let place = Arc::clone(self.places().entry(instance.clone()).or_default());
        match tokio::time::timeout(deadline, ask(&place, address, credentials)).await {
            Ok(answer) => answer.map_err(Missed::Failed),
            Err(_) if place.connected.0.load(Ordering::Relaxed) => Err(Missed::NoAnswer),
            Err(_) => Err(Missed::NoConnection),
        }
    }

    /// Closes the session to a host.
    pub(super) fn forget(&self, instance: &InstanceId) {
        self.places().remove(instance);
    }

    fn places(&self) -> MutexGuard<'_, Places<S>> {
        // A map of places is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask<S: ProbeSession>(
    place: &Place<S>,
    address: SocketAddr,
    credentials: &S::Credentials,
) -> Result<S::Answer, S::Error> {
    let connected = &place.connected;
    let mut place = place.session.lock().await;
    if let Some((dialled, mut session)) = place.session.take()
        && dialled == address
        && let Ok(answer) = session.ask().await
    {
        place.session = Some((address, session));
        return Ok(answer);
    }
    let mut session = open(&mut place, address, credentials, connected).await?;
    let answer = session.ask().await?;
    place.session = Some((address, session));
    Ok(answer)
}

/// Waits for the session that is being opened, or begins to open one. Given up, it leaves the opening going on.
async fn open<S: ProbeSession>(
    place: &mut HostSession<S>,
    address: SocketAddr,
    credentials: &S::Credentials,
    connected: &Connected,
) -> Result<S, S::Error> {
    loop {
        if place.opening.as_ref().is_none_or(|(to, _)| *to != address) {
            let (mut task, credentials) = (JoinSet::new(), credentials.clone());
            let connected = connected.clone();
            connected.0.store(false, Ordering::Relaxed);
            task.spawn(async move {
                let opened = S::open(address, &credentials, &connected);
                tokio::time::timeout(OPEN_LIMIT, opened).await.ok()
            });
            place.opening = Some((address, task));
        }
        let Some((_, task)) = &mut place.opening else {
            continue;
        };
        let opened = task.join_next().await;
        place.opening = None;
        // One that took too long is begun again; the caller's deadline ends this.
        if let Some(Ok(Some(result))) = opened {
            return result;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    #[derive(Default)]
    struct Server {
        opened: AtomicUsize,
        open: AtomicUsize,
        deaf: std::sync::atomic::AtomicBool,
        stalled: std::sync::atomic::AtomicBool,
        broken: std::sync::atomic::AtomicBool,
    }

    struct Session(Arc<Server>);

    impl Drop for Session {
        fn drop(&mut self) {
            self.0.open.fetch_sub(1, SeqCst);
        }
    }

    impl ProbeSession for Session {
        type Credentials = Arc<Server>;
        type Answer = ();
        type Error = ();

        async fn open(
            _: SocketAddr,
            server: &Arc<Server>,
            connected: &Connected,
        ) -> Result<Self, ()> {
            if server.deaf.load(SeqCst) {
                std::future::pending::<()>().await;
            }
            connected.tell();
            server.opened.fetch_add(1, SeqCst);
            server.open.fetch_add(1, SeqCst);
            tokio::task::yield_now().await;
            Ok(Self(Arc::clone(server)))
        }

        async fn ask(&mut self) -> Result<(), ()> {
            if self.0.stalled.load(SeqCst) {
                std::future::pending().await
            }
            if self.0.broken.swap(false, SeqCst) {
                return Err(());
            }
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_session_is_kept_until_it_fails_or_stalls() {
        let (kept, server) = (Kept::<Session>::default(), Arc::new(Server::default()));
        let (host, deadline) = ("orders-1".into(), Duration::from_millis(100));
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let counts = || (server.opened.load(SeqCst), server.open.load(SeqCst));
        for _ in 0..3 {
            assert_eq!(kept.ask(&host, at(1), &server, deadline).await, Ok(()));
        }
        assert_eq!(counts(), (1, 1));
        // A broken session is replaced within the same probe.
        server.broken.store(true, SeqCst);
        assert_eq!(kept.ask(&host, at(1), &server, deadline).await, Ok(()));
        assert_eq!(counts(), (2, 1));
        // Stalled ones are closed, however many probes wait.
        server.stalled.store(true, SeqCst);
        let one = || kept.ask(&host, at(1), &server, deadline);
        let unanswered = || Err(Missed::NoAnswer);
        let all = (unanswered(), unanswered(), unanswered());
        assert_eq!(tokio::join!(one(), one(), one()), all);
        assert_eq!(server.open.load(SeqCst), 0);
        server.stalled.store(false, SeqCst);
        assert_eq!(kept.ask(&host, at(1), &server, deadline).await, Ok(()));
        // Another address is another session.
        assert_eq!(kept.ask(&host, at(2), &server, deadline).await, Ok(()));
        assert_eq!(server.open.load(SeqCst), 1);
        kept.forget(&host);
        assert_eq!(server.open.load(SeqCst), 0);
        // One that takes no connection is told from one that does not answer.
        server.deaf.store(true, SeqCst);
        let at_first = kept.ask(&host, at(1), &server, deadline).await;
        assert_eq!(at_first, Err(Missed::NoConnection));
    }
}
