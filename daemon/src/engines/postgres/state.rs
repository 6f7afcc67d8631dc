//! What the directory of a database host holds, and so what may be done with it.
//!
//! ```text
//!            seed          start as primary
//!   Empty ─────────► Fresh ────────────────► Writer ──demote──► Demoted
//!                      │                        ▲                  │ rejoin (rewind, or a copy)
//!                      └─start as standby─► Follower ◄─────────────┘
//!                                               └──promote──► Writer
//! ```
//! An interrupted rewind leaves `Torn`, which only a copy ends.
//!
//! The truth is in the directory itself, in files that PostgreSQL or we make and remove, so that no crash of the daemon
//! leaves a record that says something else. PostgreSQL removes `standby.signal` at the moment of promotion.

use std::fmt;
use std::path::{Path, PathBuf};

/// What the directory of a database host holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataState {
    /// No cluster.
    Empty,
    /// A copy of the golden cluster that was never started. It may become anything.
    Fresh,
    /// A cluster that accepted writes of its own. It may be started as primary, never as a follower.
    Writer,
    /// A cluster that only ever replayed another's writes since it was seeded, copied or rewound.
    Follower,
    /// A writer whose place another has taken. Its last writes may be nobody else's: it is never a writer again before it
    /// has been brought in line with the one that took its place.
    Demoted,
    /// A rewind was interrupted. It can not be started; only a fresh copy helps.
    Torn,
}

impl fmt::Display for DataState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Empty => "absent",
            Self::Fresh => "fresh",
            Self::Writer => "a writer's",
            Self::Follower => "a follower's",
            Self::Demoted => "a demoted writer's",
            Self::Torn => "half rewound",
        })
    }
}

/// The file in a cluster's directory that says that it was never started.
pub(super) const FRESH_MARK: &str = "localaws.fresh";

/// The directory of a database host.
#[derive(Clone, Debug)]
pub(super) struct HostDirectory(PathBuf);

impl HostDirectory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// PostgreSQL's own directory.
    pub(super) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// Where a fresh copy is made before it takes the place of `data`.
    pub(super) fn copy(&self) -> PathBuf {
        self.0.join("data.copy")
    }

    /// The replication password, for libpq.
    pub(super) fn password_file(&self) -> PathBuf {
        self.0.join("pgpass")
    }

    /// Present in the data of a seeded host until its first start.
    pub(super) fn fresh_mark(&self) -> PathBuf {
        self.data().join(FRESH_MARK)
    }

    /// Present from the moment that a writer is demoted until its data follow its successor. Beside the data, because a rewind
    /// deletes from the data what the source does not have.
    pub(super) fn demoted_mark(&self) -> PathBuf {
        self.0.join("demoted")
    }

    /// Present while a rewind changes the data.
    pub(super) fn torn_mark(&self) -> PathBuf {
        self.0.join("rewinding")
    }

    /// Makes PostgreSQL start as a follower.
    pub(super) fn standby_signal(&self) -> PathBuf {
        self.data().join("standby.signal")
    }

    pub(super) fn state(&self) -> DataState {
        if self.torn_mark().exists() {
            DataState::Torn
        } else if self.demoted_mark().exists() {
            DataState::Demoted
        } else if !self.data().join("PG_VERSION").exists() {
            DataState::Empty
        } else if self.fresh_mark().exists() {
            DataState::Fresh
        } else if self.standby_signal().exists() {
            DataState::Follower
        } else {
            DataState::Writer
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_mark_of_danger_outweighs_every_other() {
        let root = tempfile::tempdir().unwrap();
        let directory = HostDirectory::new(root.path().to_owned());
        assert_eq!(directory.state(), DataState::Empty);
        fs::create_dir(directory.data()).unwrap();
        let steps = [
            (directory.data().join("PG_VERSION"), DataState::Writer),
            (directory.standby_signal(), DataState::Follower),
            (directory.fresh_mark(), DataState::Fresh),
            (directory.demoted_mark(), DataState::Demoted),
            (directory.torn_mark(), DataState::Torn),
        ];
        for (mark, state) in steps {
            fs::write(mark, "").unwrap();
            assert_eq!(directory.state(), state);
        }
    }
}
