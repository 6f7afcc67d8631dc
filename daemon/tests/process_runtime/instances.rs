//! Starting, replacing, stopping, watching.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use topologies::id::InstanceId;
use topologies::runtime::{InstanceStatus, Runtime, RuntimeError, StopMode};

use crate::bench::{Bench, children_of, end_of, kill, next, running, runs};

const PATIENT: StopMode = StopMode::Graceful(Duration::from_secs(20));

#[tokio::test]
async fn an_instance_is_started_once_and_replaced_by_another_plan() {
    let bench = Bench::new().await;
    let plan = bench.script("web-1", "echo ready; exec sleep 1000");
    let mut seen = bench.runtime.watch();
    let first = bench.start(&plan).await;
    bench.runtime.ensure(&plan).await.unwrap();
    assert_eq!(bench.pid(&plan.id).await, first);

    let mut other = plan.clone();
    other.environment.insert("A".to_owned(), "1".to_owned());
    bench.runtime.ensure(&other).await.unwrap();
    let second = bench.pid(&plan.id).await;
    assert_ne!(first, second);
    assert!(!runs(first));
    assert_eq!(next(&mut seen).await, running(&plan.id, first));
    assert_eq!(end_of(&mut seen, &plan.id).await, "signal 15");
    assert_eq!(next(&mut seen).await, running(&plan.id, second));
    bench.runtime.clear().await.unwrap();
}

#[tokio::test]
async fn a_graceful_stop_lets_it_end_and_kills_what_does_not() {
    let bench = Bench::new().await;
    let mut seen = bench.runtime.watch();
    let polite = bench.script(
        "polite",
        "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done",
    );
    bench.start(&polite).await;
    bench.runtime.stop(&polite.id, PATIENT).await.unwrap();
    assert_eq!(end_of(&mut seen, &polite.id).await, "exit code 7");

    let deaf = bench.script("deaf", "trap '' TERM; echo ready; sleep 1000");
    let pid = bench.start(&deaf).await;
    let mode = StopMode::Graceful(Duration::from_millis(50));
    bench.runtime.stop(&deaf.id, mode).await.unwrap();
    assert_eq!(end_of(&mut seen, &deaf.id).await, "signal 9");
    assert!(!runs(pid));
    // Twice is the same as once, and what never was is stopped.
    bench.runtime.stop(&deaf.id, PATIENT).await.unwrap();
    bench.runtime.stop(&"nobody".into(), PATIENT).await.unwrap();
}

#[tokio::test]
async fn a_stop_ends_children_in_sessions_of_their_own_too() {
    let bench = Bench::new().await;
    let plan = bench.script(
        "tree",
        "setsid sleep 1000 & env -i setsid sleep 1000 & sh -c 'sleep 1000 & sleep 1000' & \
         until [ $(ps -o pid= --ppid $$ | wc -l) -ge 4 ]; do :; done; echo ready; wait",
    );
    let leader = bench.start(&plan).await;
    let children = children_of(leader);
    assert_eq!(children.len(), 3);
    bench
        .runtime
        .stop(&plan.id, StopMode::Immediate)
        .await
        .unwrap();
    assert_eq!(bench.marked(), 0);
    assert!(!children.into_iter().any(runs));
}

#[tokio::test]
async fn what_a_killed_instance_leaves_is_ended_before_it_starts_again() {
    let bench = Bench::new().await;
    let plan = bench.script("web-1", "setsid sleep 1000 & echo ready; wait");
    let leader = bench.start(&plan).await;
    let children = children_of(leader);
    let mut seen = bench.runtime.watch();
    assert_eq!(next(&mut seen).await, running(&plan.id, leader));
    kill(leader);
    assert_eq!(end_of(&mut seen, &plan.id).await, "signal 9");
    bench.runtime.ensure(&plan).await.unwrap();
    assert!(!children.into_iter().any(runs));
    bench.runtime.clear().await.unwrap();
}

