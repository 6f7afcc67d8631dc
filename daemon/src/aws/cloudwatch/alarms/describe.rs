//! DescribeAlarms and DescribeAlarmsForMetric.

use serde_json::Value;
use wire::{Call, Fault, Record, page};

use super::{Entry, arn, entries};
use crate::aws::View;
use crate::aws::cloudwatch::span::{self, invalid};
use crate::aws::cloudwatch::store::Metric;
use crate::aws::input::{only, text, texts};

pub(in crate::aws::cloudwatch) fn describe(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let built = [
        "ActionPrefix",
        "AlarmNamePrefix",
        "AlarmNames",
        "AlarmTypes",
        "MaxRecords",
        "NextToken",
        "StateValue",
    ];
    // The others are of composite alarms.
    only("DescribeAlarms", input, &built)?;
    let (names, prefix) = (texts(input, "AlarmNames"), text(input, "AlarmNamePrefix"));
    if !names.is_empty() && prefix.is_some() {
        let text = "The parameters AlarmNames and AlarmNamePrefix are mutually exclusive.";
        return Err(invalid(text));
    }
    let types = texts(input, "AlarmTypes");
    let state = text(input, "StateValue");
    let action = text(input, "ActionPrefix");
    let mut found = entries(view);
    found.retain(|it| {
        (types.is_empty() || types.contains(&"MetricAlarm"))
            && (names.is_empty() || names.contains(&it.name))
            && prefix.is_none_or(|prefix| it.name.starts_with(prefix))
            && state.is_none_or(|state| it.alarm.finding.state.as_str() == state)
            && action.is_none_or(|prefix| acts(it.attributes, prefix))
    });
    let page = page(call, input, &found, |it| it.name)?;
    let mut output = Record::new()
        .list("MetricAlarms", page.items.iter().map(|it| shown(view, it)))
        .list("CompositeAlarms", Vec::<Record>::new());
    page.write(&mut output);
    Ok(output)
}

/// Whether an alarm has an action whose name begins so.
fn acts(attributes: &Value, prefix: &str) -> bool {
    ["OKActions", "AlarmActions", "InsufficientDataActions"]
        .into_iter()
        .flat_map(|name| texts(attributes, name))
        .any(|action| action.starts_with(prefix))
}

/// Those that watch a metric, alone or in metric math.
pub(in crate::aws::cloudwatch) fn for_metric(
    view: &View<'_>,
    _: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let asked = span::metric(view.region, input);
    let is = |name: &str, own: &Value| input.get(name).is_none_or(|asked| asked == own);
    let found = entries(view).into_iter().filter(|it| {
        let own = it.attributes;
        watched(view, own).contains(&asked)
            && ["Statistic", "ExtendedStatistic", "Period", "Unit"]
                .iter()
                .all(|name| is(name, &own[*name]))
    });
    let found = found.map(|it| shown(view, &it));
    Ok(Record::new().list("MetricAlarms", found))
}

/// The metrics that an alarm is made of.
fn watched(view: &View<'_>, attributes: &Value) -> Vec<Metric> {
    let metrics = attributes["Metrics"].as_array().into_iter().flatten();
    let stats = metrics.map(|query| &query["MetricStat"]["Metric"]);
    let named = stats.filter(|metric| metric.is_object());
    let own = text(attributes, "MetricName").map(|_| attributes);
    let all = own.into_iter().chain(named);
    all.map(|it| span::metric(view.region, it)).collect()
}

fn shown(view: &View<'_>, entry: &Entry<'_>) -> Record {
    let Entry {
        name,
        attributes,
        alarm,
    } = entry;
    let finding = &alarm.finding;
    let mut shown = Record::from_value(attributes)
        .set("AlarmName", *name)
        .set("AlarmArn", arn(view, name))
        .time(
            "AlarmConfigurationUpdatedTimestamp",
            view.wall(alarm.configured),
        )
        .set("StateValue", finding.state.as_str())
        .set("StateReason", finding.reason.as_str())
        .maybe("StateReasonData", finding.data.as_deref())
        .time("StateUpdatedTimestamp", view.wall(alarm.updated))
        .time("StateTransitionedTimestamp", view.wall(alarm.transitioned));
    if attributes["Dimensions"].is_null() {
        shown.put("Dimensions", Vec::<Value>::new());
    }
    shown
}
