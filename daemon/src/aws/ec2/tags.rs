//! Tags of what EC2 shows. An instance of the topology file is called what it is called there, until its tags are changed.

use serde_json::Value;
use topologies::event::EventKind;
use topologies::id::RegionId;
use wire::{Call, Fault, Record, page};

use super::filter::{self, Shown};
use super::{instances, network, network_acls, security_groups};
use crate::aws::input::{text, texts};
use crate::aws::tags::{self, Tags};
use crate::aws::{Change, Decision, View};

/// That tags of a resource were changed: what it is called in the file does not count any more.
const TAGGED: &str = "ec2:tagged";
/// "Maximum number of tags per resource" ("Tag your Amazon EC2 resources").
const TAGS_MAX: usize = 50;
/// Characters of a key at most.
const KEY_MAX: usize = 128;
/// Characters of a value at most.
const VALUE_MAX: usize = 256;

/// The tags of a resource, by key. `called` is what the topology file calls it.
pub(super) fn of(view: &View<'_>, kind: &str, id: &str, called: Option<&str>) -> Tags {
    let arn = arn(view, kind, id);
    let mut tags = tags::of(view, &arn);
    let region = RegionId::from(view.region);
    let changed = view.world.account.resource(TAGGED, &region, id).is_some();
    if let Some(name) = called.filter(|_| tags.is_empty() && !changed) {
        tags.insert("Name".to_owned(), name.to_owned());
    }
    tags
}

pub(super) fn arn(view: &View<'_>, kind: &str, id: &str) -> String {
    view.arn("ec2", &format!("{kind}/{id}"))
}

