//! Resource Groups Tagging API: the tags of every service's resources in one place.
//!
//! What is listed has tags. What is changed is changed by the service that a resource belongs to, whose own checks decide.

mod change;
mod list;

use serde_json::Value;
use wire::{Call, Fault, page_of};

use super::tags::Tags;
use super::{Handler, Operations, View, ec2, tags, view};

pub(super) const OPERATIONS: Operations = &[
    ("GetResources", Handler::Read(list::resources)),
    ("GetTagKeys", Handler::Read(list::keys)),
    ("GetTagValues", Handler::Read(list::values)),
    ("TagResources", Handler::Change(change::tag)),
    ("UntagResources", Handler::Change(change::untag)),
];

/// Where resources are found that belong to no region, such as hosted zones ("Services that support the Resource Groups Tagging API").
const GLOBAL: &str = "us-east-1";

/// What is tagged in the region that was called, by ARN: ARNs are in order.
fn tagged(view: &View<'_>) -> Vec<(String, Tags)> {
    let account = &view.world.account;
    let others = account
        .tagged()
        .filter(|arn| service(arn) != "ec2" && is_here(view, arn));
    let others = others.map(|arn| (arn.to_owned(), tags::of(view, arn)));
    // Instances of a topology file are called what they are called there, also when nobody has tagged them.
    let mut all: Vec<(String, Tags)> = others.chain(ec2::tags::tagged(view)).collect();
    all.sort();
    all
}

fn service(arn: &str) -> &str {
    arn.split(':').nth(2).unwrap_or_default()
}

/// Whether an ARN is one of this account, in the region that was called.
fn is_here(view: &View<'_>, arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, _, region, account, _] = parts[..] else {
        return false;
    };
    let here = match region {
        "" => view.region == GLOBAL,
        region => region == view.region,
    };
    // Hosted zones have no account in their ARNs.
    here && partition == view::partition(view.region) && ["", view.account].contains(&account)
}

/// A page of texts in order, and the marker of the next: an empty one after the last, as this service has it.
fn texts(
    view: &View<'_>,
    call: &Call<'_>,
    input: &Value,
    all: &[String],
) -> Result<(Vec<String>, String), Fault> {
    let page = page_of(call, input, all, TEXTS, String::as_str)
        .map_err(|fault| bad(view, fault.message))?;
    let next = page.next().unwrap_or_default().to_owned();
    Ok((page.items.to_vec(), next))
}

/// Keys or values of a page.
const TEXTS: usize = 100;

/// The one code that this service has for what is wrong with an input.
fn bad(view: &View<'_>, text: impl Into<String>) -> Fault {
    view.fault("InvalidParameterException", text)
}
