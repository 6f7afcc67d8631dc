//! One metric's values in time: points of some seconds for a while, points of a minute for longer.
//!
//! What a second tells goes into both; a point tells what one period of AWS's would.

use std::collections::VecDeque;

use super::statistics::Statistics;

/// Points of a minute are kept for 15 days (aws-behaviour §7.3, "Retention").
const MINUTES_KEPT: i64 = 15 * 24 * 60 * 60;
const MINUTE: i64 = 60;

/// How the readings of one period make what AWS would have been told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Every reading as it is.
    Values,
    /// A state: one value, which is the mean of all readings, between their bounds.
    Gauge,
    /// A number of things: one value, which is the sum of all readings.
    Total,
}

/// How long points of less than a minute are, and how long they are kept, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resolution {
    pub(super) width: i64,
    pub(super) kept: i64,
}

/// A metric's values.
#[derive(Clone, Debug)]
pub(super) struct Series {
    kind: Kind,
    fine: Points,
    minutes: Points,
}

/// Points of one length, in their order.
#[derive(Clone, Debug, Default)]
struct Points {
    points: VecDeque<Point>,
    /// See [`Series::weight`].
    weight: usize,
}

#[derive(Clone, Debug)]
struct Point {
    /// When it begins, in seconds of the wall clock.
    at: i64,
    readings: Statistics,
}

impl Series {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            fine: Points::default(),
            minutes: Points::default(),
        }
    }

    /// Takes a reading of the second `at` in, at the moment `now`.
    pub(super) fn record(
        &mut self,
        (at, now): (i64, i64),
        reading: &Statistics,
        fine: Option<Resolution>,
    ) {
        let seen = self.kind == Kind::Values;
        if let Some(Resolution { width, kept }) = fine {
            self.fine.put(at - at.rem_euclid(width), reading, seen);
            self.fine.forget(now - kept);
        }
        self.minutes.put(at - at.rem_euclid(MINUTE), reading, seen);
        self.minutes.forget(now - MINUTES_KEPT);
    }

    /// Lets go of what began before a moment.
    pub(super) fn forget(&mut self, before: i64) {
        self.fine.forget(before);
        self.minutes.forget(before);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.minutes.points.is_empty() && self.fine.points.is_empty()
    }

    /// When the last minute began of which something was told.
    pub(super) fn last(&self) -> Option<i64> {
        self.minutes.points.back().map(|point| point.at)
    }

    /// When the first point began that is left, and the last.
    pub(super) fn bounds(&self) -> Option<(i64, i64)> {
        let points = [&self.fine.points, &self.minutes.points];
        let first = points.iter().filter_map(|points| points.front());
        let last = points.iter().filter_map(|points| points.back());
        Some((
            first.map(|point| point.at).min()?,
            last.map(|point| point.at).max()?,
        ))
    }

    /// What its points cost, in their number; values that are kept one by one count with them.
    pub(super) fn weight(&self) -> usize {
        self.fine.weight + self.minutes.weight
    }

    /// What was told of the periods of a length between two moments, the second not included, each by when it begins.
    pub(super) fn periods(&self, from: i64, to: i64, length: i64) -> Vec<(i64, Statistics)> {
        let fine = &self.fine.points;
        let minutes = length % MINUTE == 0 || fine.is_empty();
        let points = if minutes { &self.minutes.points } else { fine };
        let first = points.partition_point(|point| point.at < from);
        let mut periods: Vec<(i64, Statistics)> = Vec::new();
        for point in points.range(first..).take_while(|point| point.at < to) {
            let begins = from + (point.at - from).div_euclid(length) * length;
            let told = self.told(&point.readings);
            match periods.last_mut() {
                Some((at, all)) if *at == begins => all.add(&told),
                Some(_) | None => periods.push((begins, told)),
            }
        }
        periods
    }

    fn told(&self, readings: &Statistics) -> Statistics {
        match self.kind {
            Kind::Values => readings.clone(),
            Kind::Gauge => readings.as_one(readings.sum / readings.count),
            Kind::Total => Statistics::of(readings.sum, 1.0),
        }
    }
}

impl Point {
    fn weight(&self) -> usize {
        1 + self.readings.kept() / 3
    }
}

impl Points {
    /// Takes a reading in; `seen` says whether its values are kept.
    fn put(&mut self, at: i64, reading: &Statistics, seen: bool) {
        let points = &mut self.points;
        // Nearly all are of the last point, or of a new one.
        let place = match points.back() {
            Some(last) if last.at < at => points.len(),
            Some(last) if last.at == at => points.len() - 1,
            Some(_) | None => points.partition_point(|point| point.at < at),
        };
        let point = match points.get_mut(place) {
            Some(point) if point.at == at => point,
            Some(_) | None => {
                let readings = reading.clone();
                let point = Point { at, readings };
                self.weight += point.weight();
                return points.insert(place, point);
            }
        };
        self.weight -= point.weight();
        let readings = &mut point.readings;
        if seen {
            readings.add(reading);
        } else {
            readings.add_unseen(reading);
        }
        self.weight += point.weight();
    }

