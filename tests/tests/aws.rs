//! AWS's own clients, unmodified: scripts as a cloud engineer writes them, with boto3, its waiters and its paginators, and the AWS CLI.

use tests::python::{client, script, script_inside};
use tests::rig::{Rig, until};

const SMALL: &str = "tests/tests/stack/small.yaml";

/// A script against a small stack, of which nothing is left.
#[track_caller]
fn holds(name: &str) {
    holds_by(script, name);
}

/// One that looks at the data plane, too.
#[track_caller]
fn holds_inside(name: &str) {
    holds_by(script_inside, name);
}

#[track_caller]
fn holds_by(runs: fn(&Rig, &str), name: &str) {
    let rig = Rig::new("process");
    rig.up(SMALL).ends(0, "");
    let traces = rig.traces();
    runs(&rig, name);
    rig.done(&["down", "--purge"]);
    assert_eq!(traces.anything(), Vec::<String>::new());
}

#[test]
fn what_was_asked_for_is_what_is_told() {
    holds("round_trips.py");
}

#[test]
fn sts_as_boto3_has_it() {
    holds("sts.py");
}

#[test]
fn ec2_as_boto3_has_it() {
    holds("ec2.py");
}

#[test]
fn elbv2_as_boto3_has_it() {
    holds_inside("elbv2.py");
}

/// aws-behaviour §4.2: conditions and actions, as clients of the load balancer see them.
#[test]
fn s4_2_rules_of_an_alb_as_boto3_has_them() {
    holds_inside("elbv2_rules.py");
}

/// Control plane faults: calls suffer, what runs goes on.
#[test]
fn throttled_clients_get_through_after_the_heal_and_the_site_serves_meanwhile() {
    let rig = Rig::new("process");
    rig.up(SMALL).ends(0, "");
    rig.run(&["chaos", "throttle-api", "ec3", "--rate", "1/s"])
        .ends(2, "did you mean `ec2`?");
    rig.done(&["chaos", "throttle-api", "ec2", "--rate", "0/s"]);
    let slow = "elbv2:DescribeLoadBalancers";
    rig.done(&["chaos", "slow-api", slow, "--latency", "500ms"]);
    rig.done(&["chaos", "fail-api", "iam"]);
    let listed = rig.done(&["chaos", "list"]);
    for (kind, target) in [
        ("throttle-api", "ec2"),
        ("slow-api", slow),
        ("fail-api", "iam"),
    ] {
        let line = listed.lines().find(|line| line.contains(kind));
        assert!(line.is_some_and(|line| line.contains(target)), "{listed}");
    }
    script(&rig, "throttled.py");
    std::thread::scope(|scope| {
        let patient = scope.spawn(|| script(&rig, "patient.py"));
        let throttled = rig.home().join("throttled");
        assert!(until(|| throttled.exists()), "nobody is throttled");
        rig.ask("GET", "/whoami", "", &[200]);
        rig.done(&["chaos", "heal", "--all"]);
        patient.join().expect("it gets through");
    });
    let events = rig.done(&["events"]);
    assert!(events.contains("throttle-api"), "{events}");
    rig.done(&["down", "--purge"]);
}

#[test]
fn rds_as_boto3_has_it() {
    holds_inside("rds.py");
}

#[test]
fn db_instances_are_converted_while_they_serve() {
    holds_inside("rds_convert.py");
}

#[test]
fn elasticache_as_boto3_has_it() {
    holds_inside("elasticache.py");
}

#[test]
fn cache_nodes_reboot_and_replicas_go() {
    holds_inside("elasticache_nodes.py");
}

#[test]
fn cloudwatch_as_boto3_has_it() {
    holds_inside("cloudwatch.py");
}

