//! Probes against what they are meant to tell apart.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;

use proxies::probe::{self, ProbeOutcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use topologies::address::ZoneNumber;

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
