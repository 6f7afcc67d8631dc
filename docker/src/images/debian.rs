//! Fetches Debian packages with the host's own `apt-get`, unprivileged: its signatures and mirrors, but with archives and
//! package states of our own, so that the host's are neither needed nor touched.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use topologies::runtime::RuntimeError;

use super::layer::Layer;
use super::recipe::Recipe;

/// Longer than any fetch on a line worth waiting for: PostgreSQL is 50 MB.
const FETCH_LIMIT: Duration = Duration::from_secs(600);

/// A directory in which packages are resolved, fetched and unpacked; removed with all it holds when dropped.
#[derive(Debug)]
pub(crate) struct Workshop {
    directory: PathBuf,
    architecture: String,
    own_lists: bool,
}

/// A package file, `redis-server_5%3a7.0.15-1~deb12u10_amd64.deb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Upstream's version: no epoch, no Debian revision.
    pub(crate) version: String,
    path: PathBuf,
}

impl Workshop {
    /// Opens a workshop in this directory, which must be nobody else's. [`RuntimeError::Missing`] where there is no apt.
    pub(crate) async fn open(directory: PathBuf) -> Result<Self, RuntimeError> {
        let architecture = run(Command::new("dpkg").arg("--print-architecture")).await?;
        // What a killed process left.
        match std::fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("empty the image directory", error));
            }
            Ok(()) | Err(_) => {}
        }
        let mut workshop = Self {
            architecture: architecture.trim().to_owned(),
            directory,
            own_lists: false,
        };
        workshop.make(&workshop.lists().join("partial"))?;
        workshop.make(&workshop.directory.join("archives/partial"))?;
        workshop.write_status("")?;
        if workshop.major_of("libc6").await?.is_none() {
            workshop.own_lists = true;
            run(workshop.apt("apt-get").args(["-qq", "update"])).await?;
        }
        Ok(workshop)
    }

    /// The newest major version on offer, among `majors`, of a package whose name carries it (`postgresql-15`).
    pub(crate) async fn newest_major(
        &self,
        prefix: &str,
        majors: RangeInclusive<u16>,
    ) -> Result<Option<u16>, RuntimeError> {
        let names = run(self.apt("apt-cache").args(["pkgnames", prefix])).await?;
        Ok(names
            .lines()
            .filter_map(|name| name.strip_prefix(prefix)?.parse().ok())
            .filter(|major| majors.contains(major))
            .max())
    }

    /// The major version of the package on offer; none if there is none.
    pub(crate) async fn major_of(&self, package: &str) -> Result<Option<u16>, RuntimeError> {
        let policy = run(self.apt("apt-cache").args(["policy", package])).await?;
        Ok(policy
            .lines()
            .find_map(|line| line.trim().strip_prefix("Candidate: "))
            .and_then(|version| upstream(version).split('.').next()?.parse().ok()))
    }

    /// Fetches the packages of a recipe and all they depend on.
    pub(crate) async fn fetch(&self, recipe: &Recipe) -> Result<Vec<Package>, RuntimeError> {
        self.write_status(&recipe.dpkg_status(&self.architecture))?;
        run(self
            .apt("apt-get")
            .args([
                "-qq",
                "-y",
                "--no-install-recommends",
                "--download-only",
                "install",
            ])
            .args(&recipe.install))
        .await?;
        let entries = std::fs::read_dir(self.directory.join("archives"))
            .map_err(|error| failed("list fetched packages", error))?;
        let mut packages: Vec<Package> = entries
            .filter_map(|entry| Package::of(entry.ok()?.path()))
            .collect();
        packages.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(packages)
    }

    fn apt(&self, program: &str) -> Command {
        let at = |name: &str| self.directory.join(name).display().to_string();
        let mut command = Command::new(program);
        let mut option = |name: &str, value: &str| {
            command.args(["-o", &format!("{name}={value}")]);
        };
        option("Dir::State::status", &at("status"));
        option("Dir::Cache::archives", &at("archives"));
        option("Dir::Cache::pkgcache", "");
        option("Dir::Cache::srcpkgcache", "");
        option("Debug::NoLocking", "1");
        // As root apt would fetch as user `_apt`, who may not enter this directory.
        option("APT::Sandbox::User", "root");
        if self.own_lists {
            option("Dir::State::lists", &at("lists"));
        }
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    fn lists(&self) -> PathBuf {
        self.directory.join("lists")
    }

    fn make(&self, directory: &Path) -> Result<(), RuntimeError> {
        std::fs::create_dir_all(directory)
            .map_err(|error| failed("make the image directory", error))
    }

    fn write_status(&self, status: &str) -> Result<(), RuntimeError> {
        std::fs::write(self.directory.join("status"), status)
            .map_err(|error| failed("write package states", error))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            tracing::debug!(%error, directory = %self.directory.display(), "image directory stays for the next build to remove");
        }
    }
}

