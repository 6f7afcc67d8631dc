use std::collections::BTreeMap;

use topologies::address::Slot;
use topologies::event::Event;
use topologies::experiment::{ActionBlueprint, ActionsMode, Blueprint, OnEmptyTarget, Target};
use topologies::time::Time;

use super::*;
use crate::aws::session::{Issuer, Principal};
use crate::aws::view::{Context, Facts};

const ACCOUNT: &str = "123456789012";
const REGION: &str = "ap-northeast-2";

fn tier() -> World {
    let text = include_str!("../../../../../topologies/tier-10k.yaml");
    let (topology, _) = topologies::check::check(text, "tier-10k.yaml");
    let topology = topology.expect("the tier is sound");
    World::new(&topologies::plan::plan(
        &topology,
        Slot::new(64).expect("a slot"),
    ))
}

fn apply(world: &mut World, event: EventKind) {
    let (seq, at) = (world.seq + 1, Time::ZERO);
    world.apply(&Event { seq, at, event });
}

/// An experiment of one action, `harm`.
fn experiment(
    id: &str,
    parameters: &[(&str, &str)],
    asked: Value,
    resources: Vec<String>,
) -> Experiment {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let parameters: BTreeMap<String, String> = parameters.iter().map(owned).collect();
    let lasts = meaning(id, &parameters).expect("it means something").lasts;
    let action = ActionBlueprint {
        action_id: id.to_owned(),
        description: None,
        parameters,
        targets: [owned(&("Part", "it"))].into(),
        start_after: Vec::new(),
        lasts,
    };
    let blueprint = Blueprint {
        region: REGION.into(),
        template: "EXT1".to_owned(),
        client_token: "token".to_owned(),
        role_arn: format!("arn:aws:iam::{ACCOUNT}:role/chaos"),
        targets: [("it".to_owned(), Target { asked, resources })].into(),
        actions: [("harm".to_owned(), action)].into(),
        stop_conditions: json!([]),
        on_empty_target: OnEmptyTarget::Fail,
        actions_mode: ActionsMode::RunAll,
    };
    Experiment::new(blueprint, Time::ZERO)
}

fn harm() -> ActionOf {
    ActionOf {
        experiment: "EXP1".into(),
        action: "harm".to_owned(),
    }
}

/// What happens at the beginning: events in the words of the timeline, faults in those of the reader.
fn begun(world: &World, experiment: &Experiment) -> Result<Vec<String>, String> {
    let context = Context {
        now: 0,
        region: REGION.to_owned(),
        service: Catalog::standard().service("fis").expect("a model"),
        caller: Principal {
            arn: format!("arn:aws:iam::{ACCOUNT}:root"),
            id: ACCOUNT.to_owned(),
        },
        entropy: [0; 16],
        facts: Facts {
            epoch: 0,
            port_offset: 0,
            issuer: Issuer::new([0; 32]),
            metrics: crate::aws::Metrics::default(),
        },
    };
    let Begun { changes, faults } = begin(&context.view(world), &harm(), experiment)?;
    let events = changes.iter().filter_map(|change| match change {
        Change::Note(event) => Some(format!("{} {event}", event.subject())),
        Change::Password { .. } | Change::SamePasswords { .. } => None,
    });
    let faults = faults.iter().map(ToString::to_string);
    Ok(events.chain(faults).collect())
}

fn subnet(zone: &str) -> String {
    let id = ids::subnet(&zone.into());
    format!("arn:aws:ec2:{REGION}:{ACCOUNT}:subnet/{id}")
}

fn instance(name: &str) -> String {
    let id = ids::instance(&name.into());
    format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{id}")
}

#[test]
fn s9_2_a_subnet_is_cut_off_from_everything_or_from_the_subnets_of_other_zones() {
    let world = tier();
    let check = |scope: &str, zones: &[&str], expected: &[&str]| {
        let parameters = [("duration", "PT1M"), ("scope", scope)];
        let subnets = zones.iter().map(|zone| subnet(zone)).collect();
        let experiment = experiment(
            "aws:network:disrupt-connectivity",
            &parameters,
            json!({}),
            subnets,
        );
        assert_eq!(
            begun(&world, &experiment).unwrap(),
            expected,
            "{scope} {zones:?}"
        );
    };
    let (a, c) = ("ap-northeast-2a", "ap-northeast-2c");
    check(
        "all",
        &[c, a],
        &[
            "zone ap-northeast-2a is cut off from the network",
            "zone ap-northeast-2c is cut off from the network",
        ],
    );
    check(
        "availability-zone",
        &[a],
        &[
            "link ap-northeast-2a <-> ap-northeast-2b is cut",
            "link ap-northeast-2a <-> ap-northeast-2c is cut",
        ],
    );
    // A pair is cut once.
    check(
        "availability-zone",
        &[a, c],
        &[
            "link ap-northeast-2a <-> ap-northeast-2b is cut",
            "link ap-northeast-2a <-> ap-northeast-2c is cut",
            "link ap-northeast-2b <-> ap-northeast-2c is cut",
        ],
    );
}