    fn forget(&mut self, before: i64) {
        let old = self.points.partition_point(|point| point.at < before);
        let dropped = self.points.drain(..old);
        self.weight -= dropped.map(|point| point.weight()).sum::<usize>();
    }
}

#[cfg(test)]
mod tests {
    use super::super::statistics::Statistic;
    use super::*;

    const TEN_SECONDS: Resolution = Resolution {
        width: 10,
        kept: 3_600,
    };

    /// A series of a reading in each second.
    fn series(kind: Kind, values: impl IntoIterator<Item = f64>) -> Series {
        let mut series = Series::new(kind);
        for (value, second) in values.into_iter().zip(600..) {
            let reading = Statistics::of(value, 1.0);
            series.record((second, second), &reading, Some(TEN_SECONDS));
        }
        series
    }

    #[track_caller]
    fn check(series: &Series, length: i64, statistic: Statistic, wanted: &[(i64, f64)]) {
        let periods = series.periods(600, 1_200, length);
        let values = periods
            .iter()
            .map(|(at, all)| (*at, all.get(statistic).unwrap()));
        assert_eq!(values.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_state_is_one_sample_of_its_period() {
        let series = series(Kind::Gauge, (0..120).map(|n| f64::from(n / 60)));
        check(
            &series,
            60,
            Statistic::SampleCount,
            &[(600, 1.0), (660, 1.0)],
        );
        check(&series, 60, Statistic::Average, &[(600, 0.0), (660, 1.0)]);
        check(&series, 300, Statistic::Average, &[(600, 0.5)]);
        check(&series, 300, Statistic::Sum, &[(600, 1.0)]);
        check(&series, 300, Statistic::Maximum, &[(600, 1.0)]);
        check(&series, 300, Statistic::Percentile(90.0), &[(600, 1.0)]);
        assert_eq!(series.periods(600, 1_200, 10).len(), 12);
    }

    #[test]
    fn a_short_change_of_a_state_shows_in_its_bounds() {
        let series = series(Kind::Gauge, [2.0, 2.0, 1.0, 2.0]);
        check(&series, 60, Statistic::Minimum, &[(600, 1.0)]);
        check(&series, 60, Statistic::Average, &[(600, 1.75)]);
    }

    #[test]
    fn a_number_of_things_adds_up() {
        let series = series(Kind::Total, (0..70).map(|_| 2.0));
        check(&series, 60, Statistic::Sum, &[(600, 120.0), (660, 20.0)]);
        check(
            &series,
            60,
            Statistic::SampleCount,
            &[(600, 1.0), (660, 1.0)],
        );
        check(&series, 300, Statistic::Maximum, &[(600, 120.0)]);
        check(
            &series,
            10,
            Statistic::Sum,
            &[600, 610, 620, 630, 640, 650, 660].map(|at| (at, 20.0)),
        );
    }

    #[test]
    fn values_are_what_they_are_whenever_they_come() {
        let mut series = Series::new(Kind::Values);
        for (at, value) in [(725, 3.0), (600, 1.0), (659, 5.0), (725, 4.0)] {
            series.record((at, 725), &Statistics::of(value, 1.0), None);
        }
        check(&series, 60, Statistic::Sum, &[(600, 6.0), (720, 7.0)]);
        check(&series, 300, Statistic::Percentile(50.0), &[(600, 3.0)]);
        // Of a minute all that is known is the minute.
        check(
            &series,
            10,
            Statistic::SampleCount,
            &[(600, 2.0), (720, 2.0)],
        );
        assert_eq!(series.last(), Some(720));
    }

    #[test]
    fn periods_begin_where_they_are_asked_for() {
        let series = series(Kind::Total, (0..240).map(|_| 1.0));
        let periods = series.periods(660, 840, 120);
        let begun: Vec<i64> = periods.iter().map(|(at, _)| *at).collect();
        assert_eq!(begun, [660, 780]);
    }

    #[test]
    fn what_is_old_goes() {
        let mut series = series(Kind::Total, (0..100).map(|_| 1.0));
        let later = 600 + 3_600 + 50;
        series.record((later, later), &Statistics::of(1.0, 1.0), Some(TEN_SECONDS));
        assert_eq!(
            (series.fine.points.len(), series.minutes.points.len()),
            (6, 3)
        );
        assert_eq!(series.bounds(), Some((600, later - later % 10)));
        series.forget(later - later % 60);
        assert_eq!(
            (series.fine.points.len(), series.minutes.points.len()),
            (1, 1)
        );
        series.forget(later + 1);
        assert!(series.is_empty());
        assert_eq!(series.weight(), 0);
    }
}
