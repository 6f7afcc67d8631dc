//! Tags of templates and experiments: a map, unlike those of other services.

use serde_json::{Map, Value};
use wire::{Call, Fault, Record};

use super::{experiments, invalid, not_found, templates, words};
use crate::aws::input::{text, texts};
use crate::aws::tags::{self, Tags};
use crate::aws::{Change, Decision, View};

/// Tags of a resource at most (TagResource).
const TAGS_MAX: usize = 50;

pub(super) fn list(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let arn = known(view, input)?;
    Ok(Record::new().set("tags", of(view, arn)))
}

pub(super) fn tag(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let arn = known(view, input)?;
    let mut tags = tags::of(view, arn);
    tags.extend(read(view, &input["tags"])?);
    if tags.len() > TAGS_MAX {
        let text = format!("A resource can have {TAGS_MAX} tags.");
        return Err(invalid(view, text));
    }
    Ok((Record::new(), put(view, arn, tags).into_iter().collect()))
}

/// Without keys, all go (UntagResource).
pub(super) fn untag(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let arn = known(view, input)?;
    let keys = texts(input, "tagKeys");
    let mut tags = tags::of(view, arn);
    tags.retain(|key, _| !keys.is_empty() && !keys.contains(&key.as_str()));
    Ok((Record::new(), put(view, arn, tags).into_iter().collect()))
}

/// The ARN of what is there to have tags.
fn known<'i>(view: &View<'_>, input: &'i Value) -> Result<&'i str, Fault> {
    let arn = text(input, "resourceArn").unwrap_or_default();
    let mut templates = templates::all(view).map(|(id, _)| templates::arn(view, id));
    let mut experiments = experiments::all(view).map(|(id, _)| experiments::arn(view, id.as_str()));
    if templates.any(|it| it == arn) || experiments.any(|it| it == arn) {
        return Ok(arn);
    }
    Err(not_found(view, format!("Resource {arn} not found.")))
}

/// Those that somebody asks for.
pub(super) fn read(view: &View<'_>, asked: &Value) -> Result<Tags, Fault> {
    let asked: Tags = words(asked)
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    match asked.keys().find(|key| key.starts_with("aws:")) {
        None => Ok(asked),
        Some(key) => Err(invalid(
            view,
            format!("The tag key {key} is reserved: it begins with aws:."),
        )),
    }
}

/// Those of a resource, as the service shows them.
pub(super) fn of(view: &View<'_>, arn: &str) -> Map<String, Value> {
    shown(&tags::of(view, arn))
}

pub(super) fn shown(tags: &Tags) -> Map<String, Value> {
    let pairs = tags.iter();
    pairs
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect()
}

pub(super) fn put(view: &View<'_>, arn: &str, tags: Tags) -> Option<Change> {
    tags::put(view, arn, tags)
}
