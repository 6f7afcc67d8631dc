//! Identifiers that EC2 gives, derived from ours: the same thing has the same one in every call, and in every life of the stack.

use sha2::{Digest, Sha256};
use topologies::id::{InstanceId, ZoneId};
use topologies::plan::{Instance, Plan};
use topologies::topology::{Region, Service};

/// Hexadecimal digits of EC2's longer identifiers (EC2 User Guide, "Resource IDs").
const DIGITS: usize = 17;

/// `prefix-` and 17 digits that depend on `name` alone.
pub(super) fn derived(prefix: &str, name: &str) -> String {
    format!("{prefix}-{}", digits(prefix, name, DIGITS))
}

/// So many hexadecimal digits, at most 64, that depend on what kind of thing it is and its name alone.
pub(super) fn digits(kind: &str, name: &str, count: usize) -> String {
    let mut digits = hex::encode(Sha256::digest(format!("{kind}/{name}")));
    digits.truncate(count);
    digits
}

/// The instance id of an application instance. One that EC2 was asked to run is named by it.
pub(super) fn instance(id: &InstanceId) -> String {
    if is_one(id.as_str(), "i") {
        id.to_string()
    } else {
        derived("i", id.as_str())
    }
}

/// The application instance with this instance id, or with this name of ours.
pub(super) fn find_instance<'p>(plan: &'p Plan, id: &str) -> Option<&'p Instance> {
    let services = plan.topology.services.iter();
    let mut members = services.flat_map(|service| &service.instances);
    let member = members.find(|it| it.id.as_str() == id || instance(&it.id) == id)?;
    plan.instance(&member.id)
}

/// 32 digits in the form of a UUID.
pub(super) fn hyphenated(digits: &str) -> String {
    [0..8, 8..12, 12..16, 16..20, 20..32]
        .map(|part| &digits[part])
        .join("-")
}

/// The image of a service: what its instances run.
pub(super) fn image(service: &Service) -> String {
    let Service {
        id: _,
        instances: _,
        command,
        image,
        port,
        environment,
    } = service;
    let content = serde_json::json!([command, image, port, environment]);
    derived("ami", &content.to_string())
}

/// The default VPC of a region.
pub(super) fn vpc(region: &str) -> String {
    derived("vpc", region)
}

/// The default subnet of a zone.
pub(super) fn subnet(zone: &ZoneId) -> String {
    derived("subnet", zone.as_str())
}

/// The default security group of a region's VPC.
pub(super) fn security_group(region: &str) -> String {
    derived("sg", region)
}

/// The id of a zone, `apne2-az1` for `ap-northeast-2a`: AWS's short name of the region, and the letter as a number ("AZ IDs"). Which
/// letter has which number is an account's own affair; here they go together.
pub(super) fn zone(zone: &ZoneId) -> String {
    const DIRECTIONS: [(&str, &str); 9] = [
        ("northeast", "ne"),
        ("northwest", "nw"),
        ("southeast", "se"),
        ("southwest", "sw"),
        ("central", "c"),
        ("north", "n"),
        ("south", "s"),
        ("east", "e"),
        ("west", "w"),
    ];
    let name = zone.as_str();
    let (region, letter) = name.split_at(name.len().saturating_sub(1));
    let parts = region.split('-').map(|part| {
        let known = DIRECTIONS.iter().find(|(word, _)| *word == part);
        match part {
            // us-gov-west-1 is usgw1.
            "gov" => "g",
            _ => known.map_or(part, |(_, short)| short),
        }
    });
    let number = letter
        .bytes()
        .next()
        .map_or(1, |letter| letter.wrapping_sub(b'a') + 1);
    format!("{}-az{number}", parts.collect::<String>())
}

/// The zone of a region with this name or id.
pub(super) fn find_zone<'r>(region: &'r Region, named: &str) -> Option<&'r ZoneId> {
    let zones = region.zones.iter().map(|it| &it.id);
    zones
        .into_iter()
        .find(|it| it.as_str() == named || zone(it) == named)
}

/// Whether it has the form of an id with this prefix.
pub(super) fn is_one(id: &str, prefix: &str) -> bool {
    let digits = id.strip_prefix(prefix).and_then(|it| it.strip_prefix('-'));
    digits.is_some_and(|it| it.len() == DIGITS && it.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::zone;

    #[test]
    fn ids_of_zones_are_aws_s() {
        for (name, id) in [
            ("us-east-1a", "use1-az1"),
            ("ap-northeast-2c", "apne2-az3"),
            ("ap-southeast-1b", "apse1-az2"),
            ("eu-central-1a", "euc1-az1"),
            ("us-gov-west-1a", "usgw1-az1"),
        ] {
            assert_eq!(zone(&name.into()), id);
        }
    }
}
