//! Orders for database hosts.

use std::sync::Arc;
use std::time::Duration;

use topologies::id::InstanceId;
use topologies::plan::{Instance, InstanceKind, Plan};
use topologies::runtime::StopMode;

use super::failure::Failure;
use super::orders::{Performer, find};
use crate::control::action::{DbRole, Means, Outcome};
use crate::engines::EngineHost;
use crate::engines::postgres::{self, DataState, Postgres};

/// The longest that a promotion may take.
const PROMOTE_LIMIT: Duration = Duration::from_secs(20);

impl Performer {
    pub(super) fn database(&self, id: &InstanceId) -> Result<(Arc<Postgres>, EngineHost), Failure> {
        let estate = self.estate();
        let instance = find(&estate, id)?;
        let InstanceKind::DbHost(db) = &instance.kind else {
            return Err(format!("instance `{id}` is no database host").into());
        };
        let engine = estate.postgres.get(db);
        let engine = engine.ok_or_else(|| format!("`{db}` has no engine"))?;
        Ok((Arc::clone(engine), EngineHost::of(instance)))
    }

    pub(super) async fn start_database(
        &self,
        instance: &InstanceId,
        role: &DbRole,
    ) -> Result<(), Failure> {
        self.prepare(instance).await?;
        let (engine, host) = self.database(instance)?;
        engine.seed(&host).await?;
        let role = self.role(instance, role, engine.data_state(&host))?;
        engine.start(&host, &role).await?;
        Ok(())
    }

    pub(super) async fn promote_database(&self, instance: &InstanceId) -> Result<Outcome, Failure> {
        let (engine, host) = self.database(instance)?;
        let promotion = engine.promote(&host, PROMOTE_LIMIT).await?;
        Ok(Outcome::Promoted {
            timeline: promotion.timeline,
            offset: promotion.forked_at.map(|at| at.0),
        })
    }

    /// The mark goes first: whatever fails after it, the host never starts as a writer again. A host that could not reach its source
    /// is not stopped for it.
    pub(super) async fn rejoin_database(
        &self,
        instance: &InstanceId,
        source: &InstanceId,
        by: Means,
    ) -> Result<(), Failure> {
        let (engine, host) = self.database(instance)?;
        let role = self.follower(instance, source)?;
        let source = self.host(source)?;
        engine.demote(&host).await?;
        engine.reach(&source, host.address.zone).await?;
        engine.stop(instance, StopMode::Immediate).await?;
        let rejoined = match by {
            Means::Rewind => engine.rejoin(&host, &source, &role).await?,
            Means::Copy => engine.replace(&host, &role).await?,
        };
        tracing::info!(%instance, ?rejoined, "rejoined");
        Ok(())
    }

    fn role(
        &self,
        id: &InstanceId,
        role: &DbRole,
        data: DataState,
    ) -> Result<postgres::DbRole, Failure> {
        Ok(match role {
            DbRole::Primary {
                synchronous_standby,
            } => postgres::DbRole::Primary {
                synchronous_standby: synchronous_standby.clone(),
            },
            // It was promoted, and its process ended before that was told: nobody follows it yet.
            DbRole::Successor { .. } if data == DataState::Writer => postgres::DbRole::Primary {
                synchronous_standby: None,
            },
            DbRole::Standby { of } | DbRole::Successor { of } => self.follower(id, of)?,
        })
    }

    /// A read replica serves reads; the standby of a Multi-AZ DB instance turns clients away.
    fn follower(&self, id: &InstanceId, of: &InstanceId) -> Result<postgres::DbRole, Failure> {
        let estate = self.estate();
        let instance = find(&estate, id)?;
        let of = self.host(of)?.upstream_for(instance.address.zone);
        Ok(if is_read_replica(&estate.plan, instance) {
            postgres::DbRole::Replica { of }
        } else {
            postgres::DbRole::Standby { of }
        })
    }
}

fn is_read_replica(plan: &Plan, instance: &Instance) -> bool {
    let InstanceKind::DbHost(db) = &instance.kind else {
        return false;
    };
    let owners = plan.topology.db_instances.iter();
    owners
        .flat_map(|owner| &owner.read_replicas)
        .any(|replica| replica.id == *db)
}
