//! Which zone or instance a target as written means: its whole name, a zone's letter, or a role's present holder.

use topologies::id::{InstanceId, ZoneId};
use topologies::nearest::nearest;
use topologies::plan::Plan;

use super::{FaultError, OUTSIDE};
use crate::presence::{Presence, Role, owner};

/// Replaces targets as written by targets in full.
pub(super) struct Resolver<'a> {
    pub(super) plan: &'a Plan,
    pub(super) presence: &'a Presence,
}

impl Resolver<'_> {
    pub(super) fn place(&self, zone: &mut ZoneId) -> Result<(), FaultError> {
        if zone.as_str() == OUTSIDE {
            return Ok(());
        }
        self.zone(zone)
    }

    pub(super) fn zone(&self, zone: &mut ZoneId) -> Result<(), FaultError> {
        if let Some(selected) = self.selected(zone.as_str())? {
            *zone = self
                .plan
                .instance(&selected)
                .expect("selected from the plan")
                .zone
                .clone();
            return Ok(());
        }
        if self.plan.topology.zone_number(zone).is_some() {
            return Ok(());
        }
        let letter = |region: &str| format!("{region}{zone}");
        let mut fitting: Vec<String> = self
            .plan
            .topology
            .regions
            .iter()
            .flat_map(|region| {
                let meant = letter(region.id.as_str());
                let zones = region.zones.iter();
                zones
                    .map(|zone| zone.id.to_string())
                    .filter(move |id| *id == meant)
            })
            .collect();
        match fitting.len() {
            0 => Err(self.unknown_zone(zone.as_str())),
            1 => {
                *zone = ZoneId::from(fitting.remove(0));
                Ok(())
            }
            _ => Err(FaultError::AmbiguousZone {
                zone: zone.to_string(),
                zones: fitting,
            }),
        }
    }

    fn unknown_zone(&self, zone: &str) -> FaultError {
        let zones = self.plan.topology.zones();
        let zones: Vec<&str> = zones.map(|zone| zone.id.as_str()).collect();
        FaultError::UnknownZone {
            suggestion: nearest(zone, &zones).map(str::to_owned),
            zone: zone.to_owned(),
            zones: zones.into_iter().map(str::to_owned).collect(),
        }
    }

    pub(super) fn instance(&self, instance: &mut InstanceId) -> Result<(), FaultError> {
        if let Some(selected) = self.selected(instance.as_str())? {
            *instance = selected;
            return Ok(());
        }
        if self.plan.instance(instance).is_some() {
            return Ok(());
        }
        let known = self.plan.instances.iter().map(|known| known.id.as_str());
        let known: Vec<&str> = known.collect();
        Err(FaultError::UnknownInstance {
            suggestion: nearest(instance.as_str(), &known).map(str::to_owned),
            instance: instance.to_string(),
        })
    }

    /// Whom `primary-of X` or `standby-of X` means; none if the text is no selector.
    fn selected(&self, text: &str) -> Result<Option<InstanceId>, FaultError> {
        let Some((selector, resource)) = text.split_once(' ') else {
            return Ok(None);
        };
        let resource = resource.trim();
        let (role, word) = match selector {
            "primary-of" => (Role::Primary, "primary"),
            "standby-of" => (Role::Standby, "standby"),
            _ => return Ok(None),
        };
        if let Some(instance) = self.presence.holder(self.plan, resource, role) {
            return Ok(Some(instance.id.clone()));
        }
        let owners: Vec<&str> = self.plan.instances.iter().filter_map(owner).collect();
        Err(if owners.contains(&resource) {
            FaultError::NobodyHasRole {
                resource: resource.to_owned(),
                role: word,
            }
        } else {
            FaultError::UnknownResource {
                resource: resource.to_owned(),
                suggestion: nearest(resource, &owners).map(str::to_owned),
            }
        })
    }
}
