//! AWS's own clients: Python with boto3 and the AWS CLI, made by `scripts/pyenv` when they are first asked for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::rig::{Answer, PATIENCE, Rig, root};

/// Runs a script of `tests/tests/aws` against a stack, with nothing but what `endpoints --env` says. It asserts by itself.
///
/// # Panics
/// When it fails or does not end, or where there is no Python or no package index to have boto3 from.
#[track_caller]
pub fn script(rig: &Rig, name: &str) {
    let path = root().join("tests/tests/aws").join(name);
    let answer = client(rig, "python", &[&path.display().to_string()]);
    assert_eq!(
        answer.code,
        Some(0),
        "{name}:\n{}{}",
        answer.out,
        answer.err
    );
}

/// Runs a script of `tests/tests/aws` inside of a stack: names resolve as its instances have them.
///
/// # Panics
/// As [`script`].
#[track_caller]
pub fn script_inside(rig: &Rig, name: &str) {
    let path = root().join("tests/tests/aws").join(name);
    let python = home().join("bin/python");
    let (python, path) = (python.display().to_string(), path.display().to_string());
    rig.done(&[
        "exec",
        "--",
        "env",
        "PYTHONDONTWRITEBYTECODE=1",
        &python,
        &path,
    ]);
}

/// Runs a program of the Python environment against a stack.
///
/// # Panics
/// As [`script`].
pub fn client(rig: &Rig, program: &str, arguments: &[&str]) -> Answer {
    let environment = rig.done(&["endpoints", "--env"]);
    let variables = environment.lines().filter_map(|line| line.split_once('='));
    let mut child = Command::new(home().join("bin").join(program))
        .args(arguments)
        .env_clear()
        .envs(variables)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", rig.home())
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("scripts/pyenv made it");
    let begun = Instant::now();
    while child.try_wait().expect("it is our child").is_none() && begun.elapsed() < PATIENCE {
        std::thread::park_timeout(crate::rig::LOOK);
    }
    // One that has ended can not be killed; one that has not says how far it came.
    let _ended = child.kill();
    Answer::of(&child.wait_with_output().expect("it has ended"))
}

/// The environment, made if it is not there.
///
/// # Panics
/// Where there is no Python or no package index to have boto3 from.
pub fn home() -> PathBuf {
    let made = Command::new(root().join("scripts/pyenv"))
        .stdin(Stdio::null())
        .output()
        .expect("scripts/pyenv is there");
    let (said, why) = (
        String::from_utf8_lossy(&made.stdout),
        String::from_utf8_lossy(&made.stderr),
    );
    assert!(made.status.success(), "AWS's clients are missing: {why}");
    let last = said.lines().last().unwrap_or_default();
    Path::new(last).to_owned()
}
