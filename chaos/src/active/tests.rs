use super::*;
use crate::fault::{Direction, OUTSIDE};
use crate::sample::{plan, zone};
use proptest::prelude::*;
use std::time::Duration;
use topologies::address::ZoneNumber;
use topologies::network::Path;

fn kill_az(letter: &str, mode: ZoneLoss) -> Fault {
    let zone = zone(letter);
    Fault::KillAz { zone, mode }
}

fn slow(from: ZoneId, to: ZoneId, millis: u64) -> Fault {
    Fault::Slow {
        from,
        to,
        latency: Duration::from_millis(millis),
        jitter: Duration::ZERO,
        direction: Direction::BothWays,
    }
}

fn stop(instance: &str) -> Fault {
    let instance = instance.into();
    Fault::Stop { instance }
}

fn inject(faults: &mut Faults, fault: Fault) -> Result<(FaultId, Change), InjectError> {
    faults.inject(fault, Time::ZERO, &plan(), &BTreeSet::new())
}

#[test]
fn overlapping_faults_compose_and_healing_one_keeps_the_others() {
    let plan = plan();
    let mut faults = Faults::default();
    let (power, change) = inject(&mut faults, kill_az("a", ZoneLoss::Power)).unwrap();
    assert_eq!(change.afflict, [Affliction::PowerLoss(zone("a"))]);
    let (cut, change) = inject(&mut faults, kill_az("a", ZoneLoss::Network)).unwrap();
    assert_eq!(change.afflict, [Affliction::Isolation(zone("a"))]);
    assert_eq!(change.relieve, []);

    let (_, change) = faults.heal(&power, &plan).unwrap();
    assert_eq!(change.relieve, [Affliction::PowerLoss(zone("a"))]);
    let [a, b] = [1, 2].map(|number| ZoneNumber::zone(number).unwrap());
    assert_eq!(change.network.path(a, b), Path::Dark);
    assert_eq!(change.network.path(a, a), Path::SOUND);
    let (_, change) = faults.heal(&cut, &plan).unwrap();
    assert_eq!(change.network, Network::default());
}

#[test]
fn delays_add_up_and_a_cut_wins() {
    let mut faults = Faults::default();
    let outside = ZoneId::from(OUTSIDE);
    inject(&mut faults, slow(zone("a"), outside.clone(), 100)).unwrap();
    let (_, change) = inject(&mut faults, slow(outside.clone(), zone("a"), 20)).unwrap();
    let a = ZoneNumber::zone(1).unwrap();
    let latency = Duration::from_millis(120);
    let jitter = Duration::ZERO;
    let path = |network: &Network| network.path(ZoneNumber::OUTSIDE, a);
    assert_eq!(path(&change.network), Path::Open { latency, jitter });
    let cut = Fault::Partition {
        from: outside,
        to: zone("a"),
        direction: Direction::OneWay,
    };
    let (_, change) = inject(&mut faults, cut).unwrap();
    assert_eq!(path(&change.network), Path::Dark);
    let back = change.network.path(a, ZoneNumber::OUTSIDE);
    assert_eq!(back, Path::Open { latency, jitter });
}

#[test]
fn a_kill_is_over_at_once() {
    let mut faults = Faults::default();
    let instance = InstanceId::from("web-1");
    let (id, change) = inject(
        &mut faults,
        Fault::Kill {
            instance: instance.clone(),
        },
    )
    .unwrap();
    assert_eq!(change.afflict, [Affliction::Kill(instance)]);
    assert!(faults.active().is_empty());
    let error = faults.heal(&id, &plan()).unwrap_err();
    assert_eq!(error.to_string(), "fault `f1` is over already");
}

