//! What each order does. What those for an engine take is beside this, by engine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use topologies::id::InstanceId;
use topologies::plan::Instance;
use topologies::runtime::{Runtime, Software, StopMode};

use super::failure::Failure;
use crate::apps::Apps;
use crate::control::action::{Action, Outcome};
use crate::engines::{Directories, EngineHost, files};
use crate::estate::{Estate, Estates, software, software_of};

/// How long a program that is asked to end may take before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Whoever performs orders, with all that it takes.
pub(super) struct Performer {
    estate: watch::Receiver<Arc<Estate>>,
    pub(super) runtime: Arc<dyn Runtime>,
    directories: Directories,
    apps: Apps,
    /// What the runtime was told to have at hand.
    prepared: tokio::sync::Mutex<BTreeSet<Software>>,
}

impl Performer {
    pub(super) fn new(estates: &Estates, runtime: Arc<dyn Runtime>, apps: Apps) -> Self {
        let estate = estates.watch();
        let prepared = software(&estate.borrow().plan).into_iter().collect();
        Self {
            estate,
            runtime,
            directories: estates.directories().clone(),
            apps,
            prepared: tokio::sync::Mutex::new(prepared),
        }
    }

    /// Waits until nothing is written any more that an order began.
    pub(super) async fn finished(&self) {
        self.directories.work.finished().await;
    }

    pub(super) async fn run(&self, action: &Action) -> Result<Outcome, Failure> {
        match action {
            Action::StartApp { instance } => self.start_app(instance).await?,
            Action::Stop { instance } => {
                let mode = StopMode::Graceful(STOP_LIMIT);
                self.runtime.stop(instance, mode).await?;
            }
            Action::Remove { instance } => self.remove(instance).await?,
            Action::StartDatabase { instance, role } => self.start_database(instance, role).await?,
            Action::ConfigurePrimary { instance } => {
                let (engine, host) = self.database(instance)?;
                engine.configure_primary(&host).await?;
            }
            Action::SetSynchronousStandby { primary, standby } => {
                let (engine, host) = self.database(primary)?;
                let standby = standby.as_ref();
                engine.set_synchronous_standby(&host, standby).await?;
            }
            Action::Demote { instance } => {
                let (engine, host) = self.database(instance)?;
                engine.demote(&host).await?;
                engine.stop(instance, StopMode::Immediate).await?;
            }
            Action::Promote { instance } => return self.promote_database(instance).await,
            Action::Follow { instance, source } => {
                let (engine, host) = self.database(instance)?;
                let source = self.host(source)?.upstream_for(host.address.zone);
                engine.follow(&host, &source).await?;
            }
            Action::Rejoin {
                instance,
                source,
                by,
            } => self.rejoin_database(instance, source, *by).await?,
            Action::StartCache { instance, source } => {
                self.start_cache(instance, source.as_ref()).await?;
            }
            Action::RejoinCache { instance, source } => self.rejoin_cache(instance, source).await?,
            Action::PromoteCache { instance } => return self.promote_cache(instance).await,
            Action::FollowCache { instance, source } => {
                let (engine, node) = self.cache(instance)?;
                let source = self.host(source)?.upstream_for(node.address.zone);
                engine.follow(&node, &source).await?;
            }
        }
        Ok(Outcome::Done)
    }

    async fn start_app(&self, instance: &InstanceId) -> Result<(), Failure> {
        self.prepare(instance).await?;
        let estate = self.estate();
        let plan = self.apps.plan(&estate, find(&estate, instance)?)?;
        self.runtime.ensure(&plan).await?;
        Ok(())
    }

    async fn remove(&self, instance: &InstanceId) -> Result<(), Failure> {
        self.runtime.stop(instance, StopMode::Immediate).await?;
        let directory = self.directories.instance(instance);
        let removed = move || files::remove_tree(&directory);
        self.directories.work.run(removed).await?;
        Ok(())
    }

    /// Makes sure that what runs an instance is at hand, once for each software: an instance may be the first of its kind.
    pub(super) async fn prepare(&self, id: &InstanceId) -> Result<(), Failure> {
        let estate = self.estate();
        let kind = &find(&estate, id)?.kind;
        let Some(software) = software_of(&estate.plan, kind) else {
            return Ok(());
        };
        let mut prepared = self.prepared.lock().await;
        if !prepared.contains(&software) {
            let told = |line: &str| tracing::info!(%id, "{line}");
            self.runtime
                .prepare(std::slice::from_ref(&software), &told)
                .await?;
            prepared.insert(software);
        }
        Ok(())
    }

    pub(super) fn estate(&self) -> Arc<Estate> {
        Arc::clone(&self.estate.borrow())
    }

    pub(super) fn host(&self, id: &InstanceId) -> Result<EngineHost, Failure> {
        find(&self.estate(), id).map(EngineHost::of)
    }
}

pub(super) fn find<'e>(estate: &'e Estate, id: &InstanceId) -> Result<&'e Instance, Failure> {
    let found = estate.plan.instance(id);
    found.ok_or_else(|| format!("instance `{id}` is not planned").into())
}
