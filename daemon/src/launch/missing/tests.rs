use topologies::address::Slot;
use topologies::check::check;
use topologies::world::TargetView;

use super::*;

/// A database in both zones, a web instance in each, a load balancer.
fn plan() -> Plan {
    let file = "\
region: us-east-1
availability-zones: [a, b]
instances: { web: { program: app, port: 80, count: 2 } }
target-groups: { shop: { targets: web } }
load-balancers: { site: { type: application, listeners: [ { port: 80, default-action: { forward: shop } } ] } }
db-instances: { orders: { multi-az: true } }
";
    let (topology, notes) = check(file, "t.yaml");
    let topology = topology.unwrap_or_else(|| panic!("{notes:?}"));
    topologies::plan::plan(&topology, Slot::new(Slot::MIN).unwrap())
}

/// Everything of it runs, answers and is healthy but for what is in zone b.
fn without_b(plan: &Plan) -> World {
    let mut world = World::new(plan);
    for instance in plan
        .instances
        .iter()
        .filter(|one| one.zone == "us-east-1a".into())
    {
        let state = world.instances.get_mut(&instance.id).unwrap();
        state.reachable = Some(true);
        state.process = ProcessState::Running {
            handle: "1".to_owned(),
        };
        seen(&mut world, instance.id.as_str(), TargetHealth::Healthy, "");
    }
    let nodes = [("us-east-1a".into(), true), ("us-east-1b".into(), false)];
    world
        .nodes
        .insert("site".into(), nodes.into_iter().collect());
    for db in world.databases.values_mut() {
        db.status = DbInstanceStatus::Available;
    }
    world
}

fn seen(world: &mut World, target: &str, state: TargetHealth, reason: &str) {
    let view = TargetView {
        state,
        reason: reason.to_owned(),
        description: String::new(),
    };
    let group = world.targets.entry("shop".into()).or_default();
    let views = group.entry(target.into()).or_default();
    views.insert("us-east-1a".into(), view);
}

fn no_power(zone: &str) -> BTreeSet<Affliction> {
    [Affliction::PowerLoss(zone.into())].into_iter().collect()
}

#[test]
fn only_what_is_not_struck_is_waited_for() {
    let plan = plan();
    let world = without_b(&plan);
    let b = Struck::by(&plan, &no_power("us-east-1b"));
    assert!(b.spared_answer(&plan, &world));
    assert_eq!(b.in_words(), "orders-2, web-2");
    let nothing = Struck::by(&plan, &BTreeSet::new());
    assert!(nothing.is_empty() && !nothing.spared_answer(&plan, &world));
    let stopped = Affliction::Stop("web-2".into());
    let web = Struck::by(&plan, &[stopped].into_iter().collect());
    assert!(
        !web.spared_answer(&plan, &world),
        "the standby is not struck"
    );
}

#[test]
fn a_database_that_was_stopped_is_not_waited_for() {
    let plan = plan();
    let mut world = without_b(&plan);
    let db = world.databases.get_mut("orders").unwrap();
    db.status = DbInstanceStatus::Stopped;
    for host in ["orders-1", "orders-2"] {
        world.instances.get_mut(host).unwrap().reachable = Some(false);
    }
    assert_eq!(engines(&world), Vec::<String>::new());
    let a = Struck::by(&plan, &[Affliction::Freeze("web-2".into())].into());
    assert!(a.spared_answer(&plan, &world));
    world.databases.get_mut("orders").unwrap().status = DbInstanceStatus::Creating;
    assert_eq!(engines(&world), ["orders"]);
    assert!(!a.spared_answer(&plan, &world));
}

#[test]
fn a_standby_in_sync_is_waited_for_to_take_over() {
    let plan = plan();
    let a = Struck::by(&plan, &no_power("us-east-1a"));
    let mut world = without_b(&plan);
    for instance in plan
        .instances
        .iter()
        .filter(|one| one.zone == "us-east-1b".into())
    {
        let state = world.instances.get_mut(&instance.id).unwrap();
        state.reachable = Some(true);
        state.process = ProcessState::Running {
            handle: "1".to_owned(),
        };
    }
    assert!(a.spared_answer(&plan, &world), "nobody may be promoted");
    for db in world.databases.values_mut() {
        db.standby.as_mut().unwrap().in_sync = true;
    }
    assert!(!a.spared_answer(&plan, &world));
}

#[test]
fn what_is_missing_is_named_with_its_reason() {
    let plan = plan();
    let mut world = World::new(&plan);
    assert_eq!(in_words(&plan, &world), "orders, web-1, web-2");
    for db in world.databases.values_mut() {
        db.status = DbInstanceStatus::Available;
    }
    for state in world.instances.values_mut() {
        state.reachable = Some(true);
        state.process = ProcessState::Running {
            handle: "1".to_owned(),
        };
    }
    assert_eq!(in_words(&plan, &world), "site");
    seen(&mut world, "web-1", TargetHealth::Healthy, "");
    seen(
        &mut world,
        "web-2",
        TargetHealth::Unhealthy,
        "Target.ResponseCodeMismatch",
    );
    let why = "web-2 is not healthy in target group shop (Target.ResponseCodeMismatch)";
    assert_eq!(in_words(&plan, &world), why);
    assert!(unhealthy(&plan, &world)[0].refuses());
    seen(&mut world, "web-2", TargetHealth::Unhealthy, TARGET_TIMEOUT);
    assert!(!unhealthy(&plan, &world)[0].refuses());
}
