//! `wire` held against AWS's own: its models against the pinned botocore wheel, its protocols against boto3.

use std::process::{Command, Stdio};

use tests::python;

/// Runs a script of `wire/` with AWS's own clients at hand; what it says.
#[track_caller]
fn holds(script: &str, arguments: &[&str]) {
    let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/../wire/");
    let answer = Command::new(python::home().join("bin/python"))
        .arg(format!("{crates}{script}"))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .expect("scripts/pyenv made it");
    let said = String::from_utf8_lossy(&answer.stdout);
    let why = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success(), "{script}:\n{said}{why}");
}

#[test]
fn the_models_are_what_the_pinned_wheel_gives() {
    holds("models/strip.py", &["--check"]);
}

/// Inputs, outputs and errors of every operation, equal by value on both sides.
#[test]
fn boto3_and_wire_understand_each_other() {
    let own = std::env::current_exe().expect("we run");
    let target = own.ancestors().nth(2).expect("tests lie in deps/");
    let echo = target.join("examples/echo").display().to_string();
    holds("fuzz/fuzz.py", &["--echo", &echo]);
}
