//! Identifiers that EC2 gives, derived from ours: the same thing has the same one in every call, and in every life of the stack.

use sha2::{Digest, Sha256};
use topologies::id::{InstanceId, ZoneId};
use topologies::plan::{Instance, Plan};
use topologies::topology::Service;

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

/// Whether it has the form of an id with this prefix.
pub(super) fn is_one(id: &str, prefix: &str) -> bool {
    let digits = id.strip_prefix(prefix).and_then(|it| it.strip_prefix('-'));
    digits.is_some_and(|it| it.len() == DIGITS && it.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
