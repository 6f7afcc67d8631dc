use std::collections::BTreeSet;

use topologies::cidr::Cidr;
use topologies::network::Network;
use topologies::security_group::{Peer, SecurityGroupRule};

use super::stake::became_unhealthy;
use super::*;
use crate::acl::Acl;
use crate::door::DoorState;
use crate::routes::TargetState;
use crate::security_group::Party;

fn zone(number: usize) -> ZoneNumber {
    ZoneNumber::zone(number).unwrap()
}

fn eni(fenced: bool) -> Routes {
    let address = HostAddress {
        slot: Slot::new(100).unwrap(),
        zone: zone(2),
        host: 10,
    };
    let eni = Eni {
        address,
        port: 80,
        fenced,
        replicates: false,
    };
    Routes {
        enis: BTreeMap::from([("web-1".into(), eni)]),
        ..Routes::default()
    }
}

#[test]
fn an_interface_is_reached_from_every_view() {
    let views = [ZoneNumber::OUTSIDE, zone(1), zone(2)];
    let found = entrances(&eni(false), &views, Ports { offset: 8000 });
    let addresses: Vec<String> = found.keys().map(ToString::to_string).collect();
    assert_eq!(
        addresses,
        [
            "127.100.2.10:8080",
            "127.100.18.10:8080",
            "127.100.34.10:8080",
            "127.100.47.10:8080",
            "127.164.18.10:8080",
            "127.164.34.10:8080"
        ]
    );
    let engines: BTreeSet<_> = found
        .values()
        .map(|entrance| {
            let (Service::Eni { engine, .. }
            | Service::Balanced { engine, .. }
            | Service::Management { engine, .. }) = &entrance.service
            else {
                panic!("{entrance:?}")
            };
            engine.to_string()
        })
        .collect();
    assert_eq!(engines, BTreeSet::from(["127.100.242.10:8080".to_owned()]));
}

#[test]
fn an_engine_is_replicated_from_every_zone_past_network_acls_but_not_past_a_fence() {
    let views = [ZoneNumber::OUTSIDE, zone(1), zone(2)];
    let met = |fenced: bool| {
        let mut routes = eni(fenced);
        routes.acls.insert(zone(2), Acl::default());
        routes.enis.get_mut("web-1").unwrap().replicates = true;
        let all = entrances(&routes, &views, Ports::default());
        let own = all
            .iter()
            .filter(|(_, it)| matches!(it.service, Service::Replication { .. }));
        let met = own.map(|(address, it)| {
            let state = door_state(it, &routes, &Network::default());
            (address.to_string(), state)
        });
        met.collect::<Vec<_>>()
    };
    let both = |state: DoorState| {
        let addresses = ["127.164.18.10:80", "127.164.34.10:80"];
        addresses.map(|it| (it.to_owned(), state))
    };
    assert_eq!(met(false), both(DoorState::Open));
    assert_eq!(met(true), both(DoorState::Refused));
}

#[test]
fn silence_wins_over_refusal() {
    let views = [zone(1), zone(2)];
    let check = |fenced: bool, network: &Network| {
        let routes = eni(fenced);
        entrances(&routes, &views, Ports::default())
            .values()
            .filter(|entrance| matches!(entrance.service, Service::Eni { .. }))
            .map(|entrance| door_state(entrance, &routes, network))
            .collect::<Vec<_>>()
    };
    let sound = Network::default();
    assert_eq!(check(false, &sound), [DoorState::Open, DoorState::Open]);
    assert_eq!(
        check(true, &sound),
        [DoorState::Refused, DoorState::Refused]
    );
    let isolated = Network {
        isolated: BTreeSet::from([zone(2)]),
        closed: BTreeSet::from(["web-1".into()]),
        ..Network::default()
    };
    assert_eq!(
        check(false, &isolated),
        [DoorState::Dark, DoorState::Refused]
    );
    let dark = Network {
        dark: BTreeSet::from([zone(2)]),
        ..Network::default()
    };
    assert_eq!(check(true, &dark), [DoorState::Dark, DoorState::Dark]);
}