#[tokio::test]
async fn a_program_that_cannot_run_says_why_and_leaves_nothing() {
    let bench = Bench::new().await;
    let mut plan = bench.script("web-1", "");
    let program = bench.stack.join("broken");
    fs::write(&program, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    plan.command = vec![program.to_str().unwrap().to_owned()];
    let error = bench.runtime.ensure(&plan).await.unwrap_err();
    assert!(error.to_string().contains("execute `"), "{error}");
    assert_eq!(bench.status(&plan.id).await, InstanceStatus::Absent);

    plan.command = vec!["no-such-program".to_owned()];
    let error = bench.runtime.ensure(&plan).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Missing { .. }), "{error}");
    plan.command = Vec::new();
    bench.runtime.ensure(&plan).await.unwrap_err();
    plan = bench.script("../escape", "sleep 1000");
    bench.runtime.ensure(&plan).await.unwrap_err();
    assert_eq!(bench.marked(), 0);
}

#[tokio::test]
async fn instances_see_a_small_environment_and_their_directory() {
    let bench = Bench::new().await;
    let mut plan = bench.script(
        "web-1",
        "pwd; echo $HOME; echo $TZ; echo $COLOR; env | grep -c CARGO; echo ready",
    );
    plan.environment
        .insert("COLOR".to_owned(), "blue".to_owned());
    bench.runtime.ensure(&plan).await.unwrap();
    let home = plan.directory.to_str().unwrap();
    assert_eq!(
        bench.logged(&plan.id, "ready").await,
        [home, home, "UTC", "blue", "0", "ready"]
    );
}

/// Readers come at any moment, and each must see ends and starts in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watching_has_no_gap() {
    const ROUNDS: usize = 12;
    let bench = Bench::new().await;
    let plan = bench.script("web-1", "exec sleep 1000");
    let mut readers = Vec::new();
    for _ in 0..ROUNDS {
        readers.push(bench.runtime.watch());
        bench.runtime.ensure(&plan).await.unwrap();
        readers.push(bench.runtime.ground_truth());
        bench
            .runtime
            .stop(&plan.id, StopMode::Immediate)
            .await
            .unwrap();
    }
    for (number, mut reader) in readers.into_iter().enumerate() {
        let mut alive: Vec<bool> = Vec::new();
        while let Some(Some(observation)) = reader.next().now_or_never() {
            alive.push(matches!(observation.status, InstanceStatus::Running { .. }));
        }
        assert!(alive.windows(2).all(|pair| pair[0] != pair[1]), "{alive:?}");
        // All that came after, and the present before it, if there was any.
        let expected = 2 * ROUNDS - number + usize::from(number > 0);
        assert_eq!(alive.len(), expected, "reader {number}: {alive:?}");
    }
}

#[tokio::test]
async fn clearing_leaves_no_process_and_no_record() {
    let bench = Bench::new().await;
    for number in 0..4 {
        let plan = bench.script(
            &format!("web-{number}"),
            "setsid sleep 1000 & echo ready; wait",
        );
        bench.start(&plan).await;
    }
    bench.until_marked(8).await;
    let mut seen = bench.runtime.watch();
    bench.runtime.clear().await.unwrap();
    assert_eq!(bench.marked(), 0);
    assert_eq!(bench.runtime.list().await.unwrap(), []);
    assert!(!bench.stack.join("run").exists());
    let mut absent = 0;
    while absent < 4 {
        absent += usize::from(next(&mut seen).await.status == InstanceStatus::Absent);
    }
    // And the stack can be used again.
    let plan = bench.script("web-1", "echo ready; exec sleep 1000");
    bench.start(&plan).await;
    bench.runtime.clear().await.unwrap();
}

#[tokio::test]
async fn many_start_side_by_side() {
    let bench = Bench::new().await;
    let plans: Vec<_> = (0..12)
        .map(|number| bench.script(&format!("web-{number}"), "exec sleep 1000"))
        .collect();
    let started = futures_util::future::join_all(plans.iter().map(|p| bench.runtime.ensure(p)));
    for outcome in started.await {
        outcome.unwrap();
    }
    bench.until_marked(12).await;
    bench.runtime.clear().await.unwrap();
}

#[tokio::test]
async fn the_tail_of_a_log_is_shown_without_following() {
    let bench = Bench::new().await;
    let plan = bench.script("web-1", "echo one; echo two; printf ready");
    bench.runtime.ensure(&plan).await.unwrap();
    let mut seen = bench.runtime.watch();
    assert_eq!(end_of(&mut seen, &plan.id).await, "exit code 0");
    let lines: Vec<String> = bench.runtime.logs(&plan.id, false).collect().await;
    assert_eq!(lines, ["one", "two", "ready"]);
    let nobody = InstanceId::from("nobody");
    assert_eq!(bench.runtime.logs(&nobody, true).next().await, None);
}
