use topologies::address::{Slot, subnet};

use super::*;
use Crossing::{Barred, Free, Partial};

/// Rules like `in tcp 80-81 127.64.1.0/24`, `out * * sg-web`.
fn rules(texts: &[&str]) -> Vec<SecurityGroupRule> {
    let rules = texts.iter().map(|text| {
        let words: Vec<&str> = text.split(' ').collect();
        let [way, protocol, ports, peer] = words[..] else {
            panic!("{text}")
        };
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        SecurityGroupRule {
            id: String::new(),
            egress: way == "out",
            protocol: match protocol {
                "*" => None,
                "tcp" => Some(TCP),
                other => Some(other.parse().unwrap()),
            },
            ports: (ports != "*").then(|| (first.parse().unwrap(), last.parse().unwrap())),
            icmp: None,
            peer: match peer.parse() {
                Ok(cidr) => Peer::Cidr(cidr),
                Err(_) if peer.contains(':') => Peer::Ipv6(peer.to_owned()),
                Err(_) => Peer::Group(peer.into()),
            },
            description: None,
        }
    });
    rules.collect()
}

fn zone(number: usize) -> ZoneNumber {
    ZoneNumber::zone(number).unwrap()
}

fn host(zone: ZoneNumber, host: u8) -> HostAddress {
    let slot = Slot::new(64).unwrap();
    HostAddress { slot, zone, host }
}

fn party(address: HostAddress, groups: &[&str]) -> Party {
    Party {
        groups: groups.iter().map(|it| (*it).into()).collect(),
        ..Party::at(address.seen_from(ZoneNumber::OUTSIDE))
    }
}

/// A database in zone 2 behind `sg-db`; in zone 1 an instance in `sg-web` and one in `sg-jobs`, in zone 2 one in `sg-web`, in zone 3
/// none; an ALB in `sg-lb` and an NLB in no group.
fn stack(db: &[&str], web: &[&str], lb: &[&str]) -> Groups {
    let mut groups = Groups::default();
    groups.insert("sg-db".into(), &rules(db));
    groups.insert("sg-web".into(), &rules(web));
    groups.insert("sg-jobs".into(), &rules(&["out * * 0.0.0.0/0"]));
    groups.insert("sg-lb".into(), &rules(lb));
    let everything = ["in * * 0.0.0.0/0", "in * * sg-0", "out * * 0.0.0.0/0"];
    groups.insert("sg-0".into(), &rules(&everything));
    groups.insert_instance("db".into(), party(host(zone(2), 9), &["sg-db"]));
    let web_1 = party(host(zone(1), 10), &["sg-web"]);
    let web_2 = party(host(zone(2), 10), &["sg-web"]);
    groups.insert_instance("web-1".into(), web_1.clone());
    groups.insert_client(zone(1), web_1);
    groups.insert_client(zone(1), party(host(zone(1), 11), &["sg-jobs"]));
    groups.insert_client(zone(2), web_2);
    let nobody = Party {
        address: subnet(Slot::new(64).unwrap(), zone(3)),
        groups: vec!["sg-0".into()],
    };
    groups.insert_client(zone(3), nobody);
    groups.insert_load_balancer("site".into(), vec!["sg-lb".into()]);
    groups
}

const OUT: &str = "out * * 0.0.0.0/0";
const PORT: u16 = 5432;

fn db() -> InstanceId {
    "db".into()
}

fn opening(db: &InstanceId, from: ZoneNumber) -> Opening<'_> {
    Opening {
        from,
        by: None,
        to: Server::Instance(db),
        port: PORT,
    }
}

/// How many get to the database from outside, and from zones 1, 2 and 3.
fn met(ingress: &[&str], egress: &[&str]) -> [Crossing; 4] {
    let groups = stack(ingress, egress, &[]);
    let db = db();
    [ZoneNumber::OUTSIDE, zone(1), zone(2), zone(3)].map(|from| groups.crossing(opening(&db, from)))
}

