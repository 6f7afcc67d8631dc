//! Whether Route 53's health checks are healthy: what of it the timeline tells, and what follows from that (aws-behaviour §6.4).

use std::collections::BTreeMap;

use super::World;
use crate::alarm::AlarmState;
use crate::id::HealthCheckId;
use crate::topology::{AlarmCheck, HealthCheck, HealthCheckKind, Topology, Unsure};

/// Health checks that count others, one below the other, that are looked through; an account has no more of them (`Quotas`).
pub const DEPTH_MAX: usize = 200;

/// Whether a health check is healthy. One of an endpoint is until enough was seen of it; one that is disabled is. Inverted, each is the
/// opposite. One that is not there stands in nobody's way.
pub fn checked(topology: &Topology, world: &World, id: &HealthCheckId) -> bool {
    let mut known = BTreeMap::new();
    within(topology, world, id, DEPTH_MAX, &mut known)
}

/// The same, each health check looked at once: many may count the same one.
fn within<'t>(
    topology: &'t Topology,
    world: &World,
    id: &HealthCheckId,
    hops: usize,
    known: &mut BTreeMap<&'t HealthCheckId, bool>,
) -> bool {
    if let Some(healthy) = known.get(id) {
        return *healthy;
    }
    let mut checks = topology.health_checks.iter();
    let Some(check) = checks.find(|check| check.id == *id) else {
        return true;
    };
    let healthy = check.disabled
        || match &check.kind {
            HealthCheckKind::Endpoint(_) => world.health_checks.get(id).copied().unwrap_or(true),
            HealthCheckKind::Alarm(of) => quiet(world, of),
            HealthCheckKind::Calculated {
                children,
                threshold,
            } => {
                let mut count = 0;
                for child in children {
                    if hops > 0 && within(topology, world, child, hops - 1, known) {
                        count += 1;
                    }
                }
                count >= *threshold
            }
        };
    let healthy = healthy != check.inverted;
    known.insert(&check.id, healthy);
    healthy
}

/// Whether enough was seen to tell: always, but for endpoints that were not asked often enough.
pub fn is_known(world: &World, check: &HealthCheck) -> bool {
    check.asks().is_none() || world.health_checks.contains_key(&check.id)
}

