//! DescribeAlarmHistory: what became of alarms, also of those that are gone. Actions are not in it, for none is carried out.

use serde_json::{Value, json};
use topologies::alarm::{AlarmChange, Finding, HistoryItem};
use wire::{Call, Fault, Record, page};

use crate::aws::View;
use crate::aws::input::{not_implemented, text, texts};

/// "HistorySummary" and "StateReasonData" have lengths; what is longer is cut.
const SUMMARY_MAX: usize = 255;
const DATA_MAX: usize = 4_095;

pub(in crate::aws::cloudwatch) fn history(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    if text(input, "AlarmContributorId").is_some() {
        return Err(not_implemented(
            "DescribeAlarmHistory with AlarmContributorId",
        ));
    }
    let ascending = text(input, "ScanBy") == Some("TimestampAscending");
    let types = texts(input, "AlarmTypes");
    let history = view.world.account.alarms.history();
    let kept = history.filter(|it| {
        it.region.as_str() == view.region
            && (types.is_empty() || types.contains(&"MetricAlarm"))
            && text(input, "AlarmName").is_none_or(|name| it.alarm.as_str() == name)
            && text(input, "HistoryItemType").is_none_or(|kind| self::kind(it) == kind)
            && within(view, input, it)
    });
    let mut items: Vec<(String, &HistoryItem)> = kept
        .map(|it| {
            let place = if ascending { it.seq } else { u64::MAX - it.seq };
            (format!("{place:020}"), it)
        })
        .collect();
    items.sort_by(|one, other| one.0.cmp(&other.0));
    let page = page(call, input, &items, |(key, _)| key.as_str())?;
    let shown = page.items.iter().map(|(_, it)| shown(view, it));
    let mut output = Record::new().list("AlarmHistoryItems", shown);
    page.write(&mut output);
    Ok(output)
}

fn within(view: &View<'_>, input: &Value, item: &HistoryItem) -> bool {
    let at = view.wall(item.at) as f64 / 1_000.0;
    let bound = |name: &str| input[name].as_f64();
    bound("StartDate").is_none_or(|start| at >= start)
        && bound("EndDate").is_none_or(|end| at <= end)
}

fn kind(item: &HistoryItem) -> &'static str {
    match item.what {
        AlarmChange::Created | AlarmChange::Updated | AlarmChange::Deleted => "ConfigurationUpdate",
        AlarmChange::State { .. } => "StateUpdate",
    }
}

fn shown(view: &View<'_>, item: &HistoryItem) -> Record {
    let (name, version) = (&item.alarm, "1.0");
    let configured = |word: &str, kind: &str| {
        let data = json!({ "version": version, "type": kind });
        (format!("Alarm \"{name}\" {word}"), data.to_string())
    };
    let (summary, data) = match &item.what {
        AlarmChange::Created => configured("created", "Create"),
        AlarmChange::Updated => configured("updated", "Update"),
        AlarmChange::Deleted => configured("deleted", "Delete"),
        AlarmChange::State { from, to } => {
            let data =
                json!({ "version": version, "oldState": state(from), "newState": state(to) });
            let mut data = data.to_string();
            if data.len() > DATA_MAX {
                let brief = |it: &Finding| json!({ "stateValue": it.state.as_str() });
                data =
                    json!({ "version": version, "oldState": brief(from), "newState": brief(to) })
                        .to_string();
            }
            let summary = format!("Alarm updated from {} to {}", from.state, to.state);
            (summary, data)
        }
    };
    let summary: String = summary.chars().take(SUMMARY_MAX).collect();
    Record::new()
        .set("AlarmName", name.as_str())
        .set("AlarmType", "MetricAlarm")
        .time("Timestamp", view.wall(item.at))
        .set("HistoryItemType", kind(item))
        .set("HistorySummary", summary)
        .set("HistoryData", data)
}

fn state(finding: &Finding) -> Value {
    let mut state = json!({
        "stateValue": finding.state.as_str(),
        "stateReason": finding.reason,
    });
    if let Some(data) = &finding.data {
        state["stateReasonData"] = serde_json::from_str(data).unwrap_or_default();
    }
    state
}
