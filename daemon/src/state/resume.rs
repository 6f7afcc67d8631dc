//! Whether a stack that was up may be taken over as it is asked for now. The only place that compares the two.

use topologies::address::Slot;
use topologies::check::{Overrides, check_with};
use topologies::id::StackId;
use topologies::plan::{Plan, difference, plan};
use topologies::spec::ProfileSpec;

use super::{Record, StateError, Wanted};

/// Refuses another runtime, which would leave the instances of the first to nobody, and another plan, which data and instances
/// that are there do not follow.
pub(super) fn check(old: &Record, wanted: &Wanted) -> Result<(), StateError> {
    if let Some(runtime) = old.runtime
        && !wanted.wish.candidates().contains(&runtime)
    {
        return Err(StateError::OtherRuntime {
            name: wanted.name.clone(),
            runtime,
        });
    }
    if old.topology == wanted.topology && old.timing == wanted.timing {
        return Ok(());
    }
    let before = planned(&old.name, &old.topology, old.timing.as_deref());
    let after = planned(&wanted.name, &wanted.topology, wanted.timing.as_deref());
    let differences = match (before, after) {
        (Some(before), Some(after)) => difference(&before, &after),
        (None, _) => vec!["this version can not read what it was brought up with".to_owned()],
        // Whoever asks has checked the text; it is no plan of this version's either way.
        (Some(_), None) => vec!["it is no topology".to_owned()],
    };
    if differences.is_empty() {
        return Ok(());
    }
    Err(StateError::OtherPlan {
        name: wanted.name.clone(),
        differences,
    })
}

/// The plan on a slot of no importance: a stack may get another one each time.
fn planned(name: &StackId, text: &str, timing: Option<&str>) -> Option<Plan> {
    let timing = match timing {
        None => None,
        Some("fast") => Some(ProfileSpec::Fast),
        Some("aws") => Some(ProfileSpec::Aws),
        Some(_) => return None,
    };
    let overrides = Overrides {
        name: Some(name.clone()),
        timing,
    };
    let (topology, _) = check_with(text, name.as_str(), &overrides);
    Some(plan(&topology?, Slot::new(Slot::MIN)?))
}
