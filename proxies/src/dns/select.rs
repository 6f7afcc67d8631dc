//! Which of a record set's candidates are answered. Pure.
//!
//! "Nothing healthy: all treated as healthy" (Route 53, "How Amazon Route 53 chooses records when health checking is configured"); for
//! a failover pair that means the primary.

use std::time::Duration;

use topologies::geography::{Coordinates, FARTHEST_KM};
use topologies::prefix::Prefix;
use topologies::topology::{FailoverRole, Location};

use crate::dns::asker::{Chance, scattered};
use crate::routes::{Candidate, Client, Part, Policy, RecordSet, Value};

/// Records of a multivalue answer at most (aws-behaviour §6.2).
const MULTI_VALUE_MAX: usize = 8;

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection<'a> {
    /// The lowest TTL of what was chosen.
    pub(crate) ttl: Duration,
    /// The values, in order.
    pub(crate) values: Vec<&'a Value>,
}

/// The values to answer to a client with this address.
pub(crate) fn select<'a>(
    set: &'a RecordSet,
    client: &Client,
    address: Prefix,
    chance: Chance,
) -> Selection<'a> {
    let all = &set.candidates;
    let one = |chosen: Option<&'a Candidate>| rotated(chosen.into_iter(), chance.turn);
    match set.policy {
        Policy::Simple => one(all.first()),
        Policy::Failover => one(failover(all)),
        Policy::Weighted => one(weighted(all, chance.random)),
        Policy::Suited => one(suited(all, client, address)),
        Policy::MultiValue => several(all, chance.random),
        Policy::HealthyNodes => rotated(healthy(all), chance.turn),
        Policy::OneInTurn => {
            let mut selection = rotated(healthy(all), chance.turn);
            selection.values.truncate(1);
            selection
        }
    }
}

/// The values of candidates, beginning with another one at each turn.
fn rotated<'a>(candidates: impl Iterator<Item = &'a Candidate>, turn: usize) -> Selection<'a> {
    let mut ttl = None;
    let mut values: Vec<&Value> = Vec::new();
    for candidate in candidates {
        ttl = Some(ttl.map_or(candidate.ttl, |ttl: Duration| ttl.min(candidate.ttl)));
        values.extend(&candidate.values);
    }
    if !values.is_empty() {
        let count = values.len();
        values.rotate_left(turn % count);
    }
    Selection {
        ttl: ttl.unwrap_or_default(),
        values,
    }
}

/// The healthy candidates, or all if none is.
fn healthy(candidates: &[Candidate]) -> impl Iterator<Item = &Candidate> + Clone {
    let none = !candidates.iter().any(|it| it.healthy);
    candidates.iter().filter(move |it| it.healthy || none)
}

fn failover(candidates: &[Candidate]) -> Option<&Candidate> {
    let of = |role| {
        let mut candidates = candidates.iter();
        candidates.find(|it| it.part == Part::Failover(role))
    };
    let primary = of(FailoverRole::Primary);
    primary
        .filter(|it| it.healthy)
        .or_else(|| of(FailoverRole::Secondary).filter(|it| it.healthy))
        .or(primary)
        .or_else(|| candidates.first())
}

fn weight(candidate: &Candidate) -> u64 {
    match candidate.part {
        Part::Weight(weight) => weight.into(),
        Part::Any
        | Part::Failover(_)
        | Part::Region(..)
        | Part::Location(_)
        | Part::Near(..)
        | Part::Blocks(_)
        | Part::OtherBlocks => 0,
    }
}

/// A candidate by its share of the weights. Those of no weight are taken, with equal shares, only when every other is unhealthy or
/// there is no other (aws-behaviour §6.2).
fn weighted(candidates: &[Candidate], random: u64) -> Option<&Candidate> {
    let eligible = healthy(candidates);
    let total: u64 = eligible.clone().map(weight).sum();
    if total == 0 {
        let count = u64::try_from(eligible.clone().count()).ok()?;
        let at = random.checked_rem(count)?;
        return eligible.clone().nth(usize::try_from(at).ok()?);
    }
    let mut left = random % total;
    for candidate in eligible {
        match left.checked_sub(weight(candidate)) {
            Some(rest) => left = rest,
            None => return Some(candidate),
        }
    }
    None
}

