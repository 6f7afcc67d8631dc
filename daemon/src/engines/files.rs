//! An instance's files: written whole or not at all, readable by nobody else, owned by the user that runs the engine.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, fchown, lchown};
use std::path::Path;

use rustix::process::geteuid;
use tokio_util::task::TaskTracker;

use super::EngineError;

/// Who owns the files of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileOwner {
    /// The daemon's own user, which also runs the engine.
    Ourselves,
    /// The unprivileged user as which a daemon with root's rights runs engines, in containers too: PostgreSQL refuses to
    /// work as root.
    User {
        /// The user and, with the same number, the group.
        id: u32,
    },
}

impl FileOwner {
    /// The user `nobody` of every Linux distribution.
    pub const NOBODY: u32 = 65534;

    /// The owner that suits this process.
    pub fn of_this_process() -> Self {
        if geteuid().is_root() {
            Self::User { id: Self::NOBODY }
        } else {
            Self::Ourselves
        }
    }

    /// The user's number.
    pub fn id(self) -> u32 {
        match self {
            Self::Ourselves => geteuid().as_raw(),
            Self::User { id } => id,
        }
    }

    /// Makes a directory with mode 0700, and those above it with the defaults. One that exists is left as it is.
    pub fn make_directory(self, path: &Path) -> Result<(), EngineError> {
        let make = || -> io::Result<()> {
            if path.is_dir() {
                return Ok(());
            }
            if let Some(above) = path.parent() {
                fs::create_dir_all(above)?;
            }
            DirBuilder::new().mode(0o700).create(path)?;
            self.give(path)
        };
        make().map_err(|cause| EngineError::file("make directory", path, cause))
    }

    /// Writes a file with mode 0600 in place of what was there: a reader sees the old text or the new one. A symbolic link
    /// at `path` is replaced, not followed.
    pub fn write(self, path: &Path, text: &str) -> Result<(), EngineError> {
        let partial = path.with_added_extension("partial");
        let write = || -> io::Result<()> {
            remove_if_there(&partial)?;
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&partial)?;
            file.write_all(text.as_bytes())?;
            self.give_file(&file)?;
            fs::rename(&partial, path)
        };
        write().map_err(|cause| EngineError::file("write", path, cause))
    }

    /// Copies a directory tree of plain files and directories. The copy appears at `to` once it is complete; `to` must not exist.
    pub fn copy_tree(self, from: &Path, to: &Path) -> Result<(), EngineError> {
        let partial = to.with_added_extension("partial");
        remove_tree(&partial)?;
        self.copy_directory(from, &partial)
            .and_then(|()| fs::rename(&partial, to))
            .map_err(|cause| EngineError::file("copy", from, cause))
    }

    fn copy_directory(self, from: &Path, to: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let target = to.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.copy_directory(&entry.path(), &target)?;
            } else {
                let copy = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&target)?;
                copy_file(&File::open(entry.path())?, &copy)?;
                self.give_file(&copy)?;
            }
        }
        self.give(to)
    }

    fn give(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Ourselves => Ok(()),
            Self::User { id } => lchown(path, Some(id), Some(id)),
        }
    }

    fn give_file(self, file: &File) -> io::Result<()> {
        match self {
            Self::Ourselves => Ok(()),
            Self::User { id } => fchown(file, Some(id), Some(id)),
        }
    }
}

/// Removes a file; one that is not there is as good.
pub fn remove_file(path: &Path) -> Result<(), EngineError> {
    remove_if_there(path).map_err(|cause| EngineError::file("remove", path, cause))
}

/// Gives a file a second name; one that is not there gets none.
pub fn link(path: &Path, name: &Path) -> Result<(), EngineError> {
    accept_absence(fs::hard_link(path, name))
        .map_err(|cause| EngineError::file("link", path, cause))
}

/// Gives a file another name; one that is not there is as good.
pub fn set_aside(path: &Path, name: &Path) -> Result<(), EngineError> {
    accept_absence(fs::rename(path, name)).map_err(|cause| EngineError::file("rename", path, cause))
}

/// Gives a file another name, in place of what has it.
pub fn rename(path: &Path, name: &Path) -> Result<(), EngineError> {
    fs::rename(path, name).map_err(|cause| EngineError::file("rename", path, cause))
}

/// Removes a directory tree; one that is not there is as good.
pub fn remove_tree(path: &Path) -> Result<(), EngineError> {
    accept_absence(fs::remove_dir_all(path))
        .map_err(|cause| EngineError::file("remove", path, cause))
}

/// File work off the event loop. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct FileWork(TaskTracker);

impl FileWork {
    /// Runs it. A caller that stops waiting does not stop the work: it must be safe to do twice.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        match self.0.spawn_blocking(work).await {
            Ok(result) => result,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => Err(EngineError::file(
                    "work on",
                    "files of an instance",
                    io::ErrorKind::Interrupted.into(),
                )),
            },
        }
    }

    /// Returns once none goes on, that of callers who no longer wait included. To be called when nobody begins any.
    pub async fn finished(&self) {
        self.0.close();
        self.0.wait().await;
    }
}

/// Copies a file and leaves holes where it has only zeros: a third of a new cluster, most of it log yet to be written. In user
/// space, because `copy_file_range` between files of ext4 took five times as long.
fn copy_file(from: &File, to: &File) -> io::Result<()> {
    const CHUNK: usize = 64 * 1024;
    static ZEROS: [u8; CHUNK] = [0; CHUNK];
    let mut chunk = vec![0; CHUNK];
    let mut position = 0;
    loop {
        let read = from.read_at(&mut chunk, position)?;
        if read == 0 {
            return to.set_len(position);
        }
        if chunk[..read] != ZEROS[..read] {
            to.write_all_at(&chunk[..read], position)?;
        }
        position += read as u64;
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    accept_absence(fs::remove_file(path))
}

fn accept_absence(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        let path = directory.path().join("file");
        symlink(&victim, &path).unwrap();
        FileOwner::Ourselves.write(&path, "secret").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        assert_eq!(fs::read_to_string(&path).unwrap(), "secret");
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_tree_is_copied_over_an_interrupted_copy() {
        let directory = tempfile::tempdir().unwrap();
        let from = directory.path().join("from");
        fs::create_dir_all(from.join("base/1")).unwrap();
        fs::write(from.join("base/1/112"), "rows").unwrap();
        let log = [vec![7; 100], vec![0; 200_000], vec![8; 3], vec![0; 70_000]].concat();
        fs::write(from.join("log"), &log).unwrap();
        let to = directory.path().join("to");
        fs::create_dir_all(directory.path().join("to.partial/base")).unwrap();
        FileOwner::Ourselves.copy_tree(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("base/1/112")).unwrap(), "rows");
        assert!(fs::read(to.join("log")).unwrap() == log);
        assert!(!directory.path().join("to.partial").exists());
    }
}
