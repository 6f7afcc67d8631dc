//! Zonal shifts end by themselves when their time is over (aws-behaviour §6.6).

use topologies::event::EventKind;
use topologies::id::{LoadBalancerId, ZonalShiftId};
use topologies::time::Time;
use topologies::world::World;
use topologies::zonal_shift::ZonalShiftStatus;

use super::desk::Desk;

/// Ends those whose time is over.
pub fn decide(desk: &mut Desk<'_>) {
    let active = desk.world().account.zonal_shifts.active();
    let over = active.filter(|(_, shift)| shift.expires <= desk.now);
    let over = over.map(|(id, shift)| (id.clone(), shift.load_balancer.clone()));
    let over: Vec<(ZonalShiftId, LoadBalancerId)> = over.collect();
    for (shift, load_balancer) in over {
        desk.emit(EventKind::ZonalShiftEnded {
            shift,
            load_balancer,
            status: ZonalShiftStatus::Expired,
        });
    }
}

/// When to decide anew without a stimulus, and why.
pub fn deadline(world: &World) -> Option<(Time, &'static str)> {
    let active = world.account.zonal_shifts.active();
    let next = active.map(|(_, shift)| shift.expires).min()?;
    Some((next, "the end of a zonal shift"))
}

#[cfg(test)]
mod tests {
    use topologies::address::Slot;
    use topologies::plan::plan;

    use super::*;
    use crate::control::{Control, Stimulus};

    #[test]
    fn s6_6_a_shift_expires_when_its_time_is_over_and_not_before() {
        let (topology, _) = topologies::check::check(
            include_str!("../../../topologies/tier-1k.yaml"),
            "tier-1k.yaml",
        );
        let topology = topology.expect("the tier is sound");
        let lb = topology.load_balancers[0].clone();
        let plan = plan(&topology, Slot::new(64).expect("a slot"));
        let mut control = Control::new(World::new(&plan), 1);
        let expires = Time::from_millis(60_000);
        let started = EventKind::ZonalShiftStarted {
            shift: "one".into(),
            load_balancer: lb.id.clone(),
            region: lb.region.clone(),
            away_from: lb.zones[0].clone(),
            started: Time::ZERO,
            expires,
            comment: "leave".to_owned(),
            by: None,
        };
        control.handle(Stimulus::Note(started), Time::ZERO);
        let status = |control: &Control| {
            control
                .world()
                .account
                .zonal_shifts
                .get("one")
                .map(|it| it.status)
        };
        assert!(control.poll_timeout().is_some_and(|(at, _)| at <= expires));
        control.handle(Stimulus::Tick, Time::from_millis(59_999));
        assert_eq!(status(&control), Some(ZonalShiftStatus::Active));
        control.handle(Stimulus::Tick, expires);
        assert_eq!(status(&control), Some(ZonalShiftStatus::Expired));
    }
}
