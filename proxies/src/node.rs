//! A load balancer's node as a client of its targets: where it dials them, and whether security groups let it.
//!
//! It asks them by itself, for it is known here which load balancer it is of, and the door that it dials could not tell.

use std::net::SocketAddrV4;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use topologies::address::ZoneNumber;
use topologies::id::{InstanceId, LoadBalancerId};

use crate::core::Visit;
use crate::entrance::{NodePort, Ports};
use crate::routes::Target;

/// When a connection that nobody answered is tried for again the first time, as the kernel does; then after twice as long each time.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// From a node to a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Way {
    /// The address to dial.
    pub(crate) address: SocketAddrV4,
    /// The node's zone.
    pub(crate) from: ZoneNumber,
    /// Whose node it is.
    load_balancer: LoadBalancerId,
    instance: InstanceId,
    /// The port as the target group has it, wherever it really is.
    port: u16,
}

impl Way {
    pub(crate) fn new(node: &NodePort, target: &Target, ports: Ports) -> Self {
        Self {
            address: Self::address(node, target, ports),
            from: node.host.zone,
            load_balancer: node.load_balancer.clone(),
            instance: target.instance.clone(),
            port: target.port,
        }
    }

    /// Where a node dials a target.
    pub(crate) fn address(node: &NodePort, target: &Target, ports: Ports) -> SocketAddrV4 {
        let door = target.address.balanced(node.host.zone);
        SocketAddrV4::new(door, ports.real(target.port))
    }

    /// Waits until security groups let a node connect, for so long at most. What is left of that then; nothing if they do not.
    pub(crate) async fn opens(
        &self,
        visit: &Visit,
        node: &NodePort,
        patience: Duration,
    ) -> Option<Duration> {
        let begun = Instant::now();
        let mut pause = FIRST_RETRY;
        loop {
            let from = (&self.load_balancer, node.host);
            let snapshot = visit.core.snapshot();
            let groups = &snapshot.routes.groups;
            if groups.is_empty() || groups.reaches(from, &self.instance, self.port) {
                return Some(patience.saturating_sub(begun.elapsed()));
            }
            drop(snapshot);
            let left = patience.saturating_sub(begun.elapsed());
            sleep(pause.min(left)).await;
            if left <= pause {
                return None;
            }
            pause *= 2;
        }
    }
}
