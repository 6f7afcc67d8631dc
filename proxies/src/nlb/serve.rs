//! A flow through a Network Load Balancer's node.
//!
//! Missing: UDP and TLS listeners, client IP preservation, proxy protocol, source IP stickiness.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};

use crate::core::Visit;
use crate::eni::{NOBODY, forward};
use crate::entrance::{NodePort, Stake, target_health};
use crate::nlb::route::{flow_hash, target_group};
use crate::node::Way;
use crate::targets::pick;
use crate::traffic::Count;

/// How long a flow's target is tried for if nobody answers: as long as the kernel tries for others.
const PATIENCE: Duration = Duration::from_secs(127);

/// Serves one flow.
pub(crate) async fn serve(visit: Visit, client: TcpStream, node: NodePort) {
    let snapshot = visit.core.snapshot();
    let load_balancer = snapshot.routes.load_balancers.get(&node.load_balancer);
    let idle = load_balancer.map(|it| it.idle_timeout);
    drop(snapshot);
    forward(visit, client, idle, async |visit: &Visit| {
        connect(visit, &node).await
    })
    .await;
}

/// Connects to the flow's target, through the links of the node's zone. The target's refusal is the client's.
async fn connect(visit: &Visit, node: &NodePort) -> io::Result<TcpStream> {
    let way = {
        let snapshot = Rc::clone(&visit.core.snapshot());
        let hash = flow_hash(visit.peer, visit.local, visit.core.seed);
        let routes = &snapshot.routes;
        let target = routes
            .load_balancers
            .get(&node.load_balancer)
            .and_then(|it| {
                let group = target_group(it, node.port, routes)?;
                Some((it, pick(it, group, &node.zone, hash)?))
            });
        let Some((load_balancer, target)) = target else {
            return Err(NOBODY.into());
        };
        visit.set_stake(Stake::Flow {
            node: node.clone(),
            target: target.instance.clone(),
            health: target_health(load_balancer, node, &target.instance, routes),
        });
        Way::new(node, target, visit.core.ports)
    };
    let connected = if way.opens(visit, node, PATIENCE).await.is_some() {
        TcpSocket::new_v4()?.connect(way.address.into()).await
    } else {
        Err(io::ErrorKind::TimedOut.into())
    };
    if connected.is_err() {
        visit.count(Count::TargetConnectionErrors);
    }
    connected
}
