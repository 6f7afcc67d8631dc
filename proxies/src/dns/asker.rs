//! Who asks, and what chance has in store: all that an answer goes by beside the routes. Pure.

use std::collections::BTreeMap;

use topologies::address::ZoneNumber;
use topologies::prefix::Prefix;

use crate::routes::{Client, Clients};

/// How often each name has been answered, so that its values take turns; and the numbers that answers are drawn by.
#[derive(Debug, Default)]
pub(crate) struct Rotation {
    turns: BTreeMap<String, usize>,
    state: u64,
}

/// What one answer of a name goes by where it is not decided otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chance {
    /// The number of this answer of the name.
    pub(crate) turn: usize,
    /// Any number.
    pub(crate) random: u64,
}

impl Rotation {
    /// Draws from this seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self {
            turns: BTreeMap::new(),
            state: seed,
        }
    }

    /// What the next answer for `name` goes by. The name has to be one of ours: the memory grows with the names.
    pub(crate) fn next(&mut self, name: &str) -> Chance {
        let turn = match self.turns.get_mut(name) {
            Some(turn) => {
                *turn = turn.wrapping_add(1);
                *turn
            }
            None => {
                self.turns.insert(name.to_owned(), 0);
                0
            }
        };
        let random = scattered(self.state);
        self.state = self.state.wrapping_add(STEP);
        Chance { turn, random }
    }
}

/// The golden ratio, as a step that meets every number (`SplitMix64`, Steele, Lea and Flood, 2014).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A number that looks like chance, the same for the same number.
pub(crate) fn scattered(number: u64) -> u64 {
    let mut z = number.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Who asks a question.
#[derive(Debug)]
pub(crate) struct Asker<'r> {
    /// From where the stack's addresses are seen.
    pub(crate) view: ZoneNumber,
    /// Where it is.
    pub(crate) client: &'r Client,
    /// Its address, or its network's.
    pub(crate) address: Prefix,
    /// Whether the answer was chosen by that.
    pub(crate) located: bool,
    /// Turns and chance.
    pub(crate) rotation: &'r mut Rotation,
}

impl<'r> Asker<'r> {
    /// Whoever asks in `view`, for clients in `subnet` if the question has one. A subnet that nothing is known of is outside of the
    /// stack; one of no bits at all tells nothing ("EDNS Client Subnet", RFC 7871, 7.1.2).
    pub(crate) fn new(
        clients: &'r Clients,
        view: ZoneNumber,
        subnet: Option<Prefix>,
        rotation: &'r mut Rotation,
    ) -> Self {
        let told = subnet.filter(|subnet| subnet.length() > 0);
        let client = match told {
            Some(subnet) => {
                let known = clients.subnets.iter().chain(clients.zones.values());
                let known = known.filter(|it| it.addresses.contains(subnet));
                known.max_by_key(|it| it.addresses.length())
            }
            None => clients.zones.get(&view),
        };
        let client = client.unwrap_or(&clients.outside);
        Self {
            view,
            client,
            address: told.unwrap_or(client.addresses),
            located: false,
            rotation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(addresses: &str, country: &str) -> Client {
        Client {
            addresses: addresses.parse().unwrap(),
            country: Some(country.to_owned()),
            ..Client::default()
        }
    }

    #[test]
    fn names_take_turns_on_their_own() {
        let mut rotation = Rotation::default();
        let mut turn = |name| rotation.next(name).turn;
        let turns = [turn("a"), turn("b"), turn("a"), turn("b")];
        assert_eq!(turns, [0, 0, 1, 1]);
    }

    #[test]
    fn s6_2_clients_are_told_by_their_subnet_and_without_one_by_where_they_ask() {
        let zone = ZoneNumber::zone(1).unwrap();
        let clients = Clients {
            zones: BTreeMap::from([(zone, client("127.64.16.0/20", "KR"))]),
            outside: client("127.0.0.1/32", "IE"),
            subnets: vec![
                client("203.0.113.0/24", "US"),
                client("203.0.0.0/16", "CA"),
                client("2001:db8::/32", "JP"),
            ],
        };
        let outside = ZoneNumber::OUTSIDE;
        for (view, subnet, country, address) in [
            (zone, None, "KR", "127.64.16.0/20"),
            (outside, None, "IE", "127.0.0.1/32"),
            (zone, Some("203.0.113.0/24"), "US", "203.0.113.0/24"),
            (zone, Some("203.0.113.128/25"), "US", "203.0.113.128/25"),
            (zone, Some("203.0.112.0/23"), "CA", "203.0.112.0/23"),
            (zone, Some("198.51.100.0/24"), "IE", "198.51.100.0/24"),
            (outside, Some("127.64.17.0/24"), "KR", "127.64.17.0/24"),
            (outside, Some("2001:db8:1::/56"), "JP", "2001:db8:1::/56"),
            (zone, Some("0.0.0.0/0"), "KR", "127.64.16.0/20"),
        ] {
            let mut rotation = Rotation::default();
            let subnet = subnet.map(|it| it.parse().unwrap());
            let asker = Asker::new(&clients, view, subnet, &mut rotation);
            assert_eq!(asker.client.country.as_deref(), Some(country), "{subnet:?}");
            assert_eq!(asker.address, address.parse().unwrap(), "{subnet:?}");
        }
    }
}
