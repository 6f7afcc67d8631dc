//! Instances start, are adopted, replaced and stopped, and what happens to them is seen.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use topologies::runtime::{InstanceStatus, Resolution, Runtime, RuntimeError, Software, StopMode};

use super::stack::{answers, containers, exited, runs, so_far, until, with_stack};

#[tokio::test]
async fn an_instance_starts_stops_and_starts_again() {
    with_stack(1, async |stack| {
        let plan = stack.redis("cache-1", "a", 1);
        let mut watch = stack.runtime.watch();
        let begun = Instant::now();
        stack.runtime.ensure(&plan).await.unwrap();
        eprintln!("started in {:?}", begun.elapsed());
        until(&mut watch, runs("cache-1")).await;
        assert!(answers(&plan).await);

        stack.runtime.ensure(&plan).await.unwrap();
        assert_eq!(so_far(&mut watch), [], "the second order changes nothing");

        let begun = Instant::now();
        stack
            .runtime
            .stop(&plan.id, StopMode::Graceful(Duration::from_secs(5)))
            .await
            .unwrap();
        eprintln!("stopped in {:?}", begun.elapsed());
        let (end, _) = until(&mut watch, exited("cache-1")).await;
        assert_eq!(
            end.status,
            InstanceStatus::Exited {
                how: "exit code 0".to_owned()
            }
        );
        assert!(tokio::net::TcpStream::connect(plan.listen).await.is_err());
        stack
            .runtime
            .stop(&plan.id, StopMode::Immediate)
            .await
            .unwrap();

        let begun = Instant::now();
        stack.runtime.ensure(&plan).await.unwrap();
        eprintln!("started again in {:?}", begun.elapsed());
        until(&mut watch, runs("cache-1")).await;
        let log: Vec<String> = stack.runtime.logs(&plan.id, false).collect().await;
        assert!(
            log.iter()
                .any(|line| line.contains("Ready to accept connections")),
            "{log:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_later_daemon_adopts_by_plan_and_replaces_otherwise() {
    with_stack(2, async |stack| {
        let mut plan = stack.redis("cache-1", "a", 1);
        stack.runtime.ensure(&plan).await.unwrap();
        let (first, _) = until(&mut stack.runtime.watch(), runs("cache-1")).await;

        stack.reconnect().await;
        let mut watch = stack.runtime.watch();
        assert_eq!(
            until(&mut watch, runs("cache-1")).await.0,
            first,
            "seen before any order"
        );
        stack.runtime.ensure(&plan).await.unwrap();
        assert_eq!(
            stack.runtime.list().await.unwrap(),
            std::slice::from_ref(&first)
        );
        assert_eq!(so_far(&mut watch), []);

        plan.environment
            .insert("COLOUR".to_owned(), "blue".to_owned());
        stack.runtime.ensure(&plan).await.unwrap();
        until(&mut watch, |seen| !runs("cache-1")(seen)).await;
        let (second, _) = until(&mut watch, runs("cache-1")).await;
        assert_ne!(second, first);
    })
    .await;
}

#[tokio::test]
async fn a_crash_is_seen_at_once_with_its_reason() {
    with_stack(3, async |stack| {
        let listen = SocketAddrV4::new(Ipv4Addr::new(127, 90, 3, 1), 8080);
        let command = [
            "sh",
            "-c",
            "while [ ! -e crash ]; do sleep 0.01; done; echo enough; exit 3",
        ]
        .map(str::to_owned);
        let mut plan = stack.plan("web-1", "a", Software::Program, command.to_vec(), listen);
        plan.image = Some("localaws/base:latest".to_owned());
        let mut watch = stack.runtime.watch();
        stack.runtime.ensure(&plan).await.unwrap();
        until(&mut watch, runs("web-1")).await;
        std::fs::write(plan.directory.join("crash"), "").unwrap();
        let (end, after) = until(&mut watch, exited("web-1")).await;
        eprintln!("crash seen after {after:?} (10 ms of them are the program's)");
        assert_eq!(
            end.status,
            InstanceStatus::Exited {
                how: "exit code 3".to_owned()
            }
        );
        assert_eq!(
            stack.runtime.logs(&plan.id, true).collect::<Vec<_>>().await,
            ["enough"]
        );
    })
    .await;
}

#[tokio::test]
async fn a_program_of_this_machine_runs_unprivileged_also_on_a_low_port() {
    with_stack(4, async |stack| {
        for (host, port) in [(1, 8080), (2, 80)] {
            // Our own test binary is a program that was linked here; it lists its tests.
            let own = std::env::current_exe().unwrap().display().to_string();
            let listen = SocketAddrV4::new(Ipv4Addr::new(127, 90, 4, host), port);
            let id = format!("web-{host}");
            let mut plan = stack.plan(
                &id,
                "a",
                Software::Program,
                vec![own, "--list".to_owned()],
                listen,
            );
            plan.resolution = Resolution::Nameserver(Ipv4Addr::new(127, 64, 0, 2));
            let mut watch = stack.runtime.watch();
            stack.runtime.ensure(&plan).await.unwrap();
            let (end, _) = until(&mut watch, |seen| {
                seen.instance == plan.id && matches!(seen.status, InstanceStatus::Exited { .. })
            })
            .await;
            assert_eq!(
                end.status,
                InstanceStatus::Exited {
                    how: "exit code 0".to_owned()
                }
            );

            let id = format!("who-{host}");
            let command = [
                "sh",
                "-c",
                "id -u; cat /etc/resolv.conf; setpriv --dump | head -n 9",
            ]
            .map(str::to_owned);
            let mut who = stack.plan(&id, "a", Software::Program, command.to_vec(), listen);
            who.resolution = plan.resolution.clone();
            // Found in PATH it would be mounted as a file; named, the image's own shell runs.
            who.image = Some("localaws/base:latest".to_owned());
            stack.runtime.ensure(&who).await.unwrap();
            let log: Vec<String> = stack.runtime.logs(&who.id, true).collect().await;
            let uid = std::fs::metadata(&who.directory)
                .map(|of| std::os::unix::fs::MetadataExt::uid(&of))
                .unwrap();
            assert_eq!(
                log[..2],
                [uid.to_string(), "nameserver 127.64.0.2".to_owned()],
                "{log:?}"
            );
            let low = log
                .iter()
                .any(|line| line == "Ambient capabilities: net_bind_service");
            assert_eq!(low, port == 80, "{log:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    with_stack(5, async |stack| {
        let listen = SocketAddrV4::new(Ipv4Addr::new(127, 90, 5, 1), 8080);
        let plan = stack.plan("web-1", "a", Software::Program, vec!["no-such-program".to_owned()], listen);
        let refused = stack.runtime.ensure(&plan).await.unwrap_err();
        assert!(matches!(&refused, RuntimeError::Missing { what, .. } if what.contains("no-such-program")), "{refused}");

        let mut plan = stack.redis("cache-1", "a", 1);
        plan.image = Some("127.0.0.1:1/nowhere/redis:7".to_owned());
        let refused = stack.runtime.ensure(&plan).await.unwrap_err();
        assert!(matches!(&refused, RuntimeError::Missing { what, .. } if what.contains("nowhere")), "{refused}");

        plan.image = None;
        plan.command = vec!["no-such-server".to_owned()];
        let mut watch = stack.runtime.watch();
        stack.runtime.ensure(&plan).await.unwrap();
        let (end, _) = until(&mut watch, exited("cache-1")).await;
        let how = "exit code 127".to_owned();
        assert_eq!(end.status, InstanceStatus::Exited { how });
        let log: Vec<String> = stack.runtime.logs(&plan.id, true).collect().await;
        assert!(log.iter().any(|line| line.contains("no-such-server")), "{log:?}");
        plan.command = stack.redis("cache-1", "a", 1).command;
        stack.runtime.ensure(&plan).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn thirteen_instances_start_together() {
    with_stack(6, async |stack| {
        let ids: Vec<String> = (1..=13).map(|n| format!("cache-{n}")).collect();
        let plans: Vec<_> = (1..)
            .zip(&ids)
            .map(|(host, id)| stack.redis(id, "a", host))
            .collect();
        let begun = Instant::now();
        for outcome in join_all(plans.iter().map(|plan| stack.runtime.ensure(plan))).await {
            outcome.unwrap();
        }
        eprintln!("13 started in {:?}", begun.elapsed());
        let listed = stack.runtime.list().await.unwrap();
        assert_eq!(listed.len(), 13);
        assert!(
            listed
                .iter()
                .all(|seen| matches!(seen.status, InstanceStatus::Running { .. })),
            "{listed:?}"
        );
        let begun = Instant::now();
        stack.runtime.clear().await.unwrap();
        eprintln!("13 cleared in {:?}", begun.elapsed());
    })
    .await;
}

/// The engine carries a call through whether or not somebody waits for it: who clears has to.
#[tokio::test]
async fn an_order_that_nobody_waits_for_leaves_no_container() {
    with_stack(7, async |stack| {
        let last = stack.redis("last", "a", 9);
        for (host, patience) in (1..).zip([0, 2, 5, 10, 20, 50, 100, 200]) {
            let plan = stack.redis("given-up", "a", host);
            let patience = Duration::from_millis(patience);
            let _given_up = tokio::time::timeout(patience, stack.runtime.ensure(&plan)).await;
            stack.runtime.clear().await.unwrap();
            // By then the engine has done what it was asked before.
            stack.runtime.ensure(&last).await.unwrap();
            let left = containers(&stack.directory);
            assert_eq!(left.lines().count(), 1, "after {patience:?}: {left}");
            stack.runtime.clear().await.unwrap();
        }
    })
    .await;
}
