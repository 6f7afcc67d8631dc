//! Instances through EC2's API: what is run really runs, what is stopped stands still, what is terminated is gone.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use tests::rig::{Rig, until};

const ANSWER: Duration = Duration::from_secs(20);

/// Asks the stack's own address, as any client that knows the query protocol does; the body of the answer.
fn ec2(rig: &Rig, action: &str, parameters: &str) -> String {
    let endpoints = rig.json(&["endpoints", "--json"]);
    let resolver = endpoints["resolver"].as_str().expect("it has a resolver");
    let resolver: SocketAddr = resolver.parse().expect("it is an address");
    let std::net::IpAddr::V4(resolver) = resolver.ip() else {
        panic!("{resolver} is not IPv4")
    };
    let [net, slot, view, _] = resolver.octets();
    let api = SocketAddr::from((Ipv4Addr::new(net, slot, view, 1), 4566));
    let mut stream = TcpStream::connect_timeout(&api, ANSWER).expect("the API listens");
    stream
        .set_read_timeout(Some(ANSWER))
        .expect("it is a socket");
    let query = format!("Action={action}&Version=2016-11-15{parameters}");
    write!(
        stream,
        "GET /?{query} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )
    .expect("it takes a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

/// The text of the first element of that name.
fn element<'a>(answer: &'a str, name: &str) -> &'a str {
    let begin = answer.split(&format!("<{name}>")).nth(1);
    let text = begin.and_then(|rest| rest.split('<').next());
    text.unwrap_or_else(|| panic!("no {name} in {answer}"))
}

fn state(rig: &Rig, id: &str) -> String {
    let answer = ec2(rig, "DescribeInstances", &format!("&InstanceId.1={id}"));
    let state = answer.split("<instanceState>").nth(1);
    element(state.expect("it has a state"), "name").to_owned()
}

/// Whether the program of an instance answers for itself.
fn serves(rig: &Rig, id: &str, zone: &str) -> bool {
    let address = rig.instance(id, "address");
    let Ok(ip) = address.parse::<Ipv4Addr>() else {
        return false;
    };
    let dialled = TcpStream::connect_timeout(&SocketAddr::from((ip, 8080)), ANSWER);
    let Ok(mut stream) = dialled else {
        return false;
    };
    let request = "GET /whoami HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n";
    let mut said = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut said).is_ok()
        && said.contains(id)
        && said.contains(zone)
}

#[test]
fn what_ec2_is_asked_to_run_runs_until_it_is_terminated() {
    let rig = Rig::new("process");
    rig.up("tests/tests/stack/small.yaml").ends(0, "");
    let images = ec2(&rig, "DescribeImages", "");
    let image = element(&images, "imageId").to_owned();
    let zone = "ap-northeast-2b";
    let asked = format!(
        "&ImageId={image}&MinCount=1&MaxCount=1&Placement.AvailabilityZone={zone}&ClientToken=once"
    );
    let run = ec2(&rig, "RunInstances", &asked);
    let id = element(&run, "instanceId").to_owned();
    let again = ec2(&rig, "RunInstances", &asked);
    assert_eq!(element(&again, "instanceId"), id, "one token, one launch");
    assert!(until(|| state(&rig, &id) == "running"), "{run}");
    assert!(
        until(|| serves(&rig, &id, zone)),
        "its program does not answer"
    );

    let one = format!("&InstanceId.1={id}");
    ec2(&rig, "StopInstances", &one);
    assert!(until(|| state(&rig, &id) == "stopped"));
    assert!(!serves(&rig, &id, zone), "a stopped instance answers");
    ec2(&rig, "StartInstances", &one);
    assert!(until(|| serves(&rig, &id, zone)), "it does not start again");

    let before = pid(&rig, &id);
    ec2(&rig, "RebootInstances", &one);
    assert!(
        until(|| pid(&rig, &id).is_some_and(|now| Some(now) != before)),
        "it is not rebooted"
    );
    assert!(until(|| serves(&rig, &id, zone)), "it is not back");

    let kept = rig.directory().join("instances").join(&id);
    assert!(kept.exists());
    ec2(&rig, "TerminateInstances", &one);
    assert!(until(|| state(&rig, &id) == "terminated"));
    assert!(!kept.exists(), "its data are left");
    let unknown = ec2(
        &rig,
        "DescribeInstances",
        "&InstanceId.1=i-00000000000000000",
    );
    assert_eq!(element(&unknown, "Code"), "InvalidInstanceID.NotFound");
    let traces = rig.traces();
    rig.done(&["down", "--purge"]);
    assert_eq!(traces.anything(), Vec::<String>::new());
}

/// A plan that was changed is a plan that is resumed: by a daemon after one that was killed, and after an orderly end.
#[test]
fn an_instance_that_was_run_outlives_its_daemon() {
    let rig = Rig::new("process");
    rig.up("tests/tests/stack/small.yaml").ends(0, "");
    let images = ec2(&rig, "DescribeImages", "");
    let asked = format!(
        "&ImageId={}&MinCount=1&MaxCount=1",
        element(&images, "imageId")
    );
    let run = ec2(&rig, "RunInstances", &asked);
    let id = element(&run, "instanceId").to_owned();
    assert!(until(|| state(&rig, &id) == "running"), "{run}");
    let (address, process) = (rig.instance(&id, "address"), pid(&rig, &id));
    rig.kill_daemon();
    rig.up("tests/tests/stack/small.yaml").ends(0, "");
    assert_eq!(rig.instance(&id, "address"), address);
    assert!(process.is_some());
    assert_eq!(pid(&rig, &id), process, "adopted, not started anew");
    // What it has become is a file that means the same.
    let exported = rig.file("exported.yaml", &rig.done(&["export"]));
    let explained = rig.done(&["explain", &exported]);
    assert_eq!(
        explained,
        std::fs::read_to_string(&exported).expect("it is ours")
    );
    rig.done(&["down"]);
    rig.up("tests/tests/stack/small.yaml").ends(0, "");
    assert!(until(|| serves(&rig, &id, "ap-northeast-2a")));
    rig.done(&["down", "--purge"]);
}

#[test]
fn an_empty_account_comes_up_and_has_its_zones() {
    let rig = Rig::new("process");
    let up = ["up", "--name", rig.name(), "--runtime", "process", "-d"];
    rig.run(&up).ends(0, "");
    let subnets = ec2(&rig, "DescribeSubnets", "");
    for zone in ["us-east-1a", "us-east-1b", "us-east-1c"] {
        assert!(subnets.contains(zone), "{subnets}");
    }
    assert!(!ec2(&rig, "DescribeInstances", "").contains("instanceId"));
    rig.done(&["down", "--purge"]);
}

/// The process of an instance, if one runs.
fn pid(rig: &Rig, id: &str) -> Option<u64> {
    let status = rig.json(&["status", "--json"]);
    let instances = status["instances"].as_array().expect("there are instances");
    let one = instances.iter().find(|one| one["id"] == id);
    one.and_then(|one| one["pid"].as_u64())
}
