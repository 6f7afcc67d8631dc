//! Which routing policy a record has; CIDR collections, and where clients are.

use std::collections::{BTreeMap, BTreeSet};

use super::Checker;
use crate::geography::{self, Coordinates};
use crate::id::RegionId;
use crate::notes::Span;
use crate::prefix::Prefix;
use crate::spec::{
    At, CidrSpec, FailoverSpec, GeolocationSpec, GeoproximitySpec, PlaceSpec, RecordSpec,
};
use crate::topology::{
    CidrCollection, DnsClients, FailoverRole, Location, Place, Proximity, Routing, Topology,
};

/// The routing policy of a record.
pub(super) fn routing(
    checker: &mut Checker<'_>,
    topology: &Topology,
    written: &At<RecordSpec>,
) -> Option<Routing> {
    let record = &written.value;
    let mut policies: Vec<(&str, Span, Option<Routing>)> = Vec::new();
    if let Some(at) = &record.failover {
        let role = match at.value {
            FailoverSpec::Primary => FailoverRole::Primary,
            FailoverSpec::Secondary => FailoverRole::Secondary,
        };
        policies.push(("failover", at.span, Some(Routing::Failover(role))));
    }
    if let Some(at) = &record.weight {
        policies.push(("weight", at.span, Some(Routing::Weighted(at.value))));
    }
    if let Some(at) = record.multivalue_answer.as_ref().filter(|at| at.value) {
        if let Some(alias) = &record.alias {
            checker.error(alias.span, "a multivalue answer record can not be an alias");
        }
        policies.push(("multivalue-answer", at.span, Some(Routing::MultiValue)));
    }
    if let Some(at) = &record.region {
        let region = region(checker, topology, at).map(Routing::Latency);
        policies.push(("region", at.span, region));
    }
    if let Some(at) = &record.geolocation {
        let location = location(checker, at).map(Routing::Geolocation);
        policies.push(("geolocation", at.span, location));
    }
    if let Some(at) = &record.geoproximity {
        let proximity = proximity(checker, topology, at).map(Routing::Geoproximity);
        policies.push(("geoproximity", at.span, proximity));
    }
    if let Some(at) = &record.cidr {
        policies.push(("cidr", at.span, cidr(checker, at)));
    }
    let mut policies = policies.into_iter();
    let Some((first, _, routing)) = policies.next() else {
        return Some(Routing::Simple);
    };
    if let Some((second, span, _)) = policies.next() {
        checker.error_with(
            span,
            format!("a record has one routing policy, not both `{first}` and `{second}`"),
            "records of several policies are chained by aliases",
        );
    }
    routing
}

/// The set identifier of a record that has none in the file.
pub(super) fn default_identifier(routing: &Routing) -> Option<String> {
    let location = |location: &Location| match location {
        Location::Default => "default".to_owned(),
        Location::Continent(code) => format!("continent {code}"),
        Location::Country(code) => code.clone(),
        Location::Subdivision(country, code) => format!("{country}-{code}"),
    };
    match routing {
        Routing::Failover(FailoverRole::Primary) => Some("primary".to_owned()),
        Routing::Failover(FailoverRole::Secondary) => Some("secondary".to_owned()),
        Routing::Latency(region) => Some(region.to_string()),
        Routing::Geolocation(it) => Some(location(it)),
        Routing::Geoproximity(it) => it.region.as_ref().map(ToString::to_string),
        Routing::Cidr { location, .. } => Some(location.clone()),
        Routing::Simple | Routing::Weighted(_) | Routing::MultiValue => None,
    }
}

/// A region of the stack, or one that AWS has.
fn region(checker: &mut Checker<'_>, topology: &Topology, at: &At<String>) -> Option<RegionId> {
    let own = topology.regions.iter().any(|it| it.id.as_str() == at.value);
    if own || geography::coordinates(&at.value).is_some() {
        return Some(RegionId::from(at.value.as_str()));
    }
    checker.error_with(
        at.span,
        format!("`{}` is not a region", at.value.escape_debug()),
        "regions are named like `ap-northeast-2`",
    );
    None
}

