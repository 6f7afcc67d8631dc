//! The emulated network's physical state: which zones have power, which links are cut or slow, which hosts answer.
//!
//! Written by faults and by what really goes on in the runtime; read by the data plane on every new connection and, through
//! change notices, by open ones. The control plane never reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::ZoneNumber;
use crate::id::InstanceId;

/// A snapshot of the network's physical state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Zones without power: nothing in them answers, nothing in them can send.
    pub dark: BTreeSet<ZoneNumber>,
    /// Zones cut off from every other zone and from outside; traffic within them goes on.
    pub isolated: BTreeSet<ZoneNumber>,
    /// Directed links in trouble, by source and destination zone; a pair that is absent is sound.
    pub links: BTreeMap<(ZoneNumber, ZoneNumber), Link>,
    /// Instances whose process has ended or does not listen: their hosts refuse connections.
    pub closed: BTreeSet<InstanceId>,
}

/// What is wrong with a directed link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Nothing passes.
    pub cut: bool,
    /// Added to every delivery in this direction.
    pub latency: Duration,
    /// A uniformly drawn share of this is added too.
    pub jitter: Duration,
}

/// What a packet from one zone to another meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// It arrives, after this delay and jitter.
    Open {
        /// The delay.
        latency: Duration,
        /// The most that is added by chance.
        jitter: Duration,
    },
    /// It vanishes; nobody tells the sender.
    Dark,
}

impl Path {
    /// A sound link.
    pub const SOUND: Self = Self::Open {
        latency: Duration::ZERO,
        jitter: Duration::ZERO,
    };
}

impl Network {
    /// What a packet from zone `from` to zone `to` meets. A connection needs both directions: see [`Network::connects`].
    pub fn path(&self, from: ZoneNumber, to: ZoneNumber) -> Path {
        if self.dark.contains(&from) || self.dark.contains(&to) {
            return Path::Dark;
        }
        if from != to && (self.isolated.contains(&from) || self.isolated.contains(&to)) {
            return Path::Dark;
        }
        match self.links.get(&(from, to)) {
            Some(link) if link.cut => Path::Dark,
            Some(link) => Path::Open {
                latency: link.latency,
                jitter: link.jitter,
            },
            None => Path::SOUND,
        }
    }

    /// Whether packets pass both ways, so that a handshake can complete.
    pub fn connects(&self, from: ZoneNumber, to: ZoneNumber) -> bool {
        self.path(from, to) != Path::Dark && self.path(to, from) != Path::Dark
    }
}
