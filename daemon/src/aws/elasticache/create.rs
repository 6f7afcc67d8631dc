//! CreateReplicationGroup: what is created starts, primary and replicas.

use serde_json::{Map, Value, json};
use topologies::defaults;
use topologies::edit::Edit;
use topologies::event::{EventKind, ReplicationGroupStatus};
use topologies::id::{RegionId, ReplicationGroupId, ZoneId};
use topologies::plan::cache_node;
use topologies::security_group::Guarded;
use topologies::topology::{Member, ReplicationGroup};
use wire::{Fault, Record};

use super::describe::{SETTINGS, shown};
use super::names::{self, RECORD};
use super::subnet_groups::GROUPS;
use crate::aws::input::{is_identifier, is_on, not_implemented, only, text, texts};
use crate::aws::security_groups::{give, resolve};
use crate::aws::versions::REDIS;
use crate::aws::{Change, Decision, View, tags};

/// What CreateReplicationGroup takes besides the settings that are kept.
const CREATE: &[&str] = &[
    "AtRestEncryptionEnabled",
    "AutomaticFailoverEnabled",
    "CacheSubnetGroupName",
    "Engine",
    "EngineVersion",
    "IpDiscovery",
    "MultiAZEnabled",
    "NetworkType",
    "NumCacheClusters",
    "NumNodeGroups",
    "Port",
    "PreferredCacheClusterAZs",
    "ReplicasPerNodeGroup",
    "ReplicationGroupDescription",
    "ReplicationGroupId",
    "SecurityGroupIds",
    "Tags",
    "TransitEncryptionEnabled",
];
/// "Valid range: 1 to 6" nodes: a primary and up to 5 replicas (CreateReplicationGroup).
pub(super) const NODES_MAX: usize = 6;

pub(super) fn replication_group(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    accepts("CreateReplicationGroup", input, CREATE)?;
    for encryption in ["AtRestEncryptionEnabled", "TransitEncryptionEnabled"] {
        if is_on(input, encryption) {
            return Err(not_implemented(format!(
                "CreateReplicationGroup with {encryption}"
            )));
        }
    }
    let id = new_identifier(view, input)?;
    let engine = text(input, "Engine").unwrap_or(REDIS.name);
    if engine != REDIS.name {
        return Err(not_implemented(format!("The engine `{engine}`")));
    }
    let automatic_failover = is_on(input, "AutomaticFailoverEnabled");
    let placement = placement(view, input)?;
    let group = ReplicationGroup {
        region: RegionId::from(view.region),
        engine_version: REDIS.asked(input)?,
        nodes: placement
            .iter()
            .zip(1..)
            .map(|(zone, number)| Member {
                id: cache_node(&id, number),
                zone: zone.clone(),
            })
            .collect(),
        automatic_failover,
        port: port(input)?,
        auth_token: None,
        id,
    };
    spread(input, automatic_failover, &placement)?;
    let mut settings = settings(input);
    if let Some(subnets) = text(input, "CacheSubnetGroupName") {
        settings.insert("CacheSubnetGroupName".to_owned(), subnets.into());
    }
    settings.insert(
        "MultiAZEnabled".to_owned(),
        json!(is_on(input, "MultiAZEnabled")),
    );
    let settings = Value::Object(settings);
    let record = shown(
        view,
        &group,
        &settings,
        ReplicationGroupStatus::Creating,
        view.now,
    );
    let tags = tags::read(&input["Tags"]);
    let tagged = tags::put(view, &names::arn(view, group.id.as_str()), tags);
    let given = given(view, &group.id, input)?;
    let changes = [
        recorded(view, &group.id, settings),
        edited("elasticache:CreateReplicationGroup", group),
    ];
    let changes = changes.into_iter().chain(given).chain(tagged).collect();
    Ok((Record::new().set("ReplicationGroup", record), changes))
}

/// The security groups that are named become its own.
pub(super) fn given(
    view: &View<'_>,
    id: &ReplicationGroupId,
    input: &Value,
) -> Result<Option<Change>, Fault> {
    let asked = texts(input, "SecurityGroupIds");
    if asked.is_empty() {
        return Ok(None);
    }
    let groups = resolve(view, &asked)
        .map_err(|lost| invalid(format!("Some security group ids are invalid: {lost}.")))?;
    Ok(Some(give(
        view,
        Guarded::ReplicationGroup(id.clone()),
        groups,
    )))
}

/// Refuses what has no effect here and would have one on AWS.
pub(super) fn accepts(operation: &str, input: &Value, own: &[&str]) -> Result<(), Fault> {
    let built: Vec<&str> = own.iter().chain(SETTINGS).copied().collect();
    only(operation, input, &built)
}

/// The settings of an input, as they are kept.
pub(super) fn settings(input: &Value) -> Map<String, Value> {
    let names = SETTINGS.iter().chain(&["ReplicationGroupDescription"]);
    let given = names.filter(|name| !input[**name].is_null());
    given
        .map(|name| ((*name).to_owned(), input[*name].clone()))
        .collect()
}

