//! Performs the control plane's orders on what is really there, as slowly and as unreliably as it goes.
//!
//! What the real effects must uphold, and this assumes: an order's effect comes before its outcome, and after it only if that is a
//! failure; an order of a daemon that was killed has its effect within moments of the kill or never.

use std::ops::Range;
use std::time::Duration;

use rand::RngExt;
use topologies::address::ZoneNumber;
use topologies::runtime::RuntimeError;

use super::ground::{Due, Epoch, Ground};
use super::server::{Data, Engine};
use crate::control::action::{Action, DbRole, Outcome, Ticket};

/// A command without an answer is given up after this time.
pub(super) const COMMAND_LIMIT: Duration = Duration::from_secs(10);
/// A source that does not answer its follower-to-be is waited for this long.
const REACH_LIMIT: Duration = Duration::from_secs(1);
/// An order of a daemon that was killed may still have its effect for this long.
pub(super) const AFTERLIFE: Duration = Duration::from_millis(50);

const DISPATCH_MICROS: Range<u64> = 50..1_500;
const SPAWN_MICROS: Range<u64> = 500..15_000;
const POSTGRES_STARTS_MICROS: Range<u64> = 30_000..250_000;
const REDIS_STARTS_MICROS: Range<u64> = 5_000..60_000;
const APP_STARTS_MICROS: Range<u64> = 10_000..400_000;
const SQL_MICROS: Range<u64> = 300..3_000;
const CONFIGURE_MICROS: Range<u64> = 5_000..60_000;
/// From a changed setting's being shown to its being in force for every session.
const IN_FORCE_MICROS: Range<u64> = 100..25_000;
/// How often an order to wait for the standby fails though it is carried out, and how much later then.
const SYNC_FAILS: f64 = 0.15;
const LATE_MICROS: Range<u64> = 500_000..8_000_000;
const PROMOTE_MICROS: Range<u64> = 20_000..180_000;
const REWIND_MICROS: Range<u64> = 150_000..1_500_000;

/// The second half of an order that takes long.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) host: usize,
    life: u64,
    ticket: Ticket,
    epoch: Epoch,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Promote,
    Rejoin { source: usize, source_life: u64 },
    FollowCache { source: usize },
}

/// How an order that has begun goes on.
enum Course {
    Ends(Duration, Outcome),
    Errand(Duration, Work),
}

/// When an order's failure is told, and how.
type Undone = (Duration, Outcome);

impl Ground {
    /// An order leaves the control plane.
    pub(super) fn dispatch(&mut self, ticket: Ticket, action: Action, epoch: Epoch) {
        let after = self.draw(DISPATCH_MICROS);
        self.later(
            after,
            Due::Perform {
                ticket,
                action,
                epoch,
            },
        );
    }

    /// An order reaches whoever performs it.
    pub(super) fn perform(&mut self, ticket: Ticket, action: &Action, epoch: Epoch) {
        if self.daemon != Some(epoch) && self.now >= self.afterlife_until {
            return;
        }
        let host = self.host(action.instance());
        match self.begin(host, action) {
            Ok(Course::Ends(after, outcome)) => self.later(
                after,
                Due::Settled {
                    ticket,
                    outcome,
                    epoch,
                },
            ),
            Ok(Course::Errand(after, work)) => {
                let life = self.hosts[host].life;
                self.later(
                    after,
                    Due::Complete(Errand {
                        host,
                        life,
                        ticket,
                        epoch,
                        work,
                    }),
                );
            }
            Err((after, outcome)) => self.later(
                after,
                Due::Settled {
                    ticket,
                    outcome,
                    epoch,
                },
            ),
        }
    }

