//! Waiting until a stack serves, and saying what does not.

use std::time::Duration;

use topologies::event::{DbInstanceStatus, ReplicationGroupStatus};
use topologies::plan::{Instance, InstanceKind, Plan};
use topologies::world::{StackPhase, World};

use super::{RunningStack, Tell};
use crate::up::{Progress, UpError};

/// How long a stack may take to serve every endpoint.
const LIMIT: Duration = Duration::from_secs(120);
/// How long it is waited for while faults are in force.
const LIMIT_WITH_FAULTS: Duration = Duration::from_secs(20);

impl RunningStack {
    /// Waits until every endpoint has answered this daemon. While faults are in force some may not: that is told, and no error.
    ///
    /// # Errors
    /// When that takes too long; the message says what does not answer.
    pub async fn ready(&self, tell: Tell<'_>) -> Result<(), UpError> {
        let mut world = self.stack.world.clone();
        let mut told = String::new();
        let wait = async {
            loop {
                let missing = {
                    let world = world.borrow_and_update();
                    // The last daemon's word for it is none.
                    if world.seq > self.since && world.phase == StackPhase::Available {
                        return;
                    }
                    missing(&self.stack.plan, &world)
                };
                if missing != told {
                    tell(Progress::Step(format!("waiting for {missing}")));
                    told = missing;
                }
                if world.changed().await.is_err() {
                    return;
                }
            }
        };
        let limit = self.limit().await;
        if tokio::time::timeout(limit, wait).await.is_err() {
            let world = self.stack.world.borrow();
            let missing = missing(&self.stack.plan, &world);
            if !world.faults.is_empty() {
                let faults: Vec<&str> = world.faults.keys().map(|id| id.as_str()).collect();
                tell(Progress::Line(format!(
                    "no answer from {missing}, with faults in force: {}",
                    faults.join(", ")
                )));
                return Ok(());
            }
            return Err(UpError::Failed {
                message: format!("after {limit:?} no answer yet from {missing}"),
                hint: Some("`localaws events` and `localaws logs INSTANCE` tell more".to_owned()),
            });
        }
        Ok(())
    }

    /// How long to wait: less while faults are in force, for what they hit will not answer.
    async fn limit(&self) -> Duration {
        let mut world = self.stack.world.clone();
        // It fails only if the driver has ended, which whoever waits notices elsewhere.
        match world.wait_for(|world| world.seq > self.since).await {
            Ok(world) if !world.faults.is_empty() => LIMIT_WITH_FAULTS,
            Ok(_) | Err(_) => LIMIT,
        }
    }
}

/// What does not answer yet, in a few words.
fn missing(plan: &Plan, world: &World) -> String {
    let databases = world
        .databases
        .iter()
        .filter(|(_, db)| db.status != DbInstanceStatus::Available);
    let replicas = world
        .replicas
        .iter()
        .filter(|(_, replica)| replica.status != DbInstanceStatus::Available);
    let caches = world
        .caches
        .iter()
        .filter(|(_, cache)| cache.status != ReplicationGroupStatus::Available);
    let mut names: Vec<String> = databases.map(|(id, _)| id.to_string()).collect();
    names.extend(replicas.map(|(id, _)| id.to_string()));
    names.extend(caches.map(|(id, _)| id.to_string()));
    if names.is_empty() {
        let unseen = |instance: &&Instance| {
            let known = world.instances.get(&instance.id);
            !matches!(instance.kind, InstanceKind::App(_))
                && known.and_then(|known| known.reachable) != Some(true)
        };
        let hosts = plan.instances.iter().filter(unseen);
        names.extend(hosts.map(|host| host.id.to_string()));
    }
    if names.is_empty() {
        names.extend(
            plan.topology
                .load_balancers
                .iter()
                .map(|lb| lb.id.to_string()),
        );
    }
    names.join(", ")
}
