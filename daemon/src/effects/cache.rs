//! Orders for cache nodes.

use std::sync::Arc;
use std::time::Duration;

use topologies::id::InstanceId;
use topologies::plan::InstanceKind;
use topologies::runtime::{InstanceStatus, StopMode};

use super::failure::Failure;
use super::orders::{Performer, find};
use crate::control::action::Outcome;
use crate::engines::EngineHost;
use crate::engines::redis::{self, Redis};

/// The longest that a promoted node may take to tell its offset.
const PROMOTE_LIMIT: Duration = Duration::from_secs(20);

impl Performer {
    pub(super) fn cache(&self, id: &InstanceId) -> Result<(Arc<Redis>, EngineHost), Failure> {
        let estate = self.estate();
        let instance = find(&estate, id)?;
        let InstanceKind::CacheNode(group) = &instance.kind else {
            return Err(format!("instance `{id}` is no cache node").into());
        };
        let engine = estate.redis.get(group);
        let engine = engine.ok_or_else(|| format!("`{group}` has no engine"))?;
        Ok((Arc::clone(engine), EngineHost::of(instance)))
    }

    pub(super) async fn start_cache(
        &self,
        instance: &InstanceId,
        source: Option<&InstanceId>,
    ) -> Result<(), Failure> {
        self.prepare(instance).await?;
        let (engine, node) = self.cache(instance)?;
        let ran = self.runs(instance).await?;
        engine
            .start(&node, &self.cache_role(&node, source)?)
            .await?;
        // One that ran already has the role it had.
        match source {
            Some(source) if ran => {
                let source = self.host(source)?.upstream_for(node.address.zone);
                engine.follow(&node, &source).await?;
            }
            None if ran => engine.promote(&node).await?,
            Some(_) | None => {}
        }
        Ok(())
    }

    pub(super) async fn rejoin_cache(
        &self,
        instance: &InstanceId,
        source: &InstanceId,
    ) -> Result<(), Failure> {
        let (engine, node) = self.cache(instance)?;
        engine.stop(instance, StopMode::Immediate).await?;
        let role = self.cache_role(&node, Some(source))?;
        engine.start(&node, &role).await?;
        Ok(())
    }

    pub(super) async fn promote_cache(&self, instance: &InstanceId) -> Result<Outcome, Failure> {
        let (engine, node) = self.cache(instance)?;
        engine.promote(&node).await?;
        let offset = match engine.probe(&node, PROMOTE_LIMIT).await {
            redis::CacheProbe::Answered(status) => status.offset,
            redis::CacheProbe::Loading
            | redis::CacheProbe::Refused
            | redis::CacheProbe::TimedOut
            | redis::CacheProbe::NoAnswer
            | redis::CacheProbe::Failed(_) => 0,
        };
        Ok(Outcome::Promoted {
            timeline: 0,
            offset: Some(offset),
        })
    }

    fn cache_role(
        &self,
        node: &EngineHost,
        source: Option<&InstanceId>,
    ) -> Result<redis::CacheRole, Failure> {
        Ok(match source {
            None => redis::CacheRole::Primary,
            Some(source) => {
                let of = self.host(source)?.upstream_for(node.address.zone);
                redis::CacheRole::Replica { of }
            }
        })
    }

    async fn runs(&self, id: &InstanceId) -> Result<bool, Failure> {
        let present = self.runtime.list().await?;
        let running = |status: &InstanceStatus| matches!(status, InstanceStatus::Running { .. });
        Ok(present
            .iter()
            .any(|one| one.instance == *id && running(&one.status)))
    }
}
