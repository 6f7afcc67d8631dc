//! What must hold at every step, whatever is broken; and what must be served, as long as no more is broken than a stack is built to bear.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use topologies::address::ZoneNumber;
use topologies::event::EventKind;
use topologies::id::{DbInstanceId, ReplicationGroupId};
use topologies::network::Path;
use topologies::time::Time;
use topologies::world::World;

use super::clients::Reply;
use super::ground::Ground;

/// Who was heard for this long can not have been missed.
const HEARD: Duration = Duration::from_secs(1);

/// A follower that is merely cut off is left alone for this long at least.
const LEFT: Duration = Duration::from_secs(30);

/// A rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Never two hosts that a client of one endpoint could have a write acknowledged by.
    OneWriter,
    /// A primary holds every acknowledged write when it is promoted, and at the end.
    NothingAcknowledgedIsLost,
    /// Only a standby recorded in sync is promoted.
    PromotedInSync,
    /// A standby recorded in sync holds every acknowledged write.
    InSyncIsTrue,
    /// The world is the fold of the timeline.
    WorldIsTheFold,
    /// Of the cache replicas that could be reached all along, none had more than the promoted one.
    PromotedHighestOffset,
    /// No cache primary comes back empty beside a replica that is heard and holds data.
    CacheKeepsItsData,
    /// A follower whose only trouble is its link to its source is not made anew: its data are in line.
    FollowersAreLeft,
    /// Of what RDS tells, no end comes without its beginning.
    EventsInOrder,
    /// A target that has been dead for long gets no traffic.
    NoTrafficToTheDead,
    /// The stack becomes available.
    ComesUp,
    /// Every endpoint is served again in bounded time.
    Served,
    /// Once all is healed, redundancy is restored in bounded time.
    WholeAgain,
    /// The control plane does not ask to be woken in the past.
    DoesNotSpin,
}

impl Invariant {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneWriter => "never two writers",
            Self::NothingAcknowledgedIsLost => "no acknowledged write is lost",
            Self::PromotedInSync => "only a standby in sync is promoted",
            Self::InSyncIsTrue => "a standby in sync holds every acknowledged write",
            Self::WorldIsTheFold => "the world is the fold of the timeline",
            Self::PromotedHighestOffset => "the cache replica with the highest offset is promoted",
            Self::CacheKeepsItsData => "a cache with a live replica keeps its data",
            Self::FollowersAreLeft => "a follower that is merely cut off is left alone",
            Self::EventsInOrder => "what RDS tells begins before it ends",
            Self::NoTrafficToTheDead => "a dead target gets no traffic",
            Self::ComesUp => "the stack comes up",
            Self::Served => "every endpoint is served again in bounded time",
            Self::WholeAgain => "redundancy is restored once all is healed",
            Self::DoesNotSpin => "the control plane does not spin",
        }
    }
}

/// A rule broken, when and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub invariant: Invariant,
    /// When.
    pub at: Time,
    /// How.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} broken at {}: {}",
            self.invariant.as_str(),
            self.at,
            self.detail
        )
    }
}

/// What writes go to.
#[derive(Clone, Debug)]
pub(super) enum Service {
    Database(DbInstanceId),
    Cache(ReplicationGroupId),
}

/// What is remembered of a service to judge by.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) service: Service,
    pub(super) hosts: Vec<usize>,
    /// All that ought to hold the same data: hosts and read replicas.
    pub(super) copies: Vec<usize>,
    /// Hosts that the endpoint has pointed to: somebody may still hold a connection.
    pub(super) been_endpoint: BTreeSet<usize>,
    /// Acknowledged writes: position and key.
    acknowledged: Vec<(usize, u64)>,
    /// Of a cache: how far each replica was when the failover began, with its process, and how much was disturbed until then.
    candidates: Vec<(usize, u64, usize)>,
    disturbances: u64,
    /// Of a cache: acknowledged writes that a failover lost.
    pub(super) lost: u64,
}

impl Record {
    pub(super) fn new(service: Service, hosts: Vec<usize>, copies: Vec<usize>) -> Self {
        let been_endpoint = hosts.first().copied().into_iter().collect();
        let (acknowledged, candidates) = (Vec::new(), Vec::new());
        Self {
            service,
            hosts,
            copies,
            been_endpoint,
            acknowledged,
            candidates,
            disturbances: 0,
            lost: 0,
        }
    }

