//! A daemon that is killed, and the next one. The killed one is this test binary, started again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use topologies::runtime::{Affliction, InstanceStatus, Runtime, RuntimeError, StopMode};

use crate::bench::{Bench, end_of, kill, open, runs, script_in, start_time, tool};

/// Names the stack's directory to the daemon that will be killed.
const VICTIM: &str = "LOCALAWS_TEST_VICTIM";
const SURVIVOR: &str = "setsid sleep 1000 & echo ready; wait";

#[tokio::test]
async fn the_next_daemon_takes_over_what_a_killed_one_left() {
    let bench = Bench::new().await;
    let (survivor, dead, held) = plans(&bench.stack);
    kill_a_daemon(&bench.stack);
    let tools = bench.marked();
    let bench = bench.reopen().await;

    // The tool is gone, the instance is what it was.
    assert!(bench.marked() < tools);
    let pid = bench.pid(&survivor.id).await;
    assert!(runs(pid));
    bench.runtime.ensure(&survivor).await.unwrap();
    assert_eq!(bench.pid(&survivor.id).await, pid);

    // Faults hold on.
    let refused = RuntimeError::InsufficientCapacity("dark".into());
    assert_eq!(bench.runtime.ensure(&dead).await, Err(refused));
    let refused = RuntimeError::HeldStopped(held.id.clone());
    assert_eq!(bench.runtime.ensure(&held).await, Err(refused));
    let dark = Affliction::PowerLoss("dark".into());
    bench.runtime.relieve(&dark).await.unwrap();
    bench.runtime.ensure(&dead).await.unwrap();

    // An adopted instance is watched and stopped as any other.
    let mut seen = bench.runtime.watch();
    bench
        .runtime
        .stop(&survivor.id, StopMode::Immediate)
        .await
        .unwrap();
    assert!(!runs(pid));
    end_of(&mut seen, &survivor.id).await;
    bench.runtime.clear().await.unwrap();
    assert_eq!(bench.marked(), 0);
}

#[tokio::test]
async fn an_instance_that_died_with_its_daemon_is_reported_and_leaves_nothing() {
    let bench = Bench::new().await;
    let (survivor, ..) = plans(&bench.stack);
    kill_a_daemon(&bench.stack);
    let pid = {
        let bench = open(&bench.stack, &bench.stack.join("cache")).await;
        let listed = bench.list().await.unwrap();
        let found = listed.iter().find(|found| found.instance == survivor.id);
        match &found.unwrap().status {
            InstanceStatus::Running { handle } => handle.parse().unwrap(),
            other @ (InstanceStatus::Exited { .. } | InstanceStatus::Absent) => {
                panic!("{other:?}")
            }
        }
    };
    kill(pid);
    while runs(pid) {
        tokio::task::yield_now().await;
    }
    let bench = bench.reopen().await;
    let status = bench.status(&survivor.id).await;
    assert!(
        matches!(status, InstanceStatus::Exited { .. }),
        "{status:?}"
    );
    assert_eq!(bench.marked(), 0);
}

