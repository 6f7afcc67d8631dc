//! An instance's life: started through a launcher, supervised by a handle of its process, ended with all that it started.
//!
//! ```text
//!            ensure                     the process ends
//!  Absent ───────────► Running ──────────────────────────► Exited
//!                        │  ▲                                │
//!                        └──┘ replaced by another plan       └──► Running, by ensure
//! ```

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::process::Signal;
use tokio::io::unix::AsyncFd;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use topologies::id::InstanceId;
use topologies::runtime::{
    Affliction, InstancePlan, InstanceStatus, Resolution, RuntimeError, Software, StopMode,
};

use super::launch::Launcher;
use super::processes::{self, Body, Identity};
use super::record::{Kind, Record};
use super::signals::{self, Whom};
use super::state::Life;
use super::{Host, failed, logs};
use crate::shim::{Launch, Refusal};

/// How an instance is stopped to be replaced by one of another plan.
const REPLACE: StopMode = StopMode::Graceful(Duration::from_secs(10));
/// How long it may take until nothing is left of killed processes.
const GONE_WAIT_MAX: Duration = Duration::from_secs(30);

impl Host {
    pub(super) async fn ensure(self: &Arc<Self>, plan: &InstancePlan) -> Result<(), RuntimeError> {
        let orders = self.orders_of(&plan.id);
        let _turn = orders.lock().await;
        self.state().check_start(&plan.id, &plan.zone)?;
        let present = self
            .state()
            .life_of(&plan.id)
            .map(|(plan, life)| (plan.clone(), life.clone()));
        if let Some((former, life)) = present {
            if former == *plan && self.state().runs(&plan.id) {
                return Ok(());
            }
            self.end(&former, &life, REPLACE).await?;
        }
        let frozen = Affliction::Freeze(plan.id.clone());
        if self.state().afflictions().contains(&frozen) {
            // The process that hung is gone; a new one does not hang.
            self.change_faults(&frozen, false).await?;
        }
        self.start(plan).await
    }

    pub(super) async fn stop(
        self: &Arc<Self>,
        instance: &InstanceId,
        mode: StopMode,
    ) -> Result<(), RuntimeError> {
        self.state().check_order(instance)?;
        let orders = self.orders_of(instance);
        let _turn = orders.lock().await;
        self.end_if_running(instance, mode).await
    }

    /// Ends the instance, whatever faults say.
    pub(super) async fn end_if_running(
        self: &Arc<Self>,
        instance: &InstanceId,
        mode: StopMode,
    ) -> Result<(), RuntimeError> {
        let present = self
            .state()
            .life_of(instance)
            .map(|(plan, life)| (plan.clone(), life.clone()));
        match present {
            Some((plan, life)) => self.end(&plan, &life, mode).await,
            None => Ok(()),
        }
    }

    async fn end(
        self: &Arc<Self>,
        plan: &InstancePlan,
        life: &Life,
        mode: StopMode,
    ) -> Result<(), RuntimeError> {
        let action = format!("stop instance {}", plan.id);
        // One that is frozen can not follow. It is not woken to: a primary that was replaced meanwhile would acknowledge what is lost.
        let freeze = Affliction::Freeze(plan.id.clone());
        let frozen = self.state().afflictions().contains(&freeze);
        if let StopMode::Graceful(limit) = mode
            && !frozen
        {
            let (signal, whom) = match plan.software {
                // Fast shutdown: the server disconnects its clients and writes a checkpoint.
                Software::Postgres { .. } => (Signal::INT, Whom::Leader),
                Software::Redis { .. } | Software::Program => (Signal::TERM, Whom::All),
            };
            let (body, asked) = (life.body.clone(), action.clone());
            self.blocking(&action, move |_| {
                signals::request_end(&body, signal, whom).map_err(failed(&asked))
            })
            .await?;
            if timeout(limit, life.gone.cancelled()).await.is_ok() {
                return Ok(());
            }
        }
        self.kill(std::slice::from_ref(life), &action).await
    }

