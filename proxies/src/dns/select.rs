//! Which of a record set's candidates are answered. Pure.

use std::collections::BTreeMap;

use topologies::topology::FailoverRole;

use crate::routes::{Candidate, Policy, RecordSet, Value};

/// How often each name has been answered, so that its values take turns.
#[derive(Debug, Default)]
pub(crate) struct Rotation(BTreeMap<String, usize>);

impl Rotation {
    /// The number of this answer for `name`, which has to be one of ours: the memory grows with the names.
    pub(crate) fn next(&mut self, name: &str) -> usize {
        if let Some(turn) = self.0.get_mut(name) {
            *turn = turn.wrapping_add(1);
            return *turn;
        }
        self.0.insert(name.to_owned(), 0);
        0
    }
}

/// The values to answer, in order; `turn` counts the answers of this name.
///
/// "Nothing healthy: all treated as healthy" (Route 53, "How Amazon Route 53 chooses records when health checking is
/// configured"); for a failover pair that means the primary.
pub(crate) fn select(set: &RecordSet, turn: usize) -> Vec<&Value> {
    match set.policy {
        Policy::Simple => rotated(set.candidates.iter().take(1), turn),
        Policy::Failover => rotated(failover(&set.candidates).into_iter(), turn),
        Policy::HealthyNodes => rotated(healthy(&set.candidates).into_iter(), turn),
        Policy::OneInTurn => {
            let mut values = rotated(healthy(&set.candidates).into_iter(), turn);
            values.truncate(1);
            values
        }
    }
}

fn rotated<'a>(candidates: impl Iterator<Item = &'a Candidate>, turn: usize) -> Vec<&'a Value> {
    let mut values: Vec<&Value> = candidates.flat_map(|it| &it.values).collect();
    if !values.is_empty() {
        let count = values.len();
        values.rotate_left(turn % count);
    }
    values
}

fn healthy(candidates: &[Candidate]) -> Vec<&Candidate> {
    let healthy: Vec<&Candidate> = candidates.iter().filter(|it| it.healthy).collect();
    if healthy.is_empty() {
        candidates.iter().collect()
    } else {
        healthy
    }
}

fn failover(candidates: &[Candidate]) -> Option<&Candidate> {
    let of = |role| candidates.iter().find(|it| it.failover == Some(role));
    let primary = of(FailoverRole::Primary);
    primary
        .filter(|it| it.healthy)
        .or_else(|| of(FailoverRole::Secondary).filter(|it| it.healthy))
        .or(primary)
        .or_else(|| candidates.first())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    const PRIMARY: Option<FailoverRole> = Some(FailoverRole::Primary);
    const SECONDARY: Option<FailoverRole> = Some(FailoverRole::Secondary);

    /// A candidate with one value for each of its last octets.
    fn candidate(healthy: bool, failover: Option<FailoverRole>, octets: &[u8]) -> Candidate {
        let values = octets
            .iter()
            .map(|it| Value::Address(Ipv4Addr::new(192, 0, 2, *it)));
        Candidate {
            healthy,
            failover,
            values: values.collect(),
        }
    }

    fn check(policy: Policy, candidates: Vec<Candidate>, expected: &[&[u8]]) {
        let set = RecordSet {
            ttl: Duration::from_secs(60),
            policy,
            candidates,
        };
        for (turn, expected) in expected.iter().enumerate() {
            let octets: Vec<u8> = select(&set, turn)
                .into_iter()
                .map(|value| {
                    let Value::Address(address) = value else {
                        panic!("{value:?}")
                    };
                    address.octets()[3]
                })
                .collect();
            assert_eq!(octets, *expected, "{policy:?}, turn {turn}");
        }
    }

    #[test]
    fn simple_answers_all_values_and_ignores_health() {
        check(
            Policy::Simple,
            vec![candidate(false, None, &[1, 2, 3])],
            &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2], &[1, 2, 3]],
        );
        check(Policy::Simple, vec![], &[&[]]);
    }

    #[test]
    fn failover_prefers_the_primary_and_returns_to_it_when_nothing_is_healthy() {
        let table: [(bool, bool, &[u8]); 4] = [
            (true, true, &[1]),
            (true, false, &[1]),
            (false, true, &[2]),
            (false, false, &[1]),
        ];
        for (primary, secondary, expected) in table {
            let pair = vec![
                candidate(secondary, SECONDARY, &[2]),
                candidate(primary, PRIMARY, &[1]),
            ];
            check(Policy::Failover, pair, &[expected]);
        }
    }

    #[test]
    fn nodes_leave_the_answer_until_none_is_left() {
        let nodes = |a, b, c| {
            vec![
                candidate(a, None, &[1]),
                candidate(b, None, &[2]),
                candidate(c, None, &[3]),
            ]
        };
        check(
            Policy::HealthyNodes,
            nodes(true, false, true),
            &[&[1, 3], &[3, 1]],
        );
        check(
            Policy::HealthyNodes,
            nodes(false, false, false),
            &[&[1, 2, 3], &[2, 3, 1]],
        );
    }

    #[test]
    fn readers_take_turns() {
        let readers = |a, b| vec![candidate(a, None, &[1]), candidate(b, None, &[2])];
        check(Policy::OneInTurn, readers(true, true), &[&[1], &[2], &[1]]);
        check(Policy::OneInTurn, readers(false, true), &[&[2], &[2]]);
        check(Policy::OneInTurn, readers(false, false), &[&[1], &[2]]);
    }

    #[test]
    fn names_take_turns_on_their_own() {
        let mut rotation = Rotation::default();
        assert_eq!(rotation.next("a"), 0);
        assert_eq!(rotation.next("b"), 0);
        assert_eq!(rotation.next("a"), 1);
        assert_eq!(rotation.next("b"), 1);
    }
}
