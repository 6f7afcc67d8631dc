use topologies::time::Time;

use super::*;
use crate::drill::parse;
use crate::sample::history::{Story, story};
use crate::sample::plan;

fn verdicts(story: &Story, expect: &str) -> Vec<(Verdict, String)> {
    let text = format!(
        "name: d\nworkload:\n- sql-writes: {{endpoint: orders}}\n- http: {{endpoint: site}}\n\
         steps: []\nduration: 20s\nbudget: {{zones: {}}}\nexpect:\n{expect}",
        story.budget
    );
    let drill = parse(&text).unwrap_or_else(|notes| panic!("{notes:?}"));
    let judgement = judge(&drill, &story.history(), &plan());
    for finding in &judgement.findings {
        let shown = !finding.evidence.is_empty();
        assert_eq!(shown, finding.verdict == Verdict::Broken, "{finding:?}");
        let located = |one: &Evidence| matches!(one, Evidence::Timeline { .. });
        let located = finding.evidence.iter().any(located);
        assert_eq!(located, finding.verdict == Verdict::Broken, "{finding:?}");
    }
    let worst = judgement.findings.iter().map(|one| one.verdict).max();
    assert_eq!(Some(judgement.verdict), worst);
    judgement
        .findings
        .into_iter()
        .map(|finding| (finding.verdict, finding.because))
        .collect()
}

fn check(story: &Story, expect: &str, verdict: Verdict, because: &str) {
    let found = verdicts(story, &format!("- {expect}\n"));
    assert_eq!(found, [(verdict, because.to_owned())], "{expect}");
}

use Verdict::{Broken, Held, Unknown};

const AGAIN: &str = "writes-accepted-again: {endpoint: orders, within: 1s}";
const NOT_LOST: &str = "no-acknowledged-write-lost: {endpoint: orders}";
const NO_PHANTOM: &str = "no-phantom-write: {endpoint: orders}";
const REDUNDANT: &str = "redundancy-restored: {of: orders, within: 5s}";

#[test]
fn recovery_in_time_holds_and_late_recovery_breaks() {
    check(&story(), AGAIN, Held, "served again after 401ms at most");
    let late = Story {
        down_for: 1_400,
        ..story()
    };
    check(
        &late,
        AGAIN,
        Broken,
        "served again 1.4s after f1 (zone ap-northeast-2a loses power)",
    );
    let uninterrupted = Story {
        down_for: 0,
        ..story()
    };
    check(&uninterrupted, AGAIN, Held, "no outage was seen");
    // Enough for the fault, not for the heal: later outages may be missing.
    let full = Story {
        limit: 900,
        ..story()
    };
    check(
        &full,
        AGAIN,
        Unknown,
        "the ledger was full before the drill's end",
    );
}

#[test]
fn what_never_came_back_is_broken_only_if_it_was_waited_for() {
    let never = Story {
        down_for: 60_000,
        ..story()
    };
    check(
        &never,
        AGAIN,
        Broken,
        "not served again in the 8.99s after f1 (zone ap-northeast-2a loses power) that clients tried",
    );
    let cut_short = Story {
        down_for: 60_000,
        clients_until: 3_500,
        ..story()
    };
    check(
        &cut_short,
        AGAIN,
        Unknown,
        "clients tried for only 491ms after f1 (zone ap-northeast-2a loses power)",
    );
    let gone = Story {
        down_for: 0,
        clients_until: 2_900,
        ..story()
    };
    check(
        &gone,
        AGAIN,
        Unknown,
        "nobody asked after f1 (zone ap-northeast-2a loses power)",
    );
    let nothing = Story {
        clients_until: 0,
        ..story()
    };
    check(&nothing, AGAIN, Unknown, "no client did anything");
}

#[test]
fn nothing_is_owed_beyond_the_budget() {
    let none = Story {
        budget: 0,
        down_for: 4_000,
        ..story()
    };
    check(&none, AGAIN, Held, "served again after 0s at most");
    let one = Story { budget: 1, ..none };
    assert_eq!(verdicts(&one, &format!("- {AGAIN}\n"))[0].0, Broken);
}

#[test]
fn a_lost_write_is_broken_and_an_unread_store_unknown() {
    check(
        &story(),
        NOT_LOST,
        Held,
        "0 of 1160 acknowledged writes are lost",
    );
    let lossy = Story { lost: 3, ..story() };
    check(
        &lossy,
        NOT_LOST,
        Broken,
        "3 of 1160 acknowledged writes are lost, acknowledged over 20ms",
    );
    let tolerated = "acknowledged-writes-lost-at-most: {endpoint: orders, count: 3}";
    check(
        &lossy,
        tolerated,
        Held,
        "3 of 1160 acknowledged writes are lost",
    );
    let unreadable = Story {
        readable: false,
        ..story()
    };
    check(
        &unreadable,
        NOT_LOST,
        Unknown,
        "what survived could not be read: connection refused",
    );
    let full = Story {
        limit: 100,
        ..story()
    };
    check(
        &full,
        NOT_LOST,
        Unknown,
        "0 of 100 acknowledged writes are lost, but the ledger was full before the drill's end",
    );
    let full_and_lossy = Story {
        limit: 100,
        lost: 3,
        ..story()
    };
    assert_eq!(
        verdicts(&full_and_lossy, &format!("- {NOT_LOST}\n"))[0].0,
        Broken
    );
}