/// The country and its part, both as Route 53 has them.
fn country(
    checker: &mut Checker<'_>,
    country: &At<String>,
    subdivision: Option<&At<String>>,
) -> Option<(String, Option<String>)> {
    if geography::continent_of(&country.value).is_none() {
        checker.error_with(
            country.span,
            format!("`{}` is not a country", country.value.escape_debug()),
            "countries are named by two capitals, `KR`",
        );
        return None;
    }
    if let Some(part) = subdivision
        && !geography::is_subdivision(&country.value, &part.value)
    {
        checker.error_with(
            part.span,
            format!(
                "Route 53 knows no part `{}` of {}",
                part.value.escape_debug(),
                country.value
            ),
            "it knows the states of the USA, `CA`, and the regions of Ukraine, by their numbers",
        );
        return None;
    }
    Some((
        country.value.clone(),
        subdivision.map(|it| it.value.clone()),
    ))
}

fn continent(checker: &mut Checker<'_>, at: &At<String>) -> Option<String> {
    if geography::is_continent(&at.value) {
        return Some(at.value.clone());
    }
    checker.error_with(
        at.span,
        format!("`{}` is not a continent", at.value.escape_debug()),
        "continents are AF, AN, AS, EU, OC, NA and SA",
    );
    None
}

fn location(checker: &mut Checker<'_>, at: &At<GeolocationSpec>) -> Option<Location> {
    let GeolocationSpec {
        continent: of_continent,
        country: of_country,
        subdivision,
    } = &at.value;
    match (of_continent, of_country, subdivision) {
        (Some(it), None, None) => continent(checker, it).map(Location::Continent),
        (None, Some(it), None) if it.value == "*" => Some(Location::Default),
        (None, Some(it), subdivision) => {
            let (country, part) = country(checker, it, subdivision.as_ref())?;
            Some(match part {
                Some(part) => Location::Subdivision(country, part),
                None => Location::Country(country),
            })
        }
        (None, None, _) | (Some(_), ..) => {
            checker.error_with(
                at.span,
                "a location is a continent, or a country with or without a part of it",
                "for example `{ continent: AS }`, `{ country: KR }`, `{ country: US, subdivision: CA }` or `{ country: \"*\" }`",
            );
            None
        }
    }
}

fn proximity(
    checker: &mut Checker<'_>,
    topology: &Topology,
    at: &At<GeoproximitySpec>,
) -> Option<Proximity> {
    let GeoproximitySpec {
        region: of_region,
        latitude,
        longitude,
        bias,
    } = &at.value;
    let bias = bias.as_ref().map_or(0, |at| at.value);
    match (of_region, latitude, longitude) {
        (Some(it), None, None) => {
            let region = region(checker, topology, it)?;
            if geography::coordinates(region.as_str()).is_none() {
                checker.error(
                    it.span,
                    format!("it is not known where region `{region}` is"),
                );
                return None;
            }
            Some(Proximity {
                region: Some(region),
                coordinates: None,
                bias,
            })
        }
        (None, Some(latitude), Some(longitude)) => {
            let coordinates = Coordinates::read(&latitude.value.0, &longitude.value.0);
            if coordinates.is_none() {
                checker.error_with(
                    at.span,
                    format!("there is no place at {}, {}", latitude.value.0, longitude.value.0),
                    "degrees go from -90 to 90 and from -180 to 180, with up to two digits behind the point",
                );
            }
            Some(Proximity {
                region: None,
                coordinates: Some(coordinates?),
                bias,
            })
        }
        _ => {
            checker.error_with(
                at.span,
                "a place is a region's or has coordinates",
                "for example `{ region: us-east-1, bias: 20 }` or `{ latitude: 49.22, longitude: -74.01 }`",
            );
            None
        }
    }
}

fn cidr(checker: &mut Checker<'_>, at: &At<CidrSpec>) -> Option<Routing> {
    let spec = checker.spec;
    let CidrSpec {
        collection,
        location,
    } = &at.value;
    let all = || spec.cidr_collections.iter();
    let Some((_, locations)) = all().find(|(name, _)| name.value == collection.value) else {
        let declared: Vec<&str> = all().map(|(name, _)| name.value.as_str()).collect();
        checker.undeclared("CIDR collection", collection, &declared);
        return None;
    };
    let declared: Vec<&str> = locations
        .iter()
        .map(|(name, _)| name.value.as_str())
        .collect();
    if location.value != "*" && !declared.contains(&location.value.as_str()) {
        checker.undeclared("location", location, &declared);
        return None;
    }
    Some(Routing::Cidr {
        collection: collection.value.clone(),
        location: location.value.clone(),
    })
}

