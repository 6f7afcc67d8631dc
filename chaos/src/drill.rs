//! A drill: what clients do, what is broken and healed when, and what is promised. [`parse`] makes a [`Drill`] of a file's text with
//! every mistake at once; [`Drill::bind`] fits it to a stack.
//!
//! ```yaml
//! name: az-power
//! workload:
//!   - sql-writes: {endpoint: orders, clients: 4, rate: 50/s}
//!   - sql-writes: {endpoint: orders, as: careless, timeout: none, dns-cache: forever}
//! steps:
//!   - at: 3s
//!     inject: {kill-az: {zone: primary-of orders, mode: power}}
//!     as: outage
//!   - at: 13s
//!     heal: outage          # or `all` that the drill injected
//! duration: 20s             # clients work so long; what is still in force then is healed
//! settle: 30s               # and then redundancy may take so long to be whole
//! budget: {zones: 1, recovery: 30s}
//! expect:                   # `endpoint` may also be what clients were called with `as`
//!   - writes-accepted-again: {endpoint: orders, within: 1s}
//!   - no-acknowledged-write-lost: {endpoint: orders}
//! ```

pub mod bind;
pub mod check;
mod spec;

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use topologies::duration;
use topologies::notes::Span;
use topologies::yaml::values::Period;

use crate::budget::Budget;
use crate::fault::Fault;

pub use check::parse;

/// A drill as meant: sound in itself, not yet fitted to a stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Drill {
    /// Its name.
    pub name: String,
    /// What it shows, in a sentence.
    pub description: String,
    /// The topology it was written for, relative to its file. A stack of any other will do if it has the endpoints.
    pub topology: Option<String>,
    /// The clients.
    pub workload: Vec<Workload>,
    /// What is done, in order of time.
    pub steps: Vec<Step>,
    /// How long clients work.
    pub duration: Duration,
    /// How long to wait, after the clients have ended and everything is healed, for redundancy to be whole again.
    pub settle: Duration,
    /// How much trouble the stack is built to bear.
    pub budget: Budget,
    /// What is promised.
    pub expect: Vec<Expectation>,
    /// Where all that is in the drill's file.
    pub places: Places,
}

/// Where a drill's parts are in its file, each list in the order of the drill's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The endpoints of the clients.
    pub workload: Vec<Span>,
    /// The steps.
    pub steps: Vec<Span>,
    /// The promises.
    pub expect: Vec<Span>,
}

impl Places {
    /// One of them.
    pub fn of(list: &[Span], index: usize) -> Span {
        list.get(index).copied().unwrap_or(Span::START)
    }
}

/// Like clients of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// What they are called in promises and reports; the endpoint's identifier unless they were given a name.
    pub name: String,
    /// The endpoint's identifier.
    pub endpoint: String,
    /// What they do.
    pub traffic: Traffic,
    /// How many they are.
    pub clients: u16,
    /// How many operations each begins a second. One that waits for an answer begins no other.
    pub rate: u32,
    /// After this long without an answer a client gives up and connects anew; one that has none waits for ever.
    pub timeout: Option<Duration>,
    /// How long a client goes on with the address that a name had.
    pub dns_cache: DnsCache,
}

/// How long a client goes on with the address that a name had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum DnsCache {
    /// For one connection: the name is looked up for each, as the C library does.
    #[default]
    None,
    /// As long as the answer's TTL allows.
    Ttl,
    /// For ever, whatever the TTL: a JVM whose `networkaddress.cache.ttl` is -1, nginx with a name in `proxy_pass`.
    Forever,
}

impl Workload {
    /// What distinguishes the clients from others of their endpoint, for people: `clients of orders, without timeout`. Nothing
    /// to say of clients without a name and a weakness.
    pub fn traits(&self) -> Option<String> {
        let of = (self.name != self.endpoint).then(|| format!("clients of {}", self.endpoint));
        let timeout = self.timeout.is_none().then(|| "without timeout".to_owned());
        let dns = match self.dns_cache {
            DnsCache::None => None,
            DnsCache::Ttl => Some("names cached for their TTL".to_owned()),
            DnsCache::Forever => Some("names cached for ever".to_owned()),
        };
        let traits: Vec<String> = [of, timeout, dns].into_iter().flatten().collect();
        (!traits.is_empty()).then(|| traits.join(", "))
    }
}

/// What clients do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Traffic {
    /// Insert a row with a key of their own, each in a transaction.
    SqlWrites,
    /// Set a key of their own.
    RedisWrites,
    /// GET this path.
    Http {
        /// The path, with its `/`.
        path: String,
    },
}

impl Traffic {
    /// Whether it leaves something behind that can be counted afterwards.
    pub fn writes(&self) -> bool {
        !matches!(self, Self::Http { .. })
    }
}

