//! Tags of DB instances and subnet groups.

use serde_json::Value;
use wire::{Call, Fault, Record};

use super::names;
use super::subnet_groups::GROUPS;
use crate::aws::input::{text, texts};
use crate::aws::{Decision, View, tags};

pub(super) fn list(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let arn = resource(view, input)?;
    let tags = tags::shown(&tags::of(view, arn));
    Ok(Record::new().list("TagList", tags))
}

pub(super) fn add(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let arn = resource(view, input)?;
    let mut all = tags::of(view, arn);
    all.extend(tags::read(&input["Tags"]));
    let change = tags::put(view, arn, all);
    Ok((Record::new(), change.into_iter().collect()))
}

pub(super) fn remove(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let arn = resource(view, input)?;
    let mut all = tags::of(view, arn);
    for key in texts(input, "TagKeys") {
        all.remove(key);
    }
    let change = tags::put(view, arn, all);
    Ok((Record::new(), change.into_iter().collect()))
}

/// The ARN of something that is there.
fn resource<'i>(view: &View<'_>, input: &'i Value) -> Result<&'i str, Fault> {
    let arn = text(input, "ResourceName").unwrap_or_default();
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let [_, _, "rds", _, _, kind, id] = parts[..] else {
        let text = format!("Unexpected ARN: {arn}");
        return Err(Fault::sender("InvalidParameterValue", text));
    };
    match kind {
        "db" => names::find(view, id).map(|_| ())?,
        "subgrp" => GROUPS.find(view, id).map(|_| ())?,
        other => {
            let text = format!("Unexpected ARN: {arn}: there is no resource of type {other} here");
            return Err(Fault::sender("InvalidParameterValue", text));
        }
    }
    Ok(arn)
}
