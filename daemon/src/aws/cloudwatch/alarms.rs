//! Metric alarms: a metric, or metric math, held against a threshold (aws-behaviour §7.3). Composite alarms are not built.
//!
//! ```text
//!  PutMetricAlarm ─► record ─► `rule` ─┐
//!  Metrics ────────────────────────────┴─► `watch`, when it is time: `evaluation`, `reason` ─► another state ─► timeline
//!                                                                            SetAlarmState ─┘   └─► experiments are halted
//! ```
//! - `change`: made, set and deleted; `describe`, `history`: shown; `tagging`
//!
//! What an alarm watches is kept as it came; its state is the timeline's. Actions are kept and given back, and none is carried out.

mod change;
mod describe;
mod evaluation;
mod history;
mod reason;
mod rule;
mod tagging;
mod watch;

use serde_json::Value;
use topologies::alarm::{ALARM, Alarm, AlarmState, Finding};
use topologies::event::EventKind;
use topologies::id::{AlarmId, RegionId};
use topologies::world::World;

use crate::aws::view::partition;
use crate::aws::{Change, View, fis};
pub(super) use change::{delete, disable, enable, put, set_state};
pub(super) use describe::{describe, for_metric};
pub(super) use history::history;
pub(super) use tagging::{list_tags, tag, untag};
pub(in crate::aws) use watch::{Found, Watch};

/// An alarm: its record's attributes, and what is known of it besides.
struct Entry<'a> {
    name: &'a str,
    attributes: &'a Value,
    alarm: &'a Alarm,
}

/// The alarms of the region that was called, by name.
fn entries<'a>(view: &View<'a>) -> Vec<Entry<'a>> {
    let account = &view.world.account;
    let region = RegionId::from(view.region);
    let records = account.resources(ALARM, &region);
    let entries = records.filter_map(|(name, record)| {
        Some(Entry {
            name,
            attributes: &record.attributes,
            alarm: account.alarms.get(view.region, name)?,
        })
    });
    entries.collect()
}

fn find<'a>(view: &View<'a>, name: &str) -> Option<&'a Value> {
    let region = RegionId::from(view.region);
    let record = view.world.account.resource(ALARM, &region, name)?;
    Some(&record.attributes)
}

fn arn(view: &View<'_>, name: &str) -> String {
    view.arn("cloudwatch", &format!("alarm:{name}"))
}

/// The alarm of an ARN, as far as the region that was called has it; its state.
pub(in crate::aws) fn state_of(view: &View<'_>, arn: &str) -> Option<AlarmState> {
    let name = arn.splitn(7, ':').nth(6)?;
    let alarm = view.world.account.alarms.get(view.region, name)?;
    (self::arn(view, name) == arn).then_some(alarm.finding.state)
}

/// What follows from states of alarms being found: they are recorded, and who has one that went off as a stop condition is stopped.
pub(in crate::aws) fn found(
    world: &World,
    all: impl IntoIterator<Item = (RegionId, AlarmId, Finding)>,
) -> Vec<Change> {
    let account = &world.plan.topology.account_id;
    let (mut events, mut gone_off) = (Vec::new(), Vec::new());
    for (region, alarm, finding) in all {
        if finding.state == AlarmState::Alarm {
            let partition = partition(region.as_str());
            gone_off.push(format!(
                "arn:{partition}:cloudwatch:{region}:{account}:alarm:{alarm}"
            ));
        }
        events.push(EventKind::AlarmStateChanged {
            alarm,
            region,
            finding,
        });
    }
    events.extend(fis::halted(world, &gone_off));
    events.into_iter().map(Change::Note).collect()
}
