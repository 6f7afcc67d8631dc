//! DescribeEvents of RDS and ElastiCache: which time is asked for, and pages of what was published in it.

use serde_json::Value;
use wire::{Call, Fault, Record, page};

use super::View;

const MINUTE: i64 = 60_000;
/// "The number of minutes to retrieve events for. Default: 60" (DescribeEvents of both).
const DURATION: i64 = 60;
/// "You can retrieve events for the past 14 days" (DescribeEvents of both).
const KEPT: i64 = 14 * 24 * 60;

/// A span of the wall clock, in milliseconds.
pub(super) struct Span {
    from: i64,
    to: i64,
}

impl Span {
    /// What an input asks for: `StartTime`, `EndTime` and `Duration`.
    pub(super) fn of(view: &View<'_>, input: &Value) -> Result<Self, Fault> {
        let moment = |name: &str| {
            input[name]
                .as_f64()
                .map(|seconds| (seconds * 1_000.0) as i64)
        };
        let duration = input["Duration"].as_i64();
        if duration.is_some_and(|minutes| !(1..=KEPT).contains(&minutes)) {
            let text = format!("Duration must be between 1 and {KEPT} minutes.");
            return Err(Fault::sender("InvalidParameterValue", text));
        }
        let length = duration.unwrap_or(DURATION) * MINUTE;
        let (from, to) = match (moment("StartTime"), moment("EndTime")) {
            (Some(from), Some(to)) if to < from => {
                let text = "EndTime must not be before StartTime.";
                return Err(Fault::sender("InvalidParameterCombination", text));
            }
            (Some(from), Some(to)) => (from, to),
            (Some(from), None) if duration.is_some() => (from, from.saturating_add(length)),
            (Some(from), None) => (from, view.now),
            (None, Some(to)) => (to.saturating_sub(length), to),
            (None, None) => (view.now.saturating_sub(length), view.now),
        };
        Ok(Self { from, to })
    }

    /// Whether a moment is in it.
    pub(super) fn contains(&self, moment: i64) -> bool {
        (self.from..=self.to).contains(&moment)
    }
}

/// Events by their places in the timeline, oldest first.
pub(super) fn paged(
    call: &Call<'_>,
    input: &Value,
    mut events: Vec<(u64, Record)>,
) -> Result<Record, Fault> {
    events.sort_by_key(|(seq, _)| *seq);
    let keyed = events.into_iter();
    let keyed: Vec<(String, Record)> = keyed
        .map(|(seq, record)| (format!("{seq:020}"), record))
        .collect();
    let page = page(call, input, &keyed, |(key, _)| key.as_str())?;
    let shown = page.items.iter().map(|(_, record)| record.clone());
    let mut output = Record::new().list("Events", shown);
    page.write(&mut output);
    Ok(output)
}