impl Package {
    fn of(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".deb")?;
        let mut parts = name.split('_');
        let (name, version) = (parts.next()?.to_owned(), parts.next()?.replace("%3a", ":"));
        Some(Self {
            name,
            version: upstream(&version).to_owned(),
            path,
        })
    }
}

/// Writes the layer of these packages. Blocks.
pub(crate) fn write_layer(
    recipe: &Recipe,
    packages: &[Package],
    out: impl io::Write,
) -> io::Result<()> {
    let mut layer = Layer::begin(recipe, out)?;
    for package in packages {
        let mut child = std::process::Command::new("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(&package.path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let added = child
            .stdout
            .take()
            .map_or(Ok(()), |stdout| layer.add(stdout));
        let status = child.wait()?;
        added?;
        if !status.success() {
            return Err(io::Error::other(format!(
                "dpkg-deb could not read {}: {status}",
                package.path.display()
            )));
        }
    }
    layer.finish()
}

/// `5:7.0.15-1~deb12u10` as `7.0.15`.
fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version
        .rsplit_once('-')
        .map_or(version, |(upstream, _)| upstream)
}

async fn run(command: &mut Command) -> Result<String, RuntimeError> {
    let program = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(FETCH_LIMIT, output)
        .await
        .map_err(|_| RuntimeError::TimedOut {
            action: format!("run {program}"),
            limit: FETCH_LIMIT,
        })?
        .map_err(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return failed(&format!("run {program}"), error);
            }
            RuntimeError::Missing {
                what: program.clone(),
                hint: "images are built from the packages of Debian or Ubuntu; elsewhere, name an `image:` that Docker can \
                       pull, or use `--runtime process`"
                    .to_owned(),
            }
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    if unreachable(&complaint) {
        let lines = complaint.lines().filter(|line| line.starts_with("E:"));
        let first = lines.map(|line| line.trim_start_matches("E: ")).next();
        return Err(RuntimeError::Missing {
            what: format!("Debian's packages: {}", first.unwrap_or("no mirror answers").trim()),
            hint: "images are built from packages once, for which a mirror has to answer; check the network, or use \
                   `--runtime process`"
                .to_owned(),
        });
    }
    let lines: Vec<&str> = complaint
        .lines()
        .filter(|line| line.starts_with("E:"))
        .take(3)
        .collect();
    Err(RuntimeError::Failed {
        action: format!("run {program}"),
        cause: if lines.is_empty() {
            complaint.trim().to_owned()
        } else {
            lines.join("; ")
        },
    })
}

/// Whether apt says that no mirror could be reached.
fn unreachable(complaint: &str) -> bool {
    [
        "Temporary failure resolving",
        "Could not resolve",
        "Could not connect",
        "Unable to connect",
        "Network is unreachable",
    ]
    .iter()
    .any(|sign| complaint.contains(sign))
}

fn failed(action: &str, error: io::Error) -> RuntimeError {
    RuntimeError::Failed {
        action: action.to_owned(),
        cause: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_known_by_their_file_names() {
        let package = Package::of(PathBuf::from(
            "/a/redis-server_5%3a7.0.15-1~deb12u10_amd64.deb",
        ))
        .unwrap();
        assert_eq!(
            (package.name.as_str(), package.version.as_str()),
            ("redis-server", "7.0.15")
        );
        assert_eq!(Package::of(PathBuf::from("/a/partial")), None);
        assert_eq!(Package::of(PathBuf::from("/a/lock")), None);
    }

    #[test]
    fn a_mirror_that_is_away_is_told_from_other_trouble() {
        assert!(unreachable(
            "E: Failed to fetch http://deb.debian.org/x.deb  Temporary failure resolving 'deb.debian.org'"
        ));
        assert!(!unreachable("E: Unable to locate package postgresql-99"));
    }

    #[test]
    fn the_upstream_version_has_no_epoch_and_no_revision() {
        assert_eq!(upstream("5:7.0.15-1~deb12u10"), "7.0.15");
        assert_eq!(upstream("2024a-0+deb12u1"), "2024a");
        assert_eq!(upstream("12.4+deb12u15"), "12.4+deb12u15");
        assert_eq!(upstream("(none)"), "(none)");
    }
}
