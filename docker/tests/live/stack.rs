//! A stack for one test: a directory, a runtime, plans of Redis instances; cleared and counted at the end, also of a test
//! that fails.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use docker::{DockerRuntime, Options, User};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use topologies::id::StackId;
use topologies::runtime::{
    InstancePlan, InstanceStatus, Observation, Resolution, Runtime, Software,
};

/// Nothing that a test waits for takes this long.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Stack {
    pub(crate) runtime: DockerRuntime,
    pub(crate) directory: PathBuf,
    id: StackId,
    /// The third number of its addresses, so that tests do not meet.
    network: u8,
}

impl Stack {
    /// A runtime on the same stack, as of a daemon that comes later.
    pub(crate) async fn reconnect(&mut self) {
        self.runtime = connect(&self.id, &self.directory).await;
    }

    pub(crate) fn redis(&self, id: &str, zone: &str, host: u8) -> InstancePlan {
        let listen = SocketAddrV4::new(Ipv4Addr::new(127, 90, self.network, host), 6379);
        let command = [
            "redis-server",
            "--bind",
            &listen.ip().to_string(),
            "--port",
            "6379",
            "--save",
            "",
        ]
        .map(str::to_owned);
        self.plan(
            id,
            zone,
            Software::Redis { version: None },
            command.to_vec(),
            listen,
        )
    }

    pub(crate) fn plan(
        &self,
        id: &str,
        zone: &str,
        software: Software,
        command: Vec<String>,
        listen: SocketAddrV4,
    ) -> InstancePlan {
        InstancePlan {
            id: id.into(),
            zone: zone.into(),
            software,
            command,
            image: None,
            listen,
            directory: self.owned(id),
            environment: BTreeMap::new(),
            resolution: Resolution::Host,
        }
    }

    /// A directory of the instances' user.
    pub(crate) fn owned(&self, name: &str) -> PathBuf {
        let directory = self.directory.join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let User { uid, gid } = user();
        std::os::unix::fs::chown(&directory, Some(uid), Some(gid)).unwrap();
        directory
    }
}

/// Runs a test on a stack of its own, unless there is no engine. Whatever comes of it, nothing of the stack is left.
pub(crate) async fn with_stack(network: u8, test: impl AsyncFnOnce(&mut Stack)) {
    let Some(engine) = super::engine().await else {
        return;
    };
    drop(engine);
    let directory = tempfile::tempdir().unwrap();
    let id = StackId::from(format!("test-{network}-{}", std::process::id()));
    let runtime = connect(&id, directory.path()).await;
    let software = [
        Software::Redis { version: None },
        Software::Program,
        Software::Postgres { version: None },
    ];
    runtime
        .prepare(&software, &|line| eprintln!("{line}"))
        .await
        .unwrap();
    let mut stack = Stack {
        runtime,
        directory: directory.path().canonicalize().unwrap(),
        id,
        network,
    };
    let outcome = AssertUnwindSafe(test(&mut stack)).catch_unwind().await;
    stack.runtime.clear().await.unwrap();
    let left = containers(&stack.directory);
    assert_eq!(left, "", "containers are left");
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// The next observation that `wanted` accepts, and how long it took.
pub(crate) async fn until(
    stream: &mut BoxStream<'static, Observation>,
    wanted: impl Fn(&Observation) -> bool,
) -> (Observation, Duration) {
    let begun = Instant::now();
    let found = async {
        loop {
            let observation = stream.next().await.expect("the stream ended");
            if wanted(&observation) {
                return observation;
            }
        }
    };
    let found = tokio::time::timeout(LIMIT, found)
        .await
        .expect("what was waited for did not happen");
    (found, begun.elapsed())
}

pub(crate) fn runs(id: &'static str) -> impl Fn(&Observation) -> bool {
    move |seen| {
        seen.instance.as_str() == id && matches!(seen.status, InstanceStatus::Running { .. })
    }
}

pub(crate) fn exited(id: &'static str) -> impl Fn(&Observation) -> bool {
    move |seen| seen.instance.as_str() == id && matches!(seen.status, InstanceStatus::Exited { .. })
}

/// Everything that has been said so far.
pub(crate) fn so_far(stream: &mut BoxStream<'static, Observation>) -> Vec<Observation> {
    std::iter::from_fn(|| stream.next().now_or_never().flatten()).collect()
}

/// Whether a Redis answers, within a second of tries.
pub(crate) async fn answers(plan: &InstancePlan) -> bool {
    for _ in 0..50 {
        if tokio::net::TcpStream::connect(plan.listen).await.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// The ids of the stack's containers, as the engine's own command line lists them.
pub(crate) fn containers(directory: &Path) -> String {
    let filter = format!("label=localaws.stack={}", directory.display());
    let listed = std::process::Command::new("docker")
        .args(["ps", "-aq", "--filter", &filter])
        .output()
        .unwrap();
    String::from_utf8(listed.stdout).unwrap().trim().to_owned()
}

fn user() -> User {
    use std::os::unix::fs::MetadataExt;
    let own = std::fs::metadata("/proc/self").unwrap();
    match own.uid() {
        0 => User::NOBODY,
        uid => User {
            uid,
            gid: own.gid(),
        },
    }
}

async fn connect(id: &StackId, directory: &Path) -> DockerRuntime {
    let options = Options {
        cache: std::env::temp_dir().join("localaws-test-cache"),
        user: user(),
    };
    DockerRuntime::connect(id, directory, options)
        .await
        .unwrap()
}
