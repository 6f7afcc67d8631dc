//! ModifyReplicationGroup, IncreaseReplicaCount, DecreaseReplicaCount, DeleteReplicationGroup, TestFailover and RebootCacheCluster
//! (aws-behaviour §3.2).

use serde_json::{Value, json};
use topologies::event::{EventKind, ReplicationGroupStatus};
use topologies::id::{InstanceId, RegionId, ZoneId};
use topologies::plan::cache_node;
use topologies::topology::{Member, ReplicationGroup};
use wire::{Fault, Record};

use super::create::{NODES_MAX, accepts, edited, given, invalid, recorded, settings, zone_named};
use super::describe::{REBOOTING, cache_cluster, replication_group, shown};
use super::names::{self, NODE_GROUP, RECORD};
use super::subnet_groups::GROUPS;
use crate::aws::input::{is_on, not_implemented, only, text, texts};
use crate::aws::{Change, Decision, View};

/// What ModifyReplicationGroup takes besides the settings that are kept.
const MODIFY: &[&str] = &[
    "ApplyImmediately",
    "AutomaticFailoverEnabled",
    "MultiAZEnabled",
    "ReplicationGroupDescription",
    "ReplicationGroupId",
    "SecurityGroupIds",
];

pub(super) fn modify(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    accepts("ModifyReplicationGroup", input, MODIFY)?;
    let group = available(view, input)?;
    let region = RegionId::from(view.region);
    let known = view
        .world
        .account
        .resource(RECORD, &region, group.id.as_str());
    let before = known.and_then(|it| it.attributes.as_object().cloned());
    let mut after = before.clone().unwrap_or_default();
    after.extend(settings(input));
    let mut with = group.clone();
    if let Some(on) = input["AutomaticFailoverEnabled"].as_bool() {
        with.automatic_failover = on;
    }
    if let Some(on) = input["MultiAZEnabled"].as_bool() {
        after.insert("MultiAZEnabled".to_owned(), json!(on));
    }
    let multi_az = after.get("MultiAZEnabled") == Some(&json!(true));
    if with.automatic_failover && group.nodes.len() < 2 {
        let text = "Automatic failover needs at least one replica.";
        return Err(Fault::sender("InvalidParameterCombination", text));
    }
    if multi_az && !with.automatic_failover {
        let text = "Multi-AZ needs automatic failover to be enabled.";
        return Err(Fault::sender("InvalidParameterCombination", text));
    }
    let changed = before.as_ref() != Some(&after);
    let settings = Value::Object(after);
    let created = known.map_or(view.facts.epoch, |it| view.wall(it.created));
    let record = shown(
        view,
        &with,
        &settings,
        names::status(view, &group.id),
        created,
    );
    let recorded = changed.then(|| recorded(view, &group.id, settings));
    let edited = (with != *group).then(|| edited("elasticache:ModifyReplicationGroup", with));
    let given = given(view, &group.id, input)?;
    let changes = recorded.into_iter().chain(edited).chain(given).collect();
    Ok((Record::new().set("ReplicationGroup", record), changes))
}

