//! What becomes of headers on their way to the target and back; and which requests are turned down for theirs. Pure.

use std::net::SocketAddrV4;

use http::header::{
    CONNECTION, EXPECT, HOST, PROXY_AUTHENTICATE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use topologies::topology::{ForwardedFor, Headers};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Headers of one connection, not of the message.
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
];

/// "Quotas for your Application Load Balancers": request line 16 K, single header 16 K, all request headers 64 K, response
/// headers 32 K.
const REQUEST_LINE_MAX: usize = 16 << 10;
const HEADER_MAX: usize = 16 << 10;
pub(crate) const REQUEST_HEADERS_MAX: usize = 64 << 10;
const RESPONSE_HEADERS_MAX: usize = 32 << 10;
/// "HTTP 463: X-Forwarded-For with more than 30 IP addresses".
const FORWARDED_FOR_MAX: usize = 30;
/// A longer trace header is rewritten with its root only ("Request tracing": 7 KB).
const TRACE_MAX: usize = 7 << 10;

/// The status with which a request is turned down before any rule is asked.
pub(crate) fn objection(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<u16> {
    if *method == Method::TRACE || *method == Method::CONNECT {
        return Some(405);
    }
    let line = method.as_str().len() + uri.path().len() + uri.query().map_or(0, str::len);
    if line > REQUEST_LINE_MAX {
        return Some(414);
    }
    let too_long = headers
        .iter()
        .any(|(name, value)| name.as_str().len() + value.len() > HEADER_MAX);
    if too_long || size(headers) > REQUEST_HEADERS_MAX {
        return Some(400);
    }
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() || (host.is_none() && uri.authority().is_none()) {
        return Some(400);
    }
    let forwarded = headers.get_all(FORWARDED_FOR).iter();
    let addresses: usize = forwarded
        .map(|value| value.as_bytes().split(|byte| *byte == b',').count())
        .sum();
    (addresses > FORWARDED_FOR_MAX).then_some(463)
}

/// Whether a response has more headers than the load balancer takes.
pub(crate) fn too_large(headers: &HeaderMap) -> bool {
    size(headers) > RESPONSE_HEADERS_MAX
}

fn size(headers: &HeaderMap) -> usize {
    let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    headers.iter().map(line).sum()
}

/// The host asked for, without its port; conditions compare it.
pub(crate) fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> &'a str {
    if let Some(authority) = uri.authority() {
        return authority.host();
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default();
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Who asked, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    /// The client's address and port.
    pub(crate) client: SocketAddrV4,
    /// The listener's port.
    pub(crate) port: u16,
    /// A fresh trace identifier, `1-<8 hex digits of time>-<24 hex digits>`.
    pub(crate) trace: &'a str,
    /// What the load balancer does with headers.
    pub(crate) rules: Headers,
}

/// Whether the client asks for another protocol on this connection.
pub(crate) fn upgrades(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE) && connection_names(headers).any(|name| name == "upgrade")
}

