//! Probes of database hosts and cache nodes: a question in each interval, over a session that is kept.
//!
//! Followers that no write waits for rest while all is well: they are asked less often ([`Rest`]). Whoever is missed rouses them all, for
//! they bear out that it is not this machine that does not run.
//!
//! Over a sound link to an open management interface, the session is one with the host's server itself: the door would hand both
//! question and answer on unchanged, for twice the work. On any other link the door is dialled, and what is there is met.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use topologies::id::InstanceId;
use topologies::plan::{Instance, InstanceKind};

use super::doubt::Doubt;
use super::rest::{Rest, settled, tells};
use super::{Prober, Witnessed, held_up, sightings, ticks};
use crate::control::probe::{CacheProbe, DbProbe, Probe};
use crate::engines::EngineHost;
use crate::engines::postgres::Postgres;
use crate::engines::redis::Redis;
use crate::estate::Estate;

/// A host that is asked how it is.
#[derive(Clone, PartialEq)]
pub(super) struct Host {
    engine: Engine,
    kind: InstanceKind,
    /// The host through the door of its management interface.
    through_door: EngineHost,
}

/// Who knows how to ask.
#[derive(Clone)]
enum Engine {
    /// With the instances that may follow it.
    Postgres(Arc<Postgres>, Arc<[InstanceId]>),
    Redis(Arc<Redis>),
}

impl Host {
    /// The host of an instance, if the instance has an engine.
    pub(super) fn of(instance: &Instance, estate: &Estate) -> Option<Self> {
        let engine = match &instance.kind {
            InstanceKind::DbHost(db) => {
                let engine = estate.postgres.get(db)?;
                // All that one engine runs may follow one another.
                let kin = estate.plan.instances.iter().filter(|it| match &it.kind {
                    InstanceKind::DbHost(other) => {
                        let theirs = estate.postgres.get(other);
                        theirs.is_some_and(|theirs| Arc::ptr_eq(theirs, engine))
                    }
                    InstanceKind::CacheNode(_) | InstanceKind::App(_) => false,
                });
                let kin = kin.map(|host| host.id.clone());
                Engine::Postgres(Arc::clone(engine), kin.collect())
            }
            InstanceKind::CacheNode(group) => Engine::Redis(estate.redis.get(group).cloned()?),
            InstanceKind::App(_) => return None,
        };
        Some(Self {
            engine,
            kind: instance.kind.clone(),
            through_door: EngineHost::of(instance),
        })
    }

    /// Asks until nobody wants to know.
    pub(super) async fn run(self, prober: Prober, begun: Instant) {
        let timing = prober.timing();
        let (interval, limit) = (timing.probe_interval, timing.probe_timeout);
        let (mut ticks, mut hurry) = (ticks(begun, interval), prober.hurry.clone());
        let mut doubt = Doubt::new(timing.probe_threshold);
        let (mut rest, mut missed) = (Rest::new(interval), prober.witness.missed.subscribe());
        loop {
            // All are cancel-safe; what happens while the host is being asked is found here afterwards.
            tokio::select! {
                _ = ticks.tick() => {
                    let settled = settled(&self.kind, &prober.world.borrow());
                    if rest.skips(settled) && self.direct(&prober).is_some() {
                        continue;
                    }
                }
                Ok(()) = hurry.changed(), if self.elects() => {}
                Ok(()) = missed.changed(), if rest.rests() => rest.rouse(),
            }
            let sent = prober.clock.now();
            let (probe, doubtful) = self.ask(&prober, limit).await;
            rest.take(&probe);
            if !tells(&probe) {
                prober.witness.missed.send_replace(());
            }
            let round = match timed_out(&probe) {
                false => Witnessed::Answered,
                true if doubtful => Witnessed::HeldUp,
                true if prober.witness.since(sent) => Witnessed::TimedOut,
                true => Witnessed::TimedOutAlone,
            };
            if !doubt.believes(round) {
                continue;
            }
            if !prober.report(sent, probe).await {
                return;
            }
        }
    }

    /// Asks once. Says too whether a time-out says more of this machine than of the host.
    async fn ask(&self, prober: &Prober, limit: Duration) -> (Probe, bool) {
        let begun = Instant::now();
        if let Some(server) = self.direct(prober) {
            let host = EngineHost {
                dial: SocketAddr::V4(server),
                ..self.through_door.clone()
            };
            let probe = self.engine.ask(prober, &host, limit).await;
            // A link that has failed meanwhile carried no answer: what its door does then is the answer.
            if self.direct(prober) == Some(server) {
                return (probe, held_up(begun, limit));
            }
        }
        let cores = prober.data_plane.watch();
        let left = limit.saturating_sub(begun.elapsed());
        let probe = self.engine.ask(prober, &self.through_door, left).await;
        (probe, held_up(begun, limit) || cores.held_up())
    }

    /// Its server, where a session with it stands for one through its door.
    fn direct(&self, prober: &Prober) -> Option<SocketAddrV4> {
        let instance = &self.through_door.instance;
        prober.data_plane.direct_management(instance)
    }

    fn elects(&self) -> bool {
        matches!(self.engine, Engine::Redis(_))
    }
}

/// The same engine, not one that is like it: its sessions are its own.
impl PartialEq for Engine {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Postgres(one, kin), Self::Postgres(other, theirs)) => {
                Arc::ptr_eq(one, other) && kin == theirs
            }
            (Self::Redis(one), Self::Redis(other)) => Arc::ptr_eq(one, other),
            (Self::Postgres(..) | Self::Redis(_), _) => false,
        }
    }
}

impl Engine {
    async fn ask(&self, prober: &Prober, host: &EngineHost, limit: Duration) -> Probe {
        let instance = host.instance.clone();
        let (figures, clock) = (&prober.figures, prober.clock);
        match self {
            Self::Postgres(engine, hosts) => {
                let probe = engine.probe(host, limit).await;
                figures.database(&instance, &probe, clock.now());
                Probe::Database(instance, sightings::database(probe, hosts))
            }
            Self::Redis(engine) => {
                let probe = engine.probe(host, limit).await;
                figures.cache(&instance, &probe, clock.now());
                Probe::Cache(instance, sightings::cache(probe))
            }
        }
    }
}

fn timed_out(probe: &Probe) -> bool {
    matches!(
        probe,
        Probe::Database(_, DbProbe::TimedOut | DbProbe::NoAnswer)
            | Probe::Cache(_, CacheProbe::TimedOut)
    )
}
