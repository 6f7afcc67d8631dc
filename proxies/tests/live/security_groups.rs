//! Security groups: which of a zone's instances get in, and which connections go on without their rule.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddrV4};

use proxies::security_group::{Groups, Party};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use topologies::address::{HostAddress, ZoneNumber};
use topologies::cidr::Cidr;
use topologies::security_group::{Peer, SecurityGroupRule};

use crate::eni::{db, with_db};
use crate::stack::{NEVER, SOON, Stack, next, ping, refusal, zone};

fn at(number: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, number), 0)
}

/// Connects from `127.0.0.N`.
async fn connect_as(number: u8, address: (Ipv4Addr, u16)) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(at(number).into())?;
    let connected = socket.connect(address.into());
    let connected = tokio::time::timeout(NEVER, connected).await;
    connected.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// `client-2` of zone 2 is in `sg-web`, `client-3` in `sg-jobs`.
fn groups(stack: &Stack, rules: &[SecurityGroupRule]) -> Groups {
    let mut groups = Groups::default();
    let party = |host: HostAddress, group: &str| Party {
        address: Cidr::host(host.seen_from(ZoneNumber::OUTSIDE)),
        groups: vec![group.into()],
    };
    groups.insert("sg-db".into(), rules);
    for (number, group) in [(2, "sg-web"), (3, "sg-jobs")] {
        groups.insert(group.into(), &[rule(true, anywhere())]);
        let client = party(stack.host(2, number), group);
        groups.insert_client(zone(2), client.clone());
        groups.insert_instance(format!("client-{number}").into(), client);
    }
    groups.insert_instance("db".into(), party(stack.host(1, 10), "sg-db"));
    groups
}

fn anywhere() -> Peer {
    Peer::Cidr(Cidr::new(Ipv4Addr::UNSPECIFIED, 0))
}

fn rule(egress: bool, peer: Peer) -> SecurityGroupRule {
    SecurityGroupRule {
        id: String::new(),
        egress,
        protocol: None,
        ports: None,
        icmp: None,
        peer,
        description: None,
    }
}

#[tokio::test]
async fn of_a_zone_s_instances_those_get_in_whom_security_groups_name() {
    let (mut stack, _echo) = with_db(112).await;
    let web = [rule(false, Peer::Group("sg-web".into()))];
    stack.routes.groups = groups(&stack, &web);
    stack.apply().await;
    for view in [ZoneNumber::OUTSIDE, zone(1), zone(3)] {
        assert_eq!(refusal(db(&stack, view)).await, ErrorKind::TimedOut);
    }
    let mut web = connect_as(2, db(&stack, zone(2))).await.unwrap();
    ping(&mut web, "it is me").await;
    // A connection stands before it is known whose it is, and nothing comes of it.
    let mut jobs = connect_as(3, db(&stack, zone(2))).await.unwrap();
    jobs.write_all(b"me, too").await.unwrap();
    assert_eq!(next(&mut jobs, NEVER).await, Err(ErrorKind::TimedOut));
    // Who is nobody's may be anybody.
    let mut psql = connect_as(4, db(&stack, zone(2))).await.unwrap();
    ping(&mut psql, "by hand").await;

    stack.routes.groups = groups(&stack, &[]);
    stack.apply().await;
    assert_eq!(refusal(db(&stack, zone(2))).await, ErrorKind::TimedOut);
    ping(&mut web, "still me").await;
    stack.routes.groups = groups(&stack, &[rule(false, anywhere()), rule(true, anywhere())]);
    stack.apply().await;
    let mut answer = [0; 7];
    let answered = tokio::time::timeout(SOON, jobs.read_exact(&mut answer)).await;
    answered.unwrap().unwrap();
    assert_eq!(&answer, b"me, too");
    let mut known = connect_as(3, db(&stack, zone(2))).await.unwrap();
    ping(&mut known, "everybody").await;
    // It was let in from everywhere, and is not kept in mind.
    stack.routes.groups = groups(&stack, &[]);
    stack.apply().await;
    known.write_all(b"anybody?").await.unwrap();
    assert_eq!(next(&mut known, NEVER).await, Err(ErrorKind::TimedOut));
    ping(&mut web, "and still").await;
    stack.shutdown().await;
}