/// What the data say that an alarm looks at. What SetAlarmState says has no effect here.
fn quiet(world: &World, of: &AlarmCheck) -> bool {
    let alarm = world
        .account
        .alarms
        .get(of.region.as_str(), of.alarm.as_str());
    let ok = |state: AlarmState| state == AlarmState::Ok;
    let now = alarm.and_then(|it| it.measured);
    match (
        now.filter(|it| *it != AlarmState::InsufficientData),
        of.insufficient_data,
    ) {
        (Some(state), _) => ok(state),
        (None, Unsure::Healthy) => true,
        (None, Unsure::Unhealthy) => false,
        (None, Unsure::LastKnownStatus) => alarm.and_then(|it| it.conclusive).is_none_or(ok),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Slot;
    use crate::alarm::{ALARM, Finding};
    use crate::event::{Event, EventKind};
    use crate::time::Time;

    const STACK: &str = "
region: ap-northeast-2
availability-zones: [a]
health-checks:
  one: { fully-qualified-domain-name: one.example.com }
  two: { fully-qualified-domain-name: two.example.com }
  off: { fully-qualified-domain-name: off.example.com, disabled: true }
  not-one: { fully-qualified-domain-name: one.example.com, inverted: true }
  not-off: { fully-qualified-domain-name: off.example.com, disabled: true, inverted: true }
  both: { type: CALCULATED, child-health-checks: [one, two], health-threshold: 2 }
  any: { type: CALCULATED, child-health-checks: [one, two], health-threshold: 1 }
  three: { type: CALCULATED, child-health-checks: [one, off], health-threshold: 3 }
  none: { type: CALCULATED, child-health-checks: [one], health-threshold: 0 }
  neither: { type: CALCULATED, child-health-checks: [any], health-threshold: 1, inverted: true }
  last: { type: CLOUDWATCH_METRIC, alarm: { name: few } }
  up: { type: CLOUDWATCH_METRIC, alarm: { name: few }, insufficient-data-health-status: Healthy }
  down: { type: CLOUDWATCH_METRIC, alarm: { name: few }, insufficient-data-health-status: Unhealthy }
";

    fn world() -> World {
        let (topology, notes) = crate::check::check(STACK, "stack.yaml");
        let topology = topology.unwrap_or_else(|| panic!("{notes:?}"));
        let plan = crate::plan::plan(&topology, Slot::new(64).expect("a slot"));
        World::new(&plan)
    }

    fn check(world: &World, expected: &[(&str, bool)]) {
        for (id, healthy) in expected {
            let found = checked(&world.plan.topology, world, &(*id).into());
            assert_eq!(found, *healthy, "{id}");
        }
    }

    #[test]
    fn s6_4_states_follow_from_what_was_seen() {
        let mut world = world();
        check(
            &world,
            &[
                ("one", true),
                ("not-one", false),
                ("off", true),
                ("not-off", false),
                ("both", true),
                ("three", false),
                ("none", true),
                ("neither", false),
                ("nobody", true),
            ],
        );
        world.health_checks.insert("one".into(), false);
        world.health_checks.insert("off".into(), false);
        world.health_checks.insert("not-one".into(), false);
        check(
            &world,
            &[
                ("one", false),
                ("not-one", true),
                ("off", true),
                ("both", false),
                ("any", true),
                ("none", true),
            ],
        );
        world.health_checks.insert("two".into(), false);
        check(&world, &[("any", false), ("neither", true)]);
    }

    #[test]
    fn many_ways_to_one_health_check_are_gone_once() {
        let mut stack = "
region: ap-northeast-2
availability-zones: [a]
health-checks:
  c0: { fully-qualified-domain-name: one.example.com }
  d0: { fully-qualified-domain-name: two.example.com }
"
        .to_owned();
        for n in 1..60 {
            let below = n - 1;
            for name in ["c", "d"] {
                stack += &format!(
                    "  {name}{n}: {{ type: CALCULATED, child-health-checks: [c{below}, d{below}], health-threshold: 1 }}\n"
                );
            }
        }
        let (topology, notes) = crate::check::check(&stack, "stack.yaml");
        let topology = topology.unwrap_or_else(|| panic!("{notes:?}"));
        let plan = crate::plan::plan(&topology, Slot::new(64).expect("a slot"));
        let mut world = World::new(&plan);
        for id in ["c0", "d0"] {
            world.health_checks.insert(id.into(), false);
        }
        check(&world, &[("c59", false)]);
    }

    #[test]
    fn s6_4_an_alarm_s_data_are_followed_and_not_what_somebody_sets() {
        let mut world = world();
        let mut seq = world.seq;
        let mut apply = |world: &mut World, event: EventKind| {
            seq += 1;
            let at = Time::ZERO;
            world.apply(&Event { seq, at, event });
        };
        let found = |state: AlarmState, by_hand: bool| EventKind::AlarmStateChanged {
            alarm: "few".into(),
            region: "ap-northeast-2".into(),
            finding: Finding {
                state,
                reason: String::new(),
                data: None,
                by_hand,
            },
        };
        let unsure = [("last", true), ("up", true), ("down", false)];
        check(&world, &unsure);
        let recorded = EventKind::ResourceRecorded {
            resource: ALARM.to_owned(),
            region: "ap-northeast-2".into(),
            id: "few".to_owned(),
            attributes: serde_json::json!({}),
        };
        apply(&mut world, recorded);
        check(&world, &unsure);
        apply(&mut world, found(AlarmState::Alarm, true));
        check(&world, &unsure);
        // The same was found afterwards: then it is so.
        apply(&mut world, found(AlarmState::Alarm, false));
        check(&world, &[("last", false), ("up", false), ("down", false)]);
        apply(&mut world, found(AlarmState::Ok, true));
        check(&world, &[("last", false)]);
        apply(&mut world, found(AlarmState::InsufficientData, false));
        check(&world, &[("last", false), ("up", true), ("down", false)]);
        apply(&mut world, found(AlarmState::Ok, false));
        check(&world, &[("last", true), ("up", true), ("down", true)]);
    }
}
