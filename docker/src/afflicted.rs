//! The harm in force, on disk: a daemon that comes after a crash must not heal a zone by forgetting.

use std::io;
use std::path::Path;

use topologies::affliction::Afflictions;
use topologies::runtime::RuntimeError;

const FILE: &str = "afflictions.json";

/// Reads what the stack's directory says; none if there is no file.
pub(crate) fn read(stack_dir: &Path) -> Result<Afflictions, RuntimeError> {
    let path = stack_dir.join(FILE);
    let content = match std::fs::read(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Afflictions::default()),
        Err(error) => return Err(failed("read", &path, &error.to_string())),
    };
    serde_json::from_slice(&content).map_err(|error| failed("read", &path, &error.to_string()))
}

/// Replaces the file as a whole: a reader sees the former state or this one. No file stands for no harm.
pub(crate) fn write(stack_dir: &Path, afflictions: &Afflictions) -> Result<(), RuntimeError> {
    let path = stack_dir.join(FILE);
    let written = if *afflictions == Afflictions::default() {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    } else {
        let fresh = stack_dir.join(format!("{FILE}.new"));
        let text = serde_json::to_vec(afflictions).expect("afflictions are data");
        std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, &path))
    };
    written.map_err(|error| failed("write", &path, &error.to_string()))
}

fn failed(verb: &str, path: &Path, cause: &str) -> RuntimeError {
    RuntimeError::Failed {
        action: format!("{verb} `{}`", path.display()),
        cause: cause.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use topologies::runtime::Affliction;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_no_harm_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut afflictions = Afflictions::default();
        assert_eq!(read(directory.path()), Ok(Afflictions::default()));
        afflictions.afflict(&Affliction::PowerLoss("a".into()));
        write(directory.path(), &afflictions).unwrap();
        assert_eq!(read(directory.path()).as_ref(), Ok(&afflictions));
        write(directory.path(), &Afflictions::default()).unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_broken_file_is_no_clean_bill_of_health() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), "[{").unwrap();
        assert!(read(directory.path()).is_err());
    }
}
