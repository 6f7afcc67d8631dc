//! Which harm is in force and what follows from it: what a runtime must refuse, and what it must not report. Pure; shared by
//! the runtimes so that they can not differ. What it does to processes is theirs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::{InstanceId, ZoneId};
use crate::runtime::{Affliction, RuntimeError};

/// The afflictions in force. One that does not last, a kill, is never among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Afflictions(BTreeSet<Affliction>);

impl Afflictions {
    /// Notes harm; whether that changes anything.
    pub fn afflict(&mut self, affliction: &Affliction) -> bool {
        !matches!(affliction, Affliction::Kill(_)) && self.0.insert(affliction.clone())
    }

    /// Notes the end of harm; whether that changes anything.
    pub fn relieve(&mut self, affliction: &Affliction) -> bool {
        self.0.remove(affliction)
    }

    /// Whether this very affliction is in force.
    pub fn contains(&self, affliction: &Affliction) -> bool {
        self.0.contains(affliction)
    }

    /// All in force.
    pub fn iter(&self) -> impl Iterator<Item = &Affliction> {
        self.0.iter()
    }

    /// Whether the control plane's orders reach the zone's hosts.
    ///
    /// # Errors
    /// [`RuntimeError::InsufficientCapacity`] without power, which hides an isolation; [`RuntimeError::ZoneUnreachable`] when isolated.
    pub fn may_order(&self, zone: &ZoneId) -> Result<(), RuntimeError> {
        if self.dark(zone) {
            return Err(RuntimeError::InsufficientCapacity(zone.clone()));
        }
        if self.contains(&Affliction::Isolation(zone.clone())) {
            return Err(RuntimeError::ZoneUnreachable(zone.clone()));
        }
        Ok(())
    }

    /// Whether an instance may be started.
    ///
    /// # Errors
    /// Those of [`Self::may_order`]; [`RuntimeError::HeldStopped`] when it is kept from starting.
    pub fn may_start(&self, instance: &InstanceId, zone: &ZoneId) -> Result<(), RuntimeError> {
        self.may_order(zone)?;
        if self.holds(instance) {
            return Err(RuntimeError::HeldStopped(instance.clone()));
        }
        Ok(())
    }

    /// Whether what happens in the zone comes to the control plane's knowledge.
    pub fn reports(&self, zone: &ZoneId) -> bool {
        !self.dark(zone) && !self.contains(&Affliction::Isolation(zone.clone()))
    }

    /// Whether the instance is kept from starting.
    pub fn holds(&self, instance: &InstanceId) -> bool {
        self.contains(&Affliction::Stop(instance.clone()))
    }

    /// Whether the zone is without power.
    pub fn dark(&self, zone: &ZoneId) -> bool {
        self.contains(&Affliction::PowerLoss(zone.clone()))
    }

    /// Whether the instance is frozen.
    pub fn frozen(&self, instance: &InstanceId) -> bool {
        self.contains(&Affliction::Freeze(instance.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> ZoneId {
        ZoneId::from("a")
    }

    fn instance() -> InstanceId {
        InstanceId::from("web-1")
    }

    fn check(
        harm: &[Affliction],
        orders: Result<(), RuntimeError>,
        starts: Result<(), RuntimeError>,
        reports: bool,
    ) {
        let mut afflictions = Afflictions::default();
        for affliction in harm {
            afflictions.afflict(affliction);
        }
        assert_eq!(afflictions.may_order(&zone()), orders, "{harm:?}");
        assert_eq!(
            afflictions.may_start(&instance(), &zone()),
            starts,
            "{harm:?}"
        );
        assert_eq!(afflictions.reports(&zone()), reports, "{harm:?}");
        // Another zone and another instance never suffer.
        assert_eq!(afflictions.may_start(&"web-2".into(), &"b".into()), Ok(()));
        assert!(afflictions.reports(&"b".into()));
    }

    #[test]
    fn each_affliction_has_its_consequences() {
        let no_power = || Err(RuntimeError::InsufficientCapacity(zone()));
        let unreachable = || Err(RuntimeError::ZoneUnreachable(zone()));
        let held = || Err(RuntimeError::HeldStopped(instance()));
        check(&[], Ok(()), Ok(()), true);
        check(
            &[Affliction::PowerLoss(zone())],
            no_power(),
            no_power(),
            false,
        );
        check(
            &[Affliction::Isolation(zone())],
            unreachable(),
            unreachable(),
            false,
        );
        check(
            &[Affliction::Isolation(zone()), Affliction::PowerLoss(zone())],
            no_power(),
            no_power(),
            false,
        );
        check(&[Affliction::Stop(instance())], Ok(()), held(), true);
        check(&[Affliction::Freeze(instance())], Ok(()), Ok(()), true);
        check(&[Affliction::Kill(instance())], Ok(()), Ok(()), true);
    }

    #[test]
    fn twice_is_once_and_relief_ends_it() {
        let mut afflictions = Afflictions::default();
        let harm = Affliction::Stop(instance());
        assert!(afflictions.afflict(&harm));
        assert!(!afflictions.afflict(&harm));
        assert!(afflictions.relieve(&harm));
        assert!(!afflictions.relieve(&harm));
        assert_eq!(afflictions, Afflictions::default());
        assert!(
            !afflictions.afflict(&Affliction::Kill(instance())),
            "a kill does not last"
        );
    }

    #[test]
    fn what_is_stored_is_read_again() {
        let mut afflictions = Afflictions::default();
        afflictions.afflict(&Affliction::PowerLoss(zone()));
        afflictions.afflict(&Affliction::Freeze(instance()));
        let text = serde_json::to_string(&afflictions).unwrap();
        assert_eq!(text, r#"[{"power-loss":"a"},{"freeze":"web-1"}]"#);
        assert_eq!(
            serde_json::from_str::<Afflictions>(&text).unwrap(),
            afflictions
        );
    }
}
