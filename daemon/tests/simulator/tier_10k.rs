//! The 10k tier, as its file says.

use std::sync::Arc;

use topologies::address::Slot;
use topologies::check::check;
use topologies::plan::{Plan, plan as lay_out};

const FILE: &str = include_str!("../../../topologies/tier-10k.yaml");

/// Its plan.
pub(crate) fn plan() -> Arc<Plan> {
    let (topology, notes) = check(FILE, "tier-10k.yaml");
    let topology = topology.unwrap_or_else(|| panic!("the tier is sound: {notes:?}"));
    Arc::new(lay_out(&topology, Slot::new(64).expect("64 is a slot")))
}
