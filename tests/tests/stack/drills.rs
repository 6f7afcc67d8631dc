//! Drills can go wrong: weak clients suffer where sound ones do not, a standby that lags by somebody's hand is not trusted, and
//! what is asked for wrongly is told before anything is broken.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use tests::rig::{PATIENCE, Rig};

/// An endpoint of a drill's report.
fn endpoint<'a>(report: &'a Value, name: &str) -> &'a Value {
    let endpoints = report["endpoints"].as_array().expect("there are endpoints");
    let found = endpoints.iter().find(|one| one["endpoint"] == name);
    found.unwrap_or_else(|| panic!("no endpoint {name} in {report:#}"))
}

/// The verdict about a promise, by its sentence's beginning, and why.
fn finding<'a>(report: &'a Value, promise: &str) -> (&'a str, &'a str) {
    let all = report["expectations"]
        .as_array()
        .expect("there are promises");
    let text = |one: &'a Value, field: &str| one[field].as_str().unwrap_or_default();
    let found = all
        .iter()
        .find(|one| text(one, "description").starts_with(promise));
    let found = found.unwrap_or_else(|| panic!("no promise `{promise}` in {report:#}"));
    (text(found, "verdict"), text(found, "because"))
}

fn reasons(endpoint: &Value) -> Vec<&str> {
    let reasons = endpoint["reasons"].as_array().into_iter().flatten();
    reasons
        .filter_map(|reason| reason["reason"].as_str())
        .collect()
}

#[test]
fn weak_clients_suffer_where_sound_ones_recover() {
    let rig = Rig::new("process");
    rig.up("tests/tests/stack/weak.yaml").ends(0, "");
    let reports = rig.home().join("reports");
    let arguments = [
        "drill",
        "run",
        "tests/tests/stack/weak-clients.yaml",
        "--report",
    ];
    let answer = rig.run(&[&arguments[..], &[&reports.display().to_string()]].concat());
    let said = answer.ends(1, "").out;
    let report = std::fs::read_to_string(reports.join("report.json")).expect("it was written");
    let report: Value = serde_json::from_str(&report).expect("the report is JSON");
    for (sound, promise) in [("orders", "accepts writes"), ("shop", "answers requests")] {
        let (verdict, because) = finding(&report, &format!("{sound} {promise}"));
        assert_eq!(verdict, "held", "{sound}: {because}\n{said}");
    }
    for (weak, promise) in [
        ("ignores-ttl", "accepts writes"),
        ("no-timeout", "accepts writes"),
        ("frail-shop", "answers requests"),
    ] {
        let (verdict, because) = finding(&report, &format!("{weak} {promise}"));
        assert_eq!(verdict, "broken", "{weak}: {because}\n{said}");
    }
    for writers in ["orders", "ignores-ttl", "no-timeout"] {
        let (verdict, because) = finding(&report, &format!("{writers} loses no"));
        assert_eq!(verdict, "held", "{writers}: {because}\n{said}");
    }
    // Each fails for its own weakness: dark addresses do not answer, and nothing ends the wait of who set no end.
    let ignores_ttl = reasons(endpoint(&report, "ignores-ttl"));
    assert!(ignores_ttl.contains(&"no connection in time"), "{said}");
    let no_timeout = endpoint(&report, "no-timeout");
    let failed_in_time = |reason: &&str| reason.ends_with("in time");
    assert!(!reasons(no_timeout).iter().any(failed_in_time), "{said}");
    let unserved = no_timeout["outages"][0]["unserved"].as_u64();
    assert!(
        unserved.is_some_and(|count| count <= 4),
        "it did not hang: {said}"
    );
    assert!(
        reasons(endpoint(&report, "frail-shop")).contains(&"status 503"),
        "{said}"
    );
    rig.done(&["down", "--purge"]);
}

/// The file in which PostgreSQL keeps what `ALTER SYSTEM` says.
fn auto_conf(directory: &Path, host: &str) -> Option<PathBuf> {
    for entry in std::fs::read_dir(directory).ok()?.flatten() {
        let path = entry.path();
        let is_it = entry.file_name() == "postgresql.auto.conf";
        if is_it && path.iter().any(|part| part.to_string_lossy() == host) {
            return Some(path);
        }
        let deeper = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if let Some(found) = deeper.then(|| auto_conf(&path, host)).flatten() {
            return Some(found);
        }
    }
    None
}

