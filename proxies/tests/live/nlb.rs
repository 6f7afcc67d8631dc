//! Flows through a Network Load Balancer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::time::Duration;

use proxies::routes::TargetState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use topologies::address::{HostAddress, ZoneNumber};
use topologies::network::Link;
use topologies::topology::LoadBalancerType;

use crate::stack::{NEVER, SOON, Stack, connect, next, nothing_wrong, receive, refusal, zone};

const PORT: u16 = 6000;

/// An engine that says its two-letter name and then echoes.
async fn named(name: &'static str, address: HostAddress) -> JoinSet<()> {
    let listener = TcpListener::bind((address.engine(), PORT)).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            connections.spawn(async move {
                let (mut read, mut write) = stream.split();
                write.write_all(name.as_bytes()).await.unwrap();
                let _ended = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    tasks
}

/// Targets `a1` and `a2` in zone 1, `b1` in zone 2, behind nodes in both.
async fn with_targets(slot: u8) -> (Stack, Vec<JoinSet<()>>) {
    let mut stack = Stack::start(slot);
    stack.add_load_balancer(LoadBalancerType::Network, PORT, Duration::from_secs(350));
    let mut engines = Vec::new();
    for (name, zone_number, host) in [("a1", 1, 10), ("a2", 1, 11), ("b1", 2, 10)] {
        stack.add_target(name, zone_number, host, PORT);
        engines.push(named(name, stack.host(zone_number, host)).await);
    }
    stack.apply().await;
    (stack, engines)
}

/// The node in a zone, as dialled from another.
fn node(stack: &Stack, zone_number: usize, from: ZoneNumber) -> (std::net::Ipv4Addr, u16) {
    (stack.host(zone_number, 100).seen_from(from), PORT)
}

/// The targets that twenty flows through a node get.
async fn reached(stack: &Stack, zone_number: usize) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for _ in 0..20 {
        let mut client = connect(node(stack, zone_number, zone(3))).await.unwrap();
        names.insert(receive(&mut client, 2).await.unwrap());
    }
    names
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_node_uses_its_zone_unless_told_otherwise() {
    let (mut stack, _engines) = with_targets(117).await;
    assert_eq!(reached(&stack, 1).await, names(&["a1", "a2"]));
    assert_eq!(reached(&stack, 2).await, names(&["b1"]));
    stack
        .routes
        .target_groups
        .get_mut("group")
        .unwrap()
        .cross_zone = Some(true);
    stack.apply().await;
    assert_eq!(reached(&stack, 2).await, names(&["a1", "a2", "b1"]));
    stack.set_health("a1", TargetState::Unhealthy);
    stack.apply().await;
    assert_eq!(reached(&stack, 1).await, names(&["a2", "b1"]));
    stack.shutdown().await;
}

#[tokio::test]
async fn flows_of_a_target_that_becomes_unhealthy_are_reset() {
    let (mut stack, _engines) = with_targets(118).await;
    let mut flow = connect(node(&stack, 2, zone(3))).await.unwrap();
    assert_eq!(receive(&mut flow, 2).await.unwrap(), "b1");
    stack.set_health("b1", TargetState::Unhealthy);
    stack.apply().await;
    assert_eq!(next(&mut flow, SOON).await, Err(ErrorKind::ConnectionReset));
    // The node fails open; a flow that got an unhealthy target keeps it.
    let mut flow = connect(node(&stack, 2, zone(3))).await.unwrap();
    assert_eq!(receive(&mut flow, 2).await.unwrap(), "b1");
    stack.network.isolated = BTreeSet::from([zone(3)]);
    stack.apply().await;
    stack.network = nothing_wrong();
    stack.apply().await;
    flow.write_all(b"on").await.unwrap();
    assert_eq!(receive(&mut flow, 2).await.unwrap(), "on");
    stack.shutdown().await;
}

#[tokio::test]
async fn flows_of_a_target_that_is_deregistered_go_on_and_no_new_ones_come() {
    let (mut stack, _engines) = with_targets(126).await;
    let mut flow = connect(node(&stack, 2, zone(3))).await.unwrap();
    assert_eq!(receive(&mut flow, 2).await.unwrap(), "b1");
    stack
        .targets()
        .retain(|target| target.instance.as_str() != "b1");
    stack.add_target("b2", 2, 11, PORT);
    let _engine = named("b2", stack.host(2, 11)).await;
    stack.apply().await;
    assert_eq!(reached(&stack, 2).await, names(&["b2"]));
    flow.write_all(b"on").await.unwrap();
    assert_eq!(receive(&mut flow, 2).await.unwrap(), "on");
    stack.shutdown().await;
}

#[tokio::test]
async fn a_group_without_targets_resets() {
    let (mut stack, _engines) = with_targets(119).await;
    stack.targets().clear();
    stack.apply().await;
    // The kernel completes the handshake; the reset may come before the client looks.
    let reset = match connect(node(&stack, 1, zone(3))).await {
        Ok(mut flow) => next(&mut flow, SOON).await.unwrap_err(),
        Err(error) => error.kind(),
    };
    assert_eq!(reset, ErrorKind::ConnectionReset);
    stack.shutdown().await;
}

#[tokio::test]
async fn a_node_without_power_is_silent_and_forgets_its_flows() {
    let (mut stack, _engines) = with_targets(120).await;
    let mut flow = connect(node(&stack, 2, zone(3))).await.unwrap();
    assert_eq!(receive(&mut flow, 2).await.unwrap(), "b1");
    stack.network.dark = BTreeSet::from([zone(2)]);
    stack.apply().await;
    assert_eq!(refusal(node(&stack, 2, zone(3))).await, ErrorKind::TimedOut);
    assert_eq!(next(&mut flow, NEVER).await, Err(ErrorKind::TimedOut));
    assert_eq!(reached(&stack, 1).await, names(&["a1", "a2"]));
    stack.network = nothing_wrong();
    stack.apply().await;
    assert_eq!(next(&mut flow, SOON).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(reached(&stack, 2).await, names(&["b1"]));
    stack.shutdown().await;
}

#[tokio::test]
async fn flows_pass_the_links_of_the_nodes_zone() {
    let (mut stack, _engines) = with_targets(121).await;
    stack.set_health("b1", TargetState::Unhealthy);
    stack
        .routes
        .target_groups
        .get_mut("group")
        .unwrap()
        .cross_zone = Some(true);
    let cut = Link {
        cut: true,
        ..Link::default()
    };
    stack.network.links = BTreeMap::from([((zone(2), zone(1)), cut)]);
    stack.apply().await;
    let mut flow = connect(node(&stack, 2, zone(3))).await.unwrap();
    assert_eq!(next(&mut flow, NEVER).await, Err(ErrorKind::TimedOut));
    assert_eq!(reached(&stack, 1).await, names(&["a1", "a2"]));
    stack.shutdown().await;
}

/// aws-behaviour §5: bytes both ways, and who reset.
#[tokio::test]
async fn bytes_and_resets_are_counted() {
    let (mut stack, engines) = with_targets(110).await;
    let mut flow = connect(node(&stack, 2, zone(3))).await.unwrap();
    assert_eq!(receive(&mut flow, 2).await.unwrap(), "b1");
    flow.write_all(b"hello").await.unwrap();
    assert_eq!(receive(&mut flow, 5).await.unwrap(), "hello");
    let counted = stack.listener("lb", PORT);
    assert_eq!((counted.served, counted.bytes), (1, 12));
    flow.set_zero_linger().unwrap();
    drop(flow);
    let resets = async |stack: &Stack, wanted: (u64, u64, u64)| {
        let begun = std::time::Instant::now();
        loop {
            let it = stack.listener("lb", PORT);
            let counted = (it.client_resets, it.target_resets, it.elb_resets);
            if counted == wanted {
                return;
            }
            assert!(begun.elapsed() < SOON, "{counted:?}, not {wanted:?}");
            tokio::task::yield_now().await;
        }
    };
    resets(&stack, (1, 0, 0)).await;
    drop(engines);
    let _refused = connect(node(&stack, 2, zone(3))).await;
    resets(&stack, (1, 1, 0)).await;
    stack.targets().clear();
    stack.apply().await;
    let _nobody = connect(node(&stack, 2, zone(3))).await;
    resets(&stack, (1, 1, 1)).await;
    stack.shutdown().await;
}

#[tokio::test]
async fn data_after_the_idle_timeout_is_reset() {
    let (mut stack, _engines) = with_targets(122).await;
    stack.load_balancer().idle_timeout = Duration::from_millis(100);
    stack.apply().await;
    let mut flow = connect(node(&stack, 2, zone(3))).await.unwrap();
    assert_eq!(receive(&mut flow, 2).await.unwrap(), "b1");
    // Nothing happens at expiry; only data is answered with a reset.
    assert_eq!(next(&mut flow, NEVER).await, Err(ErrorKind::TimedOut));
    flow.write_all(b"late").await.unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(SOON, flow.read_to_end(&mut rest))
        .await
        .unwrap();
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let traffic = stack.listener("lb", PORT);
    assert_eq!((traffic.connections, traffic.resets), (1, 1));
    stack.shutdown().await;
}
