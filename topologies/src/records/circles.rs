//! Which aliases lead round in a circle. In time that grows with their number only: a zone may have thousands.

use std::collections::{BTreeMap, BTreeSet};

use crate::topology::{Record, RecordType, RecordValue};

/// A name and a type: what aliases lead to.
pub type Node<'r> = (&'r str, RecordType);

type Edge<'r> = (Node<'r>, Node<'r>);

/// The names whose aliases lead round in a circle, and those on the way from one circle to another.
pub fn circles<'r>(records: impl Iterator<Item = &'r Record>) -> BTreeSet<Node<'r>> {
    let edges: BTreeSet<Edge<'r>> = records.filter_map(edge).collect();
    let turned = |edges: Vec<Edge<'r>>| edges.into_iter().map(|(from, to)| (to, from)).collect();
    // What leads nowhere is on no circle; of the rest, neither is what nothing leads to.
    let rest = without_ends(edges.into_iter().collect());
    let rest = without_ends(turned(rest));
    rest.into_iter().map(|(_, from)| from).collect()
}

fn edge(record: &Record) -> Option<Edge<'_>> {
    match &record.value {
        RecordValue::AliasRecord { name, kind, .. } => {
            Some(((record.name.as_str(), *kind), (name.as_str(), *kind)))
        }
        RecordValue::A(_)
        | RecordValue::Cname(_)
        | RecordValue::Txt(_)
        | RecordValue::Data(..)
        | RecordValue::AliasLoadBalancer { .. } => None,
    }
}

/// The edges that can be followed for ever.
fn without_ends(edges: Vec<Edge<'_>>) -> Vec<Edge<'_>> {
    let mut ways: BTreeMap<Node<'_>, usize> = BTreeMap::new();
    let mut before: BTreeMap<Node<'_>, Vec<Node<'_>>> = BTreeMap::new();
    for (from, to) in &edges {
        *ways.entry(*from).or_default() += 1;
        ways.entry(*to).or_default();
        before.entry(*to).or_default().push(*from);
    }
    let ends = ways.iter().filter(|(_, count)| **count == 0);
    let mut open: Vec<Node<'_>> = ends.map(|(node, _)| *node).collect();
    let mut gone = BTreeSet::new();
    while let Some(node) = open.pop() {
        gone.insert(node);
        for from in before.get(&node).into_iter().flatten() {
            if let Some(count) = ways.get_mut(from) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    open.push(*from);
                }
            }
        }
    }
    let stays = |(from, to): &Edge<'_>| !gone.contains(from) && !gone.contains(to);
    edges.into_iter().filter(stays).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::topology::Routing;

    type Pairs = &'static [(&'static str, &'static str)];

    fn alias(name: &str, target: &str) -> Record {
        Record {
            name: name.to_owned(),
            value: RecordValue::AliasRecord {
                name: target.to_owned(),
                evaluate_target_health: true,
                kind: RecordType::A,
            },
            ttl: Duration::ZERO,
            set_identifier: None,
            routing: Routing::Simple,
            health_check: None,
        }
    }

    #[test]
    fn circles_are_found_and_what_leads_there_is_none() {
        let table: [(Pairs, &[&str]); 5] = [
            (&[("a", "b"), ("b", "c")], &[]),
            (&[("a", "a")], &["a"]),
            (
                &[("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")],
                &["a", "b", "c"],
            ),
            (&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")], &[]),
            (
                &[("a", "b"), ("b", "a"), ("a", "c"), ("c", "e")],
                &["a", "b"],
            ),
        ];
        for (edges, expected) in table {
            let records: Vec<Record> = edges.iter().map(|(from, to)| alias(from, to)).collect();
            let found: Vec<&str> = circles(records.iter()).into_iter().map(|it| it.0).collect();
            assert_eq!(found, expected, "{edges:?}");
        }
    }

    #[test]
    fn a_long_chain_takes_no_time() {
        let links = (0..10_000).map(|n| alias(&format!("n{n}"), &format!("n{}", n + 1)));
        let mut records: Vec<Record> = links.collect();
        assert!(circles(records.iter()).is_empty());
        records.push(alias("n10000", "n0"));
        assert_eq!(circles(records.iter()).len(), 10_001);
    }
}