#[test]
fn the_impossible_is_refused_clearly() {
    let plan = plan();
    let mut faults = Faults::default();
    let kill = |instance: &str| Fault::Kill {
        instance: instance.into(),
    };
    let refused =
        |faults: &mut Faults, fault: Fault| inject(faults, fault).unwrap_err().to_string();

    let (id, _) = inject(&mut faults, kill_az("a", ZoneLoss::Power)).unwrap();
    assert_eq!(
        refused(&mut faults, kill_az("a", ZoneLoss::Power)),
        "fault `f1` does that already: zone ap-northeast-2a loses power"
    );
    assert_eq!(
        refused(&mut faults, kill("web-1")),
        "instance `web-1` is down already: zone `ap-northeast-2a` has no power"
    );
    inject(&mut faults, stop("web-2")).unwrap();
    assert_eq!(
        refused(&mut faults, kill("web-2")),
        "instance `web-2` is down already"
    );
    let down = BTreeSet::from([InstanceId::from("web-3")]);
    assert!(
        faults
            .inject(kill("web-3"), Time::ZERO, &plan, &down)
            .is_err()
    );
    // What was refused has taken no number.
    assert_eq!(
        inject(&mut faults, stop("web-3")).unwrap().0,
        FaultId::from("f3")
    );

    faults.heal(&id, &plan).unwrap();
    assert_eq!(
        faults.heal(&id, &plan).unwrap_err().to_string(),
        "fault `f1` is over already"
    );
    assert_eq!(
        faults.heal(&"f9".into(), &plan).unwrap_err().to_string(),
        "fault `f9` does not exist; in force: f2, f3"
    );
    let (healed, change) = faults.heal_all(&plan);
    assert_eq!((healed.len(), change.relieve.len()), (2, 2));
    assert_eq!(faults.heal_all(&plan), (Vec::new(), Change::default()));
    assert_eq!(
        faults.heal(&"all".into(), &plan).unwrap_err().to_string(),
        "fault `all` does not exist; no fault is in force"
    );
}

fn any_fault() -> impl Strategy<Value = Fault> {
    let letter = || prop::sample::select(vec!["a", "b", "c"]);
    let instance = || prop::sample::select(vec!["web-1", "orders-1", "sessions-003"]);
    let direction = || prop::sample::select(vec![Direction::BothWays, Direction::OneWay]);
    prop_oneof![
        (letter(), any::<bool>()).prop_map(|(letter, power)| {
            kill_az(
                letter,
                if power {
                    ZoneLoss::Power
                } else {
                    ZoneLoss::Network
                },
            )
        }),
        instance().prop_map(|instance| Fault::Kill {
            instance: instance.into()
        }),
        instance().prop_map(stop),
        instance().prop_map(|instance| Fault::Freeze {
            instance: instance.into()
        }),
        (letter(), letter(), direction()).prop_map(|(from, to, direction)| Fault::Partition {
            from: zone(from),
            to: zone(to),
            direction,
        }),
        (letter(), letter(), 1..500_u64).prop_map(|(from, to, millis)| slow(
            zone(from),
            zone(to),
            millis
        )),
    ]
}

proptest! {
    /// Whoever follows the changes has, at every moment, exactly the afflictions and the network of the set in force; and when all
    /// is healed, in whatever order, everything is sound.
    #[test]
    fn changes_lead_from_sound_to_sound(
        steps in prop::collection::vec(prop_oneof![
            3 => any_fault().prop_map(Some),
            1 => Just(None),
        ], 0..30),
        order in any::<prop::sample::Index>(),
    ) {
        let plan = plan();
        let mut faults = Faults::default();
        let mut lasting = BTreeSet::new();
        let mut network = Network::default();
        let mut follow = |change: Change, conditions: Conditions| {
            for relieved in &change.relieve {
                assert!(lasting.remove(relieved), "{relieved:?} was not in force");
            }
            for afflicted in change.afflict {
                if !matches!(afflicted, Affliction::Kill(_)) {
                    assert!(lasting.insert(afflicted), "afflicted twice");
                }
            }
            network = change.network;
            assert_eq!(lasting, conditions.afflictions);
            assert_eq!(network, conditions.network);
        };
        for step in steps {
            match step {
                Some(fault) => if let Ok((_, change)) = inject(&mut faults, fault) {
                    follow(change, faults.conditions(&plan));
                },
                None => if !faults.active().is_empty() {
                    let id = faults.active()[order.index(faults.active().len())].id.clone();
                    let (_, change) = faults.heal(&id, &plan).unwrap();
                    follow(change, faults.conditions(&plan));
                },
            }
        }
        while !faults.active().is_empty() {
            let id = faults.active()[order.index(faults.active().len())].id.clone();
            let (_, change) = faults.heal(&id, &plan).unwrap();
            follow(change, faults.conditions(&plan));
        }
        prop_assert_eq!(faults.conditions(&plan), Conditions::default());
    }
}