/// As on a full disk: its end can not be recorded. It could not be taken over, and so not be taken down, either.
#[tokio::test]
async fn an_instance_whose_end_finds_no_room_is_taken_over_all_the_same() {
    let bench = Bench::new().await;
    let (survivor, ..) = plans(&bench.stack);
    kill_a_daemon(&bench.stack);
    let records = bench.stack.join("run/records");
    let record = std::fs::read(records.join("survivor.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    kill(
        record["leader"]["pid"]
            .as_i64()
            .unwrap()
            .try_into()
            .unwrap(),
    );
    std::fs::create_dir(records.join("survivor.partial")).unwrap();
    let bench = bench.reopen().await;
    let status = bench.status(&survivor.id).await;
    assert!(
        matches!(status, InstanceStatus::Exited { .. }),
        "{status:?}"
    );
    bench.runtime.clear().await.unwrap();
    assert_eq!(bench.marked(), 0);
}

#[tokio::test]
async fn a_stack_can_be_removed_after_its_daemon_was_killed() {
    let bench = Bench::new().await;
    kill_a_daemon(&bench.stack);
    assert!(bench.marked() > 0);
    let bench = bench.reopen().await;
    bench.runtime.clear().await.unwrap();
    assert_eq!(bench.marked(), 0);
}

/// Its pid may be another's when the record is read: that one must not be touched.
#[tokio::test]
async fn a_pid_that_is_used_again_is_nobody_of_ours() {
    let bench = Bench::new().await;
    let plan = bench.script("web-1", "echo ready; exec sleep 1000");
    let pid = bench.start(&plan).await;
    // The clock ticks every 10 ms: a bystander of the same tick would be the instance's double.
    let mut bystander = loop {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        if start_time(child.id().cast_signed()) != start_time(pid) {
            break child;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    };
    let other = bystander.id().cast_signed();
    let record = bench.stack.join("run/records/web-1.json");
    bench
        .runtime
        .stop(&plan.id, StopMode::Immediate)
        .await
        .unwrap();
    let text = std::fs::read_to_string(&record)
        .unwrap()
        .replace(&format!("\"pid\":{pid}"), &format!("\"pid\":{other}"))
        .replace("\"ended\":\"signal 9\"", "\"ended\":null");
    std::fs::write(&record, text).unwrap();
    let bench = bench.reopen().await;
    let status = bench.status(&plan.id).await;
    assert!(
        matches!(status, InstanceStatus::Exited { .. }),
        "{status:?}"
    );
    bench.runtime.clear().await.unwrap();
    assert!(runs(other));
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

type Plan = topologies::runtime::InstancePlan;

fn plans(stack: &Path) -> (Plan, Plan, Plan) {
    (
        script_in(stack, "survivor", "a", SURVIVOR),
        script_in(stack, "dead", "dark", SURVIVOR),
        script_in(stack, "held", "a", SURVIVOR),
    )
}

/// Starts a daemon, lets it work, and kills it without warning.
fn kill_a_daemon(stack: &Path) {
    let mut daemon = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "adoption::a_daemon_to_be_killed", "--nocapture"])
        .env(VICTIM, stack)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(daemon.stdout.take().unwrap());
    let ready = output
        .lines()
        .map_while(Result::ok)
        .any(|line| line.contains("at work"));
    assert!(ready);
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

/// Not a test of its own: what [`kill_a_daemon`] starts. Without the variable it has nothing to do.
#[tokio::test]
#[expect(
    clippy::print_stdout,
    reason = "the parent process waits for this line"
)]
async fn a_daemon_to_be_killed() {
    let Some(stack) = std::env::var_os(VICTIM) else {
        return;
    };
    let stack = Path::new(&stack);
    let runtime = open(stack, &stack.join("cache")).await;
    let (survivor, dead, held) = plans(stack);
    for plan in [&survivor, &dead, &held] {
        runtime.ensure(plan).await.unwrap();
    }
    let harm = [
        Affliction::PowerLoss(dead.zone.clone()),
        Affliction::Stop(held.id.clone()),
    ];
    for affliction in &harm {
        runtime.afflict(affliction).await.unwrap();
    }
    let mut lines = runtime.logs(&survivor.id, true);
    futures_util::StreamExt::next(&mut lines).await;
    let marker = stack.join("marker");
    let mut endless = tool("touch begun; exec sleep 1000");
    endless.directories = vec![marker.clone()];
    tokio::join!(
        async {
            let outcome = runtime.run(&endless).await;
            panic!("the tool ended: {outcome:?}");
        },
        async {
            while !marker.join("begun").exists() {
                tokio::task::yield_now().await;
            }
            println!("at work");
            std::future::pending::<()>().await;
        }
    );
}
