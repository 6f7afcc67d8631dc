//! Harm does what it says, is hidden from the control plane where it must be, outlives the daemon and heals.

use std::time::{Duration, Instant};

use topologies::runtime::{Affliction, InstanceStatus, Runtime, RuntimeError, StopMode};

use super::stack::{answers, exited, runs, so_far, until, with_stack};

#[tokio::test]
async fn power_loss_kills_a_zone_in_silence_until_power_is_back() {
    with_stack(11, async |stack| {
        let plans: Vec<_> = (1..=5)
            .map(|host| stack.redis(&format!("cache-{host}"), "a", host))
            .collect();
        let other = stack.redis("other", "b", 9);
        for plan in plans.iter().chain([&other]) {
            stack.runtime.ensure(plan).await.unwrap();
        }
        let (mut watch, mut truth) = (stack.runtime.watch(), stack.runtime.ground_truth());
        so_far(&mut watch);
        so_far(&mut truth);

        let loss = Affliction::PowerLoss("a".into());
        let begun = Instant::now();
        stack.runtime.afflict(&loss).await.unwrap();
        eprintln!("5 killed in {:?}", begun.elapsed());
        stack.runtime.afflict(&loss).await.unwrap();
        for plan in &plans {
            assert!(tokio::net::TcpStream::connect(plan.listen).await.is_err());
        }
        let ends = so_far(&mut truth);
        assert_eq!(ends.len(), 5, "{ends:?}");
        assert!(
            ends.iter().all(|seen| seen.status
                == InstanceStatus::Exited {
                    how: "signal 9".to_owned()
                }),
            "{ends:?}"
        );

        let refused = stack.runtime.ensure(&plans[0]).await;
        assert_eq!(refused, Err(RuntimeError::InsufficientCapacity("a".into())));
        stack.reconnect().await;
        assert_eq!(
            stack.runtime.ensure(&plans[0]).await,
            refused,
            "a later daemon knows"
        );
        let listed = stack.runtime.list().await.unwrap();
        assert_eq!(
            listed.len(),
            1,
            "only the other zone is heard of: {listed:?}"
        );
        assert!(answers(&other).await);
        assert_eq!(so_far(&mut watch), [], "nobody told the control plane");

        let mut watch = stack.runtime.watch();
        so_far(&mut watch);
        stack.runtime.relieve(&loss).await.unwrap();
        assert_eq!(so_far(&mut watch).len(), 5, "now it is told");
        stack.runtime.relieve(&loss).await.unwrap();
        stack.runtime.ensure(&plans[0]).await.unwrap();
        assert!(answers(&plans[0]).await);
    })
    .await;
}

#[tokio::test]
async fn an_isolated_zone_runs_on_and_takes_no_orders() {
    with_stack(12, async |stack| {
        let plan = stack.redis("cache-1", "a", 1);
        stack.runtime.ensure(&plan).await.unwrap();
        let (mut watch, mut truth) = (stack.runtime.watch(), stack.runtime.ground_truth());
        so_far(&mut watch);
        so_far(&mut truth);
        let isolation = Affliction::Isolation("a".into());
        stack.runtime.afflict(&isolation).await.unwrap();
        let unreachable = Err(RuntimeError::ZoneUnreachable("a".into()));
        assert_eq!(stack.runtime.ensure(&plan).await, unreachable);
        assert_eq!(
            stack.runtime.stop(&plan.id, StopMode::Immediate).await,
            unreachable
        );
        assert!(answers(&plan).await);

        stack
            .runtime
            .afflict(&Affliction::Kill(plan.id.clone()))
            .await
            .unwrap();
        until(&mut truth, exited("cache-1")).await;
        assert_eq!(so_far(&mut watch), []);
        stack.runtime.relieve(&isolation).await.unwrap();
        until(&mut watch, exited("cache-1")).await;
    })
    .await;
}

