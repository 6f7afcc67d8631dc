//! What keeps records of one name and type from being a set: Route 53's rules for each routing policy ("Values specific for ...
//! records" of its guide).

use std::collections::BTreeSet;

use crate::topology::{Record, RecordType, RecordValue, Routing};

/// What is wrong with a record beside those before it in its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clash {
    /// It has another routing policy than the first.
    Policy,
    /// A simple record stands beside others.
    Alone,
    /// It has no set identifier.
    NoIdentifier,
    /// It has a set identifier that another has.
    Identifier,
    /// It is for what another is for: a region, a location, a place in a pair.
    Same,
    /// It has another TTL than the first of a weighted set.
    Ttl,
    /// It goes by another CIDR collection than the first.
    Collection,
    /// Records of its type can not have its policy.
    Type,
    /// There are as many as there can be.
    Many,
}

/// Records of one name, type and policy at most ("Quotas": 100).
pub const SET_MAX: usize = 100;

/// The clashes of a set's records, each with the number of its record.
pub fn clashes(set: &[&Record]) -> Vec<(usize, Clash)> {
    let Some(first) = set.first() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut identifiers = BTreeSet::new();
    for (at, record) in set.iter().enumerate() {
        let clash = if at >= SET_MAX {
            Some(Clash::Many)
        } else if record.routing.policy() != first.routing.policy() {
            Some(Clash::Policy)
        } else if record.routing == Routing::Simple {
            (at > 0).then_some(Clash::Alone)
        } else if record.set_identifier.is_none() {
            Some(Clash::NoIdentifier)
        } else if !identifiers.insert(&record.set_identifier) {
            Some(Clash::Identifier)
        } else {
            beside(record, first, &set[..at])
        };
        found.extend(clash.map(|clash| (at, clash)));
    }
    found
}

fn beside(record: &Record, first: &Record, before: &[&Record]) -> Option<Clash> {
    let same = before.iter().any(|it| it.routing == record.routing);
    match (&record.routing, &first.routing) {
        (
            Routing::Failover(_)
            | Routing::Latency(_)
            | Routing::Geolocation(_)
            | Routing::Geoproximity(_),
            _,
        ) => same.then_some(Clash::Same),
        (Routing::Weighted(_), _) if is_alias(record) => None,
        (Routing::Weighted(_), _) => {
            // Aliases have the TTLs of their targets.
            let other = before.iter().find(|it| !is_alias(it));
            other
                .is_some_and(|other| other.ttl != record.ttl)
                .then_some(Clash::Ttl)
        }
        (
            Routing::Cidr { collection, .. },
            Routing::Cidr {
                collection: other, ..
            },
        ) => {
            if collection == other {
                same.then_some(Clash::Same)
            } else {
                Some(Clash::Collection)
            }
        }
        (Routing::MultiValue, _) => {
            let kinds = [RecordType::Cname, RecordType::Ns, RecordType::Soa];
            kinds.contains(&record.value.kind()).then_some(Clash::Type)
        }
        (Routing::Simple | Routing::Cidr { .. }, _) => None,
    }
}

fn is_alias(record: &Record) -> bool {
    match record.value {
        RecordValue::AliasLoadBalancer { .. } | RecordValue::AliasRecord { .. } => true,
        RecordValue::A(_) | RecordValue::Cname(_) | RecordValue::Txt(_) | RecordValue::Data(..) => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::topology::{FailoverRole, Location};

    fn record(id: Option<&str>, routing: Routing) -> Record {
        Record {
            name: "www.shop.internal".to_owned(),
            value: RecordValue::A(Vec::new()),
            ttl: Duration::from_secs(60),
            set_identifier: id.map(str::to_owned),
            routing,
            health_check: None,
        }
    }

    fn check(records: Vec<Record>, expected: &[(usize, Clash)]) {
        let set: Vec<&Record> = records.iter().collect();
        assert_eq!(clashes(&set), expected, "{records:?}");
    }

    #[test]
    fn s6_2_records_of_a_set_have_one_policy_and_names_of_their_own() {
        let weighted = |id, weight| record(Some(id), Routing::Weighted(weight));
        check(vec![weighted("a", 1), weighted("b", 1)], &[]);
        check(
            vec![weighted("a", 1), weighted("a", 2)],
            &[(1, Clash::Identifier)],
        );
        check(
            vec![weighted("a", 1), record(None, Routing::Weighted(2))],
            &[(1, Clash::NoIdentifier)],
        );
        check(
            vec![weighted("a", 1), record(None, Routing::Simple)],
            &[(1, Clash::Policy)],
        );
        let simple = || record(None, Routing::Simple);
        check(vec![simple(), simple()], &[(1, Clash::Alone)]);
        let mut slow = weighted("b", 1);
        slow.ttl = Duration::from_secs(300);
        check(vec![weighted("a", 1), slow], &[(1, Clash::Ttl)]);
        check(Vec::new(), &[]);
    }

    #[test]
    fn s6_2_two_records_are_not_for_the_same() {
        let country = |id, code: &str| {
            record(
                Some(id),
                Routing::Geolocation(Location::Country(code.into())),
            )
        };
        check(vec![country("a", "KR"), country("b", "JP")], &[]);
        let twice = vec![country("a", "KR"), country("b", "KR")];
        check(twice, &[(1, Clash::Same)]);
        let primary = |id| record(Some(id), Routing::Failover(FailoverRole::Primary));
        check(vec![primary("a"), primary("b")], &[(1, Clash::Same)]);
        let of = |id, collection: &str, location: &str| {
            record(
                Some(id),
                Routing::Cidr {
                    collection: collection.into(),
                    location: location.into(),
                },
            )
        };
        check(
            vec![of("a", "x", "*"), of("b", "y", "l"), of("c", "x", "*")],
            &[(1, Clash::Collection), (2, Clash::Same)],
        );
        let mut name = record(Some("a"), Routing::MultiValue);
        name.value = RecordValue::Cname("example.org".to_owned());
        check(vec![name], &[(0, Clash::Type)]);
    }
}
