//! A connection's way through a core: from its door to the core that serves it, and to what serves it there.

use std::io;
use std::net::SocketAddrV4;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::mpsc::error::TrySendError;
use topologies::topology::LoadBalancerType;

use super::{Core, Post};
use crate::entrance::{Caller, Service, Stake, asks, weather};
use crate::flow::Flow;
use crate::plane::WhoDials;
use crate::security_group::Tracking;
use crate::traffic::Count;
use crate::{alb, dns, eni, nlb};

/// A connection on its way from the core that accepted it to the core that serves it.
#[derive(Debug)]
pub(crate) struct Visitor {
    client: std::net::TcpStream,
    peer: SocketAddrV4,
    local: SocketAddrV4,
    post: Arc<Post>,
}

/// A connection as its core keeps an eye on it.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) flow: Arc<Flow>,
    pub(super) post: Arc<Post>,
    pub(super) caller: Caller,
    pub(super) stake: Stake,
}

/// A connection being served.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) core: Rc<Core>,
    pub(crate) peer: SocketAddrV4,
    /// The address that the client dialled.
    pub(crate) local: SocketAddrV4,
    pub(crate) post: Arc<Post>,
    pub(crate) flow: Arc<Flow>,
    pub(crate) number: u64,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.core.flows.borrow_mut().remove(&self.number);
        self.post
            .counters
            .add(self.core.number, Count::ConnectionsEnded);
    }
}

impl Visit {
    /// Changes what decides whether this connection may stay.
    pub(crate) fn set_stake(&self, stake: Stake) {
        if let Some(registered) = self.core.flows.borrow_mut().get_mut(&self.number) {
            registered.stake = stake;
        }
    }

    /// Counts one in the numbers of this entrance.
    pub(crate) fn count(&self, count: Count) {
        self.post.counters.add(self.core.number, count);
    }
}

impl Core {
    /// Deals a connection that came in at `local` out to a core.
    pub(super) fn admit(
        self: &Rc<Self>,
        local: SocketAddrV4,
        client: TcpStream,
        peer: SocketAddrV4,
    ) {
        let post = self.posts.borrow().get(&local).cloned();
        let post = post.or_else(|| self.permanent.borrow().get(&local).cloned());
        let Some(post) = post else { return };
        if matches!(post.entrance.service, Service::NodeManagement(_)) {
            // The control plane has seen what it wanted to see; its reset may be on its way still.
            return;
        }
        post.counters.add(self.number, Count::Connections);
        // A client that has reset the connection already is not served: nobody is there to be.
        if !matches!(client.take_error(), Ok(None)) {
            return post.counters.add(self.number, Count::ConnectionsEnded);
        }
        let core = self.next_core.get() % self.cores.len();
        self.next_core.set(core + 1);
        if core == self.number {
            return self.receive(client, (peer, local), post);
        }
        // It leaves this core's event queue to enter the other's.
        let client = match client.into_std() {
            Ok(client) => client,
            Err(error) => return self.unserved(&post, peer, &error),
        };
        let visitor = Visitor {
            client,
            peer,
            local,
            post,
        };
        // A core that does not keep up, or has gone, leaves its share to this one.
        if let Err(TrySendError::Full(visitor) | TrySendError::Closed(visitor)) =
            self.cores[core].try_send(visitor)
        {
            self.welcome(visitor);
        }
    }

    /// Serves a connection that another core accepted.
    pub(super) fn welcome(self: &Rc<Self>, visitor: Visitor) {
        let Visitor {
            client,
            peer,
            local,
            post,
        } = visitor;
        match TcpStream::from_std(client) {
            Ok(client) => self.receive(client, (peer, local), post),
            Err(error) => self.unserved(&post, peer, &error),
        }
    }

    fn unserved(&self, post: &Post, peer: SocketAddrV4, error: &io::Error) {
        post.counters.add(self.number, Count::ConnectionsEnded);
        tracing::warn!(%error, %peer, "a connection can not be served");
    }

