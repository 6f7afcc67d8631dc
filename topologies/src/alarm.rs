//! Alarms of CloudWatch as the timeline tells them: in which state each is, since when and why, and what became of them
//! (aws-behaviour §7.3).
//!
//! What an alarm watches is the record that the AWS API keeps of it. Here is what follows from that and from the events of its state;
//! nothing is evaluated. An alarm that is put again keeps its state.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{Event, EventKind};
use crate::id::{AlarmId, RegionId};
use crate::time::Time;

/// Under which type alarms are recorded.
pub const ALARM: &str = "cloudwatch:alarm";
/// Items of history that are kept, of all alarms; CloudWatch keeps those of 30 days (DescribeAlarmHistory).
const HISTORY_MAX: usize = 1_000;
/// Why an alarm is in its first state, in CloudWatch's words.
const UNCHECKED: &str = "Unchecked: Initial alarm creation";

/// An alarm's state, in AWS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmState {
    /// The metric is within the threshold.
    Ok,
    /// It is outside.
    Alarm,
    /// It can not be told.
    InsufficientData,
}

impl AlarmState {
    /// AWS's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }

    /// The state of AWS's word.
    pub fn read(word: &str) -> Option<Self> {
        let all = [Self::Ok, Self::Alarm, Self::InsufficientData];
        all.into_iter().find(|it| it.as_str() == word)
    }
}

impl fmt::Display for AlarmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An alarm is in a state, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// The state.
    pub state: AlarmState,
    /// Why, for people.
    pub reason: String,
    /// Why, for programs: a text in JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Whether somebody said so (SetAlarmState), and no evaluation found it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
}

/// What is known of an alarm besides its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Alarm {
    /// Since when its record is what it is.
    pub configured: Time,
    /// Its state.
    pub finding: Finding,
    /// When that was found.
    pub updated: Time,
    /// When the state was last another.
    pub transitioned: Time,
    /// The state that was last found by an evaluation, if there was one.
    #[serde(default)]
    pub measured: Option<AlarmState>,
    /// The same, of evaluations that had enough data.
    #[serde(default)]
    pub conclusive: Option<AlarmState>,
}

/// Something that became of an alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HistoryItem {
    /// Its place in the timeline.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// The alarm's region.
    pub region: RegionId,
    /// The alarm; it may be gone.
    pub alarm: AlarmId,
    /// What.
    pub what: AlarmChange,
}

/// What can become of an alarm. What it was configured to is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmChange {
    /// It was made.
    Created,
    /// It watches something else from then on, or otherwise.
    Updated,
    /// It went.
    Deleted,
    /// It got into another state.
    State {
        /// What was found before.
        from: Finding,
        /// What was found.
        to: Finding,
    },
}

/// The alarms of an account, by region and name: a fold of events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarms {
    regions: BTreeMap<RegionId, BTreeMap<AlarmId, Arc<Alarm>>>,
    /// Oldest first.
    history: Arc<VecDeque<Arc<HistoryItem>>>,
}

impl Alarms {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (&RegionId, &AlarmId, &Alarm)> {
        let regions = self.regions.iter();
        regions.flat_map(|(region, alarms)| alarms.iter().map(move |(id, it)| (region, id, &**it)))
    }

    /// One of them.
    pub fn get(&self, region: &str, id: &str) -> Option<&Alarm> {
        self.regions.get(region)?.get(id).map(|it| &**it)
    }

