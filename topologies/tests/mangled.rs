//! Whatever the text is, checking it ends with a topology or with notes that have a place in it.

use proptest::prelude::*;
use topologies::address::Slot;
use topologies::check::check;
use topologies::explain::explain;
use topologies::notes::{Style, has_errors, render};
use topologies::plan::plan;

const TIERS: [&str; 2] = [
    include_str!("../tier-1k.yaml"),
    include_str!("../tier-10k.yaml"),
];
const EVERYTHING: &str = include_str!("everything.yaml");

fn mangled() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just(String::new()),
        "[-:{}\\[\\]#&*!|>'\"%@`,?\n\t ]{1,4}",
        "[a-z0-9-]{1,12}",
        "-?[0-9]{1,40}",
        "[0-9]{1,20}(ms|s|m|h)",
        Just("~".to_owned()),
        Just("${".to_owned()),
        Just("${orders.url}".to_owned()),
        Just("true".to_owned()),
        Just("[a, b]".to_owned()),
        Just("{ a: b }".to_owned()),
        Just("\u{1f600}".to_owned()),
        Just("\u{0}".to_owned()),
    ];
    let text = prop_oneof![Just(TIERS[0]), Just(TIERS[1]), Just(EVERYTHING)];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, part), 1..6);
    (text, edits).prop_map(|(text, edits)| {
        let mut text: Vec<char> = text.chars().collect();
        for (at, length, part) in edits {
            let start = at.index(text.len() + 1);
            let end = (start + length).min(text.len());
            text.splice(start..end, part.chars());
        }
        text.into_iter().collect()
    })
}

/// A file with one scalar replaced, which keeps its shape more often than free edits do.
fn one_value_changed() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        "[a-z]{1,3}",
        "[A-Za-z0-9-]{0,70}",
        "-?[0-9]{1,20}",
        "[0-9]{1,4}(ms|s|m|h)",
        "[0-9]{1,3}-[0-9]{1,3}",
        Just("us-east-1a".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just("orders".to_owned()),
        Just("site".to_owned()),
        Just("www".to_owned()),
    ];
    (any::<prop::sample::Index>(), value).prop_map(|(line, value)| {
        let mut lines: Vec<String> = EVERYTHING.lines().map(str::to_owned).collect();
        let line = line.index(lines.len());
        if let Some((key, _)) = lines[line].split_once(": ") {
            lines[line] = format!("{key}: {value}");
        }
        lines.join("\n")
    })
}

fn survives(text: &str) {
    let (topology, notes) = check(text, "mangled.yaml");
    assert_eq!(topology.is_none(), has_errors(&notes));
    let plain = render(&notes, text, "mangled.yaml", Style::Plain);
    render(&notes, text, "mangled.yaml", Style::Ansi);
    let lines = text.lines().count().max(1);
    assert!(
        notes
            .iter()
            .all(|note| (1..=lines).contains(&(note.span.line as usize))),
        "{notes:?}"
    );
    assert!(!plain.contains('\u{1b}'));
    if let Some(topology) = topology {
        let again = explain(&topology);
        let (same, notes) = check(&again, "mangled.yaml");
        assert_eq!(
            same.as_ref(),
            Some(&topology),
            "{}\n{again}",
            render(&notes, &again, "again", Style::Plain)
        );
        let slot = Slot::new(64).expect("64 is the first slot");
        let plan = plan(&topology, slot);
        assert!(
            plan.instances
                .iter()
                .all(|instance| instance.address.host >= 10)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mangled_file_panics(text in mangled()) {
        survives(&text);
    }

    #[test]
    fn no_changed_value_panics(text in one_value_changed()) {
        survives(&text);
    }

    #[test]
    fn no_text_at_all_panics(text in any::<String>()) {
        survives(&text);
    }
}

/// A long file, every line of which leads to another, is read in bounded time and with a bounded stack.
#[test]
fn long_files_end() {
    use std::fmt::Write as _;
    let base = "region: us-east-1\navailability-zones: [a, b]\n";
    let mut chain = format!("{base}hosted-zones:\n  x.test:\n    records:\n");
    let mut circle = chain.clone();
    let mut groups = format!("{base}target-groups:\n");
    let mut dbs = format!("{base}db-instances:\n");
    for n in 0..500 {
        let _ = writeln!(chain, "      - {{ name: r{n}, alias: r{} }}", n + 1);
        let _ = writeln!(
            circle,
            "      - {{ name: r{n}, alias: r{} }}",
            (n + 1) % 500
        );
        let _ = writeln!(groups, "  g{n}: {{ targets: nothing{n} }}");
        let _ = writeln!(
            dbs,
            "  d{n}: {{ source-db-instance-identifier: d{} }}",
            n + 1
        );
    }
    chain.push_str("      - { name: r500, values: 192.0.2.1 }\n");
    for text in [&chain, &circle, &groups, &dbs] {
        survives(text);
    }
    assert!(check(&chain, "chain.yaml").0.is_some());
}
