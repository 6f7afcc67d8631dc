//! What an application instance finds in its environment.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::layout::first_port;
use super::{Instance, InstanceKind, Plan};
use crate::id::{DbInstanceId, ReplicationGroupId};
use crate::names;
use crate::reference::{
    CacheField, DbField, LoadBalancerField, Piece, Referable, Reference, pieces,
};
use crate::topology::{DbInstance, LoadBalancerType, ReplicationGroup, Topology};

/// Variables that every application instance has: the port to listen on, its own identifier and zone, and the stack's name.
pub const OWN_VARIABLES: [&str; 4] = ["PORT", "INSTANCE_ID", "AVAILABILITY_ZONE", "LOCALAWS_STACK"];

/// What the topology may leave open and the stack generates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    /// Master passwords by DB instance; a password that the topology gives goes before.
    pub master_passwords: BTreeMap<DbInstanceId, String>,
}

impl Secrets {
    /// The master password of a DB instance; empty if it is neither given nor generated.
    pub fn master_password<'a>(&'a self, db: &'a DbInstance) -> &'a str {
        let given = db.master_user_password.as_deref();
        given
            .or_else(|| self.master_passwords.get(&db.id).map(String::as_str))
            .unwrap_or_default()
    }
}

/// The environment of an application instance, with every reference resolved; empty for database hosts and cache nodes.
pub fn environment(
    plan: &Plan,
    instance: &Instance,
    secrets: &Secrets,
) -> BTreeMap<String, String> {
    let Plan { topology, .. } = plan;
    let InstanceKind::App(service) = &instance.kind else {
        return BTreeMap::new();
    };
    let mut environment = BTreeMap::new();
    if let Some(service) = topology.services.iter().find(|one| one.id == *service) {
        for (name, text) in &service.environment {
            environment.insert(name.clone(), resolve(topology, instance, secrets, text));
        }
    }
    let own = [
        instance.port.to_string(),
        instance.id.to_string(),
        instance.zone.to_string(),
        topology.name.to_string(),
    ];
    environment.extend(OWN_VARIABLES.map(str::to_owned).into_iter().zip(own));
    environment
}

/// The text with its references resolved. What a checked topology can not have, a reference to nothing, is left as it is.
fn resolve(topology: &Topology, instance: &Instance, secrets: &Secrets, text: &str) -> String {
    let Ok(pieces) = pieces(text) else {
        return text.to_owned();
    };
    let piece = |piece: Piece| match piece {
        Piece::Text(text) => text,
        Piece::Reference(path) => Reference::parse(&path, |name| referable(topology, name))
            .ok()
            .and_then(|reference| value(topology, instance, secrets, &reference))
            .unwrap_or_else(|| format!("${{{path}}}")),
    };
    pieces.into_iter().map(piece).collect()
}

fn referable(topology: &Topology, name: &str) -> Option<Referable> {
    let db = |db: &DbInstance| {
        db.id.as_str() == name || db.read_replicas.iter().any(|r| r.id.as_str() == name)
    };
    if topology.db_instances.iter().any(db) {
        Some(Referable::Db)
    } else if topology
        .replication_groups
        .iter()
        .any(|group| group.id.as_str() == name)
    {
        Some(Referable::Cache)
    } else {
        let mut balancers = topology.load_balancers.iter();
        balancers
            .any(|balancer| balancer.id.as_str() == name)
            .then_some(Referable::LoadBalancer)
    }
}

fn value(
    topology: &Topology,
    instance: &Instance,
    secrets: &Secrets,
    reference: &Reference,
) -> Option<String> {
    match reference {
        Reference::InstanceId => Some(instance.id.to_string()),
        Reference::InstanceZone => Some(instance.zone.to_string()),
        Reference::InstanceRegion => topology
            .region_of(&instance.zone)
            .map(|region| region.id.to_string()),
        Reference::InstancePort => Some(instance.port.to_string()),
        Reference::StackName => Some(topology.name.to_string()),
        Reference::Db(id, field) => {
            let name = names::address(topology, reference)?;
            let is_meant = |db: &&DbInstance| {
                db.id == *id || db.read_replicas.iter().any(|replica| replica.id == *id)
            };
            let db = topology.db_instances.iter().find(is_meant)?;
            Some(db_value(db, &name, secrets.master_password(db), *field))
        }
        Reference::CachePrimary(id, field) | Reference::CacheReader(id, field) => {
            let name = names::address(topology, reference)?;
            Some(cache_value(group(topology, id)?, &name, *field))
        }
        Reference::CacheAuthToken(id) => {
            Some(group(topology, id)?.auth_token.clone().unwrap_or_default())
        }
        Reference::LoadBalancer(id, field) => {
            let name = names::address(topology, reference)?;
            let balancer = topology
                .load_balancers
                .iter()
                .find(|balancer| balancer.id == *id)?;
            let port = first_port(balancer);
            Some(match (field, balancer.kind) {
                (LoadBalancerField::Address, _) => name,
                (LoadBalancerField::Port, _) => port.to_string(),
                (LoadBalancerField::Url, LoadBalancerType::Application) => {
                    format!("http://{name}:{port}")
                }
                (LoadBalancerField::Url, LoadBalancerType::Network) => {
                    format!("tcp://{name}:{port}")
                }
            })
        }
    }
}

fn db_value(db: &DbInstance, name: &str, password: &str, field: DbField) -> String {
    let DbInstance {
        port,
        db_name,
        master_username,
        ..
    } = db;
    match field {
        DbField::Address => name.to_owned(),
        DbField::Port => port.to_string(),
        DbField::User => master_username.clone(),
        DbField::Password => password.to_owned(),
        DbField::Dbname => db_name.clone(),
        DbField::Url => {
            let password = percent_encoded(password);
            format!("postgres://{master_username}:{password}@{name}:{port}/{db_name}")
        }
    }
}

fn group<'t>(topology: &'t Topology, id: &ReplicationGroupId) -> Option<&'t ReplicationGroup> {
    topology
        .replication_groups
        .iter()
        .find(|group| group.id == *id)
}

fn cache_value(group: &ReplicationGroup, name: &str, field: CacheField) -> String {
    let port = group.port;
    match (field, &group.auth_token) {
        (CacheField::Address, _) => name.to_owned(),
        (CacheField::Port, _) => port.to_string(),
        (CacheField::Url, None) => format!("redis://{name}:{port}"),
        (CacheField::Url, Some(token)) => {
            format!("redis://:{}@{name}:{port}", percent_encoded(token))
        }
    }
}

/// A text as it may stand between `:` and `@` of a URL.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}
