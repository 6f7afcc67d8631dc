//! Finding installed engines: which directories to look into, and what version is there.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use topologies::runtime::Software;

/// A program that does not tell its version by then is broken.
const VERSION_WAIT_MAX: Duration = Duration::from_secs(5);

/// What PostgreSQL's part needs; packages of clients alone have some of it.
const POSTGRES_PROGRAMS: [&str; 4] = ["postgres", "initdb", "pg_basebackup", "pg_rewind"];

/// Directories that hold one directory per version: the one above, what its name begins with, and where programs are in it.
const POSTGRES_PLACES: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
];

/// Directories of programs that `PATH` may lack, as `sudo`'s does.
const COMMON_PLACES: [&str; 5] = [
    "/usr/local/bin",
    "/usr/bin",
    "/usr/local/pgsql/bin",
    "/home/linuxbrew/.linuxbrew/bin",
    "/opt/homebrew/bin",
];

/// An engine, and the major version that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// PostgreSQL.
    Postgres(Option<u16>),
    /// Redis or Valkey.
    Redis(Option<u16>),
}

/// An engine's programs on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installation {
    /// Where the programs are.
    pub(crate) directory: PathBuf,
    /// The version, `15.18`.
    pub(crate) version: String,
}

impl Installation {
    /// The numbers of the version, to find the newest.
    pub(super) fn order(&self) -> Vec<u32> {
        self.version
            .split(|c: char| !c.is_ascii_digit())
            .map_while(|number| number.parse().ok())
            .collect()
    }
}

impl Engine {
    /// The engine of `software`; none for a program of the user.
    pub(super) fn of(software: &Software) -> Option<Self> {
        match software {
            Software::Postgres { version } => Some(Self::Postgres(*version)),
            Software::Redis { version } => Some(Self::Redis(*version)),
            Software::Program => None,
        }
    }

    /// The major version that is asked for.
    pub(super) fn version(self) -> Option<u16> {
        match self {
            Self::Postgres(version) | Self::Redis(version) => version,
        }
    }

    /// What a user of this machine can do to have it.
    pub(crate) fn how_to_install(self) -> String {
        let package = match self {
            Self::Postgres(Some(version)) => format!(
                "apt install postgresql-{version}` or `dnf install postgresql{version}-server` or `brew install postgresql@{version}"
            ),
            Self::Postgres(None) => {
                "apt install postgresql` or `dnf install postgresql-server` or `brew install postgresql"
                    .to_owned()
            }
            Self::Redis(_) => {
                "apt install redis-server` or `dnf install valkey` or `brew install valkey".to_owned()
            }
        };
        format!("install it with `{package}`")
    }

    /// Majors that this emulator knows how to run.
    fn supports(self, major: u16) -> bool {
        let known = match self {
            Self::Postgres(_) => 13..=18,
            // Valkey counts on from Redis 7: its 9 is not beyond what is spoken here.
            Self::Redis(_) => 6..=9,
        };
        known.contains(&major) && self.version().is_none_or(|asked| asked == major)
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Postgres(_) => "PostgreSQL",
            Self::Redis(_) => "Redis or Valkey",
        };
        match self.version() {
            Some(version) => write!(f, "{name} {version}"),
            None => f.write_str(name),
        }
    }
}

/// The directories in which an engine may be installed.
pub(super) fn places(engine: Engine) -> BTreeSet<PathBuf> {
    let mut places: BTreeSet<PathBuf> = path_directories();
    places.extend(COMMON_PLACES.map(PathBuf::from));
    if matches!(engine, Engine::Postgres(_)) {
        for (above, prefix, programs) in POSTGRES_PLACES {
            places.extend(below(Path::new(above), prefix, programs));
        }
    }
    places
}

/// What is in `directory`; the error says why it will not do.
pub(super) fn examine(engine: Engine, directory: &Path) -> Result<Installation, String> {
    let server = match engine {
        Engine::Postgres(_) => "postgres",
        Engine::Redis(_) => "redis-server",
    };
    let missing = |program: &str| format!("`{program}` is not in `{}`", directory.display());
    let named = engine_program(directory, server).ok_or_else(|| missing(server))?;
    // Distributions lay links to one program into `/usr/bin`; the others are beside the program itself.
    let real = named.canonicalize().map_err(|error| error.to_string())?;
    let directory = real.parent().unwrap_or(directory).to_path_buf();
    // Redis's programs are links to one that does by its name what it does: it keeps the name that it was found by.
    let server = named
        .file_name()
        .map(|name| directory.join(name))
        .filter(|beside| executable(beside).is_ok())
        .unwrap_or(real);
    if matches!(engine, Engine::Postgres(_)) {
        for program in POSTGRES_PROGRAMS {
            executable(&directory.join(program))?;
        }
    }
    let version = version_of(&server)?;
    let installation = Installation { directory, version };
    let major = installation.order().first().copied().unwrap_or_default();
    if u16::try_from(major).is_ok_and(|major| engine.supports(major)) {
        Ok(installation)
    } else {
        Err(format!(
            "`{}` is of version {}",
            server.display(),
            installation.version
        ))
    }
}

