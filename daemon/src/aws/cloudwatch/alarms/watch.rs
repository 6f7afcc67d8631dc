//! When alarms are evaluated, and what is found then.
//!
//! "Evaluated every minute", hourly where a day or more is looked at (aws-behaviour §7.3). Alarms with periods of seconds, which
//! CloudWatch evaluates every ten, are evaluated every second here, for who rehearses. It is half past a second: what happened in the
//! one before is told by then.

use std::collections::BTreeMap;

use topologies::alarm::{ALARM, AlarmState, Finding};
use topologies::id::{AlarmId, RegionId};
use topologies::time::Time;
use topologies::world::World;

use super::evaluation::{Datapoint, LOOK_BACK, evaluate};
use super::reason::finding;
use super::rule::{DAY, Rule, SAMPLES};
use crate::aws::Facts;
use crate::aws::cloudwatch::queries::{Evaluation, Lookup, queries};
use crate::aws::cloudwatch::span::Span;
use crate::aws::input::text;

/// In milliseconds: how long after the beginning of a second, a minute or an hour alarms are evaluated.
const LATER: i64 = 500;
const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

type Key = (RegionId, AlarmId);

/// Which alarms there are, and when each is evaluated next.
#[derive(Debug)]
pub(in crate::aws) struct Watch {
    /// When this daemon began to look: what it was not told before then is not known to be missing.
    began: Time,
    alarms: BTreeMap<Key, Due>,
}

#[derive(Debug)]
struct Due {
    /// Of which record of the alarm that is.
    configured: Time,
    /// In milliseconds of the wall clock.
    at: i64,
    /// How often, in milliseconds.
    pace: i64,
}

/// An alarm is to be in another state.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::aws) struct Found {
    pub(in crate::aws) region: RegionId,
    pub(in crate::aws) alarm: AlarmId,
    /// Of which record of the alarm that is.
    configured: Time,
    /// In which state it was.
    from: AlarmState,
    pub(in crate::aws) finding: Finding,
}

impl Watch {
    pub(in crate::aws) fn new(began: Time) -> Self {
        Self {
            began,
            alarms: BTreeMap::new(),
        }
    }

    /// When something is to be evaluated, in milliseconds of the wall clock; none while there is no alarm. What is new, or configured
    /// otherwise, is evaluated at once.
    pub(in crate::aws) fn due(&mut self, world: &World, now: i64) -> Option<i64> {
        let alarms = &world.account.alarms;
        self.alarms
            .retain(|(region, id), _| alarms.get(region.as_str(), id.as_str()).is_some());
        for (region, id, alarm) in alarms.all() {
            let configured = alarm.configured;
            let key = (region.clone(), id.clone());
            let known = self.alarms.get(&key);
            if known.is_none_or(|due| due.configured != configured) {
                let (at, pace) = (after(now, SECOND), SECOND);
                let due = Due {
                    configured,
                    at,
                    pace,
                };
                self.alarms.insert(key, due);
            }
        }
        // A wall clock that is set back holds nothing up.
        let due = self.alarms.values_mut();
        due.map(|due| {
            due.at = due.at.min(after(now, due.pace));
            due.at
        })
        .min()
    }

    /// Evaluates the alarms whose moment has come: what of them is another state than they are in.
    pub(in crate::aws) fn evaluate(
        &mut self,
        world: &World,
        facts: &Facts,
        now: i64,
    ) -> Vec<Found> {
        let began = self.began;
        let due = self.alarms.iter_mut().filter(|(_, due)| due.at <= now);
        let found = due.filter_map(|((region, id), due)| {
            let record = world.account.resource(ALARM, region, id.as_str());
            let rule = record.and_then(|it| Rule::read(&it.attributes).ok());
            due.pace = rule.as_ref().map_or(MINUTE, Rule::pace);
            due.at = after(now, due.pace);
            let (record, rule) = (record?, rule?);
            let alarm = world.account.alarms.get(region.as_str(), id.as_str())?;
            let unseen = (alarm.configured < began).then(|| facts.wall(began));
            let unit = text(&record.attributes, "Unit");
            let lookup = Lookup {
                metrics: &facts.metrics,
                region: region.as_str(),
                now: now.div_euclid(SECOND),
            };
            let finding = rule.look(lookup, unit, (now, unseen))?;
            // What somebody set is found once more, so that it is known to be so.
            let new = finding.state != alarm.finding.state || alarm.finding.by_hand;
            new.then(|| Found {
                region: region.clone(),
                alarm: id.clone(),
                configured: alarm.configured,
                from: alarm.finding.state,
                finding,
            })
        });
        found.collect()
    }
}

/// The next moment for what is done so often.
fn after(now: i64, pace: i64) -> i64 {
    ((now - LATER).div_euclid(pace) + 1) * pace + LATER
}

impl Found {
    /// Whether it is still so of the alarm: somebody may have changed it, or set its state, meanwhile.
    pub(in crate::aws) fn holds(&self, world: &World) -> bool {
        let alarm = world
            .account
            .alarms
            .get(self.region.as_str(), self.alarm.as_str());
        alarm.is_some_and(|it| it.configured == self.configured && it.finding.state == self.from)
    }
}

impl Rule {
    /// How often it is evaluated, in milliseconds.
    fn pace(&self) -> i64 {
        let window = self
            .period
            .saturating_mul(i64::try_from(self.periods).unwrap_or(i64::MAX));
        match self.period * SECOND {
            short if short < MINUTE => SECOND,
            _ if window > DAY => HOUR,
            _ => MINUTE,
        }
    }

    /// What is found at a moment in milliseconds of the wall clock; none if the alarm stays as it is. Before `unseen` nobody looked:
    /// an alarm that would miss values of that time stays as it is, too.
    fn look(
        &self,
        lookup: Lookup<'_>,
        unit: Option<&str>,
        (now, unseen): (i64, Option<i64>),
    ) -> Option<Finding> {
        // Periods of minutes end with any minute; those of seconds divide it.
        let grain = self.period.min(60);
        let end = lookup.now - lookup.now.rem_euclid(grain);
        let periods = i64::try_from(self.periods + LOOK_BACK).unwrap_or(i64::MAX);
        let from = end.saturating_sub(periods.saturating_mul(self.period));
        let points = self.points(lookup, Span { from, to: end })?;
        let evaluated = evaluate(self, &points);
        let begins = from + self.period * i64::try_from(LOOK_BACK).unwrap_or(0);
        let blind = unseen.is_some_and(|unseen| begins.saturating_mul(SECOND) < unseen);
        if blind && evaluated.missing > 0 {
            return None;
        }
        Some(finding(self, unit, (evaluated.state?, &evaluated), now))
    }

    /// What was told of each period; none if it can not be told.
    fn points(&self, lookup: Lookup<'_>, span: Span) -> Option<Vec<Option<Datapoint>>> {
        let queries = queries(&self.queries, "Metrics").ok()?;
        let mut evaluation = Evaluation::new(lookup, &queries, span).ok()?;
        let values = evaluation.values(&self.watched).ok()?.clone();
        let samples = match self.statistic {
            Some(_) => Some(evaluation.values(SAMPLES).ok()?),
            None => None,
        };
        let count = (span.to - span.from) / self.period;
        let points = (0..count).map(|number| {
            let at = span.from + number * self.period;
            let value = *values.get(&at)?;
            let samples = samples.and_then(|it| it.get(&at).copied());
            Some(Datapoint { at, value, samples })
        });
        Some(points.collect())
    }
}

#[cfg(test)]
mod tests;