fn wait_for(rig: &Rig, what: &str, enough: impl Fn(&str) -> bool) -> String {
    let begun = Instant::now();
    loop {
        let events = rig.done(&["events"]);
        if enough(&events) {
            return events;
        }
        assert!(begun.elapsed() < PATIENCE, "never {what}:\n{events}");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

#[test]
fn synchronous_replication_switched_off_behind_its_back_is_noticed() {
    let rig = Rig::new("process");
    rig.up("tests/tests/stack/weak.yaml").ends(0, "");
    let status: Value = serde_json::from_str(&rig.done(&["status", "--json"])).expect("it is JSON");
    let instances = status["instances"].as_array().expect("there are instances");
    let primary = instances.iter().find(|one| one["id"] == "orders-1");
    let pid = primary
        .and_then(|one| one["pid"].as_u64())
        .expect("the primary runs");
    let before = rig.done(&["events"]);
    // As `ALTER SYSTEM SET synchronous_standby_names = ''` and a reload.
    let path = auto_conf(&rig.home().join("stacks"), "orders-1").expect("the primary has one");
    let text = std::fs::read_to_string(&path).expect("it is readable");
    let asynchronous = text + "synchronous_standby_names = ''\n";
    std::fs::write(&path, asynchronous).expect("it is writable");
    let reloaded = Command::new("kill")
        .args(["-HUP", &pid.to_string()])
        .status();
    assert!(reloaded.is_ok_and(|status| status.success()));
    let noticed = "the primary does not wait for it any more";
    let events = wait_for(&rig, "noticed", |events| events.contains(noticed));
    assert!(!before.contains(noticed), "{before}");
    // It is made to wait again, and trusted once it has caught up.
    let restored = |events: &str| {
        let after = events.split(noticed).nth(1).unwrap_or_default();
        after.contains("in sync")
    };
    let events = if restored(&events) {
        events
    } else {
        wait_for(&rig, "in sync again", restored)
    };
    assert!(!events.contains("failing over"), "{events}");
    rig.done(&["down", "--purge"]);
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn refused(rig: &Rig, arguments: &[&str], code: i32, parts: &[&str]) {
    let mut answer = rig.run(arguments);
    for part in parts {
        answer = answer.ends(code, part);
    }
}

/// Everything that goes wrong beside the stack; one stack serves for all of it, for bringing it up is what takes long.
#[test]
fn a_drill_that_can_not_be_judged_leaves_nothing_broken() {
    let rig = Rig::new("process");
    rig.up("tests/tests/stack/weak.yaml").ends(0, "");
    let misfit = rig.file(
        "misfit.yaml",
        "name: misfit\nworkload:\n  - sql-writes: {endpoint: order}\n  - redis-writes: {endpoint: orders}\n\
         steps:\n  - {at: 1s, inject: {kill: {instance: web-9}}}\nduration: 2s\n\
         expect:\n  - writes-accepted-again: {endpoint: order, within: 1s}\n",
    );
    let parts = [
        "endpoint `order` does not exist",
        "does not take Redis writes",
        "`web-9`",
    ];
    refused(&rig, &["drill", "run", &misfit], 2, &parts);
    let long = "tests/tests/stack/weak-clients.yaml";
    refused(
        &rig,
        &["drill", "run", long, "--report", &misfit],
        3,
        &["misfit.yaml"],
    );
    let nowhere = rig.home().join("no/such/junit.xml").display().to_string();
    refused(
        &rig,
        &["drill", "run", long, "--junit", &nowhere],
        3,
        &["was not begun"],
    );

    rig.done(&["chaos", "stop", "web-1"]);
    let parts = ["faults are in force already: f1", "localaws chaos heal"];
    refused(&rig, &["drill", "run", long], 2, &parts);
    rig.done(&["chaos", "heal"]);

    let reports = rig.home().join("reports");
    interrupted(&rig, long, &reports);
    taken_down(&rig, long, &reports);
}

/// A drill that is interrupted heals what it broke, and reports what it has. Meanwhile no other is begun.
fn interrupted(rig: &Rig, long: &str, reports: &Path) {
    let (directory, junit) = (reports.display().to_string(), rig.home().join("ci.xml"));
    let suite = junit.display().to_string();
    let first = rig.start(&[
        "drill", "run", long, "--report", &directory, "--junit", &suite,
    ]);
    wait_for(rig, "injected", |events| events.contains("fault kill-az"));
    refused(
        rig,
        &["drill", "run", long],
        2,
        &["another drill runs on stack"],
    );
    let interrupted = Command::new("kill")
        .args(["-INT", &first.id().to_string()])
        .status();
    assert!(interrupted.is_ok_and(|status| status.success()));
    let output = first.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("what the drill broke is healed"), "{said}");
    let report = read(&reports.join("report.json"));
    let report: Value = serde_json::from_str(&report).expect("the report is JSON");
    assert_eq!(report["verdict"], "unknown", "{report:#}");
    assert_eq!(report["cut-short"], "it was interrupted", "{report:#}");
    assert!(report["faults"][0]["to-ms"].is_number(), "{report:#}");
    assert!(endpoint(&report, "orders")["operations"]["acknowledged"].as_u64() > Some(0));
    let text = read(&reports.join("report.txt"));
    assert!(text.contains("it was interrupted"), "{text}");
    let suite = read(&junit);
    assert!(suite.contains("<error type=\"unknown\""), "{suite}");
    assert!(suite.contains("failures=\"0\""), "{suite}");
    let status: Value = serde_json::from_str(&rig.done(&["status", "--json"])).expect("it is JSON");
    assert_eq!(status["faults"], serde_json::json!([]), "a fault is left");
}

/// A drill whose stack is taken down says so.
fn taken_down(rig: &Rig, long: &str, reports: &Path) {
    let directory = reports.display().to_string();
    let second = rig.start(&["drill", "run", long, "--report", &directory]);
    wait_for(rig, "begun again", |events| {
        events.matches("fault kill-az").count() > 1
    });
    rig.done(&["down", "--purge"]);
    let output = second.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(
        said.contains("was taken down while the drill ran"),
        "{said}"
    );
    assert!(!said.contains("in force"), "nothing is left of it: {said}");
    let text = read(&reports.join("report.txt"));
    let verdict = "the stack was taken down while the drill ran";
    assert!(text.trim_end().ends_with(verdict), "{text}");
}
