//! Identifiers in EC2's shapes of things that have none of their own: always the same for the same thing.
//!
//! Instances are called as in the topology, and by the identifier that is derived from that name.

use sha2::{Digest, Sha256};
use topologies::id::{InstanceId, ZoneId};
use topologies::topology::Topology;

/// Lower-case hexadecimal digits, at most 64, that follow from what they are for.
pub(super) fn derived(kind: &str, of: &str, digits: usize) -> String {
    let hash = Sha256::new()
        .chain_update(kind)
        .chain_update([0])
        .chain_update(of)
        .finalize();
    let mut derived = hex::encode(hash);
    derived.truncate(digits);
    derived
}

/// An instance's: `i-` and 17 hexadecimal digits (EC2 User Guide, "Resource IDs").
pub(super) fn instance(id: &InstanceId) -> String {
    format!("i-{}", derived("instance", id.as_str(), 17))
}

/// The VPC of a region, of which there is one.
pub(super) fn vpc(region: &str) -> String {
    format!("vpc-{}", derived("vpc", region, 17))
}

/// The subnet of a zone, of which there is one.
pub(super) fn subnet(zone: &ZoneId) -> String {
    format!("subnet-{}", derived("subnet", zone.as_str(), 17))
}

/// The application instance that is meant, by either of its names.
pub(super) fn find_instance<'a>(topology: &'a Topology, asked: &str) -> Option<&'a InstanceId> {
    let services = topology.services.iter();
    let mut instances = services.flat_map(|service| &service.instances);
    let found = instances.find(|it| it.id.as_str() == asked || instance(&it.id) == asked);
    found.map(|it| &it.id)
}
