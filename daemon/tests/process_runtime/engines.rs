//! Real engines, where this machine has them.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use daemon::runtime::{ProcessOptions, ProcessRuntime};
use topologies::runtime::{
    Affliction, InstancePlan, Resolution, Runtime, RuntimeError, Software, StopMode, ToolPlan,
};

use crate::bench::{Bench, directory, end_of, options, pids};

const PATIENT: StopMode = StopMode::Graceful(Duration::from_secs(20));
const REDIS: Software = Software::Redis { version: None };
const POSTGRES: Software = Software::Postgres { version: None };

#[tokio::test]
async fn redis_serves_and_ends_politely() {
    let bench = Bench::new().await;
    if bench.runtime.version(&REDIS).await.is_err() {
        return;
    }
    let mut plan = engine(&bench.stack, "cache-1", REDIS);
    let port = plan.listen.port().to_string();
    plan.command = ["redis-server", "--bind", "127.0.0.1", "--port", &port]
        .map(str::to_owned)
        .to_vec();
    bench.runtime.ensure(&plan).await.unwrap();
    until_it_serves(plan.listen).await;
    let mut seen = bench.runtime.watch();
    bench.runtime.stop(&plan.id, PATIENT).await.unwrap();
    assert_eq!(end_of(&mut seen, &plan.id).await, "exit code 0");
    assert!(TcpStream::connect(plan.listen).is_err());
}

/// Each of its backends has a session of its own: none may outlive the power of its zone, not even for the moment in which it
/// would acknowledge one more write.
#[tokio::test]
async fn postgres_loses_its_backends_with_its_zone() {
    let bench = Bench::new().await;
    if bench.runtime.version(&POSTGRES).await.is_err() {
        return;
    }
    let plan = postgres(&bench).await;
    bench.runtime.ensure(&plan).await.unwrap();
    until_it_answers(&bench, &plan).await;
    let query = query(&plan, "select pg_sleep(600)");
    let data = plan.directory.join("data");
    let strike = async {
        // Until the client's backend sleeps beside the server's own processes.
        while !titles(&data).iter().any(|title| title.contains("SELECT")) {
            tokio::task::yield_now().await;
        }
        assert!(working_in(&data).len() > 4);
        let power = Affliction::PowerLoss(plan.zone.clone());
        bench.runtime.afflict(&power).await.unwrap();
        assert_eq!(working_in(&data), Vec::<i32>::new());
    };
    let (client, ()) = tokio::join!(bench.runtime.run(&query), strike);
    assert_ne!(client.unwrap().code, Some(0));
}

#[tokio::test]
async fn postgres_that_is_killed_from_outside_leaves_no_backend() {
    let bench = Bench::new().await;
    if bench.runtime.version(&POSTGRES).await.is_err() {
        return;
    }
    let plan = postgres(&bench).await;
    bench.runtime.ensure(&plan).await.unwrap();
    until_it_answers(&bench, &plan).await;
    let data = plan.directory.join("data");
    crate::bench::kill(bench.pid(&plan.id).await);
    bench.runtime.stop(&plan.id, PATIENT).await.unwrap();
    assert_eq!(working_in(&data), Vec::<i32>::new());

    bench.runtime.ensure(&plan).await.unwrap();
    until_it_answers(&bench, &plan).await;
    let mut seen = bench.runtime.watch();
    bench.runtime.stop(&plan.id, PATIENT).await.unwrap();
    assert_eq!(end_of(&mut seen, &plan.id).await, "exit code 0");
}

#[tokio::test]
async fn an_engine_that_is_not_there_says_how_to_get_it() {
    let (stack, cache, empty) = (directory(), directory(), directory());
    let options = ProcessOptions {
        redis: vec![empty.path().to_path_buf()],
        ..options()
    };
    let runtime = ProcessRuntime::open(stack.path(), cache.path(), options)
        .await
        .unwrap();
    let error = runtime.prepare(&[REDIS], &|_| ()).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Missing { .. }), "{error}");
    let error = runtime
        .version(&Software::Postgres { version: Some(99) })
        .await
        .unwrap_err();
    assert!(error.to_string().contains("apt install"), "{error}");
}

fn engine(stack: &Path, id: &str, software: Software) -> InstancePlan {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    InstancePlan {
        id: id.into(),
        zone: "a".into(),
        software,
        command: Vec::new(),
        image: None,
        listen: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
        directory: stack.join("instances").join(id),
        environment: BTreeMap::new(),
        resolution: Resolution::Host,
    }
}

/// A cluster that is initialised and not started.
async fn postgres(bench: &Bench) -> InstancePlan {
    let mut plan = engine(&bench.stack, "orders-1", POSTGRES);
    let initdb = postgres_tool(
        &plan.directory,
        &[
            "initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-N",
        ],
    );
    let output = bench.runtime.run(&initdb).await.unwrap();
    assert_eq!(output.code, Some(0), "{}", output.output);
    let port = plan.listen.port().to_string();
    plan.command = [
        "postgres",
        "-D",
        "data",
        "-p",
        &port,
        "-c",
        "listen_addresses=127.0.0.1",
        "-k",
        "",
        "-F",
    ]
    .map(str::to_owned)
    .to_vec();
    plan
}

fn postgres_tool(directory: &Path, command: &[&str]) -> ToolPlan {
    ToolPlan {
        software: POSTGRES,
        zone: None,
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        directories: vec![directory.to_path_buf()],
        environment: BTreeMap::new(),
        timeout: Duration::from_secs(60),
    }
}

fn query(plan: &InstancePlan, query: &str) -> ToolPlan {
    let port = plan.listen.port().to_string();
    postgres_tool(
        &plan.directory,
        &[
            "psql",
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "postgres",
            "-c",
            query,
        ],
    )
}

/// PostgreSQL accepts connections before it accepts questions.
async fn until_it_answers(bench: &Bench, plan: &InstancePlan) {
    until_it_serves(plan.listen).await;
    while bench
        .runtime
        .run(&query(plan, "select 1"))
        .await
        .unwrap()
        .code
        != Some(0)
    {}
}

async fn until_it_serves(address: SocketAddrV4) {
    let serves = async {
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), serves)
        .await
        .expect("it serves");
}

/// The processes that work in a directory.
fn working_in(directory: &Path) -> Vec<i32> {
    let directory: PathBuf = directory.canonicalize().unwrap();
    pids()
        .filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|work| work == directory))
        .collect()
}

fn titles(directory: &Path) -> Vec<String> {
    working_in(directory)
        .into_iter()
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).ok())
        .collect()
}