    fn begin(&mut self, host: usize, action: &Action) -> Result<Course, Undone> {
        match action {
            Action::StartApp { .. } => {
                self.runtime_obeys(host)?;
                Ok(self.spawn(host, APP_STARTS_MICROS))
            }
            Action::Stop { .. } | Action::Remove { .. } => {
                self.runtime_obeys(host)?;
                self.stop(host);
                Ok(Course::Ends(self.draw(SPAWN_MICROS), Outcome::Done))
            }
            Action::StartDatabase { role, .. } => self.start_database(host, role),
            Action::ConfigurePrimary { .. } => {
                self.session_opens(host)?;
                Ok(Course::Ends(self.draw(CONFIGURE_MICROS), Outcome::Done))
            }
            Action::SetSynchronousStandby { standby, .. } => {
                self.session_opens(host)?;
                let standby = standby.as_ref().map(|standby| self.host(standby));
                self.hosts[host].server.sync_shown = standby;
                let life = self.hosts[host].life;
                let fails = standby.is_some() && self.rng.random_bool(SYNC_FAILS);
                let after = self.draw(if fails { LATE_MICROS } else { IN_FORCE_MICROS });
                self.later(after, Due::SyncInForce { host, life });
                if fails {
                    let why = "it may still come into force".to_owned();
                    return Err((self.draw(SQL_MICROS), Outcome::Failed(why)));
                }
                Ok(Course::Ends(after + self.draw(SQL_MICROS), Outcome::Done))
            }
            Action::Demote { .. } => Ok(self.demote(host)),
            Action::Promote { .. } => {
                self.session_opens(host)?;
                if !matches!(self.hosts[host].server.data, Data::Follower | Data::Writer) {
                    let why = Outcome::Refused("its data are no follower's".to_owned());
                    return Err((self.draw(SQL_MICROS), why));
                }
                Ok(Course::Errand(self.draw(PROMOTE_MICROS), Work::Promote))
            }
            Action::Follow { source, .. } => {
                self.session_opens(host)?;
                let source = self.host(source);
                self.turn_to(host, source);
                Ok(Course::Ends(self.draw(SQL_MICROS), Outcome::Done))
            }
            Action::Rejoin { source, .. } => self.begin_rejoin(host, source.as_str()),
            Action::StartCache { source, .. } => {
                let source = source.as_ref().map(|source| self.host(source));
                self.start_cache(host, source)
            }
            Action::RejoinCache { source, .. } => {
                self.runtime_obeys(host)?;
                self.stop(host);
                self.hosts[host].server.source = Some(self.host(source));
                Ok(self.spawn(host, REDIS_STARTS_MICROS))
            }
            Action::PromoteCache { .. } => {
                self.session_opens(host)?;
                Ok(Course::Errand(self.draw(SQL_MICROS), Work::Promote))
            }
            Action::FollowCache { source, .. } => {
                self.session_opens(host)?;
                let source = self.host(source);
                Ok(Course::Errand(
                    self.draw(SQL_MICROS),
                    Work::FollowCache { source },
                ))
            }
        }
    }

    /// Marks a host's data as no writer's any more, wherever the host is, and stops it if it takes orders.
    fn demote(&mut self, host: usize) -> Course {
        let data = &mut self.hosts[host].server.data;
        if matches!(data, Data::Fresh | Data::Writer) {
            *data = Data::Demoted;
        }
        if self.runtime_obeys(host).is_ok() {
            self.stop(host);
        }
        Course::Ends(self.draw(SPAWN_MICROS), Outcome::Done)
    }

    fn start_cache(&mut self, host: usize, source: Option<usize>) -> Result<Course, Undone> {
        self.runtime_obeys(host)?;
        if self.hosts[host].running {
            self.session_opens(host)?;
        }
        self.hosts[host].server.source = source;
        let course = self.spawn(host, REDIS_STARTS_MICROS);
        self.streams[host] = None;
        let life = self.hosts[host].life;
        self.later(Duration::ZERO, Due::Connect { host, life });
        Ok(course)
    }

    fn start_database(&mut self, host: usize, role: &DbRole) -> Result<Course, Undone> {
        self.runtime_obeys(host)?;
        let server = &self.hosts[host].server;
        let admitted = match role {
            DbRole::Primary { .. } => matches!(server.data, Data::Fresh | Data::Writer),
            DbRole::Standby { .. } => matches!(server.data, Data::Fresh | Data::Follower),
            DbRole::Successor { .. } => {
                matches!(server.data, Data::Fresh | Data::Follower | Data::Writer)
            }
        };
        if !admitted {
            let why = format!("its data are {:?}", server.data).to_lowercase();
            return Err((self.draw(SPAWN_MICROS), Outcome::Refused(why)));
        }
        if !self.hosts[host].running {
            let writer = server.data == Data::Writer;
            let (source, synchronous) = match role {
                DbRole::Primary {
                    synchronous_standby,
                } => (None, synchronous_standby.as_ref()),
                DbRole::Successor { .. } if writer => (None, None),
                DbRole::Standby { of } | DbRole::Successor { of } => (Some(self.host(of)), None),
            };
            let synchronous = synchronous.map(|standby| self.host(standby));
            let server = &mut self.hosts[host].server;
            server.sync_shown = synchronous;
            server.data = if source.is_some() {
                Data::Follower
            } else {
                Data::Writer
            };
            server.source = source;
        }
        Ok(self.spawn(host, POSTGRES_STARTS_MICROS))
    }