/// The CIDR collections.
pub(super) fn cidr_collections(checker: &mut Checker<'_>) -> Vec<CidrCollection> {
    let spec = checker.spec;
    let mut collections = Vec::new();
    for (name, written) in spec.cidr_collections.iter() {
        if !crate::records::is_cidr_name(&name.value, 64) {
            checker.error(
                name.span,
                "a CIDR collection's name has 1 to 64 letters, digits, `_` and `-`",
            );
        }
        let mut locations: BTreeMap<String, Vec<Prefix>> = BTreeMap::new();
        let mut taken = BTreeSet::new();
        for (location, words) in written.iter() {
            if !crate::records::is_cidr_name(&location.value, 16) {
                checker.error(
                    location.span,
                    "a location's name has 1 to 16 letters, digits, `_` and `-`",
                );
            }
            let blocks = locations.entry(location.value.clone()).or_default();
            for word in &words.0 {
                match word.value.parse::<Prefix>() {
                    Ok(block) if !crate::records::is_cidr_block(block) => checker.error(
                        word.span,
                        format!("block `{block}` is not one that Route 53 takes: IPv4 blocks are /1 to /24, IPv6 blocks /1 to /48"),
                    ),
                    Ok(block) if !taken.insert(block) => {
                        checker.error(word.span, format!("block `{block}` is here twice"));
                    }
                    Ok(block) => blocks.push(block),
                    Err(_) => checker.error_with(
                        word.span,
                        format!("`{}` is not a block of addresses", word.value.escape_debug()),
                        "write `203.0.113.0/24` or `2001:db8::/32`",
                    ),
                }
            }
        }
        collections.push(CidrCollection {
            name: name.value.clone(),
            locations,
        });
    }
    collections
}

/// Where clients are.
pub(super) fn dns_clients(checker: &mut Checker<'_>, topology: &Topology) -> DnsClients {
    let spec = checker.spec;
    let mut clients = DnsClients::default();
    for (name, written) in spec.dns_clients.iter() {
        let Some(place) = place(checker, topology, written) else {
            continue;
        };
        if place == Place::default() && written.subdivision.is_none() {
            checker.error_with(
                name.span,
                "this says nothing of where they are",
                "give a `region`, `country` or `continent`, or leave it out",
            );
            continue;
        }
        if name.value == "outside" {
            clients.outside = place;
            continue;
        }
        match name.value.parse::<Prefix>() {
            Ok(block) => clients.subnets.push((block, place)),
            Err(_) => checker.error_with(
                name.span,
                format!(
                    "`{}` is not a block of addresses",
                    name.value.escape_debug()
                ),
                "write `outside`, or a block, `203.0.113.0/24`",
            ),
        }
    }
    clients
}

fn place(checker: &mut Checker<'_>, topology: &Topology, written: &PlaceSpec) -> Option<Place> {
    let of_region = written.region.as_ref();
    let region = of_region.map(|at| region(checker, topology, at));
    let of_continent = written.continent.as_ref();
    let said = of_continent.map(|at| continent(checker, at));
    let subdivision = written.subdivision.as_ref();
    let of_country = written.country.as_ref();
    let (country, subdivision) = match of_country {
        Some(at) => {
            let (country, part) = country(checker, at, subdivision)?;
            (Some(country), part)
        }
        None => {
            if let Some(at) = subdivision {
                checker.error(at.span, "this is a part of no country");
            }
            (None, None)
        }
    };
    let said = said.map_or(Some(None), |it| it.map(Some))?;
    let known = country.as_deref().and_then(geography::continent_of);
    Some(Place {
        region: region.map_or(Some(None), |it| it.map(Some))?,
        continent: said.or_else(|| known.map(str::to_owned)),
        country,
        subdivision,
    })
}
