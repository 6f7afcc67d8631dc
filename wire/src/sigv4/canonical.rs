//! The canonical request: the one text for all requests that mean the same.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::request::Request;
use crate::text;

/// The header in which a client says that it did not sign the body.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// The digest of the canonical request, hexadecimal.
pub(super) fn digest(request: &Request<'_>, signed_headers: &[String], presigned: bool) -> String {
    let mut out = format!(
        "{}\n{}\n{}\n",
        request.method,
        path(request.path()),
        query(request.query(), presigned)
    );
    for name in signed_headers {
        out.push_str(name);
        out.push(':');
        out.push_str(&header(request, name));
        out.push('\n');
    }
    out.push('\n');
    out.push_str(&signed_headers.join(";"));
    out.push('\n');
    match request.header("x-amz-content-sha256") {
        Some(UNSIGNED) => out.push_str(UNSIGNED),
        _ => out.push_str(&hex::encode(Sha256::digest(request.body))),
    }
    hex::encode(Sha256::digest(out.as_bytes()))
}

/// Without dots and empty segments, and encoded once more: so for all services but S3.
fn path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let mut out = String::new();
    for segment in &segments {
        out.push('/');
        text::encode(segment.as_bytes(), false, &mut out);
    }
    if segments.is_empty() || path.ends_with('/') {
        out.push('/');
    }
    out
}

/// Sorted, encoded in the one way, a presigned request's signature left out.
fn query(query: &str, presigned: bool) -> String {
    let again = |part: &str| {
        let decoded = text::decode(part, false).unwrap_or(Cow::Borrowed(part));
        let mut out = String::new();
        text::encode(decoded.as_bytes(), false, &mut out);
        out
    };
    let parts = query.split('&').filter(|part| !part.is_empty());
    let mut pairs: Vec<(String, String)> = parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (again(name), again(value)))
        .filter(|(name, _)| !(presigned && name == "X-Amz-Signature"))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// All values of a header, trimmed, runs of spaces as one.
fn header(request: &Request<'_>, name: &str) -> String {
    let values = request
        .headers
        .iter()
        .filter(|(other, _)| other.eq_ignore_ascii_case(name));
    let values: Vec<String> = values
        .map(|(_, value)| {
            let text = String::from_utf8_lossy(value);
            text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
        })
        .collect();
    values.join(",")
}