/// What can have tags: its kind, its id, what the file calls it.
type Taggable = (&'static str, String, Option<String>);

fn taggables(view: &View<'_>) -> Vec<Taggable> {
    let mut all = network::ids(view);
    all.extend(network_acls::names(view).map(|id| ("network-acl", id, None)));
    let groups = security_groups::taggables(view).into_iter();
    all.extend(groups.map(|(kind, id)| (kind, id, None)));
    all.extend(instances::names(view).map(|(id, called)| ("instance", id, called)));
    all
}

/// What has tags, by ARN.
pub(in crate::aws) fn tagged(view: &View<'_>) -> Vec<(String, Tags)> {
    let all = taggables(view).into_iter();
    let tagged = all.map(|(kind, id, called)| {
        let tags = of(view, kind, &id, called.as_deref());
        (arn(view, kind, &id), tags)
    });
    tagged.filter(|(_, tags)| !tags.is_empty()).collect()
}

fn named(view: &View<'_>, input: &Value) -> Result<Vec<Taggable>, Fault> {
    let all = taggables(view);
    let asked = texts(input, "Resources");
    let found = asked.iter().map(|id| {
        let found = all.iter().find(|it| it.1 == *id).cloned();
        found.ok_or_else(|| match id.split_once('-') {
            Some(("i", _)) => instances::not_found(&[id]),
            Some(("acl", _)) => network_acls::not_found(id),
            Some(("sg", _)) => security_groups::not_found(id),
            Some(("sgr", _)) => security_groups::no_rule(id),
            _ => Fault::sender("InvalidID", format!("The ID '{id}' is not valid")),
        })
    });
    found.collect()
}

pub(super) fn create(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let wanted: Vec<(&str, &str)> = list(input)
        .map(|(key, value)| (key, value.unwrap_or("")))
        .collect();
    for (key, value) in &wanted {
        check(key, value)?;
    }
    let mut changes = Vec::new();
    for (kind, id, called) in named(view, input)? {
        let mut tags = of(view, kind, &id, called.as_deref());
        tags.extend(
            wanted
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
        );
        if tags.len() > TAGS_MAX {
            let text = format!("The maximum number of Tags for a resource has been reached: {id}");
            return Err(Fault::sender("TagLimitExceeded", text));
        }
        changes.extend(change(view, kind, &id, tags));
    }
    Ok((Record::new(), changes))
}

/// "If you specify a tag key without a tag value, we delete any tag with this key regardless of its value"; without tags, all go.
pub(super) fn delete(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let unwanted: Vec<(&str, Option<&str>)> = list(input).collect();
    let mut changes = Vec::new();
    for (kind, id, called) in named(view, input)? {
        let mut tags = of(view, kind, &id, called.as_deref());
        tags.retain(|key, value| {
            let goes = |(it, only): &(&str, Option<&str>)| {
                it == key && only.is_none_or(|only| only == value)
            };
            !unwanted.is_empty() && !unwanted.iter().any(goes)
        });
        changes.extend(change(view, kind, &id, tags));
    }
    Ok((Record::new(), changes))
}

pub(super) fn describe(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let mut all = Vec::new();
    for (kind, id, called) in taggables(view) {
        for (key, value) in of(view, kind, &id, called.as_deref()) {
            let tag = Record::new()
                .set("Key", key.as_str())
                .set("Value", value.as_str());
            let record = tag
                .clone()
                .set("ResourceId", id.as_str())
                .set("ResourceType", kind)
                // For filters by `tag:KEY`; not shown.
                .list("Tags", [tag]);
            all.push(Shown {
                id: format!("{key}\n{id}"),
                group: String::new(),
                record,
            });
        }
    }
    all.sort_by(|one, other| one.id.cmp(&other.id));
    let kept = filter::keep(input, all)?;
    let page = page(call, input, &kept, |it| it.id.as_str())?;
    let tags = page.items.iter().map(|it| {
        let all = Value::from(it.record.clone());
        ["Key", "ResourceId", "ResourceType", "Value"]
            .iter()
            .fold(Record::new(), |tag, name| tag.set(name, all[*name].clone()))
    });
    let mut output = Record::new().list("Tags", tags);
    page.write(&mut output);
    Ok(output)
}

/// Tags with which something of a kind is to be made.
pub(super) fn specified(input: &Value, kind: &str) -> Result<Tags, Fault> {
    let specifications = input["TagSpecifications"].as_array().into_iter().flatten();
    let mut tags = Tags::new();
    for specification in specifications {
        let other = text(specification, "ResourceType").filter(|it| *it != kind);
        if let Some(other) = other {
            let text =
                format!("'{other}' is not a valid taggable resource type for this operation.");
            return Err(Fault::sender("InvalidParameterValue", text));
        }
        tags.extend(tags::read(&specification["Tags"]));
    }
    for (key, value) in &tags {
        check(key, value)?;
    }
    Ok(tags)
}

fn list(input: &Value) -> impl Iterator<Item = (&str, Option<&str>)> {
    let tags = input["Tags"].as_array().into_iter().flatten();
    tags.map(|tag| (tag["Key"].as_str().unwrap_or(""), tag["Value"].as_str()))
}

fn check(key: &str, value: &str) -> Result<(), Fault> {
    let text = if key.is_empty() || key.chars().count() > KEY_MAX {
        format!("Tag key must have 1 to {KEY_MAX} characters: '{key}'")
    } else if value.chars().count() > VALUE_MAX {
        format!("Tag value exceeds the maximum length of {VALUE_MAX} characters: '{value}'")
    } else if key.starts_with("aws:") {
        "Tag keys starting with 'aws:' are reserved for internal use".to_owned()
    } else {
        return Ok(());
    };
    Err(Fault::sender("InvalidParameterValue", text))
}

fn change(view: &View<'_>, kind: &str, id: &str, tags: Tags) -> [Change; 2] {
    let recorded = EventKind::ResourceRecorded {
        resource: TAGGED.to_owned(),
        region: RegionId::from(view.region),
        id: id.to_owned(),
        attributes: Value::Bool(true),
    };
    let arn = arn(view, kind, id);
    [
        Change::Note(recorded),
        Change::Note(EventKind::TagsChanged { arn, tags }),
    ]
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn keys_and_values_have_limits() {
        assert!(check("team", "").is_ok());
        assert!(check(&"k".repeat(128), &"v".repeat(256)).is_ok());
        for (key, value) in [("", "v"), ("aws:own", "v")] {
            assert!(check(key, value).is_err(), "{key}");
        }
        assert!(check(&"k".repeat(129), "").is_err());
        assert!(check("k", &"v".repeat(257)).is_err());
    }
}
