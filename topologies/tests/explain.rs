//! A topology that is explained is a topology file that means the same.

use topologies::check::{Overrides, check, check_with};
use topologies::explain::explain;
use topologies::id::StackId;
use topologies::notes::{Style, render};
use topologies::topology::Topology;

fn sound(text: &str) -> Topology {
    let (topology, notes) = check(text, "test.yaml");
    topology.unwrap_or_else(|| {
        panic!(
            "{}\n{text}",
            render(&notes, text, "test.yaml", Style::Plain)
        )
    })
}

fn comes_back(text: &str) {
    let topology = sound(text);
    let explained = explain(&topology);
    assert_eq!(sound(&explained), topology, "{explained}");
}

#[test]
fn tiers_come_back() {
    for text in [
        include_str!("../tier-1k.yaml"),
        include_str!("../tier-10k.yaml"),
    ] {
        comes_back(text);
    }
}

#[test]
fn tier_1k_is_explained() {
    insta::assert_snapshot!(explain(&sound(include_str!("../tier-1k.yaml"))));
}

/// A file that uses every field.
const EVERYTHING: &str = include_str!("everything.yaml");

#[test]
fn every_field_comes_back_at_every_pace() {
    comes_back(EVERYTHING);
    for scale in [1, 2, 7, 12, 25, 30, 60, 299, 1000] {
        comes_back(&EVERYTHING.replace(
            "health-check-scale: 10",
            &format!("health-check-scale: {scale}"),
        ));
    }
}

fn named(text: &str, name: &str) -> Topology {
    let overrides = Overrides {
        name: Some(StackId::from(name)),
        ..Overrides::default()
    };
    let (topology, notes) = check_with(text, "test.yaml", &overrides);
    topology.unwrap_or_else(|| panic!("{}", render(&notes, text, "test.yaml", Style::Plain)))
}

/// Names of endpoints have the stack's name in them: what is explained refers to them instead.
#[test]
fn what_is_explained_is_the_same_stack_under_another_name() {
    let every_reference = EVERYTHING.replace(
        "      - { name: db, type: CNAME, values: \"${orders.address}\" }\n",
        "      - { name: db, type: CNAME, values: \"${orders.address}\" }
      - { name: db-replica, type: CNAME, values: \"${orders-far.address}\" }
      - { name: cache, type: CNAME, values: \"${sessions.primary.address}\" }
      - { name: cache-ro, type: CNAME, values: \"${sessions.reader.address}\" }
      - { name: edge, type: CNAME, values: \"${edge.address}\" }
      - { name: below, type: CNAME, values: \"some.host.${site.address}\" }
      - { name: elsewhere, type: CNAME, values: www.example.com }\n",
    );
    assert_ne!(every_reference, EVERYTHING);
    for text in [
        include_str!("../tier-1k.yaml"),
        include_str!("../tier-10k.yaml"),
        EVERYTHING,
        &every_reference,
    ] {
        let explained = explain(&sound(text));
        for name in ["other", "a", "orders", "tier-1k"] {
            assert_eq!(named(&explained, name), named(text, name), "{explained}");
        }
    }
}

/// Text that YAML would take for something else, were it not quoted.
#[test]
fn awkward_texts_come_back() {
    for text in [
        "true",
        "null",
        "~",
        "1e3",
        "0x10",
        "- a",
        "a: b",
        "#x",
        "'",
        "\\\"",
        "\u{e9}\u{1f600}",
        " x ",
        "",
        "$${x}",
        "yes",
    ] {
        comes_back(&EVERYTHING.replace("PLACE", text));
    }
    comes_back(&EVERYTHING.replace("PLACE", "line\\nline\\n\\n  more\\ttab"));
}
