//! A runtime for tests: plain child processes, no zones, no faults. Dropping it kills what it started.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use daemon::engines::files::FileOwner;
use futures_util::stream::{self, BoxStream};
use rustix::fs::statvfs;
use rustix::process::{Pid, Signal, kill_process};
use topologies::id::InstanceId;
use topologies::runtime::{
    Affliction, InstancePlan, InstanceStatus, Observation, Runtime, RuntimeError, RuntimeKind,
    Software, StopMode, ToolOutput, ToolPlan,
};

/// Where distributions put PostgreSQL.
const POSTGRES_HOME: &str = "/usr/lib/postgresql";

/// Child processes of a test.
pub(crate) struct Processes {
    postgres: PathBuf,
    children: Mutex<BTreeMap<InstanceId, Child>>,
    directories: Mutex<BTreeSet<PathBuf>>,
}

impl Processes {
    /// None, with a word, if the machine has no such software; fails instead if the caller insists on live tests.
    pub(crate) fn with(program: &str) -> Option<Arc<Self>> {
        let postgres = newest_postgres().unwrap_or_default();
        let there = Command::new(find(&postgres, program))
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .is_ok();
        if !there {
            let insisted = std::env::var("LOCALAWS_LIVE").is_ok_and(|kind| kind == "process");
            assert!(
                !insisted,
                "LOCALAWS_LIVE=process, but {program} is not installed"
            );
            eprintln!("skipped: {program} is not installed");
            return None;
        }
        Some(Arc::new(Self {
            postgres,
            children: Mutex::default(),
            directories: Mutex::default(),
        }))
    }

    /// Signals an instance and its descendants. A process group is not enough: each of PostgreSQL's leads one of its own. The
    /// first process is stopped before, so that it makes no further ones.
    pub(crate) fn signal(&self, instance: &str, signal: Signal) {
        signal_tree(pid(&self.children.lock().unwrap()[instance]), signal);
    }

    /// Kills an instance as a power loss does, and waits for its end.
    pub(crate) fn kill(&self, instance: &str) {
        self.signal(instance, Signal::KILL);
        let mut children = self.children.lock().unwrap();
        children.get_mut(instance).unwrap().wait().unwrap();
    }

    fn command(&self, words: &[String], environment: &BTreeMap<String, String>) -> Command {
        let mut command = Command::new(find(&self.postgres, &words[0]));
        command
            .args(&words[1..])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(environment)
            .stdin(Stdio::null())
            .process_group(0);
        if let FileOwner::User { id } = FileOwner::of_this_process() {
            command.uid(id).gid(id);
        }
        command
    }
}

/// Where a program is: among the preferred ones, in PostgreSQL's home, or in `PATH`.
fn find(postgres: &Path, program: &str) -> PathBuf {
    let preferred =
        std::env::var_os("LOCALAWS_TEST_BINARIES").map(|path| PathBuf::from(path).join(program));
    let own = postgres.join(program);
    match preferred.filter(|path| path.exists()) {
        Some(path) => path,
        None if own.exists() => own,
        None => PathBuf::from(program),
    }
}

fn newest_postgres() -> Option<PathBuf> {
    let versions = fs::read_dir(POSTGRES_HOME).ok()?;
    let newest = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u16>().ok())
        .max()?;
    Some(
        Path::new(POSTGRES_HOME)
            .join(newest.to_string())
            .join("bin"),
    )
}

fn signal_tree(root: Pid, signal: Signal) {
    kill_process(root, Signal::STOP).unwrap();
    let mut tree = vec![root];
    let mut seen = 0;
    while let Some(pid) = tree.get(seen) {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(path).unwrap_or_default();
        tree.extend(
            children
                .split_whitespace()
                .filter_map(|child| Pid::from_raw(child.parse().ok()?)),
        );
        seen += 1;
    }
    for pid in tree {
        // It may have ended meanwhile.
        kill_process(pid, signal).ok();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in self.children.get_mut().unwrap().values_mut() {
            if child.try_wait().unwrap().is_none() {
                signal_tree(pid(child), Signal::KILL);
                child.wait().unwrap();
            }
        }
        for directory in self.directories.get_mut().unwrap().iter() {
            remove_shared_memory(directory);
        }
    }
}

/// A killed PostgreSQL leaves the segment of System V memory by which it would know its own survivors. Its number ends the
/// seventh line of the file with its process id.
fn remove_shared_memory(directory: &Path) {
    let lock = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap_or_default();
    let line = lock.lines().nth(6).unwrap_or_default();
    if let Some(segment) = line.split_whitespace().nth(1) {
        // Its last process may be about to leave it, which removes it too.
        Command::new("ipcrm").args(["-m", segment]).output().ok();
    }
}

