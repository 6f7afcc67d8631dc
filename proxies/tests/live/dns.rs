//! The resolvers, asked as applications ask.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use proxies::dns::client::{LookupError, lookup};
use proxies::routes::{Apex, Candidate, Part, Policy, RecordSet, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use topologies::address::{ZoneNumber, resolver};
use topologies::topology::RecordType;

use crate::stack::{DNS_PORT, NEVER, SOON, Stack, connect, refusal, zone};

/// A stack with the name `db.internal`, which is a host of zone 1.
async fn with_name(slot: u8) -> Stack {
    let mut stack = Stack::start(slot);
    let set = RecordSet {
        kind: RecordType::A,
        policy: Policy::Simple,
        candidates: vec![Candidate {
            healthy: true,
            ttl: Duration::from_secs(5),
            part: Part::Any,
            values: vec![Value::Host(stack.host(1, 10))],
        }],
    };
    stack.routes.names = BTreeMap::from([("db.internal".into(), vec![set])]);
    stack.routes.apexes = vec![Apex {
        name: "internal".into(),
        soa_ttl: Duration::from_secs(900),
        soa: None,
        soa_minimum: Duration::from_secs(5),
    }];
    stack.apply().await;
    stack
}

fn server(stack: &Stack, view: ZoneNumber) -> SocketAddr {
    (resolver(stack.slot, view), DNS_PORT).into()
}

#[tokio::test]
async fn every_view_has_its_own_addresses() {
    let stack = with_name(112).await;
    for view in [ZoneNumber::OUTSIDE, zone(1), zone(3)] {
        let answer = lookup(server(&stack, view), "DB.internal", SOON)
            .await
            .unwrap();
        assert_eq!(answer.addresses, [stack.host(1, 10).seen_from(view)]);
        assert_eq!(answer.ttl, Duration::from_secs(5));
    }
    let missing = lookup(server(&stack, zone(1)), "no.internal", SOON).await;
    assert!(
        matches!(missing, Err(LookupError::NoSuchName { .. })),
        "{missing:?}"
    );
    let nothing = lookup(server(&stack, zone(1)), "internal", SOON).await;
    assert!(
        matches!(nothing, Err(LookupError::NoAddress { .. })),
        "{nothing:?}"
    );
    let foreign = lookup(server(&stack, zone(1)), "example.org", SOON).await;
    assert!(
        matches!(foreign, Err(LookupError::Failed { .. })),
        "{foreign:?}"
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn a_change_is_answered_at_once() {
    let mut stack = with_name(113).await;
    let moved = stack.host(2, 10);
    let set = &mut stack.routes.names.get_mut("db.internal").unwrap()[0];
    set.candidates[0].values = vec![Value::Host(moved)];
    stack.apply().await;
    let answer = lookup(server(&stack, zone(1)), "db.internal", SOON)
        .await
        .unwrap();
    assert_eq!(answer.addresses, [moved.seen_from(zone(1))]);
    stack.shutdown().await;
}

#[tokio::test]
async fn answers_over_tcp_too() {
    let stack = with_name(114).await;
    let mut client = connect(server(&stack, zone(2))).await.unwrap();
    let question = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x02db\x08internal\0\0\x01\0\x01";
    for _ in 0..2 {
        client
            .write_u16(u16::try_from(question.len()).unwrap())
            .await
            .unwrap();
        client.write_all(question).await.unwrap();
        let length = client.read_u16().await.unwrap();
        let mut answer = vec![0; usize::from(length)];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer[..2], question[..2]);
        assert!(answer.ends_with(&stack.host(1, 10).seen_from(zone(2)).octets()));
    }
    stack.shutdown().await;
}

#[tokio::test]
async fn only_a_zone_without_power_loses_its_resolver() {
    let mut stack = with_name(115).await;
    stack.network.dark = BTreeSet::from([zone(1)]);
    stack.network.isolated = BTreeSet::from([zone(2)]);
    stack.apply().await;
    let dark = lookup(server(&stack, zone(1)), "db.internal", NEVER).await;
    assert!(matches!(dark, Err(LookupError::Timeout { .. })), "{dark:?}");
    let refused = refusal(server(&stack, zone(1))).await;
    assert_eq!(refused, std::io::ErrorKind::TimedOut);
    lookup(server(&stack, zone(2)), "db.internal", SOON)
        .await
        .unwrap();
    lookup(server(&stack, ZoneNumber::OUTSIDE), "db.internal", SOON)
        .await
        .unwrap();
    stack.shutdown().await;
}

#[tokio::test]
async fn garbage_is_not_answered_with_silence_for_others() {
    let stack = with_name(116).await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for length in 0..64 {
        let garbage = vec![0xc0; length];
        socket
            .send_to(&garbage, server(&stack, zone(1)))
            .await
            .unwrap();
    }
    socket
        .send_to(&[0; 9000], server(&stack, zone(1)))
        .await
        .unwrap();
    lookup(server(&stack, zone(1)), "db.internal", SOON)
        .await
        .unwrap();
    stack.shutdown().await;
}