    /// Kills at once, and returns when nothing is left and all of it is recorded.
    pub(super) async fn kill(
        self: &Arc<Self>,
        lives: &[Life],
        action: &str,
    ) -> Result<(), RuntimeError> {
        let bodies: Vec<Body> = lives.iter().map(|life| life.body.clone()).collect();
        let tried = action.to_owned();
        self.blocking(action, move |_| {
            signals::kill(&bodies).map_err(failed(&tried))
        })
        .await?;
        for life in lives {
            timeout(GONE_WAIT_MAX, life.gone.cancelled())
                .await
                .map_err(|_| RuntimeError::TimedOut {
                    action: action.to_owned(),
                    limit: GONE_WAIT_MAX,
                })?;
        }
        Ok(())
    }

    async fn start(self: &Arc<Self>, plan: &InstancePlan) -> Result<(), RuntimeError> {
        let wanted = plan.clone();
        let action = format!("start instance {}", plan.id);
        let mut launch = self
            .blocking(&action, move |host| host.prepare_launch(&wanted))
            .await?;
        match self.attempt(plan, &launch, None).await? {
            Ok(()) => return Ok(()),
            Err(Refusal::Failed(cause)) => return Err(failed(&action)(cause)),
            Err(Refusal::Namespace(cause)) => {
                launch.resolution = Resolution::Host;
                let note = format!("names are resolved as the host does: {cause}");
                self.attempt(plan, &launch, Some(note)).await?
            }
        }
        .map_err(failed(&action))
    }

    /// One launch. Faults find the process from before it runs the program until nothing of it is left.
    async fn attempt(
        self: &Arc<Self>,
        plan: &InstancePlan,
        launch: &Launch,
        note: Option<String>,
    ) -> Result<Result<(), Refusal>, RuntimeError> {
        let action = format!("start instance {}", plan.id);
        let (wanted, program) = (plan.clone(), launch.command[0].clone());
        let (launcher, handle, record) = self
            .blocking(&action, move |host| {
                host.spawn_recorded(&wanted, program.into(), note.as_deref())
            })
            .await?;
        let life = self.life_of(&record);
        let entered = processes::watched(handle)
            .map_err(failed(&action))
            .and_then(|handle| {
                self.state().enter(plan, life.clone())?;
                Ok(handle)
            });
        let handle = match entered {
            Ok(handle) => handle,
            Err(error) => {
                self.blocking(&action, move |host| host.abandon(launcher, &record.name))
                    .await?;
                return Err(error);
            }
        };
        let outcome = match launcher.become_program(launch).await {
            Ok(Ok(child)) => {
                let status = running(record.leader);
                self.state().observe(&plan.id, status);
                self.supervise(record, plan.id.clone(), life, handle, Some(child));
                return Ok(Ok(()));
            }
            Ok(Err(refusal)) => Ok(Err(refusal)),
            Err(error) => Err(failed(&action)(error)),
        };
        self.blocking(&action, move |host| host.forget(&record.name))
            .await?;
        self.state().withdraw(&plan.id);
        life.gone.cancel();
        outcome
    }

    /// A launcher for an instance, and the record by which the next daemon finds it.
    fn spawn_recorded(
        &self,
        plan: &InstancePlan,
        program: PathBuf,
        note: Option<&str>,
    ) -> Result<(Launcher, OwnedFd, Record), RuntimeError> {
        let action = format!("start instance {}", plan.id);
        let log = logs::open(&plan.directory, self.user).map_err(failed(&action))?;
        if let Some(note) = note {
            logs::note(&log, note).map_err(failed(&action))?;
        }
        let errors = log.try_clone().map_err(failed(&action))?;
        let (launcher, handle) = Launcher::spawn(
            &self.launcher,
            &self.stack,
            plan.id.as_str(),
            Stdio::from(log),
            Stdio::from(errors),
        )
        .map_err(failed(&action))?;
        let kind = Kind::Instance(Box::new(plan.clone()));
        let record = self.record(plan.id.as_str(), launcher.identity, program, kind);
        match self.records.write(&record) {
            Ok(()) => Ok((launcher, handle, record)),
            Err(error) => {
                launcher.abandon().map_err(failed(&action))?;
                Err(failed(&action)(error))
            }
        }
    }

