//! `${...}` references: what they may name, and whether they do.

use std::collections::BTreeMap;

use super::Checker;
use crate::nearest::nearest;
use crate::reference::{Piece, Referable, Reference, Unclosed, Unknown, pieces};
use crate::spec::{At, Spec};

/// What references may name. Declared is enough: a thing with a mistake is told of where it is declared.
pub(super) fn referable(spec: &Spec) -> BTreeMap<&str, Referable> {
    let replicas = spec
        .db_instances
        .iter()
        .flat_map(|(_, db)| db.read_replicas.iter().map(|(name, _)| name));
    let dbs = spec
        .db_instances
        .iter()
        .map(|(name, _)| name)
        .chain(replicas);
    let caches = spec.replication_groups.iter().map(|(name, _)| name);
    let balancers = spec.load_balancers.iter().map(|(name, _)| name);
    dbs.map(|name| (name.value.as_str(), Referable::Db))
        .chain(caches.map(|name| (name.value.as_str(), Referable::Cache)))
        .chain(balancers.map(|name| (name.value.as_str(), Referable::LoadBalancer)))
        .collect()
}

/// Checks the references in every environment.
pub(super) fn environments(checker: &mut Checker<'_>) {
    let spec = checker.spec;
    for (_, group) in spec.instances.iter() {
        for (_, value) in group.environment.iter() {
            let written = At {
                span: value.span,
                value: value.value.0.clone(),
            };
            let _all: Option<Vec<Part>> = parts(checker, &written);
        }
    }
}

/// A piece of a text whose references are known.
pub(super) enum Part {
    Text(String),
    Reference(Reference),
}

/// The pieces of a text; none, with a note, if a reference is malformed or names nothing.
pub(super) fn parts(checker: &mut Checker<'_>, written: &At<String>) -> Option<Vec<Part>> {
    let pieces = match pieces(&written.value) {
        Ok(pieces) => pieces,
        Err(Unclosed) => {
            checker.error_with(
                written.span,
                "a reference has no closing brace",
                "write `${orders.url}`; a literal `${` is written `$${`",
            );
            return None;
        }
    };
    let mut parts = Vec::new();
    let mut sound = true;
    for piece in pieces {
        match piece {
            Piece::Text(text) => parts.push(Part::Text(text)),
            Piece::Reference(path) => {
                match Reference::parse(&path, |name| checker.referable.get(name).copied()) {
                    Ok(reference) => parts.push(Part::Reference(reference)),
                    Err(unknown) => {
                        sound = false;
                        unknown_reference(checker, written, &path, unknown);
                    }
                }
            }
        }
    }
    sound.then_some(parts)
}

fn unknown_reference(
    checker: &mut Checker<'_>,
    written: &At<String>,
    path: &str,
    unknown: Unknown,
) {
    let mut span = written.span;
    let needle = format!("${{{path}}}");
    // On one line, and unless escapes moved it, the caret stands under the reference itself.
    if let Some(at) = written.value.find(&needle)
        && span.length as usize >= written.value.chars().count()
    {
        let quote = u32::from(span.length as usize >= written.value.chars().count() + 2);
        let before = written.value[..at].chars().count();
        span.column += quote + u32::try_from(before).unwrap_or_default();
        span.length = u32::try_from(needle.chars().count()).unwrap_or(1);
    }
    let message = format!("unknown reference `{needle}`");
    match unknown {
        Unknown::Name(name) if checker.left_out.may_have(&name) => {}
        Unknown::Name(name) => {
            let known: Vec<&str> = checker.referable.keys().copied().collect();
            let hint = match nearest(&name, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => {
                    "this file has no database, cache or load balancer to refer to".to_owned()
                }
                None if known.len() > 20 => format!("nothing is called `{name}`"),
                None => format!(
                    "nothing is called `{name}`; there are {}, instance, stack",
                    known.join(", ")
                ),
            };
            checker.error_with(span, message, hint);
        }
        Unknown::Part(known) => {
            let known: Vec<String> = known.iter().map(|path| format!("${{{path}}}")).collect();
            checker.error_with(span, message, format!("there are {}", known.join(", ")));
        }
    }
}
