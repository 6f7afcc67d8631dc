//! Tags: kept by ARN, whatever the service.

use std::collections::BTreeMap;

use serde_json::Value;
use topologies::event::EventKind;
use wire::Record;

use super::{Change, View};

/// Tags as a resource has them, or is to have them.
pub(super) type Tags = BTreeMap<String, String>;

/// A list of keys and values.
pub(super) fn read(list: &Value) -> Tags {
    let list = list.as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list.map(|tag| (text(&tag["Key"]), text(&tag["Value"])))
        .collect()
}

/// Those of a resource.
pub(super) fn of(view: &View<'_>, arn: &str) -> Tags {
    let tags = view.world.account.tags(arn);
    tags.map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// As every service shows them.
pub(super) fn shown(tags: &Tags) -> Vec<Record> {
    let pair = |(key, value): (&String, &String)| {
        Record::new()
            .set("Key", key.as_str())
            .set("Value", value.as_str())
    };
    tags.iter().map(pair).collect()
}

/// A resource has these tags from now on; nothing if it has them already.
pub(super) fn put(view: &View<'_>, arn: &str, tags: Tags) -> Option<Change> {
    (of(view, arn) != tags).then(|| {
        Change::Note(EventKind::TagsChanged {
            arn: arn.to_owned(),
            tags,
        })
    })
}
