//! Tables of what is chosen.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;
use topologies::geography::coordinates;
use topologies::topology::RecordType;

use super::*;

const PRIMARY: Part = Part::Failover(FailoverRole::Primary);
const SECONDARY: Part = Part::Failover(FailoverRole::Secondary);

/// A candidate with one value for each of its last octets.
fn candidate(healthy: bool, part: Part, octets: &[u8]) -> Candidate {
    let values = octets
        .iter()
        .map(|it| Value::Address(Ipv4Addr::new(192, 0, 2, *it)));
    Candidate {
        healthy,
        ttl: Duration::from_secs(60),
        part,
        values: values.collect(),
    }
}

fn set(policy: Policy, candidates: Vec<Candidate>) -> RecordSet {
    RecordSet {
        kind: RecordType::A,
        policy,
        candidates,
    }
}

fn octets(selection: &Selection<'_>) -> Vec<u8> {
    let octet = |value: &&Value| {
        let Value::Address(address) = value else {
            panic!("{value:?}")
        };
        address.octets()[3]
    };
    selection.values.iter().map(octet).collect()
}

fn nobody() -> Client {
    Client::default()
}

fn chosen(set: &RecordSet, client: &Client, turn: usize, random: u64) -> Vec<u8> {
    let chance = Chance { turn, random };
    octets(&select(set, client, client.addresses, chance))
}

fn check(policy: Policy, candidates: Vec<Candidate>, expected: &[&[u8]]) {
    let set = set(policy, candidates);
    for (turn, expected) in expected.iter().enumerate() {
        let octets = chosen(&set, &nobody(), turn, 0);
        assert_eq!(octets, *expected, "{policy:?}, turn {turn}");
    }
}

