//! Daemons come and go, a stack stays: its data, its faults, its instances.

use tests::rig::{Rig, until};

use super::faults::redis;
use super::in_containers;

const FILE: &str = "tests/tests/stack/small.yaml";

/// Orders something; the key of an order is placed once however often it is asked for.
fn order(rig: &Rig, key: &str) {
    let body = format!(r#"{{"key":"{key}","item":"umbrella","quantity":1}}"#);
    rig.ask("POST", "/orders", &body, &[200, 201]);
}

/// The answer of the cache's first node.
fn cache(rig: &Rig, command: &str) -> String {
    let address = rig.instance("sessions-001", "address");
    let address = address.parse().expect("it is one");
    redis(address, command).expect("the cache answers")
}

#[track_caller]
fn assert_ordered(rig: &Rig, keys: &[&str]) {
    let orders = rig.ask("GET", "/orders?limit=100", "", &[200]);
    for key in keys {
        assert!(orders.contains(key), "no order {key}: {orders}");
    }
}

fn a_stack_taken_down_comes_up_whole_and_with_its_data(runtime: &'static str) {
    let rig = Rig::new(runtime);
    rig.up(FILE).ends(0, "");
    let traces = rig.traces();
    order(&rig, "before-down");
    assert_eq!(rig.instance("sessions-001", "role"), "primary");
    assert_eq!(cache(&rig, "SET before down"), "+OK");
    rig.done(&["chaos", "kill-az", "b"]);
    rig.done(&["down", rig.name()]);
    assert_eq!(traces.running(), Vec::<String>::new());
    let past = rig.done(&["events"]);
    assert!(past.contains("stopping"), "{past}");

    let text = include_str!("small.yaml");
    let grown = rig.file("grown.yaml", &text.replace("count: 2", "count: 3"));
    rig.up(&grown).ends(2, "with `web-3`");
    let other = if runtime == "docker" {
        "process"
    } else {
        "docker"
    };
    let name = rig.name();
    rig.run(&["up", FILE, "--name", name, "--runtime", other, "-d"])
        .ends(2, &format!("`--runtime {runtime}`"));
    assert_eq!(traces.running(), Vec::<String>::new());

    rig.up(FILE).ends(0, "");
    for id in ["orders-1", "orders-2", "sessions-001", "sessions-002"] {
        assert_eq!(rig.instance(id, "state"), "available", "{id}");
    }
    assert_eq!(rig.instance("web-2", "state"), "running");
    assert_eq!(
        rig.instance("orders-1", "role"),
        "primary",
        "nothing failed over"
    );
    assert_eq!(rig.instance("sessions-001", "role"), "primary");
    assert_eq!(cache(&rig, "GET before"), "$4\r\ndown");
    assert_ordered(&rig, &["before-down"]);
    order(&rig, "after-down");
    let events = rig.done(&["events"]);
    let (_, since) = events.rsplit_once(" stopping").expect("it is told");
    for word in ["Replication has stopped", "Recovering cache nodes"] {
        assert!(!since.contains(word), "nothing stopped by itself: {since}");
    }
    let failovers = |line: &&str| line.contains("ailing over") || line.contains("ailover");
    let told: Vec<_> = events.lines().filter(failovers).collect();
    assert_eq!(told, Vec::<&str>::new());
    let words: Vec<&str> = events.split_whitespace().collect();
    assert!(words.contains(&"healed"), "{events}");
    rig.run(&["chaos", "heal"]).ends(2, "no fault is in force");

    rig.done(&["down", name]);
    rig.done(&["down", name, "--purge"]);
    assert_eq!(traces.anything(), Vec::<String>::new());
}

fn a_killed_daemon_leaves_data_and_faults_to_the_next(runtime: &'static str) {
    let rig = Rig::new(runtime);
    rig.up(FILE).ends(0, "");
    let traces = rig.traces();
    order(&rig, "before-outage");
    rig.done(&["chaos", "stop", "web-2"]);
    // Killed while the control plane has just begun to notice, or has not.
    rig.done(&["chaos", "kill-az", "primary-of orders"]);
    rig.kill_daemon();
    rig.up(FILE).ends(0, "");
    let faults = rig.done(&["chaos", "list"]);
    assert!(faults.contains("f1") && faults.contains("f2"), "{faults}");
    // The zone of the other copy has the site's other instance, and that is held stopped.
    rig.done(&["chaos", "heal", "f1"]);
    assert_ordered(&rig, &["before-outage"]);
    order(&rig, "in-outage");
    assert_eq!(rig.instance("orders-2", "role"), "primary");

    rig.kill_daemon();
    rig.up(FILE).ends(0, "");
    assert_ordered(&rig, &["before-outage", "in-outage"]);
    rig.done(&["chaos", "heal"]);
    let rejoined = || {
        rig.instance("orders-1", "role") == "standby"
            && rig.instance("orders-1", "state") == "available"
            && rig.instance("web-1", "state") == "running"
    };
    assert!(until(rejoined), "{}", rig.done(&["events"]));
    order(&rig, "after-outage");

    rig.kill_daemon();
    rig.done(&["down", rig.name(), "--purge"]);
    assert_eq!(traces.anything(), Vec::<String>::new());
}

#[test]
fn on_processes_a_stack_taken_down_comes_up_whole_and_with_its_data() {
    a_stack_taken_down_comes_up_whole_and_with_its_data("process");
}

#[test]
fn in_containers_a_stack_taken_down_comes_up_whole_and_with_its_data() {
    in_containers(a_stack_taken_down_comes_up_whole_and_with_its_data);
}

#[test]
fn on_processes_a_killed_daemon_leaves_data_and_faults_to_the_next() {
    a_killed_daemon_leaves_data_and_faults_to_the_next("process");
}

#[test]
fn in_containers_a_killed_daemon_leaves_data_and_faults_to_the_next() {
    in_containers(a_killed_daemon_leaves_data_and_faults_to_the_next);
}

/// A stopped daemon takes connections, and answers nothing until it goes on.
#[test]
fn on_processes_a_daemon_that_hangs_is_told_of_and_a_purge_outlives_one_that_dies_over_it() {
    let rig = Rig::new("process");
    rig.up(FILE).ends(0, "");
    let traces = rig.traces();
    rig.signal_daemon("STOP");
    rig.run(&["status"])
        .ends(1, "does not answer: it is stopped or stuck");

    let asks = || {
        let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
        sockets.matches(&*rig.directory().to_string_lossy()).count()
    };
    let before = asks();
    let mut purge = rig.start(&["down", rig.name(), "--purge"]);
    assert!(until(|| asks() > before), "the daemon is asked");
    rig.kill_daemon();
    let mut ended = None;
    let purged = until(|| {
        ended = purge.try_wait().unwrap();
        ended.is_some()
    });
    assert!(purged, "it waits for a daemon that is dead");
    assert!(ended.is_some_and(|how| how.success()), "{ended:?}");
    assert_eq!(traces.anything(), Vec::<String>::new());
}
