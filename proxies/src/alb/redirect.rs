//! Where a redirect leads. Pure.

use topologies::topology::Redirect;

use super::rules::Asked;

/// Longer than this it is "HTTP 507: the redirect URL is too long"; what a client could send back as its request line.
const URL_MAX: usize = 16 << 10;

/// The URL that a request on the listener of `port` is sent to; none if it is too long.
///
/// Placeholders may stand in host, port, path and query and are replaced by the request's parts as they came ("Redirect actions").
pub(crate) fn location(redirect: &Redirect, asked: Asked<'_>, port: u16) -> Option<String> {
    let port = port.to_string();
    let parts = [
        ("#{protocol}", "http"),
        ("#{host}", asked.host),
        ("#{port}", port.as_str()),
        // The template has the leading slash.
        (
            "#{path}",
            asked.path.strip_prefix('/').unwrap_or(asked.path),
        ),
        ("#{query}", asked.query),
    ];
    let mut url = String::new();
    expand(&mut url, &redirect.protocol, &parts);
    url.make_ascii_lowercase();
    url.push_str("://");
    expand(&mut url, &redirect.host, &parts);
    url.push(':');
    expand(&mut url, &redirect.port, &parts);
    expand(&mut url, &redirect.path, &parts);
    let before = url.len();
    url.push('?');
    expand(&mut url, &redirect.query, &parts);
    if url.len() == before + 1 {
        url.truncate(before);
    }
    (url.len() <= URL_MAX).then_some(url)
}

fn expand(url: &mut String, template: &str, parts: &[(&str, &str)]) {
    let mut rest = template;
    while let Some(at) = rest.find("#{") {
        let (before, from) = rest.split_at(at);
        url.push_str(before);
        let part = parts.iter().find(|(name, _)| from.starts_with(name));
        let (name, value) = part.copied().unwrap_or(("#{", "#{"));
        url.push_str(value);
        rest = from.get(name.len()..).unwrap_or_default();
    }
    url.push_str(rest);
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;

    fn redirect(protocol: &str, host: &str, port: &str, path: &str, query: &str) -> Redirect {
        Redirect {
            status_code: 301,
            protocol: protocol.into(),
            host: host.into(),
            port: port.into(),
            path: path.into(),
            query: query.into(),
        }
    }

    /// The examples of "Redirect actions" and what follows from them.
    #[test]
    fn s4_2_placeholders() {
        let usual = Redirect::default();
        let to = |redirect: &Redirect, path: &str, query: &str| {
            let asked = Asked {
                host: "example.com",
                path,
                query,
                method: &Method::GET,
                headers: &HeaderMap::new(),
                client: std::net::Ipv4Addr::LOCALHOST,
            };
            location(redirect, asked, 8080)
        };
        let table = [
            (
                redirect("HTTPS", "#{host}", "443", "/#{path}", "#{query}"),
                "https://example.com:443/a/b?c=d",
            ),
            (usual.clone(), "http://example.com:8080/a/b?c=d"),
            (
                redirect(
                    "#{protocol}",
                    "www.#{host}",
                    "#{port}",
                    "/new/#{path}",
                    "#{query}&x=1",
                ),
                "http://www.example.com:8080/new/a/b?c=d&x=1",
            ),
            (
                redirect("HTTP", "example.org", "80", "/#{host}/#{odd}#{", ""),
                "http://example.org:80/example.com/#{odd}#{",
            ),
        ];
        for (redirect, expected) in table {
            assert_eq!(to(&redirect, "/a/b", "c=d").as_deref(), Some(expected));
        }
        assert_eq!(
            to(&usual, "/", "").as_deref(),
            Some("http://example.com:8080/")
        );
        assert_eq!(to(&usual, &"/x".repeat(9_000), ""), None, "507");
    }
}
