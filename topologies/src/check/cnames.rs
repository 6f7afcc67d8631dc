//! CNAMEs of all hosted zones together: each must lead somewhere else, not round in a circle.

use std::collections::BTreeSet;

use super::Checker;
use crate::notes::Span;
use crate::spec::{At, RecordSpec};
use crate::topology::{Record, RecordValue};

/// A CNAME record: one name that leads to another.
pub(super) struct Link {
    /// The hosted zone that it stands in.
    apex: String,
    from: String,
    to: String,
    /// Where its value is written.
    span: Span,
}

/// The CNAMEs of one hosted zone.
pub(super) fn links(apex: &str, records: &[(&At<RecordSpec>, Record)]) -> Vec<Link> {
    let link = |(written, record): &(&At<RecordSpec>, Record)| match &record.value {
        RecordValue::Cname(to) => Some(Link {
            apex: apex.to_owned(),
            from: record.name.clone(),
            to: to.clone(),
            span: written.values.as_ref().map_or(written.span, |at| at.span),
        }),
        RecordValue::A(_)
        | RecordValue::Txt(_)
        | RecordValue::Data(..)
        | RecordValue::AliasLoadBalancer { .. }
        | RecordValue::AliasRecord { .. } => None,
    };
    records.iter().filter_map(link).collect()
}

/// Notes every CNAME on a circle. A record that a longer hosted zone's name hides is never answered, so it leads nowhere.
pub(super) fn check(checker: &mut Checker<'_>, apexes: &[&str], links: &[Link]) {
    let answered = |link: &&Link| {
        let inside = |apex: &&&str| {
            let below = link.from.strip_suffix(**apex);
            below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
        };
        let longest = apexes.iter().filter(inside).max_by_key(|apex| apex.len());
        longest.is_some_and(|apex| **apex == link.apex)
    };
    let links: Vec<&Link> = links.iter().filter(answered).collect();
    for link in &links {
        if comes_back(&links, link) {
            checker.error_with(
                link.span,
                format!("CNAME `{}` leads back to itself by `{}`", link.from, link.to),
                "somewhere along the way there must be a record with values or a name outside of this file's zones",
            );
        }
    }
}

/// Whether the way that begins with a link comes back to where it begins.
fn comes_back(links: &[&Link], start: &Link) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![start.to.as_str()];
    while let Some(name) = open.pop() {
        if name == start.from {
            return true;
        }
        if seen.insert(name) {
            let next = links.iter().filter(|link| link.from == name);
            open.extend(next.map(|link| link.to.as_str()));
        }
    }
    false
}