#[test]
fn a_server_lets_in_whom_a_rule_names() {
    const NOBODY: [Crossing; 4] = [Barred; 4];
    const ALL: [Crossing; 4] = [Free; 4];
    for (ingress, expected) in [
        (&[][..], NOBODY),
        (&["in * * 0.0.0.0/0"], ALL),
        (&["in tcp 5432 0.0.0.0/0"], ALL),
        (&["in tcp 5433-5440 0.0.0.0/0"], NOBODY),
        (&["in 17 * 0.0.0.0/0"], NOBODY),
        (&["in * * ::/0"], NOBODY),
        (&["out * * 0.0.0.0/0"], NOBODY),
        // A group admits whoever carries it: in zone 1 one of two.
        (&["in tcp 5432 sg-web"], [Barred, Partial, Free, Barred]),
        (&["in tcp 5432 sg-0"], [Barred, Barred, Barred, Free]),
        (
            &["in * * sg-web", "in * * sg-jobs"],
            [Barred, Free, Free, Barred],
        ),
        // Addresses: of the VPC, of a subnet, of one instance, of nobody, of somebody outside.
        (&["in * * 127.64.0.0/16"], [Barred, Free, Free, Free]),
        (&["in * * 127.64.1.0/24"], [Barred, Free, Barred, Barred]),
        (
            &["in * * 127.64.1.11/32"],
            [Barred, Partial, Barred, Barred],
        ),
        (&["in * * 127.64.3.10/32"], NOBODY),
        (&["in * * 127.0.0.1/32"], [Free, Barred, Barred, Barred]),
    ] {
        assert_eq!(met(ingress, &[OUT]), expected, "{ingress:?}");
    }
}

#[test]
fn a_client_gets_out_by_a_rule_of_its_own() {
    let everybody = "in * * 0.0.0.0/0";
    let web = "in * * sg-web";
    for (ingress, egress, expected) in [
        (everybody, &[][..], [Free, Partial, Barred, Free]),
        (everybody, &["out tcp 5432 sg-db"], [Free; 4]),
        (
            everybody,
            &["out tcp 80 sg-db"],
            [Free, Partial, Barred, Free],
        ),
        (
            everybody,
            &["in * * 0.0.0.0/0"],
            [Free, Partial, Barred, Free],
        ),
        (
            web,
            &["out tcp 5432 127.64.2.9/32"],
            [Barred, Partial, Free, Barred],
        ),
        (web, &["out tcp 5432 127.64.2.8/32"], [Barred; 4]),
    ] {
        assert_eq!(met(&[ingress], egress), expected, "{ingress} {egress:?}");
    }
}

#[test]
fn a_load_balancer_s_node_is_known() {
    let node = host(zone(3), 20);
    let (site, fast) = (LoadBalancerId::from("site"), LoadBalancerId::from("fast"));
    for (web, lb, by_site, by_fast) in [
        (&["in tcp 80 sg-lb"][..], &[OUT][..], true, false),
        (&["in tcp 80 sg-lb"], &["out tcp 80 sg-web"], true, false),
        (&["in tcp 80 sg-lb"], &["out tcp 81 sg-web"], false, false),
        (&["in tcp 80 sg-lb"], &[], false, false),
        (&["in tcp 80 127.64.3.20/32"], &[OUT], true, true),
        (&["in tcp 80 127.64.3.21/32"], &[OUT], false, false),
        (&[], &[OUT], false, false),
    ] {
        let groups = stack(&[], web, lb);
        let reaches = |id| groups.reaches((id, node), &"web-1".into(), 80);
        assert_eq!(
            (reaches(&site), reaches(&fast)),
            (by_site, by_fast),
            "{web:?} {lb:?}"
        );
    }
    // As a server, too; one without groups is not filtered.
    let groups = stack(&[], &[OUT], &["in tcp 80 127.64.1.0/24"]);
    for (id, expected) in [(&site, [Barred, Free]), (&fast, [Free, Free])] {
        let met = [ZoneNumber::OUTSIDE, zone(1)].map(|from| {
            let to = Server::Node(id, node);
            let port = 80;
            groups.crossing(Opening {
                from,
                by: None,
                to,
                port,
            })
        });
        assert_eq!(met, expected, "{id}");
    }
}

