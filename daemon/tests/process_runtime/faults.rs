//! Harm, and who hears of it.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::StreamExt;
use topologies::runtime::{Affliction, InstanceStatus, Runtime, RuntimeError, StopMode};

use crate::bench::{Bench, children_of, end_of, next, running, runs, script_in, state_of, tool};

const FAMILY: &str = "setsid sleep 1000 & echo ready; wait";

#[tokio::test]
async fn a_zone_that_loses_power_dies_at_once_and_says_nothing() {
    let bench = Bench::new().await;
    let struck = bench.script("web-1", FAMILY);
    let spared = script_in(&bench.stack, "web-2", "b", FAMILY);
    let pid = bench.start(&struck).await;
    let spared_pid = bench.start(&spared).await;
    let children = children_of(pid);
    let mut control = bench.runtime.watch();
    let mut truth = bench.runtime.ground_truth();
    for stream in [&mut control, &mut truth] {
        assert_eq!(next(stream).await, running(&struck.id, pid));
        assert_eq!(next(stream).await, running(&spared.id, spared_pid));
    }

    let power = Affliction::PowerLoss("a".into());
    bench.runtime.afflict(&power).await.unwrap();
    bench.runtime.afflict(&power).await.unwrap();
    assert!(!runs(pid) && !children.into_iter().any(runs));
    assert!(runs(spared_pid));
    assert_eq!(end_of(&mut truth, &struck.id).await, "signal 9");
    assert_eq!(control.next().now_or_never(), None);
    let mut late = bench.runtime.watch();
    assert_eq!(next(&mut late).await, running(&spared.id, spared_pid));
    assert_eq!(late.next().now_or_never(), None);
    let refused = RuntimeError::InsufficientCapacity("a".into());
    assert_eq!(bench.runtime.ensure(&struck).await, Err(refused.clone()));
    let mut probe = tool("echo");
    probe.zone = Some("a".into());
    assert_eq!(bench.runtime.run(&probe).await, Err(refused));

    bench.runtime.relieve(&power).await.unwrap();
    bench.runtime.relieve(&power).await.unwrap();
    assert_eq!(end_of(&mut control, &struck.id).await, "signal 9");
    assert_eq!(end_of(&mut late, &struck.id).await, "signal 9");
    bench.start(&struck).await;
    bench.runtime.clear().await.unwrap();
}

#[tokio::test]
async fn an_isolated_zone_runs_on_and_takes_no_orders() {
    let bench = Bench::new().await;
    let plan = bench.script("web-1", FAMILY);
    let pid = bench.start(&plan).await;
    let mut control = bench.runtime.watch();
    assert_eq!(next(&mut control).await, running(&plan.id, pid));
    let isolation = Affliction::Isolation("a".into());
    bench.runtime.afflict(&isolation).await.unwrap();

    let refused = RuntimeError::ZoneUnreachable("a".into());
    assert_eq!(bench.runtime.ensure(&plan).await, Err(refused.clone()));
    let stopped = bench.runtime.stop(&plan.id, StopMode::Immediate).await;
    assert_eq!(stopped, Err(refused.clone()));
    let mut probe = tool("echo");
    probe.zone = Some("a".into());
    assert_eq!(bench.runtime.run(&probe).await, Err(refused));
    assert!(runs(pid));

    let kill = Affliction::Kill(plan.id.clone());
    bench.runtime.afflict(&kill).await.unwrap();
    assert!(!runs(pid));
    assert_eq!(control.next().now_or_never(), None);
    bench.runtime.relieve(&isolation).await.unwrap();
    assert_eq!(end_of(&mut control, &plan.id).await, "signal 9");
}

#[tokio::test]
async fn a_tool_that_is_struck_with_its_zone_has_no_result() {
    let bench = Bench::new().await;
    let mut long = tool("echo begun; exec sleep 1000");
    long.zone = Some("a".into());
    let power = Affliction::PowerLoss("a".into());
    let (outcome, ()) = tokio::join!(bench.runtime.run(&long), async {
        while bench.marked() == 0 {
            tokio::task::yield_now().await;
        }
        bench.runtime.afflict(&power).await.unwrap();
    });
    assert_eq!(outcome, Err(RuntimeError::InsufficientCapacity("a".into())));
    assert_eq!(bench.marked(), 0);
}

#[tokio::test]
async fn a_killed_instance_may_start_again_and_a_stopped_one_may_not() {
    let bench = Bench::new().await;
    let plan = bench.script(
        "web-1",
        "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done",
    );
    bench.start(&plan).await;
    let mut control = bench.runtime.watch();
    let kill = Affliction::Kill(plan.id.clone());
    bench.runtime.afflict(&kill).await.unwrap();
    assert_eq!(end_of(&mut control, &plan.id).await, "signal 9");
    bench.runtime.afflict(&kill).await.unwrap();
    bench.runtime.relieve(&kill).await.unwrap();
    bench.runtime.ensure(&plan).await.unwrap();
    while bench.runtime.logs(&plan.id, false).count().await < 2 {
        tokio::task::yield_now().await;
    }

    let stop = Affliction::Stop(plan.id.clone());
    bench.runtime.afflict(&stop).await.unwrap();
    assert_eq!(end_of(&mut control, &plan.id).await, "exit code 0");
    let held = RuntimeError::HeldStopped(plan.id.clone());
    assert_eq!(bench.runtime.ensure(&plan).await, Err(held));
    bench.runtime.relieve(&stop).await.unwrap();
    bench.runtime.ensure(&plan).await.unwrap();
    bench.runtime.clear().await.unwrap();
}

#[tokio::test]
async fn a_frozen_instance_stands_still_until_relief_or_death() {
    let bench = Bench::new().await;
    let plan = bench.script("web-1", FAMILY);
    let leader = bench.start(&plan).await;
    let mut family = children_of(leader);
    family.push(leader);
    let freeze = Affliction::Freeze(plan.id.clone());
    let stopped = |pid: &i32| state_of(*pid) == Some('T');

    bench.runtime.afflict(&freeze).await.unwrap();
    bench.runtime.afflict(&freeze).await.unwrap();
    assert!(family.iter().all(stopped));
    assert!(matches!(
        bench.status(&plan.id).await,
        InstanceStatus::Running { .. }
    ));
    bench.runtime.relieve(&freeze).await.unwrap();
    assert!(!family.iter().any(stopped));

    bench.runtime.afflict(&freeze).await.unwrap();
    // It can not follow a polite request, so nobody waits for it to.
    let mode = StopMode::Graceful(Duration::from_secs(600));
    bench.runtime.stop(&plan.id, mode).await.unwrap();
    assert!(!family.into_iter().any(runs));
    let again = bench.start(&plan).await;
    assert_ne!(state_of(again), Some('T'));
    bench.runtime.afflict(&freeze).await.unwrap();
    let asked = std::time::Instant::now();
    let stop = Affliction::Stop(plan.id.clone());
    bench.runtime.afflict(&stop).await.unwrap();
    assert!(!runs(again));
    assert!(
        asked.elapsed() < Duration::from_secs(8),
        "it was waited for"
    );
    bench.runtime.clear().await.unwrap();
}
