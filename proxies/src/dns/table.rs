//! Every name with its addresses, as a hosts file wants them. Pure.

use std::net::Ipv4Addr;

use topologies::address::ZoneNumber;
use topologies::topology::RecordType;

use crate::dns::asker::{Asker, Rotation};
use crate::dns::zone::{Data, Resolution, resolve};
use crate::routes::Routes;

/// What the resolver of `view` answers to the first question for each name: the same for the same routes. Wildcards and names
/// without an address are left out.
pub fn addresses(routes: &Routes, view: ZoneNumber) -> Vec<(&str, Vec<Ipv4Addr>)> {
    let names = routes.names.keys().filter(|name| !name.starts_with('*'));
    let answered = names.filter_map(|name| {
        let mut rotation = Rotation::default();
        let mut asker = Asker::new(&routes.clients, view, None, &mut rotation);
        let wanted = Some(RecordType::A);
        let Resolution::Found(found) = resolve(routes, name, wanted, &mut asker) else {
            return None;
        };
        let addresses = found.into_iter().filter_map(|found| match found.data {
            Data::A(address) => Some(address),
            Data::Cname(_) | Data::Other(..) => None,
        });
        let addresses: Vec<Ipv4Addr> = addresses.collect();
        (!addresses.is_empty()).then_some((name.as_str(), addresses))
    });
    answered.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use topologies::address::{HostAddress, Slot};

    use super::*;
    use crate::routes::{Apex, Candidate, Part, Policy, RecordSet, Value};

    fn host(zone: usize) -> HostAddress {
        HostAddress {
            slot: Slot::new(90).unwrap(),
            zone: ZoneNumber::zone(zone).unwrap(),
            host: 10,
        }
    }

    fn routes() -> Routes {
        let simple = |value| {
            let kind = match value {
                Value::Cname(_) => RecordType::Cname,
                Value::Data(_) => RecordType::Txt,
                Value::Host(_) | Value::Address(_) | Value::Alias(_) => RecordType::A,
            };
            vec![RecordSet::simple(kind, Duration::from_secs(5), vec![value])]
        };
        let nodes = [(1, false), (2, true), (3, true)].map(|(zone, healthy)| Candidate {
            healthy,
            ttl: Duration::from_secs(60),
            part: Part::Any,
            values: vec![Value::Host(host(zone))],
        });
        let balancer = RecordSet {
            kind: RecordType::A,
            policy: Policy::HealthyNodes,
            candidates: nodes.to_vec(),
        };
        Routes {
            apexes: vec![Apex {
                name: "shop.internal".to_owned(),
                soa_ttl: Duration::from_secs(900),
                soa_minimum: Duration::from_secs(60),
                soa: None,
            }],
            names: BTreeMap::from([
                (
                    "orders.shop.internal".to_owned(),
                    simple(Value::Host(host(1))),
                ),
                (
                    "db.shop.internal".to_owned(),
                    simple(Value::Cname("Orders.shop.internal".to_owned())),
                ),
                ("site.shop.internal".to_owned(), vec![balancer]),
                (
                    "www.shop.internal".to_owned(),
                    simple(Value::Alias("site.shop.internal".to_owned())),
                ),
                (
                    "txt.shop.internal".to_owned(),
                    simple(Value::Data(b"\x03v=1".as_slice().into())),
                ),
                ("*.shop.internal".to_owned(), simple(Value::Host(host(2)))),
                (
                    "gone.shop.internal".to_owned(),
                    simple(Value::Cname("elsewhere.example".to_owned())),
                ),
            ]),
            ..Routes::default()
        }
    }

    fn check(view: ZoneNumber, expected: &[(&str, &[&str])]) {
        let routes = routes();
        let found: Vec<(&str, Vec<String>)> = addresses(&routes, view)
            .into_iter()
            .map(|(name, found)| (name, found.iter().map(ToString::to_string).collect()))
            .collect();
        let expected: Vec<(&str, Vec<String>)> = expected
            .iter()
            .map(|(name, them)| (*name, them.iter().map(|it| (*it).to_owned()).collect()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn every_view_has_its_own_form_of_the_addresses() {
        check(
            ZoneNumber::OUTSIDE,
            &[
                ("db.shop.internal", &["127.90.1.10"]),
                ("orders.shop.internal", &["127.90.1.10"]),
                ("site.shop.internal", &["127.90.2.10", "127.90.3.10"]),
                ("www.shop.internal", &["127.90.2.10", "127.90.3.10"]),
            ],
        );
        check(
            ZoneNumber::zone(2).unwrap(),
            &[
                ("db.shop.internal", &["127.90.33.10"]),
                ("orders.shop.internal", &["127.90.33.10"]),
                ("site.shop.internal", &["127.90.34.10", "127.90.35.10"]),
                ("www.shop.internal", &["127.90.34.10", "127.90.35.10"]),
            ],
        );
    }
}
