//! The fold of events, where it forgets: a control plane that takes a stack over has seen nothing of it.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

use topologies::address::Slot;
use topologies::check::check;
use topologies::event::{Event, EventKind, TargetHealth};
use topologies::plan::{Plan, difference, plan};
use topologies::time::Time;
use topologies::world::{ProcessState, StackPhase, World};

const TIER: &str = include_str!("../tier-1k.yaml");

fn planned(text: &str) -> Plan {
    let (topology, notes) = check(text, "tier-1k.yaml");
    plan(
        &topology.unwrap_or_else(|| panic!("{notes:?}")),
        Slot::new(64).unwrap(),
    )
}

fn apply(world: &mut World, event: EventKind) {
    let seq = world.seq + 1;
    let at = Time::from_millis(seq);
    world.apply(&Event { seq, at, event });
}

/// A stack that is up, with one instance seen dead.
fn up(plan: &Plan) -> World {
    let mut world = World::new(plan);
    for instance in &plan.instances {
        let instance = instance.id.clone();
        let handle = "1".to_owned();
        apply(
            &mut world,
            EventKind::InstanceRunning {
                instance: instance.clone(),
                handle,
            },
        );
        apply(&mut world, EventKind::HostReachable { instance });
    }
    for group in &plan.topology.target_groups {
        for instance in plan.targets(group) {
            let health = EventKind::TargetHealthChanged {
                target_group: group.id.clone(),
                instance: instance.id.clone(),
                node: instance.zone.clone(),
                state: TargetHealth::Healthy,
                reason: String::new(),
                description: String::new(),
            };
            apply(&mut world, health);
        }
    }
    for node in &plan.nodes {
        let alive = EventKind::LoadBalancerNodeChanged {
            load_balancer: node.load_balancer.clone(),
            zone: node.zone.clone(),
            alive: true,
        };
        apply(&mut world, alive);
    }
    apply(&mut world, EventKind::StackAvailable);
    let (instance, why) = (plan.instances[0].id.clone(), "no answer".to_owned());
    apply(&mut world, EventKind::HostUnreachable { instance, why });
    world
}

#[test]
fn a_stack_that_was_taken_down_comes_up_as_a_new_one_does() {
    let plan = planned(TIER);
    let mut world = up(&plan);
    apply(&mut world, EventKind::StackStopping);
    apply(&mut world, EventKind::ControlResumed);
    assert_eq!(world.phase, StackPhase::Creating);
}

#[test]
fn what_answered_an_earlier_control_plane_has_to_answer_again() {
    let plan = planned(TIER);
    let before = up(&plan);
    let mut world = before.clone();
    apply(&mut world, EventKind::ControlResumed);
    assert_eq!(world.phase, StackPhase::Resuming);
    let mut instances = world.instances.values();
    assert!(instances.all(|known| known.process == ProcessState::Pending));
    let reachable = |id| world.instances[id].reachable;
    assert_eq!(
        reachable(&plan.instances[0].id),
        Some(false),
        "the dead stay dead"
    );
    assert_eq!(reachable(&plan.instances[1].id), None);
    assert!(world.targets.is_empty() && world.nodes.is_empty() && world.health_checks.is_empty());
    // Decisions hold on.
    assert_eq!(world.databases, before.databases);
    assert_eq!(world.caches, before.caches);
    apply(&mut world, EventKind::ControlResumed);
    assert_eq!(world.phase, StackPhase::Resuming);
    apply(&mut world, EventKind::StackAvailable);
    assert_eq!(world.phase, StackPhase::Available);
}

#[test]
fn plans_differ_in_words() {
    let before = planned(TIER);
    let again = planned(&format!("# a remark\n{TIER}"));
    assert_eq!(difference(&before, &again), Vec::<String>::new());
    let check = |from: &str, to: &str| {
        assert!(TIER.contains(from), "{from}");
        difference(&before, &planned(&TIER.replacen(from, to, 1)))
    };
    assert_eq!(check("count: 2", "count: 3"), ["with `web-3`"]);
    assert_eq!(check("count: 2", "count: 1"), ["without `web-2`"]);
    let other = check("db-name: shop", "db-name: store");
    assert_eq!(other, ["other db-instances"]);
}
