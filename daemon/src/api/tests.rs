//! The API over a stack of which only the handle is real.

pub(crate) mod hollow;

use std::io::Write;
use std::sync::Arc;

use axum::body::Body;
use futures_util::StreamExt;
use http::{Method, Request as HttpRequest, StatusCode};
use http_body_util::BodyExt;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use topologies::event::{Event, EventKind};
use topologies::time::Time;
use topologies::world::World;

use super::*;
use crate::stack::Request;
use hollow::{Fixture, fixture};

async fn ask(router: &Router, request: HttpRequest<Body>) -> (StatusCode, String) {
    use hyper::service::Service;
    let answer = TowerToHyperService::new(router.clone())
        .call(request)
        .await
        .unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn request(method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> HttpRequest<Body> {
    let mut request = HttpRequest::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

async fn get_json(fixture: &Fixture, path: &str) -> Value {
    let router = router(fixture.api.clone(), Exposure::File);
    let (status, body) = ask(&router, request(Method::GET, path, &[], "")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn event(seq: u64) -> Event {
    Event {
        seq,
        at: Time::from_millis(seq),
        event: EventKind::DrillStarted {
            drill: format!("d{seq}"),
        },
    }
}

fn write(fixture: &Fixture, seqs: impl Iterator<Item = u64>) {
    let mut file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(fixture.api.stack.timeline())
        .unwrap();
    for seq in seqs {
        writeln!(file, "{}", serde_json::to_string(&event(seq)).unwrap()).unwrap();
    }
}

async fn seqs(fixture: &Fixture, since: u64, follow: bool, count: usize) -> Vec<u64> {
    let lines = events::Feed::open(&fixture.api.stack, since, follow).lines();
    let lines: Vec<_> = lines.take(count).collect().await;
    lines
        .into_iter()
        .map(|line| serde_json::from_str::<Event>(&line.unwrap()).unwrap().seq)
        .collect()
}

#[tokio::test]
async fn views_have_the_shape_that_is_documented() {
    let fixture = fixture();
    let status = get_json(&fixture, "/_localaws/v1/status").await;
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        keys(&status),
        ["stack", "state", "runtime", "zones", "instances", "faults"]
    );
    assert_eq!(
        keys(&status["instances"][0]),
        ["id", "kind", "service", "role", "zone", "state", "address"]
    );
    let endpoints = get_json(&fixture, "/_localaws/v1/endpoints").await;
    assert_eq!(endpoints["resolver"], "127.64.0.2:53");
    assert_eq!(endpoints["api"], "http://127.64.0.1:4566");
    assert_eq!(endpoints["region"], "ap-northeast-2");
    assert_eq!(endpoints["credentials"]["access_key_id"], "test");
    let writer = &endpoints["endpoints"][0];
    assert_eq!(
        keys(writer),
        ["id", "kind", "name", "port", "addresses", "url"]
    );
    assert_eq!(writer["kind"], "rds-writer");
    assert_eq!(writer["addresses"], json!(["127.64.1.10"]));
    let plan = get_json(&fixture, "/_localaws/v1/plan").await;
    assert_eq!(plan["network"], "127.64.0.0/16");
}

#[expect(clippy::too_many_lines, reason = "one table of requests")]
#[tokio::test]
async fn what_can_not_be_meant_is_refused_in_json() {
    let fixture = fixture();
    let router = router(fixture.api.clone(), Exposure::File);
    let json = [("content-type", "application/json")];
    let faults = "/_localaws/v1/faults";
    let kill = r#"{"kill-az": {"zone": "nowhere"}}"#;
    let large = "x".repeat(BODY_BYTES_MAX + 1);
    for (method, path, headers, body, status, code) in [
        (Method::POST, faults, &json[..], "{", 400, "invalid-request"),
        (
            Method::POST,
            faults,
            &json,
            r#"{"kill-az": {}}"#,
            422,
            "invalid-fault",
        ),
        (Method::POST, faults, &json, kill, 422, "invalid-fault"),
        (
            Method::POST,
            faults,
            &[],
            kill,
            415,
            "unsupported-media-type",
        ),
        (Method::POST, faults, &json, &large, 413, "too-large"),
        (Method::PUT, faults, &json, kill, 405, "method-not-allowed"),
        (
            Method::DELETE,
            "/_localaws/v1/faults/f9",
            &[],
            "",
            404,
            "not-found",
        ),
        (
            Method::GET,
            "/_localaws/v1/logs/nobody",
            &[],
            "",
            404,
            "not-found",
        ),
        (
            Method::GET,
            "/_localaws/v1/events?since=x",
            &[],
            "",
            400,
            "invalid-request",
        ),
        (
            Method::GET,
            "/_localaws/v1/events?sinec=1",
            &[],
            "",
            400,
            "invalid-request",
        ),
        (
            Method::GET,
            "/_localaws/v2/status",
            &[],
            "",
            404,
            "not-found",
        ),
    ] {
        let (got, text) = ask(&router, request(method.clone(), path, headers, body)).await;
        assert_eq!(got.as_u16(), status, "{method} {path}: {text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["error"]["code"], code, "{method} {path}: {text}");
        assert!(!answer["error"]["message"].as_str().unwrap().is_empty());
    }
    let (status, text) = ask(&router, request(Method::POST, "/", &[], "")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(
        text.starts_with("<ErrorResponse"),
        "what is not ours is AWS's: {text}"
    );
}

#[tokio::test]
async fn foreign_pages_are_refused_on_loopback_only() {
    let fixture = fixture();
    let path = "/_localaws/v1/status";
    let foreign = [("origin", "http://evil.example")];
    let loopback = router(fixture.api.clone(), Exposure::Loopback);
    let (status, text) = ask(&loopback, request(Method::GET, path, &foreign, "")).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
    let (status, _) = ask(&loopback, request(Method::GET, path, &[], "")).await;
    assert_eq!(status, StatusCode::OK);
    let file = router(fixture.api.clone(), Exposure::File);
    let (status, _) = ask(&file, request(Method::GET, path, &foreign, "")).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn over_tcp_only_the_owner_learns_passwords_and_changes_anything() {
    let mut fixture = fixture();
    let loopback = router(fixture.api.clone(), Exposure::Loopback);
    let token = std::fs::read_to_string(fixture.api.stack.directory.join(token::FILE)).unwrap();
    let owner = format!("Bearer {token}");
    let password = {
        let estate = fixture.api.stack.estate.borrow();
        let master = &estate.secrets.databases.values().next().unwrap().master;
        master.expose().to_owned()
    };
    let asked = [
        (Method::GET, "/plan"),
        (Method::GET, "/topology"),
        (Method::GET, "/events"),
        (Method::GET, "/logs/web-1"),
        (Method::GET, "/faults"),
        (Method::POST, "/faults"),
        (Method::DELETE, "/faults"),
        (Method::DELETE, "/faults/f1"),
        (Method::GET, "/clock"),
        (Method::POST, "/drills"),
        (Method::POST, "/down?purge=true"),
    ];
    for (method, path) in asked {
        let path = format!("{BASE}{path}");
        for shown in [&[][..], &[("authorization", "Bearer 00")]] {
            let (status, text) = ask(&loopback, request(method.clone(), &path, shown, "")).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}: {text}");
            assert!(!text.contains(&password), "{text}");
        }
    }
    assert!(
        fixture._downs.try_recv().is_err(),
        "a stranger ends the stack"
    );
    assert!(
        fixture.requests.try_recv().is_err(),
        "a stranger changes it"
    );
    for (path, shown, knows) in [
        ("/status", &[][..], false),
        ("/endpoints", &[], false),
        ("/endpoints", &[("authorization", owner.as_str())], true),
        ("/plan", &[("authorization", owner.as_str())], false),
    ] {
        let path = format!("{BASE}{path}");
        let (status, text) = ask(&loopback, request(Method::GET, &path, shown, "")).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        assert_eq!(text.contains(&password), knows, "{path}: {text}");
    }
    let foreign = [("authorization", owner.as_str()), ("host", "evil.example")];
    let (status, _) = ask(
        &loopback,
        request(Method::GET, &format!("{BASE}/plan"), &foreign, ""),
    )
    .await;
    assert_eq!(
        status,
        StatusCode::FORBIDDEN,
        "a token is no way past the guard"
    );
}

#[tokio::test]
async fn a_fault_is_told_before_it_is_injected() {
    let mut fixture = fixture();
    let router = router(fixture.api.clone(), Exposure::File);
    let json = [("content-type", "application/json")];
    let kill = r#"{"kill-az": {"zone": "a"}}"#;
    let preview = "/_localaws/v1/faults?preview=true";
    let mut text = String::new();
    for (answer, expected) in [
        (Err("it is down already".to_owned()), StatusCode::CONFLICT),
        (Ok(()), StatusCode::OK),
    ] {
        let asked = ask(&router, request(Method::POST, preview, &json, kill));
        let driver = async {
            match fixture.requests.recv().await {
                Some(Request::Preview(_, told)) => told.send(answer).unwrap(),
                Some(_) | None => panic!("a preview is only asked for"),
            }
        };
        let ((status, told), ()) = tokio::join!(asked, driver);
        assert_eq!(status, expected, "{told}");
        text = told;
    }
    let preview: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(preview["id"], Value::Null);
    assert!(!preview["consequences"].as_array().unwrap().is_empty());
    assert!(
        fixture.requests.try_recv().is_err(),
        "a preview reached the driver"
    );
    drop(fixture.requests);
    let faults = "/_localaws/v1/faults";
    let (status, _) = ask(&router, request(Method::POST, faults, &json, kill)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn the_timeline_is_read_from_anywhere() {
    let fixture = fixture();
    write(&fixture, 1..=5);
    assert_eq!(seqs(&fixture, 0, false, 9).await, [1, 2, 3, 4, 5]);
    assert_eq!(seqs(&fixture, 3, false, 9).await, [4, 5]);
    assert_eq!(seqs(&fixture, 99, false, 9).await, Vec::<u64>::new());
}

#[tokio::test]
async fn a_follower_misses_nothing_between_file_and_broadcast() {
    let fixture = fixture();
    write(&fixture, 1..=3);
    let events = fixture.api.stack.events.clone();
    let reader = seqs(&fixture, 0, true, 8);
    let writer = async {
        tokio::task::yield_now().await;
        // Told twice, told before the file has it, and more than the channel holds.
        for seq in [3, 4, 6] {
            let _ = events.send(Arc::new(event(seq)));
        }
        write(&fixture, 4..=6);
        tokio::task::yield_now().await;
        for seq in 7..=40 {
            write(&fixture, seq..=seq);
            let _ = events.send(Arc::new(event(seq)));
        }
    };
    let (seqs, ()) = tokio::join!(reader, writer);
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[tokio::test]
async fn an_application_that_answers_no_load_balancer_is_impaired() {
    use topologies::event::TargetHealth::{Healthy, Unhealthy};
    let fixture = fixture();
    let plan = Arc::clone(&fixture.api.stack.plan());
    let group = &plan.topology.target_groups[0];
    let web = plan.targets(group).next().unwrap();
    let mut world = World::clone(&fixture.api.stack.world.borrow());
    let mut apply = |event| {
        let seq = world.seq + 1;
        world.apply(&Event {
            seq,
            at: Time::from_millis(seq),
            event,
        });
        world.clone()
    };
    apply(EventKind::InstanceRunning {
        instance: web.id.clone(),
        handle: "1".to_owned(),
    });
    let zones: Vec<_> = plan.topology.zones().map(|zone| zone.id.clone()).collect();
    for (zone, state, expected) in [
        (0, Healthy, "running"),
        (1, Unhealthy, "running"),
        (0, Unhealthy, "impaired"),
        (1, Healthy, "running"),
    ] {
        let world = apply(EventKind::TargetHealthChanged {
            target_group: group.id.clone(),
            instance: web.id.clone(),
            node: zones[zone].clone(),
            state,
            description: String::new(),
            reason: match state {
                Unhealthy => topologies::event::TARGET_TIMEOUT.to_owned(),
                Healthy | topologies::event::TargetHealth::Initial => String::new(),
            },
        });
        fixture.world.send_replace(Arc::new(world));
        let status = get_json(&fixture, "/_localaws/v1/status").await;
        let mut instances = status["instances"].as_array().unwrap().iter();
        let one = instances.find(|one| one["id"] == web.id.as_str()).unwrap();
        assert_eq!(one["state"], expected, "{zone} {state:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_only_listens_is_told_of_long_before_it_could_answer() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("control.sock");
    let _listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let began = tokio::time::Instant::now();
    let client = client::Client::new(&socket);
    for told in [
        client.get::<Value>("/status").await.map(|_| ()),
        client.down(false).await.map(|_| ()),
    ] {
        let Err(client::ClientError::Hung(pid)) = told else {
            panic!("told otherwise: {told:?}");
        };
        assert_eq!(pid, Some(std::process::id().cast_signed()));
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(25));
}
