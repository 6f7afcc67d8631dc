use super::*;
use crate::drill::parse;
use crate::sample::history::{Story, story};
use crate::sample::plan;
use crate::verdict::judge;

fn check(story: &Story, render: impl Fn(&Report<'_>) -> String) -> String {
    let text = "\
name: az-power
description: Zone <a> loses power & returns.
workload:
  - sql-writes: {endpoint: orders}
steps: []
duration: 20s
expect:
  - writes-accepted-again: {endpoint: orders, within: 1s}
  - no-acknowledged-write-lost: {endpoint: orders}
  - redundancy-restored: {of: carts, within: 5s}
";
    let drill = parse(text).unwrap();
    let history = story.history();
    let judgement = judge(&drill, &history, &plan());
    render(&Report {
        stack: "tier-10k",
        drill: &drill,
        history: &history,
        judgement: &judgement,
    })
}

fn lossy() -> Story {
    Story { lost: 3, ..story() }
}

#[test]
fn text_for_the_terminal() {
    insta::assert_snapshot!(check(&lossy(), text::render), @"
    drill az-power on tier-10k
      Zone <a> loses power & returns.

    faults
      f1 at 3s: zone ap-northeast-2a loses power; healed at 8s
          instance orders-1 in ap-northeast-2a is killed
          instance sessions-001 in ap-northeast-2a is killed
          instance web-1 in ap-northeast-2a is killed
          DB instance orders loses its primary orders-1; standby orders-2 is left
          replication group sessions loses its primary sessions-001; 2 left to promote, writes not yet replicated are gone
          target group web loses web-1; targets left: 2
          load balancer site loses its node in ap-northeast-2a; nodes left: 2
          clients and resolver in ap-northeast-2a are gone

    endpoint orders
      operations     1160 acknowledged, 32 failed, 8 without an answer (96.67 % served)
      outside        1159 acknowledged, 0 failed, 0 without an answer (100.00 % served) (of outages)
      after f1       served again after 401ms (longest gap 401ms, 40 operations unserved from 3.000s to 3.401s)
      after f1 heal  no outage
      acknowledged   1160, lost 3 (acknowledged from 2.971s to 2.991s, RPO 30ms)
      unanswered     0 there, 8 not there
          32 times   connection refused
           8 times   no answer

    expectations
      held     orders accepts writes again within 1s: served again after 401ms at most
      broken   orders loses no acknowledged write: 3 of 1160 acknowledged writes are lost, acknowledged over 20ms
               from 2.971s to 2.991s
               keys 1-74 2-74 3-74
               events 40 to 52
      unknown  carts is redundant again within 5s of the heal: nothing is known of carts

    verdict: broken, after 20s
    ");
}

#[test]
fn a_drill_that_was_cut_short_says_so_in_every_form() {
    let cut = Story {
        cut_short: Some("it was interrupted"),
        ..story()
    };
    let text = check(&cut, text::render);
    assert!(
        text.ends_with("verdict: unknown, after 20s: it was interrupted\n"),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(&check(&cut, json::render)).unwrap();
    assert_eq!(json["cut-short"], "it was interrupted");
    assert_eq!(
        (&json["verdict"], &json["exit-code"]),
        (&"unknown".into(), &4.into())
    );
    let junit = check(&cut, junit::render);
    assert!(junit.contains("failures=\"0\" errors=\"3\""), "{junit}");
    assert_eq!(junit.matches("message=\"it was interrupted\"").count(), 3);
}

#[test]
fn json_for_programs() {
    insta::assert_snapshot!(check(&lossy(), json::render));
}

#[test]
fn junit_for_continuous_integration() {
    insta::assert_snapshot!(check(&lossy(), junit::render), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="localaws" tests="3" failures="1" errors="1" time="20.000">
      <testsuite name="az-power" skipped="0" tests="3" failures="1" errors="1" time="20.000">
        <properties>
          <property name="stack" value="tier-10k"/>
          <property name="verdict" value="broken"/>
          <property name="rto-ms.orders" value="401"/>
          <property name="acknowledged-writes-lost.orders" value="3"/>
          <property name="rpo-ms.orders" value="30.000"/>
        </properties>
        <testcase classname="az-power" name="orders accepts writes again within 1s"/>
        <testcase classname="az-power" name="orders loses no acknowledged write">
          <failure type="broken" message="3 of 1160 acknowledged writes are lost, acknowledged over 20ms"/>
        </testcase>
        <testcase classname="az-power" name="carts is redundant again within 5s of the heal">
          <error type="unknown" message="nothing is known of carts"/>
        </testcase>
        <system-out>drill az-power on tier-10k
      Zone &lt;a&gt; loses power &amp; returns.

    faults
      f1 at 3s: zone ap-northeast-2a loses power; healed at 8s
          instance orders-1 in ap-northeast-2a is killed
          instance sessions-001 in ap-northeast-2a is killed
          instance web-1 in ap-northeast-2a is killed
          DB instance orders loses its primary orders-1; standby orders-2 is left
          replication group sessions loses its primary sessions-001; 2 left to promote, writes not yet replicated are gone
          target group web loses web-1; targets left: 2
          load balancer site loses its node in ap-northeast-2a; nodes left: 2
          clients and resolver in ap-northeast-2a are gone

    endpoint orders
      operations     1160 acknowledged, 32 failed, 8 without an answer (96.67 % served)
      outside        1159 acknowledged, 0 failed, 0 without an answer (100.00 % served) (of outages)
      after f1       served again after 401ms (longest gap 401ms, 40 operations unserved from 3.000s to 3.401s)
      after f1 heal  no outage
      acknowledged   1160, lost 3 (acknowledged from 2.971s to 2.991s, RPO 30ms)
      unanswered     0 there, 8 not there
          32 times   connection refused
           8 times   no answer

    expectations
      held     orders accepts writes again within 1s: served again after 401ms at most
      broken   orders loses no acknowledged write: 3 of 1160 acknowledged writes are lost, acknowledged over 20ms
               from 2.971s to 2.991s
               keys 1-74 2-74 3-74
               events 40 to 52
      unknown  carts is redundant again within 5s of the heal: nothing is known of carts

    verdict: broken, after 20s
    </system-out>
      </testsuite>
    </testsuites>
    "#);
}
