use super::*;
use crate::drill::parse;
use crate::presence::Role;
use crate::sample::{plan, zone};

#[test]
fn targets_by_role_become_exact() {
    let drill = parse(include_str!("../../../drills/az-power.yaml")).unwrap();
    let mut presence = Presence::initial(&plan());
    presence.roles.insert("orders-1".into(), Role::Standby);
    presence.roles.insert("orders-2".into(), Role::Primary);
    let bound = drill.bind(&plan(), &presence).unwrap();
    assert_eq!(bound.workload.len(), 3);
    let Action::Inject { fault, .. } = &bound.steps[0].action else {
        panic!("the first step injects");
    };
    assert_eq!(fault.target(), zone("b").as_str());
}

#[test]
fn every_misfit_is_told() {
    let text = "\
name: misfit
workload:
  - sql-writes: {endpoint: order}
  - redis-writes: {endpoint: orders}
steps:
  - at: 1s
    inject: {kill-az: {zone: primary-of carts}}
  - at: 1s
    inject: {kill: {instance: web-9}}
duration: 3s
expect:
  - redundancy-restored: {of: session, within: 1s}
";
    let errors = parse(text)
        .unwrap()
        .bind(&plan(), &Presence::initial(&plan()))
        .unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(errors.join("\n"), @"
    endpoint `order` does not exist in this stack (did you mean `orders`?)
    endpoint `orders` does not take Redis writes
    step at 1s: DB instance or replication group `carts` does not exist
    step at 1s: instance `web-9` does not exist (did you mean `web-1`?)
    DB instance or replication group `session` does not exist in this stack (did you mean `sessions`?)
    ");
}
