//! Metrics in bounded memory: who is full forgets what is oldest.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::series::{Kind, Resolution, Series};
use super::statistics::Statistics;

/// What tells a metric from all others ("Dimensions", CloudWatch User Guide).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Metric {
    pub(super) region: String,
    pub(super) namespace: Cow<'static, str>,
    pub(super) name: Cow<'static, str>,
    /// Sorted by their names.
    pub(super) dimensions: Vec<(Cow<'static, str>, String)>,
}

/// What was told of a metric in one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Datum {
    pub(super) metric: Metric,
    /// AWS's word for the unit.
    pub(super) unit: Cow<'static, str>,
    pub(super) kind: Kind,
    /// In seconds of the wall clock.
    pub(super) at: i64,
    pub(super) reading: Statistics,
    /// Whether points of less than a minute are kept, too.
    pub(super) fine: Option<Resolution>,
}

/// Periods of a metric of one unit.
pub(super) type Told = (String, Vec<(i64, Statistics)>);

/// Metrics and their values.
#[derive(Debug)]
pub(super) struct Store {
    /// By metric, and by the unit it was told in.
    series: BTreeMap<Metric, BTreeMap<Cow<'static, str>, Series>>,
    /// What everything costs, in points.
    weight: usize,
    weight_max: usize,
}

/// Bytes that one point takes, about.
pub(super) const POINT_BYTES: usize = 56;
/// What a series costs besides its points.
const SERIES_WEIGHT: usize = 8;

impl Store {
    /// A store that takes about so many bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            series: BTreeMap::new(),
            weight: 0,
            weight_max: bytes_max / POINT_BYTES,
        }
    }

    /// Takes in what was told, at the moment `now`.
    pub(super) fn record(&mut self, data: impl IntoIterator<Item = Datum>, now: i64) {
        for datum in data {
            let Datum {
                metric,
                unit,
                kind,
                at,
                reading,
                fine,
            } = datum;
            let units = match self.series.get_mut(&metric) {
                Some(units) => units,
                None => {
                    self.weight += metric.weight();
                    self.series.entry(metric).or_default()
                }
            };
            let series = units.entry(unit).or_insert_with(|| {
                self.weight += SERIES_WEIGHT;
                Series::new(kind)
            });
            self.weight -= series.weight();
            series.record((at, now), &reading, fine);
            self.weight += series.weight();
        }
        self.bound();
    }

    /// Who is full gives up the first eighth of the time that it knows of.
    fn bound(&mut self) {
        while self.weight > self.weight_max {
            let all = self.series.values().flat_map(BTreeMap::values);
            let bounds = all.filter_map(Series::bounds);
            let known = bounds.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
            let (first, last) = known.unwrap_or_default();
            let before = first.saturating_add((last - first) / 8 + 1);
            self.retain(|series| series.forget(before));
        }
    }

    /// Changes every series, and forgets the metrics of which nothing is left.
    fn retain(&mut self, change: impl Fn(&mut Series)) {
        let mut weight = 0;
        self.series.retain(|metric, units| {
            units.retain(|_, series| {
                change(series);
                !series.is_empty()
            });
            if units.is_empty() {
                return false;
            }
            let own = units.values().map(|series| SERIES_WEIGHT + series.weight());
            weight += own.sum::<usize>() + metric.weight();
            true
        });
        self.weight = weight;
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.series.clear();
        self.weight = 0;
    }

    /// The metrics of a region, and when something was last told of each, in their order.
    pub(super) fn metrics<'s>(
        &'s self,
        region: &'s str,
    ) -> impl Iterator<Item = (&'s Metric, i64)> {
        let here = self.series.iter();
        let here = here.filter(move |(metric, _)| metric.region == region);
        here.filter_map(|(metric, units)| {
            let last = units.values().filter_map(Series::last).max()?;
            Some((metric, last))
        })
    }

    /// What was told of a metric between two moments, by unit, in periods of a length. See [`Series::periods`].
    pub(super) fn told(
        &self,
        metric: &Metric,
        unit: Option<&str>,
        (from, to): (i64, i64),
        length: i64,
    ) -> Vec<Told> {
        let units = self.series.get(metric).into_iter().flatten();
        let asked = units.filter(|(name, _)| unit.is_none_or(|unit| unit == *name));
        let told = asked.map(|(name, series)| (name.to_string(), series.periods(from, to, length)));
        told.collect()
    }
}

impl Metric {
    fn weight(&self) -> usize {
        let dimensions = self.dimensions.iter();
        let texts = dimensions.map(|(name, value)| name.len() + value.len() + 48);
        (self.namespace.len() + self.name.len() + texts.sum::<usize>()) / POINT_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datum(name: &str, at: i64, value: f64) -> Datum {
        Datum {
            metric: Metric {
                region: "eu-west-1".to_owned(),
                namespace: "Shop".into(),
                name: name.to_owned().into(),
                dimensions: Vec::new(),
            },
            unit: "Count".into(),
            kind: Kind::Values,
            at,
            reading: Statistics::of(value, 1.0),
            fine: None,
        }
    }

    fn names(store: &Store) -> Vec<String> {
        let metrics = store.metrics("eu-west-1");
        metrics.map(|(metric, _)| metric.name.to_string()).collect()
    }

    #[test]
    fn what_is_told_can_be_asked_for_by_unit() {
        let mut store = Store::new(1 << 20);
        let other = Datum {
            unit: "Bytes".into(),
            ..datum("orders", 61, 7.0)
        };
        store.record([datum("orders", 60, 1.0), other], 61);
        let metric = datum("orders", 0, 0.0).metric;
        let told = store.told(&metric, None, (0, 600), 60);
        let units: Vec<&str> = told.iter().map(|(unit, _)| unit.as_str()).collect();
        assert_eq!(units, ["Bytes", "Count"]);
        let told = store.told(&metric, Some("Count"), (0, 600), 60);
        assert_eq!(told[0].1, [(60, Statistics::of(1.0, 1.0))]);
        assert_eq!(store.metrics("us-east-1").count(), 0);
        assert_eq!(names(&store), ["orders"]);
    }

    #[test]
    fn a_full_store_forgets_what_is_oldest() {
        let mut store = Store::new(200 * POINT_BYTES);
        for minute in 0..1_000 {
            store.record([datum("orders", minute * 60, 1.0)], minute * 60);
        }
        let metric = datum("orders", 0, 0.0).metric;
        let kept = store.told(&metric, None, (0, 60_000), 60).remove(0).1;
        assert!((100..=200).contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept.last().map(|(at, _)| *at), Some(999 * 60));
    }

    #[test]
    fn metrics_without_end_do_not_take_memory_without_end() {
        let mut store = Store::new(1_000 * POINT_BYTES);
        for number in 0..10_000 {
            let mut datum = datum(&format!("m{number}"), number * 60, 1.0);
            datum.metric.dimensions = vec![("name".into(), "x".repeat(1_000))];
            store.record([datum], number * 60);
            assert!(store.series.len() <= 1_000);
        }
        assert!(store.series.len() > 20, "the last ones are left");
        let told = store.weight;
        store.retain(|_| {});
        assert_eq!(store.weight, told);
    }
}