/// Experiments end by them, and what experiments did; definitions outlive a daemon, and go with a reset.
#[test]
fn alarms_as_boto3_has_them_stop_experiments_and_go_on_over_a_daemon_s_death() {
    let rig = Rig::new("process");
    rig.up(SMALL).ends(0, "");
    script_inside(&rig, "alarms.py");
    let events = rig.done(&["events"]);
    for told in ["alarm ALARM: Threshold Crossed", "halted by stop condition"] {
        assert!(events.contains(told), "{events}");
    }
    rig.kill_daemon();
    rig.up(SMALL).ends(0, "");
    script_inside(&rig, "alarms_resumed.py");
    rig.run(&["reset"])
        .ends(0, "is what its topology file says");
    rig.run(&["reset"]).ends(0, "nothing had to be done");
    rig.done(&["down", "--purge"]);
}

#[test]
fn tagging_as_boto3_has_it() {
    holds("tagging.py");
}

#[test]
fn route53_as_boto3_has_it() {
    holds_inside("route53.py");
}

#[test]
fn health_checks_as_boto3_has_them_are_followed_by_names() {
    holds_inside("health_checks.py");
}

#[test]
fn records_as_boto3_has_them_are_what_resolvers_answer() {
    let rig = Rig::new("process");
    rig.up("tests/tests/aws/clients.yaml").ends(0, "");
    let traces = rig.traces();
    script(&rig, "records.py");
    rig.done(&["down", "--purge"]);
    assert_eq!(traces.anything(), Vec::<String>::new());
}

#[test]
fn fis_as_boto3_has_it() {
    holds_inside("fis.py");
}

#[test]
fn outages_of_experiments_are_real_and_end() {
    holds_inside("fis_outage.py");
}

/// An experiment goes on over a daemon's death, and ends with the stack.
#[test]
fn an_experiment_goes_on_over_a_daemon_s_death_and_ends_when_the_stack_is_taken_down() {
    let rig = Rig::new("process");
    rig.up(SMALL).ends(0, "");
    script_inside(&rig, "fis_begun.py");
    rig.kill_daemon();
    rig.up(SMALL).ends(0, "");
    script_inside(&rig, "fis_resumed.py");
    let faults = rig.json(&["status", "--json"])["faults"].clone();
    assert_eq!(faults.as_array().map(Vec::len), Some(1), "{faults}");
    rig.done(&["down"]);
    rig.up(SMALL).ends(0, "");
    script_inside(&rig, "fis_taken_down.py");
    let status = rig.json(&["status", "--json"]);
    assert_eq!(status["faults"], serde_json::json!([]));
    rig.done(&["down", "--purge"]);
}

#[test]
fn arc_zonal_shift_as_boto3_has_it() {
    holds_inside("arc_zonal_shift.py");
}

#[test]
fn a_zonal_shift_goes_on_over_a_daemon_s_death_and_over_a_stack_s_end() {
    holds_until_a_reset("arc_begun.py", "arc_resumed.py");
}

/// What `script` blocks is blocked for clients, and for none of the engines.
fn blocks_clients_only(script: &str, told_first: &str) {
    let rig = Rig::new("process");
    rig.up(SMALL).ends(0, "");
    let traces = rig.traces();
    script_inside(&rig, script);
    let events = rig.done(&["events"]);
    let (_, since) = events.split_once(told_first).expect("it is told");
    for word in ["out of sync", "does not replicate", "degraded", "failover"] {
        assert!(!since.contains(word), "engines are not filtered: {since}");
    }
    rig.done(&["down", "--purge"]);
    assert_eq!(traces.anything(), Vec::<String>::new());
}

/// What `begun` makes is there, as `resumed` finds it, until a reset.
fn holds_until_a_reset(begun: &str, resumed: &str) {
    let rig = Rig::new("process");
    rig.up(SMALL).ends(0, "");
    script_inside(&rig, begun);
    rig.kill_daemon();
    rig.up(SMALL).ends(0, "");
    script_inside(&rig, resumed);
    rig.done(&["down"]);
    rig.up(SMALL).ends(0, "");
    script_inside(&rig, resumed);
    rig.run(&["reset"])
        .ends(0, "is what its topology file says");
    rig.run(&["reset"]).ends(0, "nothing had to be done");
    rig.done(&["down", "--purge"]);
}

#[test]
fn network_acls_deny_what_crosses_a_subnet_s_border() {
    blocks_clients_only("network_acls.py", "the subnet has network ACL");
}

