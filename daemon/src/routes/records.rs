//! Hosted zones as the resolvers serve them: each record beside those of its name and type, with its part in their policy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proxies::routes::{Apex, Candidate, Part, Policy, RecordSet, Value};
use topologies::geography::coordinates;
use topologies::plan::{EndpointKind, Plan};
use topologies::rdata;
use topologies::topology::{HostedZone, Record, RecordType, RecordValue, Routing, Topology};
use topologies::world::World;

use super::health::Healthy;

/// With AWS's timing: the minimum of Route 53's SOA records. Negative answers last no longer than the record itself, 900 s
/// (aws-behaviour §6.1).
const SOA_MINIMUM: Duration = Duration::from_secs(86_400);
/// The SOA record's TTL (aws-behaviour §6.1).
const SOA_TTL: Duration = Duration::from_secs(900);

pub(super) fn hosted_zone_records(
    plan: &Plan,
    world: &World,
    zone: &HostedZone,
    names: &mut BTreeMap<String, Vec<RecordSet>>,
) {
    let mut sets: BTreeMap<(&str, RecordType), Vec<&Record>> = BTreeMap::new();
    for record in &zone.records {
        let key = (record.name.as_str(), record.value.kind());
        sets.entry(key).or_default().push(record);
    }
    let mut healthy = Healthy::new(plan, world, zone);
    for ((name, kind), records) in sets {
        // That of an apex is its own: see `apexes`.
        if kind == RecordType::Soa {
            continue;
        }
        let candidates = records.iter().map(|record| Candidate {
            healthy: healthy.is(record),
            ttl: record.ttl,
            part: part(&plan.topology, &record.routing),
            values: values(plan, &record.value),
        });
        let set = RecordSet {
            kind,
            policy: records
                .first()
                .map_or(Policy::Simple, |it| policy(&it.routing)),
            candidates: candidates.collect(),
        };
        names.entry(name.to_owned()).or_default().push(set);
    }
}

fn policy(routing: &Routing) -> Policy {
    match routing {
        Routing::Simple => Policy::Simple,
        Routing::Failover(_) => Policy::Failover,
        Routing::Weighted(_) => Policy::Weighted,
        Routing::MultiValue => Policy::MultiValue,
        Routing::Latency(_)
        | Routing::Geolocation(_)
        | Routing::Geoproximity(_)
        | Routing::Cidr { .. } => Policy::Suited,
    }
}

fn part(topology: &Topology, routing: &Routing) -> Part {
    match routing {
        Routing::Simple | Routing::MultiValue => Part::Any,
        Routing::Failover(role) => Part::Failover(*role),
        Routing::Weighted(weight) => Part::Weight(*weight),
        Routing::Latency(region) => Part::Region(region.clone(), coordinates(region.as_str())),
        Routing::Geolocation(location) => Part::Location(location.clone()),
        Routing::Geoproximity(proximity) => {
            let of_region = proximity.region.as_ref();
            let of_region = of_region.and_then(|region| coordinates(region.as_str()));
            // Without a place, it is nobody's.
            let at = proximity.coordinates.or(of_region);
            at.map_or(Part::Blocks(Vec::new()), |at| {
                Part::Near(at, proximity.bias)
            })
        }
        Routing::Cidr { location, .. } if location == "*" => Part::OtherBlocks,
        Routing::Cidr {
            collection,
            location,
        } => {
            let mut all = topology.cidr_collections.iter();
            let collection = all.find(|it| it.name == *collection);
            let blocks = collection.and_then(|it| it.locations.get(location));
            Part::Blocks(blocks.cloned().unwrap_or_default())
        }
    }
}

fn values(plan: &Plan, value: &RecordValue) -> Vec<Value> {
    let data = |kind: RecordType, text: &str| {
        // What was checked when it was written can be read.
        let data = rdata::encode(kind, text).ok()?;
        Some(Value::Data(Arc::from(data)))
    };
    match value {
        RecordValue::A(addresses) => addresses
            .iter()
            .map(|address| Value::Address(*address))
            .collect(),
        RecordValue::Cname(name) => vec![Value::Cname(name.clone())],
        RecordValue::Txt(texts) => {
            let quoted = texts.iter().map(|text| rdata::texts(text));
            quoted
                .filter_map(|text| data(RecordType::Txt, &text))
                .collect()
        }
        RecordValue::Data(kind, texts) => {
            texts.iter().filter_map(|text| data(*kind, text)).collect()
        }
        RecordValue::AliasRecord { name, .. } => vec![Value::Alias(name.clone())],
        RecordValue::AliasLoadBalancer { load_balancer, .. } => {
            let of_this = |kind: &EndpointKind| matches!(kind, EndpointKind::Alb(id) | EndpointKind::Nlb(id) if id == load_balancer);
            let endpoint = plan
                .endpoints
                .iter()
                .find(|endpoint| of_this(&endpoint.kind));
            endpoint
                .map(|endpoint| Value::Alias(endpoint.name.clone()))
                .into_iter()
                .collect()
        }
    }
}

/// The minimum of the SOA record of every zone.
pub fn soa_minimum(topology: &Topology) -> Duration {
    if topology.timing.profile == "aws" {
        SOA_MINIMUM
    } else {
        topology.timing.load_balancer_ttl
    }
}

pub(super) fn apexes(plan: &Plan) -> Vec<Apex> {
    let soa_minimum = soa_minimum(&plan.topology);
    let apex = |name: &str| Apex {
        name: name.to_owned(),
        soa_ttl: SOA_TTL,
        soa_minimum,
        soa: None,
    };
    let hosted = plan.topology.hosted_zones.iter().map(|zone| {
        let apex = apex(&zone.name);
        let mut records = zone.records.iter();
        let own = records.find_map(|record| Some((record.ttl, soa_of(record)?)));
        match own {
            Some((ttl, (data, minimum))) => Apex {
                soa_ttl: ttl,
                soa_minimum: minimum,
                soa: Some(data),
                ..apex
            },
            None => apex,
        }
    });
    hosted.chain([apex(&plan.topology.suffix)]).collect()
}

/// The data of an SOA record, and the minimum in them.
fn soa_of(record: &Record) -> Option<(Arc<[u8]>, Duration)> {
    let RecordValue::Data(RecordType::Soa, texts) = &record.value else {
        return None;
    };
    let text = texts.first()?;
    let minimum = text.split_ascii_whitespace().last()?.parse().ok()?;
    let data = rdata::encode(RecordType::Soa, text).ok()?;
    Some((Arc::from(data), Duration::from_secs(minimum)))
}