#[test]
fn what_is_kept_in_mind_outlives_its_rule() {
    let open = ["in tcp 5432 0.0.0.0/0", OUT];
    let web = ["in tcp 80 sg-lb", OUT];
    // The rules of the database when it is opened and afterwards, from where, and whether it goes on.
    for (before, after, from, goes_on) in [
        // From everywhere and back to everywhere: the rules alone decide.
        (&open[..], &[][..], 0, false),
        (&open, &["in tcp 5432 127.0.0.1/32", OUT], 0, true),
        (&open, &["in tcp 5432 0.0.0.0/0"], 0, false),
        (&open, &[], 2, false),
        (&open, &["in tcp 5432 sg-web", OUT], 2, true),
        // "tracked, because the inbound rule allows traffic from only …"
        (&["in tcp 5432 sg-web", OUT], &[], 2, true),
        (&["in tcp 5432 127.64.2.0/24", OUT], &[], 2, true),
        (&["in tcp 5432 127.0.0.1/32", OUT], &[], 0, true),
        // Not all that is answered is permitted anyway.
        (&["in tcp 5432 0.0.0.0/0"], &[], 0, true),
        (
            &["in tcp 5432 0.0.0.0/0", "out tcp 1024-65535 0.0.0.0/0"],
            &[],
            0,
            true,
        ),
        // It was never open.
        (&[], &[], 0, false),
        (&[], &["in * * 0.0.0.0/0", OUT], 0, true),
    ] {
        let db = db();
        let opening = match from {
            0 => opening(&db, ZoneNumber::OUTSIDE),
            number => opening(&db, zone(number)),
        };
        let tracking = stack(before, &web, &[]).tracking(opening);
        let goes = stack(after, &web, &[]).carries(opening, 40_000, tracking);
        assert_eq!(goes, goes_on, "{before:?} {after:?} {from}");
    }
}

#[test]
fn the_client_s_end_keeps_in_mind_what_it_opened() {
    let db = db();
    let opening = opening(&db, zone(2));
    for server in [&["in tcp 5432 sg-web", OUT], &["in * * 0.0.0.0/0", OUT]] {
        for client in [&[OUT, "in tcp 80 sg-lb"], &[OUT, "in * * 0.0.0.0/0"]] {
            let tracking = stack(server, client, &[]).tracking(opening);
            let after = stack(server, &[], &[]);
            assert_eq!(after.crossing(opening), Barred);
            assert!(
                after.carries(opening, 40_000, tracking),
                "{server:?} {client:?}"
            );
        }
    }
    let server = ["in tcp 5432 sg-web", OUT];
    let tracking = stack(&server, &[], &[]).tracking(opening);
    assert!(
        !stack(&server, &[], &[]).carries(opening, 40_000, tracking),
        "it was never open"
    );
}

#[test]
fn what_goes_through_a_load_balancer_is_kept_in_mind_once_it_is_open() {
    let (id, node) = (LoadBalancerId::from("site"), host(zone(3), 20));
    let opening = Opening {
        from: ZoneNumber::OUTSIDE,
        by: None,
        to: Server::Node(&id, node),
        port: 80,
    };
    let open = stack(&[], &[], &["in tcp 80 0.0.0.0/0", OUT]);
    let shut = stack(&[], &[], &[OUT]);
    assert!(shut.carries(opening, 40_000, open.tracking(opening)));
    assert!(!shut.carries(opening, 40_000, shut.tracking(opening)));
}

#[test]
fn a_client_that_is_known_is_itself_alone() {
    let mut groups = stack(&["in tcp 5432 sg-web", OUT], &[OUT], &[]);
    let jobs = party(host(zone(1), 11), &["sg-jobs"]);
    groups.insert_instance("jobs-1".into(), jobs);
    let db = db();
    for (by, crossing, tracking) in [
        (None, Partial, Tracking::Kept),
        (Some("web-1"), Free, Tracking::Kept),
        (Some("jobs-1"), Barred, Tracking::None),
        // Nobody whom the stack has.
        (Some("psql"), Partial, Tracking::Kept),
    ] {
        let by = by.map(InstanceId::from);
        let opening = Opening {
            by: by.as_ref(),
            ..opening(&db, zone(1))
        };
        assert_eq!(groups.crossing(opening), crossing, "{by:?}");
        assert_eq!(groups.tracking(opening), tracking, "{by:?}");
        let carries = |tracking| groups.carries(opening, 40_000, tracking);
        assert_eq!(carries(tracking), crossing != Barred, "{by:?}");
        assert!(!carries(Tracking::Asked), "{by:?}");
    }
}