/// A program of an engine, by Redis's name also if it is Valkey's.
pub(super) fn engine_program(directory: &Path, name: &str) -> Option<PathBuf> {
    program_in(directory, name).or_else(|| {
        let of_redis = name.strip_prefix("redis-")?;
        program_in(directory, &format!("valkey-{of_redis}"))
    })
}

/// A program of this name in `directory`.
pub(super) fn program_in(directory: &Path, name: &str) -> Option<PathBuf> {
    let program = directory.join(name);
    executable(&program).is_ok().then_some(program)
}

/// A program of this name in one of `PATH`'s directories, in their order.
pub(super) fn program_in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .find_map(|directory| program_in(&directory, name))
}

/// Whether `program` is a file that may be executed; the error says what it is.
pub(super) fn executable(program: &Path) -> Result<(), String> {
    let shown = program.display();
    let metadata = fs::metadata(program).map_err(|error| format!("`{shown}`: {error}"))?;
    if !metadata.is_file() {
        return Err(format!("`{shown}` is no file"));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(format!("`{shown}` is not executable"));
    }
    Ok(())
}

fn path_directories() -> BTreeSet<PathBuf> {
    std::env::var_os("PATH")
        .map(|path| {
            std::env::split_paths(&path)
                .filter(|directory| directory.is_absolute())
                .collect()
        })
        .unwrap_or_default()
}

fn below(above: &Path, prefix: &str, programs: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(above) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(programs))
        .collect()
}

/// Asks a server for its version.
fn version_of(server: &Path) -> Result<String, String> {
    let failed = |cause: &dyn fmt::Display| format!("`{} --version`: {cause}", server.display());
    let mut child = Command::new(server)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(&error))?;
    let started = Instant::now();
    let ended = loop {
        match child.try_wait() {
            Ok(Some(_)) => break true,
            Ok(None) if started.elapsed() < VERSION_WAIT_MAX => {
                thread::sleep(Duration::from_millis(1));
            }
            Ok(None) | Err(_) => break false,
        }
    };
    if !ended {
        // It may have ended by itself between the look and the kill.
        let _ = child.kill();
        let _ = child.wait();
        return Err(failed(&"no answer"));
    }
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        // What is not read of a strange answer is no version either.
        let _ = output.take(4096).read_to_string(&mut line);
    }
    parse_version(&line).ok_or_else(|| failed(&"no version in the answer"))
}

/// The version in `postgres (PostgreSQL) 15.18 (Debian 15.18-0)` or `Valkey server v=8.1.8 sha=0 ...`.
fn parse_version(line: &str) -> Option<String> {
    line.split_ascii_whitespace()
        .map(|word| word.strip_prefix("v=").unwrap_or(word))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_servers_say() {
        let check = |line: &str, version: Option<&str>| {
            assert_eq!(parse_version(line).as_deref(), version, "{line}");
        };
        check(
            "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
            Some("15.18"),
        );
        check("postgres (PostgreSQL) 18beta1", Some("18beta1"));
        check(
            "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64",
            Some("7.0.15"),
        );
        check("Valkey server v=8.1.8 sha=0 bits=64", Some("8.1.8"));
        check("usage: something", None);
    }

    /// Debian's `redis-server` is a link to `redis-check-rdb`, which tells no version in Redis 6.
    #[test]
    fn a_program_of_many_names_is_asked_by_the_right_one() {
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join("redis-check-rdb");
        fs::write(
            &program,
            "#!/bin/sh\ncase $0 in *redis-server) echo Redis server v=6.0.16;; *) exit 1;; esac\n",
        )
        .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("redis-check-rdb", place.path().join("redis-server")).unwrap();
        let found = examine(Engine::Redis(Some(6)), place.path()).unwrap();
        assert_eq!(found.version, "6.0.16");
    }

    #[test]
    fn the_newest_is_the_greatest_number_not_the_greatest_text() {
        let of = |version: &str| Installation {
            directory: PathBuf::new(),
            version: version.to_owned(),
        };
        assert!(of("15.10").order() > of("15.9").order());
        assert!(of("9.6").order() < of("13.1").order());
    }

    #[test]
    fn a_version_that_is_asked_for_is_the_only_one() {
        assert!(Engine::Postgres(None).supports(13));
        assert!(!Engine::Postgres(None).supports(12));
        assert!(!Engine::Postgres(Some(16)).supports(15));
        assert!(Engine::Redis(Some(7)).supports(7));
    }
}
