//! Reads text files, and says what one means to be.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::exit::Failure;

/// Where a process finds what it was started with.
const DESCRIPTORS: [&str; 3] = ["/dev/stdin", "/dev/fd", "/proc/self/fd"];

/// What a file means to be, by the fields that only one kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    Topology,
    Drill,
}

impl Meant {
    /// Nothing where a text has the fields of both or of neither.
    pub(super) fn by(text: &str) -> Option<Self> {
        let has = |field: &str| text.lines().any(|line| line.starts_with(field));
        match (has("region"), has("steps:") || has("expect:")) {
            (true, false) => Some(Self::Topology),
            (false, true) => Some(Self::Drill),
            _ => None,
        }
    }
}

/// So many, in words.
pub(super) fn mistakes(count: usize) -> String {
    match count {
        1 => "a mistake".to_owned(),
        several => format!("{several} mistakes"),
    }
}

/// Reads a text file of at most `bytes_max` bytes; never more, whatever its size is said to be.
pub(super) fn read(path: &Path, bytes_max: usize, what: &str) -> Result<String, Failure> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if metadata.is_dir() {
        return Err(Failure::wrong(format!("`{shown}` is a directory")).hint("name a file in it"));
    }
    // To read a pipe or a device may wait for ever; what a shell hands over as a descriptor is there to be read.
    let handed_over = DESCRIPTORS.iter().any(|place| path.starts_with(place));
    if !metadata.is_file() && !handed_over {
        return Err(Failure::wrong(format!("`{shown}` is not a regular file"))
            .hint("`/dev/stdin` reads what is piped in"));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, &error))?;
    if bytes.len() > bytes_max {
        return Err(Failure::wrong(format!(
            "`{shown}` is larger than {what} may be, {} KiB",
            bytes_max / 1024
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        let read = error.as_bytes();
        let good = error.utf8_error().valid_up_to();
        let line = 1 + read[..good].iter().filter(|byte| **byte == b'\n').count();
        Failure::wrong(format!(
            "`{shown}` is not UTF-8 text: line {line} has byte {:#04x}",
            read[good]
        ))
        .hint("save it as UTF-8")
    })
}

/// Why a path can not be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    Failure::wrong(if error.kind() == io::ErrorKind::NotFound {
        format!("there is no file `{shown}`")
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        format!("`{shown}` may not be read by this user")
    } else {
        format!("failed to read `{shown}`: {error}")
    })
}
