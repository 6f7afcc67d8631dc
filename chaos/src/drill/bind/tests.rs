use topologies::notes::{self, Style};

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
    let shown = notes::render(&errors, text, "drill.yaml", Style::Plain);
    insta::assert_snapshot!(shown, @r"
    error: endpoint `order` does not exist in this stack
     --> drill.yaml:3:28
      |
    3 |   - sql-writes: {endpoint: order}
      |                            ^^^^^
      = hint: did you mean `orders`?

    error: endpoint `orders` does not take Redis writes
     --> drill.yaml:4:30
      |
    4 |   - redis-writes: {endpoint: orders}
      |                              ^^^^^^

    error: DB instance or replication group `carts` does not exist
     --> drill.yaml:6:5
      |
    6 |   - at: 1s
      |     ^

    error: instance `web-9` does not exist (did you mean `web-1`?)
     --> drill.yaml:8:5
      |
    8 |   - at: 1s
      |     ^

    error: DB instance or replication group `session` does not exist in this stack
      --> drill.yaml:12:5
       |
    12 |   - redundancy-restored: {of: session, within: 1s}
       |     ^
       = hint: did you mean `sessions`?
    ");
}

#[test]
fn what_earlier_steps_leave_no_room_for_is_told() {
    let steps = |steps: &[&str]| {
        let mut text =
            "name: again\nworkload:\n  - sql-writes: {endpoint: orders}\nsteps:\n".to_owned();
        for step in steps {
            text += &format!("  - {{at: 1s, {step}}}\n");
        }
        text += "duration: 3s\nexpect:\n  - no-acknowledged-write-lost: {endpoint: orders}\n";
        let bound = parse(&text)
            .unwrap()
            .bind(&plan(), &Presence::initial(&plan()));
        let notes = bound.err().unwrap_or_default();
        notes
            .into_iter()
            .map(|note| note.message)
            .collect::<Vec<_>>()
    };
    let (dark, same) = (
        "inject: {kill-az: {zone: a}}",
        "inject: {kill-az: {zone: primary-of orders}}",
    );
    let in_it = "inject: {freeze: {instance: primary-of orders}}";
    let twice = steps(&[dark, same, "heal: all", same]);
    assert_eq!(twice.len(), 1, "{twice:?}");
    assert!(
        twice[0].starts_with("an earlier step does that already: "),
        "{twice:?}"
    );
    let unpowered = steps(&[dark, in_it]);
    assert_eq!(unpowered.len(), 1, "{unpowered:?}");
    assert!(
        unpowered[0].starts_with("after the steps before, instance "),
        "{unpowered:?}"
    );
    let named = format!("{dark}, as: outage");
    assert!(steps(&[&named, "heal: outage", dark]).is_empty());
    // The process of the frozen instance ended, and so did its freeze.
    let kill = "inject: {kill: {instance: primary-of orders}}";
    assert!(steps(&[in_it, kill, in_it]).is_empty());
}
