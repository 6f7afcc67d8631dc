//! Statistics of what was counted or measured: they add up, and percentiles can be had of them as far as the values are known.

use std::cmp::Ordering;

/// Values of a distribution that are told apart; beyond that, values near each other are taken for one.
const VALUES_MAX: usize = 100;
/// How near that is, as a ratio: the first at which few enough are left. At the last one, no more than some fifty can be.
const NEAR: [f64; 8] = [1.01, 1.02, 1.05, 1.1, 1.25, 2.0, 16.0, 1e25];

/// A statistic set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statistics {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// The values behind it; none if all are one, or if they are not known.
    values: Option<Box<Values>>,
}

/// Values in ascending order, and how often each came.
#[derive(Clone, Debug, PartialEq)]
struct Values(Vec<(f64, f64)>);

/// What is asked of a statistic set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Statistic {
    SampleCount,
    Sum,
    Average,
    Minimum,
    Maximum,
    /// `p99.9`, from 0 to 100.
    Percentile(f64),
}

impl Statistics {
    /// Of a value that came so often.
    pub(super) fn of(value: f64, count: f64) -> Self {
        Self {
            count,
            sum: value * count,
            min: value,
            max: value,
            values: None,
        }
    }

    /// Of values nobody knows one by one.
    pub(super) fn set(count: f64, sum: f64, min: f64, max: f64) -> Self {
        Self {
            count,
            sum,
            min,
            max,
            values: None,
        }
    }

    /// Of values, each with how often it came; none if there are none.
    pub(super) fn of_each(values: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        let mut values: Vec<(f64, f64)> = values.into_iter().collect();
        values.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (min, max) = (values.first()?.0, values.last()?.0);
        let (mut all, mut count, mut sum) = (Values(Vec::with_capacity(values.len())), 0.0, 0.0);
        for (value, times) in values {
            all.push(value, times);
            count += times;
            sum += value * times;
        }
        all.bound();
        Some(Self {
            count,
            sum,
            min,
            max,
            values: (min < max).then(|| Box::new(all)),
        })
    }

    /// The same, when the sum is known better than from its values.
    #[must_use]
    pub(super) fn summing_to(mut self, sum: f64) -> Self {
        self.sum = sum;
        self
    }

    /// Takes another set in.
    pub(super) fn add(&mut self, other: &Self) {
        let values = match (self.known(), other.known()) {
            (Some(mine), Some(theirs)) => Some(mine.merged(&theirs)),
            (Some(_) | None, Some(_) | None) => None,
        };
        self.add_unseen(other);
        self.values = values.filter(|_| self.min < self.max).map(Box::new);
    }

    /// Takes another set in, and forgets the values.
    pub(super) fn add_unseen(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.values = None;
    }

    /// One value in the place of all, whose bounds stay.
    pub(super) fn as_one(&self, value: f64) -> Self {
        let known = Values(vec![(value, 1.0)]);
        Self {
            count: 1.0,
            sum: value,
            min: self.min,
            max: self.max,
            values: (self.min < self.max).then(|| Box::new(known)),
        }
    }

    /// How many values are kept.
    pub(super) fn kept(&self) -> usize {
        self.values.as_ref().map_or(0, |values| values.0.len())
    }

    /// A statistic; none where it can not be told.
    ///
    /// "Percentile statistics are not available for metrics when any of the metric values are negative numbers", nor of statistic
    /// sets whose values were not told ("Statistics definitions", CloudWatch User Guide).
    pub(super) fn get(&self, statistic: Statistic) -> Option<f64> {
        match statistic {
            Statistic::SampleCount => Some(self.count),
            Statistic::Sum => Some(self.sum),
            Statistic::Average => Some(self.sum / self.count),
            Statistic::Minimum => Some(self.min),
            Statistic::Maximum => Some(self.max),
            Statistic::Percentile(_) if self.min < 0.0 => None,
            Statistic::Percentile(percent) => {
                let value = self.known()?.at(percent / 100.0)?;
                Some(value.clamp(self.min, self.max))
            }
        }
    }

    fn known(&self) -> Option<Values> {
        match &self.values {
            Some(values) => Some(Values::clone(values)),
            None if self.min == self.max => Some(Values(vec![(self.min, self.count)])),
            None => None,
        }
    }
}

impl Statistic {
    /// Reads a statistic's name; none if it is none of those that are computed here.
    pub(super) fn read(name: &str) -> Option<Self> {
        let plain = match name {
            "SampleCount" => Self::SampleCount,
            "Sum" => Self::Sum,
            "Average" => Self::Average,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            other => return percentile(other).map(Self::Percentile),
        };
        Some(plain)
    }
}

/// `p0` to `p100`, with up to ten decimals, in either case.
fn percentile(name: &str) -> Option<f64> {
    let digits = name.strip_prefix(['p', 'P'])?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = (1..=3).contains(&whole.len()) && fraction.len() <= 10;
    let value: f64 = digits.parse().ok()?;
    (fits && number(whole) && number(fraction) && value <= 100.0).then_some(value)
}

