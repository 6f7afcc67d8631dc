//! Reads a topology file and shows what is wrong with it.

use std::path::{Path, PathBuf};

use topologies::check::{MAX_BYTES, Overrides, check_with};
use topologies::notes::{self, Style};
use topologies::topology::Topology;

use super::exit::Failure;
use super::output;
use super::text_file::{self, Meant, mistakes};

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
            path: std::path::absolute(path).map_err(|error| text_file::unreadable(path, &error))?,
            text: text_file::read(path, MAX_BYTES, "a topology")?,
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
        if topology.is_none() && Meant::by(&self.text) == Some(Meant::Drill) {
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
