//! A signature as it was sent, and the making of the one that it has to be.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sha2::Sha256;

use super::{EXPIRES_MAX, Refusal, canonical};
use crate::call::Scope;
use crate::request::Request;
use crate::text;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const STAMP: &str = "%Y%m%dT%H%M%SZ";

/// Where a signature came, and for how many seconds it is good in a query.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Source {
    Header,
    Query { expires: i64 },
}

/// A signature with all its parts.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) scope: Scope,
    /// `20260131T120000Z`.
    pub(super) time: String,
    pub(super) milliseconds: i64,
    pub(super) source: Source,
    pub(super) session_token: Option<String>,
    signed_headers: Vec<String>,
    signature: Vec<u8>,
}

impl Signature {
    /// The signature of a request; none if there is nothing of one.
    pub(super) fn of(request: &Request<'_>) -> Result<Option<Self>, Refusal> {
        if let Some(header) = request.header("authorization") {
            return Self::of_header(request, header).map(Some);
        }
        if query_parameter(request, "X-Amz-Algorithm").is_some()
            || query_parameter(request, "X-Amz-Signature").is_some()
        {
            return Self::of_query(request).map(Some);
        }
        Ok(None)
    }

    fn of_header(request: &Request<'_>, header: &str) -> Result<Self, Refusal> {
        let (algorithm, rest) = header.split_once(' ').unwrap_or((header, ""));
        if algorithm != ALGORITHM {
            let text =
                format!("Unsupported AWS 'algorithm': '{algorithm}' (only {ALGORITHM} for now). ");
            return Err(Refusal::Incomplete(text));
        }
        let part = |name: &str| {
            let parts = rest.split(',').map(str::trim);
            parts
                .filter_map(|part| part.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        let time = request
            .header("x-amz-date")
            .or_else(|| request.header("date"));
        let (credential, headers, signature) =
            (part("Credential"), part("SignedHeaders"), part("Signature"));
        let mut missing = String::new();
        for (name, value) in [
            ("Credential", credential),
            ("Signature", signature),
            ("SignedHeaders", headers),
        ] {
            if value.is_none_or(str::is_empty) {
                missing.push_str(&format!(
                    "Authorization header requires '{name}' parameter. "
                ));
            }
        }
        if time.is_none() {
            missing.push_str(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
            );
        }
        let (Some(credential), Some(headers), Some(signature), Some(time)) =
            (credential, headers, signature, time)
        else {
            return Err(Refusal::Incomplete(missing));
        };
        Self::assemble(Parts {
            credential,
            headers,
            signature,
            time,
            source: Source::Header,
            session_token: request.header("x-amz-security-token").map(str::to_owned),
        })
    }

    fn of_query(request: &Request<'_>) -> Result<Self, Refusal> {
        let get = |name: &str| query_parameter(request, name).filter(|value| !value.is_empty());
        let names = [
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Signature",
            "X-Amz-SignedHeaders",
            "X-Amz-Date",
        ];
        let missing = names.iter().filter(|name| get(name).is_none());
        let missing: String = missing
            .map(|name| format!("AWS query-string parameters must include '{name}'. "))
            .collect();
        if !missing.is_empty() {
            return Err(Refusal::Incomplete(missing));
        }
        let get = |name: &str| get(name).unwrap_or_default();
        if get("X-Amz-Algorithm") != ALGORITHM {
            let text = format!(
                "Unsupported AWS 'algorithm': '{}' (only {ALGORITHM} for now). ",
                get("X-Amz-Algorithm")
            );
            return Err(Refusal::Incomplete(text));
        }
        // Services other than S3 take the usual five minutes where no time is given.
        let expires = query_parameter(request, "X-Amz-Expires").unwrap_or(Cow::Borrowed("300"));
        let expires: i64 = expires.parse().unwrap_or(-1);
        if !(0..=EXPIRES_MAX).contains(&expires) {
            let text = format!("X-Amz-Expires must be a number from 0 to {EXPIRES_MAX} seconds. ");
            return Err(Refusal::Incomplete(text));
        }
        Self::assemble(Parts {
            credential: &get("X-Amz-Credential"),
            headers: &get("X-Amz-SignedHeaders"),
            signature: &get("X-Amz-Signature"),
            time: &get("X-Amz-Date"),
            source: Source::Query { expires },
            session_token: query_parameter(request, "X-Amz-Security-Token").map(Cow::into_owned),
        })
    }

    fn assemble(parts: Parts<'_>) -> Result<Self, Refusal> {
        let scope = parse_scope(parts.credential).ok_or_else(|| {
            let shape = "<access key>/<yyyymmdd>/<region>/<service>/aws4_request";
            Refusal::Incomplete(format!(
                "Credential must have the form {shape}, got '{}'. ",
                parts.credential
            ))
        })?;
        let (time, milliseconds) = read_time(parts.time).ok_or_else(|| {
            let text = format!(
                "Date must be in ISO-8601 'basic format'. Got '{}'. ",
                parts.time
            );
            Refusal::Incomplete(text)
        })?;
        let signed_headers: Vec<String> = parts
            .headers
            .split(';')
            .map(str::to_ascii_lowercase)
            .collect();
        if !signed_headers.iter().any(|name| name == "host") {
            let text = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
            return Err(Refusal::Mismatch(Some(text.to_owned())));
        }
        // What is no hexadecimal number is no signature of anything.
        let signature = hex::decode(parts.signature).unwrap_or_default();
        Ok(Self {
            scope,
            time,
            milliseconds,
            source: parts.source,
            session_token: parts.session_token,
            signed_headers,
            signature,
        })
    }

    /// True if this secret makes this signature of this request. Takes as long whether or not it does.
    pub(super) fn is_of(&self, request: &Request<'_>, secret: &str) -> bool {
        let presigned = self.source != Source::Header;
        let canonical = canonical::digest(request, &self.signed_headers, presigned);
        let Scope {
            date,
            region,
            service,
            ..
        } = &self.scope;
        let to_sign = format!(
            "{ALGORITHM}\n{}\n{date}/{region}/{service}/aws4_request\n{canonical}",
            self.time
        );
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in [date, region, service, "aws4_request"] {
            key = mac(&key, part.as_bytes()).finalize().into_bytes().to_vec();
        }
        mac(&key, to_sign.as_bytes())
            .verify_slice(&self.signature)
            .is_ok()
    }
}

struct Parts<'a> {
    credential: &'a str,
    headers: &'a str,
    signature: &'a str,
    time: &'a str,
    source: Source,
    session_token: Option<String>,
}

fn mac(key: &[u8], bytes: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(bytes);
    mac
}

/// A parameter of the URI's query, decoded.
pub(super) fn query_parameter<'a>(request: &Request<'a>, name: &str) -> Option<Cow<'a, str>> {
    let pairs = request
        .query()
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let found = pairs.filter_map(|(key, value)| Some((text::decode(key, true)?, value)));
    found
        .filter(|(key, _)| key == name)
        .find_map(|(_, value)| text::decode(value, true))
}