#[test]
fn management_passes_a_fence_and_nothing_else() {
    let routes = eni(true);
    let mut found = entrances(&routes, &[], Ports::default());
    let (_, entrance) = found.pop_first().unwrap();
    assert!(found.is_empty(), "{found:?}");
    let met = |network: &Network| door_state(&entrance, &routes, network);
    assert_eq!(met(&Network::default()), DoorState::Open);
    let closed = Network {
        closed: BTreeSet::from(["web-1".into()]),
        ..Network::default()
    };
    assert_eq!(met(&closed), DoorState::Refused);
    let dark = Network {
        dark: BTreeSet::from([zone(2)]),
        ..Network::default()
    };
    assert_eq!(met(&dark), DoorState::Dark);
    let isolated = Network {
        isolated: BTreeSet::from([zone(2)]),
        ..Network::default()
    };
    assert_eq!(met(&isolated), DoorState::Dark);
}

#[test]
fn a_network_acl_darkens_what_crosses_a_border_and_management_passes_it() {
    let views = [ZoneNumber::OUTSIDE, zone(1), zone(2)];
    let mut routes = eni(false);
    let network = Network::default();
    let met = |routes: &Routes| {
        let all = entrances(routes, &views, Ports::default());
        let states = all
            .values()
            .map(|it| (it.from.get(), door_state(it, routes, &network)));
        let weather = all
            .values()
            .map(|it| weather(it, &Caller::new(it, 40_000, None, routes), routes, &network).dark);
        let dark: Vec<bool> = weather.collect();
        let (from, states): (Vec<u8>, Vec<DoorState>) = states.unzip();
        let doors = states.iter().map(|it| *it == DoorState::Dark);
        assert_eq!(dark, doors.collect::<Vec<_>>());
        (from, dark)
    };
    let from = vec![0, 1, 2, 0, 1, 2];
    assert_eq!(met(&routes), (from.clone(), vec![false; 6]));
    routes.acls.insert(zone(2), Acl::default());
    let behind_it = vec![true, true, false, false, true, false];
    assert_eq!(met(&routes), (from, behind_it));
    routes.acls = [(zone(1), Acl::default())].into();
    assert_eq!(met(&routes).1, [false, true, false, false, true, false]);
}

#[test]
fn security_groups_darken_a_host_for_all_but_load_balancers_and_those_who_manage_and_replicate_it()
{
    let views = [ZoneNumber::OUTSIDE, zone(1), zone(2)];
    let mut routes = eni(false);
    let party = |host: u8| Party {
        address: Cidr::host(Ipv4Addr::new(127, 100, 1, host)),
        groups: vec!["sg-1".into()],
    };
    routes.groups.insert_instance("web-1".into(), party(10));
    let dark = |routes: &Routes| {
        let all = entrances(routes, &views, Ports { offset: 8000 });
        let states = all.values().map(|it| {
            let state = door_state(it, routes, &Network::default());
            let caller = Caller::new(it, 40_000, None, routes);
            let weather = weather(it, &caller, routes, &Network::default());
            assert_eq!(weather.dark, state == DoorState::Dark, "{it:?}");
            weather.dark
        });
        states.collect::<Vec<_>>()
    };
    assert_eq!(dark(&routes), [false; 6], "none is known that could");
    routes.groups.insert("sg-1".into(), &[]);
    // From outside and both zones, over the management interface, and by load balancers' nodes of both zones.
    assert_eq!(dark(&routes), [true, true, true, false, false, false]);
    let rule = SecurityGroupRule {
        id: String::new(),
        egress: false,
        protocol: None,
        // As it is written, wherever the port really is.
        ports: Some((80, 80)),
        icmp: None,
        peer: Peer::Cidr(Cidr::new(Ipv4Addr::UNSPECIFIED, 0)),
        description: None,
    };
    routes.groups.insert("sg-1".into(), &[rule]);
    assert_eq!(dark(&routes), [false; 6]);
    routes.groups.insert("sg-1".into(), &[]);
    routes.enis.get_mut("web-1").unwrap().replicates = true;
    assert_eq!(dark(&routes), [true, true, true, false, false, false]);
}

#[test]
fn only_the_change_to_unhealthy_ends_a_flow() {
    use TargetState::{Draining, Healthy, Initial, Unhealthy};
    let cases = [
        (Some(Healthy), Some(Unhealthy), true),
        (Some(Initial), Some(Unhealthy), true),
        (Some(Unhealthy), Some(Unhealthy), false),
        (Some(Unhealthy), Some(Healthy), false),
        (Some(Healthy), Some(Draining), false),
        (Some(Healthy), None, false),
    ];
    for (before, now, expected) in cases {
        assert_eq!(
            became_unhealthy(before, now),
            expected,
            "{before:?} {now:?}"
        );
    }
}