/// What is kept of a group beyond the topology.
pub(super) fn recorded(view: &View<'_>, id: &ReplicationGroupId, settings: Value) -> Change {
    Change::Note(EventKind::ResourceRecorded {
        resource: RECORD.to_owned(),
        region: RegionId::from(view.region),
        id: id.to_string(),
        attributes: settings,
    })
}

pub(super) fn edited(by: &str, group: ReplicationGroup) -> Change {
    Change::Note(EventKind::TopologyEdited {
        by: by.to_owned(),
        edits: vec![Edit::PutReplicationGroup(Box::new(group))],
    })
}

/// "1 to 40 alphanumeric characters or hyphens" (CreateReplicationGroup).
fn new_identifier(view: &View<'_>, input: &Value) -> Result<ReplicationGroupId, Fault> {
    let written = text(input, "ReplicationGroupId").unwrap_or_default();
    if !is_identifier(written, 40) {
        return Err(invalid(
            "The parameter ReplicationGroupId is not a valid identifier. Identifiers must begin with a letter; must contain only \
             ASCII letters, digits, and hyphens; must have at most 40 characters; and must not end with a hyphen or contain two \
             consecutive hyphens.",
        ));
    }
    let id = written.to_ascii_lowercase();
    if names::find(view, &id).is_ok() {
        let text = format!("Replication group {id} already exists.");
        return Err(view.fault("ReplicationGroupAlreadyExistsFault", text));
    }
    Ok(ReplicationGroupId::from(id))
}

fn port(input: &Value) -> Result<u16, Fault> {
    match input["Port"].as_i64() {
        None => Ok(defaults::CACHE_PORT),
        Some(port) => match u16::try_from(port) {
            Ok(port) if port >= 1024 => Ok(port),
            Ok(_) | Err(_) => Err(invalid(format!(
                "Invalid value {port} for Port. Must be 1024 to 65535."
            ))),
        },
    }
}

/// One zone for each node: those that are named, else those of the subnet group in turn.
fn placement(view: &View<'_>, input: &Value) -> Result<Vec<ZoneId>, Fault> {
    if input["NumNodeGroups"]
        .as_i64()
        .is_some_and(|number| number != 1)
    {
        return Err(not_implemented("Cluster mode (NumNodeGroups other than 1)"));
    }
    let clusters = input["NumCacheClusters"].as_i64();
    let replicas = input["ReplicasPerNodeGroup"].as_i64();
    let named = texts(input, "PreferredCacheClusterAZs");
    let count = match (clusters, replicas) {
        (Some(clusters), _) => clusters,
        (None, Some(replicas)) => replicas.saturating_add(1),
        (None, None) if named.is_empty() => 1,
        (None, None) => i64::try_from(named.len()).unwrap_or(0),
    };
    let nodes = usize::try_from(count).ok();
    let Some(nodes) = nodes.filter(|nodes| (1..=NODES_MAX).contains(nodes)) else {
        return Err(invalid(format!(
            "A replication group has 1 to {NODES_MAX} nodes; {count} were asked for."
        )));
    };
    let zones = GROUPS.named(view, text(input, "CacheSubnetGroupName"))?;
    if named.is_empty() {
        if zones.is_empty() {
            return Err(invalid(format!("The stack has no region {}", view.region)));
        }
        return Ok(zones.iter().cycle().take(nodes).cloned().collect());
    }
    if named.len() != nodes {
        let text = format!(
            "PreferredCacheClusterAZs has {} zones for {nodes} nodes.",
            named.len()
        );
        return Err(Fault::sender("InvalidParameterCombination", text));
    }
    let found = named.into_iter().map(|zone| zone_named(&zones, zone));
    found.collect()
}

/// The zone with this name, if it is one of those.
pub(super) fn zone_named(zones: &[ZoneId], name: &str) -> Result<ZoneId, Fault> {
    let found = zones.iter().find(|zone| zone.as_str() == name);
    found
        .cloned()
        .ok_or_else(|| invalid(format!("{name} is not a valid availability zone.")))
}

/// What automatic failover and Multi-AZ need (aws-behaviour §3.2).
fn spread(input: &Value, automatic_failover: bool, placement: &[ZoneId]) -> Result<(), Fault> {
    let combination = |text: &str| Err(Fault::sender("InvalidParameterCombination", text));
    if automatic_failover && placement.len() < 2 {
        return combination("Automatic failover needs at least one replica.");
    }
    if !is_on(input, "MultiAZEnabled") {
        return Ok(());
    }
    if !automatic_failover {
        return combination("Multi-AZ needs automatic failover to be enabled.");
    }
    if placement.iter().all(|zone| *zone == placement[0]) {
        return combination("Multi-AZ needs at least one replica in another availability zone.");
    }
    Ok(())
}

pub(super) fn invalid(text: impl Into<String>) -> Fault {
    Fault::sender("InvalidParameterValue", text)
}
