//! Bad input: every mistake is told with its place and a way out.

mod databases;
mod dns;
mod files;
mod instances;
mod stack;

use topologies::check::check;
use topologies::notes::{Style, has_errors, render};

/// The beginning of a sound file with two zones, a group of instances and a target group.
const BASE: &str = "\
region: us-east-1
availability-zones: [a, b]
instances: { web: { program: app, port: 80 } }
target-groups: { web: { targets: web }, tcp: { targets: web, protocol: TCP } }
";

fn notes(text: &str) -> String {
    let (topology, notes) = check(text, "shop.yaml");
    assert_eq!(topology.is_none(), has_errors(&notes), "{text}");
    render(&notes, text, "shop.yaml", Style::Plain)
}

/// The notes about [`BASE`] followed by `rest`, but not those about unused target groups.
fn base(rest: &str) -> String {
    let all = notes(&format!("{BASE}{rest}"));
    let notes = all
        .split("\n\n")
        .filter(|note| !note.contains("is used by no listener"));
    notes
        .map(|note| format!("{}\n\n", note.trim_end()))
        .collect()
}

/// One snapshot per family of mistakes: the inputs' titles and all their notes.
fn told(name: &str, cases: &[(&str, String)]) {
    let shown = cases.iter().map(|(title, notes)| {
        assert!(
            notes.contains("error") || notes.contains("warning"),
            "{title} was accepted"
        );
        format!("## {title}\n{}\n", notes.trim_end())
    });
    insta::assert_snapshot!(name, shown.collect::<Vec<_>>().join("\n"));
}
