//! The 10k tier, as its file says.

use std::sync::Arc;

use topologies::address::Slot;
use topologies::check::{Overrides, check_with};
use topologies::plan::{Plan, plan as lay_out};
use topologies::spec::ProfileSpec;

const FILE: &str = include_str!("../../../topologies/tier-10k.yaml");

/// Its plan.
pub(crate) fn plan() -> Arc<Plan> {
    plan_with(&Overrides::default())
}

/// Its plan with AWS's documented times.
pub(crate) fn plan_at_aws_pace() -> Arc<Plan> {
    plan_with(&Overrides {
        timing: Some(ProfileSpec::Aws),
        ..Overrides::default()
    })
}

fn plan_with(overrides: &Overrides) -> Arc<Plan> {
    let (topology, notes) = check_with(FILE, "tier-10k.yaml", overrides);
    let topology = topology.unwrap_or_else(|| panic!("the tier is sound: {notes:?}"));
    Arc::new(lay_out(&topology, Slot::new(64).expect("64 is a slot")))
}
