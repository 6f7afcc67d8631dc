//! Where stacks live on disk, and which of them run.
//!
//! ```text
//! <home>/lock                    held while a slot is chosen or somebody asks who runs
//! <home>/stacks/<name>/lock      held by the daemon for its whole life; the kernel lets go of it when the daemon dies
//!                     /stack.json  what is needed to resume or remove the stack, written before anything starts
//!                     /control.sock, timeline.jsonl, daemon.log, hosts/, instances ...
//! ```
//! A stack whose lock is free has no daemon. It may still have instances, or only its data: `up` takes both over, `down` ends and
//! removes them. Nothing here starts or stops anything.

mod claim;
mod holders;
mod record;
mod resume;
mod socket;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use topologies::id::StackId;
use topologies::runtime::RuntimeKind;

pub(crate) use claim::{API_PORT, remove_socket};
pub use claim::{Claim, Seizure, Wanted};
pub use record::{FORMAT, Phase, Record};
pub use socket::socket_path;

/// The longest name of a stack, in characters: it is part of paths and of names of containers.
pub const NAME_MAX: usize = 40;

/// Why a state directory can not be used as wanted.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Neither a home directory nor a variable says where state belongs.
    #[error("no place for state: neither LOCALAWS_HOME nor HOME is set")]
    NoHome,
    /// A name that is no stack's name.
    #[error(
        "`{0}` is no name of a stack: lower-case letters, digits and hyphens, a letter first, at most {NAME_MAX}"
    )]
    Name(String),
    /// The file system refused.
    #[error("failed to {action} `{}`: {source}", path.display())]
    File {
        /// What was tried: `create directory`.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// A record that this version can not read.
    #[error("the record `{}` can not be read: {cause}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// A daemon has the stack.
    #[error("stack `{0}` is already running")]
    Running(StackId),
    /// It was up with a runtime that is not the one asked for.
    #[error("stack `{name}` was up on runtime `{}`, and its data are there", runtime.as_str())]
    OtherRuntime {
        /// The stack.
        name: StackId,
        /// The runtime that it was up on.
        runtime: RuntimeKind,
    },
    /// It was up as another stack than the one asked for.
    #[error("the file is not what stack `{name}` was brought up with; now it is {}", differences.join(", "))]
    OtherPlan {
        /// The stack.
        name: StackId,
        /// What would be different.
        differences: Vec<String>,
    },
    /// Every slot is taken.
    #[error("no address range is free: 127.64.0.0 to 127.127.255.255 are all taken")]
    NoSlot,
    /// The loopback network has only one address here.
    #[error("address {address} can not be bound: {source}")]
    Loopback {
        /// The address.
        address: std::net::SocketAddrV4,
        /// What came back.
        source: io::Error,
    },
}

impl StateError {
    fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}

/// Checks a name given on the command line before it becomes part of a path.
pub fn stack_name(text: &str) -> Result<StackId, StateError> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let sound = text.len() <= NAME_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.chars().all(letters);
    if sound {
        Ok(StackId::from(text))
    } else {
        Err(StateError::Name(text.to_owned()))
    }
}

/// The directories of all stacks of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    state: PathBuf,
    cache: PathBuf,
}

/// A stack that has a directory.
#[derive(Clone, Debug)]
pub struct KnownStack {
    /// What it is.
    pub record: Record,
    /// Whether a daemon has it.
    pub running: bool,
}

