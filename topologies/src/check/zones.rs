//! Regions, zones, and what stands in them.

use std::collections::{BTreeMap, BTreeSet};

use super::Checker;
use crate::address::ZoneNumber;
use crate::id::{RegionId, ZoneId};
use crate::notes::Span;
use crate::plan;
use crate::spec::At;
use crate::topology::{Region, Topology, Zone};

/// The declared regions, with zone numbers over all of them in the file's order.
pub(super) fn regions(checker: &mut Checker<'_>) -> Vec<Region> {
    let spec = checker.spec;
    let mut declared: Vec<(&At<String>, &[At<String>])> = Vec::new();
    match (&spec.region, &spec.availability_zones) {
        (Some(region), Some(zones)) => declared.push((region, &zones.value)),
        (Some(region), None) => checker.error_with(
            region.span,
            format!("region `{}` has no Availability Zones", region.value),
            "add `availability-zones: [a, b, c]`",
        ),
        (None, Some(zones)) => checker.error_with(
            zones.span,
            "these Availability Zones belong to no region",
            "add `region: ap-northeast-2`",
        ),
        (None, None) if spec.regions.0.is_empty() => checker.error_with(
            Span::START,
            "this file declares no region",
            "add `region: ap-northeast-2` and `availability-zones: [a, b]`",
        ),
        (None, None) => {}
    }
    if let (Some((region, _)), Some(other)) = (spec.regions.0.first(), &spec.region) {
        checker.error_with(
            other.span,
            "`region` and `regions` are both given",
            format!("move its zones below `regions`, beside `{}`", region.value),
        );
    }
    declared.extend(
        spec.regions
            .iter()
            .map(|(region, zones)| (region, zones.value.as_slice())),
    );
    let mut numbers = 0;
    declared
        .into_iter()
        .map(|(region, zones)| one_region(checker, region, zones, &mut numbers))
        .collect()
}

fn one_region(
    checker: &mut Checker<'_>,
    region: &At<String>,
    written: &[At<String>],
    numbers: &mut usize,
) -> Region {
    if !is_region(&region.value) {
        checker.error_with(
            region.span,
            format!("`{}` is not a region", region.value),
            "regions are named like `ap-northeast-2`",
        );
    }
    if written.is_empty() {
        checker.error(
            region.span,
            format!("region `{}` has no zones", region.value),
        );
    }
    let mut zones = Vec::new();
    let mut seen = BTreeSet::new();
    for zone in written {
        let letter = zone
            .value
            .strip_prefix(region.value.as_str())
            .unwrap_or(&zone.value);
        if letter.len() != 1 || !letter.bytes().all(|b| b.is_ascii_lowercase()) {
            let message = format!("`{}` is not a zone of {}", zone.value, region.value);
            checker.error_with(
                zone.span,
                message,
                format!("write `a` or `{}a`", region.value),
            );
            continue;
        }
        let id = ZoneId::from(format!("{}{letter}", region.value));
        if !seen.insert(id.clone()) {
            checker.error(zone.span, format!("zone `{id}` is here twice"));
            continue;
        }
        *numbers += 1;
        match ZoneNumber::zone(*numbers) {
            Some(number) => zones.push(Zone { id, number }),
            None => checker.error_with(
                zone.span,
                format!("zone `{id}` is one too many"),
                format!("a stack has addresses for {} zones", ZoneNumber::MAX_ZONES),
            ),
        }
    }
    Region {
        id: RegionId::from(region.value.as_str()),
        zones,
    }
}

/// `ap-northeast-2`, `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [area, middle @ .., number] = parts.as_slice() else {
        return false;
    };
    let letters = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    area.len() == 2
        && letters(area)
        && !middle.is_empty()
        && middle.iter().all(|part| letters(part))
        && text.len() <= 24
        && number.len() == 1
        && number.bytes().all(|b| b.is_ascii_digit())
}

