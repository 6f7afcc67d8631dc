//! What stands between our binary and a program of the stack: the instance launcher and `exec`.
//!
//! `unsafe` is forbidden, and so is code between `fork` and `exec`. The daemon therefore starts its own binary again as
//! `localaws __instance`, a process with a single thread that may safely change what a process is: its session, its
//! mounts, its user. Then it replaces itself by the program, so that nothing of it stays.
//!
//! ```text
//! daemon                         launcher (fd 0 is one end of a socket pair)
//!   writes the record of its pid
//!   Launch as JSON, end of file ──►
//!                              ◄── READY
//!                                 new session, mounts, user
//!                                 exec ──► end of file: the program runs
//!                              ◄── Refusal as JSON: it does not, and why
//! ```
//!
//! A daemon that dies before it has sent the whole launch leaves a launcher that reads end of file and ends.

mod namespace;
mod privilege;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use serde::{Deserialize, Serialize};
use topologies::runtime::Resolution;

pub(crate) use privilege::User;

/// The first argument that makes our binary a launcher.
pub const LAUNCHER: &str = "__instance";

/// The first byte of a launcher's answer: it has understood, and is about to become the program.
pub(crate) const READY: u8 = b'+';

/// No launch is larger: a bound for what is read from the daemon, in bytes.
const LAUNCH_BYTES_MAX: u64 = 4 << 20;

/// What the launcher is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Launch {
    /// The program, an absolute path, and its arguments.
    pub(crate) command: Vec<String>,
    /// The whole environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// The working directory.
    pub(crate) directory: PathBuf,
    /// How names are resolved.
    pub(crate) resolution: Resolution,
    /// The user to become.
    pub(crate) user: Option<User>,
    /// Whether a port below the unprivileged ones will be bound.
    pub(crate) low_port: bool,
}

/// Why a program was not started.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Refusal {
    /// This machine does not allow the namespaces that the resolution needs.
    Namespace(String),
    /// Anything else.
    Failed(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(cause) | Self::Failed(cause) => f.write_str(cause),
        }
    }
}

/// The launcher. Called first thing in `main` when the first argument is [`LAUNCHER`], before any thread exists: a
/// process of several threads cannot enter a user namespace, and only one of them would change its user.
///
/// Returns only if the program could not be started.
pub fn main() -> ExitCode {
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    let mut socket = UnixStream::from(socket);
    let Ok(launch) = receive(&mut socket) else {
        // No daemon on the other end, or it died: nobody to tell.
        return ExitCode::FAILURE;
    };
    if socket.write_all(&[READY]).is_err() {
        return ExitCode::FAILURE;
    }
    let Err(refusal) = become_program(&launch);
    if let Ok(text) = serde_json::to_vec(&refusal) {
        // A daemon that is gone needs no answer.
        let _ = socket.write_all(&text);
    }
    ExitCode::FAILURE
}

/// Replaces this process by `command` with the stack's name resolution: `localaws exec -- CMD`. Keeps user, standard
/// streams and working directory; `environment` is added to the present one.
///
/// Must be called before any thread exists. Without root it needs unprivileged user namespaces; in one, the process keeps
/// its user id, and is no other user. Returns only if it failed, and why.
pub fn exec(
    resolution: &Resolution,
    command: &[String],
    environment: &BTreeMap<String, String>,
) -> io::Error {
    let Some((program, arguments)) = command.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "no command to run");
    };
    if let Err(cause) = namespace::enter(resolution) {
        return io::Error::new(io::ErrorKind::PermissionDenied, cause);
    }
    Command::new(program)
        .args(arguments)
        .envs(environment)
        .exec()
}

fn receive(socket: &mut UnixStream) -> io::Result<Launch> {
    let mut text = Vec::new();
    socket.take(LAUNCH_BYTES_MAX).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

fn become_program(launch: &Launch) -> Result<Infallible, Refusal> {
    let failed = |what: &str, cause: &dyn fmt::Display| Refusal::Failed(format!("{what}: {cause}"));
    let Some((program, arguments)) = launch.command.split_first() else {
        return Err(Refusal::Failed("the command is empty".to_owned()));
    };
    // A session of its own, not only a group: a stopped process group whose session loses its leader gets SIGHUP and SIGCONT,
    // and a frozen instance must stay frozen when the daemon dies.
    rustix::process::setsid().map_err(|e| failed("open a session", &e))?;
    namespace::enter(&launch.resolution).map_err(Refusal::Namespace)?;
    privilege::drop_to(launch.user, launch.low_port).map_err(|e| failed("change user", &e))?;
    std::env::set_current_dir(&launch.directory).map_err(|e| {
        failed(
            &format!("enter directory `{}`", launch.directory.display()),
            &e,
        )
    })?;
    let error = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(&launch.environment)
        .stdin(Stdio::null())
        .exec();
    Err(failed(&format!("execute `{program}`"), &error))
}
