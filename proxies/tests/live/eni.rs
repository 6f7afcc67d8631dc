//! An instance's network interface: open, refused and dark; delay; open connections through all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use proxies::acl::Acl;
use proxies::traffic::Subject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use topologies::address::ZoneNumber;
use topologies::network::{Link, Network};

use crate::stack::{Echo, NEVER, SOON, Stack, connect, next, nothing_wrong, ping, refusal, zone};

const PORT: u16 = 5432;

/// A stack with an echoing instance `db` in zone 1.
pub(crate) async fn with_db(slot: u8) -> (Stack, Echo) {
    let mut stack = Stack::start(slot);
    let address = stack.host(1, 10);
    stack.add_eni("db", address, PORT);
    let echo = Echo::listen((address.engine(), PORT)).await;
    stack.apply().await;
    (stack, echo)
}

/// The address of `db` as dialled from a zone.
pub(crate) fn db(stack: &Stack, from: ZoneNumber) -> (std::net::Ipv4Addr, u16) {
    (stack.host(1, 10).seen_from(from), PORT)
}

#[tokio::test]
async fn forwards_from_every_view_and_keeps_half_close() {
    let (stack, _echo) = with_db(100).await;
    for view in [ZoneNumber::OUTSIDE, zone(1), zone(2), zone(3)] {
        let mut client = connect(db(&stack, view)).await.unwrap();
        ping(&mut client, "hello").await;
        client.write_all(b"last words").await.unwrap();
        client.shutdown().await.unwrap();
        let mut rest = String::new();
        client.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "last words");
    }
    assert_eq!(
        stack.plane.traffic()[&Subject::Eni("db".into())].connections,
        4
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn carries_much_in_both_directions_at_once() {
    let (stack, _echo) = with_db(101).await;
    let client = connect(db(&stack, zone(2))).await.unwrap();
    much(client, 32 << 20).await;
    stack.shutdown().await;
}

/// Sends `length` bytes and checks that the same bytes come back.
async fn much(client: TcpStream, length: usize) {
    let sent: Vec<u8> = (0..length)
        .map(|it| u8::try_from(it % 251).unwrap())
        .collect();
    let (mut read, mut write) = client.into_split();
    let mut received = Vec::new();
    let (wrote, got) = tokio::join!(
        async {
            write.write_all(&sent).await?;
            write.shutdown().await
        },
        tokio::time::timeout(SOON, read.read_to_end(&mut received))
    );
    wrote.unwrap();
    got.unwrap().unwrap();
    assert!(
        received == sent,
        "{} of {} bytes",
        received.len(),
        sent.len()
    );
}

#[tokio::test]
async fn an_ended_process_refuses_and_its_end_is_passed_on() {
    let (mut stack, echo) = with_db(102).await;
    let mut client = connect(db(&stack, zone(2))).await.unwrap();
    ping(&mut client, "hello").await;
    drop(echo);
    stack.network.closed = BTreeSet::from(["db".into()]);
    stack.apply().await;
    assert_eq!(next(&mut client, SOON).await, Ok(0));
    assert_eq!(
        refusal(db(&stack, zone(2))).await,
        ErrorKind::ConnectionRefused
    );

    let _echo = Echo::listen((stack.host(1, 10).engine(), PORT)).await;
    stack.network = nothing_wrong();
    stack.apply().await;
    let mut client = connect(db(&stack, zone(2))).await.unwrap();
    ping(&mut client, "again").await;
    stack.shutdown().await;
}

#[tokio::test]
async fn a_fenced_instance_is_cut_off_from_its_clients_at_once() {
    let (mut stack, _echo) = with_db(103).await;
    let mut client = connect(db(&stack, zone(2))).await.unwrap();
    ping(&mut client, "hello").await;
    stack.routes.enis.get_mut("db").unwrap().fenced = true;
    stack.apply().await;
    assert_eq!(
        next(&mut client, SOON).await,
        Err(ErrorKind::ConnectionReset)
    );
    assert_eq!(
        refusal(db(&stack, zone(2))).await,
        ErrorKind::ConnectionRefused
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn a_zone_without_power_answers_nothing_until_it_is_back() {
    let (mut stack, _echo) = with_db(104).await;
    let mut open = connect(db(&stack, zone(2))).await.unwrap();
    ping(&mut open, "hello").await;
    stack.network.dark = BTreeSet::from([zone(1)]);
    stack.apply().await;
    for view in [ZoneNumber::OUTSIDE, zone(1), zone(2), zone(3)] {
        assert_eq!(refusal(db(&stack, view)).await, ErrorKind::TimedOut);
    }
    open.write_all(b"anybody there?").await.unwrap();
    assert_eq!(next(&mut open, NEVER).await, Err(ErrorKind::TimedOut));

    // A client that keeps trying gets through by its retransmitted SYN.
    let address = db(&stack, zone(3));
    let waiting = tokio::time::timeout(SOON, TcpStream::connect(address));
    let (waiting, ()) = tokio::join!(waiting, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stack.network = nothing_wrong();
        stack.apply().await;
    });
    ping(&mut waiting.unwrap().unwrap(), "at last").await;
    let mut answer = [0; 14];
    tokio::time::timeout(SOON, open.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"anybody there?");
    let mut client = connect(db(&stack, zone(2))).await.unwrap();
    ping(&mut client, "healed").await;
    stack.shutdown().await;
}

#[tokio::test]
async fn a_client_with_a_user_timeout_gives_a_dark_host_up() {
    // Where the kernel refuses the filter there is nothing to see: it acknowledges for the dark host, as the README says.
    if !proxies::mute::permitted() {
        return;
    }
    let (mut stack, _echo) = with_db(96).await;
    let mut client = connect(db(&stack, zone(2))).await.unwrap();
    ping(&mut client, "before").await;
    let patience = Some(Duration::from_millis(300));
    socket2::SockRef::from(&client)
        .set_tcp_user_timeout(patience)
        .unwrap();
    stack.network.dark = BTreeSet::from([zone(1)]);
    stack.apply().await;
    // What arrived before the connection noticed was acknowledged; what is sent after that is not.
    let talk = async {
        loop {
            match client.write_all(b"anybody there?").await {
                Ok(()) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(cause) => return cause.kind(),
            }
        }
    };
    let met = tokio::time::timeout(Duration::from_secs(30), talk).await;
    assert_eq!(met.expect("the kernel gives up"), ErrorKind::TimedOut);
    stack.shutdown().await;
}

#[tokio::test]
async fn who_died_in_the_dark_is_a_reset_in_the_light() {
    let (mut stack, echo) = with_db(105).await;
    let mut client = connect(db(&stack, zone(2))).await.unwrap();
    ping(&mut client, "hello").await;
    stack.network.dark = BTreeSet::from([zone(1)]);
    stack.network.closed = BTreeSet::from(["db".into()]);
    stack.apply().await;
    drop(echo);
    assert_eq!(next(&mut client, NEVER).await, Err(ErrorKind::TimedOut));
    assert_eq!(refusal(db(&stack, zone(2))).await, ErrorKind::TimedOut);
    stack.network.dark.clear();
    stack.apply().await;
    assert_eq!(
        next(&mut client, SOON).await,
        Err(ErrorKind::ConnectionReset)
    );
    assert_eq!(
        refusal(db(&stack, zone(2))).await,
        ErrorKind::ConnectionRefused
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn who_says_farewell_over_a_cut_link_is_heard_when_it_is_back() {
    let mut stack = Stack::start_at(113, 5354);
    let address = stack.host(1, 10);
    stack.add_eni("db", address, PORT);
    let listener = tokio::net::TcpListener::bind((address.engine(), PORT))
        .await
        .unwrap();
    stack.apply().await;
    let mut client = connect(db(&stack, zone(2))).await.unwrap();
    let (mut engine, _) = listener.accept().await.unwrap();
    stack.network.isolated = BTreeSet::from([zone(1)]);
    stack.apply().await;
    engine.write_all(b"bye").await.unwrap();
    drop(engine);
    assert_eq!(next(&mut client, NEVER).await, Err(ErrorKind::TimedOut));
    stack.network = nothing_wrong();
    stack.apply().await;
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "bye");
    stack.shutdown().await;
}

#[tokio::test]
async fn a_fence_does_not_reach_a_client_in_the_dark_before_the_light() {
    let (mut stack, _echo) = with_db(106).await;
    let mut client = connect(db(&stack, zone(2))).await.unwrap();
    ping(&mut client, "hello").await;
    stack.network.isolated = BTreeSet::from([zone(1)]);
    stack.routes.enis.get_mut("db").unwrap().fenced = true;
    stack.apply().await;
    // The fence came first here: the client was reached by its reset.
    assert_eq!(
        next(&mut client, SOON).await,
        Err(ErrorKind::ConnectionReset)
    );

    stack.routes.enis.get_mut("db").unwrap().fenced = false;
    stack.network = nothing_wrong();
    stack.apply().await;
    let mut client = connect(db(&stack, zone(2))).await.unwrap();
    ping(&mut client, "hello").await;
    stack.network.isolated = BTreeSet::from([zone(1)]);
    stack.apply().await;
    stack.routes.enis.get_mut("db").unwrap().fenced = true;
    stack.apply().await;
    assert_eq!(next(&mut client, NEVER).await, Err(ErrorKind::TimedOut));
    stack.network = nothing_wrong();
    stack.apply().await;
    assert_eq!(
        next(&mut client, SOON).await,
        Err(ErrorKind::ConnectionReset)
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn an_isolated_zone_goes_on_within() {
    let (mut stack, _echo) = with_db(107).await;
    stack.network.isolated = BTreeSet::from([zone(1)]);
    stack.apply().await;
    let mut inside = connect(db(&stack, zone(1))).await.unwrap();
    ping(&mut inside, "hello").await;
    assert_eq!(refusal(db(&stack, zone(2))).await, ErrorKind::TimedOut);
    assert_eq!(
        refusal(db(&stack, ZoneNumber::OUTSIDE)).await,
        ErrorKind::TimedOut
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn changes_elsewhere_leave_connections_alone() {
    let (mut stack, _echo) = with_db(108).await;
    let mut client = connect(db(&stack, zone(2))).await.unwrap();
    ping(&mut client, "hello").await;
    let other = stack.host(3, 11);
    stack.add_eni("other", other, PORT);
    stack.network.dark = BTreeSet::from([zone(3)]);
    stack.network.closed = BTreeSet::from(["db".into()]);
    stack.apply().await;
    ping(&mut client, "still here").await;
    stack.routes.enis.remove("db");
    stack.apply().await;
    assert_eq!(
        next(&mut client, SOON).await,
        Err(ErrorKind::ConnectionReset)
    );
    stack.shutdown().await;
}

/// A network whose link from zone 2 to zone 1 has this delay, and its way back another.
fn slow(there: u64, back: u64, jitter: u64) -> Network {
    let link = |latency| Link {
        cut: false,
        latency: Duration::from_millis(latency),
        jitter: Duration::from_millis(jitter),
    };
    Network {
        links: BTreeMap::from([
            ((zone(2), zone(1)), link(there)),
            ((zone(1), zone(2)), link(back)),
        ]),
        ..Network::default()
    }
}

#[tokio::test]
async fn a_slow_link_delays_each_way_and_open_connections_notice() {
    let (mut stack, _echo) = with_db(109).await;
    let mut client = connect(db(&stack, zone(2))).await.unwrap();
    ping(&mut client, "hello").await;
    stack.network = slow(600, 400, 0);
    stack.apply().await;
    let start = Instant::now();
    ping(&mut client, "slowly").await;
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(1_000), "{elapsed:?}");
    let start = Instant::now();
    let mut late = connect(db(&stack, zone(2))).await.unwrap();
    ping(&mut late, "handshake").await;
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(2_000), "{elapsed:?}");
    stack.network = nothing_wrong();
    stack.apply().await;
    let start = Instant::now();
    ping(&mut client, "fast again").await;
    assert!(start.elapsed() < Duration::from_millis(1_000));
    stack.shutdown().await;
}

#[tokio::test]
async fn delay_and_jitter_neither_lose_nor_reorder_nor_throttle() {
    let (mut stack, _echo) = with_db(110).await;
    stack.network = slow(50, 50, 20);
    stack.apply().await;
    let client = connect(db(&stack, zone(2))).await.unwrap();
    let start = Instant::now();
    much(client, 16 << 20).await;
    // One chunk of 64 KiB per delay would take more than ten seconds.
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
    stack.shutdown().await;
}

#[tokio::test]
async fn an_address_in_use_is_named_and_the_rest_is_served() {
    let mut stack = Stack::start(111);
    let (free, taken) = (stack.host(1, 10), stack.host(1, 11));
    let squatter = std::net::TcpListener::bind((taken.seen_from(zone(2)), PORT)).unwrap();
    stack.add_eni("free", free, PORT);
    stack.add_eni("taken", taken, PORT);
    let _echo = Echo::listen((free.engine(), PORT)).await;
    let routes = std::sync::Arc::new(stack.routes.clone());
    let error = stack
        .plane
        .set_routes(routes.clone())
        .everywhere()
        .await
        .unwrap_err();
    assert_eq!(error.0.len(), 1);
    assert_eq!(error.0[0].name, "instance `taken`");
    assert_eq!(error.0[0].address, squatter.local_addr().unwrap());
    assert_eq!(error.0[0].cause.kind(), ErrorKind::AddrInUse);
    let mut client = connect((free.seen_from(zone(2)), PORT)).await.unwrap();
    ping(&mut client, "hello").await;
    drop(squatter);
    stack.plane.set_routes(routes).everywhere().await.unwrap();
    stack.shutdown().await;
}

#[tokio::test]
async fn a_flickering_link_neither_refuses_nor_resets_a_client() {
    let mut stack = Stack::start_at(112, 5354);
    let address = stack.host(1, 10);
    stack.add_eni("db", address, PORT);
    let _echo = Echo::listen((address.engine(), PORT)).await;
    stack.apply().await;
    let (from, port) = db(&stack, zone(2));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..20 {
        clients.spawn(async move {
            for round in 0..10 {
                let connect = TcpStream::connect((from, port));
                let mut client = tokio::time::timeout(SOON, connect).await.unwrap().unwrap();
                ping(&mut client, &format!("{number} {round}")).await;
            }
        });
    }
    for _ in 0..100 {
        stack.network.isolated = BTreeSet::from([zone(1)]);
        stack.apply().await;
        stack.network = nothing_wrong();
        stack.apply().await;
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let traffic = stack.plane.traffic()[&Subject::Eni("db".into())];
    assert_eq!((traffic.connections, traffic.resets), (200, 0));
    stack.shutdown().await;
}

#[tokio::test]
async fn what_a_network_acl_denies_goes_dark_and_is_as_it_was_when_allowed_again() {
    let (mut stack, _echo) = with_db(127).await;
    let server = stack.host(1, 10);
    let replication = (server.replication(zone(2)), PORT);
    let mut open = connect(db(&stack, zone(2))).await.unwrap();
    let mut within = connect(db(&stack, zone(1))).await.unwrap();
    let mut follower = connect(replication).await.unwrap();
    for client in [&mut open, &mut within, &mut follower] {
        ping(client, "hello").await;
    }
    stack.routes.acls.insert(zone(1), Acl::default());
    stack.apply().await;
    for view in [ZoneNumber::OUTSIDE, zone(2), zone(3)] {
        assert_eq!(refusal(db(&stack, view)).await, ErrorKind::TimedOut);
    }
    open.write_all(b"anybody there?").await.unwrap();
    assert_eq!(next(&mut open, NEVER).await, Err(ErrorKind::TimedOut));
    // Within the subnet, past the network ACL, and for who knocks, nothing is changed.
    ping(&mut within, "neighbour").await;
    ping(&mut follower, "more").await;
    let direct = |from| stack.plane.direct(from, &"db".into(), PORT);
    assert_eq!((direct(zone(2)), direct(zone(1)).is_some()), (None, true));
    assert!(stack.plane.direct_management(&"db".into()).is_some());

    stack.routes.acls.clear();
    stack.apply().await;
    let mut answer = [0; 14];
    tokio::time::timeout(SOON, open.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"anybody there?");
    let mut client = connect(db(&stack, zone(3))).await.unwrap();
    ping(&mut client, "allowed").await;
    stack.shutdown().await;
}
