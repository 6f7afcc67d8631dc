//! One-shot programs of an engine: `initdb`, `pg_rewind`. A tool leaves no process behind, however it ends, and whether or
//! not someone still waits for it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use topologies::runtime::{Resolution, RuntimeError, ToolOutput, ToolPlan};

use super::launch::{Launcher, environment};
use super::record::{Kind, Record};
use super::state::Life;
use super::{Host, failed, processes, segments, signals};
use crate::shim::Launch;

/// How much of a tool's output is kept, in bytes.
const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// How long the rest of the output of a tool that has ended may take to be read.
const OUTPUT_WAIT_MAX: Duration = Duration::from_secs(5);

/// A launcher that waits to become a tool.
struct Prepared {
    launcher: Launcher,
    handle: OwnedFd,
    record: Record,
    launch: Launch,
    output: io::PipeReader,
}

/// How the wait for a tool ended.
enum Wait {
    Ended,
    TimedOut,
    /// Whoever asked for it does not wait any more.
    Unwanted,
}

impl Host {
    pub(super) async fn run(self: &Arc<Self>, tool: &ToolPlan) -> Result<ToolOutput, RuntimeError> {
        self.check_place(tool)?;
        let (host, wanted) = (Arc::clone(self), tool.clone());
        let unwanted = self.closing.child_token();
        let _until_this_returns = unwanted.clone().drop_guard();
        let output = self
            .tasks
            .spawn(async move { host.run_to_end(&wanted, &unwanted).await })
            .await
            .map_err(failed(&action_of(tool)))?;
        // A zone that was struck meanwhile does not answer.
        self.check_place(tool)?;
        output
    }

    fn check_place(&self, tool: &ToolPlan) -> Result<(), RuntimeError> {
        match &tool.zone {
            Some(zone) => self.state().afflictions().may_order(zone),
            None => Ok(()),
        }
    }

    async fn run_to_end(
        self: &Arc<Self>,
        tool: &ToolPlan,
        unwanted: &CancellationToken,
    ) -> Result<ToolOutput, RuntimeError> {
        let action = action_of(tool);
        let wanted = tool.clone();
        let Prepared {
            launcher,
            handle,
            record,
            launch,
            output,
        } = self
            .blocking(&action, move |host| host.prepare_tool(&wanted))
            .await?;
        let life = self.life_of(&record);
        let name = record.name;
        let entered = watched(handle, output)
            .map_err(failed(&action))
            .and_then(|ends| {
                let zone = tool.zone.as_ref();
                self.state().enter_tool(&name, zone, life.clone())?;
                Ok(ends)
            });
        let outcome = match entered {
            Ok(ends) => match launcher.become_program(&launch).await {
                Ok(Ok(child)) => self.attend(tool, child, ends, &life, unwanted).await,
                Ok(Err(refusal)) => Err(failed(&action)(refusal)),
                Err(error) => Err(failed(&action)(error)),
            },
            Err(error) => {
                self.blocking(&action, move |_| {
                    launcher.abandon().map_err(failed("end a launcher"))
                })
                .await?;
                Err(error)
            }
        };
        let recorded = name.clone();
        let forgotten = self
            .blocking(&action, move |host| host.forget(&recorded))
            .await;
        self.state().leave_tool(&name);
        life.gone.cancel();
        forgotten?;
        outcome
    }

    /// A launcher and what it is to become. Blocking.
    fn prepare_tool(&self, tool: &ToolPlan) -> Result<Prepared, RuntimeError> {
        let action = action_of(tool);
        let (command, programs) = self.command(&tool.software, &tool.command)?;
        for directory in &tool.directories {
            self.hand_over(directory).map_err(failed(&action))?;
        }
        // No instance has such a name.
        let name = format!("tool~{}", self.tools.fetch_add(1, Ordering::Relaxed));
        let home = tool.directories.first().map_or(Path::new("/"), |d| d);
        let launch = Launch {
            environment: environment(
                &tool.environment,
                programs.as_deref(),
                home,
                &self.stack,
                &name,
            ),
            directory: home.to_path_buf(),
            resolution: Resolution::Host,
            user: self.user,
            low_port: false,
            command,
        };
        let (output, input) = io::pipe().map_err(failed(&action))?;
        let errors = input.try_clone().map_err(failed(&action))?;
        let (launcher, handle) = Launcher::spawn(
            &self.launcher,
            &self.stack,
            &name,
            Stdio::from(input),
            Stdio::from(errors),
        )
        .map_err(failed(&action))?;
        let program = PathBuf::from(&launch.command[0]);
        let record = self.record(&name, launcher.identity, program, Kind::Tool);
        match self.records.write(&record) {
            Ok(()) => Ok(Prepared {
                launcher,
                handle,
                record,
                launch,
                output,
            }),
            Err(error) => {
                launcher.abandon().map_err(failed(&action))?;
                Err(failed(&action)(error))
            }
        }
    }

    /// Waits for a tool, and ends whatever is left of it then.
    async fn attend(
        self: &Arc<Self>,
        tool: &ToolPlan,
        mut child: Child,
        ends: (AsyncFd<OwnedFd>, pipe::Receiver),
        life: &Life,
        unwanted: &CancellationToken,
    ) -> Result<ToolOutput, RuntimeError> {
        let action = action_of(tool);
        let (handle, output) = ends;
        let output = self.tasks.spawn(read_tail(output));
        let wait = tokio::select! {
            ended = handle.readable() => ended.map_or(Wait::Unwanted, |_| Wait::Ended),
            () = sleep(tool.timeout) => Wait::TimedOut,
            () = unwanted.cancelled() => Wait::Unwanted,
        };
        let (body, tried) = (life.body.clone(), action.clone());
        let directories = tool.directories.clone();
        let status = self
            .blocking(&action, move |_| {
                signals::kill(&[body]).map_err(failed(&tried))?;
                let status = child.wait().map_err(failed(&tried));
                segments::remove_left_in(&directories);
                status
            })
            .await?;
        match wait {
            Wait::Ended => {}
            Wait::TimedOut => {
                let limit = tool.timeout;
                return Err(RuntimeError::TimedOut { action, limit });
            }
            Wait::Unwanted => return Err(failed(&action)("it is not wanted any more")),
        }
        let output = timeout(OUTPUT_WAIT_MAX, output)
            .await
            .map_err(failed(&action))?
            .map_err(failed(&action))?;
        Ok(ToolOutput {
            code: status.code(),
            output,
        })
    }
}

fn action_of(tool: &ToolPlan) -> String {
    let program = tool.command.first().map_or("", String::as_str);
    format!("run `{program}`")
}

/// The ends of a tool that tell: of its process, and of what it prints.
fn watched(
    handle: OwnedFd,
    output: io::PipeReader,
) -> io::Result<(AsyncFd<OwnedFd>, pipe::Receiver)> {
    let handle = processes::watched(handle)?;
    Ok((handle, pipe::Receiver::from_owned_fd(output.into())?))
}

/// Reads to the end, and keeps the last of it.
async fn read_tail(mut output: pipe::Receiver) -> String {
    let mut tail = VecDeque::new();
    let mut buffer = vec![0; 16 << 10];
    // An error ends it as the end does: what was read until then is what there is.
    while let Ok(read @ 1..) = output.read(&mut buffer).await {
        tail.extend(&buffer[..read]);
        let surplus = tail.len().saturating_sub(OUTPUT_BYTES_MAX);
        tail.drain(..surplus);
    }
    String::from_utf8_lossy(tail.make_contiguous()).into_owned()
}
