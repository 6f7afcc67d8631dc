//! AddTags and RemoveTags, and the tags that something is created with.

use serde_json::Value;
use wire::{Fault, Record};

use super::describe::exists;
use crate::aws::input::texts;
use crate::aws::tags::{self, Tags};
use crate::aws::{Change, Decision, View};

/// Tags of a resource at most ("Tag your Application Load Balancer").
const TAGS_MAX: usize = 50;

pub(super) fn add(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    change(view, input, |all| all.extend(tags::read(&input["Tags"])))
}

pub(super) fn remove(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let keys = texts(input, "TagKeys");
    change(view, input, |all| {
        all.retain(|key, _| !keys.contains(&key.as_str()))
    })
}

/// The tags of something that is created.
pub(super) fn first(view: &View<'_>, arn: &str, input: &Value) -> Result<Option<Change>, Fault> {
    put(view, arn, tags::read(&input["Tags"]))
}

fn change(view: &View<'_>, input: &Value, change: impl Fn(&mut Tags)) -> Result<Decision, Fault> {
    let mut changes = Vec::new();
    for arn in texts(input, "ResourceArns") {
        exists(view, arn)?;
        let mut all = tags::of(view, arn);
        change(&mut all);
        changes.extend(put(view, arn, all)?);
    }
    Ok((Record::new(), changes))
}

fn put(view: &View<'_>, arn: &str, all: Tags) -> Result<Option<Change>, Fault> {
    if all.len() > TAGS_MAX {
        let text = format!("The maximum number of tags is {TAGS_MAX}: '{arn}'");
        return Err(view.fault("TooManyTagsException", text));
    }
    Ok(tags::put(view, arn, all))
}
