//! PostgreSQL and Redis at the level that recovery depends on: a log, whom it comes from, and who waits for whom.
//!
//! A record is a number that is never used twice, so that two logs agree as far as their records are equal; a position is the
//! number of records before it. What is appended is on disk: a crash ends PostgreSQL's process, not its log. Redis has no disk.
//! Which data allow which start is the rule of the real engine: a follower's data never start as a writer, a writer's never as a
//! follower, a demoted writer's as neither.

use super::clients::Request;

/// Which program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// PostgreSQL.
    Postgres,
    /// Redis.
    Redis,
    /// A user's program.
    App,
}

/// What a database host's data are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// A copy of the golden cluster; it may become anything.
    Fresh,
    /// They accepted writes of their own.
    Writer,
    /// They only ever replayed another's writes.
    Follower,
    /// A writer's whose place another has taken.
    Demoted,
    /// A rewind was interrupted.
    Torn,
}

/// A server's data and settings, and what its process knows.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) engine: Engine,
    pub(super) log: Vec<u64>,
    pub(super) data: Data,
    pub(super) timeline: u32,
    /// Where this process left the timeline before, if it did.
    pub(super) forked_at: Option<usize>,
    /// Of Redis: names the history of writes that its log is a part of.
    pub(super) history: String,
    /// Whom it follows.
    pub(super) source: Option<usize>,
    /// The follower that commits wait for, as it is in force.
    pub(super) sync: Option<usize>,
    /// The same as the server shows it when asked: a little earlier.
    pub(super) sync_shown: Option<usize>,
    /// Commits that wait: their positions.
    pub(super) waiting: Vec<(usize, Request)>,
}

impl Server {
    pub(super) fn new(engine: Engine) -> Self {
        Self {
            engine,
            log: Vec::new(),
            data: Data::Fresh,
            timeline: 1,
            forked_at: None,
            history: String::new(),
            source: None,
            sync: None,
            sync_shown: None,
            waiting: Vec::new(),
        }
    }

    /// The process begins: what was only in memory is gone.
    pub(super) fn begin(&mut self, host: usize, life: u64) {
        self.sync = self.sync_shown;
        self.waiting.clear();
        self.forked_at = None;
        if self.engine == Engine::Redis {
            self.log.clear();
            self.history = format!("begun-{host}-{life}");
        }
    }

    /// Whether it refuses writes and takes records from its source.
    pub(super) fn follows(&self) -> bool {
        match self.engine {
            Engine::Postgres => self.data == Data::Follower,
            Engine::Redis => self.source.is_some(),
            Engine::App => false,
        }
    }

    /// Leaves recovery: from here its history is its own.
    pub(super) fn promote(&mut self, first: u64) {
        self.data = Data::Writer;
        self.source = None;
        self.sync = None;
        self.sync_shown = None;
        self.timeline += 1;
        self.history = format!("promoted-{first}");
        self.forked_at = Some(self.log.len());
        if self.engine == Engine::Postgres {
            self.log.push(first);
        }
    }

    /// Takes the source's history over, as a rewind or a copy does.
    pub(super) fn rejoin(&mut self, source: usize, log: Vec<u64>, timeline: u32) {
        self.log = log;
        self.timeline = timeline;
        self.data = Data::Follower;
        self.source = Some(source);
        self.sync = None;
        self.sync_shown = None;
    }

    /// Whether this log is the beginning of that one.
    pub(super) fn precedes(&self, source: &Self) -> bool {
        source.log.starts_with(&self.log)
    }

    /// Whether it holds this record at this position.
    pub(super) fn holds(&self, position: usize, key: u64) -> bool {
        position
            .checked_sub(1)
            .and_then(|index| self.log.get(index))
            == Some(&key)
    }
}
