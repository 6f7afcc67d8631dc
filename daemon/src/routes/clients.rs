//! Where those are who ask for names: in a zone they are in its region's country; elsewhere they are where the topology says, or
//! nobody knows.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proxies::routes::{Client, Clients};
use topologies::address;
use topologies::geography::{continent_of, coordinates, country_of_region};
use topologies::id::RegionId;
use topologies::plan::Plan;
use topologies::prefix::Prefix;
use topologies::topology::Place;

/// Everybody who asks. Whose region is not known is taken to be near to the stack's first.
pub(super) fn clients(plan: &Plan) -> Clients {
    let topology = &plan.topology;
    let first = topology.regions.first().map(|region| &region.id);
    let placed = |addresses: Prefix, place: &Place| {
        let region = place.region.as_ref().or(first);
        let region = region.cloned().unwrap_or_else(|| RegionId::from(""));
        Client {
            addresses,
            coordinates: coordinates(region.as_str()),
            region,
            continent: place.continent.clone(),
            country: place.country.clone(),
            subdivision: place.subdivision.clone(),
        }
    };
    let zones = topology.regions.iter().flat_map(|region| {
        let place = of_region(&region.id);
        let zones = region.zones.iter();
        zones.map(move |zone| (zone.number, place.clone()))
    });
    // What DescribeSubnets tells of it.
    let zones = zones.map(|(zone, place)| {
        let block = address::subnet(plan.slot, zone).to_string();
        let block = block.parse().unwrap_or_else(|_| localhost());
        (zone, placed(block, &place))
    });
    let zones: BTreeMap<_, _> = zones.collect();
    let subnets = &topology.dns_clients.subnets;
    Clients {
        zones,
        outside: placed(localhost(), &topology.dns_clients.outside),
        subnets: subnets
            .iter()
            .map(|(block, place)| placed(*block, place))
            .collect(),
    }
}

fn localhost() -> Prefix {
    Prefix::new(Ipv4Addr::LOCALHOST.into(), 32)
}

fn of_region(region: &RegionId) -> Place {
    let country = country_of_region(region.as_str());
    let (country, subdivision) = country.unzip();
    Place {
        region: Some(region.clone()),
        continent: country.and_then(continent_of).map(str::to_owned),
        country: country.map(str::to_owned),
        subdivision: subdivision.flatten().map(str::to_owned),
    }
}
