//! TagResources and UntagResources: each resource's own service is asked, by the call that it has for it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use wire::{Fault, Record};

use super::{bad, is_here, service, tagged};
use crate::aws::input::texts;
use crate::aws::tags::Tags;
use crate::aws::{Change, Decision, Handler, View, services};

/// "A resource can have up to 50 tags" ("Tag naming limits and requirements").
const TAGS_MAX: usize = 50;

/// What is to become of the tags of a resource.
enum Wish<'i> {
    Put(&'i Tags),
    Drop(&'i [&'i str]),
}

pub(super) fn tag(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let tags = input["Tags"].as_object().into_iter().flatten();
    let tags = tags.map(|(key, value)| {
        let value = value.as_str().unwrap_or_default();
        (key.clone(), value.to_owned())
    });
    let tags: Tags = tags.collect();
    reserved(view, tags.keys().map(String::as_str))?;
    each(view, input, &Wish::Put(&tags))
}

pub(super) fn untag(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let keys = texts(input, "TagKeys");
    reserved(view, keys.iter().copied())?;
    each(view, input, &Wish::Drop(&keys))
}

fn reserved<'i>(view: &View<'_>, mut keys: impl Iterator<Item = &'i str>) -> Result<(), Fault> {
    let own = keys.find(|key| key.to_ascii_lowercase().starts_with("aws:"));
    own.map_or(Ok(()), |key| {
        let text = format!("Tag keys starting with 'aws:' are reserved: {key}");
        Err(bad(view, text))
    })
}

/// Every resource by itself: what can not be done to one is told, and done to the others.
fn each(view: &View<'_>, input: &Value, wish: &Wish<'_>) -> Result<Decision, Fault> {
    let arns: BTreeSet<&str> = texts(input, "ResourceARNList").into_iter().collect();
    let before = tagged(view);
    let (mut changes, mut failed) = (Vec::new(), Map::new());
    for arn in arns {
        let own = before.iter().find(|(it, _)| it == arn);
        let own = own.map_or_else(Tags::new, |(_, tags)| tags.clone());
        match one(view, arn, &own, wish) {
            Ok(own) => changes.extend(own),
            Err(fault) => {
                let failure = Record::new()
                    .set("StatusCode", 400)
                    .set("ErrorCode", "InvalidParameterException")
                    .set("ErrorMessage", fault.message);
                failed.insert(arn.to_owned(), failure.into());
            }
        }
    }
    let output = Record::new().set("FailedResourcesMap", Value::Object(failed));
    Ok((output, changes))
}

fn one(view: &View<'_>, arn: &str, own: &Tags, wish: &Wish<'_>) -> Result<Vec<Change>, Fault> {
    if !is_here(view, arn) {
        let text = format!("{arn} is not an ARN of a resource in {}", view.region);
        return Err(bad(view, text));
    }
    let (tags, keys) = match wish {
        Wish::Put(tags) => {
            let new = tags.keys().filter(|key| !own.contains_key(*key)).count();
            if own.len() + new > TAGS_MAX {
                return Err(bad(
                    view,
                    format!("A resource can have up to {TAGS_MAX} tags"),
                ));
            }
            let tags = tags.iter();
            let tags: Vec<Value> = tags
                .map(|(key, value)| json!({ "Key": key, "Value": value }))
                .collect();
            (tags, Vec::new())
        }
        // Some services mind keys that are not there. This one does not.
        Wish::Drop(keys) => {
            let there = keys.iter().filter(|key| own.contains_key(**key));
            (Vec::new(), there.copied().collect())
        }
    };
    let (name, operation, input) = call(arn, &tags, &keys).ok_or_else(|| {
        bad(
            view,
            format!("{arn} is not an ARN of a resource that can be tagged"),
        )
    })?;
    let Some(Handler::Change(change)) = services::handler(name, operation) else {
        return Err(bad(view, format!("{arn} can not be tagged")));
    };
    change(view, &input).map(|(_, changes)| changes)
}

/// The call that a service has for it: the service, the operation, the input.
fn call(arn: &str, tags: &[Value], keys: &[&str]) -> Option<(&'static str, &'static str, Value)> {
    let resource = arn.splitn(6, ':').nth(5)?;
    let puts = !tags.is_empty();
    let either = |put, drop| if puts { put } else { drop };
    let (add, remove) = ("AddTagsToResource", "RemoveTagsFromResource");
    Some(match service(arn) {
        "rds" => {
            let input = json!({ "ResourceName": arn, "Tags": tags, "TagKeys": keys });
            ("rds", either(add, remove), input)
        }
        "elasticache" => {
            let input = json!({ "ResourceName": arn, "Tags": tags, "TagKeys": keys });
            ("elasticache", either(add, remove), input)
        }
        "cloudwatch" => {
            let input = json!({ "ResourceARN": arn, "Tags": tags, "TagKeys": keys });
            ("cloudwatch", either("TagResource", "UntagResource"), input)
        }
        "elasticloadbalancing" => {
            let input = json!({ "ResourceArns": [arn], "Tags": tags, "TagKeys": keys });
            ("elbv2", either("AddTags", "RemoveTags"), input)
        }
        "ec2" => {
            let (_, id) = resource.split_once('/')?;
            let unwanted: Vec<Value> = keys.iter().map(|key| json!({ "Key": key })).collect();
            let tags = if puts { tags } else { &unwanted };
            // Without tags, all of them would go.
            let resources = if tags.is_empty() { vec![] } else { vec![id] };
            let input = json!({ "Resources": resources, "Tags": tags });
            ("ec2", either("CreateTags", "DeleteTags"), input)
        }
        "route53" => {
            let (kind, id) = resource.split_once('/')?;
            if !["hostedzone", "healthcheck"].contains(&kind) {
                return None;
            }
            let input = json!({
                "ResourceType": kind, "ResourceId": id, "AddTags": tags, "RemoveTagKeys": keys,
            });
            ("route53", "ChangeTagsForResource", input)
        }
        _ => return None,
    })
}
