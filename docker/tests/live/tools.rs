//! One-shot programs run to their end, or to their limit, and leave nothing.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use topologies::runtime::{Affliction, Runtime, RuntimeError, Software, StopMode, ToolPlan};

use super::stack::{Stack, containers, with_stack};

fn tool(stack: &Stack, software: Software, command: &[&str]) -> ToolPlan {
    ToolPlan {
        software,
        zone: Some("a".into()),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        directories: vec![stack.owned("tool")],
        environment: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
        timeout: Duration::from_secs(60),
    }
}

#[tokio::test]
async fn a_tool_says_what_it_said_and_how_it_ended() {
    with_stack(21, async |stack| {
        let script = "echo $GREETING; echo oops >&2; pwd > place; exit 3";
        let plan = tool(stack, Software::Program, &["sh", "-c", script]);
        for _ in 0..3 {
            let begun = Instant::now();
            let output = stack.runtime.run(&plan).await.unwrap();
            eprintln!("tool took {:?}", begun.elapsed());
            assert_eq!(output.code, Some(3));
            let mut lines: Vec<&str> = output.output.lines().collect();
            lines.sort_unstable();
            assert_eq!(lines, ["hello", "oops"]);
        }
        let place = std::fs::read_to_string(plan.directories[0].join("place")).unwrap();
        assert_eq!(place.trim(), plan.directories[0].to_str().unwrap());

        let killed = tool(stack, Software::Program, &["sh", "-c", "kill -9 $$"]);
        assert_eq!(stack.runtime.run(&killed).await.unwrap().code, None);

        let loud = tool(
            stack,
            Software::Program,
            &["sh", "-c", "yes | head -c 300000; echo end"],
        );
        let output = stack.runtime.run(&loud).await.unwrap().output;
        assert!(
            output.len() <= 64 << 10 && output.ends_with("end\n"),
            "{} bytes",
            output.len()
        );
        assert_eq!(containers(&stack.directory), "");
    })
    .await;
}

#[tokio::test]
async fn a_tool_ends_with_its_time_its_zone_and_its_caller() {
    with_stack(22, async |stack| {
        let mut plan = tool(stack, Software::Program, &["sleep", "60"]);
        plan.timeout = Duration::from_millis(600);
        assert!(matches!(
            stack.runtime.run(&plan).await,
            Err(RuntimeError::TimedOut { .. })
        ));
        assert_eq!(containers(&stack.directory), "");

        plan.timeout = Duration::from_secs(60);
        let loss = Affliction::PowerLoss("a".into());
        let harm = async {
            while containers(&stack.directory).is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            stack.runtime.afflict(&loss).await.unwrap();
        };
        let (ended, ()) = tokio::join!(stack.runtime.run(&plan), harm);
        assert_eq!(ended, Err(RuntimeError::InsufficientCapacity("a".into())));
        assert_eq!(
            stack.runtime.run(&plan).await,
            Err(RuntimeError::InsufficientCapacity("a".into()))
        );
        stack.runtime.relieve(&loss).await.unwrap();

        let abandoned =
            tokio::time::timeout(Duration::from_millis(400), stack.runtime.run(&plan)).await;
        assert!(abandoned.is_err());
    })
    .await;
}

#[tokio::test]
async fn initdb_makes_a_cluster_that_serves() {
    with_stack(23, async |stack| {
        let plan = tool(
            stack,
            Software::Postgres { version: None },
            &["initdb", "-D", "data", "--auth=trust", "--no-sync"],
        );
        let begun = Instant::now();
        let output = stack.runtime.run(&plan).await.unwrap();
        eprintln!("initdb took {:?}", begun.elapsed());
        assert_eq!(output.code, Some(0), "{}", output.output);
        assert!(plan.directories[0].join("data/PG_VERSION").exists());
        let rewind = tool(
            stack,
            Software::Postgres { version: None },
            &["pg_rewind", "--version"],
        );
        assert!(
            stack
                .runtime
                .run(&rewind)
                .await
                .unwrap()
                .output
                .contains("pg_rewind (PostgreSQL)")
        );
        let version = stack
            .runtime
            .version(&Software::Postgres { version: None })
            .await
            .unwrap();
        assert!(version.contains('.'), "{version}");

        let listen = SocketAddrV4::new(Ipv4Addr::new(127, 90, 23, 1), 5432);
        let command = ["postgres", "-D", "data", "-h", "127.90.23.1", "-k", ""].map(str::to_owned);
        let mut server = stack.plan("tool", "a", plan.software.clone(), command.to_vec(), listen);
        server.id = "orders-1".into();
        stack.runtime.ensure(&server).await.unwrap();
        let ask = "until psql -h 127.90.23.1 -U nobody -Atc 'select 6 * 7' postgres 2>/dev/null; do sleep 0.05; done";
        let client = tool(stack, plan.software.clone(), &["sh", "-c", ask]);
        let answer = stack.runtime.run(&client).await.unwrap();
        assert_eq!(answer.output.trim(), "42");
        let begun = Instant::now();
        stack.runtime.stop(&server.id, StopMode::Graceful(Duration::from_secs(10))).await.unwrap();
        eprintln!("fast shutdown took {:?}", begun.elapsed());
        let log: Vec<String> = stack.runtime.logs(&server.id, false).collect().await;
        assert!(log.iter().any(|line| line.contains("received fast shutdown request")), "{log:?}");
    })
    .await;
}