/// Up to eight healthy candidates in any order; of unhealthy ones only if all are.
fn several(candidates: &[Candidate], random: u64) -> Selection<'_> {
    let mut chosen: Vec<&Candidate> = healthy(candidates).collect();
    let count = chosen.len();
    let mut random = random;
    for at in 0..count.min(MULTI_VALUE_MAX) {
        random = scattered(random);
        let rest = u64::try_from(count - at).unwrap_or(1);
        let other = at + usize::try_from(random % rest).unwrap_or(0);
        chosen.swap(at, other);
    }
    chosen.truncate(MULTI_VALUE_MAX);
    rotated(chosen.into_iter(), 0)
}

/// The healthy candidate that suits a client best; of those that can suit it at all, the best if none is healthy.
fn suited<'a>(
    candidates: &'a [Candidate],
    client: &Client,
    address: Prefix,
) -> Option<&'a Candidate> {
    let best = |wanted: &dyn Fn(&Candidate) -> bool| {
        let ranked = candidates.iter().filter(|it| wanted(it));
        let ranked = ranked.filter_map(|it| Some((rank(&it.part, client, address)?, it)));
        // Of equals, the first.
        let best = ranked.min_by(|one, other| one.0.total_cmp(&other.0));
        best.map(|(_, it)| it)
    };
    best(&|it| it.healthy).or_else(|| best(&|_| true))
}

/// How far a candidate is from suiting a client; none if it is not for it at all.
fn rank(part: &Part, client: &Client, address: Prefix) -> Option<f64> {
    match part {
        Part::Region(region, at) => Some(if *region == client.region {
            // Nothing is nearer than one's own region, not even one at the same place.
            -1.0
        } else {
            away(*at, client)
        }),
        Part::Near(at, bias) => Some(biased(away(Some(*at), client), *bias)),
        Part::Location(location) => located(location, client).map(f64::from),
        Part::Blocks(blocks) => {
            let longest = blocks.iter().filter(|block| block.contains(address));
            let longest = longest.map(|block| block.length()).max()?;
            Some(f64::from(u8::MAX - longest))
        }
        Part::OtherBlocks => Some(f64::from(u8::MAX)),
        Part::Any | Part::Failover(_) | Part::Weight(_) => Some(0.0),
    }
}

fn away(at: Option<Coordinates>, client: &Client) -> f64 {
    match (at, client.coordinates) {
        (Some(at), Some(client)) => at.distance_km(client),
        // Further than what is known to be anywhere.
        (None, _) => 2.0 * FARTHEST_KM,
        (Some(_), None) => FARTHEST_KM,
    }
}

/// "Biased distance = actual distance * [1 - (bias/100)]" where the bias is positive, "/ [1 + (bias/100)]" where it is negative
/// (Route 53, "Geoproximity routing").
fn biased(distance: f64, bias: i8) -> f64 {
    let part = f64::from(bias.clamp(-99, 99)) / 100.0;
    if bias < 0 {
        distance / (1.0 + part)
    } else {
        distance * (1.0 - part)
    }
}

/// The most specific location that a client is in comes first (aws-behaviour §6.2).
fn located(location: &Location, client: &Client) -> Option<u8> {
    let is = |known: &Option<String>, code: &String| known.as_ref() == Some(code);
    match location {
        Location::Subdivision(country, code) => {
            (is(&client.country, country) && is(&client.subdivision, code)).then_some(0)
        }
        Location::Country(code) => is(&client.country, code).then_some(1),
        Location::Continent(code) => is(&client.continent, code).then_some(2),
        Location::Default => Some(3),
    }
}

#[cfg(test)]
mod tests;
