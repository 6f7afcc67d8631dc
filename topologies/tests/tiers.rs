//! The topologies that are shipped: they are sound, short, and lay out as promised.

use std::collections::{BTreeMap, BTreeSet};

use topologies::address::Slot;
use topologies::check::check;
use topologies::notes::{Style, render};
use topologies::plan::{EndpointKind, Instance, Plan, Secrets, environment, plan};

const TIERS: [(&str, &str); 2] = [
    ("tier-1k.yaml", include_str!("../tier-1k.yaml")),
    ("tier-10k.yaml", include_str!("../tier-10k.yaml")),
];

fn planned(name: &str) -> Plan {
    let (file, text) = TIERS
        .iter()
        .find(|(file, _)| *file == name)
        .expect("a tier's name");
    let (topology, notes) = check(text, file);
    assert!(
        notes.is_empty(),
        "{}",
        render(&notes, text, file, Style::Plain)
    );
    plan(
        &topology.expect("there are no notes"),
        Slot::new(64).expect("64 is the first slot"),
    )
}

fn outline(plan: &Plan) -> String {
    let instances = plan.instances.iter().map(
        |Instance {
             id,
             zone,
             address,
             port,
             ..
         }| {
            format!(
                "{id} in {zone} at {}:{port}\n",
                address.seen_from(topologies::address::ZoneNumber::OUTSIDE)
            )
        },
    );
    let nodes = plan.nodes.iter().map(|node| {
        format!(
            "{} in {} at {}\n",
            node.load_balancer,
            node.zone,
            node.address
                .seen_from(topologies::address::ZoneNumber::OUTSIDE)
        )
    });
    let endpoints = plan
        .endpoints
        .iter()
        .map(|endpoint| format!("{} = {}:{}\n", endpoint.id, endpoint.name, endpoint.port));
    instances.chain(nodes).chain(endpoints).collect()
}

#[test]
fn tier_10k_is_laid_out() {
    insta::assert_snapshot!(outline(&planned("tier-10k.yaml")));
}

#[test]
fn tier_1k_is_laid_out() {
    insta::assert_snapshot!(outline(&planned("tier-1k.yaml")));
}

#[test]
fn tiers_are_short() {
    for (file, text) in TIERS {
        assert!(text.lines().count() < 80, "{file}");
    }
}

#[test]
fn addresses_identifiers_and_names_are_used_once() {
    for (file, _) in TIERS {
        let plan = planned(file);
        let hosts = plan
            .instances
            .iter()
            .map(|i| i.address)
            .chain(plan.nodes.iter().map(|n| n.address));
        let hosts: Vec<_> = hosts.collect();
        assert_eq!(hosts.iter().collect::<BTreeSet<_>>().len(), hosts.len());
        let ids: BTreeSet<_> = plan.endpoints.iter().map(|endpoint| &endpoint.id).collect();
        let names: BTreeSet<_> = plan
            .endpoints
            .iter()
            .map(|endpoint| &endpoint.name)
            .collect();
        assert_eq!(
            (ids.len(), names.len()),
            (plan.endpoints.len(), plan.endpoints.len())
        );
        assert!(
            hosts
                .iter()
                .all(|host| host.host >= 10 && host.slot.number() == 64)
        );
    }
}

#[test]
fn an_application_finds_its_stack_in_its_environment() {
    let plan = planned("tier-10k.yaml");
    let secrets = Secrets {
        master_passwords: BTreeMap::from([("orders".into(), "s3cret/&?".to_owned())]),
    };
    let web = plan.instance(&"web-2".into()).unwrap();
    let shown: String = environment(&plan, web, &secrets)
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    insta::assert_snapshot!(shown);
    let db = plan.instance(&"orders-1".into()).unwrap();
    assert!(environment(&plan, db, &secrets).is_empty());
}

#[test]
fn hosts_of_a_database_are_primary_first_and_replicas_have_their_own() {
    let plan = planned("tier-10k.yaml");
    let hosts = |db: &str| {
        let db = db.into();
        plan.db_hosts(&db)
            .map(|host| format!("{} {}", host.id, host.zone))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        hosts("orders"),
        ["orders-1 ap-northeast-2a", "orders-2 ap-northeast-2b"]
    );
    assert_eq!(
        hosts("orders-replica-1"),
        ["orders-replica-1 ap-northeast-2c"]
    );
    assert!(
        plan.endpoint(&EndpointKind::RdsInstance("orders-replica-2".into()))
            .is_some()
    );
}
