//! The golden cluster: `initdb` runs once per version of the software, and every host of every stack starts from a copy.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};
use topologies::runtime::ToolPlan;

use super::{ADMIN, Postgres};
use crate::engines::EngineError;
use crate::engines::files;
use crate::engines::secrets::Secret;

/// Of the directory's form and of what is in it; part of its name.
const FORMAT: u32 = 1;
/// How long `initdb` may take. It takes half a second to a few seconds.
const INITDB_LIMIT: Duration = Duration::from_secs(120);
/// How often is looked whether another daemon's `initdb` is done.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);
/// Locales, the best first: not every system has `C.UTF-8`.
const LOCALES: [&str; 2] = ["C.UTF-8", "C"];

/// The directory of a golden cluster.
#[derive(Clone, Debug)]
pub(super) struct Golden(PathBuf);

impl Golden {
    /// The cluster, never started.
    pub(super) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// The password of [`ADMIN`] in it, good until a primary is configured.
    pub(super) fn password(&self) -> Result<Secret, EngineError> {
        let path = self.password_file();
        fs::read_to_string(&path)
            .map(|text| Secret::new(text.trim_end()))
            .map_err(|cause| EngineError::file("read", path, cause))
    }

    fn password_file(&self) -> PathBuf {
        self.0.join("password")
    }

    fn made(&self) -> bool {
        self.data().join("PG_VERSION").exists()
    }
}

impl Postgres {
    /// The golden cluster; made unless the cache has it.
    pub(super) async fn golden(&self) -> Result<Golden, EngineError> {
        let version = self.runtime.version(&self.software()).await?;
        let major = self.major().await?;
        let shelf = self.directories.cache.join("golden");
        let recipe = format!(
            "{FORMAT} {:?}",
            initdb_command(major, Path::new(""), "C.UTF-8")
        );
        let digest = hex::encode(&Sha256::digest(recipe)[..4]);
        let name = format!("postgres-{version}-{}-{digest}", self.owner.id());
        let golden = Golden(shelf.join(&name));
        if golden.made() {
            return Ok(golden);
        }
        fs::create_dir_all(&shelf)
            .map_err(|cause| EngineError::file("make directory", &shelf, cause))?;
        let _lock = lock(&shelf.join(format!("{name}.lock"))).await?;
        if !golden.made() {
            let partial = Golden(shelf.join(format!("{name}.partial")));
            self.make_golden(&partial, major).await?;
            fs::rename(&partial.0, &golden.0)
                .map_err(|cause| EngineError::file("rename", &partial.0, cause))?;
        }
        Ok(golden)
    }

    async fn make_golden(&self, golden: &Golden, major: u16) -> Result<(), EngineError> {
        let (owner, place) = (self.owner, golden.clone());
        let password = Secret::generate(&mut system_randomness()?);
        self.directories
            .work
            .run(move || {
                files::remove_tree(&place.0)?;
                owner.make_directory(&place.0)?;
                owner.write(&place.password_file(), password.expose())
            })
            .await?;
        for locale in LOCALES {
            let tool = ToolPlan {
                software: self.software(),
                zone: None,
                command: initdb_command(major, &golden.0, locale),
                directories: vec![golden.0.clone()],
                environment: BTreeMap::new(),
                timeout: INITDB_LIMIT,
            };
            match self.run("initdb", &tool).await {
                Err(EngineError::Tool { output, .. })
                    if locale != LOCALES[1] && output.contains("locale") => {}
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        // The first start of a copy takes the mark away.
        self.owner
            .write(&golden.data().join(super::state::FRESH_MARK), "")
    }
}

fn initdb_command(major: u16, golden: &Path, locale: &str) -> Vec<String> {
    let mut command = vec![
        "initdb".to_owned(),
        format!("--pgdata={}", golden.join("data").display()),
        format!("--pwfile={}", golden.join("password").display()),
        format!("--username={ADMIN}"),
        "--auth=scram-sha-256".to_owned(),
        "--encoding=UTF8".to_owned(),
        "--data-checksums".to_owned(),
        "--no-sync".to_owned(),
        format!("--locale={locale}"),
    ];
    if major >= 17 {
        // The same order of characters on every machine.
        command
            .extend(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"].map(str::to_owned));
    }
    command
}

/// The major version of `15.18`, `15.18 (Debian 15.18-0+deb12u1)`, `18beta1`.
pub(super) fn major_of(version: &str) -> Option<u16> {
    let end = version
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(version.len());
    version[..end].parse().ok()
}

/// Waits for the right to make the golden cluster; another daemon may be at it. The lock goes when the file is dropped, or
/// its holder dies.
async fn lock(path: &Path) -> Result<File, EngineError> {
    let fail = |cause| EngineError::file("lock", path, cause);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(fail)?;
    let end = Instant::now() + INITDB_LIMIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(cause)) => return Err(fail(cause)),
            Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                return Err(fail(std::io::ErrorKind::TimedOut.into()));
            }
            Err(TryLockError::WouldBlock) => sleep(LOCK_INTERVAL).await,
        }
    }
}

/// A generator seeded by the operating system.
fn system_randomness() -> Result<rand_chacha::ChaCha20Rng, EngineError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|cause| EngineError::file("read", "the system's randomness", cause.into()))?;
    Ok(rand::SeedableRng::from_seed(seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_leads() {
        assert_eq!(major_of("15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major_of("18beta1"), Some(18));
        assert_eq!(major_of("13"), Some(13));
        assert_eq!(major_of("devel"), None);
    }

    #[test]
    fn the_password_is_not_in_the_command() {
        let command = initdb_command(15, Path::new("/cache/g"), "C");
        assert!(command.contains(&"--pwfile=/cache/g/password".to_owned()));
        assert!(!command.iter().any(|word| word.contains("builtin")));
        assert!(
            initdb_command(17, Path::new("/"), "C")
                .iter()
                .any(|word| word.contains("builtin"))
        );
    }
}
