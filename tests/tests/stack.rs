//! The main job from outside: a whole tier comes up on real engines, loses a zone, recovers, and leaves nothing behind.
//!
//! On local processes, with the binaries as built; with a container engine also in containers if `LOCALAWS_LIVE=docker`.

#[path = "stack/drills.rs"]
mod drills;
#[path = "stack/faults.rs"]
mod faults;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The longest that one command may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A home of its own, and whatever was started in it.
struct Rig {
    home: tempfile::TempDir,
    runtime: &'static str,
}

impl Rig {
    fn new(runtime: &'static str) -> Self {
        let home = tempfile::Builder::new()
            .prefix("localaws-")
            .tempdir()
            .expect("a directory");
        // Instances run as nobody, who has to get there.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(home.path(), open).expect("it is ours");
        Self { home, runtime }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary("localaws"));
        command
            .args(arguments)
            .env("LOCALAWS_HOME", self.home.path())
            .current_dir(root());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let begun = Instant::now();
        while child.try_wait().expect("it is our child").is_none() {
            if begun.elapsed() > PATIENCE {
                // The assertion tells; the child is to be gone by then.
                let _killed = child.kill();
                panic!(
                    "`localaws {}` did not end within {PATIENCE:?}",
                    arguments.join(" ")
                );
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        child.wait_with_output().expect("it has ended")
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "`localaws {}`: {}\n{text}{said}",
            arguments.join(" "),
            output.status
        );
        text
    }

    fn up(&self, file: &str) {
        self.done(&["up", file, "--runtime", self.runtime, "-d"]);
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for name in ["patient", "small", "tier-10k", "weak"] {
            // There may be none.
            let _gone = Command::new(binary("localaws"))
                .args(["down", name, "--purge"])
                .env("LOCALAWS_HOME", self.home.path())
                .output();
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the workspace")
        .to_owned()
}

/// A binary beside the tests' own: `cargo build --workspace` puts it there.
fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("we run");
    let target = own
        .parent()
        .and_then(Path::parent)
        .expect("tests lie in deps/");
    let path = target.join(name);
    assert!(
        path.exists(),
        "{} is not built: `cargo build --workspace` first",
        path.display()
    );
    path
}

/// Processes whose environment or command line names the rig's home.
fn processes_of(rig: &Rig) -> Vec<String> {
    let home = rig.home.path().display().to_string();
    let entries = std::fs::read_dir("/proc")
        .expect("there is /proc")
        .flatten();
    let named = entries.filter_map(|entry| {
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace('\0', " ");
        let (command, environment) = (text(read("cmdline")), text(read("environ")));
        let mark = format!("LOCALAWS_STACK_DIR={home}");
        (command.contains(&home) || environment.contains(&mark)).then_some(command)
    });
    named.collect()
}

fn the_zone_of_the_primary_is_lost_and_comes_back(runtime: &'static str) {
    let rig = Rig::new(runtime);
    rig.up("tests/tests/stack/patient.yaml");
    let answer = rig.done(&[
        "exec",
        "--zone",
        "b",
        "--",
        "sh",
        "-c",
        "getent hosts www.shop.internal",
    ]);
    assert!(
        answer.contains("127."),
        "the stack's names are not seen in it: {answer}"
    );
    let report = rig.done(&["drill", "run", "tests/tests/stack/power.yaml"]);
    assert!(report.contains("verdict: held"), "{report}");
    assert!(report.contains("lost 0"), "{report}");
    let events = rig.done(&["events"]);
    for part in [
        "failing over from orders-1 (fenced) to orders-2",
        "orders-1 joined as standby",
        "RDS-EVENT-0049",
    ] {
        assert!(
            events.contains(part),
            "the timeline does not tell `{part}`:\n{events}"
        );
    }
    let status = rig.done(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status).expect("status is JSON");
    let role = |id: &str| {
        let instances = status["instances"].as_array().expect("there are instances");
        let one = instances
            .iter()
            .find(|one| one["id"] == id)
            .expect("the instance is there");
        one["role"].as_str().expect("it has a role").to_owned()
    };
    assert_eq!(
        (role("orders-1").as_str(), role("orders-2").as_str()),
        ("standby", "primary")
    );
    rig.done(&["down", "--purge"]);
    assert_eq!(
        processes_of(&rig),
        Vec::<String>::new(),
        "something is left running"
    );
    let stacks = rig.home.path().join("stacks");
    let left: Vec<_> = std::fs::read_dir(stacks)
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    assert!(left.is_empty(), "something is left on the disk: {left:?}");
}

#[test]
fn on_processes_the_zone_of_the_primary_is_lost_and_comes_back() {
    the_zone_of_the_primary_is_lost_and_comes_back("process");
}

#[test]
fn in_containers_the_zone_of_the_primary_is_lost_and_comes_back() {
    in_containers(the_zone_of_the_primary_is_lost_and_comes_back);
}

#[test]
fn on_processes_every_fault_does_what_it_says() {
    faults::every_fault_does_what_it_says("process");
}

#[test]
fn in_containers_every_fault_does_what_it_says() {
    in_containers(faults::every_fault_does_what_it_says);
}

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn in_containers(test: impl FnOnce(&'static str)) {
    let engine = Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .output();
    if engine.is_ok_and(|answer| answer.status.success()) {
        test("docker");
    } else {
        assert_ne!(
            std::env::var("LOCALAWS_LIVE").as_deref(),
            Ok("docker"),
            "no container engine answers"
        );
        println!("skipped: no container engine answers");
    }
}
