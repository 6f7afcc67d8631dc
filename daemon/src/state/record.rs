//! What is written down of a stack before anything of it starts: enough to resume it, and to remove it without its daemon.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use topologies::address::Slot;
use topologies::id::StackId;
use topologies::runtime::RuntimeKind;

use super::StateError;
use crate::up::RuntimeWish;

/// The version of the record's format.
pub const FORMAT: u32 = 1;

/// The largest record that is read, in bytes: a topology of the largest size, escaped, and some room.
const BYTES_MAX: u64 = 8 << 20;

/// A stack as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Record {
    /// [`FORMAT`].
    pub format: u32,
    /// The stack.
    pub name: StackId,
    /// Its share of the loopback network.
    pub slot: Slot,
    /// The topology file, absolute.
    pub topology_path: PathBuf,
    /// The topology file's text.
    pub topology: String,
    /// The runtime asked for.
    pub wish: RuntimeWish,
    /// The runtime that was chosen; none before the choice.
    pub runtime: Option<RuntimeKind>,
    /// Every runtime that may have started something of it.
    #[serde(default)]
    pub runtimes: Vec<RuntimeKind>,
    /// The timing profile asked for on the command line.
    pub timing: Option<String>,
    /// The seed of everything that is drawn.
    pub seed: u64,
    /// When it was first brought up, RFC 3339.
    pub created: String,
    /// Our version that brought it up last.
    pub version: String,
    /// The control socket; elsewhere if the stack's own path is too long for one.
    pub socket: PathBuf,
    /// How far it is.
    pub phase: Phase,
}

/// What may be left of a stack whose daemon is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It never was available: nothing in it is worth keeping.
    Creating,
    /// It was available: instances may run, data is there.
    Running,
    /// It was taken down in order: only data is there.
    Stopped,
}

impl Record {
    /// Notes the runtime that was chosen, before it starts anything, when nothing of another is left.
    pub fn chose(&mut self, runtime: RuntimeKind) {
        self.runtime = Some(runtime);
        self.runtimes = vec![runtime];
    }

    pub(super) fn read(path: &Path) -> Result<Option<Self>, StateError> {
        let size = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(StateError::file("read", path)(error)),
        };
        let unreadable = |cause: String| StateError::Record {
            path: path.to_owned(),
            cause,
        };
        if size > BYTES_MAX {
            return Err(unreadable(format!("it has {size} bytes")));
        }
        let text = match fs::read(path) {
            Ok(text) => text,
            // Removed by a `down` since it was seen.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StateError::file("read", path)(error)),
        };
        let record: Self = serde_json::from_slice(&text).map_err(|e| unreadable(e.to_string()))?;
        if record.format != FORMAT {
            let format = record.format;
            return Err(unreadable(format!("its format is {format}, not {FORMAT}")));
        }
        Ok(Some(record))
    }

    /// Writes a new file and renames it over the old one: a reader sees one or the other. Given passwords stand in topologies,
    /// so that nobody else may read it.
    pub(super) fn write(&self, path: &Path) -> Result<(), StateError> {
        let new = path.with_extension("json.new");
        let text = serde_json::to_vec_pretty(self).expect("a record has no map with odd keys");
        let written = fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| {
                file.write_all(&text)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&new, path));
        written.map_err(StateError::file("write", path))
    }
}