pub(super) fn increase(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let built = [
        "ApplyImmediately",
        "NewReplicaCount",
        "ReplicaConfiguration",
        "ReplicationGroupId",
    ];
    only("IncreaseReplicaCount", input, &built)?;
    let group = available(view, input)?;
    if !is_on(input, "ApplyImmediately") {
        return Err(invalid("ApplyImmediately must be true."));
    }
    let configuration = &input["ReplicaConfiguration"][0];
    let asked = input["NewReplicaCount"].as_i64();
    let asked = asked.or_else(|| configuration["NewReplicaCount"].as_i64());
    let nodes = asked.and_then(|replicas| usize::try_from(replicas).ok()?.checked_add(1));
    let now = group.nodes.len();
    let Some(nodes) = nodes.filter(|nodes| (now + 1..=NODES_MAX).contains(nodes)) else {
        return Err(invalid(format!(
            "The new replica count must be {now} to {}: there are {} replicas.",
            NODES_MAX - 1,
            now - 1
        )));
    };
    let zones = GROUPS.named(view, None)?;
    let named = texts(configuration, "PreferredAvailabilityZones");
    let new: Vec<ZoneId> = if named.is_empty() {
        zones
            .iter()
            .cycle()
            .skip(now)
            .take(nodes - now)
            .cloned()
            .collect()
    } else {
        // The zones of all nodes; those that are there are known.
        let found = named.iter().skip(now).map(|zone| zone_named(&zones, zone));
        found.collect::<Result<_, Fault>>()?
    };
    if new.len() != nodes - now {
        let text = format!("PreferredAvailabilityZones must have {nodes} zones.");
        return Err(Fault::sender("InvalidParameterCombination", text));
    }
    let mut with = group.clone();
    for zone in new {
        let taken = |id: &InstanceId| with.nodes.iter().any(|node| node.id == *id);
        let mut ids = (1..).map(|number| cache_node(&group.id, number));
        if let Some(id) = ids.find(|id| !taken(id)) {
            with.nodes.push(Member { id, zone });
        }
    }
    let record = replication_group(view, &with);
    let changes = vec![edited("elasticache:IncreaseReplicaCount", with)];
    Ok((Record::new().set("ReplicationGroup", record), changes))
}

/// Replicas go, those that are named or the last ones; the primary stays wherever it is.
pub(super) fn decrease(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let built = [
        "ApplyImmediately",
        "NewReplicaCount",
        "ReplicaConfiguration",
        "ReplicasToRemove",
        "ReplicationGroupId",
    ];
    only("DecreaseReplicaCount", input, &built)?;
    let group = available(view, input)?;
    if !is_on(input, "ApplyImmediately") {
        return Err(invalid("ApplyImmediately must be true."));
    }
    let cache = view.world.caches.get(&group.id);
    let cache = cache.ok_or_else(|| wrong_state(view, group))?;
    let replicas = group.nodes.iter().map(|node| &node.id);
    let replicas: Vec<&InstanceId> = replicas.filter(|id| **id != cache.primary).collect();
    let named = texts(input, "ReplicasToRemove");
    let leaving: Vec<&InstanceId> = if named.is_empty() {
        let asked = input["NewReplicaCount"].as_u64();
        let asked = asked.or_else(|| input["ReplicaConfiguration"][0]["NewReplicaCount"].as_u64());
        let left = asked.and_then(|count| usize::try_from(count).ok());
        let Some(left) = left.filter(|left| *left < replicas.len()) else {
            let text = format!(
                "The new replica count must be less than {}, which there are.",
                replicas.len()
            );
            return Err(invalid(text));
        };
        replicas[left..].to_vec()
    } else {
        let find = |name: &&str| {
            let id = name.to_ascii_lowercase();
            let found = replicas.iter().find(|replica| replica.as_str() == id);
            found
                .copied()
                .ok_or_else(|| invalid(format!("{name} is not a replica of {}.", group.id)))
        };
        named.iter().map(find).collect::<Result<_, Fault>>()?
    };
    if group.automatic_failover && leaving.len() == replicas.len() {
        let text = "Automatic failover needs at least one replica.";
        return Err(Fault::sender("InvalidParameterCombination", text));
    }
    let record = replication_group(view, group).set("Status", "modifying");
    let changes = leaving.into_iter().map(|instance| {
        Change::Note(EventKind::CacheNodeLeaving {
            group: group.id.clone(),
            instance: instance.clone(),
        })
    });
    let changes = changes.collect();
    Ok((Record::new().set("ReplicationGroup", record), changes))
}

