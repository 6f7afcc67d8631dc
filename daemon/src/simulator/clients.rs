//! Clients that write through the endpoints, one write at a time: resolve, connect, write, wait for the answer, and again.
//!
//! A write counts as acknowledged when its answer reaches the client. Well-mannered clients resolve anew when the TTL is over or a
//! connection broke; a holder resolves once and never again, as some connection pools do.

use std::time::Duration;

use topologies::address::ZoneNumber;
use topologies::time::Time;

use super::ground::{Due, Ground};

/// A client's patience for one write.
const PATIENCE: Duration = Duration::from_millis(1_000);
/// The pause after an error.
const AFTER_ERROR: Duration = Duration::from_millis(50);
/// The pause after an answer, microseconds.
const THINKS_MICROS: std::ops::Range<u64> = 40_000..90_000;

/// Whether a client does as names ask of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manners {
    /// It resolves again after the TTL and after errors.
    Resolves,
    /// It resolves once.
    Holds,
}

/// A client of one endpoint.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) zone: ZoneNumber,
    pub(super) service: usize,
    pub(super) manners: Manners,
    pub(super) ttl: Duration,
    pub(super) turn: u64,
    resolved: Option<(usize, Time)>,
    /// The host and the life of its process that the client has a connection to.
    connection: Option<(usize, u64)>,
}

/// A write on its way.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) client: usize,
    pub(super) turn: u64,
    pub(super) host: usize,
    pub(super) key: u64,
    /// The life of the process that the connection was made with; none for a new connection.
    life: Option<u64>,
}

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) client: usize,
    pub(super) turn: u64,
    pub(super) host: usize,
    life: u64,
    /// The position and key that were written; none for an error.
    pub(super) written: Option<(usize, u64)>,
}

impl Client {
    pub(super) fn new(zone: ZoneNumber, service: usize, manners: Manners, ttl: Duration) -> Self {
        Self {
            zone,
            service,
            manners,
            ttl,
            turn: 0,
            resolved: None,
            connection: None,
        }
    }
}

impl Ground {
    /// A client begins its next write.
    pub(super) fn turn(&mut self, client: usize, turn: u64) {
        if self.clients[client].turn != turn {
            return;
        }
        let zone = self.clients[client].zone;
        if self.network.dark.contains(&zone) {
            return self.later(AFTER_ERROR * 2, Due::Turn { client, turn });
        }
        let Some(host) = self.resolve(client) else {
            return self.later(AFTER_ERROR, Due::Turn { client, turn });
        };
        let asking = &self.clients[client];
        let life = asking
            .connection
            .filter(|(there, _)| *there == host)
            .map(|(_, life)| life);
        self.keys += 1;
        let key = self.keys;
        self.later(PATIENCE, Due::GiveUp { client, turn });
        let there = self.hosts[host].zone;
        let Some(mut takes) = self.packet(zone, there) else {
            return;
        };
        if life.is_none() {
            let Some(back) = self.packet(there, zone) else {
                return;
            };
            takes = takes * 2 + back;
        }
        self.later(
            takes,
            Due::Request(Request {
                client,
                turn,
                host,
                key,
                life,
            }),
        );
    }

    fn resolve(&mut self, client: usize) -> Option<usize> {
        let asking = &mut self.clients[client];
        if let Some((host, until)) = asking.resolved
            && (asking.manners == Manners::Holds || self.now < until || asking.connection.is_some())
        {
            return Some(host);
        }
        self.daemon?;
        let host = self.endpoints[asking.service];
        asking.resolved = Some((host, self.now + asking.ttl));
        Some(host)
    }

    /// A write reaches a host.
    pub(super) fn request(&mut self, request: Request) {
        let there = &self.hosts[request.host];
        let stale = request.life.is_some_and(|life| life != there.life);
        if !there.running
            || !there.ready
            || there.fenced
            || stale
            || self.daemon.is_none()
            || there.server.follows()
        {
            return self.answer(&request, None);
        }
        let client = request.client;
        self.clients[client].connection = Some((request.host, there.life));
        let host = request.host;
        let server = &mut self.hosts[host].server;
        server.log.push(request.key);
        let position = server.log.len();
        let waits = server.sync.is_some();
        if waits {
            server.waiting.push((position, request));
        } else {
            self.answer(&request, Some((position, request.key)));
        }
        self.pump_followers_of(host);
    }

    /// Answers commits that need not wait any longer.
    pub(super) fn release_commits(&mut self, host: usize) {
        let upto = match self.hosts[host].server.sync {
            None => usize::MAX,
            Some(standby) => self.flushed_by(host, standby).unwrap_or(0),
        };
        let waiting = &mut self.hosts[host].server.waiting;
        let (ready, rest) = std::mem::take(waiting)
            .into_iter()
            .partition(|(position, _)| *position <= upto);
        *waiting = rest;
        let ready: Vec<(usize, Request)> = ready;
        for (position, request) in ready {
            self.answer(&request, Some((position, request.key)));
        }
    }

    fn answer(&mut self, request: &Request, written: Option<(usize, u64)>) {
        let Request {
            client, turn, host, ..
        } = *request;
        let life = self.hosts[host].life;
        let Some(takes) = self.packet(self.hosts[host].zone, self.clients[client].zone) else {
            return;
        };
        self.later(
            takes,
            Due::Reply(Reply {
                client,
                turn,
                host,
                life,
                written,
            }),
        );
    }

    /// An answer reaches a client; tells whether it counts.
    pub(super) fn reply(&mut self, reply: &Reply) -> bool {
        let Reply {
            client,
            turn,
            host,
            life,
            written,
        } = *reply;
        if self.clients[client].turn != turn {
            return false;
        }
        let there = &self.hosts[host];
        // What a closed interface or a dead daemon's data plane held back is never delivered.
        if written.is_some() && (there.fenced || there.life != life || self.daemon.is_none()) {
            return false;
        }
        let pause = if written.is_some() {
            self.draw(THINKS_MICROS)
        } else {
            AFTER_ERROR
        };
        self.next_turn(client, written.is_some(), pause);
        written.is_some()
    }

    pub(super) fn give_up(&mut self, client: usize, turn: u64) {
        if self.clients[client].turn == turn {
            self.next_turn(client, false, AFTER_ERROR);
        }
    }

    fn next_turn(&mut self, client: usize, well: bool, pause: Duration) {
        let asking = &mut self.clients[client];
        asking.turn += 1;
        if !well {
            asking.connection = None;
        }
        // A connection that works is kept; only a broken one is replaced, and then by what the name says after the TTL.
        let turn = asking.turn;
        self.later(pause, Due::Turn { client, turn });
    }

    /// A host's process ended or its interface was closed: clients with a connection learn of it if packets reach them.
    pub(super) fn reset_clients_of(&mut self, host: usize) {
        for client in 0..self.clients.len() {
            let connected = self.clients[client]
                .connection
                .is_some_and(|(there, _)| there == host);
            if !connected {
                continue;
            }
            let (turn, life) = (self.clients[client].turn, self.hosts[host].life);
            if let Some(takes) = self.packet(self.hosts[host].zone, self.clients[client].zone) {
                self.later(
                    takes,
                    Due::Reply(Reply {
                        client,
                        turn,
                        host,
                        life,
                        written: None,
                    }),
                );
            }
        }
    }
}
