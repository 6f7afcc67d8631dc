//! From a command to a running program: the daemon's side of the launcher.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::processes::{Identity, MEMBER_VARIABLE, STACK_VARIABLE};
use crate::shim::{LAUNCHER, Launch, READY, Refusal};

/// How long a launcher may take; it only makes a few system calls.
const LAUNCH_WAIT_MAX: Duration = Duration::from_secs(20);
/// No refusal is longer, in bytes.
const REFUSAL_BYTES_MAX: u64 = 64 << 10;
/// Where programs are looked up if the daemon itself was told nothing.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A launcher that waits to be told what to become.
pub(super) struct Launcher {
    child: Child,
    /// Who it is; the program that it becomes is the same process.
    pub(super) identity: Identity,
    socket: UnixStream,
}

impl Launcher {
    /// Starts a launcher from `binary`, marked as `member` of the stack in directory `stack`. Beside it, a handle that becomes
    /// readable when the process ends.
    pub(super) fn spawn(
        binary: &Path,
        stack: &str,
        member: &str,
        stdout: Stdio,
        stderr: Stdio,
    ) -> io::Result<(Self, OwnedFd)> {
        let (socket, theirs) = UnixStream::pair()?;
        let mut child = Command::new(binary)
            .arg(LAUNCHER)
            .env_clear()
            .env(STACK_VARIABLE, stack)
            .env(MEMBER_VARIABLE, member)
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(stdout)
            .stderr(stderr)
            .spawn()?;
        // Nobody else waits for our child: until we do, its pid is its own.
        match (Identity::of(child.id().cast_signed()), handle_of(&child)) {
            (Some(identity), Ok(handle)) => Ok((
                Self {
                    child,
                    identity,
                    socket,
                },
                handle,
            )),
            (_, handle) => {
                child.kill()?;
                let status = child.wait()?;
                handle?;
                Err(io::Error::other(format!(
                    "`{}` ended at once: {status}",
                    binary.display()
                )))
            }
        }
    }

    /// Ends it before it was told anything.
    pub(super) fn abandon(mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Both)?;
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Tells it what to become. The answer is the running program, or why it does not run; then the process has ended.
    pub(super) async fn become_program(
        self,
        launch: &Launch,
    ) -> io::Result<Result<Child, Refusal>> {
        let Self {
            mut child, socket, ..
        } = self;
        let answer = match timeout(LAUNCH_WAIT_MAX, tell(socket, launch)).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(elapsed.into()),
        };
        let refusal = match answer {
            Ok(None) => return Ok(Ok(child)),
            Ok(Some(refusal)) => Ok(Err(refusal)),
            Err(error) => Err(error),
        };
        child.kill()?;
        tokio::task::spawn_blocking(move || child.wait()).await??;
        refusal
    }
}

/// The whole environment of a program: the minimal one, that of the plan, and the marks by which its processes are found.
pub(super) fn environment(
    own: &BTreeMap<String, String>,
    programs: Option<&Path>,
    home: &Path,
    stack: &str,
    member: &str,
) -> BTreeMap<String, String> {
    let mut path = std::env::var("PATH").unwrap_or_else(|_| PATH.to_owned());
    if let Some(programs) = programs {
        path = format!("{}:{path}", programs.display());
    }
    let mut environment = BTreeMap::from([
        ("PATH".to_owned(), path),
        ("HOME".to_owned(), home.display().to_string()),
        ("TZ".to_owned(), "UTC".to_owned()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
    ]);
    environment.extend(own.clone());
    environment.insert(STACK_VARIABLE.to_owned(), stack.to_owned());
    environment.insert(MEMBER_VARIABLE.to_owned(), member.to_owned());
    environment
}

/// Whether only privileged processes may bind `port`.
pub(super) fn privileged_port(port: u16) -> bool {
    let first_free = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024);
    port < first_free
}

/// The binary that a launcher is started from: our own, also when its file has been replaced since.
pub(super) fn own_binary() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

fn handle_of(child: &Child) -> io::Result<OwnedFd> {
    let pid = Pid::from_child(child);
    Ok(pidfd_open(pid, PidfdFlags::NONBLOCK)?)
}

async fn tell(socket: UnixStream, launch: &Launch) -> io::Result<Option<Refusal>> {
    socket.set_nonblocking(true)?;
    let mut socket = tokio::net::UnixStream::from_std(socket)?;
    socket.write_all(&serde_json::to_vec(launch)?).await?;
    socket.shutdown().await?;
    let mut answer = Vec::new();
    socket
        .take(REFUSAL_BYTES_MAX)
        .read_to_end(&mut answer)
        .await?;
    match answer.split_first() {
        Some((&READY, [])) => Ok(None),
        Some((&READY, refusal)) => Ok(Some(serde_json::from_slice(refusal)?)),
        Some(_) | None => Err(io::Error::other(
            "the launcher ended before it started the program",
        )),
    }
}
