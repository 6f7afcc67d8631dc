//! TagResource, UntagResource and ListTagsForResource. Of what CloudWatch tags, alarms are built.

use serde_json::Value;
use wire::{Call, Fault, Record};

use super::state_of;
use crate::aws::input::{text, texts};
use crate::aws::tags::{self, Tags};
use crate::aws::{Decision, View};

/// "You can associate as many as 50 tags with a CloudWatch resource" (TagResource).
const TAGS_MAX: usize = 50;

pub(in crate::aws::cloudwatch) fn list_tags(
    view: &View<'_>,
    _: &Call<'_>,
    input: &Value,
) -> Result<Record, Fault> {
    let tags = tags::of(view, known(view, input)?);
    Ok(Record::new().list("Tags", tags::shown(&tags)))
}

pub(in crate::aws::cloudwatch) fn tag(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let arn = known(view, input)?;
    let mut all = tags::of(view, arn);
    all.extend(read(view, &input["Tags"])?);
    few(view, &all)?;
    Ok((
        Record::new(),
        tags::put(view, arn, all).into_iter().collect(),
    ))
}

pub(in crate::aws::cloudwatch) fn untag(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let arn = known(view, input)?;
    let mut all = tags::of(view, arn);
    for key in texts(input, "TagKeys") {
        all.remove(key);
    }
    Ok((
        Record::new(),
        tags::put(view, arn, all).into_iter().collect(),
    ))
}

/// Those that somebody asks for.
pub(super) fn read(view: &View<'_>, asked: &Value) -> Result<Tags, Fault> {
    let asked = tags::read(asked);
    if let Some(key) = asked.keys().find(|key| key.starts_with("aws:")) {
        let text = format!("The tag key {key} is reserved: it begins with aws:.");
        return Err(view.fault("InvalidParameterValueException", text));
    }
    few(view, &asked)?;
    Ok(asked)
}

fn few(view: &View<'_>, tags: &Tags) -> Result<(), Fault> {
    if tags.len() <= TAGS_MAX {
        return Ok(());
    }
    let text = format!("A resource can have {TAGS_MAX} tags.");
    Err(view.fault("InvalidParameterValueException", text))
}

/// The ARN of an alarm that is there.
fn known<'i>(view: &View<'_>, input: &'i Value) -> Result<&'i str, Fault> {
    let arn = text(input, "ResourceARN").unwrap_or_default();
    if state_of(view, arn).is_some() {
        return Ok(arn);
    }
    let text = format!("The resource {arn} was not found.");
    let fault = view.fault("ResourceNotFoundException", text);
    Err(fault
        .member("ResourceId", arn)
        .member("ResourceType", "Alarm"))
}
