//! Starting: from a plan to a container that runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, StartContainerOptions,
    WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;
use topologies::id::InstanceId;
use topologies::runtime::{Affliction, InstancePlan, Resolution, RuntimeError, Software};

use super::{DockerRuntime, quiet};
use crate::container::{self, PLAN, STACK, Surroundings, User};
use crate::engine::{absent, cut_short, failed, missing};
use crate::images::{self, Image, Progress};
use crate::monitor::Card;
use crate::{harm, program, tool};

/// How long the engine is waited for to know that a process has ended that the kernel has seen end.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

impl DockerRuntime {
    /// The image for software; found once, and again when that one was removed.
    pub(super) async fn image(
        &self,
        software: &Software,
        progress: &Progress<'_>,
    ) -> Result<Image, RuntimeError> {
        let known = self
            .images
            .lock()
            .expect("no holder panics")
            .get(software)
            .cloned();
        if let Some(image) = known
            && images::exists(&self.engine, &image.id).await?
        {
            return Ok(image);
        }
        let image = images::provide(&self.engine, software, &self.options.cache, progress).await?;
        self.images
            .lock()
            .expect("no holder panics")
            .insert(software.clone(), image.clone());
        Ok(image)
    }

    pub(super) fn around<'a>(
        &'a self,
        image: &'a Image,
        passwd: Option<&'a Path>,
    ) -> Surroundings<'a> {
        Surroundings {
            label: &self.label,
            user: self.options.user,
            image,
            passwd,
            unprivileged_from: unprivileged_from(),
        }
    }

    /// A password file that knows the user, if the images' own may not. PostgreSQL's tools refuse a user without a name.
    pub(super) fn passwd(&self) -> Result<Option<PathBuf>, RuntimeError> {
        let User { uid, gid } = self.options.user;
        if self.options.user == User::NOBODY {
            return Ok(None);
        }
        let path = self.stack_dir.join("passwd");
        let text = format!("root:x:0:0::/root:/bin/sh\nlocaws:x:{uid}:{gid}::/tmp:/bin/sh\n");
        write(&path, &text)?;
        Ok(Some(path))
    }

    /// The container of an instance, if there is one. One of another stack directory is in the way: it is removed if that
    /// directory is gone.
    async fn find(
        &self,
        instance: &InstanceId,
    ) -> Result<Option<ContainerInspectResponse>, RuntimeError> {
        let name = container::name(&self.stack, instance);
        let found = match self
            .engine
            .api()
            .inspect_container(&name, None::<InspectContainerOptions>)
            .await
        {
            Ok(found) => found,
            Err(error) if absent(&error) => return Ok(None),
            Err(error) => return Err(failed(format!("inspect instance `{instance}`"), &error)),
        };
        let owner = label(&found, STACK).unwrap_or_default();
        if owner == self.label {
            return Ok(Some(found));
        }
        if owner.is_empty() || Path::new(owner).exists() {
            return Err(RuntimeError::Failed {
                action: format!("start instance `{instance}`"),
                cause: format!("container `{name}` belongs to another stack (in `{owner}`)"),
            });
        }
        tool::remove(&self.engine, found.id.as_deref().unwrap_or(&name)).await?;
        Ok(None)
    }

    /// Waits until the engine has noticed what the kernel knows: it would not start what it believes to be running.
    async fn settle(&self, container: &str) -> Result<(), RuntimeError> {
        let options = WaitContainerOptionsBuilder::new()
            .condition("not-running")
            .build();
        let mut answers =
            std::pin::pin!(self.engine.api().wait_container(container, Some(options)));
        match tokio::time::timeout(SETTLE_LIMIT, answers.next()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(RuntimeError::TimedOut {
                action: "the engine's notice of an end".to_owned(),
                limit: SETTLE_LIMIT,
            }),
        }
    }

    /// The container that the plan asks for, once all that it needs is at hand.
    pub(super) async fn order(
        &self,
        plan: &InstancePlan,
    ) -> Result<ContainerCreateBody, RuntimeError> {
        let image = match &plan.image {
            Some(reference) => images::named(&self.engine, reference, &quiet).await?,
            None => self.image(&plan.software, &quiet).await?,
        };
        if plan.command.is_empty() && image.command.is_empty() {
            return Err(missing(
                format!("a command in image `{}`", image.reference),
                "the image runs nothing by itself: name a `program:` that is in it",
            ));
        }
        let program = match (&plan.software, &plan.image, plan.command.first()) {
            (Software::Program, None, Some(word)) => {
                let found = program::find(word)?;
                program::check(&found, &image)?;
                Some(found)
            }
            _ => None,
        };
        let around_passwd = self.passwd()?;
        let around = self.around(&image, around_passwd.as_deref());
        if let Some((path, text)) = container::resolver(plan, &around) {
            write(&path, &text)?;
        }
        if let Resolution::HostsFile(path) = &plan.resolution
            && !path.exists()
        {
            write(path, "127.0.0.1 localhost\n")?;
        }
        Ok(container::instance(plan, program.as_deref(), &around))
    }

    /// The id of a container that is made so and does not run; none if one runs already.
    pub(super) async fn place(
        &self,
        plan: &InstancePlan,
        body: ContainerCreateBody,
    ) -> Result<Option<String>, RuntimeError> {
        let wanted = body
            .labels
            .as_ref()
            .and_then(|labels| labels.get(PLAN))
            .cloned();
        if let Some(found) = self.find(&plan.id).await? {
            let id = found.id.clone().unwrap_or_default();
            if label(&found, PLAN) == wanted.as_deref() {
                self.monitor.hear(&found);
                let running = Card::of(&found).is_some_and(|card| card.running);
                if running
                    && self
                        .board
                        .process(&plan.id)
                        .is_some_and(|process| process.life.container == id)
                {
                    return Ok(None);
                }
                if running {
                    self.settle(&id).await?;
                }
                return Ok(Some(id));
            }
            tool::remove(&self.engine, &id).await?;
        }
        let options = CreateContainerOptionsBuilder::new()
            .name(&container::name(&self.stack, &plan.id))
            .build();
        let api = self.engine.api().clone();
        let created = self
            .call(format!("create instance `{}`", plan.id), async move {
                api.create_container(Some(options), body).await
            })
            .await?;
        Ok(Some(created.id))
    }

    /// A call that leaves something behind: followed to its end also when nobody waits for it any more.
    async fn call<T: Send + 'static>(
        &self,
        action: String,
        call: impl Future<Output = Result<T, bollard::errors::Error>> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let ended = self.calls.spawn(call).await;
        let ended = ended.map_err(|error| cut_short(action.clone(), &error))?;
        ended.map_err(|error| failed(action, &error))
    }

    /// Starts a container and makes its life known. Harm that came meanwhile has missed it: it is done now.
    pub(super) async fn launch(
        &self,
        plan: &InstancePlan,
        container: &str,
    ) -> Result<(), RuntimeError> {
        let (api, id) = (self.engine.api().clone(), container.to_owned());
        self.call(format!("start instance `{}`", plan.id), async move {
            api.start_container(&id, None::<StartContainerOptions>)
                .await
        })
        .await?;
        let found = self
            .engine
            .api()
            .inspect_container(container, None::<InspectContainerOptions>)
            .await;
        let found =
            found.map_err(|error| failed(format!("inspect instance `{}`", plan.id), &error))?;
        // A new process is not the frozen one.
        self.note(|afflictions| afflictions.relieve(&Affliction::Freeze(plan.id.clone())))?;
        self.monitor.hear(&found);
        match self.may_start(plan) {
            // An isolated zone's host goes on with what it began.
            Ok(()) | Err(RuntimeError::ZoneUnreachable(_)) => Ok(()),
            Err(harm) => {
                if let Some(process) = self.board.process(&plan.id) {
                    harm::kill(&self.engine, &self.board, &[process]).await?;
                }
                Err(harm)
            }
        }
    }
}

fn label<'a>(found: &'a ContainerInspectResponse, name: &str) -> Option<&'a str> {
    found
        .config
        .as_ref()?
        .labels
        .as_ref()?
        .get(name)
        .map(String::as_str)
}

/// Writes a small file unless it says so already: a container that runs may have it open.
fn write(path: &Path, text: &str) -> Result<(), RuntimeError> {
    if std::fs::read(path).is_ok_and(|content| content == text.as_bytes()) {
        return Ok(());
    }
    std::fs::write(path, text).map_err(|error| RuntimeError::Failed {
        action: format!("write `{}`", path.display()),
        cause: error.to_string(),
    })
}

/// The first port that needs no privilege on this host.
fn unprivileged_from() -> u16 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .unwrap_or_default();
    text.trim().parse().unwrap_or(1024)
}
