//! `${...}` references in environments, records and health checks.
//!
//! What may be referred to is a closed set, so that a file's references are checked before anything starts. `$${` stands for
//! a literal `${`.

use crate::id::{DbInstanceId, LoadBalancerId, ReplicationGroupId};

/// A piece of a text with references in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text that stands for itself.
    Text(String),
    /// What stands between `${` and `}`.
    Reference(String),
}

/// A reference without its closing brace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclosed;

/// Splits a text into its pieces.
pub fn pieces(text: &str) -> Result<Vec<Piece>, Unclosed> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(escaped) = before.strip_suffix('$') {
            literal.push_str(escaped);
            literal.push_str("${");
            rest = &from[2..];
            continue;
        }
        literal.push_str(before);
        let end = from.find('}').ok_or(Unclosed)?;
        if !literal.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Reference(from[2..end].to_owned()));
        rest = &from[end + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(pieces)
}

/// What a reference names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// `${instance.id}`.
    InstanceId,
    /// `${instance.zone}`.
    InstanceZone,
    /// `${instance.region}`.
    InstanceRegion,
    /// `${instance.port}`.
    InstancePort,
    /// `${stack.name}`.
    StackName,
    /// `${orders.url}`, `${orders-replica-1.address}`.
    Db(DbInstanceId, DbField),
    /// `${sessions.primary.url}`.
    CachePrimary(ReplicationGroupId, CacheField),
    /// `${sessions.reader.url}`.
    CacheReader(ReplicationGroupId, CacheField),
    /// `${sessions.auth-token}`; empty if there is none.
    CacheAuthToken(ReplicationGroupId),
    /// `${site.url}`.
    LoadBalancer(LoadBalancerId, LoadBalancerField),
}

/// What can be asked of a DB instance or read replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DbField {
    /// The endpoint's name.
    Address,
    /// The port.
    Port,
    /// The master user.
    User,
    /// The master password.
    Password,
    /// The database.
    Dbname,
    /// `postgres://user:password@address:port/dbname`.
    Url,
}

/// What can be asked of an endpoint of a replication group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheField {
    /// The endpoint's name.
    Address,
    /// The port.
    Port,
    /// `redis://address:port`, with the AUTH token if there is one.
    Url,
}

/// What can be asked of a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadBalancerField {
    /// The DNS name.
    Address,
    /// The port of the first listener.
    Port,
    /// `http://address:port` of an ALB, `tcp://address:port` of an NLB.
    Url,
}

/// What a name in front of a reference's first dot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referable {
    /// A DB instance or a read replica.
    Db,
    /// A replication group.
    Cache,
    /// A load balancer.
    LoadBalancer,
}

/// Names that references use for themselves and that nothing else may have.
pub const RESERVED: [&str; 2] = ["instance", "stack"];

/// A reference to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Nothing has the name in front of the first dot.
    Name(String),
    /// The named thing has no such part; these it has.
    Part(Vec<String>),
}

const DB_FIELDS: [(&str, DbField); 7] = [
    ("address", DbField::Address),
    ("port", DbField::Port),
    ("user", DbField::User),
    ("username", DbField::User),
    ("password", DbField::Password),
    ("dbname", DbField::Dbname),
    ("url", DbField::Url),
];
const CACHE_FIELDS: [(&str, CacheField); 3] = [
    ("address", CacheField::Address),
    ("port", CacheField::Port),
    ("url", CacheField::Url),
];
const LOAD_BALANCER_FIELDS: [(&str, LoadBalancerField); 3] = [
    ("address", LoadBalancerField::Address),
    ("port", LoadBalancerField::Port),
    ("url", LoadBalancerField::Url),
];
const OWN: [(&str, Reference); 5] = [
    ("instance.id", Reference::InstanceId),
    ("instance.zone", Reference::InstanceZone),
    ("instance.region", Reference::InstanceRegion),
    ("instance.port", Reference::InstancePort),
    ("stack.name", Reference::StackName),
];

impl Reference {
    /// Reads what stands between the braces; `kind` tells what has a name.
    pub fn parse(path: &str, kind: impl Fn(&str) -> Option<Referable>) -> Result<Self, Unknown> {
        if let Some((_, own)) = OWN.iter().find(|(name, _)| *name == path) {
            return Ok(own.clone());
        }
        let (name, part) = path.split_once('.').unwrap_or((path, ""));
        if RESERVED.contains(&name) {
            let parts = OWN.iter().filter(|(own, _)| own.starts_with(name));
            return Err(Unknown::Part(
                parts.map(|(own, _)| (*own).to_owned()).collect(),
            ));
        }
        match kind(name) {
            None => Err(Unknown::Name(name.to_owned())),
            Some(Referable::Db) => {
                field(&DB_FIELDS, name, part).map(|field| Self::Db(DbInstanceId::from(name), field))
            }
            Some(Referable::LoadBalancer) => field(&LOAD_BALANCER_FIELDS, name, part)
                .map(|field| Self::LoadBalancer(LoadBalancerId::from(name), field)),
            Some(Referable::Cache) => cache(name, part),
        }
    }
}

fn cache(name: &str, part: &str) -> Result<Reference, Unknown> {
    let id = ReplicationGroupId::from(name);
    if part == "auth-token" {
        return Ok(Reference::CacheAuthToken(id));
    }
    let (endpoint, part) = part.split_once('.').unwrap_or((part, ""));
    let fields = |endpoint: &str| field(&CACHE_FIELDS, &format!("{name}.{endpoint}"), part);
    match endpoint {
        "primary" => fields("primary").map(|field| Reference::CachePrimary(id, field)),
        "reader" => fields("reader").map(|field| Reference::CacheReader(id, field)),
        _ => Err(Unknown::Part(
            [
                "primary.url",
                "primary.address",
                "reader.url",
                "reader.address",
                "auth-token",
            ]
            .map(|part| format!("{name}.{part}"))
            .into(),
        )),
    }
}

fn field<T: Copy>(fields: &[(&str, T)], of: &str, name: &str) -> Result<T, Unknown> {
    let found = fields.iter().find(|(field, _)| *field == name);
    found.map(|(_, field)| *field).ok_or_else(|| {
        Unknown::Part(
            fields
                .iter()
                .map(|(field, _)| format!("{of}.{field}"))
                .collect(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_and_dollars_escaped() {
        let shown = |text| {
            pieces(text).map(|pieces| {
                let shown = pieces.iter().map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Reference(path) => format!("<{path}>"),
                });
                shown.collect::<Vec<_>>().join("|")
            })
        };
        assert_eq!(shown("a${b.c}d${e}"), Ok("a|<b.c>|d|<e>".to_owned()));
        assert_eq!(shown("$${b} $5 {x}"), Ok("${b} $5 {x}".to_owned()));
        assert_eq!(shown(""), Ok(String::new()));
        assert_eq!(shown("x${y"), Err(Unclosed));
    }

    #[test]
    fn a_reference_names_a_part_of_a_known_thing() {
        let kind = |name: &str| match name {
            "orders" => Some(Referable::Db),
            "sessions" => Some(Referable::Cache),
            _ => None,
        };
        assert_eq!(
            Reference::parse("sessions.reader.port", kind),
            Ok(Reference::CacheReader("sessions".into(), CacheField::Port))
        );
        assert_eq!(
            Reference::parse("order.url", kind),
            Err(Unknown::Name("order".into()))
        );
        assert!(matches!(
            Reference::parse("orders", kind),
            Err(Unknown::Part(_))
        ));
        assert!(matches!(
            Reference::parse("instance.name", kind),
            Err(Unknown::Part(_))
        ));
    }
}