/// A node's process ends and starts again, empty (aws-behaviour §3.2).
pub(super) fn reboot(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let (group, node) = names::find_node(view, text(input, "CacheClusterId").unwrap_or_default())?;
    let nodes = texts(input, "CacheNodeIdsToReboot");
    if nodes.is_empty() || nodes.iter().any(|id| *id != NODE_GROUP) {
        let text = format!("{} has the cache node {NODE_GROUP} only.", node.id);
        return Err(invalid(text));
    }
    let cache = view.world.caches.get(&group.id);
    let idle = cache.is_some_and(|cache| {
        cache.status == ReplicationGroupStatus::Available && !cache.is_due(&node.id)
    });
    if !idle {
        let text = format!("Cache cluster {} is not in available state.", node.id);
        return Err(view.fault("InvalidCacheClusterStateFault", text));
    }
    let record = cache_cluster(view, group, node, false).set("CacheClusterStatus", REBOOTING);
    let asked = Change::Note(EventKind::CacheNodeRebootChanged {
        group: group.id.clone(),
        instance: node.id.clone(),
        rebooting: true,
    });
    Ok((Record::new().set("CacheCluster", record), vec![asked]))
}

pub(super) fn delete(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let group = named(view, input)?;
    if is_on(input, "RetainPrimaryCluster") {
        return Err(not_implemented(
            "DeleteReplicationGroup with RetainPrimaryCluster",
        ));
    }
    if text(input, "FinalSnapshotIdentifier").is_some() {
        return Err(not_implemented(
            "DeleteReplicationGroup with a final snapshot",
        ));
    }
    let status = names::status(view, &group.id);
    if status == ReplicationGroupStatus::Deleting {
        return Err(wrong_state(view, group));
    }
    let record = replication_group(view, group).set("Status", "deleting");
    let changes = [
        EventKind::ResourceForgotten {
            resource: RECORD.to_owned(),
            region: RegionId::from(view.region),
            id: group.id.to_string(),
            arn: names::arn(view, group.id.as_str()),
        },
        EventKind::ReplicationGroupStatusChanged {
            group: group.id.clone(),
            status: ReplicationGroupStatus::Deleting,
        },
    ];
    let changes = changes.map(Change::Note).into();
    Ok((Record::new().set("ReplicationGroup", record), changes))
}

/// AWS takes fifteen of these in a day; here they are not counted.
pub(super) fn test_failover(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    let group = named(view, input)?;
    let node_group = text(input, "NodeGroupId").unwrap_or_default();
    if node_group != NODE_GROUP {
        let text = format!(
            "Node group {node_group} not found in replication group {}.",
            group.id
        );
        return Err(view.fault("NodeGroupNotFoundFault", text));
    }
    if names::status(view, &group.id) != ReplicationGroupStatus::Available {
        return Err(wrong_state(view, group));
    }
    if !group.automatic_failover {
        let text = format!(
            "Automatic failover is not enabled on replication group {}.",
            group.id
        );
        return Err(view.fault("InvalidReplicationGroupStateFault", text));
    }
    let record = replication_group(view, group).set("Status", "modifying");
    let changes = [
        EventKind::ElasticacheEvent {
            source: group.id.to_string(),
            message: format!("Test Failover API called for node group {node_group}"),
        },
        EventKind::CacheFailoverRequested {
            group: group.id.clone(),
        },
    ];
    let changes = changes.map(Change::Note).into();
    Ok((Record::new().set("ReplicationGroup", record), changes))
}

fn named<'a>(view: &View<'a>, input: &Value) -> Result<&'a ReplicationGroup, Fault> {
    names::find(view, text(input, "ReplicationGroupId").unwrap_or_default())
}

fn available<'a>(view: &View<'a>, input: &Value) -> Result<&'a ReplicationGroup, Fault> {
    let group = named(view, input)?;
    if names::status(view, &group.id) == ReplicationGroupStatus::Available {
        Ok(group)
    } else {
        Err(wrong_state(view, group))
    }
}

fn wrong_state(view: &View<'_>, group: &ReplicationGroup) -> Fault {
    let text = format!("Replication group {} is not in available state.", group.id);
    view.fault("InvalidReplicationGroupStateFault", text)
}
