//! Results in pages. A marker holds the key of the last item given, so that pages stay whole while items come and go; it is opaque,
//! bounded, and good for the operation that gave it only.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::call::Call;
use crate::convention::Convention;
use crate::fault::Fault;
use crate::model::{Field, Kind};
use crate::record::Record;

/// Bytes of a marker that are looked at; AWS's are of some hundreds.
const MARKER_MAX: usize = 4096;
const CHECK_BYTES: usize = 6;

/// Names under which operations take the size of a page.
const SIZES: &[&str] = &[
    "MaxRecords",
    "MaxResults",
    "maxResults",
    "MaxItems",
    "PageSize",
    "Limit",
    "ResourcesPerPage",
];
/// Names under which operations take a marker.
const MARKERS: &[&str] = &["NextToken", "nextToken", "Marker", "PaginationToken"];
/// Names under which operations give one.
const NEXTS: &[&str] = &[
    "NextToken",
    "nextToken",
    "NextMarker",
    "Marker",
    "PaginationToken",
];
const TRUNCATEDS: &[&str] = &["IsTruncated", "Truncated"];

/// How many items a page may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// Without a wish of the caller.
    pub default: usize,
    /// The least that may be asked for.
    pub min: usize,
    /// The most that may be asked for.
    pub max: usize,
}

/// Limits that the models do not have: from `MaxRecords`, `MaxResults`, `PageSize` and `MaxItems` of the services' API references.
const DOCUMENTED: &[(&str, Limit)] = &[
    ("autoscaling", limit(50, 1, 100)),
    ("cloudwatch", limit(50, 1, 100)),
    ("ec2", limit(1000, 5, 1000)),
    ("elasticache", limit(100, 20, 100)),
    ("elbv2", limit(400, 1, 400)),
    ("fis", limit(100, 1, 100)),
    ("iam", limit(100, 1, 1000)),
    ("kms", limit(100, 1, 1000)),
    ("rds", limit(100, 20, 100)),
    ("resourcegroupstaggingapi", limit(50, 1, 100)),
    ("route53", limit(100, 1, 100)),
];

const fn limit(default: usize, min: usize, max: usize) -> Limit {
    Limit { default, min, max }
}

/// A page of items, and how to ask for the next one.
#[derive(Debug)]
pub struct Page<'i, 'm, T> {
    /// The items of this page.
    pub items: &'i [T],
    next: Option<(&'m str, String)>,
    truncated: Option<&'m str>,
}

impl<T> Page<'_, '_, T> {
    /// The marker of the next page; none on the last one.
    pub fn next(&self) -> Option<&str> {
        self.next.as_ref().map(|(_, marker)| marker.as_str())
    }