#[test]
fn simple_answers_all_values_and_ignores_health() {
    check(
        Policy::Simple,
        vec![candidate(false, Part::Any, &[1, 2, 3])],
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
            candidate(a, Part::Any, &[1]),
            candidate(b, Part::Any, &[2]),
            candidate(c, Part::Any, &[3]),
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
    let readers = |a, b| vec![candidate(a, Part::Any, &[1]), candidate(b, Part::Any, &[2])];
    check(Policy::OneInTurn, readers(true, true), &[&[1], &[2], &[1]]);
    check(Policy::OneInTurn, readers(false, true), &[&[2], &[2]]);
    check(Policy::OneInTurn, readers(false, false), &[&[1], &[2]]);
}

/// Weights, health, the number of answers, and how many of them each record is to have.
type Shares = (&'static [(u8, bool)], u64, &'static [u64]);

/// How often each record is answered in as many answers as the random numbers go round.
fn shares(records: &[(u8, bool)], rounds: u64) -> Vec<u64> {
    let candidates = records
        .iter()
        .zip(1..)
        .map(|((weight, healthy), octet)| candidate(*healthy, Part::Weight(*weight), &[octet]));
    let set = set(Policy::Weighted, candidates.collect());
    let mut counts = BTreeMap::new();
    for random in 0..rounds {
        let [octet] = chosen(&set, &nobody(), 0, random)[..] else {
            panic!("one record")
        };
        *counts.entry(octet).or_insert(0) += 1;
    }
    let octets = 1..=u8::try_from(records.len()).unwrap();
    octets
        .map(|it| counts.get(&it).copied().unwrap_or(0))
        .collect()
}

#[test]
fn s6_2_weights_are_shares_and_zero_is_for_when_nothing_else_is_healthy() {
    let table: [Shares; 9] = [
        (&[(1, true), (3, true)], 40, &[10, 30]),
        (&[(255, true), (255, true)], 510, &[255, 255]),
        (&[(1, true), (3, false)], 40, &[40, 0]),
        (&[(1, true), (0, true)], 40, &[40, 0]),
        (&[(1, false), (0, true), (0, true)], 40, &[0, 20, 20]),
        (&[(1, false), (0, true), (0, false)], 40, &[0, 40, 0]),
        (&[(0, true), (0, true)], 40, &[20, 20]),
        (&[(0, true), (0, false)], 40, &[40, 0]),
        // Nothing is healthy: as if all were.
        (&[(1, false), (3, false), (0, false)], 40, &[10, 30, 0]),
    ];
    for (records, rounds, expected) in table {
        assert_eq!(shares(records, rounds), expected, "{records:?}");
    }
    assert!(chosen(&set(Policy::Weighted, vec![]), &nobody(), 0, 7).is_empty());
}

#[test]
fn s6_2_a_multivalue_answer_has_up_to_eight_healthy_records_in_any_order() {
    let all = |count: u8, healthy: fn(u8) -> bool| {
        let candidates = (0..count).map(|it| candidate(healthy(it), Part::Any, &[it]));
        set(Policy::MultiValue, candidates.collect())
    };
    for (set, count, wanted) in [
        (all(3, |_| true), 3, 0..3),
        (all(12, |_| true), 8, 0..12),
        (all(12, |it| it >= 10), 2, 10..12),
        (all(12, |_| false), 8, 0..12),
        (all(0, |_| true), 0, 0..0),
    ] {
        let mut seen = BTreeMap::new();
        for random in 0..400 {
            let octets = chosen(&set, &nobody(), 0, random);
            let mut distinct = octets.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!((octets.len(), distinct.len()), (count, count));
            assert!(octets.iter().all(|it| wanted.contains(it)), "{octets:?}");
            if let Some(first) = octets.first() {
                *seen.entry(*first).or_insert(0) += 1;
            }
        }
        // Each comes first sometimes.
        assert_eq!(seen.len(), wanted.len());
    }
}

fn client(region: &str) -> Client {
    Client {
        region: region.into(),
        coordinates: coordinates(region),
        ..Client::default()
    }
}

#[test]
fn s6_2_latency_takes_the_healthy_region_that_is_nearest() {
    let regions = |healthy: [bool; 3]| {
        let names = ["us-east-1", "ap-northeast-1", "eu-west-1"];
        let candidates = names
            .iter()
            .zip(healthy)
            .zip(1..)
            .map(|((name, healthy), it)| {
                let part = Part::Region((*name).into(), coordinates(name));
                candidate(healthy, part, &[it])
            });
        set(Policy::Suited, candidates.collect())
    };
    let everything = [true; 3];
    for (from, healthy, expected) in [
        ("us-east-1", everything, 1),
        ("us-east-2", everything, 1),
        ("ap-northeast-2", everything, 2),
        ("eu-central-1", everything, 3),
        ("eu-central-1", [true, true, false], 1),
        ("eu-central-1", [false; 3], 3),
        // Of a region that nobody knows, nothing is near.
        ("xx-moon-1", everything, 1),
    ] {
        let octets = chosen(&regions(healthy), &client(from), 0, 0);
        assert_eq!(octets, [expected], "{from} {healthy:?}");
    }
}

#[test]
fn s6_2_one_s_own_region_is_nearest_even_if_nobody_knows_where_it_is() {
    let own = set(
        Policy::Suited,
        vec![
            candidate(
                true,
                Part::Region("us-east-1".into(), coordinates("us-east-1")),
                &[1],
            ),
            candidate(true, Part::Region("xx-moon-1".into(), None), &[2]),
        ],
    );
    assert_eq!(chosen(&own, &client("xx-moon-1"), 0, 0), [2]);
}

#[test]
fn s6_2_geolocation_takes_the_most_specific_and_falls_back_to_what_is_larger() {
    let is = |country: Option<&str>, part: Option<&str>, continent: Option<&str>| Client {
        country: country.map(str::to_owned),
        subdivision: part.map(str::to_owned),
        continent: continent.map(str::to_owned),
        ..Client::default()
    };
    let (us, ca, na) = ("US".to_owned(), "CA".to_owned(), "NA".to_owned());
    let locations = [
        Location::Subdivision(us.clone(), ca),
        Location::Country(us),
        Location::Continent(na),
        Location::Default,
    ];
    let records = |count: usize, healthy: [bool; 4]| {
        let all = locations.iter().zip(healthy).zip(1..).take(count);
        let all = all.map(|((location, healthy), it)| {
            candidate(healthy, Part::Location(location.clone()), &[it])
        });
        set(Policy::Suited, all.collect())
    };
    let everything = [true; 4];
    let california = is(Some("US"), Some("CA"), Some("NA"));
    let table: [(&Client, usize, [bool; 4], &[u8]); 10] = [
        (&california, 4, everything, &[1]),
        (&is(Some("US"), Some("NY"), Some("NA")), 4, everything, &[2]),
        (&is(Some("CA"), None, Some("NA")), 4, everything, &[3]),
        (&is(Some("KR"), None, Some("AS")), 4, everything, &[4]),
        (&is(None, None, None), 4, everything, &[4]),
        // No match and no default: no answer.
        (&is(Some("KR"), None, Some("AS")), 3, everything, &[]),
        (&california, 4, [false, true, true, true], &[2]),
        (&california, 4, [false, false, false, true], &[4]),
        (&california, 4, [false; 4], &[1]),
        (&is(Some("KR"), None, Some("AS")), 4, [false; 4], &[4]),
    ];
    for (client, count, healthy, expected) in table {
        let octets = chosen(&records(count, healthy), client, 0, 0);
        assert_eq!(octets, expected, "{client:?} {healthy:?}");
    }
}

#[test]
fn s6_2_the_longest_block_that_has_the_address_is_taken() {
    let blocks = |all: &[&str]| Part::Blocks(all.iter().map(|it| it.parse().unwrap()).collect());
    let records = |healthy: bool, default: bool| {
        let mut all = vec![
            candidate(true, blocks(&["203.0.0.0/16", "2001:db8::/32"]), &[1]),
            candidate(healthy, blocks(&["203.0.113.0/24"]), &[2]),
        ];
        if default {
            all.push(candidate(true, Part::OtherBlocks, &[3]));
        }
        set(Policy::Suited, all)
    };
    let table: [(&str, bool, bool, &[u8]); 7] = [
        ("203.0.113.7/32", true, true, &[2]),
        ("203.0.112.0/24", true, true, &[1]),
        ("203.0.113.7/32", false, true, &[1]),
        ("2001:db8::/56", true, true, &[1]),
        ("198.51.100.0/24", true, true, &[3]),
        ("198.51.100.0/24", true, false, &[]),
        // A network of clients that a block has only a part of is not for it.
        ("203.0.112.0/23", true, true, &[1]),
    ];
    for (address, healthy, default, expected) in table {
        let set = records(healthy, default);
        let address = address.parse().unwrap();
        let found = select(&set, &nobody(), address, Chance::default());
        assert_eq!(octets(&found), expected, "{address} {healthy}");
    }
}

#[test]
fn s6_2_a_bias_draws_clients_nearer() {
    let near = |region: &str, bias| Part::Near(coordinates(region).unwrap(), bias);
    for (bias, expected) in [(0, 1), (90, 2), (-99, 1), (99, 2)] {
        let records = vec![
            candidate(true, near("eu-west-1", 0), &[1]),
            candidate(true, near("us-east-1", bias), &[2]),
        ];
        let set = set(Policy::Suited, records);
        assert_eq!(
            chosen(&set, &client("eu-central-1"), 0, 0),
            [expected],
            "{bias}"
        );
    }
}

#[test]
fn the_ttl_is_the_lowest_of_what_is_chosen() {
    let mut candidates = vec![
        candidate(false, PRIMARY, &[1]),
        candidate(true, SECONDARY, &[2]),
    ];
    candidates[0].ttl = Duration::from_secs(5);
    let set = set(Policy::Failover, candidates);
    let client = nobody();
    let found = select(&set, &client, client.addresses, Chance::default());
    assert_eq!((found.ttl.as_secs(), octets(&found)), (60, vec![2]));
}

proptest! {
    #[test]
    fn whoever_is_answered_is_healthy_unless_nobody_is(
        records in proptest::collection::vec((any::<bool>(), 0_u8..4), 1..20),
        random: u64,
        policy in prop_oneof![Just(Policy::Weighted), Just(Policy::MultiValue), Just(Policy::Suited)],
    ) {
        let candidates = records.iter().zip(0..).map(|((healthy, weight), octet)| {
            candidate(*healthy, Part::Weight(*weight), &[octet])
        });
        let set = set(policy, candidates.collect());
        let found = chosen(&set, &nobody(), 0, random);
        prop_assert!(!found.is_empty() && found.len() <= MULTI_VALUE_MAX);
        let any = records.iter().any(|(healthy, _)| *healthy);
        prop_assert!(found.iter().all(|it| records[usize::from(*it)].0 || !any));
    }
}