impl Checker<'_> {
    /// The zone that is written as a whole name, or where there is one region as a letter.
    pub(super) fn zone(&mut self, written: &At<String>) -> Option<ZoneId> {
        let alone = self.regions.len() == 1;
        let all = || {
            self.regions
                .iter()
                .flat_map(|region| region.zones.iter().map(move |z| (region, z)))
        };
        let is_meant = |region: &Region, zone: &Zone| {
            let id = zone.id.as_str();
            id == written.value
                || (alone && id.strip_prefix(region.id.as_str()) == Some(&written.value))
        };
        if let Some((_, zone)) = all().find(|(region, zone)| is_meant(region, zone)) {
            return Some(zone.id.clone());
        }
        let names: Vec<String> = all().map(|(_, zone)| zone.id.to_string()).collect();
        let hint = if written.value.len() == 1 && !alone {
            format!(
                "with several regions, write the whole name: {}",
                names.join(", ")
            )
        } else {
            format!("declared zones are {}", names.join(", "))
        };
        self.error_with(
            written.span,
            format!("zone `{}` is not declared", written.value),
            hint,
        );
        None
    }

    /// The zones of a list. None of them, with a note, if the list is empty or one of its zones is not declared.
    pub(super) fn zones(&mut self, written: &At<Vec<At<String>>>) -> Option<Vec<ZoneId>> {
        if written.value.is_empty() {
            self.error_with(
                written.span,
                "this list of zones is empty",
                "leave it out for the default",
            );
            return None;
        }
        let zones: Vec<Option<ZoneId>> = written.value.iter().map(|zone| self.zone(zone)).collect();
        zones.into_iter().collect()
    }

    /// The same, with a note where a zone is named twice.
    pub(super) fn distinct_zones(&mut self, written: &At<Vec<At<String>>>) -> Option<Vec<ZoneId>> {
        let zones = self.zones(written)?;
        let mut seen = BTreeSet::new();
        let twice = zones
            .iter()
            .zip(&written.value)
            .find(|(zone, _)| !seen.insert(*zone));
        if let Some((zone, at)) = twice {
            self.error(at.span, format!("zone `{zone}` is here twice"));
            return None;
        }
        Some(zones)
    }

    /// The zones of the only region; with several, `what` must name its zones.
    pub(super) fn default_zones(
        &mut self,
        what: &str,
        span: Span,
        field: &str,
    ) -> Option<Vec<ZoneId>> {
        if let [region] = self.regions.as_slice() {
            return Some(region.zones.iter().map(|zone| zone.id.clone()).collect());
        }
        self.error_with(
            span,
            format!("{what} does not say in which region it is"),
            format!("with several regions, give `{field}`"),
        );
        None
    }

    /// The region of a declared zone.
    pub(super) fn region_of(&self, zone: &ZoneId) -> RegionId {
        let region = self
            .regions
            .iter()
            .find(|region| region.zones.iter().any(|z| z.id == *zone));
        region.map_or_else(|| RegionId::from(""), |region| region.id.clone())
    }

    /// The zones of a region.
    pub(super) fn zones_of(&self, region: &RegionId) -> Vec<ZoneId> {
        let regions = self.regions.iter().filter(|one| one.id == *region);
        regions
            .flat_map(|region| region.zones.iter().map(|zone| zone.id.clone()))
            .collect()
    }

    /// The region that all of `zones` are in; noted if there are several.
    pub(super) fn one_region(
        &mut self,
        what: &str,
        span: Span,
        zones: &[ZoneId],
    ) -> Option<RegionId> {
        let regions: BTreeSet<RegionId> = zones.iter().map(|zone| self.region_of(zone)).collect();
        if regions.len() > 1 {
            let names: Vec<&str> = regions.iter().map(RegionId::as_str).collect();
            self.error(
                span,
                format!("{what} has zones in several regions: {}", names.join(", ")),
            );
            return None;
        }
        regions.into_iter().next()
    }
}

/// Notes zones with more hosts than addresses.
pub(super) fn hosts_fit(checker: &mut Checker<'_>, topology: &Topology) {
    let mut hosts: BTreeMap<&ZoneId, usize> = BTreeMap::new();
    for zone in plan::occupied(topology) {
        *hosts.entry(zone).or_default() += 1;
    }
    let crowded: Vec<String> = hosts
        .iter()
        .filter(|(_, count)| **count > plan::HOSTS_PER_ZONE)
        .map(|(zone, count)| format!("{count} in {zone}"))
        .collect();
    if !crowded.is_empty() {
        let spec = checker.spec;
        let groups = spec.instances.iter().map(|(name, _)| name.span);
        let span = groups.last().unwrap_or(Span::START);
        checker.error_with(
            span,
            format!(
                "there are more hosts than addresses: {}",
                crowded.join(", ")
            ),
            format!("a zone has addresses for {} hosts", plan::HOSTS_PER_ZONE),
        );
    }
}
