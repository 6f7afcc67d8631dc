//! Which target of a group a node may use. Pure; the same for both kinds of load balancer.

use std::collections::BTreeMap;

use topologies::id::{TargetGroupId, ZoneId};

use crate::routes::{LoadBalancer, Target, TargetGroup, TargetState};

/// The target whose turn it is at the node in `zone`; none if the node has none at all.
///
/// A node uses the targets that it sees healthy. If there are none it fails open and uses all registered ones, unhealthy
/// or not yet checked ("ALB target groups: routing failover"; "NLB health checks: fail-open"). With cross-zone off, only
/// the targets of its own zone exist for it. With cross-zone on, the targets of a zone that the load balancer is shifted away from
/// are left out, unless that leaves none that is healthy ("Zonal shift", aws-behaviour §6.6).
pub(crate) fn pick<'a>(
    load_balancer: &LoadBalancer,
    group: &'a TargetGroup,
    zone: &ZoneId,
    turn: u64,
) -> Option<&'a Target> {
    let cross_zone = group.cross_zone.unwrap_or(load_balancer.cross_zone);
    let registered = || {
        group.targets.iter().filter(move |target| {
            (cross_zone || target.zone == *zone)
                && !target
                    .health
                    .values()
                    .any(|it| *it == TargetState::Draining)
        })
    };
    let healthy =
        || registered().filter(|target| target.health.get(zone) == Some(&TargetState::Healthy));
    let away = load_balancer.away_from.as_ref().filter(|_| cross_zone);
    let staying = || healthy().filter(|target| Some(&target.zone) != away);
    nth(staying(), staying().count(), turn)
        .or_else(|| nth(healthy(), healthy().count(), turn))
        .or_else(|| nth(registered(), registered().count(), turn))
}

fn nth<T>(mut items: impl Iterator<Item = T>, count: usize, turn: u64) -> Option<T> {
    let index = turn.checked_rem(u64::try_from(count).ok()?)?;
    items.nth(usize::try_from(index).ok()?)
}

/// Whose turn it is, by target group and node.
#[derive(Debug, Default)]
pub(crate) struct Turns(BTreeMap<TargetGroupId, BTreeMap<ZoneId, u64>>);

impl Turns {
    /// The number of this request for `group` at the node in `zone`.
    pub(crate) fn next(&mut self, group: &TargetGroupId, zone: &ZoneId) -> u64 {
        if let Some(turn) = self.0.get_mut(group).and_then(|nodes| nodes.get_mut(zone)) {
            *turn = turn.wrapping_add(1);
            return *turn;
        }
        let nodes = self.0.entry(group.clone()).or_default();
        nodes.insert(zone.clone(), 0);
        0
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use topologies::address::{HostAddress, Slot, ZoneNumber};
    use topologies::topology::LoadBalancerType;

    use super::*;
    use TargetState::{Draining, Healthy, Initial, Unhealthy};

    /// A target `a1` in zone `a`, seen in this state from the nodes in `a` and `b`.
    fn target(name: &str, states: (TargetState, TargetState)) -> Target {
        Target {
            instance: name.into(),
            zone: name[..1].into(),
            address: HostAddress {
                slot: Slot::new(100).unwrap(),
                zone: ZoneNumber::zone(1).unwrap(),
                host: 1,
            },
            port: 80,
            health: BTreeMap::from([("a".into(), states.0), ("b".into(), states.1)]),
        }
    }

    /// Four turns of the node in zone `a`.
    fn check(cross_zone: (bool, Option<bool>), targets: Vec<Target>, expected: &str) {
        check_away(None, cross_zone, targets, expected);
    }

    fn check_away(
        away_from: Option<&str>,
        cross_zone: (bool, Option<bool>),
        targets: Vec<Target>,
        expected: &str,
    ) {
        let load_balancer = LoadBalancer {
            kind: LoadBalancerType::Application,
            cross_zone: cross_zone.0,
            away_from: away_from.map(Into::into),
            idle_timeout: Duration::from_secs(60),
            nodes: Vec::new(),
            listeners: Vec::new(),
        };
        let group = TargetGroup {
            cross_zone: cross_zone.1,
            targets,
        };
        let picked: Vec<&str> = (0..4)
            .filter_map(|turn| pick(&load_balancer, &group, &"a".into(), turn))
            .map(|target| target.instance.as_str())
            .collect();
        assert_eq!(picked.join(" "), expected);
    }

    #[test]
    fn healthy_targets_take_turns() {
        let both = (Healthy, Healthy);
        let three = || vec![target("a1", both), target("b1", both), target("a2", both)];
        check((true, None), three(), "a1 b1 a2 a1");
        check((false, None), three(), "a1 a2 a1 a2");
        check((true, Some(false)), three(), "a1 a2 a1 a2");
        check((false, Some(true)), three(), "a1 b1 a2 a1");
    }

    #[test]
    fn a_node_goes_by_what_it_sees_itself() {
        let split = vec![
            target("a1", (Unhealthy, Healthy)),
            target("b1", (Healthy, Unhealthy)),
        ];
        check((true, None), split, "b1 b1 b1 b1");
    }

    #[test]
    fn without_a_healthy_target_all_are_used() {
        let sick = |state| (state, Healthy);
        let targets = || vec![target("a1", sick(Unhealthy)), target("b1", sick(Initial))];
        check((true, None), targets(), "a1 b1 a1 b1");
        check((false, None), targets(), "a1 a1 a1 a1");
    }

    #[test]
    fn s6_6_with_cross_zone_targets_of_a_zone_shifted_away_from_get_nothing() {
        let both = (Healthy, Healthy);
        let three = || vec![target("a1", both), target("b1", both), target("b2", both)];
        check_away(Some("a"), (true, None), three(), "b1 b2 b1 b2");
        check_away(Some("b"), (true, None), three(), "a1 a1 a1 a1");
        check_away(Some("c"), (true, None), three(), "a1 b1 b2 a1");
        // A client that still comes to the zone's node is served there.
        check_away(Some("a"), (false, None), three(), "a1 a1 a1 a1");
        let alone = vec![target("a1", both), target("b1", (Unhealthy, Unhealthy))];
        check_away(Some("a"), (true, None), alone, "a1 a1 a1 a1");
    }

    #[test]
    fn draining_targets_and_empty_groups_get_nothing() {
        let draining = vec![target("a1", (Draining, Draining))];
        check((true, None), draining, "");
        check((true, None), vec![], "");
        check((false, None), vec![target("b1", (Healthy, Healthy))], "");
    }
}