    /// Adds the marker, and `IsTruncated` where the operation has it, to the output.
    pub fn write(&self, output: &mut Record) {
        if let Some((name, marker)) = &self.next {
            output.put(name, marker.as_str());
        }
        if let Some(name) = self.truncated {
            output.put(name, self.next.is_some());
        }
    }
}

/// Cuts the page that an input asks for out of all items, which are sorted by their keys.
///
/// # Errors
/// As AWS answers: a size out of bounds, or a marker that this operation did not give.
pub fn page<'i, 'm, T>(
    call: &Call<'m>,
    input: &Value,
    items: &'i [T],
    key: impl Fn(&T) -> &str,
) -> Result<Page<'i, 'm, T>, Fault> {
    page_of(call, input, items, size(call, input)?, key)
}

/// The same for an operation whose pages have a size that nobody asks for.
///
/// # Errors
/// As [`page`].
pub fn page_of<'i, 'm, T>(
    call: &Call<'m>,
    input: &Value,
    items: &'i [T],
    size: usize,
    key: impl Fn(&T) -> &str,
) -> Result<Page<'i, 'm, T>, Fault> {
    let start = match marker(call, input)? {
        Some(last) => items.partition_point(|item| key(item) <= last.as_str()),
        None => 0,
    };
    let rest = &items[start..];
    let items = &rest[..size.min(rest.len())];
    let output = call.row().output();
    let name = output
        .and_then(|field| member(field, NEXTS))
        .map(Field::name);
    let next = match (items.last(), name) {
        (Some(last), Some(name)) if items.len() < rest.len() => Some((name, seal(call, key(last)))),
        _ => None,
    };
    let truncated = output
        .and_then(|field| member(field, TRUNCATEDS))
        .map(Field::name);
    Ok(Page {
        items,
        next,
        truncated,
    })
}

/// The key in the marker that an input has, for an operation that cuts its pages by itself.
///
/// # Errors
/// As AWS answers to a marker that this operation did not give.
pub fn marker(call: &Call<'_>, input: &Value) -> Result<Option<String>, Fault> {
    let field = call.row().input().and_then(|field| member(field, MARKERS));
    let marker = field.and_then(|field| input.get(field.name()));
    let marker = marker.and_then(Value::as_str);
    match marker.filter(|marker| !marker.is_empty()) {
        Some(marker) => open(call, marker)
            .map(Some)
            .ok_or_else(|| Convention::of(call.service).bad_marker(call.service)),
        None => Ok(None),
    }
}

/// The limits of the operation's page: the model's, else the documented ones of the service, else 1 to 1000.
pub fn limits(call: &Call<'_>) -> Limit {
    let documented = DOCUMENTED
        .iter()
        .find(|(service, _)| *service == call.service.name());
    let mut limit = documented.map_or(limit(100, 1, 1000), |(_, limit)| *limit);
    let field = call.row().input().and_then(|field| member(field, SIZES));
    let numeric = field.filter(|field| matches!(field.kind(), Kind::Integer | Kind::Long));
    if let Some(bounds) = numeric.map(|field| field.shape().bounds()) {
        limit.min = bounds.min.map_or(limit.min, |min| min.max(0.0) as usize);
        limit.max = bounds.max.map_or(limit.max, |max| max.min(1e9) as usize);
    }
    limit.default = limit.default.min(limit.max);
    limit
}

fn size(call: &Call<'_>, input: &Value) -> Result<usize, Fault> {
    let limit = limits(call);
    let Some(field) = call.row().input().and_then(|field| member(field, SIZES)) else {
        return Ok(limit.default);
    };
    // Route 53 has its sizes as text.
    let asked = match input.get(field.name()) {
        None | Some(Value::Null) => return Ok(limit.default),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_i64(),
    };
    let size = asked.and_then(|asked| usize::try_from(asked).ok());
    let fits = size.filter(|size| (limit.min..=limit.max).contains(size));
    fits.map(|size| size.max(1)).ok_or_else(|| {
        let asked = asked.map_or_else(String::new, |asked| asked.to_string());
        Convention::of(call.service).bad_size(field.name(), &asked, limit.min, limit.max)
    })
}

fn member<'m>(field: Field<'m>, names: &[&str]) -> Option<Field<'m>> {
    names.iter().find_map(|name| field.shape().member(name))
}

/// The marker with a key in it; see [`marker`].
pub fn seal(call: &Call<'_>, key: &str) -> String {
    let mut bytes = check(call, key).to_vec();
    bytes.extend_from_slice(key.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn open(call: &Call<'_>, marker: &str) -> Option<String> {
    if marker.len() > MARKER_MAX {
        return None;
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(marker).ok()?;
    let (given, key) = bytes.split_at_checked(CHECK_BYTES)?;
    let key = std::str::from_utf8(key).ok()?;
    (given == check(call, key)).then(|| key.to_owned())
}

/// Ties a marker to its operation. It keeps nobody out who wants to make one: there is nothing to be had with it.
fn check(call: &Call<'_>, key: &str) -> [u8; CHECK_BYTES] {
    let digest = Sha256::digest(format!(
        "{}\n{}\n{key}",
        call.service.name(),
        call.operation()
    ));
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest[..CHECK_BYTES]);
    check
}
