//! Route 53's part of a topology that is written out.

use serde_json::{Map, Value as Json, json};

use super::{period, protocol};
use crate::rdata::{is_quoted, quoted};
use crate::topology::{
    DnsClients, EndpointCheck, FailoverRole, HealthCheck, HealthCheckKind, HostedZone, Location,
    Place, Protocol, Proximity, Record, RecordType, RecordValue, Routing,
};

/// A hosted zone. What its apex has of itself is left out: a file has no words for it.
pub(super) fn hosted_zone(zone: &HostedZone, own: &[(String, String)]) -> Json {
    let apex = [RecordType::Ns, RecordType::Soa];
    let of_file = |it: &&Record| it.name != zone.name || !apex.contains(&it.value.kind());
    let records = zone.records.iter().filter(of_file);
    let records = records.map(|one| record(one, own));
    json!({ "records": records.collect::<Vec<_>>() })
}

/// The name as a reference to the endpoint that has it, or that it is below; as it is if it is nothing of the stack.
fn referred(name: &str, own: &[(String, String)]) -> String {
    let reference = own.iter().find_map(|(address, reference)| {
        let before = name.strip_suffix(address.as_str())?;
        (before.is_empty() || before.ends_with('.')).then(|| format!("{before}${{{reference}}}"))
    });
    reference.unwrap_or_else(|| name.to_owned())
}

fn record(record: &Record, own: &[(String, String)]) -> Json {
    let Record {
        name,
        value,
        ttl,
        set_identifier,
        routing: by,
        health_check,
    } = record;
    let ttl = period(*ttl);
    let kind = value.kind().as_str();
    // With its final dot, a name is never taken for a load balancer's.
    let alias = |name: &str| {
        if name.contains('.') {
            name.to_owned()
        } else {
            format!("{name}.")
        }
    };
    let plain = |values: Json| json!({ "name": name, "type": kind, "values": values, "ttl": ttl });
    let mut entry = match value {
        RecordValue::A(addresses) => plain(json!(addresses)),
        RecordValue::Cname(target) => plain(json!([referred(target, own)])),
        RecordValue::Txt(texts) => {
            // In quotation marks where it could be taken for one that has them.
            let marked = texts.iter().any(|it| is_quoted(it));
            let texts = texts
                .iter()
                .map(|it| if marked { quoted(it) } else { it.clone() });
            plain(texts.collect())
        }
        RecordValue::Data(_, values) => plain(json!(values)),
        RecordValue::AliasLoadBalancer {
            load_balancer,
            evaluate_target_health,
            kind: _,
        } => json!({
            "name": name, "type": kind,
            "alias": load_balancer.as_str(), "evaluate-target-health": evaluate_target_health,
        }),
        RecordValue::AliasRecord {
            name: target,
            evaluate_target_health,
            kind: _,
        } => json!({
            "name": name, "type": kind,
            "alias": alias(target), "evaluate-target-health": evaluate_target_health,
        }),
    };
    entry["set-identifier"] = json!(set_identifier);
    entry["health-check"] = json!(health_check);
    if let Some((field, value)) = routing(by) {
        entry[field] = value;
    }
    entry
}

/// The field that says a record's routing policy.
fn routing(routing: &Routing) -> Option<(&'static str, Json)> {
    Some(match routing {
        Routing::Simple => return None,
        Routing::Failover(FailoverRole::Primary) => ("failover", json!("PRIMARY")),
        Routing::Failover(FailoverRole::Secondary) => ("failover", json!("SECONDARY")),
        Routing::Weighted(weight) => ("weight", json!(weight)),
        Routing::MultiValue => ("multivalue-answer", json!(true)),
        Routing::Latency(region) => ("region", json!(region)),
        Routing::Geolocation(location) => {
            let location = match location {
                Location::Default => json!({ "country": "*" }),
                Location::Continent(code) => json!({ "continent": code }),
                Location::Country(code) => json!({ "country": code }),
                Location::Subdivision(country, code) => {
                    json!({ "country": country, "subdivision": code })
                }
            };
            ("geolocation", location)
        }
        Routing::Geoproximity(Proximity {
            region,
            coordinates,
            bias,
        }) => {
            let place = coordinates.map(crate::geography::Coordinates::written);
            let (latitude, longitude) = place.unzip();
            let place = json!({
                "region": region, "latitude": latitude, "longitude": longitude, "bias": bias,
            });
            ("geoproximity", place)
        }
        Routing::Cidr {
            collection,
            location,
        } => (
            "cidr",
            json!({ "collection": collection, "location": location }),
        ),
    })
}

pub(super) fn health_check(check: &HealthCheck, names: &[(String, String)]) -> Json {
    let HealthCheck {
        id: _,
        kind,
        inverted,
        disabled,
    } = check;
    let mut entry = match kind {
        HealthCheckKind::Endpoint(check) => endpoint(check, names),
        HealthCheckKind::Calculated {
            children,
            threshold,
        } => json!({
            "type": "CALCULATED",
            "child-health-checks": children,
            "health-threshold": threshold,
        }),
        HealthCheckKind::Alarm(check) => json!({
            "type": "CLOUDWATCH_METRIC",
            "alarm": { "name": check.alarm, "region": check.region },
            "insufficient-data-health-status": check.insufficient_data.as_str(),
        }),
    };
    // What is off by default needs no words.
    entry["inverted"] = json!(inverted.then_some(true));
    entry["disabled"] = json!(disabled.then_some(true));
    entry
}

fn endpoint(check: &EndpointCheck, names: &[(String, String)]) -> Json {
    let EndpointCheck {
        address,
        fully_qualified_domain_name,
        port,
        protocol: own,
        resource_path,
        search_string,
        request_interval,
        failure_threshold,
    } = check;
    let kind = match search_string {
        Some(_) => "HTTP_STR_MATCH",
        None => protocol(*own),
    };
    let name = fully_qualified_domain_name.as_ref();
    json!({
        "type": kind,
        "fully-qualified-domain-name": name.map(|name| referred(name, names)),
        "ip-address": address,
        "port": port,
        "resource-path": (*own == Protocol::Http).then_some(resource_path),
        "search-string": search_string,
        "request-interval": period(*request_interval),
        "failure-threshold": failure_threshold,
    })
}

pub(super) fn dns_clients(clients: &DnsClients) -> Json {
    let place = |place: &Place| {
        json!({
            "region": place.region,
            "continent": place.continent,
            "country": place.country,
            "subdivision": place.subdivision,
        })
    };
    let mut entries = Map::new();
    if clients.outside != Place::default() {
        entries.insert("outside".to_owned(), place(&clients.outside));
    }
    entries.extend(
        clients
            .subnets
            .iter()
            .map(|(block, it)| (block.to_string(), place(it))),
    );
    Json::Object(entries)
}