#[test]
fn s9_2_the_nodes_of_a_cache_in_the_zone_are_held_stopped() {
    let world = tier();
    let arn = format!("arn:aws:elasticache:{REGION}:{ACCOUNT}:replicationgroup:sessions");
    let check = |zone: &str| {
        let asked = json!({ "parameters": { ZONE: zone } });
        let id = "aws:elasticache:replicationgroup-interrupt-az-power";
        let experiment = experiment(id, &[("duration", "PT1M")], asked, vec![arn.clone()]);
        begun(&world, &experiment)
    };
    assert_eq!(
        check("apne2-az1").unwrap(),
        ["instance sessions-001 is stopped"]
    );
    assert_eq!(check("ap-northeast-2a"), check("apne2-az1"));
    assert!(
        check("apne2-az9")
            .unwrap_err()
            .contains("no zone apne2-az9")
    );
}

#[test]
fn s9_2_stopped_instances_are_started_again_but_not_those_that_were_terminated() {
    let mut world = tier();
    let stop = |tolerant: &str| {
        let parameters = [
            ("startInstancesAfterDuration", "PT1M"),
            ("completeIfInstancesTerminated", tolerant),
        ];
        let instances = vec![instance("web-1"), instance("web-2"), instance("web-3")];
        experiment("aws:ec2:stop-instances", &parameters, json!({}), instances)
    };
    for (name, wanted) in [("web-1", Wanted::Stopped), ("web-2", Wanted::Terminated)] {
        let instance = name.into();
        apply(&mut world, EventKind::InstanceWanted { instance, wanted });
    }
    let start = EventKind::InstanceWanted {
        instance: "web-1".into(),
        wanted: Wanted::Running,
    };
    let (events, failed) = end(&world, &harm(), &stop("false"));
    assert_eq!(events, [start]);
    assert!(failed.is_some_and(|why| why.contains(&ids::instance(&"web-2".into()))));
    assert_eq!(end(&world, &harm(), &stop("true")).1, None);
    // For good, if nobody said when.
    let mut for_good = stop("true");
    let action = for_good
        .blueprint
        .actions
        .get_mut("harm")
        .expect("it is there");
    action.lasts = Duration::ZERO;
    assert_eq!(end(&world, &harm(), &for_good), (Vec::new(), None));
}

#[test]
fn what_can_not_be_done_is_told_and_nothing_is_done() {
    let world = tier();
    let lost = vec![instance("web-1"), instance("nobody")];
    let stop = experiment("aws:ec2:stop-instances", &[], json!({}), lost);
    let why = begun(&world, &stop).unwrap_err();
    assert!(why.starts_with("InvalidInstanceID.NotFound"), "{why}");
    // Nothing was seen of it yet, so it is not available.
    let orders = vec![format!("arn:aws:rds:{REGION}:{ACCOUNT}:db:orders")];
    let reboot = experiment("aws:rds:reboot-db-instances", &[], json!({}), orders);
    let why = begun(&world, &reboot).unwrap_err();
    assert!(why.contains("not in available state"), "{why}");
}

#[test]
fn experiments_end_with_their_stack_and_what_they_stopped_is_to_run() {
    let mut world = tier();
    let parameters = [("startInstancesAfterDuration", "PT1H")];
    let stop = experiment(
        "aws:ec2:stop-instances",
        &parameters,
        json!({}),
        vec![instance("web-1")],
    );
    apply(
        &mut world,
        EventKind::ExperimentStarted {
            experiment: "EXP1".into(),
            blueprint: Box::new(stop.blueprint),
        },
    );
    assert_eq!(abandoned(&world).len(), 2, "its action has not begun");
    let running = EventKind::ExperimentActionStatusChanged {
        of: harm(),
        status: ActionStatus::Running,
        reason: None,
    };
    apply(&mut world, running);
    let stopped = EventKind::InstanceWanted {
        instance: "web-1".into(),
        wanted: Wanted::Stopped,
    };
    apply(&mut world, stopped);
    for event in abandoned(&world) {
        apply(&mut world, event);
    }
    let web = &world.instances[&InstanceId::from("web-1")];
    assert_eq!(web.wanted, Wanted::Running);
    let experiment = world.account.experiments.get("EXP1").expect("it is there");
    assert_eq!(experiment.status(), ExperimentStatus::Stopped);
    assert_eq!(experiment.action("harm"), Some(ActionStatus::Stopped));
    assert_eq!(abandoned(&world), []);
}