    /// Serves a connection.
    fn receive(
        self: &Rc<Self>,
        client: TcpStream,
        (peer, local): (SocketAddrV4, SocketAddrV4),
        post: Arc<Post>,
    ) {
        post.counters.add(self.number, Count::Served);
        // A peer that has reset the connection already; it shows when it is read.
        let _reset = client.set_nodelay(true);
        let snapshot = self.snapshot();
        let entrance = &post.entrance;
        let (routes, network) = (&snapshot.routes, &snapshot.network);
        let mut caller = Caller::new(entrance, peer.port(), None, routes);
        let who_dials = self.who_dials.filter(|_| asks(entrance, routes));
        if who_dials.is_some() {
            caller.tracking = Tracking::Asked;
        }
        let weather = weather(entrance, &caller, routes, network);
        let flow = Arc::new(Flow::new(&weather));
        let mut stake = match &entrance.service {
            Service::Eni { instance, .. }
            | Service::Replication { instance, .. }
            | Service::Balanced { instance, .. } => Stake::Instance(instance.clone()),
            Service::Node(node) => Stake::Node(node.clone()),
            Service::Management { .. } | Service::NodeManagement(_) | Service::Resolver => {
                Stake::None
            }
        };
        if stake.lost(&snapshot.routes, &snapshot.network) {
            flow.doom();
        }
        let number = self.next_flow.get();
        self.next_flow.set(number + 1);
        let registered = Registered {
            flow: Arc::clone(&flow),
            post: Arc::clone(&post),
            caller,
            stake,
        };
        self.flows.borrow_mut().insert(number, registered);
        if let Some(who_dials) = who_dials {
            let asking = Rc::clone(self).ask(who_dials, (peer, local), number);
            self.tasks.spawn_local(asking);
        }
        let visit = Visit {
            core: Rc::clone(self),
            peer,
            local,
            post,
            flow,
            number,
        };
        self.serve(visit, client);
    }

    /// Finds out which instance a client is, and has its connection meet what is so for that one: off this thread, for it takes
    /// longer than one connection may hold up others. Who is not found counts as any of its zone's.
    async fn ask(
        self: Rc<Self>,
        who_dials: WhoDials,
        (peer, local): (SocketAddrV4, SocketAddrV4),
        number: u64,
    ) {
        let found = {
            // It fails only if it is closed, which it never is.
            let _turn = self.asking.acquire().await;
            // Nobody waits for it any more.
            if !self.flows.borrow().contains_key(&number) {
                return;
            }
            tokio::task::spawn_blocking(move || who_dials(peer, local)).await
        };
        let instance = found.ok().flatten();
        let snapshot = self.snapshot();
        let (routes, network) = (&snapshot.routes, &snapshot.network);
        if let Some(registered) = self.flows.borrow_mut().get_mut(&number) {
            let entrance = &registered.post.entrance;
            registered.caller = Caller::new(entrance, peer.port(), instance, routes);
            let weather = weather(entrance, &registered.caller, routes, network);
            registered.flow.set_weather(&weather);
        }
    }

    fn serve(&self, visit: Visit, client: TcpStream) {
        let post = Arc::clone(&visit.post);
        match &post.entrance.service {
            Service::Eni { engine, .. }
            | Service::Replication { engine, .. }
            | Service::Balanced { engine, .. }
            | Service::Management { engine, .. } => {
                self.tasks.spawn_local(eni::serve(visit, client, *engine));
            }
            Service::Node(node) => match node.kind {
                LoadBalancerType::Network => {
                    self.tasks
                        .spawn_local(nlb::serve::serve(visit, client, node.clone()));
                }
                LoadBalancerType::Application => {
                    self.tasks
                        .spawn_local(alb::serve::serve(visit, client, node.clone()));
                }
            },
            // Nobody but the control plane comes there, and it has seen what it wanted to see.
            Service::NodeManagement(_) => {}
            Service::Resolver => {
                let view = post.entrance.from;
                self.tasks.spawn_local(dns::serve::tcp(visit, client, view));
            }
        }
    }
}
