use super::*;
use crate::fault::Direction;
use crate::sample::{plan, zone};

fn check(fault: &Fault, presence: &Presence) -> String {
    let lines: Vec<String> = blast_radius(fault, &plan(), presence)
        .iter()
        .map(ToString::to_string)
        .collect();
    lines.join("\n")
}

#[test]
fn a_zone_takes_everything_in_it_along() {
    let fault = Fault::KillAz {
        zone: zone("a"),
        mode: ZoneLoss::Power,
    };
    insta::assert_snapshot!(check(&fault, &Presence::initial(&plan())), @"");
}

#[test]
fn roles_of_the_moment_count_and_the_dead_do_not_die_again() {
    let mut presence = Presence::initial(&plan());
    presence.roles.insert("orders-1".into(), Role::Standby);
    presence.roles.insert("orders-2".into(), Role::Primary);
    presence.down = ["orders-1".into(), "web-2".into()].into();
    let fault = Fault::KillAz {
        zone: zone("b"),
        mode: ZoneLoss::Network,
    };
    insta::assert_snapshot!(check(&fault, &presence), @"");
}

#[test]
fn a_link_parts_primaries_from_their_followers() {
    let fault = Fault::Slow {
        from: zone("a"),
        to: zone("b"),
        latency: Duration::from_millis(200),
        jitter: Duration::from_millis(50),
        direction: Direction::BothWays,
    };
    insta::assert_snapshot!(check(&fault, &Presence::initial(&plan())), @"");
    let fault = Fault::Partition {
        from: zone("a"),
        to: zone("c"),
        direction: Direction::OneWay,
    };
    insta::assert_snapshot!(check(&fault, &Presence::initial(&plan())), @"");
}

#[test]
fn an_instance_alone() {
    let instance = "sessions-001".into();
    let fault = Fault::Freeze { instance };
    insta::assert_snapshot!(check(&fault, &Presence::initial(&plan())), @"");
}

#[test]
fn consequences_are_recorded_as_data() {
    let fault = Fault::Freeze {
        instance: "orders-1".into(),
    };
    let consequences = blast_radius(&fault, &plan(), &Presence::initial(&plan()));
    let json = serde_json::to_string(&consequences).unwrap();
    insta::assert_snapshot!(json, @"");
    let back: Vec<Consequence> = serde_json::from_str(&json).unwrap();
    assert_eq!(back, consequences);
}
