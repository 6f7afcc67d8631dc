//! A stack in a temporary directory, and the questions that the tests ask of it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::time::Duration;

use daemon::runtime::{ProcessOptions, ProcessRuntime};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tempfile::TempDir;
use tokio::time::timeout;
use topologies::id::InstanceId;
use topologies::runtime::{
    InstancePlan, InstanceStatus, Observation, Resolution, Runtime, Software, ToolPlan,
};

/// Every wait of a test ends by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stack whose processes go when it does.
pub(crate) struct Bench {
    pub(crate) runtime: ProcessRuntime,
    pub(crate) stack: PathBuf,
    cache: PathBuf,
    _place: (TempDir, TempDir),
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let place = (directory(), directory());
        let (stack, cache) = (
            place.0.path().canonicalize().unwrap(),
            place.1.path().to_path_buf(),
        );
        Self {
            runtime: open(&stack, &cache).await,
            stack,
            cache,
            _place: place,
        }
    }

    /// The next daemon's runtime.
    pub(crate) async fn reopen(mut self) -> Self {
        self.runtime = open(&self.stack, &self.cache).await;
        self
    }

    /// A shell script as an instance of zone `a`.
    pub(crate) fn script(&self, id: &str, script: &str) -> InstancePlan {
        script_in(&self.stack, id, "a", script)
    }

    /// Starts an instance and waits until it has printed `ready`.
    pub(crate) async fn start(&self, plan: &InstancePlan) -> i32 {
        self.runtime.ensure(plan).await.unwrap();
        self.logged(&plan.id, "ready").await;
        self.pid(&plan.id).await
    }

    /// Waits for a line in an instance's log, and returns what was printed until then.
    pub(crate) async fn logged(&self, instance: &InstanceId, line: &str) -> Vec<String> {
        let mut lines = self.runtime.logs(instance, true);
        let mut seen = Vec::new();
        let wait = async {
            while let Some(next) = lines.next().await {
                seen.push(next);
                if seen.last().is_some_and(|last| last == line) {
                    break;
                }
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!("`{line}` is not among {seen:?}");
        }
        seen
    }

    /// The present status, as the control plane does not see it.
    pub(crate) async fn status(&self, instance: &InstanceId) -> InstanceStatus {
        self.runtime
            .list()
            .await
            .unwrap()
            .into_iter()
            .find(|observation| observation.instance == *instance)
            .map_or(InstanceStatus::Absent, |observation| observation.status)
    }

    pub(crate) async fn pid(&self, instance: &InstanceId) -> i32 {
        match self.status(instance).await {
            InstanceStatus::Running { handle } => handle.parse().unwrap(),
            other @ (InstanceStatus::Exited { .. } | InstanceStatus::Absent) => {
                panic!("{instance} does not run: {other:?}")
            }
        }
    }

    /// How many processes carry the mark of this stack.
    pub(crate) fn marked(&self) -> usize {
        let mark = format!("LOCALAWS_STACK_DIR={}", self.stack.display());
        pids()
            .filter(|pid| state_of(*pid).is_some_and(|state| state != 'Z'))
            .filter_map(|pid| fs::read(format!("/proc/{pid}/environ")).ok())
            .filter(|environment| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|entry| entry == mark.as_bytes())
            })
            .count()
    }

    /// Waits until so many carry it: a process that is just being replaced by another program has no environment for a moment.
    pub(crate) async fn until_marked(&self, count: usize) {
        let wait = async {
            while self.marked() != count {
                tokio::task::yield_now().await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            panic!("{} processes, not {count}", self.marked());
        }
    }
}

impl Drop for Bench {
    /// A test that fails leaves nothing either.
    fn drop(&mut self) {
        let mark = format!("LOCALAWS_STACK_DIR={}", self.stack.display());
        for pid in pids() {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            if environment
                .split(|byte| *byte == 0)
                .any(|entry| entry == mark.as_bytes())
            {
                kill(pid);
            }
        }
    }
}

pub(crate) async fn open(stack: &Path, cache: &Path) -> ProcessRuntime {
    ProcessRuntime::open(stack, cache, options()).await.unwrap()
}

pub(crate) fn options() -> ProcessOptions {
    ProcessOptions {
        launcher: Some(PathBuf::from(env!("CARGO_BIN_EXE_localaws"))),
        ..ProcessOptions::default()
    }
}

pub(crate) fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn script_in(stack: &Path, id: &str, zone: &str, script: &str) -> InstancePlan {
    InstancePlan {
        id: id.into(),
        zone: zone.into(),
        software: Software::Program,
        command: vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()],
        image: None,
        listen: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 18080),
        directory: stack.join("instances").join(id),
        environment: BTreeMap::new(),
        resolution: Resolution::Host,
    }
}

pub(crate) fn tool(script: &str) -> ToolPlan {
    ToolPlan {
        software: Software::Program,
        zone: None,
        command: vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()],
        directories: Vec::new(),
        environment: BTreeMap::new(),
        timeout: PATIENCE,
    }
}

/// The next observation.
pub(crate) async fn next(stream: &mut BoxStream<'static, Observation>) -> Observation {
    timeout(PATIENCE, stream.next())
        .await
        .expect("an observation in time")
        .expect("the stream does not end")
}

/// Waits for the end of `instance`, and returns how it ended.
pub(crate) async fn end_of(
    stream: &mut BoxStream<'static, Observation>,
    instance: &InstanceId,
) -> String {
    loop {
        let observation = next(stream).await;
        if observation.instance != *instance {
            continue;
        }
        if let InstanceStatus::Exited { how } = observation.status {
            return how;
        }
    }
}

pub(crate) fn running(instance: &InstanceId, pid: i32) -> Observation {
    Observation {
        instance: instance.clone(),
        status: InstanceStatus::Running {
            handle: pid.to_string(),
        },
    }
}

pub(crate) fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The state letter of a process, if it is there.
pub(crate) fn state_of(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// When a process started, as the kernel counts.
pub(crate) fn start_time(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19).map(str::to_owned)
}

pub(crate) fn runs(pid: i32) -> bool {
    state_of(pid).is_some_and(|state| state != 'Z')
}

/// The children of a process.
pub(crate) fn children_of(parent: i32) -> Vec<i32> {
    pids()
        .filter(|pid| {
            fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
                stat.rsplit_once(')')
                    .and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1))
                    .is_some_and(|found| found == parent.to_string())
            })
        })
        .collect()
}

/// Kills from outside, as a user would.
pub(crate) fn kill(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}