/// `AKIA.../20260131/eu-west-1/rds/aws4_request`. A key's id may have slashes of its own.
pub(super) fn parse_scope(credential: &str) -> Option<Scope> {
    let mut parts = credential.rsplitn(5, '/');
    let terminator = parts.next()?;
    let (service, region, date, access_key) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_day = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    if terminator != "aws4_request"
        || access_key.is_empty()
        || service.is_empty()
        || region.is_empty()
        || !is_day
    {
        return None;
    }
    Some(Scope {
        access_key: access_key.to_owned(),
        date: date.to_owned(),
        region: region.to_owned(),
        service: service.to_owned(),
    })
}

/// The time as it is signed, and in milliseconds. The `Date` header may be in HTTP's format.
fn read_time(given: &str) -> Option<(String, i64)> {
    let time = match DateTime::strptime(STAMP, given) {
        Ok(time) => time.to_zoned(TimeZone::UTC).ok()?.timestamp(),
        Err(_) => jiff::fmt::rfc2822::parse(given).ok()?.timestamp(),
    };
    Some((time.strftime(STAMP).to_string(), time.as_millisecond()))
}

/// A time as signatures have it; empty for one that no calendar has.
pub(super) fn stamp(milliseconds: i64) -> String {
    let time = Timestamp::from_millisecond(milliseconds);
    time.map(|time| time.strftime(STAMP).to_string())
        .unwrap_or_default()
}
