//! What an instance sees of the machine: its name resolution, its user, its rights.

use std::fs;
use std::net::Ipv4Addr;

use topologies::runtime::{Resolution, Runtime};

use crate::bench::Bench;

/// What the log says where the machine does not allow namespaces.
const NOTE: &str = "localaws: names are resolved as the host does";

#[tokio::test]
async fn an_instance_asks_the_nameserver_of_its_plan() {
    let bench = Bench::new().await;
    let before = fs::read("/etc/resolv.conf").unwrap_or_default();
    let mut plan = bench.script(
        "web-1",
        "cat /etc/resolv.conf; ls /tmp | wc -l; grep hosts: /etc/nsswitch.conf; echo ready; exec sleep 1000",
    );
    plan.resolution = Resolution::Nameserver(Ipv4Addr::new(127, 64, 0, 2));
    bench.runtime.ensure(&plan).await.unwrap();
    let seen = bench.logged(&plan.id, "ready").await;
    if !seen[0].starts_with(NOTE) {
        assert_eq!(seen[0], "nameserver 127.64.0.2");
        // The scratch tmpfs is gone: the host's directory is seen, which holds at least this stack.
        assert_ne!(seen[1], "0");
        assert_eq!(seen[2], "hosts: files dns");
    }
    assert_eq!(fs::read("/etc/resolv.conf").unwrap_or_default(), before);
    bench.runtime.clear().await.unwrap();
}

#[tokio::test]
async fn an_instance_sees_a_hosts_file_that_changes() {
    let bench = Bench::new().await;
    let hosts = bench.stack.join("hosts");
    fs::write(&hosts, "127.64.0.9 db.internal\n").unwrap();
    let mut plan = bench.script(
        "web-1",
        "cat /etc/hosts; until grep -q moved /etc/hosts; do sleep 0.01; done; echo ready",
    );
    plan.resolution = Resolution::HostsFile(hosts.clone());
    bench.runtime.ensure(&plan).await.unwrap();
    while bench
        .runtime
        .logs(&plan.id, false)
        .next_line()
        .await
        .is_none()
    {
        tokio::task::yield_now().await;
    }
    fs::write(&hosts, "127.64.0.9 moved\n").unwrap();
    let first = bench.runtime.logs(&plan.id, false).next_line().await;
    if !first.is_some_and(|line| line.starts_with(NOTE)) {
        let seen = bench.logged(&plan.id, "ready").await;
        assert_eq!(seen, ["127.64.0.9 db.internal", "ready"]);
    }
    bench.runtime.clear().await.unwrap();
}

/// PostgreSQL refuses root; an instance on port 80 has to bind it all the same.
#[tokio::test]
async fn instances_of_root_run_as_nobody_who_may_bind_a_low_port() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let bench = Bench::new().await;
    let mut plan = bench.script(
        "web-1",
        "id -u; id -G; grep CapAmb /proc/self/status; touch own && echo x >> /dev/stderr; echo ready",
    );
    bench.runtime.ensure(&plan).await.unwrap();
    let seen = bench.logged(&plan.id, "ready").await;
    let group = nix::unistd::User::from_name("nobody")
        .unwrap()
        .map_or(65534, |user| user.gid.as_raw())
        .to_string();
    let none = "CapAmb:\t0000000000000000";
    assert_eq!(seen, ["65534", &group, none, "x", "ready"]);

    plan.id = "web-2".into();
    plan.directory = bench.stack.join("instances/web-2");
    plan.listen.set_port(80);
    bench.runtime.ensure(&plan).await.unwrap();
    let seen = bench.logged(&plan.id, "ready").await;
    let low = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if low.trim() == "1024" {
        // CAP_NET_BIND_SERVICE is the tenth.
        assert_eq!(seen[2], "CapAmb:\t0000000000000400");
    }
}

/// The first line of a log.
trait FirstLine {
    async fn next_line(self) -> Option<String>;
}

impl FirstLine for futures_util::stream::BoxStream<'static, String> {
    async fn next_line(mut self) -> Option<String> {
        futures_util::StreamExt::next(&mut self).await
    }
}