#[test]
fn network_acls_hold_over_a_daemon_s_death_and_over_a_stack_s_end_until_a_reset() {
    holds_until_a_reset("network_acls_begun.py", "network_acls_resumed.py");
}

#[test]
fn security_groups_let_in_whom_their_rules_name() {
    blocks_clients_only("security_groups.py", "security group lb");
}

#[test]
fn security_groups_hold_over_a_daemon_s_death_and_over_a_stack_s_end_until_a_reset() {
    holds_until_a_reset("security_groups_begun.py", "security_groups_resumed.py");
}

#[test]
fn a_stack_in_disorder_is_reset_to_its_file() {
    let rig = Rig::new("process");
    rig.up(SMALL).ends(0, "");
    rig.run(&["reset"]).ends(0, "nothing had to be done");
    let before = rig.done(&["export"]);
    script(&rig, "mess.py");
    assert_ne!(rig.done(&["export"]), before);
    rig.done(&["chaos", "kill-az", "b"]);
    rig.run(&["reset"])
        .ends(0, "is what its topology file says");
    assert_eq!(rig.done(&["export"]), before);
    let status = rig.json(&["status", "--json"]);
    assert_eq!(status["faults"], serde_json::json!([]));
    let told = rig.done(&["status"]);
    assert!(!told.contains("users") && !told.contains("carts"), "{told}");
    rig.run(&["reset"]).ends(0, "nothing had to be done");
    rig.done(&["down", "--purge"]);
}

/// A load balancer that listens nowhere and a group without targets have nobody to answer for them.
#[test]
fn a_stack_with_what_can_not_answer_comes_up_again() {
    let rig = Rig::new("process");
    rig.up(SMALL).ends(0, "");
    script(&rig, "silent.py");
    rig.kill_daemon();
    rig.up(SMALL).ends(0, "");
    rig.done(&["down"]);
    rig.up(SMALL).ends(0, "");
    let query = "LoadBalancers[].LoadBalancerName";
    let asked = [
        "elbv2",
        "describe-load-balancers",
        "--query",
        query,
        "--output",
        "text",
    ];
    let told = client(&rig, "aws", &asked).ends(0, "");
    let names: Vec<&str> = told.out.split_whitespace().collect();
    assert_eq!(names, ["idle", "mute", "site"]);
    rig.done(&["down", "--purge"]);
}

#[test]
fn the_aws_cli_calls_the_stack() {
    let rig = Rig::new("process");
    rig.up(SMALL).ends(0, "");
    let query = "Reservations[].Instances[].Placement.AvailabilityZone";
    let asked = [
        "ec2",
        "describe-instances",
        "--query",
        query,
        "--output",
        "text",
    ];
    let told = client(&rig, "aws", &asked).ends(0, "");
    let mut zones: Vec<&str> = told.out.split_whitespace().collect();
    zones.sort_unstable();
    assert_eq!(zones, ["ap-northeast-2a", "ap-northeast-2b"]);
    let wait = [
        "elbv2",
        "wait",
        "load-balancer-available",
        "--names",
        "site",
    ];
    client(&rig, "aws", &wait).ends(0, "");
    let told = rig.done(&["exec", "--zone", "b", "--", "env"]);
    for line in [
        "AWS_DEFAULT_REGION=ap-northeast-2",
        "AWS_ACCESS_KEY_ID=test",
        "AWS_SESSION_TOKEN=",
        &format!("AWS_ENDPOINT_URL={}", seen_from_b(&rig)),
    ] {
        assert!(told.lines().any(|it| it == line), "no {line} in {told}");
    }
    client(&rig, "aws", &["ec2", "create-transit-gateway"]).ends(255, "NotImplemented");
}

/// The API's address as the second zone sees it.
fn seen_from_b(rig: &Rig) -> String {
    let endpoints = rig.json(&["endpoints", "--json"]);
    let outside = endpoints["api"].as_str().expect("it has an API");
    outside.replace(".0.1:", ".32.1:")
}
