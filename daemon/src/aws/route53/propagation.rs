//! Changes on their way: `PENDING` until every name server has them, then `INSYNC`.
//!
//! The stack's resolvers have a change at once. AWS promises 60 seconds (aws-behaviour §6.1); so long, at the pace of the timing's
//! profile, a change is said to be pending, for whoever does not wait for it on AWS is wrong. When it was made is in a change's id.

use std::time::Duration;

use serde_json::Value;
use topologies::defaults::paced;
use wire::{Call, Fault, Record};

use crate::aws::{View, ids};

/// How long a change takes at AWS's pace at most.
const PROPAGATION: Duration = Duration::from_secs(60);
/// Digits of the moment in an id, in milliseconds of the wall clock.
const MOMENT: usize = 11;
/// Digits that tell an id from one that nobody gave.
const CHECK: usize = 9;

/// What is said of a change that is made at this moment.
pub(super) fn begun(view: &View<'_>, comment: Option<&str>) -> Record {
    info(view, view.now).maybe("Comment", comment)
}

pub(super) fn get_change(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let written = input["Id"].as_str().unwrap_or_default();
    let id = written.trim_start_matches("/change/");
    let made = moment(id).filter(|made| *made <= view.now && name(*made) == id);
    let made = made.ok_or_else(|| {
        let text = format!("Could not find resource with ID: {id}");
        view.fault("NoSuchChange", text)
    })?;
    Ok(Record::new().set("ChangeInfo", info(view, made)))
}

fn info(view: &View<'_>, made: i64) -> Record {
    let takes = paced(PROPAGATION, view.topology().timing.health_check_scale);
    let takes = i64::try_from(takes.as_millis()).unwrap_or(i64::MAX);
    let there = view.now.saturating_sub(made) >= takes;
    Record::new()
        .set("Id", id(made))
        .set("Status", if there { "INSYNC" } else { "PENDING" })
        .time("SubmittedAt", made)
}

/// The id of a change that is made at this moment, as CIDR collections have it.
pub(super) fn id(made: i64) -> String {
    format!("/change/{}", name(made))
}

fn name(made: i64) -> String {
    let moment = format!("{made:011X}");
    let check = ids::digits("change", &moment, CHECK).to_ascii_uppercase();
    format!("C{moment}{check}")
}

fn moment(id: &str) -> Option<i64> {
    let digits = id.strip_prefix('C')?.get(..MOMENT)?;
    i64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_when_the_change_was_made() {
        let id = name(1_790_000_000_123);
        assert_eq!(id.len(), 1 + MOMENT + CHECK);
        assert_eq!(moment(&id), Some(1_790_000_000_123));
        for other in ["", "C", "C123", "D01234567890", "C0123456789é"] {
            let known = moment(other).is_some_and(|made| name(made) == other);
            assert!(!known, "{other}");
        }
    }
}
