//! Requests through an Application Load Balancer.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use proxies::routes::TargetState;
use proxies::traffic::{Subject, Traffic};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use topologies::address::HostAddress;
use topologies::topology::{
    ForwardedFor, Headers, LoadBalancerType, Rule, RuleAction, Stickiness, StickinessType,
};

use crate::stack::{NEVER, SOON, Stack, connect, next, nothing_wrong, ping, refusal, zone};

const PORT: u16 = 8080;

/// A web server: its answer's body is its name and the request's head, then the request's body.
async fn web(name: &'static str, address: HostAddress) -> JoinSet<()> {
    let listener = TcpListener::bind((address.engine(), PORT)).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(async move {
                let mut stream = BufReader::new(stream);
                while answer(name, &mut stream).await.is_some() {}
            });
        }
    });
    tasks
}

/// Answers one request; none when the connection is over.
async fn answer(name: &str, stream: &mut BufReader<TcpStream>) -> Option<()> {
    let head = head(stream).await?;
    let length: usize = header(&head, "content-length").map_or(0, |it| it.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let path = head.split(' ').nth(1)?;
    let reply = match path {
        "/hang" => std::future::pending().await,
        "/break" => return None,
        "/garbage" => "no HTTP at all\r\n\r\n".to_owned(),
        "/500" => "HTTP/1.1 500 Oops\r\nServer: web\r\nContent-Length: 4\r\n\r\noops".to_owned(),
        "/login" => {
            let set = "HTTP/1.1 200 OK\r\nSet-Cookie: session=1; Path=/\r\n";
            format!("{set}Content-Length: {}\r\n\r\n{name}", name.len())
        }
        "/once" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        "/headers" => format!(
            "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n",
            "x".repeat(33_000)
        ),
        "/ws" => {
            let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
            stream.write_all(switch.as_bytes()).await.ok()?;
            let (mut read, mut write) = tokio::io::split(stream);
            let _ended = tokio::io::copy(&mut read, &mut write).await;
            return None;
        }
        _ => {
            let body = format!("{name}\n{head}{}", String::from_utf8(body).unwrap());
            format!(
                "HTTP/1.1 200 OK\r\nServer: web\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
    };
    stream.write_all(reply.as_bytes()).await.ok()?;
    // Closed without a word: the load balancer may not have noticed when it sends the next request.
    (path != "/once").then_some(())
}

/// Everything up to the empty line.
async fn head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = tokio::time::timeout(SOON, stream.read_line(&mut head)).await;
        if read.unwrap().ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines();
    lines.find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A client's connection.
struct Client(BufReader<TcpStream>);

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Client {
    /// To the node in a zone, from zone 3.
    async fn connect(stack: &Stack, node: usize) -> Self {
        let address = stack.host(node, 100).seen_from(zone(3));
        Self(BufReader::new(connect((address, PORT)).await.unwrap()))
    }

    async fn send(&mut self, request: &str) {
        self.0.write_all(request.as_bytes()).await.unwrap();
    }

    async fn reply(&mut self) -> Reply {
        let head = head(&mut self.0).await.expect("an answer");
        let length = header(&head, "content-length").map_or(0, |it| it.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        Reply {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            body: String::from_utf8(body).unwrap(),
            head,
        }
    }

    async fn get(&mut self, path: &str) -> Reply {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: Shop.Internal\r\n\r\n"
        ))
        .await;
        self.reply().await
    }
}

/// Targets `a1` in zone 1 and `b1` in zone 2 behind nodes in both.
async fn with_targets(slot: u8) -> (Stack, Vec<JoinSet<()>>) {
    let mut stack = Stack::start_at(slot, 5354);
    stack.add_load_balancer(LoadBalancerType::Application, PORT, Duration::from_secs(60));
    let mut engines = Vec::new();
    for (name, zone_number) in [("a1", 1), ("b1", 2)] {
        stack.add_target(name, zone_number, 10, PORT);
        engines.push(web(name, stack.host(zone_number, 10)).await);
    }
    stack.apply().await;
    (stack, engines)
}

/// The targets that four requests get.
async fn reached(client: &mut Client) -> String {
    let mut names = Vec::new();
    for _ in 0..4 {
        let reply = client.get("/").await;
        names.push(reply.body.lines().next().unwrap().to_owned());
    }
    names.join(" ")
}

fn traffic(stack: &Stack) -> Traffic {
    stack.listener("lb", PORT)
}

#[tokio::test]
async fn requests_take_turns_and_targets_learn_who_asked() {
    let (stack, _engines) = with_targets(104).await;
    let mut client = Client::connect(&stack, 1).await;
    assert_eq!(reached(&mut client).await, "a1 b1 a1 b1");
    let reply = client.get("/a?b=c").await;
    assert_eq!(
        (reply.status, header(&reply.head, "server")),
        (200, Some("web"))
    );
    let (_, request) = reply.body.split_once('\n').unwrap();
    assert!(request.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{request}");
    assert_eq!(header(request, "host"), Some("shop.internal"));
    assert_eq!(header(request, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(header(request, "x-forwarded-port"), Some("8080"));
    let trace = header(request, "x-amzn-trace-id").unwrap();
    assert!(trace.starts_with("Root=1-") && trace.len() == 40, "{trace}");

    let body = "x".repeat(100_000);
    let post = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{body}");
    client.send(&post).await;
    assert!(client.reply().await.body.ends_with(&body));
    assert_eq!(
        (traffic(&stack).connections, traffic(&stack).requests),
        (1, 6)
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn rules_choose_and_health_and_zones_narrow_the_choice() {
    let (mut stack, _engines) = with_targets(105).await;
    let listener = &mut stack.load_balancer().listeners[0];
    let mut rule = Rule::new(
        1,
        RuleAction::FixedResponse {
            status_code: 418,
            content_type: "text/plain".into(),
            message_body: "short and stout".into(),
        },
    );
    rule.host_header = vec!["shop.*".into()];
    rule.path_pattern = vec!["/teapot".into()];
    listener.rules.push(rule);
    let mut rule = Rule::new(2, RuleAction::Forward("nobody".into()));
    rule.path_pattern = vec!["/empty/*".into()];
    listener.rules.push(rule);
    stack.set_health("a1", TargetState::Unhealthy);
    stack.apply().await;
    let mut client = Client::connect(&stack, 1).await;
    let reply = client.get("/teapot").await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (418, "short and stout")
    );
    assert_eq!(client.get("/empty/x").await.status, 503);
    assert_eq!(reached(&mut client).await, "b1 b1 b1 b1");
    stack.set_health("b1", TargetState::Unhealthy);
    stack.apply().await;
    let names: BTreeSet<_> = reached(&mut client)
        .await
        .split(' ')
        .map(str::to_owned)
        .collect();
    assert_eq!(names.len(), 2, "fails open");
    stack
        .routes
        .target_groups
        .get_mut("group")
        .unwrap()
        .cross_zone = Some(false);
    stack.apply().await;
    assert_eq!(reached(&mut client).await, "a1 a1 a1 a1");
    stack.targets().remove(0);
    stack.apply().await;
    let reply = client.get("/").await;
    assert_eq!(
        (reply.status, header(&reply.head, "server")),
        (503, Some("awselb/2.0"))
    );
    assert_eq!(reply.body.len(), 162);
    assert_eq!((traffic(&stack).elb_4xx, traffic(&stack).elb_5xx), (1, 2));
    stack.shutdown().await;
}

#[tokio::test]
async fn broken_targets_are_502_and_silent_ones_504() {
    let (mut stack, engines) = with_targets(106).await;
    stack.targets().remove(1);
    stack.load_balancer().idle_timeout = Duration::from_millis(200);
    stack.apply().await;
    for (path, status) in [
        ("/break", 502),
        ("/garbage", 502),
        ("/headers", 502),
        ("/hang", 504),
        ("/500", 500),
        ("/fine", 200),
    ] {
        let mut client = Client::connect(&stack, 1).await;
        assert_eq!(client.get(path).await.status, status, "{path}");
    }
    let counted = traffic(&stack);
    assert_eq!((counted.elb_5xx, counted.target_5xx), (4, 1));
    drop(engines);
    stack.network.closed = BTreeSet::from(["a1".into()]);
    stack.apply().await;
    let mut client = Client::connect(&stack, 1).await;
    assert_eq!(client.get("/").await.status, 502);
    assert_eq!(traffic(&stack).target_connection_errors, 1);
    stack.shutdown().await;
}

/// aws-behaviour §4.8: by node and target group, without what the load balancer answers by itself.
#[tokio::test]
async fn what_targets_answer_is_counted_by_node_and_group() {
    let (mut stack, _engines) = with_targets(109).await;
    let listener = &mut stack.routes.load_balancers.get_mut("lb").unwrap().listeners[0];
    let mut rule = Rule::new(
        1,
        RuleAction::FixedResponse {
            status_code: 418,
            content_type: "text/plain".into(),
            message_body: "short and stout".into(),
        },
    );
    rule.path_pattern = vec!["/teapot".into()];
    listener.rules.push(rule);
    stack.apply().await;
    let mut client = Client::connect(&stack, 1).await;
    for path in ["/", "/500", "/", "/teapot"] {
        client.get(path).await;
    }
    let subject = |zone: usize| {
        let group = "group".into();
        Subject::TargetGroup("lb".into(), crate::stack::zone_id(zone), group)
    };
    let counted = &stack.plane.traffic();
    let group = counted[&subject(1)];
    assert_eq!(
        (group.routed, group.target_2xx, group.target_5xx),
        (3, 2, 1)
    );
    assert_eq!(counted[&subject(2)], Traffic::default());
    let times = &stack.plane.response_times()[&subject(1)];
    assert_eq!(times.counted().map(|(_, count)| count).sum::<u64>(), 3);
    assert!(times.total > Duration::ZERO);
    let node = traffic(&stack);
    assert_eq!((node.requests, node.routed, node.elb_4xx), (4, 3, 1));
    assert_eq!((node.fixed_responses, node.served), (1, 1));
    assert_eq!(
        (node.target_connections, node.target_connections_ended),
        (2, 0)
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn a_waiting_connection_that_was_closed_costs_no_request() {
    let (mut stack, _engines) = with_targets(107).await;
    stack.targets().remove(1);
    stack.apply().await;
    let mut client = Client::connect(&stack, 1).await;
    for _ in 0..20 {
        assert_eq!(client.get("/once").await.status, 200);
        // A request that meets the end of its connection on the way is a 502, as with AWS; this is about an end that
        // the load balancer has seen, which shows in that it ended its side, too.
        let ended = async {
            loop {
                let eni = stack.plane.traffic()[&Subject::Eni("a1".into())];
                if eni.connections_ended == eni.connections {
                    return eni.connections;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(SOON, ended).await.unwrap();
    }
    let eni = stack.plane.traffic()[&Subject::Eni("a1".into())];
    assert_eq!(eni.connections, 20);
    stack.shutdown().await;
}

#[tokio::test]
async fn a_connection_waits_for_the_next_request() {
    let mut stack = Stack::start_at(108, 5354);
    stack.add_load_balancer(LoadBalancerType::Application, PORT, Duration::from_secs(60));
    stack.add_target("a1", 1, 10, PORT);
    let _engine = web("a1", stack.host(1, 10)).await;
    stack.apply().await;
    let mut client = Client::connect(&stack, 1).await;
    for _ in 0..50 {
        assert_eq!(client.get("/").await.status, 200);
    }
    let eni = stack.plane.traffic()[&Subject::Eni("a1".into())];
    assert_eq!(eni.connections, 1);
    stack.shutdown().await;
}

#[tokio::test]
async fn bad_requests_are_turned_down() {
    let (stack, _engines) = with_targets(100).await;
    let long = "x".repeat(17_000);
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 405),
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
            400,
        ),
        ("not HTTP\r\n\r\n".to_owned(), 400),
    ] {
        let mut client = Client::connect(&stack, 1).await;
        client.send(&request).await;
        let status_line = &request[..request.len().min(20)];
        assert_eq!(client.reply().await.status, status, "{status_line}");
    }
    stack.shutdown().await;
}

#[tokio::test]
async fn upgrades_pass_through() {
    let (stack, _engines) = with_targets(101).await;
    let mut client = Client::connect(&stack, 2).await;
    client
        .send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .await;
    let reply = client.reply().await;
    assert_eq!(
        (reply.status, header(&reply.head, "upgrade")),
        (101, Some("websocket"))
    );
    ping(&mut client.0.into_inner(), "frames").await;
    stack.shutdown().await;
}

#[tokio::test]
async fn an_upgraded_connection_without_data_is_closed_after_the_idle_timeout() {
    let (mut stack, _engines) = with_targets(108).await;
    let idle = Duration::from_secs(2);
    stack.load_balancer().idle_timeout = idle;
    stack.apply().await;
    let mut client = Client::connect(&stack, 2).await;
    client
        .send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .await;
    assert_eq!(client.reply().await.status, 101);
    let mut client = client.0.into_inner();
    let begun = Instant::now();
    // Data keep it: longer in all than the timeout.
    for _ in 0..6 {
        tokio::time::sleep(idle / 5).await;
        ping(&mut client, "frames").await;
    }
    assert!(begun.elapsed() > idle);
    assert_eq!(next(&mut client, idle * 10).await, Ok(0));
    stack.shutdown().await;
}

#[tokio::test]
async fn a_node_without_power_stalls_and_then_resets() {
    let (mut stack, _engines) = with_targets(102).await;
    let mut client = Client::connect(&stack, 1).await;
    assert_eq!(client.get("/").await.status, 200);
    stack.network.dark = BTreeSet::from([zone(1)]);
    stack.apply().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut client = client.0.into_inner();
    assert_eq!(next(&mut client, NEVER).await, Err(ErrorKind::TimedOut));
    let address = stack.host(1, 100).seen_from(zone(3));
    assert_eq!(refusal((address, PORT)).await, ErrorKind::TimedOut);
    stack.set_health("a1", TargetState::Unhealthy);
    stack.apply().await;
    assert_eq!(
        reached(&mut Client::connect(&stack, 2).await).await,
        "b1 b1 b1 b1"
    );
    stack.network = nothing_wrong();
    stack.apply().await;
    assert_eq!(
        next(&mut client, SOON).await,
        Err(ErrorKind::ConnectionReset)
    );
    stack.shutdown().await;
}

#[tokio::test]
async fn an_isolated_node_answers_when_the_link_is_back() {
    let (mut stack, _engines) = with_targets(103).await;
    let mut client = Client::connect(&stack, 1).await;
    assert_eq!(client.get("/").await.status, 200);
    stack.network.isolated = BTreeSet::from([zone(3)]);
    stack.apply().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let start = Instant::now();
    let (reply, ()) = tokio::join!(client.reply(), async {
        tokio::time::sleep(NEVER).await;
        stack.network = nothing_wrong();
        stack.apply().await;
    });
    assert_eq!(reply.status, 200);
    assert!(start.elapsed() >= NEVER);
    stack.shutdown().await;
}

/// aws-behaviour §4.6: what the load balancer's attributes make of headers, as a target gets them.
#[tokio::test]
async fn s4_6_attributes_of_a_load_balancer_decide_what_targets_get_of_headers() {
    let (mut stack, _engines) = with_targets(113).await;
    let asked = "GET / HTTP/1.1\r\nHost: Shop.Internal\r\nX-Forwarded-For: 192.0.2.1\r\nbad_name: x\r\n\r\n";
    let usual = Headers::default();
    let of = |forwarded_for| Headers {
        forwarded_for,
        ..usual
    };
    for (headers, forwarded, host, invalid) in [
        (
            usual,
            Some("192.0.2.1, 127.0.0.1"),
            "shop.internal",
            Some("x"),
        ),
        (
            of(ForwardedFor::Preserve),
            Some("192.0.2.1"),
            "shop.internal",
            Some("x"),
        ),
        (of(ForwardedFor::Remove), None, "shop.internal", Some("x")),
        (
            Headers {
                preserve_host: true,
                drop_invalid: true,
                ..usual
            },
            Some("192.0.2.1, 127.0.0.1"),
            "Shop.Internal",
            None,
        ),
    ] {
        stack.routes.load_balancers.get_mut("lb").unwrap().headers = headers;
        stack.apply().await;
        let mut client = Client::connect(&stack, 1).await;
        client.send(asked).await;
        let reply = client.reply().await;
        let got = |name| header(&reply.body, name);
        assert_eq!(got("x-forwarded-for"), forwarded, "{headers:?}");
        assert_eq!(got("host"), Some(host), "{headers:?}");
        assert_eq!(got("bad_name"), invalid, "{headers:?}");
    }
    stack.shutdown().await;
}

/// aws-behaviour §4.3: stickiness by the application's cookie begins when the application sets it.
#[tokio::test]
async fn s4_3_app_cookies_keep_a_client_with_its_target() {
    let (mut stack, _engines) = with_targets(110).await;
    let group = stack.routes.target_groups.get_mut("group").unwrap();
    group.routing.stickiness = Stickiness {
        enabled: true,
        kind: StickinessType::AppCookie,
        app_cookie: "session".to_owned(),
        ..Stickiness::default()
    };
    stack.apply().await;
    let mut client = Client::connect(&stack, 1).await;
    let reply = client.get("/").await;
    assert_eq!(header(&reply.head, "set-cookie"), None);
    let reply = client.get("/login").await;
    let cookie = reply.head.split("AWSALBAPP-0=").nth(1).unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let get = format!("GET /login HTTP/1.1\r\nHost: a\r\nCookie: AWSALBAPP-0={cookie}\r\n\r\n");
    for _ in 0..4 {
        client.send(&get).await;
        assert_eq!(client.reply().await.body, reply.body);
    }
    stack.shutdown().await;
}
