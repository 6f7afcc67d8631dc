//! Keeps strangers out.
//!
//! Other users of this machine reach loopback addresses, but do not have the stack's token ([`token`]). Web pages are kept out
//! altogether: a browser on this machine reaches loopback addresses on behalf of any page that it shows.
//!
//! A name that a stranger pointed to 127.0.0.1 arrives with that stranger's `Host`; a script of a foreign page arrives with its
//! `Origin`, or, where browsers leave that away, with `Sec-Fetch-Site: cross-site`. Programs send none of these.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Uri};

use super::Api;
use super::error::{ApiError, Code};
use super::token::{self, Caller};

/// Under which names the API may be addressed.
#[derive(Clone, Debug)]
pub(super) struct Names {
    suffix: Arc<str>,
}

impl Names {
    pub(super) fn new(suffix: &str) -> Self {
        Self {
            suffix: suffix.to_ascii_lowercase().into(),
        }
    }

    fn allow(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let loopback = host
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback());
        let below = host
            .strip_suffix(&*self.suffix)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        // Below `localhost` nobody can point a name anywhere else (RFC 6761 §6.3).
        let local = host == "localhost" || host.ends_with(".localhost");
        loopback || local || host == "[::1]" || below
    }

    /// Whether a request with these headers may come in, or why not.
    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), String> {
        let mut hosts = headers.get_all(HOST).iter();
        let host: Authority = match (hosts.next(), hosts.next(), uri.authority()) {
            (Some(host), None, _) => host
                .to_str()
                .ok()
                .filter(|host| !host.contains('@'))
                .and_then(|host| host.parse().ok())
                .ok_or("the Host header is malformed")?,
            (None, None, Some(authority)) => authority.clone(),
            _ => return Err("one Host header is needed".to_owned()),
        };
        if !self.allow(host.host()) {
            return Err(format!("`{}` is no name of this API", host.host()));
        }
        if let Some(origin) = headers.get(ORIGIN) {
            let same = origin
                .to_str()
                .ok()
                .and_then(|origin| origin.strip_prefix("http://"))
                .is_some_and(|origin| origin.eq_ignore_ascii_case(host.as_str()));
            if !same {
                return Err("pages of other origins may not use this API".to_owned());
            }
        }
        let site = headers.get("sec-fetch-site");
        if site.is_some_and(|site| site == "cross-site") {
            return Err("pages of other sites may not use this API".to_owned());
        }
        Ok(())
    }
}

pub(super) async fn refuse_foreigners(
    State(names): State<Names>,
    request: Request,
    next: Next,
) -> Response {
    match names.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(why) => ApiError::new(Code::Forbidden, why)
            .hint("use `localaws`, the Unix socket, or a program that is no browser")
            .into_response(),
    }
}

/// Notes who asks. A token that is not the stack's is a mistake to be told, not a stranger.
pub(super) async fn identify(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let Some(caller) = api.token.caller(request.headers()) else {
        return unauthorized(&api, "this is not the token of the stack");
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Lets nobody by but the stack's owner.
pub(super) async fn owners_only(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    match caller {
        Caller::Owner => next.run(request).await,
        Caller::Stranger => unauthorized(&api, "over TCP, only the stack's owner may ask this"),
    }
}

fn unauthorized(api: &Api, why: &str) -> Response {
    let file = api.stack.directory.join(token::FILE);
    ApiError::new(Code::Unauthorized, why)
        .hint(format!(
            "use `localaws` or the Unix socket, or send `Authorization: Bearer` with what stands in `{}`",
            file.display()
        ))
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &str)]) -> bool {
        let names = Names::new("localaws.internal");
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        names.check(&Uri::from_static("/"), &map).is_ok()
    }

    #[test]
    fn own_names_may_come_in() {
        for host in [
            "127.64.0.1:4566",
            "127.0.0.1",
            "localhost:4566",
            "LOCALHOST",
            "ec2.ap-northeast-2.localhost:4566",
            "[::1]:4566",
            "localaws.internal",
            "api.localaws.internal.:4566",
        ] {
            assert!(check(&[("host", host)]), "{host}");
        }
        let same = ("origin", "http://localhost:4566");
        assert!(check(&[("host", "localhost:4566"), same]));
        assert!(check(&[
            ("host", "localhost"),
            ("sec-fetch-site", "same-origin")
        ]));
    }

    #[test]
    fn foreigners_stay_out() {
        for host in [
            "evil.example",
            "evil.example:4566",
            "127.0.0.1.evil.example",
            "notlocalaws.internal",
            "notlocalhost",
            "localhost.evil.example",
            "10.0.0.1",
            "",
            "a@127.0.0.1:x",
        ] {
            assert!(!check(&[("host", host)]), "{host}");
        }
        assert!(!check(&[]));
        assert!(!check(&[("host", "localhost"), ("host", "evil.example")]));
        for origin in [
            "http://evil.example",
            "null",
            "https://localhost:4566",
            "http://localhost:3000",
            "http://localhost:4566.evil.example",
        ] {
            assert!(
                !check(&[("host", "localhost:4566"), ("origin", origin)]),
                "{origin}"
            );
        }
        assert!(!check(&[
            ("host", "localhost"),
            ("sec-fetch-site", "cross-site")
        ]));
    }
}