#[tokio::test]
async fn a_killed_instance_is_reported_at_once_and_may_start_again() {
    with_stack(13, async |stack| {
        let plan = stack.redis("cache-1", "a", 1);
        let mut watch = stack.runtime.watch();
        for _ in 0..5 {
            stack.runtime.ensure(&plan).await.unwrap();
            until(&mut watch, runs("cache-1")).await;
            let begun = Instant::now();
            stack
                .runtime
                .afflict(&Affliction::Kill(plan.id.clone()))
                .await
                .unwrap();
            until(&mut watch, exited("cache-1")).await;
            eprintln!("kill reported after {:?}", begun.elapsed());
        }
        stack.runtime.ensure(&plan).await.unwrap();
        until(&mut watch, runs("cache-1")).await;
        let killed = std::process::Command::new("docker")
            .args(["kill", &super::stack::containers(&stack.directory)])
            .output()
            .unwrap();
        assert!(killed.status.success());
        let (end, _) = until(&mut watch, exited("cache-1")).await;
        assert_eq!(
            end.status,
            InstanceStatus::Exited {
                how: "signal 9".to_owned()
            },
            "by a stranger's hand"
        );
        let strange = |verb: &str| {
            let containers = super::stack::containers(&stack.directory);
            let done = std::process::Command::new("docker")
                .args([verb, &containers])
                .output()
                .unwrap();
            assert!(done.status.success());
        };
        strange("start");
        until(&mut watch, runs("cache-1")).await;
        strange("stop");
        until(&mut watch, exited("cache-1")).await;
        strange("rm");
        until(&mut watch, |seen| seen.status == InstanceStatus::Absent).await;
    })
    .await;
}

#[tokio::test]
async fn a_stopped_instance_is_held() {
    with_stack(14, async |stack| {
        let plan = stack.redis("cache-1", "a", 1);
        stack.runtime.ensure(&plan).await.unwrap();
        let stop = Affliction::Stop(plan.id.clone());
        stack.runtime.afflict(&stop).await.unwrap();
        assert!(tokio::net::TcpStream::connect(plan.listen).await.is_err());
        assert_eq!(
            stack.runtime.ensure(&plan).await,
            Err(RuntimeError::HeldStopped(plan.id.clone()))
        );
        stack.runtime.relieve(&stop).await.unwrap();
        stack.runtime.ensure(&plan).await.unwrap();
        assert!(answers(&plan).await);
    })
    .await;
}

#[tokio::test]
async fn a_frozen_instance_hangs_thaws_and_can_be_killed() {
    with_stack(15, async |stack| {
        let plan = stack.redis("cache-1", "a", 1);
        stack.runtime.ensure(&plan).await.unwrap();
        let mut watch = stack.runtime.watch();
        so_far(&mut watch);
        assert!(answers(&plan).await);
        let freeze = Affliction::Freeze(plan.id.clone());
        for _ in 0..2 {
            stack.runtime.afflict(&freeze).await.unwrap();
        }
        assert!(!pings(&plan).await, "the kernel accepts, nobody answers");
        stack.runtime.ensure(&plan).await.unwrap();
        for _ in 0..2 {
            stack.runtime.relieve(&freeze).await.unwrap();
        }
        assert!(pings(&plan).await);
        assert_eq!(so_far(&mut watch), [], "a freeze is no event");

        stack.runtime.afflict(&freeze).await.unwrap();
        let begun = Instant::now();
        stack
            .runtime
            .afflict(&Affliction::PowerLoss("a".into()))
            .await
            .unwrap();
        eprintln!("frozen one killed in {:?}", begun.elapsed());
        stack
            .runtime
            .relieve(&Affliction::PowerLoss("a".into()))
            .await
            .unwrap();
        stack.runtime.ensure(&plan).await.unwrap();
        assert!(answers(&plan).await);
        assert!(pings(&plan).await, "a new process is not the frozen one");

        stack.runtime.afflict(&freeze).await.unwrap();
        let begun = Instant::now();
        let stop = Affliction::Stop(plan.id.clone());
        stack.runtime.afflict(&stop).await.unwrap();
        assert!(
            begun.elapsed() < Duration::from_secs(8),
            "it was waited for"
        );
    })
    .await;
}

/// Whether a Redis says `PONG` within 300 ms.
async fn pings(plan: &topologies::runtime::InstancePlan) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(plan.listen).await.unwrap();
    stream.write_all(b"PING\r\n").await.unwrap();
    let mut answer = [0; 7];
    let answered =
        tokio::time::timeout(Duration::from_millis(300), stream.read_exact(&mut answer)).await;
    answered.is_ok_and(|read| read.is_ok()) && answer == *b"+PONG\r\n"
}
