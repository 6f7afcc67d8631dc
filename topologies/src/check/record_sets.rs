//! What the records of a hosted zone are together: sets of one name and type, failover pairs, aliases that lead somewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::Checker;
use crate::nearest::nearest;
use crate::spec::{At, RecordSpec};
use crate::topology::{FailoverRole, Record, RecordValue};

type Written<'s> = (&'s At<RecordSpec>, Record);

/// Checks the records of one hosted zone.
pub(super) fn check(checker: &mut Checker<'_>, apex: &str, records: &[Written<'_>]) {
    let mut sets: BTreeMap<(&str, &str), Vec<&Written<'_>>> = BTreeMap::new();
    for written in records {
        let key = (written.1.name.as_str(), written.1.value.kind());
        sets.entry(key).or_default().push(written);
    }
    for ((name, kind), set) in &sets {
        if *kind == "CNAME" {
            cname(checker, apex, name, &sets, set);
        }
        if set.iter().any(|(_, record)| record.failover.is_some()) {
            failover_pair(checker, name, kind, set);
        } else {
            simple(checker, name, kind, set);
        }
    }
    aliases(checker, records);
}

fn cname(
    checker: &mut Checker<'_>,
    apex: &str,
    name: &str,
    sets: &BTreeMap<(&str, &str), Vec<&Written<'_>>>,
    set: &[&Written<'_>],
) {
    for (written, _) in set {
        if name == apex {
            checker.error_with(
                written.name.span,
                format!("`{apex}` itself can not be a CNAME"),
                "an alias can stand at a hosted zone's own name: `alias: site`",
            );
        }
        if sets
            .keys()
            .any(|(other, kind)| *other == name && *kind != "CNAME")
        {
            checker.error(
                written.name.span,
                format!("`{name}` can not be a CNAME and have other records"),
            );
        }
    }
}

fn simple(checker: &mut Checker<'_>, name: &str, kind: &str, set: &[&Written<'_>]) {
    for (written, _) in set.iter().skip(1) {
        let first = set[0].0.name.span.line;
        checker.error_with(
            written.name.span,
            format!("there are two {kind} records for `{name}`"),
            format!("the first one is on line {first}; put all values into one, or make them a failover pair"),
        );
    }
    for (written, _) in set.iter().take(1) {
        if let Some(id) = &written.set_identifier {
            checker.error_with(
                id.span,
                format!("`{name}` is a simple record and has no set identifier"),
                "`failover: PRIMARY` and `failover: SECONDARY` make a pair",
            );
        }
    }
}

fn failover_pair(checker: &mut Checker<'_>, name: &str, kind: &str, set: &[&Written<'_>]) {
    let mut identifiers = BTreeSet::new();
    let mut roles = BTreeSet::new();
    for (written, record) in set {
        let Some(role) = record.failover else {
            checker.error_with(
                written.name.span,
                format!("this {kind} record for `{name}` stands beside a failover pair"),
                "give it `failover`, or take it out",
            );
            continue;
        };
        let (word, span) = (
            role_word(role),
            written.failover.as_ref().map_or(written.span, |at| at.span),
        );
        if !roles.insert(word) {
            checker.error(span, format!("`{name}` has two {word} records"));
        } else if !identifiers.insert(&record.set_identifier) {
            let span = written.set_identifier.as_ref().map_or(span, |at| at.span);
            checker.error(
                span,
                format!("the records for `{name}` have the same set identifier"),
            );
        }
        let watched = record.health_check.is_some() || evaluates(&record.value);
        if role == FailoverRole::Primary && !watched {
            checker.error_with(
                span,
                format!("the PRIMARY record for `{name}` can never be unhealthy"),
                "give it a `health-check`, or as an alias `evaluate-target-health: true`",
            );
        }
    }
    for role in [FailoverRole::Primary, FailoverRole::Secondary].map(role_word) {
        if !roles.contains(role) {
            checker.error_with(
                set[0].0.name.span,
                format!("the failover pair for `{name}` has no {role} record"),
                format!("add another {kind} record with this name and `failover: {role}`"),
            );
        }
    }
}

fn role_word(role: FailoverRole) -> &'static str {
    match role {
        FailoverRole::Primary => "PRIMARY",
        FailoverRole::Secondary => "SECONDARY",
    }
}

fn evaluates(value: &RecordValue) -> bool {
    match value {
        RecordValue::AliasLoadBalancer {
            evaluate_target_health,
            ..
        }
        | RecordValue::AliasRecord {
            evaluate_target_health,
            ..
        } => *evaluate_target_health,
        RecordValue::A(_) | RecordValue::Cname(_) | RecordValue::Txt(_) => false,
    }
}

/// The record names that each name's aliases lead to.
type Targets<'r> = BTreeMap<&'r str, Vec<&'r str>>;

fn targets<'r>(records: &'r [Written<'_>]) -> Targets<'r> {
    let mut targets = Targets::new();
    for (_, record) in records {
        if let RecordValue::AliasRecord { name, .. } = &record.value {
            targets.entry(record.name.as_str()).or_default().push(name);
        }
    }
    targets
}

fn aliases(checker: &mut Checker<'_>, records: &[Written<'_>]) {
    let targets = targets(records);
    let addresses: BTreeSet<&str> = records
        .iter()
        .filter(|(_, record)| record.value.kind() == "A")
        .map(|(_, record)| record.name.as_str())
        .collect();
    for (written, record) in records {
        let RecordValue::AliasRecord { name: target, .. } = &record.value else {
            continue;
        };
        let Some(alias) = &written.alias else {
            continue;
        };
        let exists = addresses.contains(target.as_str());
        if !exists && checker.left_out.may_have(&alias.value) {
            continue;
        }
        if !exists {
            let spec = checker.spec;
            let balancers = spec
                .load_balancers
                .iter()
                .map(|(name, _)| name.value.as_str());
            let known: Vec<&str> = balancers
                .chain(records.iter().map(|(_, other)| other.name.as_str()))
                .collect();
            let hint = match nearest(&alias.value, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    "an alias is a load balancer's name or an A record's of the same hosted zone"
                        .to_owned()
                }
            };
            checker.error_with(
                alias.span,
                format!("alias `{}` leads to nothing", alias.value),
                hint,
            );
        } else if cycle(&targets, &record.name) {
            checker.error_with(
                alias.span,
                format!("alias `{}` leads back to `{}`", alias.value, record.name),
                "somewhere along the way there must be a load balancer or a record with values",
            );
        }
    }
}

/// Whether aliases that begin at `start` come back to it.
fn cycle(targets: &Targets<'_>, start: &str) -> bool {
    let next = |name: &str| targets.get(name).into_iter().flatten().copied();
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = next(start).collect();
    while let Some(name) = open.pop() {
        if name == start {
            return true;
        }
        if seen.insert(name) {
            open.extend(next(name));
        }
    }
    false
}
