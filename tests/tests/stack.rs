//! The main job from outside: a whole tier comes up on real engines, loses a zone, recovers, and leaves nothing behind.
//!
//! On local processes, with the binaries as built; with a container engine also in containers if `LOCALAWS_LIVE=docker`.

#[path = "stack/drills.rs"]
mod drills;
#[path = "stack/faults.rs"]
mod faults;
#[path = "stack/restarts.rs"]
mod restarts;

use tests::rig::{Rig, container_engine};

fn the_zone_of_the_primary_is_lost_and_comes_back(runtime: &'static str) {
    let rig = Rig::new(runtime);
    rig.up("tests/tests/stack/patient.yaml").ends(0, "");
    let traces = rig.traces();
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
    assert_eq!(rig.instance("orders-1", "role"), "standby");
    assert_eq!(rig.instance("orders-2", "role"), "primary");
    rig.done(&["down", "--purge"]);
    assert_eq!(traces.anything(), Vec::<String>::new());
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
fn in_containers(test: fn(&'static str)) {
    if container_engine() {
        test("docker");
    } else {
        println!("skipped: no container engine answers");
    }
}
