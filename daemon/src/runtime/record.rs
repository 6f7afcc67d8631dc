//! What is kept on disk so that the next daemon knows what this one started: one file per instance or tool, and the faults
//! that last. Written whole or not at all; a daemon may be killed between any two instructions.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use topologies::affliction::Afflictions;
use topologies::runtime::InstancePlan;

use super::processes::Identity;

/// What a record is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// An instance, started by this plan.
    Instance(Box<InstancePlan>),
    /// A tool. It does not outlive its daemon.
    Tool,
}

/// A process that a daemon of this stack started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its name, unique in the stack.
    pub(super) name: String,
    /// The boot in which it started.
    pub(super) boot: String,
    /// The process.
    pub(super) leader: Identity,
    /// Its program.
    pub(super) program: PathBuf,
    /// What it is.
    pub(super) kind: Kind,
    /// How it ended, if that was seen.
    pub(super) ended: Option<String>,
}

/// The directory of the records.
#[derive(Clone, Debug)]
pub(super) struct Records {
    directory: PathBuf,
}

impl Records {
    /// The records below `directory`, which is made when the first is written.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// All of them. A file that is no record is an error: what it stood for could be running.
    pub(super) fn read(&self) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        let entries = match fs::read_dir(self.directory.join("records")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(records),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                records.extend(read(&path)?);
            }
        }
        Ok(records)
    }

    /// Keeps a record, in place of one of the same name.
    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        self.make_directory()?;
        write(&self.path(&record.name), record)
    }

    /// Forgets a record.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The faults that last.
    pub(super) fn afflictions(&self) -> io::Result<Afflictions> {
        Ok(read(&self.directory.join("afflictions.json"))?.unwrap_or_default())
    }

    /// Keeps the faults that last.
    pub(super) fn write_afflictions(&self, afflictions: &Afflictions) -> io::Result<()> {
        self.make_directory()?;
        write(&self.directory.join("afflictions.json"), afflictions)
    }

    /// Forgets everything, the directory too.
    pub(super) fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Closed to others: a plan's environment may hold a password.
    fn make_directory(&self) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.directory.join("records"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join("records").join(format!("{name}.json"))
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("`{}` is damaged: {error}", path.display()),
        )
    })
}

/// No `fsync`: a machine that loses power loses the processes too, and the boot id tells.
fn write<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let partial = path.with_extension("partial");
    fs::write(&partial, serde_json::to_vec(value)?)?;
    fs::rename(&partial, path)
}
