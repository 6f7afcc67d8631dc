//! What the records of a hosted zone are together: sets of one name and type, failover pairs, aliases that lead somewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::Checker;
use crate::nearest::nearest;
use crate::records::{Clash, SET_MAX, circles, clashes};
use crate::spec::{At, RecordSpec};
use crate::topology::{FailoverRole, Record, RecordType, RecordValue, Routing};

type Written<'s> = (&'s At<RecordSpec>, Record);

type Sets<'w, 's> = BTreeMap<(&'w str, &'static str), Vec<&'w Written<'s>>>;

/// Checks the records of one hosted zone.
pub(super) fn check(checker: &mut Checker<'_>, apex: &str, records: &[Written<'_>]) {
    let mut sets = Sets::new();
    for written in records {
        let key = (written.1.name.as_str(), written.1.value.kind().as_str());
        sets.entry(key).or_default().push(written);
    }
    for ((name, kind), set) in &sets {
        if *kind == "CNAME" {
            cname(checker, apex, name, &sets, set);
        }
        if *kind == "NS" && *name == apex {
            let span = set[0].0.name.span;
            checker.error_with(
                span,
                format!("`{apex}` itself has its name servers already"),
                "leave this record out: every hosted zone has its own",
            );
        }
        let failover = |routing: &Routing| matches!(routing, Routing::Failover(_));
        if set.iter().any(|(_, record)| failover(&record.routing)) {
            failover_pair(checker, name, kind, set);
        } else {
            one_policy(checker, name, kind, set);
        }
    }
    aliases(checker, records);
}

fn cname(
    checker: &mut Checker<'_>,
    apex: &str,
    name: &str,
    sets: &Sets<'_, '_>,
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

/// Notes what keeps records of one name and type from being a set of one policy.
fn one_policy(checker: &mut Checker<'_>, name: &str, kind: &str, set: &[&Written<'_>]) {
    let records: Vec<&Record> = set.iter().map(|(_, record)| record).collect();
    let first = set[0].0.name.span.line;
    for (at, clash) in clashes(&records) {
        let (written, record) = set[at];
        let policy = record.routing.policy();
        let id = written.set_identifier.as_ref();
        let span = written.name.span;
        match clash {
            Clash::Alone => checker.error_with(
                span,
                format!("there are two {kind} records for `{name}`"),
                format!("the first one is on line {first}; put all values into one, or give each a routing policy"),
            ),
            Clash::Policy => checker.error_with(
                span,
                format!("this {policy} {kind} record for `{name}` stands beside one of another routing policy"),
                format!("all {kind} records for one name have the policy of the first, on line {first}"),
            ),
            Clash::NoIdentifier => checker.error_with(
                span,
                format!("this {policy} record for `{name}` has no `set-identifier`"),
                "it tells the records of a set apart: `set-identifier: blue`",
            ),
            Clash::Identifier => checker.error(
                id.map_or(span, |id| id.span),
                format!("the records for `{name}` have the same set identifier"),
            ),
            Clash::Same => checker.error(
                span,
                format!("there are two {policy} records for `{name}` that are for the same"),
            ),
            Clash::Ttl => checker.error_with(
                written.ttl.as_ref().map_or(span, |ttl| ttl.span),
                format!("the weighted records for `{name}` have several TTLs"),
                "weighted records of one name and type have the same TTL",
            ),
            Clash::Collection => checker.error(
                written.cidr.as_ref().map_or(span, |cidr| cidr.span),
                format!("the records for `{name}` go by several CIDR collections"),
            ),
            Clash::Many => checker.error(
                span,
                format!("there are more than {SET_MAX} {kind} records for `{name}`"),
            ),
            Clash::Type => checker.error(
                span,
                format!("a {kind} record can not be a multivalue answer"),
            ),
        }
    }
    let simple = |it: &&&Written<'_>| it.1.routing == Routing::Simple;
    for (written, _) in set.iter().take(1).filter(simple) {
        if let Some(id) = &written.set_identifier {
            checker.error_with(
                id.span,
                format!("`{name}` is a simple record and has no set identifier"),
                "`failover: PRIMARY` and `failover: SECONDARY` make a pair, `weight: 10` a weighted set",
            );
        }
    }
}

fn failover_pair(checker: &mut Checker<'_>, name: &str, kind: &str, set: &[&Written<'_>]) {
    let mut identifiers = BTreeSet::new();
    let mut roles = BTreeSet::new();
    for (written, record) in set {
        let Routing::Failover(role) = record.routing else {
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
        let watched = record.health_check.is_some() || record.value.evaluates();
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

fn aliases(checker: &mut Checker<'_>, records: &[Written<'_>]) {
    let all = || records.iter().map(|(_, record)| record);
    let circles = circles(all());
    let there: BTreeSet<(&str, RecordType)> = all()
        .map(|record| (record.name.as_str(), record.value.kind()))
        .collect();
    for (written, record) in records {
        let RecordValue::AliasRecord {
            name: target, kind, ..
        } = &record.value
        else {
            continue;
        };
        let Some(alias) = &written.alias else {
            continue;
        };
        let exists = there.contains(&(target.as_str(), *kind));
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
                    format!(
                        "an alias is a load balancer's name or that of a record of type {} in the same hosted zone",
                        kind.as_str()
                    )
                }
            };
            checker.error_with(
                alias.span,
                format!("alias `{}` leads to nothing", alias.value),
                hint,
            );
        } else if circles.contains(&(record.name.as_str(), *kind)) {
            checker.error_with(
                alias.span,
                format!("alias `{}` leads back to `{}`", alias.value, record.name),
                "somewhere along the way there must be a load balancer or a record with values",
            );
        }
    }
}