    /// The host that the endpoint points to.
    pub(super) fn primary(&self, ground: &Ground, world: &World) -> usize {
        match &self.service {
            Service::Database(id) => ground.host(&world.databases[id].primary),
            Service::Cache(id) => ground.host(&world.caches[id].primary),
        }
    }

    /// The standby's host if it is recorded in sync.
    fn standby_in_sync(&self, ground: &Ground, world: &World) -> Option<usize> {
        let Service::Database(id) = &self.service else {
            return None;
        };
        let standby = world.databases.get(id)?.standby.as_ref()?;
        standby.in_sync.then(|| ground.host(&standby.instance))
    }

    /// A write was acknowledged.
    pub(super) fn acknowledged(
        &mut self,
        ground: &Ground,
        world: &World,
        reply: &Reply,
    ) -> Result<(), (Invariant, String)> {
        let Some((position, key)) = reply.written else {
            return Ok(());
        };
        self.acknowledged.push((position, key));
        match self.standby_in_sync(ground, world) {
            Some(standby)
                if standby != reply.host && !ground.hosts[standby].server.holds(position, key) =>
            {
                let (id, host) = (&ground.hosts[standby].id, &ground.hosts[reply.host].id);
                Err((
                    Invariant::InSyncIsTrue,
                    format!("{host} acknowledged record {position}, which {id} lacks"),
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// At most one host can acknowledge writes to those who were ever sent to it.
    pub(super) fn one_writer(&self, ground: &Ground) -> Result<(), (Invariant, String)> {
        let writes = |host: &&usize| {
            let there = &ground.hosts[**host];
            let waits = there
                .server
                .sync
                .is_some_and(|standby| ground.flushed_by(**host, standby).is_none());
            there.running && there.ready && !there.fenced && !there.server.follows() && !waits
        };
        let mut writers = self.been_endpoint.iter().filter(writes);
        match (writers.next(), writers.next()) {
            (Some(a), Some(b)) => {
                let (a, b) = (&ground.hosts[*a].id, &ground.hosts[*b].id);
                Err((
                    Invariant::OneWriter,
                    format!("{a} and {b} both acknowledge writes"),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Every acknowledged write is there.
    pub(super) fn holds_all(
        &self,
        ground: &Ground,
        host: usize,
        invariant: Invariant,
    ) -> Result<(), (Invariant, String)> {
        if matches!(self.service, Service::Cache(_)) {
            return Ok(());
        }
        let server = &ground.hosts[host].server;
        let lost = self
            .acknowledged
            .iter()
            .filter(|(position, key)| !server.holds(*position, *key))
            .count();
        if lost == 0 {
            return Ok(());
        }
        Err((
            invariant,
            format!(
                "{} lacks {lost} of {} acknowledged writes",
                ground.hosts[host].id,
                self.acknowledged.len()
            ),
        ))
    }

    /// Judges an event of this service. `world` is the world before it.
    pub(super) fn judge(
        &mut self,
        ground: &Ground,
        world: &World,
        event: &EventKind,
        disturbances: u64,
    ) -> Result<(), (Invariant, String)> {
        match (&self.service, event) {
            (
                Service::Database(id),
                EventKind::FailoverStarted {
                    db_instance, to, ..
                },
            ) if id == db_instance => {
                if self.standby_in_sync(ground, world) != Some(ground.host(to)) {
                    return Err((
                        Invariant::PromotedInSync,
                        format!("{to} is not recorded in sync"),
                    ));
                }
                self.holds_all(ground, ground.host(to), Invariant::InSyncIsTrue)
            }
            (
                Service::Database(id),
                EventKind::StandbyInSync {
                    db_instance,
                    instance,
                },
            ) if id == db_instance => {
                self.holds_all(ground, ground.host(instance), Invariant::InSyncIsTrue)
            }
            (
                Service::Database(id),
                EventKind::WriterPromoted {
                    db_instance,
                    instance,
                    ..
                },
            ) if id == db_instance => {
                let host = ground.host(instance);
                self.been_endpoint.insert(host);
                self.holds_all(ground, host, Invariant::NothingAcknowledgedIsLost)
            }
            (Service::Cache(id), EventKind::CacheFailoverStarted { group, from })
                if id == group =>
            {
                self.disturbances = disturbances;
                self.candidates = candidates(ground, &self.hosts, ground.host(from));
                Ok(())
            }
            (
                Service::Cache(id),
                EventKind::CachePrimaryPromoted {
                    group, instance, ..
                },
            ) if id == group => {
                let host = ground.host(instance);
                self.been_endpoint.insert(host);
                if ground.hosts[host].server.log.is_empty() {
                    self.came_back_empty(ground, world, host)?;
                }
                self.promoted(ground, host, disturbances)
            }
            _ => Ok(()),
        }
    }

    /// Judges a cache node that has nothing and is primary. A replica that was heard all along and may be promoted would have had
    /// what it lacks.
    pub(super) fn came_back_empty(
        &self,
        ground: &Ground,
        world: &World,
        primary: usize,
    ) -> Result<(), (Invariant, String)> {
        let Service::Cache(id) = &self.service else {
            return Ok(());
        };
        let fenced = &world.caches[id].fenced;
        let returns = world.caches[id].primary == ground.hosts[primary].id;
        if !returns || !self.hosts.contains(&primary) {
            return Ok(());
        }
        let spurned = self
            .hosts
            .iter()
            .map(|host| &ground.hosts[*host])
            .find(|host| {
                let heard = host
                    .heard_since
                    .is_some_and(|since| ground.now - since > HEARD);
                let holds = host.server.follows() && !host.server.log.is_empty();
                heard && holds && !fenced.contains(&host.id)
            });
        match spurned {
            Some(replica) => {
                let primary = &ground.hosts[primary].id;
                let detail = format!("{primary} is empty, {} is not", replica.id);
                Err((Invariant::CacheKeepsItsData, detail))
            }
            None => Ok(()),
        }
    }

    /// Judges an order to make a follower anew. One that runs, whose data are its source's and who could not reach it, streams again
    /// once it can.
    pub(super) fn made_anew(
        &self,
        ground: &Ground,
        world: &World,
        (host, source): (usize, usize),
    ) -> Result<(), (Invariant, String)> {
        let Service::Database(id) = &self.service else {
            return Ok(());
        };
        if !self.copies.contains(&host) || self.primary(ground, world) != source {
            return Ok(());
        }
        let (follower, there) = (&ground.hosts[host], &ground.hosts[source]);
        let standby = world.databases[id].standby.as_ref();
        let joined = standby.is_none_or(|it| it.instance != follower.id || it.joined);
        let sound = follower.serves() && follower.server.follows() && joined;
        let in_line = follower.server.precedes(&there.server) && ground.streams[host].is_none();
        let cut = !ground.network.connects(follower.zone, there.zone);
        if sound && in_line && cut && ground.now - follower.streamed_at < LEFT {
            let (follower, source) = (&follower.id, &there.id);
            let detail =
                format!("{follower} is merely cut off from {source} and was to be made anew");
            return Err((Invariant::FollowersAreLeft, detail));
        }
        Ok(())
    }

    fn promoted(
        &mut self,
        ground: &Ground,
        host: usize,
        disturbances: u64,
    ) -> Result<(), (Invariant, String)> {
        let server = &ground.hosts[host].server;
        let before = self.acknowledged.len();
        self.acknowledged
            .retain(|(position, key)| server.holds(*position, *key));
        self.lost += (before - self.acknowledged.len()) as u64;
        let had = server.log.len();
        let undisturbed = self.disturbances == disturbances;
        let better = self.candidates.iter().find(|(other, life, position)| {
            undisturbed && *other != host && ground.hosts[*other].life == *life && *position > had
        });
        match better {
            Some((other, _, position)) => {
                let (chosen, other) = (&ground.hosts[host].id, &ground.hosts[*other].id);
                Err((
                    Invariant::PromotedHighestOffset,
                    format!("{chosen} has {had}, {other} had {position}"),
                ))
            }
            None => Ok(()),
        }
    }
}

/// The replicas that could be promoted and have a part of the same history, with their positions.
fn candidates(ground: &Ground, hosts: &[usize], from: usize) -> Vec<(usize, u64, usize)> {
    // A slow link may hide a replica from probes.
    let swift = |host: usize| {
        ground
            .network
            .path(ZoneNumber::OUTSIDE, ground.hosts[host].zone)
            == Path::SOUND
    };
    let could = |host: &&usize| {
        **host != from
            && swift(**host)
            && ground.answers(ZoneNumber::OUTSIDE, **host)
            && !ground.hosts[**host].fenced
            && ground.hosts[**host].server.follows()
            && ground.hosts[**host].server.history == ground.hosts[from].server.history
    };
    hosts
        .iter()
        .filter(could)
        .map(|host| {
            (
                *host,
                ground.hosts[*host].life,
                ground.hosts[*host].server.log.len(),
            )
        })
        .collect()
}
