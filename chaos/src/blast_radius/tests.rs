use topologies::topology::ReplicationGroup;

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
    insta::assert_snapshot!(check(&fault, &Presence::initial(&plan())), @"
    instance orders-1 in ap-northeast-2a is killed
    instance sessions-001 in ap-northeast-2a is killed
    instance web-1 in ap-northeast-2a is killed
    DB instance orders loses its primary orders-1; standby orders-2 is left
    replication group sessions loses its primary sessions-001; 2 left to promote, writes not yet replicated are gone
    target group web loses web-1; targets left: 2
    load balancer site loses its node in ap-northeast-2a; nodes left: 2
    clients and resolver in ap-northeast-2a are gone
    ");
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
    insta::assert_snapshot!(check(&fault, &presence), @"
    instance orders-2 in ap-northeast-2b is cut off
    instance sessions-002 in ap-northeast-2b is cut off
    DB instance orders loses its primary orders-2 and has no standby left: no writes until it is back
    replication group sessions loses its replica sessions-002
    load balancer site loses its node in ap-northeast-2b; nodes left: 2
    clients and resolver in ap-northeast-2b reach nothing outside of it
    ");
}

#[test]
fn what_faults_in_force_have_taken_is_not_left() {
    let mut presence = Presence::initial(&plan());
    presence.dark = [zone("b")].into();
    presence.frozen = ["web-3".into()].into();
    let fault = Fault::KillAz {
        zone: zone("a"),
        mode: ZoneLoss::Network,
    };
    insta::assert_snapshot!(check(&fault, &presence), @"
    instance orders-1 in ap-northeast-2a is cut off
    instance sessions-001 in ap-northeast-2a is cut off
    instance web-1 in ap-northeast-2a is cut off
    DB instance orders loses its primary orders-1 and has no standby left: no writes until it is back
    replication group sessions loses its primary sessions-001; 1 left to promote, writes not yet replicated are gone
    target group web loses web-1; targets left: 0
    load balancer site loses its node in ap-northeast-2a; nodes left: 1
    clients and resolver in ap-northeast-2a reach nothing outside of it
    ");
}

#[test]
fn a_standby_out_of_sync_saves_nobody() {
    let mut presence = Presence::initial(&plan());
    presence.out_of_sync = ["orders-2".into()].into();
    let fault = Fault::Freeze {
        instance: "orders-1".into(),
    };
    insta::assert_snapshot!(check(&fault, &presence), @"
    instance orders-1 in ap-northeast-2a hangs
    DB instance orders loses its primary orders-1; standby orders-2 is out of sync and not promoted: no writes until the primary is back
    ");
    let fault = Fault::Freeze {
        instance: "orders-2".into(),
    };
    insta::assert_snapshot!(check(&fault, &presence), @"
    instance orders-2 in ap-northeast-2b hangs
    DB instance orders loses its standby orders-2, which is out of sync: writes do not wait for it
    ");
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
    insta::assert_snapshot!(check(&fault, &Presence::initial(&plan())), @"
    packets ap-northeast-2a <-> ap-northeast-2b come 200ms to 250ms late
    orders: replication from orders-1 to orders-2 passes this link; writes wait for it
    sessions: replication from sessions-001 to sessions-002 passes this link
    ");
    let fault = Fault::Partition {
        from: zone("a"),
        to: zone("c"),
        direction: Direction::OneWay,
    };
    insta::assert_snapshot!(check(&fault, &Presence::initial(&plan())), @"
    packets ap-northeast-2a -> ap-northeast-2c vanish
    orders: replication from orders-1 to orders-replica-1 passes this link
    sessions: replication from sessions-001 to sessions-003 passes this link
    ");
}

/// The control plane asks from outside: whom it does not hear there, it replaces.
#[test]
fn a_link_to_the_outside_hides_primaries_from_the_control_plane() {
    let mut plan = plan();
    let mut group = ReplicationGroup {
        id: "sessions".into(),
        region: "ap-northeast-2".into(),
        engine_version: None,
        nodes: Vec::new(),
        automatic_failover: true,
        port: 6379,
        auth_token: None,
    };
    plan.topology.replication_groups = vec![group.clone()];
    let told = |fault: &Fault, plan: &Plan, presence: &Presence| {
        let lines = blast_radius(fault, plan, presence);
        lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let outside = || ZoneId::from(crate::fault::OUTSIDE);
    let cut = |from, to| Fault::Partition {
        from,
        to,
        direction: Direction::OneWay,
    };
    let sound = Presence::initial(&plan);
    insta::assert_snapshot!(told(&cut(outside(), zone("a")), &plan, &sound), @"
    packets outside -> ap-northeast-2a vanish
    orders: the control plane hears nothing of primary orders-1 and takes it for lost; orders-2 takes over
    sessions: the control plane hears nothing of primary sessions-001 and takes it for lost; one of sessions-002, sessions-003 takes over
    ");
    insta::assert_snapshot!(told(&cut(zone("b"), outside()), &plan, &sound), @"packets ap-northeast-2b -> outside vanish");
    let mut alone = sound.clone();
    alone.out_of_sync = ["orders-2".into()].into();
    group.automatic_failover = false;
    let mut manual = plan.clone();
    manual.topology.replication_groups = vec![group];
    insta::assert_snapshot!(told(&cut(zone("a"), outside()), &manual, &alone), @"
    packets ap-northeast-2a -> outside vanish
    orders: the control plane hears nothing of primary orders-1 and takes it for lost; nobody can take over
    sessions: the control plane hears nothing of primary sessions-001 and takes it for lost; nobody can take over
    ");
    let slow = |latency| Fault::Slow {
        from: outside(),
        to: zone("a"),
        latency,
        jitter: Duration::ZERO,
        direction: Direction::BothWays,
    };
    let timeout = plan.topology.timing.probe_timeout;
    let hidden = |latency| told(&slow(latency), &plan, &sound).contains("takes it for lost");
    assert!(hidden(timeout / 2) && !hidden(timeout / 4));
}

#[test]
fn calls_of_the_api_and_nothing_else() {
    let calls = ApiCalls::Service("rds".to_owned());
    for (fault, shown) in [
        (
            Fault::ThrottleApi { calls, rate: 2 },
            "calls of rds beyond 2 a second are throttled; what runs goes on",
        ),
        (
            Fault::FailApi {
                calls: ApiCalls::All,
            },
            "calls of the AWS API fail: the service is unavailable; what runs goes on",
        ),
    ] {
        assert_eq!(check(&fault, &Presence::initial(&plan())), shown);
    }
}

#[test]
fn an_instance_alone() {
    let instance = "sessions-001".into();
    let fault = Fault::Freeze { instance };
    insta::assert_snapshot!(check(&fault, &Presence::initial(&plan())), @"
    instance sessions-001 in ap-northeast-2a hangs
    replication group sessions loses its primary sessions-001; 2 left to promote, writes not yet replicated are gone
    ");
}

#[test]
fn consequences_are_recorded_as_data() {
    let fault = Fault::Freeze {
        instance: "orders-1".into(),
    };
    let consequences = blast_radius(&fault, &plan(), &Presence::initial(&plan()));
    let json = serde_json::to_string(&consequences).unwrap();
    insta::assert_snapshot!(json, @r#"[{"instance-lost":{"instance":"orders-1","zone":"ap-northeast-2a","how":"frozen"}},{"db-primary-lost":{"db":"orders","instance":"orders-1","standby":"orders-2"}}]"#);
    let back: Vec<Consequence> = serde_json::from_str(&json).unwrap();
    assert_eq!(back, consequences);
}
