//! Tags of hosted zones and health checks.

use serde_json::Value;
use wire::{Call, Fault, Record};

use super::{find_zone, health_checks};
use crate::aws::input::{text, texts};
use crate::aws::tags::{self, Tags};
use crate::aws::view::partition;
use crate::aws::{Decision, View};

/// `arn:aws:route53:::hostedzone/Z0123456789ABCDEF`.
pub(super) fn arn(view: &View<'_>, kind: &str, id: &str) -> String {
    format!("arn:{}:route53:::{kind}/{id}", partition(view.region))
}

pub(super) fn list(view: &View<'_>, _: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let (kind, id) = named(view, input)?;
    let tags = tags::shown(&tags::of(view, &arn(view, &kind, &id)));
    let set = Record::new()
        .set("ResourceType", kind)
        .set("ResourceId", id)
        .list("Tags", tags);
    Ok(Record::new().set("ResourceTagSet", set))
}

pub(super) fn change(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (kind, id) = named(view, input)?;
    let arn = arn(view, &kind, &id);
    let mut all: Tags = tags::of(view, &arn);
    all.extend(tags::read(&input["AddTags"]));
    for key in texts(input, "RemoveTagKeys") {
        all.remove(key);
    }
    let changes = tags::put(view, &arn, all).into_iter().collect();
    Ok((Record::new(), changes))
}

/// What has the tags, if it is there.
fn named(view: &View<'_>, input: &Value) -> Result<(String, String), Fault> {
    let kind = text(input, "ResourceType").unwrap_or_default();
    let id = text(input, "ResourceId").unwrap_or_default();
    match kind {
        "healthcheck" => health_checks::find(view, id).map(|_| ())?,
        _ => find_zone(view, id).map(|_| ())?,
    }
    Ok((kind.to_owned(), id.to_owned()))
}
