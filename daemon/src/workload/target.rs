//! Where a drill's client goes, how it finds the address, and how long it waits: what a careful application does, or a weakness
//! that the drill gives it.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chaos::drill::DnsCache;
use proxies::dns::client::lookup;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a client without timeouts waits for a name: the C library's resolver has a limit of its own, 5 s a try and two
/// tries (resolv.conf(5), `timeout` and `attempts`).
const RESOLVER: Duration = Duration::from_secs(10);

/// How long an operation of a client without timeouts may still take when the drill ends.
const GRACE: Duration = Duration::from_secs(1);

/// How long is waited for an answer.
#[derive(Clone, Debug)]
pub struct Patience {
    limit: Option<Duration>,
    end: CancellationToken,
}

impl Patience {
    /// For so long.
    pub fn limited(limit: Duration) -> Self {
        Self::of_client(Some(limit), CancellationToken::new())
    }

    /// A client's: without a limit it waits until the drill is at its `end`.
    pub fn of_client(limit: Option<Duration>, end: CancellationToken) -> Self {
        Self { limit, end }
    }

    /// The limit, if there is one.
    pub fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// Waits for an answer.
    ///
    /// # Errors
    /// When none came: until when was waited, in words.
    pub async fn wait<T>(&self, answer: impl Future<Output = T>) -> Result<T, &'static str> {
        if let Some(limit) = self.limit {
            let answer = tokio::time::timeout(limit, answer).await;
            return answer.map_err(|_| "in time");
        }
        let end = async {
            self.end.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            answer = answer => Ok(answer),
            () = end => Err("until the drill's end"),
        }
    }
}

/// Where a client goes and how it gets there.
#[derive(Clone, Debug)]
pub struct Target {
    /// The resolver that it asks.
    pub resolver: SocketAddr,
    /// The endpoint's name.
    pub name: String,
    /// The endpoint's port, where it really is.
    pub port: u16,
    /// How long it waits for a name, a connection or an answer.
    pub patience: Patience,
    /// The address that it goes on with.
    pub cache: Cache,
}

/// The address that a name had, for as long as a client goes on with it. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    lasts: DnsCache,
    address: Arc<Mutex<Option<Cached>>>,
}

#[derive(Clone, Copy, Debug)]
struct Cached {
    address: Ipv4Addr,
    /// None for ever.
    until: Option<Instant>,
}

impl Cache {
    /// An empty one.
    pub fn new(lasts: DnsCache) -> Self {
        Self {
            lasts,
            address: Arc::default(),
        }
    }

    fn get(&self, now: Instant) -> Option<Ipv4Addr> {
        let cached = *self.address.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |cached: &Cached| cached.until.is_none_or(|until| now < until);
        cached.filter(fresh).map(|cached| cached.address)
    }

    fn put(&self, address: Ipv4Addr, ttl: Duration, now: Instant) {
        let until = match self.lasts {
            DnsCache::None => return,
            DnsCache::Ttl => Some(now + ttl),
            DnsCache::Forever => None,
        };
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Cached { address, until });
    }
}

impl Target {
    /// The address that the name has, or that it had when the client last asked.
    ///
    /// # Errors
    /// In words.
    pub async fn address(&self) -> Result<SocketAddr, String> {
        let address = match self.cache.get(Instant::now()) {
            Some(address) => address,
            None => {
                let limit = self.patience.limit().unwrap_or(RESOLVER);
                let answer = lookup(self.resolver, &self.name, limit)
                    .await
                    .map_err(|cause| cause.to_string())?;
                let address = *answer.addresses.first().ok_or("the name has no address")?;
                self.cache.put(address, answer.ttl, Instant::now());
                address
            }
        };
        Ok(SocketAddr::from(SocketAddrV4::new(address, self.port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_as_long_as_the_client_was_told() {
        let (address, ttl, now) = (
            Ipv4Addr::new(127, 64, 1, 10),
            Duration::from_secs(5),
            Instant::now(),
        );
        let kept = |lasts, after: u64| {
            let cache = Cache::new(lasts);
            cache.put(address, ttl, now);
            cache.get(now + Duration::from_secs(after)).is_some()
        };
        assert!(!kept(DnsCache::None, 0));
        assert!(kept(DnsCache::Ttl, 4) && !kept(DnsCache::Ttl, 5));
        assert!(kept(DnsCache::Forever, 1_000_000));
    }

    #[tokio::test]
    async fn who_has_no_timeout_waits_until_the_drill_ends() {
        let never = std::future::pending::<()>;
        let end = CancellationToken::new();
        let patience = Patience::of_client(None, end.clone());
        assert_eq!(patience.wait(std::future::ready(7)).await, Ok(7));
        end.cancel();
        assert_eq!(patience.wait(never()).await, Err("until the drill's end"));
        let limited = Patience::limited(Duration::from_millis(1));
        assert_eq!(limited.wait(never()).await, Err("in time"));
    }
}