    /// Stops the host if it could reach its source; from here until the end its data can not be used.
    fn begin_rejoin(&mut self, host: usize, source: &str) -> Result<Course, Undone> {
        self.runtime_obeys(host)?;
        let source = *self
            .names
            .get(source)
            .expect("every instance of the plan has a host");
        if self.hosts[host].server.data == Data::Writer {
            let why = Outcome::Refused("its data are a writer's that was not demoted".to_owned());
            return Err((self.draw(SPAWN_MICROS), why));
        }
        if !self.answers(self.hosts[host].zone, source) {
            let why = Outcome::Failed("its source does not answer".to_owned());
            return Err((REACH_LIMIT, why));
        }
        self.stop(host);
        let there = &mut self.hosts[host];
        there.life += 1;
        there.server.data = Data::Torn;
        let source_life = self.hosts[source].life;
        Ok(Course::Errand(
            self.draw(REWIND_MICROS),
            Work::Rejoin {
                source,
                source_life,
            },
        ))
    }

    /// The end of a long order.
    pub(super) fn complete(&mut self, errand: Errand) {
        let Errand {
            host,
            life,
            ticket,
            epoch,
            work,
        } = errand;
        let outcome = if self.hosts[host].life == life {
            match work {
                Work::Promote => self.promote(host),
                Work::Rejoin {
                    source,
                    source_life,
                } => self.end_rejoin(host, source, source_life, epoch),
                Work::FollowCache { source } => {
                    self.turn_to(host, source);
                    Outcome::Done
                }
            }
        } else {
            Outcome::Failed("its process ended".to_owned())
        };
        let after = self.draw(SQL_MICROS);
        self.later(
            after,
            Due::Settled {
                ticket,
                outcome,
                epoch,
            },
        );
    }

    fn promote(&mut self, host: usize) -> Outcome {
        let redis = self.hosts[host].server.engine == Engine::Redis;
        if self.hosts[host].server.follows() {
            self.keys += 1;
            let first = self.keys;
            self.hosts[host].server.promote(first);
            self.streams[host] = None;
        }
        let server = &self.hosts[host].server;
        let (timeline, offset) = if redis {
            (0, Some(server.log.len()))
        } else {
            (server.timeline, server.forked_at)
        };
        Outcome::Promoted {
            timeline,
            offset: offset.map(|offset| offset as u64),
        }
    }

    fn end_rejoin(
        &mut self,
        host: usize,
        source: usize,
        source_life: u64,
        epoch: Epoch,
    ) -> Outcome {
        let reached =
            self.hosts[source].life == source_life && self.answers(self.hosts[host].zone, source);
        // The tool dies with the daemon that ran it.
        if !reached || self.daemon != Some(epoch) || self.runtime_obeys(host).is_err() {
            return Outcome::Failed("the rewind was interrupted".to_owned());
        }
        let there = &self.hosts[source];
        let (log, timeline) = (there.server.log.clone(), there.server.timeline);
        self.hosts[host].server.rejoin(source, log, timeline);
        self.start(host, POSTGRES_STARTS_MICROS);
        Outcome::Done
    }

    pub(super) fn sync_in_force(&mut self, host: usize, life: u64) {
        if self.hosts[host].life == life {
            // Whoever brings it into force reads what is shown by then.
            self.hosts[host].server.sync = self.hosts[host].server.sync_shown;
            self.release_commits(host);
        }
    }

    fn turn_to(&mut self, host: usize, source: usize) {
        let server = &mut self.hosts[host].server;
        if server.engine == Engine::Redis || server.follows() {
            server.source = Some(source);
            self.end_stream(host);
        }
    }

    fn spawn(&mut self, host: usize, until_ready: Range<u64>) -> Course {
        if !self.hosts[host].running {
            self.start(host, until_ready);
        }
        Course::Ends(self.draw(SPAWN_MICROS), Outcome::Done)
    }

    /// Whether the host's runtime takes orders.
    fn runtime_obeys(&mut self, host: usize) -> Result<(), Undone> {
        let there = &self.hosts[host];
        let error = if self.network.dark.contains(&there.zone) {
            RuntimeError::InsufficientCapacity(there.zone_id.clone())
        } else if self.network.isolated.contains(&there.zone) {
            RuntimeError::ZoneUnreachable(there.zone_id.clone())
        } else if there.held {
            RuntimeError::HeldStopped(there.id.clone())
        } else {
            return Ok(());
        };
        Err((self.draw(SPAWN_MICROS), Outcome::Failed(error.to_string())))
    }

    /// Whether the control plane can talk to the host's server.
    fn session_opens(&mut self, host: usize) -> Result<(), Undone> {
        let there = &self.hosts[host];
        if there.frozen || !self.network.connects(ZoneNumber::OUTSIDE, there.zone) {
            let why = format!("no answer within {COMMAND_LIMIT:?}");
            return Err((COMMAND_LIMIT, Outcome::Failed(why)));
        }
        if !there.running || !there.ready {
            let why = if there.running {
                "the server is starting up"
            } else {
                "connection refused"
            };
            return Err((self.draw(SQL_MICROS), Outcome::Failed(why.to_owned())));
        }
        Ok(())
    }
}
