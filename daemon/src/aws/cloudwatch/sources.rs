//! Which metrics a stack has, and what they are in one second of it: nothing that was not counted, asked or decided.
//!
//! Names, dimensions, units and when something is reported at all are AWS's (aws-behaviour §4.8, §5, §1.4, §3.2, §6.4). What is not
//! known here (processors, disks, capacity units) has no metric.

mod balancers;
mod engines;

use std::borrow::Cow;
use std::collections::BTreeMap;

use proxies::traffic::{Subject, Times, Traffic};
use topologies::id::InstanceId;
use topologies::world::World;
use topologies::world::health_check::{checked, is_known};

use super::series::{Kind, Resolution};
use super::statistics::Statistics;
use super::store::{Datum, Metric};
use crate::aws::route53::health_checks;
use crate::prober::Figure;

/// AWS's services tell of minutes; here ten seconds are told apart for an hour, for who rehearses.
const FINE: Resolution = Resolution {
    width: 10,
    kept: 60 * 60,
};
/// "HealthCheckStatus ... in AWS/Route53, us-east-1 only" (aws-behaviour §6.4).
const HEALTH_CHECKS_REGION: &str = "us-east-1";

/// What is seen of a stack in a second.
pub struct Sights<'a> {
    /// What the control plane has seen and decided.
    pub world: &'a World,
    /// What the data plane has counted since it began.
    pub counted: &'a BTreeMap<Subject, Traffic>,
    /// What of it came since the last look.
    pub passed: &'a BTreeMap<Subject, Traffic>,
    /// How long the answers of targets took that came since then.
    pub times: &'a BTreeMap<Subject, Times>,
    /// What hosts have said lately.
    pub figures: &'a BTreeMap<InstanceId, Figure>,
}

/// Every metric that has a value in the second `at`.
pub(super) fn data(sights: &Sights<'_>, at: i64) -> Vec<Datum> {
    let mut board = Board {
        at,
        data: Vec::new(),
    };
    balancers::tell(sights, &mut board);
    engines::tell(sights, &mut board);
    let topology = &sights.world.plan.topology;
    let known = topology.health_checks.iter();
    for check in known.filter(|check| is_known(sights.world, check)) {
        let healthy = checked(topology, sights.world, &check.id);
        let id = health_checks::uuid(&check.id);
        let source = Source::new(HEALTH_CHECKS_REGION, "AWS/Route53", [("HealthCheckId", id)]);
        let share = if healthy { 1.0 } else { 0.0 };
        board.gauge(&source, "HealthCheckStatus", "None", share);
        // One checker stands for all.
        let percent = share * 100.0;
        board.gauge(&source, "HealthCheckPercentageHealthy", "Percent", percent);
    }
    board.data
}

/// What the metrics of one thing have alike.
struct Source {
    region: String,
    namespace: &'static str,
    dimensions: Vec<(Cow<'static, str>, String)>,
}

/// Where metrics are written down.
struct Board {
    at: i64,
    data: Vec<Datum>,
}

impl Source {
    /// The dimensions have to come in the order of their names.
    fn new(
        region: &str,
        namespace: &'static str,
        dimensions: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        let dimensions = dimensions.into_iter();
        Self {
            region: region.to_owned(),
            namespace,
            dimensions: dimensions
                .map(|(name, value)| (Cow::Borrowed(name), value))
                .collect(),
        }
    }
}

impl Board {
    /// Things of which each counts as one; nothing where there are none, as the load balancers report it.
    fn events(&mut self, source: &Source, name: &'static str, count: u64) {
        if count > 0 {
            let reading = Statistics::of(1.0, count as f64);
            self.put(source, name, "Count", Kind::Values, reading);
        }
    }

    /// A number of things, also when it is zero.
    fn total(&mut self, source: &Source, name: &'static str, unit: &'static str, value: f64) {
        self.put(source, name, unit, Kind::Total, Statistics::of(value, 1.0));
    }

    /// A state.
    fn gauge(&mut self, source: &Source, name: &'static str, unit: &'static str, value: f64) {
        self.put(source, name, unit, Kind::Gauge, Statistics::of(value, 1.0));
    }

    fn put(
        &mut self,
        source: &Source,
        name: &'static str,
        unit: &'static str,
        kind: Kind,
        reading: Statistics,
    ) {
        let metric = Metric {
            region: source.region.clone(),
            namespace: source.namespace.into(),
            name: name.into(),
            dimensions: source.dimensions.clone(),
        };
        self.data.push(Datum {
            metric,
            unit: unit.into(),
            kind,
            at: self.at,
            reading,
            fine: Some(FINE),
        });
    }
}

#[cfg(test)]
mod tests;
