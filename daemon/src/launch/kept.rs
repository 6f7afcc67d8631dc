//! What caches keep when a stack is taken down in order.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use topologies::id::InstanceId;
use topologies::world::{Cache, World};

use crate::causes::chain;
use crate::engines::EngineHost;
use crate::stack::Stack;

/// How long caches may take to save what they hold when the stack ends.
const KEEP_WITHIN: Duration = Duration::from_secs(20);

/// Has every cache keep what it holds. What can not be kept is told of and lost: a stack has to end.
pub(super) async fn keep_caches(stack: &Stack) {
    let estate = Arc::clone(&stack.estate.borrow());
    let world = Arc::clone(&stack.world.borrow());
    let kept = world.caches.iter().filter_map(|(group, cache)| {
        let engine = estate.redis.get(group)?;
        let hosts = holders(&world, cache).filter_map(|id| estate.plan.instance(id));
        let hosts: Vec<EngineHost> = hosts.map(EngineHost::of).collect();
        Some(async move {
            for host in hosts {
                let Err(error) = engine.keep(&host, &cache.primary).await else {
                    return;
                };
                let (holder, error) = (&host.instance, chain(&error));
                tracing::warn!(%group, %holder, %error, "what the cache held is not kept here");
            }
        })
    });
    // Whoever hangs is not waited for once for each node.
    let _ = tokio::time::timeout(KEEP_WITHIN, join_all(kept)).await;
}

/// Who may have what a cache holds, the likeliest first: its primary, replicas that follow it, other replicas. Who does not answer
/// can not be asked, and who was given up or goes has less.
fn holders<'w>(world: &'w World, cache: &'w Cache) -> impl Iterator<Item = &'w InstanceId> {
    let counts = |id: &&InstanceId| {
        let known = world.instances.get(*id);
        let answers = known.is_some_and(|it| it.reachable == Some(true));
        answers && !cache.fenced.contains(*id) && !cache.leaving.contains(*id)
    };
    let replicas = |follow: bool| {
        let replicas = cache.replicas.iter().filter(move |(_, up)| **up == follow);
        replicas.map(|(id, _)| id)
    };
    let all = std::iter::once(&cache.primary).chain(replicas(true));
    all.chain(replicas(false)).filter(counts)
}