impl Values {
    /// Adds a value that is not below the last one.
    fn push(&mut self, value: f64, count: f64) {
        match self.0.last_mut() {
            Some(last) if last.0 == value => last.1 += count,
            Some(_) | None => self.0.push((value, count)),
        }
    }

    fn merged(&self, other: &Self) -> Self {
        let mut merged = Self(Vec::with_capacity(self.0.len() + other.0.len()));
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            let first = match (mine.peek(), theirs.peek()) {
                (Some(one), Some(two)) if one.0.total_cmp(&two.0) == Ordering::Greater => {
                    theirs.next()
                }
                (Some(_), _) => mine.next(),
                (None, _) => theirs.next(),
            };
            let Some((value, count)) = first else { break };
            merged.push(*value, *count);
        }
        merged.bound();
        merged
    }

    /// Takes values for one that are near each other, as far as there are too many.
    fn bound(&mut self) {
        let mut near = NEAR.iter();
        while self.0.len() > VALUES_MAX {
            let Some(ratio) = near.next() else { return };
            let mut fewer = Self(Vec::with_capacity(VALUES_MAX));
            for (value, count) in &self.0 {
                fewer.push(on_grid(*value, *ratio), *count);
            }
            *self = fewer;
        }
    }

    /// The least value below or at which there is this share of all.
    fn at(&self, share: f64) -> Option<f64> {
        let wanted = share * self.0.iter().map(|(_, count)| count).sum::<f64>();
        let mut seen = 0.0;
        let mut all = self.0.iter();
        let found = all.find(|(_, count)| {
            seen += count;
            // Counts that do not add up exactly must not skip a value.
            seen * (1.0 + 1e-12) >= wanted
        });
        found.or(self.0.last()).map(|(value, _)| *value)
    }
}

/// The power of the ratio that is nearest to a value.
fn on_grid(value: f64, ratio: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let step = ratio.ln();
    let size = ((value.abs().ln() / step).round() * step).exp();
    size.copysign(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(values: impl IntoIterator<Item = f64>) -> Statistics {
        let values = values.into_iter().map(|value| (value, 1.0));
        Statistics::of_each(values).unwrap()
    }

    #[track_caller]
    fn check(statistics: &Statistics, wanted: &[(&str, Option<f64>)]) {
        for (name, value) in wanted {
            let statistic = Statistic::read(name).unwrap();
            assert_eq!(statistics.get(statistic), *value, "{name}");
        }
    }

    #[test]
    fn statistics_of_a_handful_of_values_are_exact() {
        let wanted = [
            ("SampleCount", Some(4.0)),
            ("Sum", Some(10.0)),
            ("Average", Some(2.5)),
            ("Minimum", Some(1.0)),
            ("Maximum", Some(4.0)),
            ("p50", Some(2.0)),
            ("p75", Some(3.0)),
            ("p99.9", Some(4.0)),
            ("p0", Some(1.0)),
            ("p100", Some(4.0)),
        ];
        check(&each([3.0, 1.0, 4.0, 2.0]), &wanted);
        let mut halves = each([3.0, 1.0]);
        halves.add(&each([4.0, 2.0]));
        check(&halves, &wanted);
    }

    #[test]
    fn many_values_are_near_the_truth_and_bounded() {
        let mut all = each([1.0]);
        for value in 2..=10_000 {
            all.add(&Statistics::of(f64::from(value), 1.0));
        }
        assert!(all.kept() <= VALUES_MAX, "{}", all.kept());
        for (name, truth) in [("p1", 100.0), ("p50", 5_000.0), ("p99", 9_900.0)] {
            let value = all.get(Statistic::read(name).unwrap()).unwrap();
            assert!((value / truth - 1.0).abs() < 0.15, "{name} {value}");
        }
        check(
            &all,
            &[("Maximum", Some(10_000.0)), ("p100", Some(10_000.0))],
        );
        let extremes = (0..400).map(|n| 2f64.powi(n - 200));
        assert!(each(extremes).kept() <= VALUES_MAX);
    }

    #[test]
    fn percentiles_of_unknown_or_negative_values_can_not_be_told() {
        check(&Statistics::set(3.0, 6.0, 1.0, 3.0), &[("p50", None)]);
        check(&Statistics::set(3.0, 6.0, 2.0, 2.0), &[("p50", Some(2.0))]);
        check(&each([-1.0, 1.0]), &[("p50", None), ("Sum", Some(0.0))]);
        let mut mixed = each([1.0, 2.0]);
        mixed.add(&Statistics::set(3.0, 6.0, 1.0, 3.0));
        check(&mixed, &[("p50", None), ("SampleCount", Some(5.0))]);
    }

    #[test]
    fn names_of_statistics() {
        for name in [
            "p",
            "p101",
            "p-1",
            "px",
            "p5e1",
            "p1.00000000001",
            "tm90",
            "average",
            "",
        ] {
            assert_eq!(Statistic::read(name), None, "{name}");
        }
        assert_eq!(
            Statistic::read("p99.99"),
            Some(Statistic::Percentile(99.99))
        );
    }
}
