//! DescribeEvents: what ElastiCache published, of replication groups and cache clusters.

use serde_json::Value;
use topologies::account::Publisher;
use topologies::id::ReplicationGroupId;
use wire::{Call, Fault, Record};

use crate::aws::View;
use crate::aws::input::text;
use crate::aws::published::{Span, paged};

pub(super) fn describe(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let span = Span::of(view, input)?;
    let wanted = text(input, "SourceIdentifier").map(str::to_ascii_lowercase);
    let wanted_kind = text(input, "SourceType");
    if wanted.is_some() && wanted_kind.is_none() {
        let text = "If SourceIdentifier is supplied, SourceType must also be provided.";
        return Err(Fault::sender("InvalidParameterCombination", text));
    }
    let mut shown = Vec::new();
    for (source, event) in view.world.account.published(Publisher::Elasticache) {
        let at = view.wall(event.at);
        let kind = kind(view, source);
        let fits = wanted_kind.is_none_or(|wanted| wanted == kind)
            && wanted.as_deref().is_none_or(|wanted| wanted == source)
            && span.contains(at);
        if fits && is_here(view, source) {
            let record = Record::new()
                .set("SourceIdentifier", source)
                .set("SourceType", kind)
                .set("Message", event.message.as_str())
                .time("Date", at);
            shown.push((event.seq, record));
        }
    }
    paged(call, input, shown)
}

/// A node's identifier is its group's with three digits; so one of a group that is gone can be told, too.
fn group_of(source: &str) -> Option<&str> {
    let (group, number) = source.rsplit_once('-')?;
    let is_node = number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    is_node.then_some(group)
}

fn kind(view: &View<'_>, source: &str) -> &'static str {
    let groups = &view.world.caches;
    let is_group = groups.contains_key(&ReplicationGroupId::from(source));
    if !is_group && group_of(source).is_some() {
        "cache-cluster"
    } else {
        "replication-group"
    }
}

/// Whether it is of the region that was called; of what was deleted nobody knows better.
fn is_here(view: &View<'_>, source: &str) -> bool {
    let mut groups = view.topology().replication_groups.iter();
    let owner = group_of(source).unwrap_or(source);
    let group = groups.find(|group| group.id.as_str() == source || group.id.as_str() == owner);
    group.is_none_or(|group| group.region.as_str() == view.region)
}
