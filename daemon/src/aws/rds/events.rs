//! DescribeEvents: what RDS published, of DB instances.

use serde_json::Value;
use topologies::account::Publisher;
use wire::{Call, Fault, Record};

use super::names;
use crate::aws::View;
use crate::aws::input::{text, texts};
use crate::aws::published::{Span, paged};

/// The categories of events, by their numbers (aws-behaviour §1.2).
const CATEGORIES: &[(&str, &[u16])] = &[
    ("availability", &[4, 6, 221, 222]),
    ("configuration change", &[12, 14, 24, 25, 29, 30]),
    ("creation", &[5]),
    ("deletion", &[3]),
    ("failover", &[13, 15, 34, 49, 50, 51, 65]),
    ("failure", &[31]),
    ("notification", &[87, 88, 154]),
    ("read replica", &[45, 46, 57, 62, 202]),
    ("recovery", &[20, 21, 52, 53, 361, 362]),
];

pub(super) fn describe(view: &View<'_>, call: &Call<'_>, input: &Value) -> Result<Record, Fault> {
    let span = Span::of(view, input)?;
    let source = text(input, "SourceIdentifier").map(names::identifier);
    let kind = text(input, "SourceType");
    if source.is_some() && kind.is_none() {
        let text = "If SourceIdentifier is supplied, SourceType must also be provided.";
        return Err(Fault::sender("InvalidParameterCombination", text));
    }
    let categories = texts(input, "EventCategories");
    let here: Vec<&str> = names::all(view).iter().map(|it| it.id().as_str()).collect();
    let published = view.world.account.published(Publisher::Rds);
    let mut shown = Vec::new();
    for (of, event) in published {
        let at = view.wall(event.at);
        let category = event.id.and_then(category);
        let wanted = kind.is_none_or(|kind| kind == "db-instance")
            && source.as_deref().is_none_or(|source| source == of)
            // What was deleted is told of in the region that is left.
            && (here.contains(&of) || !view.plan.topology.db_instances.iter().any(|db| db.id.as_str() == of))
            && (categories.is_empty() || category.is_some_and(|it| categories.contains(&it)))
            && span.contains(at);
        if wanted {
            let record = Record::new()
                .set("SourceIdentifier", of)
                .set("SourceType", "db-instance")
                .set("Message", event.message.as_str())
                .list("EventCategories", category)
                .time("Date", at)
                .set("SourceArn", names::arn(view, of));
            shown.push((event.seq, record));
        }
    }
    paged(call, input, shown)
}

fn category(id: u16) -> Option<&'static str> {
    let mut all = CATEGORIES.iter();
    let (name, _) = all.find(|(_, ids)| ids.contains(&id))?;
    Some(name)
}
