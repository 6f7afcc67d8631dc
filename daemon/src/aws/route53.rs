//! Route 53: hosted zones, their records, and health checks. What is changed here is what the stack's resolvers answer.
//!
//! After its API reference and aws-behaviour §6. Built are records of all types and routing policies, aliases to load balancers and to
//! records of the same zone, CIDR collections, and health checks over HTTP and TCP, of alarms and of other health checks. What asks
//! for anything else is refused as not implemented. A zone is its name here: there is one of each.

mod changes;
mod cidr;
pub(super) mod health_checks;
mod pages;
mod propagation;
mod records;
mod routing;
mod tags;
mod zones;

use topologies::id::RegionId;
use topologies::topology::HostedZone;
use wire::Fault;

use super::{Handler, Operations, View, ids};

pub(super) const OPERATIONS: Operations = &[
    ("ChangeCidrCollection", Handler::Change(cidr::change)),
    ("ChangeResourceRecordSets", Handler::Change(changes::change)),
    ("ChangeTagsForResource", Handler::Change(tags::change)),
    ("CreateCidrCollection", Handler::Change(cidr::create)),
    ("CreateHealthCheck", Handler::Change(health_checks::create)),
    ("CreateHostedZone", Handler::Change(zones::create)),
    ("DeleteCidrCollection", Handler::Change(cidr::delete)),
    ("DeleteHealthCheck", Handler::Change(health_checks::delete)),
    ("DeleteHostedZone", Handler::Change(zones::delete)),
    ("GetChange", Handler::Read(propagation::get_change)),
    ("GetHealthCheck", Handler::Read(health_checks::get)),
    ("GetHealthCheckCount", Handler::Read(health_checks::count)),
    ("GetHealthCheckStatus", Handler::Read(health_checks::status)),
    ("GetHostedZone", Handler::Read(zones::get)),
    ("GetHostedZoneCount", Handler::Read(zones::count)),
    ("ListCidrBlocks", Handler::Read(cidr::blocks)),
    ("ListCidrCollections", Handler::Read(cidr::list)),
    ("ListCidrLocations", Handler::Read(cidr::locations)),
    ("ListHealthChecks", Handler::Read(health_checks::list)),
    ("ListHostedZones", Handler::Read(zones::list)),
    ("ListHostedZonesByName", Handler::Read(zones::list_by_name)),
    ("ListResourceRecordSets", Handler::Read(records::list)),
    ("ListTagsForResource", Handler::Read(tags::list)),
    ("UpdateHealthCheck", Handler::Change(health_checks::update)),
];

pub(crate) use health_checks::uuid as health_check_id;

/// What records of zones and health checks are kept under: neither belongs to a region.
fn nowhere() -> RegionId {
    RegionId::from("aws-global")
}

/// `Z` and capitals and digits.
fn zone_id(zone: &HostedZone) -> String {
    let digits = ids::digits("hostedzone", &zone.name, 19);
    format!("Z{}", digits.to_ascii_uppercase())
}

/// A zone by its id, with or without `/hostedzone/` before it.
fn find_zone<'a>(view: &View<'a>, id: &str) -> Result<&'a HostedZone, Fault> {
    let bare = id.trim_start_matches("/hostedzone/");
    let mut zones = view.topology().hosted_zones.iter();
    zones.find(|zone| zone_id(zone) == bare).ok_or_else(|| {
        let text = format!("No hosted zone found with ID: {bare}");
        view.fault("NoSuchHostedZone", text)
    })
}

/// A name as Route 53 shows it: with its final dot.
fn dotted(name: &str) -> String {
    format!("{name}.")
}

/// By what Route 53 sorts names: the labels from the last to the first, each with a dot behind it (ListResourceRecordSets).
fn order(name: &str) -> String {
    name.rsplit('.').flat_map(|label| [label, "."]).collect()
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn s6_1_names_are_sorted_from_their_end() {
        let mut names = [
            "www.shop.internal",
            "a.b.shop.internal",
            "shop.internal",
            "b.shop.internal",
        ];
        names.sort_by_key(|name| order(name));
        assert_eq!(
            names,
            [
                "shop.internal",
                "b.shop.internal",
                "a.b.shop.internal",
                "www.shop.internal"
            ]
        );
    }
}
