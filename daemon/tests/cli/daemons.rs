//! Stacks of two processes and no engine, in the background and in the foreground: what is left of them, and when.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::{Answer, Place};

/// A stack that any machine runs; nobody asks its instances anything.
const TOPOLOGY: &str = "
region: ap-northeast-2
availability-zones: [a, b]
instances:
  web: { program: [sleep, '600'], port: 8080, count: 2 }
";

/// A stack that is taken down whatever becomes of the test.
struct Stack<'a> {
    place: &'a Place,
    name: &'static str,
    file: String,
}

impl<'a> Stack<'a> {
    fn new(place: &'a Place, name: &'static str) -> Self {
        let file = place.file(&format!("{name}.yaml"), TOPOLOGY);
        Self { place, name, file }
    }

    fn up(&self) -> Answer {
        let arguments = ["up", &self.file, "--runtime", "process", "-d"];
        self.place.run(&arguments)
    }

    /// Waits until both instances run: without an endpoint, the stack is up before they are.
    fn started(&self) {
        let arguments = ["events", "-f", "--json", "--stack", self.name];
        let mut child = self
            .place
            .command(&arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let running = lines
            .map_while(Result::ok)
            .filter(|line| line.contains("instance-running"));
        assert_eq!(running.take(2).count(), 2, "the stack ended");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn down(&self, more: &[&str]) -> Answer {
        let mut arguments = vec!["down", self.name];
        arguments.extend(more);
        self.place.run(&arguments)
    }

    fn pids(&self) -> Vec<u64> {
        let arguments = ["status", "--json", "--stack", self.name];
        let status = self.place.run(&arguments).ends(0).out;
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        let instances = status["instances"].as_array().unwrap();
        instances.iter().filter_map(|i| i["pid"].as_u64()).collect()
    }

    /// Every process that works for the place, daemons among them.
    fn processes(&self) -> usize {
        let mark = self.place.path().to_str().unwrap();
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let about = |entry: &std::fs::DirEntry, file: &str| {
            std::fs::read(entry.path().join(file)).unwrap_or_default()
        };
        processes
            .filter(|entry| {
                let environment = about(entry, "environ");
                let environment = String::from_utf8_lossy(&environment).into_owned();
                environment.contains(mark) && !about(entry, "cmdline").is_empty()
            })
            .count()
    }
}

impl Drop for Stack<'_> {
    fn drop(&mut self) {
        let _ = self.down(&["--purge"]);
    }
}

fn kill(pid: u32, signal: &str) {
    let status = std::process::Command::new("kill")
        .args([signal, &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_daemon_keeps_a_stack_until_it_is_taken_down() {
    let place = Place::new();
    let stack = Stack::new(&place, "kept");
    stack.up().ends(0);
    stack.started();
    stack.up().ends(2).says("already running");
    assert_eq!(stack.pids().len(), 2);
    place
        .run(&["events"])
        .ends(0)
        .prints("every endpoint answers");
    place.run(&["logs", "web-9"]).ends(2).says("web-1");
    place
        .run(&["chaos", "kill-az", "z"])
        .ends(2)
        .says("does not exist");
    place
        .run(&["chaos", "kill-az", "a"])
        .ends(0)
        .prints("loses power");
    place.run(&["status"]).ends(0).prints("unavailable");
    place
        .run(&["chaos", "heal", "f9"])
        .ends(2)
        .says("not in force");
    place.run(&["chaos", "heal"]).ends(0).prints("f1 healed");
    place
        .run(&["chaos", "heal"])
        .ends(2)
        .says("no fault is in force");
    stack.down(&[]).ends(0).says("--purge");
    assert_eq!(stack.processes(), 0);
    place.run(&["status"]).ends(2).says("taken down");
    stack.down(&["--purge"]).ends(0);
    assert!(!place.path().join("home/stacks/kept").exists());
}

#[test]
fn two_stacks_stand_side_by_side() {
    let place = Place::new();
    let (one, two) = (Stack::new(&place, "one"), Stack::new(&place, "two"));
    one.up().ends(0);
    two.up().ends(0);
    one.started();
    two.started();
    place
        .run(&["status"])
        .ends(2)
        .says("several stacks are running")
        .says("one, two");
    assert!(one.pids().iter().all(|pid| !two.pids().contains(pid)));
    one.down(&["--purge"]).ends(0);
    assert_eq!(two.pids().len(), 2);
}

#[test]
fn what_a_dead_daemon_leaves_is_adopted_or_removed() {
    let place = Place::new();
    let stack = Stack::new(&place, "orphan");
    stack.up().ends(0);
    stack.started();
    let before = stack.pids();
    for resume in [true, false] {
        kill_daemon(&place);
        place.run(&["status"]).ends(2).says("its daemon is gone");
        if resume {
            stack.up().ends(0);
            assert_eq!(stack.pids(), before);
        }
    }
    stack.down(&["--purge"]).ends(0);
    assert_eq!(stack.processes(), 0);
    assert!(!place.path().join("home/stacks/orphan").exists());
}

/// Kills the place's daemon and waits until its lock is free.
fn kill_daemon(place: &Place) {
    let mark = place.path().to_str().unwrap();
    let daemon = std::fs::read_dir("/proc").unwrap().flatten().find(|entry| {
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        String::from_utf8_lossy(&read("cmdline")).contains("__daemon")
            && String::from_utf8_lossy(&read("environ")).contains(mark)
    });
    let pid = daemon.expect("a daemon runs").file_name();
    kill(pid.to_str().unwrap().parse().unwrap(), "-KILL");
    let lock = std::fs::File::open(place.path().join("home/stacks/orphan/lock")).unwrap();
    lock.lock_shared().unwrap();
}

#[test]
fn ctrl_c_leaves_nothing_of_a_stack_in_the_foreground() {
    let place = Place::new();
    let stack = Stack::new(&place, "brief");
    let mut child = place
        .command(&["up", &stack.file, "--runtime", "process"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(
        lines.any(|line| line.contains("Ctrl-C")),
        "it did not come up"
    );
    kill(child.id(), "-INT");
    let said: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said:?}");
    assert_eq!(stack.processes(), 0);
    assert!(!place.path().join("home/stacks/brief").exists());
}
