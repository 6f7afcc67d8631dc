//! CloudWatch: metrics that the stack really has, and those that clients put; alarms on both.
//!
//! ```text
//! data plane, probes, world ─sampler, every second─► sources ─► Metrics ◄─ PutMetricData
//!                                                                  ├────► GetMetricData, GetMetricStatistics, ListMetrics
//!                                                                  └────► alarms ─► timeline
//! ```
//! - `sources`: which metrics a stack has, and their values in one second
//! - `store`, `series`, `statistics`: what is kept of them, in bounded memory, and what can be asked of it
//! - `span`: the periods that a call asks for; `data`, `figures`, `list`, `put`: the calls
//! - `queries`, `expression`: metrics and metric math by query; `alarms`: what is held against a threshold
//!
//! Values live as long as the daemon. Those of the stack take 8 MB at most, those that were put 16 MB: then the oldest go first.

mod alarms;
mod data;
mod expression;
mod figures;
mod list;
mod put;
mod queries;
mod series;
mod sources;
mod span;
mod statistics;
mod store;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Handler, Operations};
pub(super) use alarms::{Found, Watch, found, state_of};
pub use sources::Sights;
pub(super) use store::Datum;
use store::{Metric, Store, Told};

pub(super) const OPERATIONS: Operations = &[
    ("DeleteAlarms", Handler::Change(alarms::delete)),
    ("DescribeAlarmHistory", Handler::Read(alarms::history)),
    ("DescribeAlarms", Handler::Read(alarms::describe)),
    ("DescribeAlarmsForMetric", Handler::Read(alarms::for_metric)),
    ("DisableAlarmActions", Handler::Change(alarms::disable)),
    ("EnableAlarmActions", Handler::Change(alarms::enable)),
    ("GetMetricData", Handler::Read(data::get)),
    ("GetMetricStatistics", Handler::Read(figures::get)),
    ("ListMetrics", Handler::Read(list::list)),
    ("ListTagsForResource", Handler::Read(alarms::list_tags)),
    ("PutMetricAlarm", Handler::Change(alarms::put)),
    ("PutMetricData", Handler::Measure(put::put)),
    ("SetAlarmState", Handler::Change(alarms::set_state)),
    ("TagResource", Handler::Change(alarms::tag)),
    ("UntagResource", Handler::Change(alarms::untag)),
];

/// What metrics of the stack may take.
const OWN_BYTES_MAX: usize = 8 << 20;
/// What metrics that were put may take.
const PUT_BYTES_MAX: usize = 16 << 20;
/// Namespaces that are AWS's own begin with it.
const OWN: &str = "AWS/";

/// The metrics of a stack. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<Stores>>);

struct Stores {
    /// Of the stack.
    own: Store,
    /// Put by clients.
    put: Store,
}

impl Default for Metrics {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Stores {
            own: Store::new(OWN_BYTES_MAX),
            put: Store::new(PUT_BYTES_MAX),
        })))
    }
}

/// Without all values.
impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(..)")
    }
}

impl Metrics {
    /// Takes in what is seen of the stack in a second of the wall clock.
    pub fn sample(&self, sights: &Sights<'_>, second: i64) {
        let data = sources::data(sights, second);
        self.stores().own.record(data, second);
    }

    /// Takes in what a client put, at a moment in milliseconds of the wall clock.
    pub(super) fn put(&self, data: Vec<Datum>, now: i64) {
        self.stores().put.record(data, now.div_euclid(1_000));
    }

    /// Forgets what clients put.
    pub fn forget_put(&self) {
        self.stores().put.clear();
    }

    /// Those of a region, and when something was last told of each, in seconds of the wall clock; sorted.
    fn list(&self, region: &str) -> Vec<(Metric, i64)> {
        let stores = self.stores();
        let all = [&stores.own, &stores.put];
        let all = all.into_iter().flat_map(|store| store.metrics(region));
        let mut all: Vec<(Metric, i64)> = all.map(|(it, last)| (it.clone(), last)).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    /// See [`Store::told`].
    fn told(
        &self,
        metric: &Metric,
        unit: Option<&str>,
        span: (i64, i64),
        length: i64,
    ) -> Vec<Told> {
        let stores = self.stores();
        let store = if metric.namespace.starts_with(OWN) {
            &stores.own
        } else {
            &stores.put
        };
        store.told(metric, unit, span, length)
    }

    fn stores(&self) -> MutexGuard<'_, Stores> {
        // A store is whole after every step: what a panic leaves is a reading less.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