    /// What became of them, oldest first; the last 1,000 items.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &HistoryItem> {
        self.history.iter().map(|it| &**it)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "few events are for alarms")]
    pub(crate) fn apply(&mut self, event: &Event) {
        let (region, alarm, what) = match &event.event {
            EventKind::ResourceRecorded {
                resource,
                region,
                id,
                ..
            } if resource == ALARM => {
                let alarm = AlarmId::from(id.as_str());
                let what = self.configure(region, &alarm, event.at);
                (region, alarm, what)
            }
            EventKind::ResourceForgotten {
                resource,
                region,
                id,
                ..
            } if resource == ALARM => {
                let alarm = AlarmId::from(id.as_str());
                let alarms = self.regions.get_mut(region);
                if alarms.and_then(|it| it.remove(&alarm)).is_none() {
                    return;
                }
                (region, alarm, AlarmChange::Deleted)
            }
            EventKind::AlarmStateChanged {
                alarm,
                region,
                finding,
            } => match self.find(region, alarm, finding, event.at) {
                Some(what) => (region, alarm.clone(), what),
                None => return,
            },
            _ => return,
        };
        let history = Arc::make_mut(&mut self.history);
        if history.len() >= HISTORY_MAX {
            history.pop_front();
        }
        history.push_back(Arc::new(HistoryItem {
            seq: event.seq,
            at: event.at,
            region: region.clone(),
            alarm,
            what,
        }));
    }

    fn configure(&mut self, region: &RegionId, alarm: &AlarmId, at: Time) -> AlarmChange {
        let alarms = self.regions.entry(region.clone()).or_default();
        if let Some(there) = alarms.get_mut(alarm) {
            Arc::make_mut(there).configured = at;
            return AlarmChange::Updated;
        }
        let unchecked = Finding {
            state: AlarmState::InsufficientData,
            reason: UNCHECKED.to_owned(),
            data: None,
            by_hand: false,
        };
        let new = Alarm {
            configured: at,
            finding: unchecked,
            updated: at,
            transitioned: at,
            measured: None,
            conclusive: None,
        };
        alarms.insert(alarm.clone(), Arc::new(new));
        AlarmChange::Created
    }

    /// What that is in history; none if there is no such alarm, or an evaluation only found what somebody had said.
    fn find(
        &mut self,
        region: &RegionId,
        alarm: &AlarmId,
        finding: &Finding,
        at: Time,
    ) -> Option<AlarmChange> {
        let alarm = Arc::make_mut(self.regions.get_mut(region)?.get_mut(alarm)?);
        if !finding.by_hand {
            alarm.measured = Some(finding.state);
            let enough = finding.state != AlarmState::InsufficientData;
            alarm.conclusive = alarm.measured.filter(|_| enough).or(alarm.conclusive);
            if alarm.finding.by_hand && alarm.finding.state == finding.state {
                alarm.finding.by_hand = false;
                return None;
            }
        }
        let from = std::mem::replace(&mut alarm.finding, finding.clone());
        alarm.updated = at;
        if from.state != finding.state {
            alarm.transitioned = at;
        }
        let to = finding.clone();
        Some(AlarmChange::State { from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(id: &str) -> EventKind {
        EventKind::ResourceRecorded {
            resource: ALARM.to_owned(),
            region: "eu-west-1".into(),
            id: id.to_owned(),
            attributes: serde_json::json!({}),
        }
    }

    fn found(id: &str, state: AlarmState) -> EventKind {
        EventKind::AlarmStateChanged {
            alarm: id.into(),
            region: "eu-west-1".into(),
            finding: Finding {
                state,
                reason: "so".to_owned(),
                data: None,
                by_hand: false,
            },
        }
    }

    fn forgotten(id: &str) -> EventKind {
        EventKind::ResourceForgotten {
            resource: ALARM.to_owned(),
            region: "eu-west-1".into(),
            id: id.to_owned(),
            arn: String::new(),
        }
    }

    /// Each a second after the one before.
    fn after(events: impl IntoIterator<Item = EventKind>) -> Alarms {
        let mut alarms = Alarms::default();
        for (event, seq) in events.into_iter().zip(1..) {
            let at = Time::from_millis(seq * 1_000);
            alarms.apply(&Event { seq, at, event });
        }
        alarms
    }

    #[test]
    fn s7_3_an_alarm_begins_without_data_and_keeps_its_state_when_it_is_put_again() {
        let first = after([recorded("sick")]);
        let alarm = first.get("eu-west-1", "sick").unwrap();
        assert_eq!(alarm.finding.state, AlarmState::InsufficientData);
        assert_eq!(alarm.finding.reason, "Unchecked: Initial alarm creation");
        assert!(first.get("us-east-1", "sick").is_none());
        let again = after([
            recorded("sick"),
            found("sick", AlarmState::Alarm),
            recorded("sick"),
        ]);
        let alarm = again.get("eu-west-1", "sick").unwrap();
        assert_eq!(alarm.finding.state, AlarmState::Alarm);
        let times = [alarm.configured, alarm.updated, alarm.transitioned];
        assert_eq!(times, [3_000, 2_000, 2_000].map(Time::from_millis));
    }

    #[test]
    fn the_same_state_found_anew_is_no_transition() {
        let alarms = after([
            recorded("sick"),
            found("sick", AlarmState::Ok),
            found("sick", AlarmState::Ok),
        ]);
        let alarm = alarms.get("eu-west-1", "sick").unwrap();
        let times = [alarm.updated, alarm.transitioned];
        assert_eq!(times, [3_000, 2_000].map(Time::from_millis));
    }

    #[test]
    fn history_outlives_an_alarm_and_is_bounded() {
        let alarms = after([
            recorded("sick"),
            found("sick", AlarmState::Ok),
            found("nobody", AlarmState::Ok),
            forgotten("nobody"),
            forgotten("sick"),
        ]);
        assert_eq!(alarms.all().count(), 0);
        let kinds: Vec<bool> = alarms
            .history()
            .map(|it| matches!(it.what, AlarmChange::State { .. }))
            .collect();
        assert_eq!(kinds, [false, true, false]);
        let states = (0..2 * HISTORY_MAX).map(|_| found("sick", AlarmState::Ok));
        let many = after(std::iter::once(recorded("sick")).chain(states));
        assert_eq!(many.history().count(), HISTORY_MAX);
    }

    #[test]
    fn states_are_read_as_they_are_written() {
        for state in [
            AlarmState::Ok,
            AlarmState::Alarm,
            AlarmState::InsufficientData,
        ] {
            assert_eq!(AlarmState::read(state.as_str()), Some(state));
        }
        assert_eq!(AlarmState::read("ok"), None);
    }
}