impl Home {
    /// The directories that the environment asks for: `LOCALAWS_HOME` and `LOCALAWS_CACHE` first, then those of the system for
    /// root, those of the XDG base directory specification for others.
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<PathBuf>,
        root: bool,
    ) -> Result<Self, StateError> {
        let set = |name: &str| variable(name).filter(|path| !path.as_os_str().is_empty());
        let place = |own: &str, system: &str, xdg: &str, in_home: &str| {
            if let Some(path) = set(own) {
                return std::path::absolute(&path).map_err(StateError::file("resolve", &path));
            }
            if root {
                return Ok(PathBuf::from(system));
            }
            let xdg = set(xdg).filter(|path| path.is_absolute());
            xdg.map(|path| path.join("localaws"))
                .or_else(|| set("HOME").map(|home| home.join(in_home).join("localaws")))
                .ok_or(StateError::NoHome)
        };
        Ok(Self {
            state: place(
                "LOCALAWS_HOME",
                "/var/lib/localaws",
                "XDG_STATE_HOME",
                ".local/state",
            )?,
            cache: place(
                "LOCALAWS_CACHE",
                "/var/cache/localaws",
                "XDG_CACHE_HOME",
                ".cache",
            )?,
        })
    }

    /// The directories of this process's user.
    pub fn current() -> Result<Self, StateError> {
        Self::from_environment(
            |name| std::env::var_os(name).map(PathBuf::from),
            rustix::process::geteuid().is_root(),
        )
    }

    /// The directory of all stacks' state.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// What is costly to make and can be made again: golden clusters, unpacked engines.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Makes the directories. Instances may run as another user, so that they must be traversable; what is secret in them has a
    /// mode of its own.
    pub fn create(&self) -> Result<(), StateError> {
        for path in [&self.state, &self.cache, &self.state.join("stacks")] {
            create_directory(path)?;
        }
        Ok(())
    }

    /// The directory of a stack, whether it exists or not.
    pub fn stack(&self, name: &StackId) -> StackDirectory {
        StackDirectory {
            path: self.state.join("stacks").join(name.as_str()),
        }
    }

    /// Every stack with a readable record, by name.
    pub fn stacks(&self) -> Result<Vec<KnownStack>, StateError> {
        let directory = self.state.join("stacks");
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StateError::file("read directory", &directory)(error)),
        };
        let _quiet = self.lock()?;
        let mut stacks = Vec::new();
        for entry in entries {
            let entry = entry.map_err(StateError::file("read directory", &directory))?;
            let stack = StackDirectory { path: entry.path() };
            let record = match stack.record() {
                Ok(Some(record)) => record,
                // A directory without a record is one that is being made or removed. One whose record can not be read is told to
                // whoever names it, and is in nobody else's way.
                Ok(None) | Err(StateError::Record { .. }) => continue,
                Err(other) => return Err(other),
            };
            stacks.push(KnownStack {
                running: stack.held()?,
                record,
            });
        }
        stacks.sort_by(|a, b| a.record.name.cmp(&b.record.name));
        Ok(stacks)
    }

    /// Whether a daemon has the stack.
    pub fn running(&self, name: &StackId) -> Result<bool, StateError> {
        let stack = self.stack(name);
        if !stack.path.exists() {
            return Ok(false);
        }
        let _quiet = self.lock()?;
        stack.held()
    }

    /// Waits for its turn to look at or change who has what. Held for moments only.
    fn lock(&self) -> Result<File, StateError> {
        let path = self.state.join("lock");
        let file = open_lock(&path)?;
        file.lock().map_err(StateError::file("lock", &path))?;
        Ok(file)
    }
}

/// The directory of one stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackDirectory {
    path: PathBuf,
}

impl StackDirectory {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who has it locked has the stack.
    fn lock_path(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// The output of a daemon in the background.
    pub fn daemon_log(&self) -> PathBuf {
        self.path.join("daemon.log")
    }

    /// Its record; none if it has none.
    pub fn record(&self) -> Result<Option<Record>, StateError> {
        Record::read(&self.path.join("stack.json"))
    }

    /// Replaces its record.
    pub fn write_record(&self, record: &Record) -> Result<(), StateError> {
        record.write(&self.path.join("stack.json"))
    }

    fn remove(&self) -> Result<(), StateError> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StateError::file("remove", &self.path)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Whether somebody holds its lock. Asked under the home's lock, so that asking never makes a daemon believe the stack taken.
    fn held(&self) -> Result<bool, StateError> {
        let path = self.lock_path();
        match OpenOptions::new().read(true).open(&path) {
            Ok(file) => match file.try_lock_shared() {
                Ok(()) => Ok(false),
                Err(TryLockError::WouldBlock) => Ok(true),
                Err(TryLockError::Error(error)) => Err(StateError::file("lock", &path)(error)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StateError::file("open", &path)(error)),
        }
    }
}

fn create_directory(path: &Path) -> Result<(), StateError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(StateError::file("create directory", path))
}

fn open_lock(path: &Path) -> Result<File, StateError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(StateError::file("open", path))
}

#[cfg(test)]
#[path = "state/tests.rs"]
mod tests;
