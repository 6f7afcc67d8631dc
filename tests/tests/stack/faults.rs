//! Every kind of fault on one small stack, one after the other: each does to clients what it says, the control plane answers in
//! RDS's and ElastiCache's words, and once healed everything is back where it was, with its addresses and its data.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_postgres::SimpleQueryMessage;

use tests::rig::{PATIENCE, Rig};

const FILE: &str = "tests/tests/stack/small.yaml";
/// Where its load balancer has nodes.
const ZONES: [&str; 2] = ["ap-northeast-2a", "ap-northeast-2b"];
/// How long a client waits for an address that may be dark.
const DARK: Duration = Duration::from_millis(1_500);
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(100);

/// What somebody meets who connects.
#[derive(Debug, PartialEq, Eq)]
enum Met {
    Listener,
    Refusal,
    Silence,
}

/// The stack, and how far its story has been read.
struct Stack<'a> {
    rig: &'a Rig,
    password: String,
    runtime: tokio::runtime::Runtime,
}

impl Stack<'_> {
    fn address(&self, instance: &str) -> Ipv4Addr {
        let status = self.status();
        let found = instances(&status).find(|one| one["id"] == instance);
        let address = found.and_then(|one| one["address"].as_str().map(str::to_owned));
        let address = address.expect("the instance has an address");
        address.parse().expect("it is one")
    }

    fn role(&self, instance: &str) -> String {
        let status = self.status();
        let found = instances(&status).find(|one| one["id"] == instance);
        let role = found.and_then(|one| one["role"].as_str().map(str::to_owned));
        role.expect("the instance has a role")
    }

    fn status(&self) -> Value {
        let status = self.rig.done(&["status", "--json"]);
        serde_json::from_str(&status).expect("status is JSON")
    }

    fn events(&self) -> Vec<String> {
        let events = self.rig.done(&["events"]);
        events.lines().map(str::to_owned).collect()
    }

    /// Waits until the story, from `mark` on, tells every part.
    fn until(&self, mark: usize, parts: &[&str]) {
        self.wait(|| {
            let events = self.events();
            let tells = |part: &&&str| events[mark..].iter().any(|line| line.contains(**part));
            let missing: Vec<_> = parts.iter().filter(|part| !tells(part)).collect();
            match missing.as_slice() {
                [] => Ok(()),
                missing => Err(format!("{missing:?} in\n{}", events[mark..].join("\n"))),
            }
        });
    }

    /// Waits until every instance serves and every load balancer node thinks so too, and the database has its standby in sync.
    fn until_whole(&self) {
        self.wait(|| {
            let status = self.status();
            let ill = instances(&status).find(|one| {
                !["available", "running", "active"].contains(&one["state"].as_str().unwrap_or(""))
            });
            if let Some(ill) = ill {
                return Err(ill.to_string());
            }
            let events = self.events();
            let last = |part: &str| events.iter().rposition(|line| line.contains(part));
            let views = ["web-1", "web-2"]
                .iter()
                .flat_map(|web| ZONES.map(|zone| (web, zone)));
            let mut healthy = views.map(|(web, zone)| {
                last(&format!("{web} healthy from {zone}"))
                    > last(&format!("{web} unhealthy from {zone}"))
            });
            let whole = last("is in sync")
                > last("out of sync").max(last("promoted to primary, t"))
                && last(" replicates") >= last("does not replicate")
                && last("status available") > last("status modifying")
                && healthy.all(|healthy| healthy);
            whole
                .then_some(())
                .ok_or_else(|| format!("redundancy in\n{}", events.join("\n")))
        });
    }

    fn wait(&self, look: impl Fn() -> Result<(), String>) {
        let begun = Instant::now();
        while let Err(missing) = look() {
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {missing}");
            std::thread::park_timeout(LOOK);
        }
    }

    /// Injects a fault, and says where the story stood before.
    fn chaos(&self, fault: &str) -> usize {
        let mark = self.events().len();
        let mut arguments = vec!["chaos"];
        arguments.extend(fault.split(' '));
        self.rig.done(&arguments);
        mark
    }

    fn heal(&self) {
        self.rig.done(&["chaos", "heal", "--all"]);
    }

    /// The address that a name has at this moment.
    fn resolve(&self, endpoint: &str) -> Ipv4Addr {
        let endpoints = self.rig.done(&["endpoints", "--json"]);
        let endpoints: Value = serde_json::from_str(&endpoints).expect("endpoints are JSON");
        let all = endpoints["endpoints"].as_array().expect("there are some");
        let found = all.iter().find(|one| one["id"] == endpoint);
        let name = found
            .and_then(|one| one["name"].as_str())
            .expect("it has a name");
        let answer = self.rig.done(&["exec", "--", "getent", "hosts", name]);
        let address = answer.split_whitespace().next().expect("it has an address");
        address.parse().expect("it is one")
    }

    fn sql(&self, address: Ipv4Addr, statement: &str) -> Result<String, String> {
        let work = async {
            let mut config = tokio_postgres::Config::new();
            config
                .host(address.to_string())
                .user("shop")
                .password(&self.password)
                .dbname("shop");
            let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
            let mut driver = std::pin::pin!(connection);
            let mut answer = std::pin::pin!(client.simple_query(statement));
            tokio::select! {
                rows = &mut answer => rows,
                ended = &mut driver => { ended?; answer.await }
            }
        };
        let outcome = self
            .runtime
            .block_on(async { tokio::time::timeout(DARK, work).await });
        let rows = outcome
            .map_err(|_| "no answer".to_owned())?
            .map_err(|cause| format!("{cause:?}"))?;
        let first = rows.iter().find_map(|row| match row {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            SimpleQueryMessage::CommandComplete(_) | SimpleQueryMessage::RowDescription(_) | _ => {
                None
            }
        });
        Ok(first.unwrap_or_default())
    }

    /// Writes through the writer's name, again and again until it is acknowledged.
    fn writes(&self) {
        self.wait(|| {
            self.sql(self.resolve("orders"), "INSERT INTO seen VALUES (1)")
                .map(drop)
        });
    }

    /// Sets a key through the primary's name, again and again until it is acknowledged.
    fn sets(&self) {
        self.wait(|| match redis(self.resolve("sessions"), "SET k 1") {
            Ok(answer) if answer == "+OK" => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
}

fn instances(status: &Value) -> impl Iterator<Item = &Value> {
    status["instances"]
        .as_array()
        .expect("there are instances")
        .iter()
}

/// The same host as it is dialled from a zone: the third number says where the dialler stands.
fn seen_from(zone: u8, address: Ipv4Addr) -> Ipv4Addr {
    let [net, slot, home, host] = address.octets();
    Ipv4Addr::new(net, slot, 16 * zone + home, host)
}

fn dial(address: Ipv4Addr, port: u16) -> Met {
    match TcpStream::connect_timeout(&SocketAddr::from((address, port)), DARK) {
        Ok(_) => Met::Listener,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Met::Refusal,
        Err(error) if error.kind() == ErrorKind::TimedOut => Met::Silence,
        Err(error) => panic!("connect to {address}:{port}: {error}"),
    }
}

fn ask(address: Ipv4Addr, port: u16, question: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, port)), DARK)?;
    stream.set_read_timeout(Some(DARK))?;
    stream.write_all(question.as_bytes())?;
    let mut answer = [0; 512];
    let read = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..read]).into_owned())
}