#[test]
fn a_phantom_is_broken() {
    check(
        &story(),
        NO_PHANTOM,
        Held,
        "no write reported as failed is there",
    );
    let haunted = Story {
        phantoms: 1,
        ..story()
    };
    check(
        &haunted,
        NO_PHANTOM,
        Broken,
        "writes reported as failed and there: 1",
    );
}

#[test]
fn errors_outside_of_outages_count() {
    let rate =
        |percent: &str| format!("error-rate-below: {{endpoint: orders, percent: {percent}}}");
    let scattered = Story {
        errors: 30,
        ..story()
    };
    check(
        &story(),
        &rate("0.1"),
        Held,
        "0.00 % of 1159 operations failed (0 failed, 0 without an answer)",
    );
    check(
        &scattered,
        &rate("3"),
        Held,
        "2.59 % of 1159 operations failed (30 failed, 0 without an answer)",
    );
    check(
        &scattered,
        &rate("2"),
        Broken,
        "2.59 % of 1159 operations failed (30 failed, 0 without an answer)",
    );
    let all = "error-rate-below: {endpoint: orders, percent: 1, outside: nothing}";
    assert_eq!(verdicts(&story(), &format!("- {all}\n"))[0].0, Broken);
    let spared = "error-rate-below: {endpoint: orders, percent: 1, outside: nothing, grace: 2s}";
    assert_eq!(verdicts(&story(), &format!("- {spared}\n"))[0].0, Held);
    let short = Story {
        clients_until: 30,
        ..story()
    };
    check(&short, &rate("1"), Unknown, "only 3 operations count");
}

#[test]
fn redundancy_has_to_return() {
    check(
        &story(),
        REDUNDANT,
        Held,
        "redundant again after 2s at most",
    );
    let late = Story {
        redundant_after: Some(6_000),
        ..story()
    };
    check(
        &late,
        REDUNDANT,
        Broken,
        "redundant again 6s after the heal of f1",
    );
    let never = Story {
        redundant_after: None,
        ..story()
    };
    check(
        &never,
        REDUNDANT,
        Broken,
        "orders was not redundant in the 12s after the heal of f1",
    );
    let soon = Story {
        redundant_after: None,
        ended: 10_000,
        ..story()
    };
    check(
        &soon,
        REDUNDANT,
        Unknown,
        "orders was not redundant in the 2s after the heal of f1",
    );
    check(
        &story(),
        "redundancy-restored: {of: carts, within: 5s}",
        Unknown,
        "nothing is known of carts",
    );
}

#[test]
fn an_outage_of_the_emulator_itself_is_not_the_stacks() {
    let gone = |from, to| {
        Some(Window {
            from: Time::from_millis(from),
            to: Time::from_millis(to),
        })
    };
    let late = Story {
        down_for: 1_400,
        restart: gone(3_300, 4_000),
        ..story()
    };
    check(
        &late,
        AGAIN,
        Unknown,
        "served again 1.4s after f1 (zone ap-northeast-2a loses power), but the emulator itself was restarted meanwhile: its outage is not the stack's",
    );
    let elsewhere = Story {
        restart: gone(9_000, 9_500),
        ..late
    };
    let first = |story: &Story, expect: &str| verdicts(story, &format!("- {expect}\n"))[0].0;
    assert_eq!(first(&elsewhere, AGAIN), Broken, "it was there by then");
    let in_time = Story {
        down_for: 400,
        ..late
    };
    assert_eq!(first(&in_time, AGAIN), Held, "in time all the same");
    let errors = "error-rate-below: {endpoint: orders, percent: 1, outside: nothing}";
    assert_eq!(first(&late, errors), Unknown);
    let bare = Story {
        redundant_after: Some(6_000),
        restart: gone(9_000, 9_500),
        ..story()
    };
    assert_eq!(first(&bare, REDUNDANT), Unknown);
    let lossy = Story { lost: 3, ..late };
    assert_eq!(first(&lossy, NOT_LOST), Broken, "durability is owed always");
}

#[test]
fn a_drill_that_was_cut_short_judges_nothing() {
    let cut = Story {
        lost: 3,
        cut_short: Some("it was interrupted"),
        ..story()
    };
    for promise in [AGAIN, NOT_LOST, REDUNDANT] {
        check(&cut, promise, Unknown, "it was interrupted");
    }
}

#[test]
fn the_worst_verdict_decides_the_exit_code() {
    let found = verdicts(
        &Story {
            lost: 1,
            readable: true,
            ..story()
        },
        &format!("- {AGAIN}\n- {NOT_LOST}\n"),
    );
    assert_eq!(
        found.iter().map(|(verdict, _)| *verdict).max(),
        Some(Broken)
    );
    assert_eq!([Held, Broken, Unknown].map(Verdict::exit_code), [0, 1, 4]);
}