/// Something done at a moment of the drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When, from the beginning.
    pub at: Duration,
    /// What.
    pub action: Action,
}

/// What a drill does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Injects a fault, as written.
    Inject {
        /// The fault; its targets may be given by role.
        fault: Fault,
        /// The name by which a later step heals it.
        label: Option<String>,
    },
    /// Heals what earlier steps injected.
    Heal {
        /// The label of one of them; all of them if absent.
        label: Option<String>,
    },
}

/// A promise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Expectation {
    /// After every injection and every heal, writes through the endpoint are accepted again in time.
    WritesAcceptedAgain {
        /// The endpoint, or the name that its clients were given.
        endpoint: String,
        /// How long it may take.
        #[serde(with = "duration::text")]
        #[schemars(with = "Period")]
        within: Duration,
    },
    /// The same for requests.
    RequestsAnsweredAgain {
        /// The endpoint, or the name that its clients were given.
        endpoint: String,
        /// How long it may take.
        #[serde(with = "duration::text")]
        #[schemars(with = "Period")]
        within: Duration,
    },
    /// Whatever was acknowledged is there.
    NoAcknowledgedWriteLost {
        /// The endpoint, or the name that its clients were given.
        endpoint: String,
    },
    /// Of what was acknowledged only the newest is gone: what an asynchronous replica had not received yet.
    AcknowledgedWritesLostAtMost {
        /// The endpoint, or the name that its clients were given.
        endpoint: String,
        /// How many.
        count: u64,
    },
    /// What was reported as failed is not there.
    NoPhantomWrite {
        /// The endpoint, or the name that its clients were given.
        endpoint: String,
    },
    /// Few operations fail.
    ErrorRateBelow {
        /// The endpoint, or the name that its clients were given.
        endpoint: String,
        /// Percent of the operations, more than 0 and at most 100.
        percent: f64,
        /// Operations begun then do not count.
        #[serde(default)]
        outside: Outside,
        /// Nor do those begun this long after an injection or a heal.
        #[serde(default, with = "duration::text")]
        #[schemars(with = "Period")]
        grace: Duration,
    },
    /// After every heal the standby is in sync, the replicas follow again in time.
    RedundancyRestored {
        /// The DB instance or replication group.
        of: String,
        /// How long it may take.
        #[serde(with = "duration::text")]
        #[schemars(with = "Period")]
        within: Duration,
    },
}

/// Which operations an error rate leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outside {
    /// Those in the endpoint's outages, which another promise limits.
    #[default]
    OutageWindows,
    /// None.
    Nothing,
}

impl Expectation {
    /// The endpoint or name of clients that it speaks of, if it speaks of one.
    pub fn endpoint(&self) -> Option<&str> {
        match self {
            Self::WritesAcceptedAgain { endpoint, .. }
            | Self::RequestsAnsweredAgain { endpoint, .. }
            | Self::NoAcknowledgedWriteLost { endpoint }
            | Self::AcknowledgedWritesLostAtMost { endpoint, .. }
            | Self::NoPhantomWrite { endpoint }
            | Self::ErrorRateBelow { endpoint, .. } => Some(endpoint),
            Self::RedundancyRestored { .. } => None,
        }
    }
}

/// The promise as a sentence.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WritesAcceptedAgain { endpoint, within } => {
                let within = duration::format(*within);
                write!(f, "{endpoint} accepts writes again within {within}")
            }
            Self::RequestsAnsweredAgain { endpoint, within } => {
                let within = duration::format(*within);
                write!(f, "{endpoint} answers requests again within {within}")
            }
            Self::NoAcknowledgedWriteLost { endpoint } => {
                write!(f, "{endpoint} loses no acknowledged write")
            }
            Self::AcknowledgedWritesLostAtMost { endpoint, count } => {
                write!(f, "{endpoint} loses at most {count} acknowledged writes")
            }
            Self::NoPhantomWrite { endpoint } => {
                write!(f, "{endpoint} keeps no write that it reported as failed")
            }
            Self::ErrorRateBelow {
                endpoint,
                percent,
                outside,
                grace,
            } => {
                write!(f, "{endpoint} fails less than {percent} % of operations")?;
                if *outside == Outside::OutageWindows {
                    f.write_str(" outside of outages")?;
                }
                if !grace.is_zero() {
                    write!(
                        f,
                        ", {} after each change left out",
                        duration::format(*grace)
                    )?;
                }
                Ok(())
            }
            Self::RedundancyRestored { of, within } => {
                let within = duration::format(*within);
                write!(f, "{of} is redundant again within {within} of the heal")
            }
        }
    }
}