    /// Watches over an instance until nothing of it is left. `child` is absent if an earlier daemon started it.
    pub(super) fn supervise(
        self: &Arc<Self>,
        record: Record,
        instance: InstanceId,
        life: Life,
        handle: AsyncFd<OwnedFd>,
        child: Option<Child>,
    ) {
        let host = Arc::clone(self);
        self.tasks.spawn(async move {
            // Readable once the process has ended; an error means that the async runtime is ending.
            let ended = host.closing.run_until_cancelled(handle.readable()).await;
            if !matches!(ended, Some(Ok(_))) {
                return;
            }
            let how = child.map_or_else(unknown_end, |mut child| describe(child.try_wait()));
            let status = InstanceStatus::Exited { how: how.clone() };
            host.state().observe(&instance, status);
            host.sweep(record, how, &life.body).await;
            host.state().end_life(&instance, &life);
            life.gone.cancel();
        });
    }

    /// Ends what an instance left behind, and records its end.
    async fn sweep(self: &Arc<Self>, mut record: Record, how: String, body: &Body) {
        const RETRY: Duration = Duration::from_secs(1);
        let name = record.name.clone();
        loop {
            let body = body.clone();
            let swept = self
                .blocking("end what an instance left", move |_| {
                    signals::kill(&[body]).map_err(failed("end what an instance left"))
                })
                .await;
            let Err(error) = swept else { break };
            // Until it is gone the instance cannot be started again.
            tracing::warn!(instance = name, %error, "processes of an ended instance remain");
            if self
                .closing
                .run_until_cancelled(sleep(RETRY))
                .await
                .is_none()
            {
                return;
            }
        }
        record.ended = Some(how);
        let written = self
            .blocking("record an end", move |host| {
                host.records.write(&record).map_err(failed("record an end"))
            })
            .await;
        if let Err(error) = written {
            // The next daemon sees for itself that the process is not there.
            tracing::warn!(instance = name, %error, "an instance's end is not on the disk");
        }
    }

    /// A record of a process of this boot that runs.
    pub(super) fn record(
        &self,
        name: &str,
        leader: Identity,
        program: PathBuf,
        kind: Kind,
    ) -> Record {
        Record {
            name: name.to_owned(),
            boot: self.boot.clone(),
            leader,
            // As `/proc/PID/exe` will name it.
            program: program.canonicalize().unwrap_or(program),
            kind,
            ended: None,
        }
    }

    /// How the processes that a record is of are found.
    pub(super) fn body_of(&self, record: &Record) -> Body {
        let directory = match &record.kind {
            Kind::Instance(plan) => plan.directory.canonicalize().ok(),
            Kind::Tool => None,
        };
        Body {
            leader: record.leader,
            member: record.name.clone(),
            stack: self.stack.clone(),
            directory,
            program: record.program.clone(),
        }
    }

    /// A life that begins with a record.
    pub(super) fn life_of(&self, record: &Record) -> Life {
        Life {
            body: self.body_of(record),
            gone: CancellationToken::new(),
        }
    }

    /// Ends a launcher that was told nothing.
    pub(super) fn abandon(&self, launcher: Launcher, name: &str) -> Result<(), RuntimeError> {
        launcher.abandon().map_err(failed("end a launcher"))?;
        self.forget(name)
    }

    /// Forgets a record.
    pub(super) fn forget(&self, name: &str) -> Result<(), RuntimeError> {
        self.records.remove(name).map_err(failed("forget a record"))
    }
}

/// The status of an instance whose process this is.
pub(super) fn running(leader: Identity) -> InstanceStatus {
    InstanceStatus::Running {
        handle: leader.pid.to_string(),
    }
}

fn unknown_end() -> String {
    "ended; its exit code is unknown".to_owned()
}

fn describe(status: io::Result<Option<ExitStatus>>) -> String {
    let Ok(Some(status)) = status else {
        return unknown_end();
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => unknown_end(),
    }
}
