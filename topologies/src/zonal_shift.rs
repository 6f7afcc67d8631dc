//! Zonal shifts of Application Recovery Controller: which load balancer is kept away from which zone, and until when
//! (aws-behaviour §6.6).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::{Event, EventKind};
use crate::experiment::ActionOf;
use crate::id::{LoadBalancerId, RegionId, ZonalShiftId, ZoneId};
use crate::time::Time;
use crate::topology::Topology;

/// Under which type records of zonal shifts are forgotten.
pub const ZONAL_SHIFT: &str = "arc-zonal-shift:zonal-shift";

/// A zonal shift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ZonalShift {
    /// The load balancer.
    pub load_balancer: LoadBalancerId,
    /// Its region.
    pub region: RegionId,
    /// The zone that it is kept away from.
    pub away_from: ZoneId,
    /// When it began.
    pub started: Time,
    /// When it ends by itself.
    pub expires: Time,
    /// For people.
    pub comment: String,
    /// The experiment's action that it is part of; none if somebody asked for it.
    pub by: Option<ActionOf>,
    /// Whether it is in force.
    pub status: ZonalShiftStatus,
}

/// A zonal shift's status, in AWS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZonalShiftStatus {
    /// In force.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody ended it.
    Canceled,
}

impl ZonalShiftStatus {
    /// AWS's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Expired => "EXPIRED",
            Self::Canceled => "CANCELED",
        }
    }
}

impl fmt::Display for ZonalShiftStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.as_str().to_ascii_lowercase())
    }
}

/// The zonal shifts of an account, by their identifiers: a fold of events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ZonalShifts(BTreeMap<ZonalShiftId, ZonalShift>);

impl ZonalShifts {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (&ZonalShiftId, &ZonalShift)> {
        self.0.iter()
    }

    /// Those in force.
    pub fn active(&self) -> impl Iterator<Item = (&ZonalShiftId, &ZonalShift)> {
        let active = |it: &ZonalShift| it.status == ZonalShiftStatus::Active;
        self.all().filter(move |(_, it)| active(it))
    }

    /// The one in force for a load balancer: there is at most one.
    pub fn of(&self, load_balancer: &LoadBalancerId) -> Option<(&ZonalShiftId, &ZonalShift)> {
        self.active()
            .find(|(_, it)| it.load_balancer == *load_balancer)
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<&ZonalShift> {
        self.0.get(id)
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.0.remove(id);
    }

    /// A load balancer that is gone, or has another zone's node instead, is kept away from nothing any more.
    pub(crate) fn follow(&mut self, topology: &Topology) {
        for shift in self.0.values_mut() {
            let mut balancers = topology.load_balancers.iter();
            let balancer = balancers.find(|it| it.id == shift.load_balancer);
            let there = balancer.is_some_and(|it| it.zones.contains(&shift.away_from));
            if shift.status == ZonalShiftStatus::Active && !there {
                shift.status = ZonalShiftStatus::Canceled;
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "few events are for zonal shifts"
    )]
    pub(crate) fn apply(&mut self, event: &Event) {
        match &event.event {
            EventKind::ZonalShiftStarted {
                shift,
                load_balancer,
                region,
                away_from,
                started,
                expires,
                comment,
                by,
            } => {
                let begun = ZonalShift {
                    load_balancer: load_balancer.clone(),
                    region: region.clone(),
                    away_from: away_from.clone(),
                    started: *started,
                    expires: *expires,
                    comment: comment.clone(),
                    by: by.clone(),
                    status: ZonalShiftStatus::Active,
                };
                self.0.insert(shift.clone(), begun);
            }
            EventKind::ZonalShiftUpdated {
                shift,
                expires,
                comment,
                ..
            } => {
                if let Some(it) = self.0.get_mut(shift) {
                    it.expires = *expires;
                    it.comment.clone_from(comment);
                }
            }
            EventKind::ZonalShiftEnded { shift, status, .. } => {
                if let Some(it) = self.0.get_mut(shift) {
                    it.status = *status;
                }
            }
            _ => {}
        }
    }
}
