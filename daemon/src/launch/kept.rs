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

#[cfg(test)]
mod tests {
    use topologies::address::Slot;
    use topologies::check::check;
    use topologies::event::{Event, EventKind};
    use topologies::plan::plan;
    use topologies::time::Time;

    use super::*;

    const FILE: &str = "name: shop
region: ap-northeast-2
availability-zones: [a, b, c]
replication-groups:
  sessions: { engine: redis, num-cache-clusters: 4, automatic-failover-enabled: true }
";

    #[test]
    fn the_likeliest_holder_comes_first_and_who_can_not_be_asked_not_at_all() {
        let (topology, notes) = check(FILE, "shop.yaml");
        let topology = topology.unwrap_or_else(|| panic!("{notes:?}"));
        let mut world = World::new(&plan(&topology, Slot::new(64).unwrap()));
        let node = |number: u8| InstanceId::from(format!("sessions-00{number}"));
        let link = |number, up| EventKind::CacheReplicaLinkChanged {
            group: "sessions".into(),
            instance: node(number),
            up,
        };
        let mut tell = |event| {
            let (seq, at) = (1, Time::ZERO);
            world.apply(&Event { seq, at, event });
            let cache = &world.caches["sessions"];
            let names = holders(&world, cache).map(InstanceId::to_string);
            names.collect::<Vec<_>>().join(" ")
        };
        for number in 1..=4 {
            let instance = node(number);
            tell(EventKind::HostReachable { instance });
        }
        tell(link(4, true));
        let all = tell(link(3, true));
        assert_eq!(all, "sessions-001 sessions-003 sessions-004 sessions-002");
        let unheard = tell(EventKind::HostUnreachable {
            instance: node(1),
            why: String::new(),
        });
        assert_eq!(unheard, "sessions-003 sessions-004 sessions-002");
        let leaving = tell(EventKind::CacheNodeLeaving {
            group: "sessions".into(),
            instance: node(3),
        });
        assert_eq!(leaving, "sessions-004 sessions-002");
    }
}
