//! Which target of a group a node may use. Pure; the same for both kinds of load balancer.

use std::collections::BTreeMap;

use topologies::id::{TargetGroupId, ZoneId};

use crate::routes::{LoadBalancer, Target, TargetGroup, TargetState};

/// The targets of a group that a node may use.
///
/// A node uses the targets that it sees healthy. If there are none, or fewer than the group's threshold, it fails open and uses all
/// registered ones, unhealthy or not yet checked ("ALB target groups: routing failover"; "NLB health checks: fail-open"). With cross-zone
/// off, only the targets of its own zone exist for it. With cross-zone on, the targets of a zone that the load balancer is shifted away
/// from are left out, unless that leaves none that is healthy ("Zonal shift", aws-behaviour §6.6).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usable<'a> {
    group: &'a TargetGroup,
    zone: &'a ZoneId,
    cross_zone: bool,
    away: Option<&'a ZoneId>,
    only_healthy: bool,
    count: usize,
}

impl<'a> Usable<'a> {
    /// Those at the node in `zone`.
    pub(crate) fn at(
        load_balancer: &'a LoadBalancer,
        group: &'a TargetGroup,
        zone: &'a ZoneId,
    ) -> Self {
        let cross_zone = group.cross_zone.unwrap_or(load_balancer.cross_zone);
        let mut usable = Self {
            group,
            zone,
            cross_zone,
            away: None,
            only_healthy: false,
            count: 0,
        };
        usable.only_healthy = true;
        let healthy = usable.iter().count();
        let registered = || {
            let only_healthy = false;
            let all = Self {
                only_healthy,
                ..usable
            };
            all.iter().count()
        };
        let threshold = group.routing.unhealthy_state_routing;
        let of = threshold.percentage.map_or(healthy, |_| registered());
        (usable.only_healthy, usable.count) = if threshold.is_met(healthy, of) {
            (true, healthy)
        } else {
            (false, registered())
        };
        if let (true, Some(away)) = (usable.only_healthy && cross_zone, &load_balancer.away_from) {
            usable.away = Some(away);
            match usable.iter().count() {
                0 => usable.away = None,
                staying => usable.count = staying,
            }
        }
        usable
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'a Target> {
        self.group.targets.iter().filter(move |target| {
            (self.cross_zone || target.zone == *self.zone)
                && Some(&target.zone) != self.away
                && if self.only_healthy {
                    target.health.get(self.zone) == Some(&TargetState::Healthy)
                } else {
                    !target
                        .health
                        .values()
                        .any(|it| *it == TargetState::Draining)
                }
        })
    }

    /// The target with this number in the order of turns.
    pub(crate) fn nth(self, turn: u64) -> Option<&'a Target> {
        let index = turn.checked_rem(u64::try_from(self.count).ok()?)?;
        self.iter().nth(usize::try_from(index).ok()?)
    }

    /// The target with the least of something; of several such the one whose turn it is.
    pub(crate) fn least(self, turn: u64, of: impl Fn(&Target) -> u32) -> Option<&'a Target> {
        let count = u64::try_from(self.count).ok()?;
        let first = turn.checked_rem(count)?;
        let after = |at: u64| (at + count - first) % count;
        let all = (0..).zip(self.iter());
        all.min_by_key(|(at, target)| (of(target), after(*at)))
            .map(|(_, target)| target)
    }
}

/// The target whose turn it is at the node in `zone`; none if the node has none at all.
pub(crate) fn pick<'a>(
    load_balancer: &'a LoadBalancer,
    group: &'a TargetGroup,
    zone: &'a ZoneId,
    turn: u64,
) -> Option<&'a Target> {
    Usable::at(load_balancer, group, zone).nth(turn)
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
            headers: topologies::topology::Headers::default(),
            nodes: Vec::new(),
            listeners: Vec::new(),
        };
        let group = TargetGroup {
            cross_zone: cross_zone.1,
            routing: topologies::topology::Balancing::default(),
            targets,
        };
        let zone = "a".into();
        let picked: Vec<&str> = (0..4)
            .filter_map(|turn| pick(&load_balancer, &group, &zone, turn))
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

    fn sound(cross_zone: bool) -> LoadBalancer {
        LoadBalancer {
            kind: LoadBalancerType::Application,
            cross_zone,
            away_from: None,
            idle_timeout: Duration::from_secs(60),
            headers: topologies::topology::Headers::default(),
            nodes: Vec::new(),
            listeners: Vec::new(),
        }
    }

    /// With fewer healthy targets than the threshold a node sends to all.
    #[test]
    fn s4_5_routing_fails_over_below_the_threshold() {
        let sick = (Unhealthy, Unhealthy);
        let both = (Healthy, Healthy);
        let targets = vec![target("a1", both), target("a2", sick), target("a3", both)];
        let table = [
            (Some(1), None, "a1 a3 a1"),
            (Some(2), None, "a1 a3 a1"),
            (Some(3), None, "a1 a2 a3"),
            (None, Some(66), "a1 a3 a1"),
            (None, Some(67), "a1 a2 a3"),
        ];
        for (count, percentage, expected) in table {
            let mut routing = topologies::topology::Balancing::default();
            routing.unhealthy_state_routing.count = count;
            routing.unhealthy_state_routing.percentage = percentage;
            let group = TargetGroup {
                cross_zone: None,
                routing,
                targets: targets.clone(),
            };
            let (lb, zone) = (sound(true), "a".into());
            let picked = (0..3).filter_map(|turn| pick(&lb, &group, &zone, turn));
            let picked: Vec<&str> = picked.map(|it| it.instance.as_str()).collect();
            assert_eq!(picked.join(" "), expected, "{count:?} {percentage:?}");
        }
    }

    /// The fewest outstanding requests; equals take turns.
    #[test]
    fn s4_3_least_outstanding_requests() {
        let both = (Healthy, Healthy);
        let group = TargetGroup {
            cross_zone: None,
            routing: topologies::topology::Balancing::default(),
            targets: vec![target("a1", both), target("a2", both), target("a3", both)],
        };
        let (lb, zone) = (sound(true), "a".into());
        let usable = Usable::at(&lb, &group, &zone);
        for (busy, expected) in [
            ([0, 0, 0], "a1 a2 a3 a1"),
            ([1, 0, 1], "a2 a2 a2 a2"),
            ([3, 1, 1], "a2 a2 a3 a2"),
        ] {
            let of = |target: &Target| match target.instance.as_str() {
                "a1" => busy[0],
                "a2" => busy[1],
                _ => busy[2],
            };
            let picked = (0..4).filter_map(|turn| usable.least(turn, of));
            let picked: Vec<&str> = picked.map(|it| it.instance.as_str()).collect();
            assert_eq!(picked.join(" "), expected, "{busy:?}");
        }
    }
}
