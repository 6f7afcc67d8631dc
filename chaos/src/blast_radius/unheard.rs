//! Primaries that run, and that the control plane hears nothing of: it asks from outside of the zones.

use std::time::Duration;

use topologies::id::ZoneId;
use topologies::plan::{Instance, InstanceKind, Plan};

use super::Consequence;
use crate::fault::{Direction, OUTSIDE};
use crate::presence::{Presence, Role, owner};

/// Those that a broken link hides from the control plane. Either direction is enough: a question unheard and an answer unheard are
/// the same silence.
pub(super) fn primaries(
    from: &ZoneId,
    to: &ZoneId,
    plan: &Plan,
    presence: &Presence,
) -> Vec<Consequence> {
    let zone = match (from.as_str() == OUTSIDE, to.as_str() == OUTSIDE) {
        (true, false) => to,
        (false, true) => from,
        (true, true) | (false, false) => return Vec::new(),
    };
    let hidden = plan.instances.iter().filter(|one| one.zone == *zone);
    let hidden = hidden.filter(|one| presence.serves(one));
    let primaries = hidden.filter(|one| presence.role(&one.id) == Some(Role::Primary));
    let told = primaries.filter_map(|primary| {
        Some(Consequence::PrimaryUnheard {
            resource: owner(primary)?.to_owned(),
            primary: primary.id.clone(),
            successors: successors(primary, plan, presence)
                .map(|one| one.id.clone())
                .collect(),
        })
    });
    told.collect()
}

/// Whether answers to the control plane come after it has stopped waiting.
pub(super) fn too_late(latency: Duration, direction: Direction, plan: &Plan) -> bool {
    let ways = match direction {
        Direction::OneWay => 1,
        Direction::BothWays => 2,
    };
    latency.saturating_mul(ways) >= plan.topology.timing.probe_timeout
}

/// Who may be promoted in its place: hosts of other zones that run, and lack nothing that RDS would miss.
fn successors<'a>(
    primary: &'a Instance,
    plan: &'a Plan,
    presence: &'a Presence,
) -> impl Iterator<Item = &'a Instance> {
    let wanted = match &primary.kind {
        InstanceKind::DbHost(_) => Some(Role::Standby),
        InstanceKind::CacheNode(group) => {
            let mut groups = plan.topology.replication_groups.iter();
            let group = groups.find(|one| one.id == *group);
            group
                .is_some_and(|group| group.automatic_failover)
                .then_some(Role::Replica)
        }
        InstanceKind::App(_) => None,
    };
    plan.instances.iter().filter(move |one| {
        one.kind == primary.kind
            && one.zone != primary.zone
            && wanted.is_some()
            && presence.role(&one.id) == wanted
            && presence.serves(one)
            && !presence.out_of_sync.contains(&one.id)
    })
}
