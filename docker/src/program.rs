//! The user's program: where it lies on this machine, and whether an image can run it. A program is mounted into the
//! container as one file, so what it needs beside its C library must be in the image.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use topologies::runtime::RuntimeError;

use crate::engine::missing;
use crate::images::Image;

/// Interpreters that our base image has.
const INTERPRETERS: [&str; 3] = ["/bin/sh", "/usr/bin/sh", "/bin/dash"];

/// Finds a program as a shell would, but beside our own binary first.
///
/// # Errors
/// [`RuntimeError::Missing`] when there is none that can be executed.
pub(crate) fn find(word: &str) -> Result<PathBuf, RuntimeError> {
    let candidates: Vec<PathBuf> = if word.contains('/') {
        vec![PathBuf::from(word)]
    } else {
        let beside = std::env::current_exe()
            .ok()
            .and_then(|own| own.parent().map(Path::to_owned));
        let path = std::env::var_os("PATH").unwrap_or_default();
        beside
            .into_iter()
            .chain(std::env::split_paths(&path))
            .map(|directory| directory.join(word))
            .collect()
    };
    candidates
        .into_iter()
        .find(|candidate| executable(candidate))
        .and_then(|found| found.canonicalize().ok())
        .ok_or_else(|| {
            missing(
                format!("program `{word}`"),
                "give its path, put it beside localaws or into PATH, or name an `image:` that has it",
            )
        })
}

/// Refuses a program that the image cannot run, with the reason: a container would only say `no such file`.
///
/// # Errors
/// [`RuntimeError::Missing`] for a script without its interpreter or a binary that needs a newer C library.
pub(crate) fn check(program: &Path, image: &Image) -> Result<(), RuntimeError> {
    let unreadable = |error: std::io::Error| {
        missing(
            format!("program `{}` ({error})", program.display()),
            "make it readable",
        )
    };
    let mut content = Vec::new();
    std::fs::File::open(program)
        .and_then(|mut file| file.read_to_end(&mut content))
        .map_err(unreadable)?;
    if let Some(interpreter) = interpreter(&content) {
        if INTERPRETERS.contains(&interpreter.as_str()) {
            return Ok(());
        }
        return Err(missing(
            format!(
                "`{interpreter}`, which runs `{}`, in image `{}`",
                program.display(),
                image.reference
            ),
            "name an `image:` that has it, or use `--runtime process`",
        ));
    }
    let (Some(needs), Some(has)) = (
        needed_glibc(&content),
        image.glibc.as_deref().and_then(version),
    ) else {
        return Ok(());
    };
    if needs <= has {
        return Ok(());
    }
    Err(missing(
        format!(
            "C library {}.{}, which `{}` was built for, in image `{}` (it has {}.{})",
            needs.0,
            needs.1,
            program.display(),
            image.reference,
            has.0,
            has.1
        ),
        "build the program on this machine or statically, or name an `image:` that suits it",
    ))
}

fn executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// What runs a script: the first word behind `#!`, or the second behind `env`.
fn interpreter(content: &[u8]) -> Option<String> {
    let line = content
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let first = words.next()?;
    if first.ends_with("/env") {
        words.find(|word| !word.starts_with('-')).map(str::to_owned)
    } else {
        Some(first.to_owned())
    }
}

/// The newest `GLIBC_2.x` symbol version that the binary names; none for a static one.
fn needed_glibc(content: &[u8]) -> Option<(u32, u32)> {
    const MARK: &[u8] = b"GLIBC_";
    content
        .windows(MARK.len())
        .enumerate()
        .filter(|(_, window)| *window == MARK)
        .filter_map(|(at, _)| {
            let rest = &content[at + MARK.len()..];
            let end = rest
                .iter()
                .position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
            version(std::str::from_utf8(&rest[..end]).ok()?)
        })
        .max()
}

/// The first two numbers of a version.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(glibc: &str) -> Image {
        Image {
            reference: "localaws/base".to_owned(),
            id: "sha256:1".to_owned(),
            version: None,
            glibc: Some(glibc.to_owned()),
            size: 0,
            path: "/bin".to_owned(),
            command: Vec::new(),
            recipe: None,
        }
    }

    fn check_content(content: &[u8], fits: bool) {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        std::fs::write(&program, content).unwrap();
        let result = check(&program, &image("2.36"));
        assert_eq!(result.is_ok(), fits, "{result:?}");
    }

    #[test]
    fn a_binary_needs_its_c_library() {
        check_content(b"\x7fELF\0GLIBC_2.34\0GLIBC_2.2.5\0", true);
        check_content(b"\x7fELF\0GLIBC_2.36\0", true);
        check_content(b"\x7fELF\0GLIBC_2.9\0GLIBC_2.38\0", false);
        check_content(b"\x7fELF static GLIBC_PRIVATE\0", true);
    }

    #[test]
    fn a_script_needs_its_interpreter() {
        check_content(b"#!/bin/sh\necho", true);
        check_content(b"#! /usr/bin/env -S python3 -u\n", false);
        check_content(b"#!/usr/bin/python3", false);
    }

    #[test]
    fn our_own_program_runs_in_an_image_of_this_machine() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(
            find(own.file_name().unwrap().to_str().unwrap()),
            own.canonicalize().map_err(|_| unreachable!())
        );
        let needs =
            needed_glibc(&std::fs::read(&own).unwrap()).expect("tests are linked dynamically");
        assert!(needs >= (2, 17), "{needs:?}");
    }

    #[test]
    fn what_is_not_there_is_said_to_be_missing() {
        assert!(matches!(
            find("no-such-program"),
            Err(RuntimeError::Missing { .. })
        ));
        assert!(
            matches!(find("/etc/passwd"), Err(RuntimeError::Missing { .. })),
            "not executable"
        );
    }
}