pub(super) fn redis(address: Ipv4Addr, command: &str) -> std::io::Result<String> {
    Ok(ask(address, 6379, &format!("{command}\r\n"))?
        .trim_end()
        .to_owned())
}

fn http(address: Ipv4Addr, port: u16) -> std::io::Result<String> {
    let request = "GET /whoami HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n";
    let answer = ask(address, port, request)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

fn killed(stack: &Stack<'_>) {
    let primary = stack.address("orders-1");
    let mark = stack.chaos("kill orders-1");
    stack.writes();
    stack.until(
        mark,
        &[
            "exited: signal 9",
            "RDS-EVENT-0013 Multi-AZ instance failover started.",
            "failing over from orders-1 (fenced) to orders-2",
            "RDS-EVENT-0049 Multi-AZ instance failover completed.",
            "RDS-EVENT-0362 Recovery of standby DB instance has completed.",
        ],
    );
    stack.until_whole();
    assert_eq!(stack.role("orders-2"), "primary");
    assert_eq!(stack.address("orders-1"), primary);
}

/// The standby, the read replica, the cache's replica and a web instance at once.
fn stopped(stack: &Stack<'_>) {
    let held = [
        ("orders-1", 5432),
        ("orders-replica-1", 5432),
        ("sessions-002", 6379),
        ("web-1", 8080),
    ];
    let before: Vec<_> = held.map(|(id, _)| stack.address(id)).to_vec();
    let mark = stack.events().len();
    for (id, _) in held {
        // Nobody reads what it prints, and the fault is no less asked for.
        let mut unread = stack.rig.start(&["chaos", "stop", id]);
        drop(unread.stdout.take());
        unread.wait().expect("it is our child");
    }
    stack.until(
        mark,
        &[
            "standby orders-1 is out of sync",
            "RDS-EVENT-0361",
            "sessions-002 does not replicate",
            "web-1 unhealthy",
        ],
    );
    for ((id, port), address) in held.iter().zip(&before) {
        assert_eq!(dial(*address, *port), Met::Refusal, "{id}");
    }
    stack.writes();
    stack.sets();
    // Their replication stopped a moment ago or earlier, and what is shown is what was seen.
    let followers = ["orders-1", "orders-replica-1", "sessions-002"];
    let replication = || followers.map(|id| stack.rig.instance(id, "replication"));
    stack.wait(|| match replication() {
        shown if shown == ["out-of-sync", "error", "link-down"] => Ok(()),
        shown => Err(format!("shown as {shown:?}")),
    });
    stack.heal();
    stack.until_whole();
    assert_eq!(replication(), ["in-sync", "replicating", "replicating"]);
    let replica = stack.address("orders-replica-1");
    let rows = stack.sql(stack.resolve("orders"), "SELECT count(*) FROM seen");
    stack.wait(|| {
        let copied = stack.sql(replica, "SELECT count(*) FROM seen");
        (copied == rows)
            .then_some(())
            .ok_or_else(|| format!("{rows:?} in the replica: {copied:?}"))
    });
    let copied = redis(stack.address("sessions-002"), "GET k").expect("the replica answers");
    assert_eq!(copied, "$1\r\n1");
    let after: Vec<_> = held.map(|(id, _)| stack.address(id)).to_vec();
    assert_eq!(after, before);
}

fn frozen(stack: &Stack<'_>) {
    let (database, cache) = (stack.address("orders-2"), stack.address("sessions-001"));
    let web = stack.address("web-1");
    let mark = stack.events().len();
    for instance in ["web-1", "orders-2", "sessions-001"] {
        stack.chaos(&format!("freeze {instance}"));
    }
    assert_eq!(dial(web, 8080), Met::Listener, "the kernel accepts");
    let hangs = http(web, 8080).expect_err("nobody answers");
    assert!(
        [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&hangs.kind()),
        "{hangs}"
    );
    stack.writes();
    stack.sets();
    stack.until(
        mark,
        &[
            "failing over from orders-2 (fenced) to orders-1",
            "RDS-EVENT-0006 DB instance restarted.",
            "Failover from primary node sessions-001 to replica node sessions-002 completed",
            "Recovering cache nodes sessions-001",
            "web-1 unhealthy",
        ],
    );
    // A freeze ends with the process that it hit: both former primaries have been started anew.
    stack.wait(|| match &*stack.rig.done(&["chaos", "list"]) {
        list if list.lines().count() == 2 && list.contains("web-1") => Ok(()),
        list => Err(list.to_owned()),
    });
    stack.heal();
    let written = stack.sql(database, "INSERT INTO seen VALUES (2)");
    assert!(
        written.is_err(),
        "the former primary takes writes: {written:?}"
    );
    stack.until_whole();
    let written = stack.sql(database, "INSERT INTO seen VALUES (2)");
    assert!(written.is_err(), "a standby takes writes: {written:?}");
    let answer = redis(cache, "SET k 2").expect("a replica answers");
    assert!(answer.starts_with("-READONLY"), "{answer}");
    assert_eq!(
        http(web, 8080).expect("it has thawed"),
        "HTTP/1.1 200 OK",
        "web-1"
    );
}

/// The followers, which nobody waits for: the standby, the read replica and the cache's replica.
fn hung(stack: &Stack<'_>) {
    let followers = ["orders-2", "orders-replica-1", "sessions-001"];
    for instance in followers {
        stack.chaos(&format!("freeze {instance}"));
    }
    stack.writes();
    stack.sets();
    // Each is started anew where it stands, and its freeze ends with the process that it hit.
    stack.wait(|| match stack.rig.done(&["chaos", "list"]) {
        list if list.is_empty() => Ok(()),
        list => Err(list),
    });
    stack.until_whole();
    let roles = followers.map(|id| stack.role(id));
    assert_eq!(roles, ["standby", "replica", "replica"]);
}

/// Zone a has the number 1, zone b the number 2; both web instances know the link.
fn links(stack: &Stack<'_>) {
    let web = stack.address("web-1");
    let from_b = seen_from(2, web);
    assert_eq!(dial(from_b, 8080), Met::Listener);
    for cut in [
        "partition a b",
        "partition a b --one-way",
        "partition b a --one-way",
    ] {
        stack.chaos(cut);
        assert_eq!(
            dial(from_b, 8080),
            Met::Silence,
            "{cut}: no handshake without both ways"
        );
        assert_eq!(
            dial(seen_from(1, web), 8080),
            Met::Listener,
            "{cut}: within the zone"
        );
        assert_eq!(dial(web, 8080), Met::Listener, "{cut}: from outside");
        stack.heal();
        assert_eq!(dial(from_b, 8080), Met::Listener, "{cut}: healed");
    }
    stack.until_whole();
    stack.chaos("slow a b --latency 200ms");
    let begun = Instant::now();
    let answer = http(from_b, 8080).expect("late is not never");
    assert!(begun.elapsed() >= Duration::from_millis(400), "both ways");
    assert_eq!(answer, "HTTP/1.1 200 OK");
    stack.heal();
    stack.until_whole();
}

fn cut_off(stack: &Stack<'_>) {
    let web = stack.address("web-1");
    // What the links held up may yet cost the standby its title: a write that both have, or a record that they have not, ends that.
    stack.writes();
    stack.until_whole();
    assert_eq!(stack.role("orders-1"), "primary");
    let mark = stack.chaos("kill-az a --mode network");
    assert_eq!(dial(web, 8080), Met::Silence);
    assert_eq!(dial(stack.address("orders-1"), 5432), Met::Silence);
    assert_eq!(
        dial(seen_from(1, web), 8080),
        Met::Listener,
        "within the zone"
    );
    stack.writes();
    stack.sets();
    stack.until(
        mark,
        &[
            "unreachable due to loss of network connectivity",
            "RDS-EVENT-0049",
        ],
    );
    let told = stack.events()[mark..].join("\n");
    assert!(!told.contains("exited"), "it only lost its network: {told}");
    stack.heal();
    stack.until_whole();
    assert_eq!(stack.role("orders-2"), "primary");
    assert_eq!(dial(web, 8080), Met::Listener);
}

/// A daemon that is killed amid faults, and the next one: the faults hold on, and end when they are healed.
fn abandoned(stack: &Stack<'_>) {
    let before = stack.status()["instances"].clone();
    stack.chaos("stop web-1");
    stack.chaos("kill-az b --mode network");
    stack.rig.kill_daemon();
    stack.rig.up(FILE).ends(0, "");
    stack.rig.up(FILE).ends(2, "");
    assert_eq!(dial(stack.address("web-1"), 8080), Met::Refusal);
    assert_eq!(dial(stack.address("web-2"), 8080), Met::Silence);
    stack.heal();
    stack.writes();
    stack.sets();
    stack.until_whole();
    let handles = |instances: &Value| {
        let of = |id: &str| {
            let mut all = instances.as_array().into_iter().flatten();
            let one = all.find(|one| one["id"] == id).cloned().unwrap_or_default();
            (one["pid"].clone(), one["container"].clone())
        };
        (of("web-2"), of("orders-replica-1"))
    };
    let after = stack.status()["instances"].clone();
    assert_eq!(
        handles(&after).0,
        handles(&before).0,
        "adopted, not started anew"
    );
}

/// The whole story, on one runtime.
pub(super) fn every_fault_does_what_it_says(runtime: &'static str) {
    let rig = Rig::new(runtime);
    rig.up(FILE).ends(0, "");
    let variables = rig.done(&["endpoints", "--env"]);
    let url = variables
        .lines()
        .find_map(|line| line.split_once("postgresql://shop:"));
    let (_, rest) = url.expect("the database has a URL");
    let (password, _) = rest.split_once('@').expect("with a password");
    let stack = Stack {
        rig: &rig,
        password: password.to_owned(),
        runtime: tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime"),
    };
    let made = stack.sql(stack.resolve("orders"), "CREATE TABLE seen (n int)");
    made.expect("the database takes statements");
    killed(&stack);
    stopped(&stack);
    frozen(&stack);
    hung(&stack);
    links(&stack);
    cut_off(&stack);
    abandoned(&stack);
    let traces = rig.traces();
    rig.kill_daemon();
    rig.done(&["down", "--purge"]);
    assert_eq!(traces.anything(), Vec::<String>::new());
}
