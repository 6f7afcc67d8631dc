//! Probes against what they are meant to tell apart.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;

use proxies::probe::{self, ProbeOutcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use topologies::address::ZoneNumber;
use topologies::network::{Link, Network};

use crate::stack::{NEVER, SOON, Stack, zone};

const PORT: u16 = 7000;

/// What a probe finds at a server that answers every connection with `response`, and what the server got.
async fn check(response: &'static str, expected: ProbeOutcome) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let std::net::SocketAddr::V4(address) = listener.local_addr().unwrap() else {
        panic!("bound to IPv4")
    };
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (mut stream, peer) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(response.as_bytes()).await.unwrap();
        drop(stream);
        request.truncate(length);
        format!("{} {}", peer.ip(), String::from_utf8(request).unwrap())
    });
    let from = [127, 0, 0, 9].into();
    let outcome = probe::http(from, address, "/health", "10.0.0.1:8080", SOON).await;
    assert_eq!(outcome, expected, "{response}");
    server.join_next().await.unwrap().unwrap()
}

#[tokio::test]
async fn responses_are_told_apart() {
    use ProbeOutcome::{Closed, Malformed, Status};
    let request = check("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Status(200)).await;
    assert!(
        request.starts_with("127.0.0.9 GET /health HTTP/1.1\r\nHost: 10.0.0.1:8080\r\n"),
        "{request}"
    );
    assert!(
        request.contains("\r\nUser-Agent: ELB-HealthChecker/2.0\r\n"),
        "{request}"
    );
    assert!(request.contains("\r\nConnection: close\r\n"), "{request}");
    check("HTTP/1.0 503 Sorry\r\n\r\nbody", Status(503)).await;
    check("HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", Status(301)).await;
    check(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
        Status(204),
    )
    .await;
    check("SSH-2.0-x\r\n", Malformed).await;
    check("", Closed).await;
    check("HTTP/1.1 200 OK\r\n", Closed).await;
}

#[tokio::test]
async fn silence_and_refusal_are_told_apart() {
    let mut stack = Stack::start(123);
    let address = stack.host(1, 10);
    stack.add_eni("web", address, PORT);
    let _engine = TcpListener::bind((address.engine(), PORT)).await.unwrap();
    stack.apply().await;
    let from = stack.host(2, 100).seen_from(ZoneNumber::OUTSIDE);
    let target = SocketAddrV4::new(address.seen_from(zone(2)), PORT);
    assert_eq!(
        probe::tcp(from, target, SOON).await,
        ProbeOutcome::Connected
    );
    // It listens, but nobody reads.
    assert_eq!(
        probe::http(from, target, "/", "web", NEVER).await,
        ProbeOutcome::Timeout
    );
    stack.network.closed = BTreeSet::from(["web".into()]);
    stack.apply().await;
    assert_eq!(probe::tcp(from, target, SOON).await, ProbeOutcome::Refused);
    assert_eq!(
        probe::http(from, target, "/", "web", SOON).await,
        ProbeOutcome::Refused
    );
    stack.network.dark = BTreeSet::from([zone(1)]);
    stack.apply().await;
    assert_eq!(probe::tcp(from, target, NEVER).await, ProbeOutcome::Timeout);
    stack.shutdown().await;
}

/// A response that is late and comes in pieces is still a response.
#[tokio::test]
async fn a_response_may_take_its_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let std::net::SocketAddr::V4(address) = listener.local_addr().unwrap() else {
        panic!("bound to IPv4")
    };
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let _length = stream.read(&mut request).await.unwrap();
        for piece in ["HTTP/1.1 2", "04 No\r\n", "\r\n"] {
            // Later than a probe's first glance, so that each way of reading is taken.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            stream.write_all(piece.as_bytes()).await.unwrap();
        }
    });
    let from = std::net::Ipv4Addr::UNSPECIFIED;
    let outcome = probe::http(from, address, "/", "web", SOON).await;
    assert_eq!(outcome, ProbeOutcome::Status(204));
}

#[tokio::test]
async fn a_knock_tells_what_a_connection_would() {
    let mut stack = Stack::start(124);
    let address = stack.host(1, 10);
    stack.add_eni("web", address, PORT);
    stack.apply().await;
    let from = stack.host(2, 100).seen_from(ZoneNumber::OUTSIDE);
    let target = SocketAddrV4::new(address.seen_from(zone(2)), PORT);
    assert_eq!(
        probe::knock(from, target, SOON).await,
        ProbeOutcome::Connected
    );
    stack.network.closed = BTreeSet::from(["web".into()]);
    stack.apply().await;
    assert_eq!(
        probe::knock(from, target, SOON).await,
        ProbeOutcome::Refused
    );
    stack.network.dark = BTreeSet::from([zone(1)]);
    stack.apply().await;
    assert_eq!(
        probe::knock(from, target, NEVER).await,
        ProbeOutcome::Timeout
    );
    stack.shutdown().await;
}

/// A server is spoken to directly only where its door would let everything through at once.
#[tokio::test]
async fn only_an_open_door_and_a_sound_link_are_passed_by() {
    let mut stack = Stack::start(125);
    let address = stack.host(1, 10);
    stack.add_eni("web", address, PORT);
    stack.apply().await;
    let web = "web".into();
    let server = Some(SocketAddrV4::new(address.engine(), PORT));
    let direct = |stack: &Stack| stack.plane.direct(zone(2), &web, PORT);
    assert_eq!(direct(&stack), server);
    assert_eq!(stack.plane.direct(zone(2), &web, PORT + 1), None);
    assert_eq!(stack.plane.direct(zone(2), &"other".into(), PORT), None);
    let slow = Link {
        latency: SOON,
        ..Link::default()
    };
    let worse = [
        Network {
            closed: BTreeSet::from([web.clone()]),
            ..Network::default()
        },
        Network {
            dark: BTreeSet::from([zone(1)]),
            ..Network::default()
        },
        Network {
            isolated: BTreeSet::from([zone(2)]),
            ..Network::default()
        },
        Network {
            links: BTreeMap::from([((zone(1), zone(2)), slow)]),
            ..Network::default()
        },
    ];
    for network in worse {
        stack.network = network;
        stack.apply().await;
        assert_eq!(direct(&stack), None, "{:?}", stack.network);
    }
    stack.network = Network::default();
    stack.routes.enis.get_mut(&web).unwrap().fenced = true;
    stack.apply().await;
    assert_eq!(direct(&stack), None, "fenced");
    let managed = |stack: &Stack| stack.plane.direct_management(&web);
    assert_eq!(managed(&stack), server, "no fence closes this interface");
    for network in [
        Network {
            closed: BTreeSet::from([web.clone()]),
            ..Network::default()
        },
        Network {
            dark: BTreeSet::from([zone(1)]),
            ..Network::default()
        },
    ] {
        stack.network = network;
        stack.apply().await;
        assert_eq!(managed(&stack), None, "{:?}", stack.network);
    }
    stack.shutdown().await;
}
