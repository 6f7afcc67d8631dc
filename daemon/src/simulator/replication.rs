//! Streams from a source to its followers: records one way, confirmations the other, over links that may be slow or dark.
//!
//! A dark link loses nothing at first: what was sent is sent again when it carries again, as TCP does, until both sides have been
//! silent for so long that they end the stream. A process that ends resets its streams where packets pass.

use std::time::Duration;

use topologies::time::Time;

use super::ground::{Due, Ground};
use super::server::Engine;

/// A side that hears nothing for this long ends the stream (`wal_sender_timeout`, `wal_receiver_timeout`).
const SILENCE: Duration = Duration::from_secs(3);
/// From one attempt to stream to the next (`wal_retrieve_retry_interval`), microseconds.
const RETRY_MICROS: std::ops::Range<u64> = 100_000..140_000;
/// A full copy to a Redis replica, microseconds.
const FULL_SYNC_MICROS: std::ops::Range<u64> = 20_000..300_000;
/// From receiving records to having them on disk, microseconds.
const FLUSH_MICROS: std::ops::Range<u64> = 50..400;

/// A follower's stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: u64,
    pub(super) source: usize,
    source_life: u64,
    follower_life: u64,
    /// Whether the first copy is done.
    pub(super) established: bool,
    /// Whether it has reached its source's position once.
    pub(super) caught_up: bool,
    sent: usize,
    /// The position that the source knows to be flushed by the follower.
    pub(super) flushed: usize,
    silent_since: Option<Time>,
    /// Packets of one direction do not overtake each other.
    last_records: Time,
    last_flushed: Time,
}

impl Ground {
    /// A follower tries to stream from its source.
    pub(super) fn connect(&mut self, host: usize, life: u64) {
        let follower = &self.hosts[host];
        if follower.life != life
            || !follower.ready
            || !follower.server.follows()
            || self.streams[host].is_some()
        {
            return;
        }
        let Some(source) = follower.server.source else {
            return;
        };
        let postgres = follower.server.engine == Engine::Postgres;
        let there = &self.hosts[source];
        let open = self.answers(follower.zone, source) && !there.fenced && self.daemon.is_some();
        let agrees = open && follower.server.precedes(&there.server);
        let parted = open && postgres && !agrees;
        self.hosts[host].parted = parted;
        if !open || parted {
            let after = self.draw(RETRY_MICROS);
            return self.later(after, Due::Connect { host, life });
        }
        let (follower, there) = (&self.hosts[host], &self.hosts[source]);
        let position = follower.server.log.len();
        // A replica of Redis goes on where it was if the source still has what came after.
        let partial = postgres || (agrees && position > 0);
        let (source_life, timeline) = (there.life, there.server.timeline);
        let history = there.server.history.clone();
        self.streams_opened += 1;
        let id = self.streams_opened;
        self.streams[host] = Some(Stream {
            id,
            source,
            source_life,
            follower_life: life,
            established: partial,
            caught_up: false,
            sent: position,
            flushed: position,
            silent_since: None,
            last_records: self.now,
            last_flushed: self.now,
        });
        if partial {
            self.hosts[host].server.timeline = timeline;
            self.hosts[host].server.history = history;
            self.pump(host);
            self.confirm(host);
        } else {
            let after = self.draw(FULL_SYNC_MICROS);
            self.later(
                after,
                Due::Synced {
                    follower: host,
                    stream: id,
                },
            );
        }
    }

    /// A full copy has arrived.
    pub(super) fn synced(&mut self, follower: usize, id: u64) {
        let Some(stream) = self.stream(follower, id) else {
            return;
        };
        let (source, alive) = (
            stream.source,
            stream.source_life == self.hosts[stream.source].life,
        );
        if !alive
            || !self
                .network
                .connects(self.hosts[follower].zone, self.hosts[source].zone)
        {
            return self.end_stream(follower);
        }
        let log = self.hosts[source].server.log.clone();
        if let Some(stream) = &mut self.streams[follower] {
            stream.established = true;
            stream.sent = log.len();
            stream.flushed = log.len();
        }
        self.hosts[follower].server.log = log;
        self.hosts[follower].server.history = self.hosts[source].server.history.clone();
        self.pump_followers_of(follower);
        self.confirm(follower);
    }

    /// Sends a follower what its source has and has not sent yet.
    pub(super) fn pump(&mut self, follower: usize) {
        let Some(stream) = &self.streams[follower] else {
            return;
        };
        let (source, id, start) = (stream.source, stream.id, stream.sent);
        let there = &self.hosts[source];
        let ends = there.server.log.len();
        if !stream.established || there.life != stream.source_life || there.frozen || start >= ends
        {
            return;
        }
        let records = there.server.log[start..].to_vec();
        let Some(takes) = self.packet(self.hosts[source].zone, self.hosts[follower].zone) else {
            return;
        };
        let Some(stream) = &mut self.streams[follower] else {
            return;
        };
        stream.sent = ends;
        stream.last_records = stream.last_records.max(self.now + takes);
        let at = stream.last_records;
        self.agenda.enter(
            at,
            Due::Records {
                follower,
                stream: id,
                start,
                records,
            },
        );
    }

    pub(super) fn pump_followers_of(&mut self, source: usize) {
        for follower in 0..self.streams.len() {
            if self.streams[follower]
                .as_ref()
                .is_some_and(|stream| stream.source == source)
            {
                self.pump(follower);
            }
        }
    }

