//! What a connection meets on its link right now, shared between its task and the core that learns of changes.
//!
//! A task asks with one atomic load whether anything is wrong; only if something is does it look closer. Every waiting
//! task registers its waker, so a change reaches an idle connection without polling.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use topologies::address::ZoneNumber;
use topologies::network::{Network, Path};

const DARK: u8 = 1;
const SLOW: u8 = 2;
const DOOMED: u8 = 4;
const STRICKEN: u8 = 8;
/// What a change of weather leaves as it is.
const LASTING: u8 = DOOMED | STRICKEN;

/// The delay of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delay {
    /// Added to every delivery.
    pub(crate) latency: Duration,
    /// A uniformly drawn share of this is added too.
    pub(crate) jitter: Duration,
}

/// What packets between two zones meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Nothing passes, either way.
    pub(crate) dark: bool,
    /// From the client to the server.
    pub(crate) up: Delay,
    /// From the server to the client.
    pub(crate) down: Delay,
}

impl Weather {
    /// The weather between a client in zone `from` and a server in zone `to`.
    pub(crate) fn between(network: &Network, from: ZoneNumber, to: ZoneNumber) -> Self {
        let delay = |path| match path {
            Path::Open { latency, jitter } => Delay { latency, jitter },
            Path::Dark => Delay::default(),
        };
        Self {
            dark: !network.connects(from, to),
            up: delay(network.path(from, to)),
            down: delay(network.path(to, from)),
        }
    }

    fn slow(&self) -> bool {
        self.up != Delay::default() || self.down != Delay::default()
    }
}

/// A connection's condition.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// `DARK | SLOW | DOOMED | STRICKEN`; zero is the common case.
    condition: AtomicU8,
    delays: Mutex<(Delay, Delay)>,
    severed: AtomicBool,
    waker: AtomicWaker,
}

/// The connection is to be reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doomed;

impl Flow {
    pub(crate) fn new(weather: &Weather) -> Self {
        let flow = Self::default();
        flow.set_weather(weather);
        flow
    }

    /// Takes over the link's condition and wakes the connection if it changed.
    pub(crate) fn set_weather(&self, weather: &Weather) {
        let delays = (weather.up, weather.down);
        let mut known = self.delays.lock().unwrap_or_else(PoisonError::into_inner);
        let delays_changed = std::mem::replace(&mut *known, delays) != delays;
        drop(known);
        let bits = if weather.dark { DARK } else { 0 } | if weather.slow() { SLOW } else { 0 };
        let before = self.condition.load(Ordering::Acquire);
        self.condition
            .store(before & LASTING | bits, Ordering::Release);
        if before & !LASTING != bits || delays_changed {
            self.waker.wake();
        }
    }

    /// Condemns the connection: it is reset as soon as packets reach its client. There is no way back.
    pub(crate) fn doom(&self) {
        self.condition.fetch_or(DOOMED, Ordering::AcqRel);
        self.waker.wake();
    }

    /// Records that the server lost power or its process while nothing could pass: if its end of the connection is closed
    /// when the link is back, that was no farewell.
    pub(crate) fn strike(&self) {
        self.condition.fetch_or(STRICKEN, Ordering::AcqRel);
    }

    /// Whether the server was struck since this was last asked.
    pub(crate) fn take_stricken(&self) -> bool {
        let before = self.condition.fetch_and(!STRICKEN, Ordering::AcqRel);
        before & STRICKEN != 0
    }

    pub(crate) fn dark(&self) -> bool {
        self.condition.load(Ordering::Acquire) & DARK != 0
    }

    pub(crate) fn doomed(&self) -> bool {
        self.condition.load(Ordering::Acquire) & DOOMED != 0
    }

    /// The delays up and down, none on a sound link.
    pub(crate) fn delays(&self) -> Option<(Delay, Delay)> {
        if self.condition.load(Ordering::Acquire) & SLOW == 0 {
            return None;
        }
        Some(*self.delays.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Records that nothing reaches the server through this connection any more.
    pub(crate) fn sever(&self) {
        self.severed.store(true, Ordering::Release);
    }

    /// Whether a condemned connection can still reach its server.
    pub(crate) fn lingers(&self) -> bool {
        self.doomed() && !self.severed.load(Ordering::Acquire)
    }

    /// Has the current task woken on the next change. One task at a time.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    /// Waits until packets pass.
    pub(crate) async fn passable(&self) {
        poll_fn(|cx| {
            self.register(cx);
            if self.dark() {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// The outcome of `future`, unless the connection is condemned first.
    pub(crate) async fn unless_doomed<T>(
        &self,
        future: impl Future<Output = T>,
    ) -> Result<T, Doomed> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.register(cx);
            if self.doomed() {
                return Poll::Ready(Err(Doomed));
            }
            future.as_mut().poll(cx).map(Ok)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use topologies::network::Link;

    use super::*;

    fn zone(number: usize) -> ZoneNumber {
        ZoneNumber::zone(number).unwrap()
    }

    #[test]
    fn one_cut_direction_darkens_both() {
        let network = Network {
            links: BTreeMap::from([(
                (zone(2), zone(1)),
                Link {
                    cut: true,
                    ..Link::default()
                },
            )]),
            ..Network::default()
        };
        assert!(Weather::between(&network, zone(1), zone(2)).dark);
        assert!(Weather::between(&network, zone(2), zone(1)).dark);
        assert!(!Weather::between(&network, zone(1), zone(3)).dark);
    }

    #[test]
    fn delays_are_directed() {
        let latency = Duration::from_millis(40);
        let network = Network {
            links: BTreeMap::from([(
                (zone(1), zone(2)),
                Link {
                    latency,
                    ..Link::default()
                },
            )]),
            ..Network::default()
        };
        let weather = Weather::between(&network, zone(1), zone(2));
        assert_eq!(
            (weather.up.latency, weather.down.latency),
            (latency, Duration::ZERO)
        );
        let flow = Flow::new(&weather);
        assert_eq!(flow.delays(), Some((weather.up, weather.down)));
    }

    #[test]
    fn doom_outlives_a_change_of_weather() {
        let flow = Flow::new(&Weather::default());
        flow.doom();
        flow.set_weather(&Weather::default());
        assert!(flow.doomed() && flow.lingers());
        flow.sever();
        assert!(!flow.lingers());
    }
}
