//! What an open connection stands on, and when it is reset for having lost that. Pure.

use topologies::id::InstanceId;
use topologies::network::Network;

use super::NodePort;
use crate::routes::{LoadBalancer, Routes, TargetState};

/// What decides whether an open connection may stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stake {
    /// The instance that it reaches.
    Instance(InstanceId),
    /// The load balancer's node that it goes through.
    Node(NodePort),
    /// A flow of a Network Load Balancer to a target.
    Flow {
        node: NodePort,
        target: InstanceId,
        /// The target's health, as last seen by the node.
        health: Option<TargetState>,
    },
    /// Nothing.
    None,
}

impl Stake {
    /// Whether an open connection has to be reset under these circumstances. A stake remembers the target's health.
    pub(crate) fn lost(&mut self, routes: &Routes, network: &Network) -> bool {
        match self {
            Self::None => false,
            Self::Instance(instance) => routes.enis.get(instance).is_none_or(|eni| eni.fenced),
            Self::Node(node) => node_lost(node, routes, network),
            Self::Flow {
                node,
                target,
                health,
            } => {
                let load_balancer = routes.load_balancers.get(&node.load_balancer);
                let seen = load_balancer.and_then(|it| target_health(it, node, target, routes));
                let failed = became_unhealthy(*health, seen);
                *health = seen;
                failed || node_lost(node, routes, network)
            }
        }
    }
}

/// A node that loses power knows none of its connections when it is back; neither does one that is gone.
fn node_lost(node: &NodePort, routes: &Routes, network: &Network) -> bool {
    let there = routes
        .load_balancers
        .get(&node.load_balancer)
        .is_some_and(|it| {
            it.nodes.iter().any(|n| n.zone == node.zone)
                && it.listeners.iter().any(|l| l.port == node.port)
        });
    !there || network.dark.contains(&node.host.zone)
}

/// `target_health_state.unhealthy.connection_termination.enabled` is true by default (NLB target group attributes): flows are
/// reset when their target *becomes* unhealthy. A flow that was routed to an unhealthy one, failing open, goes on; so does
/// one whose target is deregistered.
pub(super) fn became_unhealthy(before: Option<TargetState>, now: Option<TargetState>) -> bool {
    now == Some(TargetState::Unhealthy) && before != Some(TargetState::Unhealthy)
}

/// The health of `target` in the group that the node's listener forwards to, as this node sees it.
pub(crate) fn target_health(
    load_balancer: &LoadBalancer,
    node: &NodePort,
    target: &InstanceId,
    routes: &Routes,
) -> Option<TargetState> {
    let group = crate::nlb::route::target_group(load_balancer, node.port, routes)?;
    let target = group.targets.iter().find(|it| it.instance == *target)?;
    target.health.get(&node.zone).copied()
}