/// Bounds a wait for something that has no event to wait for.
pub(crate) async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(limit, found)
        .await
        .unwrap_or_else(|_| panic!("not within {limit:?}: {what}"))
}

/// A directory that the engine's user can pass through. In memory if there is room: making thousands of files soon after
/// others were removed takes ext4 seconds.
pub(crate) fn workplace() -> tempfile::TempDir {
    const ROOM: u64 = 2 << 30;
    let memory = Path::new("/dev/shm");
    let roomy = statvfs(memory).is_ok_and(|disk| disk.f_bavail * disk.f_frsize > ROOM);
    let parent = if roomy { memory } else { Path::new("/tmp") };
    let place = tempfile::Builder::new()
        .prefix("localaws-engines-")
        .tempdir_in(parent)
        .unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    place
}

#[async_trait]
impl Runtime for Processes {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Process
    }

    async fn prepare(
        &self,
        _: &[Software],
        _: &(dyn for<'line> Fn(&'line str) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn version(&self, software: &Software) -> Result<String, RuntimeError> {
        let program = match software {
            Software::Postgres { .. } => "postgres",
            Software::Redis { .. } => "redis-server",
            Software::Program => panic!("not an engine"),
        };
        let words = [program.to_owned(), "--version".to_owned()];
        let output = self.command(&words, &BTreeMap::new()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let digits = text.find(|c: char| c.is_ascii_digit()).unwrap();
        Ok(text[digits..].split_whitespace().next().unwrap().to_owned())
    }

    async fn ensure(&self, plan: &InstancePlan) -> Result<(), RuntimeError> {
        let mut children = self.children.lock().unwrap();
        if let Some(child) = children.get_mut(&plan.id)
            && child.try_wait().unwrap().is_none()
        {
            return Ok(());
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(plan.directory.join("log"))
            .unwrap();
        let child = self
            .command(&plan.command, &plan.environment)
            .current_dir(&plan.directory)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        children.insert(plan.id.clone(), child);
        self.directories
            .lock()
            .unwrap()
            .insert(plan.directory.clone());
        Ok(())
    }

    async fn stop(&self, instance: &InstanceId, mode: StopMode) -> Result<(), RuntimeError> {
        let signal = match mode {
            StopMode::Graceful(_) => Signal::INT,
            StopMode::Immediate => Signal::KILL,
        };
        let child = self.children.lock().unwrap().remove(instance);
        let Some(mut child) = child else {
            return Ok(());
        };
        if child.try_wait().unwrap().is_none() {
            match mode {
                StopMode::Graceful(_) => kill_process(pid(&child), signal).unwrap(),

                StopMode::Immediate => signal_tree(pid(&child), signal),
            }
            child.wait().unwrap();
        }
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Observation>, RuntimeError> {
        let mut children = self.children.lock().unwrap();
        let observe = |(instance, child): (&InstanceId, &mut Child)| Observation {
            instance: instance.clone(),
            status: match child.try_wait().unwrap() {
                None => InstanceStatus::Running {
                    handle: child.id().to_string(),
                },
                Some(status) => InstanceStatus::Exited {
                    how: status.to_string(),
                },
            },
        };
        Ok(children.iter_mut().map(observe).collect())
    }

    fn watch(&self) -> BoxStream<'static, Observation> {
        Box::pin(stream::empty())
    }

    fn ground_truth(&self) -> BoxStream<'static, Observation> {
        Box::pin(stream::empty())
    }

    async fn run(&self, tool: &ToolPlan) -> Result<ToolOutput, RuntimeError> {
        let mut command =
            tokio::process::Command::from(self.command(&tool.command, &tool.environment));
        command.kill_on_drop(true).current_dir(&tool.directories[0]);
        let ended = tokio::time::timeout(tool.timeout, command.output()).await;
        let Ok(output) = ended.map(Result::unwrap) else {
            return Err(RuntimeError::TimedOut {
                action: tool.command[0].clone(),
                limit: tool.timeout,
            });
        };
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        assert!(output.status.core_dumped() || output.status.code().is_some());
        Ok(ToolOutput {
            code: output.status.code(),
            output: text,
        })
    }

    async fn afflict(&self, _: &Affliction) -> Result<(), RuntimeError> {
        panic!("this runtime has no faults")
    }

    async fn relieve(&self, _: &Affliction) -> Result<(), RuntimeError> {
        panic!("this runtime has no faults")
    }

    fn afflictions(&self) -> BTreeSet<Affliction> {
        BTreeSet::new()
    }

    async fn clear(&self) -> Result<(), RuntimeError> {
        Ok(())
    }

    fn logs(&self, _: &InstanceId, _: bool) -> BoxStream<'static, String> {
        Box::pin(stream::empty())
    }
}