    /// Records have reached a follower.
    pub(super) fn records(&mut self, follower: usize, id: u64, start: usize, records: &[u64]) {
        let life = self.hosts[follower].life;
        if self
            .stream(follower, id)
            .is_none_or(|stream| stream.follower_life != life)
        {
            return;
        }
        let log = &mut self.hosts[follower].server.log;
        if log.len() == start {
            log.extend_from_slice(records);
        }
        self.pump_followers_of(follower);
        self.confirm(follower);
    }

    /// A follower tells its source how far it has flushed.
    fn confirm(&mut self, follower: usize) {
        let Some(stream) = &self.streams[follower] else {
            return;
        };
        let (id, source) = (stream.id, stream.source);
        let upto = self.hosts[follower].server.log.len();
        let Some(takes) = self.packet(self.hosts[follower].zone, self.hosts[source].zone) else {
            return;
        };
        let flush = self.draw(FLUSH_MICROS);
        let Some(stream) = &mut self.streams[follower] else {
            return;
        };
        stream.last_flushed = stream.last_flushed.max(self.now + takes + flush);
        let at = stream.last_flushed;
        self.agenda.enter(
            at,
            Due::Flushed {
                follower,
                stream: id,
                upto,
            },
        );
    }

    /// A confirmation has reached the source.
    pub(super) fn flushed(&mut self, follower: usize, id: u64, upto: usize) {
        let Some(stream) = self.stream(follower, id) else {
            return;
        };
        let source = stream.source;
        let there = &self.hosts[source];
        if there.life != stream.source_life {
            return;
        }
        let ends = there.server.log.len();
        if let Some(stream) = &mut self.streams[follower] {
            stream.flushed = stream.flushed.max(upto);
            stream.caught_up |= stream.flushed >= ends;
        }
        self.release_commits(source);
    }

    /// How far the follower has flushed, as the source knows it; none without a stream between them.
    pub(super) fn flushed_by(&self, source: usize, follower: usize) -> Option<usize> {
        let stream = self.streams[follower].as_ref()?;
        let live = stream.source == source
            && stream.source_life == self.hosts[source].life
            && stream.established;
        live.then_some(stream.flushed)
    }

    /// After a change of the network, a freeze or a thaw: silent streams begin to time out, others send what is due.
    pub(super) fn reassess_streams(&mut self) {
        for follower in 0..self.streams.len() {
            let Some(stream) = &self.streams[follower] else {
                continue;
            };
            let (here, there) = (&self.hosts[follower], &self.hosts[stream.source]);
            let (id, source_life) = (stream.id, stream.source_life);
            let carries = self.network.connects(here.zone, there.zone);
            let gone = source_life != there.life;
            let frozen = here.frozen || there.frozen;
            if carries && gone {
                self.later(
                    Duration::from_millis(1),
                    Due::StreamReset {
                        follower,
                        stream: id,
                    },
                );
            } else if !carries || frozen {
                let now = self.now;
                if let Some(stream) = &mut self.streams[follower]
                    && stream.silent_since.is_none()
                {
                    stream.silent_since = Some(now);
                    self.later(
                        SILENCE,
                        Due::StreamSilent {
                            follower,
                            stream: id,
                        },
                    );
                }
            } else if let Some(stream) = &mut self.streams[follower]
                && stream.silent_since.take().is_some()
            {
                self.pump(follower);
                self.confirm(follower);
            }
        }
    }

    /// A stream that has been silent for too long ends.
    pub(super) fn stream_silent(&mut self, follower: usize, id: u64) {
        let now = self.now;
        let silent = self
            .stream(follower, id)
            .and_then(|stream| stream.silent_since);
        if silent.is_some_and(|since| now - since >= SILENCE) {
            self.end_stream(follower);
        }
    }

    pub(super) fn stream_reset(&mut self, follower: usize, id: u64) {
        if self.stream(follower, id).is_some() {
            self.end_stream(follower);
        }
    }

    /// Ends a follower's stream; it will try again.
    pub(super) fn end_stream(&mut self, follower: usize) {
        if self.streams[follower].take().is_some() {
            self.hosts[follower].streamed_at = self.now;
        }
        let (host, life) = (follower, self.hosts[follower].life);
        let after = self.draw(RETRY_MICROS);
        self.later(after, Due::Connect { host, life });
    }

    /// A host's process ended or its interface was closed: its followers learn of it if packets reach them.
    pub(super) fn reset_streams_of(&mut self, source: usize) {
        for follower in 0..self.streams.len() {
            let Some(stream) = self.streams[follower]
                .as_ref()
                .filter(|stream| stream.source == source)
            else {
                continue;
            };
            let id = stream.id;
            if let Some(takes) = self.packet(self.hosts[source].zone, self.hosts[follower].zone) {
                self.later(
                    takes,
                    Due::StreamReset {
                        follower,
                        stream: id,
                    },
                );
            }
        }
        self.reassess_streams();
    }

    fn stream(&self, follower: usize, id: u64) -> Option<&Stream> {
        self.streams[follower]
            .as_ref()
            .filter(|stream| stream.id == id)
    }

    /// Whether the stream is of the source's present process.
    pub(super) fn streams_to(&self, source: usize) -> impl Iterator<Item = (usize, &Stream)> {
        let life = self.hosts[source].life;
        self.streams
            .iter()
            .enumerate()
            .filter_map(move |(follower, stream)| {
                let stream = stream.as_ref()?;
                (stream.source == source && stream.source_life == life)
                    .then_some((follower, stream))
            })
    }
}
