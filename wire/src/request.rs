//! Requests and responses as plain data: what a server has read, what it has to write.

use std::borrow::Cow;

/// An HTTP request whose body has been read. How large a body may be is the server's decision; everything here is linear in it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// Path and query as they were sent, still encoded (`/2013-04-01/hostedzone?maxitems=1`); an absolute URI is fine.
    pub uri: &'a str,
    /// Header names in any case, values as bytes.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The first header of that name, if it is UTF-8.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let found = self
            .headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The path, encoded.
    pub fn path(&self) -> &'a str {
        let path = self.origin().split(['?', '#']).next().unwrap_or_default();
        if path.is_empty() { "/" } else { path }
    }

    /// The query without its question mark, encoded; empty if there is none.
    pub fn query(&self) -> &'a str {
        let after = self.origin().split_once('?').map_or("", |(_, query)| query);
        after.split('#').next().unwrap_or_default()
    }

    /// The URI without scheme and authority.
    fn origin(&self) -> &'a str {
        match self.uri.split_once("://") {
            Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                rest.find(['/', '?']).map_or("/", |start| &rest[start..])
            }
            _ => self.uri,
        }
    }

    pub(crate) fn media_type(&self) -> Option<&'a str> {
        let value = self.header("content-type")?;
        value.split(';').next().map(str::trim)
    }
}

/// An HTTP response. `content-length`, `date` and the like are the server's to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Header names in lower case where they are ours, as the model has them where they are a member's.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Request;

    fn split(uri: &str) -> (&str, &str) {
        let request = Request {
            method: "GET",
            uri,
            headers: &[],
            body: b"",
        };
        (request.path(), request.query())
    }

    #[test]
    fn a_uri_is_split_into_path_and_query() {
        assert_eq!(split("/a/b?c=d"), ("/a/b", "c=d"));
        assert_eq!(split("http://h:1/a?b=http://x/"), ("/a", "b=http://x/"));
        assert_eq!(split("http://h?x"), ("/", "x"));
        assert_eq!(split("/tags/arn:aws:x://y"), ("/tags/arn:aws:x://y", ""));
        assert_eq!(split(""), ("/", ""));
    }
}
