//! Tags of replication groups, nodes and subnet groups. Each answer has all that are there then.

use serde_json::Value;
use wire::{Call, Fault, Record};

use super::names;
use super::subnet_groups::GROUPS;
use crate::aws::input::{text, texts};
use crate::aws::tags::{self, Tags};
use crate::aws::{Decision, View};

pub(super) fn list(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let arn = resource(view, input)?;
    Ok(shown(&tags::of(view, arn)))
}

pub(super) fn add(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let arn = resource(view, input)?;
    let mut all = tags::of(view, arn);
    all.extend(tags::read(&input["Tags"]));
    Ok(put(view, arn, all))
}

pub(super) fn remove(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let arn = resource(view, input)?;
    let mut all = tags::of(view, arn);
    for key in texts(input, "TagKeys") {
        if all.remove(key).is_none() {
            let text = format!("Tag {key} not found on {arn}.");
            return Err(view.fault("TagNotFoundFault", text));
        }
    }
    Ok(put(view, arn, all))
}

fn put(view: &View<'_>, arn: &str, all: Tags) -> Decision {
    let output = shown(&all);
    (output, tags::put(view, arn, all).into_iter().collect())
}

fn shown(all: &Tags) -> Record {
    Record::new().list("TagList", tags::shown(all))
}

/// The ARN of something that is there.
fn resource<'i>(view: &View<'_>, input: &'i Value) -> Result<&'i str, Fault> {
    let arn = text(input, "ResourceName").unwrap_or_default();
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let [_, _, "elasticache", _, _, kind, id] = parts[..] else {
        let text = format!("Invalid ARN: {arn}");
        return Err(view.fault("InvalidARNFault", text));
    };
    match kind {
        "replicationgroup" => names::find(view, id).map(|_| ())?,
        "subnetgroup" => GROUPS.find(view, id).map(|_| ())?,
        "cluster" => {
            names::find_node(view, id)?;
        }
        _ => {
            let text = format!("Invalid ARN: {arn}");
            return Err(view.fault("InvalidARNFault", text));
        }
    }
    Ok(arn)
}
