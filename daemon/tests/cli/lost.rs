//! Stacks that nobody can reach as usual: their daemon hangs, their socket or their whole directory was removed by hand.

use std::time::{Duration, Instant};

use super::Place;
use super::daemons::{Stack, daemon, kill};

/// Lets a daemon go on that a test has stopped, whatever becomes of the test.
struct Stopped(u32);

impl Stopped {
    fn new(pid: u32) -> Self {
        kill(pid, "-STOP");
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        kill(self.0, "-CONT");
    }
}

#[test]
fn up_beside_a_daemon_that_hangs_says_so_in_time() {
    let place = Place::new();
    let stack = Stack::new(&place, "hung");
    stack.up().ends(0);
    let pid = daemon(&stack);
    let stopped = Stopped::new(pid);
    let asked = Instant::now();
    stack
        .up()
        .ends(1)
        .says("stack `hung` is running, but the daemon")
        .says(&format!("kill -CONT {pid}"));
    assert!(asked.elapsed() < Duration::from_secs(30));
    drop(stopped);
    stack.up().ends(2).says("already running");
    stack.down(&["--purge"]).ends(0);
}

#[test]
fn a_stack_whose_socket_was_removed_names_the_way_out() {
    let place = Place::new();
    let stack = Stack::new(&place, "deaf");
    stack.up().ends(0);
    let pid = daemon(&stack);
    std::fs::remove_file(stack.directory().join("control.sock")).unwrap();
    let way_out = format!("`kill {pid}` has it take the stack down");
    for arguments in [&["status"][..], &["down"], &["up", &stack.file, "-d"]] {
        place
            .run(arguments)
            .ends(1)
            .says("control.sock` was removed")
            .says(&way_out);
    }
    let traces = stack.traces();
    kill(pid, "-TERM");
    let begun = Instant::now();
    while std::path::Path::new(&format!("/proc/{pid}/exe")).exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it stays");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    assert_eq!(traces.running(), Vec::<String>::new());
    stack.up().ends(0);
    assert_eq!(stack.pids().len(), 2);
    stack.down(&["--purge"]).ends(0);
}

#[test]
fn a_daemon_whose_directory_was_removed_ends_its_stack_by_itself() {
    let place = Place::new();
    let stack = Stack::new(&place, "homeless");
    stack.up().ends(0);
    let pid = daemon(&stack);
    let traces = stack.traces();
    let stopped = Stopped::new(pid);
    std::fs::remove_dir_all(stack.directory()).unwrap();
    // One beside it would have the same directory, and be ended with it.
    stack.up().ends(2).says("`homeless` is already running");
    drop(stopped);
    let begun = Instant::now();
    while std::path::Path::new(&format!("/proc/{pid}/exe")).exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it stays");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    assert_eq!(traces.anything(), Vec::<String>::new());
    stack.down(&["--purge"]).ends(2).says("there is no stack");
}

#[test]
fn a_stack_whose_directory_was_removed_is_found_and_ended() {
    let place = Place::new();
    let stack = Stack::new(&place, "roofless");
    for daemon_lives in [true, false] {
        stack.up().ends(0);
        let pid = daemon(&stack);
        let traces = stack.traces();
        assert!(!traces.running().is_empty());
        if !daemon_lives {
            kill(pid, "-KILL");
        }
        std::fs::remove_dir_all(stack.directory()).unwrap();
        stack.down(&["--purge"]).ends(0).says("down and removed");
        assert_eq!(traces.anything(), Vec::<String>::new(), "{daemon_lives}");
        stack.down(&["--purge"]).ends(2).says("there is no stack");
    }
}
