//! Reads a topology file and shows what is wrong with it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use topologies::check::{MAX_BYTES, Overrides, check_with};
use topologies::notes::{self, Style};
use topologies::topology::Topology;

use super::drill_file::is_drill;
use super::exit::Failure;
use super::output;

/// Where a process finds what it was started with.
const DESCRIPTORS: [&str; 3] = ["/dev/stdin", "/dev/fd", "/proc/self/fd"];

/// The region of an empty account where the environment names none: the first that AWS had.
const DEFAULT_REGION: &str = "us-east-1";
/// What a stack without a file has in the place of its name.
const EMPTY: &str = "(no file)";

/// A topology file that was read.
pub(super) struct TopologyFile {
    /// As the user wrote it.
    pub(super) shown: String,
    /// Absolute.
    pub(super) path: PathBuf,
    /// What it says.
    pub(super) text: String,
}

impl TopologyFile {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        Ok(Self {
            shown: path.display().to_string(),
            path: std::path::absolute(path).map_err(|error| unreadable(path, &error))?,
            text: text(path, MAX_BYTES, "a topology")?,
        })
    }

    /// An account with a region, its zones and nothing in it. The region is the one that AWS's own tools would take.
    pub(super) fn empty() -> Result<Self, Failure> {
        let here = std::env::current_dir()
            .map_err(|error| Failure::machine(format!("failed to find this directory: {error}")))?;
        let named = ["AWS_REGION", "AWS_DEFAULT_REGION"];
        let mut named = named.iter().filter_map(|it| std::env::var(it).ok());
        let region = named.find(|region| !region.is_empty());
        let region = region.unwrap_or_else(|| DEFAULT_REGION.to_owned());
        Ok(Self {
            shown: EMPTY.to_owned(),
            path: here.join(EMPTY),
            text: format!(
                "name: account\nregion: {}\navailability-zones: [a, b, c]\ntiming: fast\n",
                serde_json::Value::from(region)
            ),
        })
    }

    /// What it means. Notes are shown on standard error.
    pub(super) fn topology(&self, overrides: &Overrides) -> Result<Topology, Failure> {
        let (topology, notes) = check_with(&self.text, &self.shown, overrides);
        let shown = &self.shown;
        if topology.is_none() && is_drill(&self.text) {
            return Err(
                Failure::wrong(format!("`{shown}` is a drill, not a topology")).hint(format!(
                    "`localaws drill check {shown}` checks it, `localaws drill run {shown}` runs it"
                )),
            );
        }
        if !notes.is_empty() {
            output::eprint(&notes::render(&notes, &self.text, shown, Style::Ansi));
        }
        let errors = notes
            .iter()
            .filter(|note| note.severity == notes::Severity::Error)
            .count();
        topology.ok_or_else(|| {
            output::eprint("\n");
            Failure::wrong(format!("`{shown}` has {}", mistakes(errors)))
        })
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
pub(super) fn text(path: &Path, bytes_max: usize, what: &str) -> Result<String, Failure> {
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

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    Failure::wrong(if error.kind() == io::ErrorKind::NotFound {
        format!("there is no file `{shown}`")
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        format!("`{shown}` may not be read by this user")
    } else {
        format!("failed to read `{shown}`: {error}")
    })
}
