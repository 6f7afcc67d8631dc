//! Sessions kept from one probe to the next, one per host.
//!
//! A host has at most one, and one that fails or stalls is closed with the probe that noticed. So nothing piles up on a
//! host that answers nothing. Opening one costs more than asking (a password's proof): it may outlast the probe that began
//! it, and goes on for the next one.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
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

    /// Opens a session.
    fn open(
        address: SocketAddr,
        credentials: &Self::Credentials,
    ) -> impl Future<Output = Result<Self, Self::Error>> + Send;

    /// Asks once. After an error, or when the caller gives up, the session is not used again.
    fn ask(&mut self) -> impl Future<Output = Result<Self::Answer, Self::Error>> + Send;
}

/// The longest that opening a session may take.
const OPEN_LIMIT: Duration = Duration::from_secs(1);

/// The place of one host's session. Empty while the session is in use: a probe that is given up drops it.
type Place<S> = Arc<tokio::sync::Mutex<HostSession<S>>>;

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
pub(super) struct Kept<S: ProbeSession>(Mutex<BTreeMap<InstanceId, Place<S>>>);

impl<S: ProbeSession> Default for Kept<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S: ProbeSession> Kept<S> {
    /// Asks a host once, over its session or a new one; none if there is no answer within `deadline`. Probes of one host
    /// wait for each other, none of them longer than its own deadline.
    pub(super) async fn ask(
        &self,
        instance: &InstanceId,
        address: SocketAddr,
        credentials: &S::Credentials,
        deadline: Duration,
    ) -> Option<Result<S::Answer, S::Error>> {
        let place = Arc::clone(self.places().entry(instance.clone()).or_default());
        tokio::time::timeout(deadline, ask(&place, address, credentials))
            .await
            .ok()
    }

    /// Closes the session to a host.
    pub(super) fn forget(&self, instance: &InstanceId) {
        self.places().remove(instance);
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Place<S>>> {
        // A map of places is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask<S: ProbeSession>(
    place: &Place<S>,
    address: SocketAddr,
    credentials: &S::Credentials,
) -> Result<S::Answer, S::Error> {
    let mut place = place.lock().await;
    if let Some((dialled, mut session)) = place.session.take()
        && dialled == address
        && let Ok(answer) = session.ask().await
    {
        place.session = Some((address, session));
        return Ok(answer);
    }
    let mut session = open(&mut place, address, credentials).await?;
    let answer = session.ask().await?;
    place.session = Some((address, session));
    Ok(answer)
}

/// Waits for the session that is being opened, or begins to open one. Given up, it leaves the opening going on.
async fn open<S: ProbeSession>(
    place: &mut HostSession<S>,
    address: SocketAddr,
    credentials: &S::Credentials,
) -> Result<S, S::Error> {
    loop {
        if place.opening.as_ref().is_none_or(|(to, _)| *to != address) {
            let (mut task, credentials) = (JoinSet::new(), credentials.clone());
            task.spawn(async move {
                let opened = S::open(address, &credentials);
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

        async fn open(_: SocketAddr, server: &Arc<Server>) -> Result<Self, ()> {
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
            assert_eq!(
                kept.ask(&host, at(1), &server, deadline).await,
                Some(Ok(()))
            );
        }
        assert_eq!(counts(), (1, 1));
        // A broken session is replaced within the same probe.
        server.broken.store(true, SeqCst);
        assert_eq!(
            kept.ask(&host, at(1), &server, deadline).await,
            Some(Ok(()))
        );
        assert_eq!(counts(), (2, 1));
        // Stalled ones are closed, however many probes wait.
        server.stalled.store(true, SeqCst);
        let one = || kept.ask(&host, at(1), &server, deadline);
        assert_eq!(tokio::join!(one(), one(), one()), (None, None, None));
        assert_eq!(server.open.load(SeqCst), 0);
        server.stalled.store(false, SeqCst);
        assert_eq!(
            kept.ask(&host, at(1), &server, deadline).await,
            Some(Ok(()))
        );
        // Another address is another session.
        assert_eq!(
            kept.ask(&host, at(2), &server, deadline).await,
            Some(Ok(()))
        );
        assert_eq!(server.open.load(SeqCst), 1);
        kept.forget(&host);
        assert_eq!(server.open.load(SeqCst), 0);
    }
}