/// Makes a request's headers those that the target gets.
pub(crate) fn towards_target(uri: &Uri, headers: &mut HeaderMap, origin: Origin<'_>) {
    let upgrade = upgrades(headers)
        .then(|| headers.get(UPGRADE).cloned())
        .flatten();
    strip(headers);
    // The load balancer answers "100 Continue" itself.
    headers.remove(EXPECT);
    if let Some(protocol) = upgrade {
        headers.insert(UPGRADE, protocol);
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    if origin.rules.drop_invalid {
        drop_invalid(headers);
    }
    set_host(uri, headers, origin.rules.preserve_host);
    forwarded_for(headers, origin);
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(FORWARDED_PORT, HeaderValue::from(origin.port));
    let trace = trace(
        headers.get(&TRACE_ID).and_then(|it| it.to_str().ok()),
        origin.trace,
    );
    if let Ok(trace) = HeaderValue::try_from(trace) {
        headers.insert(TRACE_ID, trace);
    }
}

/// Takes out headers whose names have other characters than letters, digits and hyphens.
fn drop_invalid(headers: &mut HeaderMap) {
    let valid = |name: &HeaderName| {
        let mut bytes = name.as_str().bytes();
        bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let invalid = headers.keys().filter(|name| !valid(name));
    let invalid: Vec<HeaderName> = invalid.cloned().collect();
    for name in invalid {
        headers.remove(name);
    }
}

/// The host in small letters, unless it is to stay as the client wrote it.
fn set_host(uri: &Uri, headers: &mut HeaderMap, preserve: bool) {
    let authority = uri.authority().map(|it| it.as_str().to_owned());
    let host = authority.or_else(|| Some(headers.get(HOST)?.to_str().ok()?.to_owned()));
    let Some(mut host) = host else { return };
    if !preserve {
        host.make_ascii_lowercase();
    }
    if let Ok(host) = HeaderValue::try_from(host) {
        headers.insert(HOST, host);
    }
}

fn forwarded_for(headers: &mut HeaderMap, origin: Origin<'_>) {
    match origin.rules.forwarded_for {
        ForwardedFor::Append => {}
        ForwardedFor::Preserve => return,
        ForwardedFor::Remove => {
            headers.remove(&FORWARDED_FOR);
            return;
        }
    }
    let mut forwarded = Vec::new();
    for value in headers.get_all(&FORWARDED_FOR) {
        forwarded.extend_from_slice(value.as_bytes());
        forwarded.extend_from_slice(b", ");
    }
    let client = if origin.rules.client_port {
        origin.client.to_string()
    } else {
        origin.client.ip().to_string()
    };
    forwarded.extend_from_slice(client.as_bytes());
    if let Ok(forwarded) = HeaderValue::try_from(forwarded) {
        headers.insert(FORWARDED_FOR, forwarded);
    }
}

/// Makes a response's headers those that the client gets. An upgrade keeps its own.
pub(crate) fn towards_client(headers: &mut HeaderMap, upgraded: bool) {
    let upgrade = headers.get(UPGRADE).cloned().filter(|_| upgraded);
    strip(headers);
    if let Some(protocol) = upgrade {
        headers.insert(UPGRADE, protocol);
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
}

/// Removes what concerns one connection only, and what `Connection` names.
fn strip(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<String> = connection_names(headers).collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    headers.remove(UPGRADE);
}

fn connection_names(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
}

/// The trace header: a root if there is none, else `Self` of this hop before what came ("Request tracing for your ALB").
fn trace(present: Option<&str>, fresh: &str) -> String {
    let fields = || {
        let fields = present.unwrap_or_default().split(';').map(str::trim);
        fields.filter(|field| !field.is_empty() && !field.starts_with("Self="))
    };
    let root = fields().find(|field| field.starts_with("Root="));
    let Some(root) = root else {
        return std::iter::once(format!("Root={fresh}").as_str())
            .chain(fields().filter(|_| present.is_some_and(|it| it.len() <= TRACE_MAX)))
            .collect::<Vec<_>>()
            .join(";");
    };
    if present.is_some_and(|it| it.len() > TRACE_MAX) {
        return root.to_owned();
    }
    let own = format!("Self={fresh}");
    std::iter::once(own.as_str())
        .chain(fields())
        .collect::<Vec<_>>()
        .join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: &str = "1-67891233-abcdef012345678912345678";

    fn map(headers: &[(&str, &str)]) -> HeaderMap {
        let parsed = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        let mut map = HeaderMap::new();
        for (name, value) in parsed {
            map.append(name, value);
        }
        map
    }

    fn check(given: &[(&str, &str)], expected: &[(&str, &str)]) {
        check_by(Headers::default(), given, expected);
    }

    fn check_by(rules: Headers, given: &[(&str, &str)], expected: &[(&str, &str)]) {
        let mut headers = map(given);
        let origin = Origin {
            client: SocketAddrV4::new([192, 0, 2, 7].into(), 4321),
            port: 80,
            trace: FRESH,
            rules,
        };
        towards_target(&Uri::from_static("/x"), &mut headers, origin);
        for (name, _) in &headers {
            let expected = expected.iter().any(|(it, _)| name == it);
            let added = [FORWARDED_PORT, FORWARDED_PROTO, FORWARDED_FOR, TRACE_ID].contains(name);
            assert!(expected || added, "{name} is too much");
        }
        for (name, value) in expected {
            assert_eq!(
                headers.get(*name).map(HeaderValue::as_bytes),
                Some(value.as_bytes()),
                "{name}"
            );
        }
    }

    #[test]
    fn the_target_learns_who_asked() {
        check(
            &[("host", "WWW.Shop.Internal:8080"), ("accept", "*/*")],
            &[
                ("host", "www.shop.internal:8080"),
                ("accept", "*/*"),
                ("x-forwarded-for", "192.0.2.7"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-port", "80"),
                (
                    "x-amzn-trace-id",
                    "Root=1-67891233-abcdef012345678912345678",
                ),
            ],
        );
        check(
            &[
                ("x-forwarded-for", "10.0.0.1"),
                ("x-forwarded-for", "10.0.0.2"),
                ("x-forwarded-proto", "https"),
            ],
            &[
                ("x-forwarded-for", "10.0.0.1, 10.0.0.2, 192.0.2.7"),
                ("x-forwarded-proto", "http"),
            ],
        );
    }

    /// aws-behaviour §4.1, §4.6: what the load balancer's attributes make of headers.
    #[test]
    fn s4_6_attributes() {
        let with = |change: fn(&mut Headers)| {
            let mut rules = Headers::default();
            change(&mut rules);
            rules
        };
        let came = [
            ("x-forwarded-for", "10.0.0.1"),
            ("host", "WWW.A"),
            ("x_y", "1"),
        ];
        let plain = ("host", "www.a");
        let odd = ("x_y", "1");
        let appended = ("x-forwarded-for", "10.0.0.1, 192.0.2.7");
        check_by(with(|_| {}), &came, &[appended, plain, odd]);
        let ported = ("x-forwarded-for", "10.0.0.1, 192.0.2.7:4321");
        check_by(
            with(|it| it.client_port = true),
            &came,
            &[ported, plain, odd],
        );
        check_by(
            with(|it| it.preserve_host = true),
            &came,
            &[("host", "WWW.A"), odd],
        );
        check_by(with(|it| it.drop_invalid = true), &came, &[appended, plain]);
        let preserve = with(|it| it.forwarded_for = ForwardedFor::Preserve);
        check_by(preserve, &came, &[came[0], plain, odd]);
        let remove = with(|it| it.forwarded_for = ForwardedFor::Remove);
        let mut headers = map(&came);
        let origin = Origin {
            client: SocketAddrV4::new([192, 0, 2, 7].into(), 4321),
            port: 80,
            trace: FRESH,
            rules: remove,
        };
        towards_target(&Uri::from_static("/"), &mut headers, origin);
        assert!(!headers.contains_key(FORWARDED_FOR));
    }

    #[test]
    fn what_belongs_to_the_connection_stays_there() {
        check(
            &[
                ("connection", "close, X-Mine"),
                ("x-mine", "1"),
                ("keep-alive", "5"),
                ("transfer-encoding", "chunked"),
                ("te", "trailers"),
                ("upgrade", "h2c"),
                ("expect", "100-continue"),
                ("x-other", "2"),
            ],
            &[("x-other", "2")],
        );
        check(
            &[
                ("connection", "keep-alive, Upgrade"),
                ("upgrade", "websocket"),
            ],
            &[("connection", "Upgrade"), ("upgrade", "websocket")],
        );
    }

    #[test]
    fn traces() {
        let long = format!("Root=1-a-b;X={}", "y".repeat(TRACE_MAX));
        let table = [
            (None, format!("Root={FRESH}")),
            (Some("Root=1-a-b"), format!("Self={FRESH};Root=1-a-b")),
            (
                Some("Self=1-c-d;Root=1-a-b;CalledFrom=app"),
                format!("Self={FRESH};Root=1-a-b;CalledFrom=app"),
            ),
            (
                Some("CalledFrom=app"),
                format!("Root={FRESH};CalledFrom=app"),
            ),
            (Some(long.as_str()), "Root=1-a-b".to_owned()),
        ];
        for (present, expected) in table {
            assert_eq!(trace(present, FRESH), expected);
        }
    }

    #[test]
    fn objections() {
        let get = |uri: &str, headers: &[(&str, &str)]| {
            objection(&Method::GET, &uri.parse().unwrap(), &map(headers))
        };
        let host = ("host", "a");
        assert_eq!(get("/", &[host]), None);
        assert_eq!(get("/", &[]), Some(400));
        assert_eq!(get("http://a/", &[]), None);
        assert_eq!(get("/", &[host, ("host", "b")]), Some(400));
        assert_eq!(get(&format!("/{}", "x".repeat(17_000)), &[host]), Some(414));
        assert_eq!(get("/", &[host, ("x", &"x".repeat(17_000))]), Some(400));
        let some = "x".repeat(14_000);
        let five = [
            ("a", &*some),
            ("b", &some),
            ("c", &some),
            ("d", &some),
            ("e", &some),
            host,
        ];
        assert_eq!(get("/", &five), Some(400));
        let forwarded = |count: usize| vec!["10.0.0.1"; count].join(",");
        assert_eq!(get("/", &[host, ("x-forwarded-for", &forwarded(30))]), None);
        assert_eq!(
            get("/", &[host, ("x-forwarded-for", &forwarded(31))]),
            Some(463)
        );
        let trace = objection(&Method::TRACE, &Uri::from_static("/"), &map(&[host]));
        assert_eq!(trace, Some(405));
    }

    #[test]
    fn hosts_without_ports() {
        for (given, expected) in [
            ("a.b", "a.b"),
            ("a.b:80", "a.b"),
            ("[::1]:80", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(
                host(&Uri::from_static("/"), &map(&[("host", given)])),
                expected
            );
        }
        assert_eq!(
            host(
                &Uri::from_static("http://c.d:81/"),
                &map(&[("host", "a.b")])
            ),
            "c.d"
        );
    }
}
