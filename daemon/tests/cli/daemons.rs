//! Stacks of two processes and no engine, in the background and in the foreground: what is left of them, and when.

use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Stdio};
use std::time::{Duration, Instant};

use super::left::Traces;
use super::{Answer, Place};

/// Nothing that is waited for takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stack that any machine runs; nobody asks its instances anything.
const TOPOLOGY: &str = "
region: ap-northeast-2
availability-zones: [a, b]
instances:
  web: { program: [sleep, '600'], port: 8080, count: 2 }
";

/// A stack that is taken down whatever becomes of the test.
pub(super) struct Stack<'a> {
    place: &'a Place,
    name: &'static str,
    pub(super) file: String,
}

impl<'a> Stack<'a> {
    pub(super) fn new(place: &'a Place, name: &'static str) -> Self {
        let file = place.file(&format!("{name}.yaml"), TOPOLOGY);
        Self { place, name, file }
    }

    pub(super) fn up(&self) -> Answer {
        let arguments = ["up", &self.file, "--runtime", "process", "-d"];
        self.place.run(&arguments)
    }

    fn up_in_foreground(&self) -> Foreground {
        let mut child = self
            .place
            .command(&["up", &self.file, "--runtime", "process"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Foreground { child, lines }
    }

    pub(super) fn down(&self, more: &[&str]) -> Answer {
        let mut arguments = vec!["down", self.name];
        arguments.extend(more);
        self.place.run(&arguments)
    }

    pub(super) fn pids(&self) -> Vec<u64> {
        let instances = self.instances();
        instances.iter().filter_map(|i| i["pid"].as_u64()).collect()
    }

    /// As `status` shows them.
    fn instances(&self) -> Vec<serde_json::Value> {
        let arguments = ["status", "--json", "--stack", self.name];
        let status = self.place.run(&arguments).ends(0).out;
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        status["instances"].as_array().unwrap().clone()
    }

    /// The timeline's words, one space between each two.
    fn events(&self) -> String {
        let events = self
            .place
            .run(&["events", "--stack", self.name])
            .ends(0)
            .out;
        events.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.place.path().join("home/stacks").join(self.name)
    }

    pub(super) fn traces(&self) -> Traces {
        Traces::of(&self.directory()).unwrap()
    }

    /// Waits until the instance's process runs, or does not.
    fn awaits(&self, instance: &str, runs: bool) {
        let begun = Instant::now();
        loop {
            let instances = self.instances();
            let mut instances = instances.iter();
            let one = instances.find(|one| one["id"] == instance).unwrap();
            if one["pid"].is_u64() == runs {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{instance} runs: {}", !runs);
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

impl Drop for Stack<'_> {
    fn drop(&mut self) {
        let _ = self.down(&["--purge"]);
    }
}

/// An `up` that keeps its stack until it is interrupted, and what it says meanwhile.
struct Foreground {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Foreground {
    /// Reads on to a line with these words.
    #[track_caller]
    fn says(&mut self, words: &str) {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        assert!(
            lines.any(|line| line.contains(words)),
            "it ended without saying `{words}`"
        );
    }

    /// Ctrl-C.
    fn interrupt(&self) {
        kill(self.child.id(), "-INT");
    }

    /// Reads on to its end, and gives what it said.
    #[track_caller]
    fn ends(mut self, code: i32) -> Vec<String> {
        let said: Vec<String> = self.lines.map_while(Result::ok).collect();
        assert_eq!(self.child.wait().unwrap().code(), Some(code), "{said:?}");
        said
    }
}

pub(super) fn kill(pid: u32, signal: &str) {
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
    stack.up().ends(2).says("already running");
    assert_eq!(stack.pids().len(), 2);
    place
        .run(&["events"])
        .ends(0)
        .prints("every endpoint answers");
    place.run(&["logs", "web-9"]).ends(2).says("web-1");
    place.run(&["logs", "web"]).ends(2).says("web-1, web-2");
    place
        .run(&["logs", "../web-1"])
        .ends(2)
        .says("does not exist");
    place
        .run(&["chaos", "kill", "nope"])
        .ends(2)
        .says("instances are web-1, web-2");
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
    place.run(&["chaos", "freeze", "web-2"]).ends(0);
    let again = place.run(&["chaos", "freeze", "web-2"]).says("already");
    assert_eq!(again.out, "", "told before it was checked");
    place.run(&["chaos", "heal"]).ends(0);
    place
        .run(&["chaos", "heal"])
        .ends(2)
        .says("no fault is in force");
    let traces = stack.traces();
    stack.down(&[]).ends(0).says("--purge");
    assert_eq!(traces.running(), Vec::<String>::new());
    place.run(&["status"]).ends(2).says("taken down");
    stack.down(&["--purge"]).ends(0);
    assert_eq!(traces.anything(), Vec::<String>::new());
}

#[test]
fn a_stack_that_was_taken_down_runs_again_and_is_whole() {
    let place = Place::new();
    let stack = Stack::new(&place, "again");
    stack.up().ends(0);
    place.run(&["chaos", "kill-az", "a"]).ends(0);
    place.run(&["chaos", "freeze", "web-2"]).ends(0);
    stack.down(&[]).ends(0);
    for daemon in ["living", "killed"] {
        stack.up().ends(0);
        stack.awaits("web-1", true);
        stack.awaits("web-2", true);
        place.run(&["chaos", "heal"]).ends(2).says("no fault");
        if daemon == "living" {
            // This one takes its stack down itself; the next is found dead, with a fault in force.
            stack.down(&[]).ends(0);
            stack.up().ends(0);
            stack.awaits("web-1", true);
            place.run(&["chaos", "kill-az", "a"]).ends(0);
            kill_daemon(&stack);
            stack.down(&[]).ends(0);
        }
    }
    assert!(stack.events().contains(" f3 healed "));
    stack.down(&["--purge"]).ends(0);
}

#[test]
fn a_daemon_killed_in_the_middle_of_a_fault_leaves_a_sound_one_to_the_next() {
    let place = Place::new();
    let stack = Stack::new(&place, "torn");
    stack.up().ends(0);
    place.run(&["chaos", "kill-az", "a"]).ends(0);
    stack.awaits("web-2", true);
    // Killed after the fault was written down and before anything was done about it.
    kill_daemon_and_wait(&stack);
    let done = stack.directory().join("run/afflictions.json");
    std::fs::write(&done, "[]").unwrap();
    stack.up().ends(0);
    place.run(&["chaos", "list"]).ends(0).prints("f1");
    let harm = std::fs::read_to_string(&done).unwrap();
    assert!(harm.contains("power-loss"), "{harm}");
    // Killed after its end was written down and before the zone had power again.
    kill_daemon_and_wait(&stack);
    let faults = stack.directory().join("faults.json");
    std::fs::write(faults, r#"{"active":[],"issued":1}"#).unwrap();
    stack.up().ends(0);
    stack.awaits("web-1", true);
    place.run(&["chaos", "heal"]).ends(2).says("no fault");
    assert!(stack.events().contains(" f1 healed "));
    stack.down(&["--purge"]).ends(0);
}

#[test]
fn a_stack_is_not_taken_over_as_another() {
    let place = Place::new();
    let stack = Stack::new(&place, "same");
    stack.up().ends(0).says("runtime process: asked for");
    stack.down(&[]).ends(0);
    let grown = place.file("grown.yaml", TOPOLOGY.replace("count: 2", "count: 3"));
    let arguments = ["up", &grown, "--name", "same", "--runtime", "process", "-d"];
    place
        .run(&arguments)
        .ends(2)
        .says("with `web-3`")
        .says("--purge");
    let arguments = ["up", &stack.file, "--runtime", "docker", "-d"];
    place.run(&arguments).ends(2).says("`--runtime process`");
    // Whoever does not say which has the one that it was up on, and is told so.
    place
        .run(&["up", &stack.file, "-d"])
        .ends(0)
        .says("runtime process: the stack was up on it before");
    place.run(&["status"]).ends(0).prints("process");
}

#[test]
fn a_timeline_that_was_cut_into_is_not_resumed_from() {
    let place = Place::new();
    let stack = Stack::new(&place, "holed");
    stack.up().ends(0);
    stack.down(&[]).ends(0);
    let timeline = stack.directory().join("timeline.jsonl");
    let text = std::fs::read_to_string(&timeline).unwrap();
    let holed: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("\"seq\":2,"))
        .collect();
    std::fs::write(&timeline, holed.join("\n") + "\n").unwrap();
    stack
        .up()
        .ends(3)
        .says("event 3 where event 2 belongs")
        .says("--purge");
}

#[test]
fn what_runs_of_a_stack_that_can_not_be_taken_over_runs_on() {
    let place = Place::new();
    let stack = Stack::new(&place, "orphan");
    stack.up().ends(0);
    let before = stack.pids();
    kill_daemon_and_wait(&stack);
    let timeline = stack.directory().join("timeline.jsonl");
    let whole = std::fs::read_to_string(&timeline).unwrap();
    std::fs::write(&timeline, format!("no event\n{whole}")).unwrap();
    let run = |pid: &u64| std::path::Path::new(&format!("/proc/{pid}")).exists();
    stack.up().ends(3).says("`orphan` runs on");
    assert!(before.iter().all(run));
    std::fs::write(&timeline, whole).unwrap();
    stack.up().ends(0);
    assert_eq!(stack.pids(), before);
    stack.down(&["--purge"]).ends(0);
}

#[test]
fn two_stacks_stand_side_by_side() {
    let place = Place::new();
    let (one, two) = (Stack::new(&place, "one"), Stack::new(&place, "two"));
    one.up().ends(0);
    two.up().ends(0);
    place
        .run(&["status"])
        .ends(2)
        .says("several stacks are running")
        .says("one, two");
    place.run(&["status", "two"]).ends(0).prints("two");
    place
        .run(&["endpoints", "one", "--stack", "two"])
        .ends(2)
        .says("two stacks are named");
    assert!(one.pids().iter().all(|pid| !two.pids().contains(pid)));
    one.down(&["--purge"]).ends(0);
    assert_eq!(two.pids().len(), 2);
}

#[test]
fn what_a_dead_daemon_leaves_is_adopted_or_removed() {
    let place = Place::new();
    let stack = Stack::new(&place, "orphan");
    stack.up().ends(0);
    let before = stack.pids();
    for resume in [true, false] {
        kill_daemon(&stack);
        place.run(&["status"]).ends(2).says("its daemon is gone");
        if resume {
            stack.up().ends(0);
            assert_eq!(stack.pids(), before);
        }
    }
    let traces = stack.traces();
    stack.down(&["--purge"]).ends(0);
    assert_eq!(traces.anything(), Vec::<String>::new());
}

/// Kills the stack's daemon.
fn kill_daemon(stack: &Stack) {
    kill(daemon(stack), "-KILL");
}

/// The process of the stack's daemon, the only one of its place.
pub(super) fn daemon(stack: &Stack) -> u32 {
    let mark = stack.place.path().to_str().unwrap();
    let daemon = std::fs::read_dir("/proc").unwrap().flatten().find(|entry| {
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        String::from_utf8_lossy(&read("cmdline")).contains("__daemon")
            && String::from_utf8_lossy(&read("environ")).contains(mark)
    });
    let pid = daemon.expect("a daemon runs").file_name();
    pid.to_str().unwrap().parse().unwrap()
}

/// What is resident of a process and nobody else's, in KiB.
fn own_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mut lines = status.lines();
    let size = lines.find_map(|line| line.strip_prefix("RssAnon:"));
    let size = size.and_then(|size| size.split_whitespace().next());
    size.and_then(|size| size.parse().ok())
        .expect("the kernel tells")
}

#[test]
fn a_stack_takes_as_little_memory_in_the_foreground_as_in_the_background() {
    let place = Place::new();
    let stack = Stack::new(&place, "frugal");
    let mut up = stack.up_in_foreground();
    up.says("Ctrl-C");
    let foreground = own_memory(up.child.id());
    up.interrupt();
    up.ends(0);
    stack.up().ends(0);
    let background = own_memory(daemon(&stack));
    assert!(
        foreground < 2 * background,
        "{foreground} KiB in the foreground, {background} KiB in the background"
    );
}

/// Whose files nobody writes any more once this returns.
fn kill_daemon_and_wait(stack: &Stack) {
    kill_daemon(stack);
    let lock = std::fs::File::open(stack.directory().join("lock")).unwrap();
    lock.lock_shared().unwrap();
}

#[test]
fn ctrl_c_leaves_nothing_of_a_stack_in_the_foreground() {
    let place = Place::new();
    let stack = Stack::new(&place, "brief");
    let mut up = stack.up_in_foreground();
    up.says("Ctrl-C");
    let traces = stack.traces();
    up.interrupt();
    up.ends(0);
    assert_eq!(traces.anything(), Vec::<String>::new());
}

/// The second one cuts short what the first began: nothing may go on that still writes when the directory goes.
#[test]
fn two_ctrl_c_during_the_bring_up_leave_nothing() {
    let place = Place::new();
    let topology =
        "region: ap-northeast-2\navailability-zones: [a, b]\ndb-instances: { orders: {} }\n";
    let stack = Stack {
        place: &place,
        name: "twice",
        file: place.file("twice.yaml", topology),
    };
    // A golden cluster is there after the first; its copying is what is cut short then.
    for _ in 0..6 {
        let mut up = stack.up_in_foreground();
        up.says("waiting for");
        up.interrupt();
        up.says("ending instances");
        up.interrupt();
        let said = up.ends(130);
        assert!(!stack.directory().exists(), "{said:?}");
    }
}

/// Whoever keeps the stack goes on when nobody takes what it says, a full disk among them.
#[test]
fn a_log_that_takes_nothing_costs_nothing_else() {
    let place = Place::new();
    let stack = Stack::new(&place, "mute");
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut child = place
        .command(&["up", &stack.file, "--runtime", "process"])
        .env("LOCALAWS_LOG", "debug")
        .stdout(Stdio::piped())
        .stderr(full)
        .spawn()
        .unwrap();
    let head = BufReader::new(child.stdout.take().unwrap()).lines().next();
    assert!(head.is_some_and(|line| line.is_ok()), "it did not come up");
    stack.awaits("web-1", true);
    kill(child.id(), "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!stack.directory().exists());
}

/// Who asks for `down` says what becomes of the data, also where Ctrl-C would take it along.
#[test]
fn down_keeps_the_data_of_a_stack_in_the_foreground() {
    let place = Place::new();
    let stack = Stack::new(&place, "asked");
    for purge in [false, true] {
        let mut up = stack.up_in_foreground();
        up.says("Ctrl-C");
        let (more, said): (&[&str], _) = if purge {
            (&["--purge"], "is down and removed")
        } else {
            (&[], "what its databases hold stays")
        };
        stack.down(more).ends(0).says(said);
        up.ends(0);
        let kept = stack.directory().join("timeline.jsonl").exists();
        assert_eq!(kept, !purge, "with {more:?}");
    }
}

/// What can never run is told, and leaves nothing behind.
#[test]
fn a_program_that_ends_again_and_again_ends_the_bring_up() {
    let place = Place::new();
    let program = place.file("program", "#!/bin/sh\necho no such luck\nexit 7\n");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, executable).unwrap();
    for (name, more) in [("hopeless", None), ("hopeless-too", Some("-d"))] {
        let file = TOPOLOGY.replace("[sleep, '600']", "./program");
        let file = place.file(&format!("{name}.yaml"), file);
        let mut arguments = vec!["up", &file, "--runtime", "process"];
        arguments.extend(more);
        let answer = place.run(&arguments).ends(2);
        answer
            .says("times in a row, the last time: exit code 7")
            .says(": no such luck")
            .says("the last lines of its log stand above");
        place
            .run(&["status", "--stack", name])
            .ends(2)
            .says("there is no stack");
    }
}

/// A daemon does not stay in the directory that a relative place is relative to.
#[test]
fn a_relative_home_is_the_same_for_the_daemon() {
    let place = Place::new();
    let stack = Stack::new(&place, "relative");
    let file = &stack.file;
    let mut up = place.command(&["up", file, "--runtime", "process", "-d"]);
    up.env("LOCALAWS_HOME", "home").current_dir(place.path());
    Answer::of(up.output().unwrap()).ends(0);
    assert_eq!(stack.pids().len(), 2);
    // The environment names the stack that commands act on, unless they name another.
    let mut down = place.command(&["down", "relative", "--purge"]);
    down.env("LOCALAWS_STACK", "another");
    Answer::of(down.output().unwrap()).ends(0);
    assert!(!stack.directory().exists());
}
